"""Rated limits of a robot's axes: what the description states, and a careful rule for what it leaves out.

The rule, where no maker states a value: full speed is 1 rad/s or 0.1 m/s, it is reached in 0.5 s, and full acceleration
in 0.1 s; a torque is 10 Nm, a force 100 N. A speed above what any robot's axis has, as descriptions made for a
simulator state it, counts as not stated. Every value that comes of the rule is named, so that files can mark it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from edge_runtime.commissioning.grippers import FoundGripper
from edge_runtime.contracts.axes import (
    AnyAxis,
    BaseLinear,
    BaseYaw,
    Continuous,
    JawGripper,
    ParallelGripper,
    Prismatic,
    Revolute,
    looks_like_degrees,
    looks_like_millimetres,
)
from edge_runtime.safety.kinematics import SourceLimits
from edge_runtime.safety.kinematics.source import Kind, SourceJoint

SPEED_RAD_S, SPEED_M_S = 1.0, 0.1
FULL_SPEED_S, FULL_ACCELERATION_S = 0.5, 0.1
TORQUE_NM, FORCE_N = 10.0, 100.0
BASE_SPEED_M_S, BASE_SPEED_RAD_S = 0.3, 0.6
_SPEED_MOST_RAD_S, _SPEED_MOST_M_S = 30.0, 10.0
_EFFORT_MOST = 5000.0


@dataclass(frozen=True)
class Rated:
    """An axis, and which of its fields come of the rule and not of a maker."""

    axis: AnyAxis
    assumed: tuple[str, ...]


class _Book:
    """Values with the names of those that are assumed."""

    def __init__(self) -> None:
        self.assumed: list[str] = []

    def value(self, field: str, stated: float | None, otherwise: float) -> float:
        if stated is not None and math.isfinite(stated) and stated > 0.0:
            return stated
        self.assumed.append(field)
        return float(f"{otherwise:.6g}")


def believed(joint: SourceJoint) -> SourceJoint:
    """The joint without limits that can only be placeholders: a speed or effort that no robot's axis has."""
    slides = joint.kind is Kind.PRISMATIC
    limits = joint.limits
    speed, effort = limits.speed_max, limits.effort_max
    if speed is not None and not 0.0 < speed <= (_SPEED_MOST_M_S if slides else _SPEED_MOST_RAD_S):
        speed = None
    if effort is not None and not 0.0 < effort <= _EFFORT_MOST:
        effort = None
    kept = SourceLimits.of(
        slides=slides,
        low=limits.low,
        high=limits.high,
        speed=speed,
        acceleration=limits.acceleration_max,
        jerk=limits.jerk_max,
        effort=effort,
    )
    return replace(joint, limits=kept)


def range_of(joint: SourceJoint) -> tuple[float | None, float | None]:
    """The tightest range that the description states, in rad or m."""
    lows = [end for end in (joint.position_min, joint.limits.low) if end is not None]
    highs = [end for end in (joint.position_max, joint.limits.high) if end is not None]
    return max(lows, default=None), min(highs, default=None)


def unit_question(joint: SourceJoint) -> str | None:
    """What in the joint's range can't be rad or m, in words; None where it can."""
    low, high = range_of(joint)
    if joint.kind is Kind.PRISMATIC:
        return looks_like_millimetres(low, high, None)
    return looks_like_degrees(low, high, None)


def converted(joint: SourceJoint) -> SourceJoint:
    """The joint with limits that are written in degrees or millimetres turned into rad or m."""
    factor = 1e-3 if joint.kind is Kind.PRISMATIC else math.pi / 180.0

    def scaled(value: float | None) -> float | None:
        return None if value is None else value * factor

    limits = joint.limits
    return replace(
        joint,
        position_min=scaled(joint.position_min),
        position_max=scaled(joint.position_max),
        limits=SourceLimits.of(
            slides=joint.kind is Kind.PRISMATIC,
            low=scaled(limits.low),
            high=scaled(limits.high),
            speed=scaled(limits.speed_max),
            acceleration=scaled(limits.acceleration_max),
            jerk=scaled(limits.jerk_max),
            effort=limits.effort_max,
        ),
    )


