"""Limiters side by side on the same setpoints: what each lets through, what it does to good motion, what a tick costs.

``python -m benchmarks.limiters`` (needs the extra `bench`: Ruckig). The arm is the simulated one with its shipped
limits. All are judged by the positions they command, a tick apart: speed, acceleration and jerk are their differences,
and the robot follows every command that is a number. Each limiter is called as its own documentation has it, so that
the cost is what a tick of a Python program would pay; what the kernel costs without Python is in `benchmarks.kernel`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from benchmarks.setpoints import ADVERSARIAL, Rows, robot, smooth, without_geometry
from benchmarks.violations import violations, worst_of
from edge_runtime.contracts.installation import explain
from edge_runtime.native import ffi, lib
from edge_runtime.safety import Kernel, KernelConfig, Measurement, Request, Result

ROUNDING_RAD = 1e-12
WORST = {"worst_rad": "rad", "worst_times": "x", "worst_m": "m"}
PAUSE_TICKS, PAUSE_S = 500, 0.003
"""Linux takes the processor from a real-time thread that never rests."""
QUANTILES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}
Limiter = Callable[[Rows], Any]
"""One tick: the setpoint of 7 joints in, the command out."""


def clip(limits: KernelConfig, _home_rad: Rows) -> Limiter:
    """`np.clip` to the joints' ranges."""
    low, high = np.asarray(limits.q_min), np.asarray(limits.q_max)
    return lambda setpoint: np.clip(setpoint, low, high)


def step_clip(limits: KernelConfig, home_rad: Rows) -> Limiter:
    """The range, then at most one tick's way at full speed from where the robot is: lerobot's
    `ensure_safe_goal_position` with `max_relative_target`, joint by joint in Python."""
    low, high = np.asarray(limits.q_min), np.asarray(limits.q_max)
    most_rad = [speed * limits.tick_ns * 1e-9 for speed in limits.dq_max]
    present_rad = home_rad.tolist()

    def step(setpoint: Rows) -> list[float]:
        command = []
        for i, goal_rad in enumerate(np.clip(setpoint, low, high).tolist()):
            way_rad = max(min(goal_rad - present_rad[i], most_rad[i]), -most_rad[i])
            command.append(present_rad[i] + way_rad)
            if command[i] == command[i]:
                present_rad[i] = command[i]
        return command

    return step


def ruckig(limits: KernelConfig, home_rad: Rows) -> Limiter:
    """Ruckig, community edition, with a new target every tick. It has no position limits: the target is clamped for it.
    It throws on a target that is no number; what goes on then is the caller's, here the last target."""
    try:
        from ruckig import InputParameter, OutputParameter, Result, Ruckig, RuckigError
    except ModuleNotFoundError as error:
        sys.exit(f"no Ruckig to compare with: {explain(error, ('bench',))}")
    n = home_rad.size
    generator, inputs, output = Ruckig(n, limits.tick_ns * 1e-9), InputParameter(n), OutputParameter(n)
    low, high = np.asarray(limits.q_min), np.asarray(limits.q_max)
    inputs.current_position, inputs.target_position = home_rad.tolist(), home_rad.tolist()
    inputs.max_velocity = limits.dq_max
    inputs.max_acceleration = limits.ddq_max
    inputs.max_jerk = limits.dddq_max

    def step(setpoint: Rows) -> list[float]:
        before = inputs.target_position
        inputs.target_position = np.clip(setpoint, low, high).tolist()
        try:
            result = generator.update(inputs, output)
        except RuckigError:
            inputs.target_position = before
            result = generator.update(inputs, output)
        if result < 0:
            raise SystemExit(f"Ruckig: {Result(result).name}")
        output.pass_to_input(inputs)
        command: list[float] = output.new_position
        return command

    return step


