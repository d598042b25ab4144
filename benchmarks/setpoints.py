"""What a limiter may be given: streams of joint setpoints, one row per tick, for the benchmarks of the safety layer.

All start from the arm's home, at rest. A seed decides everything. Amplitudes are in units of the robot's own limits, so
that every robot is asked for the same kind of nonsense.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace as replaced
from numpy.typing import NDArray

from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.control.limits import kernel_config
from edge_runtime.drivers import sim
from edge_runtime.safety import KernelConfig
from edge_runtime.safety.kinematics import (
    BASE,
    GeometryModel,
    KinematicsFile,
    SourceLimits,
    ToolPoint,
    watched_body,
)
from edge_runtime.safety.kinematics.model import Vector
from edge_runtime.safety.kinematics.pairs import decide_pairs

Rows = NDArray[np.float64]
SEAM_S = 0.4  # a policy's next chunk
NOT_NUMBERS = (np.nan, np.inf, -np.inf)
HUGE = (1.7e308, -1.7e308, 5e-324)


def robot() -> tuple[RobotConfig, KernelConfig, Rows]:
    """The simulated arm with its shipped limits; its home posture."""
    config = load_config(Path(sim.__file__).parent / "config" / "robot.toml")
    return config, kernel_config(config.safety, config.embodiment), np.asarray(config.embodiment.home)


def two_arms(limits: KernelConfig, home_rad: Rows) -> tuple[KernelConfig, Rows]:
    """The simulated arm twice, side by side on one base with every pair of links between them; its home posture."""
    one = limits.geometry
    assert isinstance(one, GeometryModel)
    joints, capsules = [], []
    ranges = dict(zip(limits.axis_names, zip(limits.q_min, limits.q_max, strict=True), strict=True))
    for side, y_m in (("left", 0.3), ("right", -0.3)):

        def named(name: str, side: str = side) -> str:
            return f"{side}_{name}"

        def link(name: str | None, side: str = side) -> str | None:
            return BASE if name is BASE else named(name, side)

        def moved(point_m: Vector, on_base: bool, y_m: float = y_m) -> Vector:
            return (point_m[0], point_m[1] + y_m * on_base, point_m[2])

        for joint in one.joints:
            low, high = ranges[joint.axis_name]
            joints.append(
                replaced(
                    joint,
                    name=named(joint.name),
                    parent=link(joint.parent),
                    offset_m=moved(joint.offset_m, joint.parent is BASE),
                    limits=SourceLimits(position_min_rad=low, position_max_rad=high),
                )
            )
        for capsule in one.capsules:
            a_m, b_m = (moved(end, capsule.link is BASE) for end in (capsule.a_m, capsule.b_m))
            capsules.append(replaced(capsule, name=named(capsule.name), link=link(capsule.link), a_m=a_m, b_m=b_m))
    home = np.concatenate((home_rad, home_rad))
    names = tuple(f"{side}_{name}" for side in ("left", "right") for name in limits.axis_names)
    decided = decide_pairs(joints, capsules, dict(zip(names, home.tolist(), strict=True)))
    file = KinematicsFile(
        tools=tuple(
            ToolPoint(name=side, link=f"{side}_{tool.link}", point_m=tool.point_m)
            for side in ("left", "right")
            for tool in one.tools
        ),
        joints=tuple(joints),
        capsules=tuple(capsules),
        pairs=tuple(decided.pairs),
        near=tuple(decided.near),
        neighbours=tuple(decided.neighbours),
        apart=tuple(decided.apart),
        apart_m=limits.clearance_min_m,
        uncovered=(),
    )
    body = watched_body(file, limits.clearance_min_m, axes=names).with_world(one.planes, one.keepouts)
    values: dict[str, Any] = {field.name: getattr(limits, field.name) for field in fields(limits)}
    twice: dict[str, Any] = {
        name: value * 2 for name, value in values.items() if type(value) is tuple and len(value) == limits.n_axes
    }
    speeds_m_s = limits.tool_speed_max_m_s * 2
    return replace(limits, **(twice | {"axis_names": names, "tool_speed_max_m_s": speeds_m_s, "geometry": body})), home


def without_geometry(limits: KernelConfig) -> KernelConfig:
    """The same joints, nothing known of the links."""
    return replace(limits, geometry=None, manipulability_slow_below=0.0, manipulability_stop_below=0.0)


def _ends(limits: KernelConfig) -> tuple[Rows, Rows]:
    """Middle of each joint's range and twice half of it."""
    low, high = np.asarray(limits.q_min), np.asarray(limits.q_max)
    return 0.5 * (low + high), high - low