def rated(joint: SourceJoint, home: float, confirmed: bool = False) -> Rated:
    """The axis of a joint that turns or slides.

    Args:
        joint: with limits in rad or m.
        home: its position at home.
        confirmed: a person has said that limits that look like degrees or millimetres are none.
    """
    book = _Book()
    low, high = range_of(joint)
    limits = joint.limits
    if joint.kind is Kind.PRISMATIC:
        speed = book.value("velocity_max_m_s", limits.speed_max, SPEED_M_S)
        acceleration = book.value("acceleration_max_m_s2", limits.acceleration_max, speed / FULL_SPEED_S)
        if low is None or high is None:
            book.assumed += ["position_min_m", "position_max_m"]
        axis: AnyAxis = Prismatic(
            name=joint.name,
            position_min_m=-0.5 if low is None else low,
            position_max_m=0.5 if high is None else high,
            velocity_max_m_s=speed,
            acceleration_max_m_s2=acceleration,
            jerk_max_m_s3=book.value("jerk_max_m_s3", limits.jerk_max, acceleration / FULL_ACCELERATION_S),
            force_max_n=book.value("force_max_n", limits.effort_max, FORCE_N),
            home_m=home,
            limits_in_m=confirmed,
        )
        return Rated(axis, tuple(book.assumed))
    speed = book.value("velocity_max_rad_s", limits.speed_max, SPEED_RAD_S)
    acceleration = book.value("acceleration_max_rad_s2", limits.acceleration_max, speed / FULL_SPEED_S)
    jerk = book.value("jerk_max_rad_s3", limits.jerk_max, acceleration / FULL_ACCELERATION_S)
    torque = book.value("torque_max_nm", limits.effort_max, TORQUE_NM)
    if low is None or high is None:
        axis = Continuous(
            name=joint.name,
            velocity_max_rad_s=speed,
            acceleration_max_rad_s2=acceleration,
            jerk_max_rad_s3=jerk,
            torque_max_nm=torque,
            home_rad=math.remainder(home, 2.0 * math.pi),
        )
        return Rated(axis, tuple(book.assumed))
    axis = Revolute(
        name=joint.name,
        position_min_rad=low,
        position_max_rad=high,
        velocity_max_rad_s=speed,
        acceleration_max_rad_s2=acceleration,
        jerk_max_rad_s3=jerk,
        torque_max_nm=torque,
        home_rad=home,
        limits_in_rad=confirmed,
    )
    return Rated(axis, tuple(book.assumed))


def rated_gripper(gripper: FoundGripper, joints: Mapping[str, SourceJoint]) -> Rated:
    """The axis of a gripper, from the joints that drive it."""
    book = _Book()
    first = joints[gripper.joints[0]]
    if gripper.kind == "parallel_gripper":
        travel = abs(gripper.open - gripper.closed)
        fingers = gripper.opening_m / travel if travel > 0.0 else 2.0
        stated = first.limits.speed_max
        speed = book.value("speed_max_m_s", None if stated is None else min(stated * fingers, 5.0), SPEED_M_S)
        opening_m = float(f"{gripper.opening_m:.6g}")
        axis: AnyAxis = ParallelGripper(name=gripper.name, opening_max_m=opening_m, speed_max_m_s=speed)
        return Rated(axis, tuple(book.assumed))
    speed = book.value("speed_max_rad_s", first.limits.speed_max, SPEED_RAD_S)
    torque = first.limits.effort_max
    axis = JawGripper(
        name=gripper.name,
        closed_rad=gripper.closed,
        open_rad=gripper.open,
        speed_max_rad_s=speed,
        torque_max_nm=torque if torque is not None and torque > 0.0 else None,
    )
    return Rated(axis, tuple(book.assumed))


def rated_base(kind: str, names: Mapping[str, str]) -> list[Rated]:
    """The axes of a base, all by the rule: no description states them.

    Args:
        kind: "differential" has x and yaw, any other y as well.
        names: of the axes, by x, y and yaw; those that are not named are called base_x and so on.
    """
    found = []
    for along in ("x", "y"):
        if along == "y" and kind == "differential":
            continue
        acceleration = BASE_SPEED_M_S / FULL_SPEED_S
        linear = BaseLinear(
            name=names.get(along, f"base_{along}"),
            along="x" if along == "x" else "y",
            velocity_max_m_s=BASE_SPEED_M_S,
            acceleration_max_m_s2=acceleration,
            jerk_max_m_s3=acceleration / FULL_ACCELERATION_S,
        )
        found.append(Rated(linear, ("velocity_max_m_s", "acceleration_max_m_s2", "jerk_max_m_s3")))
    acceleration = BASE_SPEED_RAD_S / FULL_SPEED_S
    yaw = BaseYaw(
        name=names.get("yaw", "base_yaw"),
        velocity_max_rad_s=BASE_SPEED_RAD_S,
        acceleration_max_rad_s2=acceleration,
        jerk_max_rad_s3=acceleration / FULL_ACCELERATION_S,
    )
    found.append(Rated(yaw, ("velocity_max_rad_s", "acceleration_max_rad_s2", "jerk_max_rad_s3")))
    return found
