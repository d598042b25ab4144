"""What it costs to run a plan through the kernel before its first tick, for the shipped arm with its geometry.

``python -m benchmarks.admission``: the beginning, which a chunk waits for, and the whole of a plan of 0.8 s: one inside
the limits, one that is too fast, and one that leads into the table. The loop goes on meanwhile.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.control.admission import Prediction, Rehearsal
from edge_runtime.control.chunk_pipeline import BEGINNING_NS
from edge_runtime.control.limits import kernel_config
from edge_runtime.control.plan import Plan, beginning_of
from edge_runtime.native import ffi, lib
from edge_runtime.safety import State

DT_NS = 10_000_000
ACTIONS = 80
SHOULDER, WRIST = 1, 6


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=300, help="of each plan (300)")
    repeats = parser.parse_args().repeats
    config = load_config(SIM_CONFIG)
    limits = kernel_config(config.safety, config.embodiment)
    deviation_max = np.full(len(config.embodiment.axes), config.control.admission_deviation_max_rad)
    deviation_max[list(config.embodiment.gripper_indices)] = np.inf
    rehearsal = Rehearsal(limits, config.embodiment, deviation_max)
    home = np.array(config.embodiment.home)
    state = _at_rest(limits.to_native(), home)
    console = Console()
    table = Table(title=f"{repeats} rehearsals each, with geometry", title_justify="left")
    for column in ("plan", "p50 ms", "p99 ms", "ticks", "altered", "limits"):
        table.add_column(column, justify="left" if column in ("plan", "limits") else "right")
    figures: dict[str, float] = {}
    for name, joint, reach_rad in (("inside", WRIST, 0.3), ("too_fast", WRIST, 1.2), ("blocked", SHOULDER, 1.2)):
        whole = _plan(home, joint, reach_rad)
        beginning = beginning_of(whole, BEGINNING_NS)
        assert beginning is not None
        for part, plan in (("beginning", beginning), ("whole", whole)):
            took_ms, found = _measure(partial(rehearsal.predict, state, 0, (plan,)), repeats)
            p50, p99 = np.percentile(took_ms, (50, 99)).tolist()
            figures |= {f"{name}_{part}_p50_ms": round(p50, 3), f"{name}_{part}_p99_ms": round(p99, 3)}
            limits_that_act = ", ".join(found.limits) or "none"
            counts = (str(found.ticks), str(found.interventions))
            table.add_row(f"{name}, {part}", f"{p50:.2f}", f"{p99:.2f}", *counts, limits_that_act)
    console.print(table)
    record("admission", figures, console)


def _measure(work: Callable[[], Prediction], repeats: int) -> tuple[NDArray[np.float64], Prediction]:
    found = work()
    took_ms = np.empty(repeats)
    for index in range(repeats):
        started_ns = time.perf_counter_ns()
        work()
        took_ms[index] = (time.perf_counter_ns() - started_ns) / 1e6
    return took_ms, found


def _at_rest(config: Any, posture: NDArray[np.float64]) -> Any:
    """A kernel that holds the robot there."""
    state = ffi.new("kernel_state *")
    lib.kernel_init(state, config)
    for values in (state.q, state.target, state.measured, state.shown_least, state.shown_most):
        values[0 : len(posture)] = posture.tolist()
    state.state, state.has_now, state.has_command = int(State.HOLDING), 1, 1
    return state


def _plan(home: NDArray[np.float64], joint: int, reach_rad: float) -> Plan:
    """One joint goes so far, softly, in 0.8 s; the other axes stay."""
    progress = np.arange(ACTIONS + 1) / ACTIONS
    q = np.tile(home, (ACTIONS + 1, 1))
    q[:, joint] += reach_rad * progress**3 * (10.0 - 15.0 * progress + 6.0 * progress**2)
    return Plan(
        seq=2,
        chunk_seq=1,
        observation_ns=0,
        t_ns=np.arange(ACTIONS + 1, dtype=np.int64) * DT_NS,
        q=q,
    )


if __name__ == "__main__":
    main()