def smooth(limits: KernelConfig, home_rad: Rows, ticks: int, seed: int) -> Rows:
    """Moves of least jerk between postures around home, at up to half of every limit: what must pass unchanged."""
    random = np.random.default_rng(seed)
    low, high = np.asarray(limits.q_min), np.asarray(limits.q_max)
    # Peaks of the unit move of least jerk: 15/8, 10/sqrt(3) and 60.
    peaks = ((limits.dq_max, 1.875, 1), (limits.ddq_max, 5.7736, 2), (limits.dddq_max, 60.0, 3))
    rows, count, here = [home_rad[None]], 1, home_rad
    while count < ticks:
        there = np.clip(home_rad + random.uniform(-0.4, 0.4, home_rad.size), low + 0.05, high - 0.05)
        way = np.abs(there - here)
        needed_s = max(
            float(np.max((way * peak / (0.5 * np.asarray(limit))) ** (1 / power))) for limit, peak, power in peaks
        )
        steps = int(np.ceil(needed_s / (limits.tick_ns * 1e-9))) + 1
        x = (np.arange(1, steps + 1) / steps)[:, None]
        rows.append(here + (there - here) * x**3 * (10.0 - x * (15.0 - 6.0 * x)))
        count, here = count + steps, there
    return np.concatenate(rows)[:ticks]


def policy(limits: KernelConfig, home_rad: Rows, ticks: int, seed: int) -> Rows:
    """The smooth moves in chunks that disagree by some milliradians where they meet."""
    random = np.random.default_rng(seed + 1)
    per_chunk = round(SEAM_S / (limits.tick_ns * 1e-9))
    offsets = random.normal(0.0, 0.005, (ticks // per_chunk + 1, home_rad.size))
    offsets[0] = 0.0
    return smooth(limits, home_rad, ticks, seed) + offsets[np.arange(ticks) // per_chunk]


def noise(limits: KernelConfig, home_rad: Rows, ticks: int, seed: int) -> Rows:
    """White, over twice the range of every joint."""
    middle, twice = _ends(limits)
    return middle + np.random.default_rng(seed).uniform(-1.0, 1.0, (ticks, home_rad.size)) * twice


def bang_bang(limits: KernelConfig, home_rad: Rows, ticks: int, seed: int) -> Rows:
    """Between the ends of twice the range, each joint with a period of its own, 10 ms to 2 s."""
    middle, twice = _ends(limits)
    period_s = 10.0 ** np.random.default_rng(seed).uniform(-2.0, 0.3, home_rad.size)
    turns = np.arange(1, ticks + 1)[:, None] * (limits.tick_ns * 1e-9) / period_s
    return middle + np.where(turns % 1.0 < 0.5, 1.0, -1.0) * twice


def ramps(limits: KernelConfig, home_rad: Rows, ticks: int, seed: int) -> Rows:
    """Up and down at twice the speed limit, to twice the range."""
    middle, twice = _ends(limits)
    phase = np.random.default_rng(seed).uniform(0.0, 1.0, home_rad.size)
    way_rad = 2.0 * np.asarray(limits.dq_max) * np.arange(1, ticks + 1)[:, None] * (limits.tick_ns * 1e-9)
    return middle + (np.abs((way_rad / (2.0 * twice) + phase) % 2.0 - 1.0) * 2.0 - 1.0) * twice


def jumps(limits: KernelConfig, home_rad: Rows, ticks: int, seed: int) -> Rows:
    """A policy whose every chunk starts somewhere else in the joints' ranges."""
    random = np.random.default_rng(seed + 2)
    middle, twice = _ends(limits)
    per_chunk = round(SEAM_S / (limits.tick_ns * 1e-9))
    places = middle + random.uniform(-0.5, 0.5, (ticks // per_chunk + 1, home_rad.size)) * twice
    return smooth(limits, home_rad, ticks, seed) - home_rad + places[np.arange(ticks) // per_chunk]


def broken(limits: KernelConfig, home_rad: Rows, ticks: int, seed: int) -> Rows:
    """A policy of which every fiftieth tick has a value that is NaN, infinite, huge or denormal."""
    random = np.random.default_rng(seed + 3)
    rows = policy(limits, home_rad, ticks, seed)
    struck = np.flatnonzero(random.uniform(size=ticks) < 0.02)
    joints = random.integers(0, home_rad.size, struck.size)
    rows[struck, joints] = random.choice(np.array((*NOT_NUMBERS, *HUGE)), struck.size)
    return rows


Stream = Callable[[KernelConfig, Rows, int, int], Rows]
ADVERSARIAL: dict[str, Stream] = {
    "white noise": noise,
    "bang-bang": bang_bang,
    "ramps": ramps,
    "chunk jumps": jumps,
    "NaN and infinities": broken,
}