def _armed(limits: KernelConfig, home_rad: Rows) -> Kernel:
    kernel = Kernel(limits)
    at_home = Measurement(stamp_ns=limits.tick_ns, seq=1, q=home_rad.tolist(), dq=[0.0] * home_rad.size)
    kernel.step(at_home, None, limits.tick_ns)
    answer = kernel.request(Request.ARM, at_home, limits.tick_ns)
    if answer is not Result.DONE:
        raise SystemExit(f"the kernel refused to arm: {answer.name}")
    return kernel


def ours(limits: KernelConfig, home_rad: Rows) -> Limiter:
    """The kernel, armed, through cffi: all of `kernel_step`, with its checks of feedback, clock and sequence."""
    n, tick_ns = home_rad.size, limits.tick_ns
    kernel = _armed(limits, home_rad)
    # The kernel's own structures, filled through views: `Kernel.step` makes new objects of them, for tests.
    state, config, verdict = kernel._state, kernel._config, ffi.new("kernel_verdict *")
    feedback, target = ffi.new("kernel_feedback *"), ffi.new("kernel_setpoint *")
    feedback.present, feedback.n, feedback.watchdog_ns = 1, n, 100_000_000
    target.present, target.n, target.speed_scale = 1, n, 1.0
    measured, wanted, command = (
        np.frombuffer(ffi.buffer(struct.q), np.float64)[:n] for struct in (feedback, target, verdict)
    )
    measured[:] = home_rad
    now_ns = tick_ns

    def step(setpoint: Rows) -> Rows:
        nonlocal now_ns
        now_ns += tick_ns
        feedback.stamp_ns = target.stamp_ns = target.observation_ns = now_ns
        feedback.seq = target.seq = now_ns // tick_ns
        wanted[:] = setpoint
        lib.kernel_step(state, config, feedback, target, now_ns, verdict)
        measured[:] = command
        return command

    return step


def in_c_us(limits: KernelConfig, home_rad: Rows, rows: Rows) -> float:
    """Mean of a tick where Python is called once for all of them: `kernel_rehearse`, which has the kernel's limits but
    not its checks of feedback and clock."""
    n, count = home_rad.size, len(rows)
    setpoints, verdicts = ffi.new("kernel_setpoint[]", count), ffi.new("kernel_verdict[]", count)
    kernel = _armed(limits, home_rad)
    for setpoint, row in zip(setpoints, rows.tolist(), strict=True):
        setpoint.present, setpoint.n, setpoint.speed_scale = 1, n, 1.0
        setpoint.q[0:n] = row
    begin_ns = time.perf_counter_ns()
    lib.kernel_rehearse(kernel._state, kernel._config, setpoints, count, verdicts)
    return (time.perf_counter_ns() - begin_ns) * 1e-3 / count


