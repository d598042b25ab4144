"""Limiters side by side on the same setpoints: what each lets through, what it does to good motion, what a tick costs.

``python -m benchmarks.limiters`` (needs the extra `bench`: Ruckig). The arm is the simulated one with its shipped
limits. All are judged by the positions they command, a tick apart: speed, acceleration and jerk are their differences,
and the robot follows every command that is a number. Each limiter is called as its own documentation has it, so that
the cost is what a tick of a Python program would pay; what the kernel costs without Python is in `benchmarks.kernel`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from benchmarks.setpoints import ADVERSARIAL, Rows, robot, smooth
from edge_runtime.native import ffi, lib
from edge_runtime.safety import Kernel, KernelConfig, Measurement, Request, Result

TOLERANCE = 1e-6
"""Part of a limit that is not counted as a violation: the positions' own rounding makes 5e-10 of the jerk limit."""
QUANTILES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}
Limiter = Callable[[Rows], Any]
"""One tick: the setpoint of 7 joints in, the command out."""


def clip(limits: KernelConfig, _home_rad: Rows) -> Limiter:
    """`np.clip` to the joints' ranges."""
    low, high = np.asarray(limits.q_min_rad), np.asarray(limits.q_max_rad)
    return lambda setpoint: np.clip(setpoint, low, high)


def step_clip(limits: KernelConfig, home_rad: Rows) -> Limiter:
    """The range, then at most one tick's way at full speed from where the robot is: lerobot's
    `ensure_safe_goal_position` with `max_relative_target`, joint by joint in Python."""
    low, high = np.asarray(limits.q_min_rad), np.asarray(limits.q_max_rad)
    most_rad = [speed * limits.tick_ns * 1e-9 for speed in limits.dq_max_rad_s]
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
    except ImportError:
        sys.exit("no Ruckig to compare with: pip install 'edge-runtime[bench]'")
    n = home_rad.size
    generator, inputs, output = Ruckig(n, limits.tick_ns * 1e-9), InputParameter(n), OutputParameter(n)
    low, high = np.asarray(limits.q_min_rad), np.asarray(limits.q_max_rad)
    inputs.current_position, inputs.target_position = home_rad.tolist(), home_rad.tolist()
    inputs.max_velocity = limits.dq_max_rad_s
    inputs.max_acceleration = limits.ddq_max_rad_s2
    inputs.max_jerk = limits.dddq_max_rad_s3

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


