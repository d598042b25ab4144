"""What a row of commands breaks of a robot's limits, judged from the positions alone: speed, acceleration and jerk are
their differences, distances those of the kernel's own geometry."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.setpoints import Rows
from edge_runtime.native import ffi, lib
from edge_runtime.safety import AxisKind, KernelConfig

TOLERANCE = 1e-6
"""Part of a limit that is not counted as a violation: the positions' own rounding makes 5e-10 of the jerk limit."""
ROUNDING_M = 1e-9


def violations(limits: KernelConfig, home_rad: Rows, commands: Rows) -> dict[str, dict[str, float]]:
    """By limit, ticks in which a command was beyond it, and how many times the limit the worst was (for positions and
    clearances: rad and metres beyond). A command that is no number is counted as that and nothing else.

    Args:
        limits: with geometry.
        home_rad: where the robot rests before the first command.
        commands: a row for each tick; the robot follows all that are numbers.
    """
    tick_s = limits.tick_ns * 1e-9
    numbers = np.isfinite(commands)
    low, high = np.asarray(limits.q_min), np.asarray(limits.q_max)
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
    # A gripper is held to a range and a speed: it may start and stop at once.
    joints = [kind is not AxisKind.GRIPPER for kind in limits.axis_kinds]
    for name, limit in {
        "velocity": limits.dq_max,
        "acceleration": limits.ddq_max,
        "jerk": limits.dddq_max,
    }.items():
        motion = np.diff(motion, axis=0) / tick_s
        times = np.abs(motion[len(motion) - len(commands) :]) / np.asarray(limit)
        if name != "velocity":
            times = times[:, joints]
        found[name] = {"ticks": _ticks(times > 1.0 + TOLERANCE), "worst_times": float(times.max())}
    return found | {"clearance": _too_near(limits, followed), "no_number": {"ticks": _ticks(~numbers)}}


def _too_near(limits: KernelConfig, postures_rad: Rows) -> dict[str, float]:
    """Postures in which a link is nearer to something than it may be, and by how much at worst."""
    config = limits.to_native()
    model, pose, clearance = config.geometry, ffi.new("geometry_pose *"), ffi.new("geometry_clearance *")
    world_m = np.frombuffer(ffi.buffer(clearance.world_m), np.float64)[: model.n_capsules]
    pair_m = np.frombuffer(ffi.buffer(clearance.pair_m), np.float64)[: model.n_pairs]
    base = ffi.new("double[3]")
    nearest_m = np.empty(len(postures_rad))
    for k, posture_rad in enumerate(np.ascontiguousarray(postures_rad)):
        lib.geometry_pose_at(ffi.addressof(model), base, ffi.from_buffer("double[]", posture_rad), pose)
        lib.geometry_clearance_at(ffi.addressof(model), pose, clearance)
        nearest_m[k] = min(world_m.min(), pair_m.min())
    missing_m = limits.clearance_min_m - nearest_m
    return {"ticks": int(np.count_nonzero(missing_m > ROUNDING_M)), "worst_m": float(max(0.0, missing_m.max()))}


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
