"""How late the 1 kHz loop wakes and what a tick costs, by turns with cyclictest on the same machine in one run.

``python -m benchmarks.jitter``: rounds of the loop and of cyclictest (Debian package rt-tests) take turns, first on the
machine as it is, then under two busy processes, one that multiplies matrices, and a Python thread beside the loop that
never lets go of the interpreter. Rows are to be compared with each other: other work on the machine moves both, and
on a virtual machine the tail of both swings from round to round. So a quantile is the median over the rounds, and
the spread stands beside it. What a tick may not do is counted: page faults, allocations, system calls.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.charts import histogram, picture
from benchmarks.jitter_rounds import (
    LoopRound,
    arm_limits,
    build_thread_watch,
    load,
    measure_cyclictest,
    measure_loop,
    thread_watch,
)
from benchmarks.record import RESULTS, record
from edge_runtime.control.native_loop import Granted
from edge_runtime.ipc.port import DriverPort
from edge_runtime.safety import KernelConfig

QUANTILES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}
ALLOWED_FACTOR, ALLOWED_US = 1.25, 20.0
# On a virtual machine the host may take the processor away for tens of milliseconds: nothing is to trip then.
WATCHDOG_NS = 1_000_000_000
Rounds = list[NDArray[np.float64]]


def quantiles(rounds: Rounds) -> dict[str, Any]:
    """In the unit of the values: medians over the rounds, the maximum of all, and the tail of each round."""
    by_round = {name: [round(float(np.percentile(one, q)), 1) for one in rounds] for name, q in QUANTILES.items()}
    return {
        **{name: float(np.median(values)) for name, values in by_round.items()},
        "max": max(float(one.max()) for one in rounds),
        "by_round": {name: by_round[name] for name in ("p99", "p99.9")},
    }


def measure(port: DriverPort, watch: ctypes.CDLL, rounds: int, seconds: float) -> tuple[list[LoopRound], Rounds]:
    """The loop and cyclictest by turns; no rounds of the second where it is missing."""
    loop, reference = [], []
    for _ in range(rounds):
        loop.append(measure_loop(port, watch, seconds))
        other = measure_cyclictest(seconds)
        if other is not None:
            reference.append(other)
    return loop, reference


def figures_of(loop: list[LoopRound], reference: Rounds) -> dict[str, Any]:
    """What is recorded of one condition."""
    lateness = quantiles([one.lateness_us for one in loop])
    other = quantiles(reference) if reference else None
    allowed = {name: ALLOWED_FACTOR * other[name] + ALLOWED_US for name in ("p99", "p99.9")} if other else None
    return {
        "wake_lateness_us": lateness,
        "cyclictest_us": other,
        "allowed_us": allowed,
        "command_us": quantiles([one.command_us for one in loop]),
        "tick_us": quantiles([one.tick_us for one in loop]),
        "slots_missed": sum(one.overruns for one in loop),
        "ticks": sum(one.lateness_us.size for one in loop),
    }


def rows(name: str, loop: list[LoopRound], reference: Rounds) -> Iterable[tuple[str, ...]]:
    """Of the table, for one condition."""
    series = {
        "wakes late": [one.lateness_us for one in loop],
        "cyclictest": reference,
        "until the command": [one.command_us for one in loop],
        "whole tick": [one.tick_us for one in loop],
    }
    for what, values in series.items():
        if not values:
            continue
        tail = quantiles(values)
        spread = (f"{min(by):.0f}-{max(by):.0f}" for by in tail["by_round"].values())
        yield f"{name}: {what}", *(f"{tail[key]:.1f}" for key in (*QUANTILES, "max")), *spread


def series_of(loop: list[LoopRound], reference: Rounds) -> dict[str, NDArray[np.float64]]:
    """What is drawn of one condition."""
    return {
        "wakes late": np.concatenate([one.lateness_us for one in loop]),
        **({"cyclictest": np.concatenate(reference)} if reference else {}),
        "whole tick": np.concatenate([one.tick_us for one in loop]),
    }


def start_with_watch() -> int:
    """This benchmark again, with the library that watches the loop's thread."""
    with tempfile.TemporaryDirectory() as folder:
        library = build_thread_watch(Path(folder))
        command = [sys.executable, "-m", "benchmarks.jitter", *sys.argv[1:]]
        return subprocess.run(command, env={**os.environ, "LD_PRELOAD": str(library)}, check=False).returncode


def main() -> int:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="of each condition (default 6)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement in a round (default 5)")
    arguments = parser.parse_args()
    watch = thread_watch()
    if watch is None:
        return start_with_watch()
    console = Console()
    table = Table(
        title=f"1 kHz, µs: medians of {arguments.rounds} rounds of {arguments.seconds:g} s", title_justify="left"
    )
    for column in ("", *QUANTILES, "max", "p99s", "p99.9s"):
        table.add_column(column, justify="left" if column == "" else "right", no_wrap=True)
    figures: dict[str, Any] = {"rounds": arguments.rounds, "seconds": arguments.seconds}
    all_rounds: list[LoopRound] = []
    panels: dict[str, dict[str, NDArray[np.float64]]] = {}
    conditions: dict[str, AbstractContextManager[None]] = {"idle": nullcontext(), "load": load()}
    config, _ = arm_limits()
    with DriverPort.create(f"jitter-{os.getpid()}", config.n_axes, config.joint_digest, WATCHDOG_NS) as port:
        for name, condition in conditions.items():
            with condition:
                loop, reference = measure(port, watch, arguments.rounds, arguments.seconds)
            figures[name], panels[name] = figures_of(loop, reference), series_of(loop, reference)
            all_rounds += loop
            for row in rows(name, loop, reference):
                table.add_row(*row)
        traced = measure_loop(port, watch, 2.0, count_system_calls=True)
    console.print(table)
    if figures["idle"]["cyclictest_us"] is None:
        console.print("no cyclictest to compare with: sudo apt-get install rt-tests")
    for name, series in panels.items():
        for title, values in series.items():
            histogram(f"{name}: {title}", values, console)
    if picture(RESULTS / "jitter.png", panels):
        console.print(f"histograms drawn to {RESULTS / 'jitter.png'}")
    record("jitter", figures | shares(figures) | counts(config, all_rounds, traced), console)
    return 0


def shares(figures: dict[str, Any]) -> dict[str, float | None]:
    """How much of what is allowed the lateness uses; None without cyclictest."""
    found: dict[str, float | None] = {}
    for name in ("idle", "load"):
        allowed = figures[name]["allowed_us"]
        for key, quantile in {"p99": "p99", "p999": "p99.9"}.items():
            late_us = figures[name]["wake_lateness_us"][quantile]
            found[f"{name}_{key}_of_allowed"] = late_us / allowed[quantile] if allowed else None
    return found


def counts(config: KernelConfig, loops: list[LoopRound], traced: LoopRound) -> dict[str, Any]:
    """What a tick may not do."""
    return {
        "geometry": config.geometry is not None,
        "page_faults": sum(one.page_faults for one in loops),
        "allocations": sum(one.allocations for one in loops),
        "system_calls_per_tick": traced.system_calls_per_tick,
        "granted": [flag.name for flag in Granted if flag in traced.granted],
    }


if __name__ == "__main__":
    sys.exit(main())