def ours(limits: KernelConfig, home_rad: Rows) -> Limiter:
    """The kernel, armed, through cffi: all of `kernel_step`, with its checks of feedback, clock and sequence."""
    n, tick_ns = home_rad.size, limits.tick_ns
    kernel = Kernel(limits)
    at_home = Measurement(stamp_ns=tick_ns, seq=1, q_rad=home_rad.tolist(), dq_rad_s=[0.0] * n)
    kernel.step(at_home, None, tick_ns)
    answer = kernel.request(Request.ARM, at_home, tick_ns)
    if answer is not Result.DONE:
        raise SystemExit(f"the kernel refused to arm: {answer.name}")
    # The kernel's own structures, filled through views: `Kernel.step` makes new objects of them, for tests.
    state, config, verdict = kernel._state, kernel._config, ffi.new("kernel_verdict *")
    feedback, target = ffi.new("kernel_feedback *"), ffi.new("kernel_setpoint *")
    feedback.present, feedback.n, feedback.watchdog_ns = 1, n, 100_000_000
    target.present, target.n, target.speed_scale = 1, n, 1.0
    measured, wanted, command = (
        np.frombuffer(ffi.buffer(struct.q_rad), np.float64)[:n] for struct in (feedback, target, verdict)
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


def run(limiter: Limiter, rows: Rows) -> tuple[Rows, Rows]:
    """Commands of all ticks, and what each cost in microseconds."""
    commands, costs_ns = np.empty_like(rows), np.empty(len(rows))
    clock = time.perf_counter_ns
    for k, row in enumerate(rows):
        begin_ns = clock()
        command = limiter(row)
        costs_ns[k] = clock() - begin_ns
        commands[k] = command
    return commands, costs_ns * 1e-3


def violations(limits: KernelConfig, home_rad: Rows, commands: Rows) -> dict[str, dict[str, float]]:
    """By limit, ticks in which a joint's command was beyond it, and how many times the limit the worst was (for
    positions: the rad beyond). A command that is no number is counted as that and nothing else."""
    tick_s = limits.tick_ns * 1e-9
    numbers = np.isfinite(commands)
    low, high = np.asarray(limits.q_min_rad), np.asarray(limits.q_max_rad)
    # Where a command was no number the robot stays.
    last = np.where(numbers, np.arange(len(commands))[:, None], -1)
    followed = np.concatenate([home_rad[None], commands])[
        np.maximum.accumulate(last, axis=0) + 1, np.arange(home_rad.size)
    ]
    motion = np.concatenate([np.repeat(home_rad[None], 3, axis=0), followed])
    beyond_rad = np.maximum(motion - high, low - motion)[3:]
    found = {
        "position": {
            "ticks": _ticks(beyond_rad > TOLERANCE * (high - low)),
            "worst_rad": float(max(0.0, beyond_rad.max())),
        }
    }
    for name, limit in {
        "velocity": limits.dq_max_rad_s,
        "acceleration": limits.ddq_max_rad_s2,
        "jerk": limits.dddq_max_rad_s3,
    }.items():
        motion = np.diff(motion, axis=0) / tick_s
        times = np.abs(motion[len(motion) - len(commands) :]) / np.asarray(limit)
        found[name] = {"ticks": _ticks(times > 1.0 + TOLERANCE), "worst_times": float(times.max())}
    return found | {"no_number": {"ticks": _ticks(~numbers)}}


def _ticks(joints: Any) -> int:
    return int(np.count_nonzero(joints.any(axis=1)))


def worst_of(parts: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Ticks added up, the worst of all."""
    return {
        limit: {
            key: sum(part[limit][key] for part in parts) if key == "ticks" else max(part[limit][key] for part in parts)
            for key in values
        }
        for limit, values in parts[0].items()
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
    limits = replace(limits, step_max_rad=(1e3,) * home_rad.size)
    bare = replace(limits, geometry=None, manipulability_slow_below=0.0, manipulability_stop_below=0.0)
    limiters: dict[str, tuple[Callable[[KernelConfig, Rows], Limiter], KernelConfig]] = {
        "np.clip": (clip, bare),
        "per-step clip": (step_clip, bare),
        "Ruckig": (ruckig, bare),
        "this kernel": (ours, bare),
    }
    if limits.geometry is not None:
        limiters["this kernel, with geometry"] = (ours, limits)
    streams = {name: stream(bare, home_rad, arguments.ticks, arguments.seed) for name, stream in ADVERSARIAL.items()}
    good = smooth(bare, home_rad, arguments.ticks, arguments.seed)
    rows: dict[str, Any] = {}
    for name, (build, config) in limiters.items():
        by_kind, costs = {}, []
        for kind, setpoints in streams.items():
            commands, costs_us = run(build(config, home_rad), setpoints)
            by_kind[kind] = violations(config, home_rad, commands)
            costs.append(costs_us)
        commands, costs_us = run(build(config, home_rad), good)
        rows[name] = {
            "violations": worst_of(list(by_kind.values())),
            "by_kind": by_kind,
            "good_motion_error_rad": float(np.abs(commands - good).max()),
            "cost_us": {name: float(np.percentile(np.concatenate(costs), q)) for name, q in QUANTILES.items()},
            "good_motion_cost_us": {name: float(np.percentile(costs_us, q)) for name, q in QUANTILES.items()},
        }
    table = Table(title=f"{len(streams)} x {arguments.ticks} hostile ticks, 7 joints", title_justify="left")
    for column in (
        "",
        "position",
        "velocity",
        "acceleration",
        "jerk",
        "no number",
        "error, good motion",
        "µs p50/p99/p99.9",
    ):
        table.add_column(column, justify="left" if column == "" else "right")
    for name, row in rows.items():
        table.add_row(name, *cells(row))
    console.print(table)
    figures = {"ticks_of_each_kind": arguments.ticks, "kinds": list(streams), "limiters": rows}
    record("limiters", figures | {"kernel_violations": _total(rows)}, console)


def cells(row: dict[str, Any]) -> list[str]:
    """A limiter's row as text, without its name."""
    found = row["violations"]
    worst = {"position": "worst_rad", "velocity": "worst_times", "acceleration": "worst_times", "jerk": "worst_times"}
    parts = [f"{found[limit]['ticks']:.0f}" for limit in worst]
    for i, (limit, key) in enumerate(worst.items()):
        if found[limit]["ticks"]:
            parts[i] += f" ({found[limit][key]:.2g} rad)" if key == "worst_rad" else f" ({found[limit][key]:.0f} ×)"
    cost = " / ".join(f"{row['cost_us'][name]:.1f}" for name in QUANTILES)
    return [*parts, f"{found['no_number']['ticks']:.0f}", f"{row['good_motion_error_rad']:.1g} rad", cost]


def _total(rows: dict[str, Any]) -> int:
    ours_only = [row["violations"] for name, row in rows.items() if name.startswith("this kernel")]
    return sum(int(limit["ticks"]) for found in ours_only for limit in found.values())


if __name__ == "__main__":
    main()