@contextmanager
def real_time() -> Iterator[None]:
    """At real-time priority where that is allowed: other work on the machine is no limiter's cost."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(80))
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def run(limiter: Limiter, rows: Rows) -> tuple[Rows, Rows]:
    """Commands of all ticks, and what each cost in microseconds."""
    commands, costs_ns = np.empty_like(rows), np.empty(len(rows))
    clock = time.perf_counter_ns
    for k, row in enumerate(rows):
        if k % PAUSE_TICKS == 0:
            time.sleep(PAUSE_S)
        begin_ns = clock()
        command = limiter(row)
        costs_ns[k] = clock() - begin_ns
        commands[k] = command
    return commands, costs_ns * 1e-3


def measure(
    build: Callable[[KernelConfig, Rows], Limiter],
    config: KernelConfig,
    judged_by: KernelConfig,
    home_rad: Rows,
    ticks: int,
    seed: int,
) -> dict[str, Any]:
    """All that is recorded of one limiter, which knows of `config`."""
    by_kind, costs = {}, []
    for kind, stream in ADVERSARIAL.items():
        commands, costs_us = run(build(config, home_rad), stream(config, home_rad, ticks, seed))
        by_kind[kind] = violations(judged_by, home_rad, commands)
        costs.append(costs_us)
    good = smooth(config, home_rad, ticks, seed)
    commands, good_us = run(build(config, home_rad), good)
    return {
        "violations": worst_of(list(by_kind.values())),
        "by_kind": by_kind,
        "good_motion_changed_by_rad": float(np.abs(commands - good).max()),
        "cost_us": {name: float(np.percentile(np.concatenate(costs), q)) for name, q in QUANTILES.items()},
        "good_motion_cost_us": {name: float(np.percentile(good_us, q)) for name, q in QUANTILES.items()},
    }


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=100_000, help="of each kind of setpoints (default 100000)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    console = Console()
    _, limits, home_rad = robot()
    # A setpoint that is far away is limited as the others have to limit it, not refused.
    limits = replace(limits, step_max=(1e3,) * home_rad.size)
    bare = without_geometry(limits)
    limiters: dict[str, tuple[Callable[[KernelConfig, Rows], Limiter], KernelConfig]] = {
        "np.clip": (clip, bare),
        "per-step clip": (step_clip, bare),
        "Ruckig": (ruckig, bare),
        "this kernel, joints only": (ours, bare),
        "this kernel": (ours, limits),
    }
    rows: dict[str, Any] = {}
    with real_time():
        for name, (build, config) in limiters.items():
            rows[name] = measure(build, config, limits, home_rad, arguments.ticks, arguments.seed)
            if build is ours:
                share = arguments.ticks // len(ADVERSARIAL)
                parts = [stream(config, home_rad, share, arguments.seed) for stream in ADVERSARIAL.values()]
                rows[name]["in_c_us"] = in_c_us(config, home_rad, np.concatenate(parts))
    title = f"{len(ADVERSARIAL)} x {arguments.ticks} hostile ticks, 7 joints: ticks beyond a limit (worst, in limits)"
    table = Table(title=title, title_justify="left")
    costs = Table(title="Cost of a tick, and what becomes of motion inside the limits", title_justify="left")
    for column in ("", "position", "velocity", "acceleration", "jerk", "too near", "no number"):
        table.add_column(column, justify="left" if column == "" else "right")
    for column in ("", *(f"{name} µs" for name in QUANTILES), "in C, mean µs", "good motion changed by"):
        costs.add_column(column, justify="left" if column == "" else "right")
    for name, row in rows.items():
        table.add_row(name, *violation_cells(row))
        costs.add_row(name, *cost_cells(row))
    console.print(table, costs)
    figures = {"ticks_of_each_kind": arguments.ticks, "kinds": list(ADVERSARIAL), "limiters": rows}
    record("limiters", figures | {"kernel_violations": _total(rows)}, console)


def violation_cells(row: dict[str, Any]) -> list[str]:
    """Of a limiter, by limit: ticks, and how far the worst was beyond."""
    cells = []
    for found in row["violations"].values():
        worst = "".join(f" ({value:,.3g} {WORST[key]})" for key, value in found.items() if key != "ticks")
        cells.append(f"{found['ticks']:,}" + (worst if found["ticks"] else ""))
    return cells


def cost_cells(row: dict[str, Any]) -> list[str]:
    """Of a limiter: what its tick costs, and what it does to motion that needs no limiting."""
    changed_rad = row["good_motion_changed_by_rad"]
    costs = [f"{value:.1f}" for value in row["cost_us"].values()]
    return [
        *costs,
        f"{row['in_c_us']:.1f}" if "in_c_us" in row else "",
        f"{changed_rad:.2g} rad" if changed_rad > ROUNDING_RAD else "0",
    ]


def _total(rows: dict[str, Any]) -> int:
    """All violations of the kernel, which is not asked for distances where it knows of no geometry."""
    found = dict(rows["this kernel, joints only"]["violations"])
    del found["clearance"]
    return sum(int(limit["ticks"]) for limit in (*found.values(), *rows["this kernel"]["violations"].values()))


if __name__ == "__main__":
    main()
