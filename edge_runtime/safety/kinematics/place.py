"""Where links stand: which joint carries each, and what may move it there that is not controlled.

Guarantees that nothing is held still without a note that says so. Joints that are not controlled are covered over their
whole range where a controlled one carries them, as a gripper's, and wheels are. What carries a controlled joint is held
at 0, and so is what has more joints than a finger, such as an arm that somebody else moves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics.limits import SourceLimits
from edge_runtime.safety.kinematics.mimic import Drive
from edge_runtime.safety.kinematics.model import BASE, HeldJoint, KinematicJoint, Vector
from edge_runtime.safety.kinematics.source import Array, Kind, SourceJoint, SourceTree, links_below, pose
from edge_runtime.safety.kinematics.sweep import Slide, Sweep, Turn

_FINGER_JOINTS = 5
"""So many joints a finger has at most, one after the other."""

Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Place:
    """Where a link is: pose in the frame of the joint that carries it, and how it may move there."""

    carrier: str | None
    X_CL: Array
    sweeps: tuple[Sweep, ...] = ()


def place_links(
    tree: SourceTree, names: Sequence[str], drives: Mapping[str, Drive], covered: Mapping[str, Range]
) -> tuple[tuple[KinematicJoint, ...], dict[str, Place], list[HeldJoint]]:
    """The joints that move, in the order of their axes where each comes after its parent; a place for each link; and
    the joints that are held.

    Args:
        tree: as read.
        names: the controlled joints, which are axes, in order.
        drives: what moves each joint that moves.
        covered: ranges of grippers by the name of their joint, as the robot's own files state them.

    Raises:
        ConfigError: names a joint that is not possible.
    """
    places = {tree.root: Place(BASE, np.eye(4))}
    joints: dict[str, KinematicJoint] = {}
    held: list[HeldJoint] = []
    carrying = _carrying(tree, drives)
    left: set[str] = set()
    by_name = {joint.name: joint for joint in tree.joints}
    for joint in tree.joints:
        at = places[joint.parent]
        X_CJ = at.X_CL @ joint.X_PC
        if joint.name in drives:
            aligned = _z_to(joint.axis)
            joints[joint.name] = _driven(joint, at, X_CJ @ pose(aligned, (0.0, 0.0, 0.0)), drives[joint.name], by_name)
            places[joint.child] = Place(joint.name, pose(aligned.T, (0.0, 0.0, 0.0)))
        elif joint.kind is Kind.FIXED:
            places[joint.child] = Place(at.carrier, X_CJ, at.sweeps)
        elif joint.child in carrying or joint.child in left or not _is_coverable(tree, joint, at):
            held.append(HeldJoint(name=joint.name, covered=False, unit=_unit(joint)))
            places[joint.child] = Place(at.carrier, X_CJ, at.sweeps)
            if joint.child not in carrying:
                left.update(links_below(tree.joints, joint.child))
        elif joint.kind is Kind.PRISMATIC:
            places[joint.child] = _slid(joint, at, X_CJ, held, covered.get(joint.name))
        else:
            places[joint.child] = _turned(joint, at, X_CJ, held, covered.get(joint.name))
    return _in_order(joints, names), places, held


def _carrying(tree: SourceTree, drives: Mapping[str, Drive]) -> set[str]:
    """Links that carry a joint that moves, however far out."""
    links: set[str] = set()
    for joint in reversed(tree.joints):
        if joint.name in drives or joint.child in links:
            links.add(joint.parent)
    return links


def _is_coverable(tree: SourceTree, joint: SourceJoint, at: Place) -> bool:
    """Whether all that it may move can be inside a capsule that is of use."""
    if at.sweeps:
        return True  # decided where the chain began
    below = links_below(tree.joints, joint.child)
    moving = [joint, *(other for other in tree.joints if other.parent in below and other.moves)]
    if at.carrier is BASE and joint.kind is Kind.REVOLUTE:
        return not any(other.has_end for other in moving)  # wheels and casters
    return _depth(tree, joint) <= _FINGER_JOINTS


def _depth(tree: SourceTree, first: SourceJoint) -> int:
    """How many joints that move come one after the other at most, from this one on."""
    depths = {first.child: 1}
    for joint in tree.joints:
        if joint.parent in depths:
            depths[joint.child] = depths[joint.parent] + joint.moves
    return max(depths.values())


def _driven(
    joint: SourceJoint, at: Place, X_CJ: Array, drive: Drive, by_name: Mapping[str, SourceJoint]
) -> KinematicJoint:
    is_axis = drive.axis == joint.name
    limits = joint.limits if is_axis else SourceLimits()
    extent_m = None
    if joint.kind is Kind.PRISMATIC and not is_axis:
        extent_m = _tidy((_extent(drive, by_name[drive.axis]),), 9)[0]
    return KinematicJoint(
        name=joint.name,
        parent=at.carrier,
        kind="prismatic" if joint.kind is Kind.PRISMATIC else "revolute",
        axis=None if is_axis else drive.axis,
        ratio=drive.ratio,
        at_zero=drive.at_zero,
        extent_m=extent_m,
        rotation=_tidy(X_CJ[:3, :3].ravel(), 15),  # type: ignore[arg-type]
        offset_m=_tidy(X_CJ[:3, 3], 15),
        limits=limits,
    )


def _extent(drive: Drive, axis: SourceJoint) -> float:
    ends = axis.limits.low, axis.limits.high
    if ends[0] is None or ends[1] is None:
        problem = "turns or slides without end, and another joint slides with it: give it a range"
        raise ConfigError(f"joint {axis.name}", problem)
    return max(abs(drive.ratio * end + drive.at_zero) for end in (ends[0], ends[1]))


def _in_order(joints: Mapping[str, KinematicJoint], names: Sequence[str]) -> tuple[KinematicJoint, ...]:
    """By their axes, as far as each comes after the one that carries it."""
    waiting = sorted(joints.values(), key=lambda joint: names.index(joint.axis_name))
    done: dict[str | None, KinematicJoint] = {}
    while waiting:
        free = next(joint for joint in waiting if joint.parent is BASE or joint.parent in done)
        waiting.remove(free)
        done[free.name] = free
    return tuple(done.values())


def _unit(joint: SourceJoint) -> Literal["rad", "m"]:
    return "m" if joint.kind is Kind.PRISMATIC else "rad"


def _slid(joint: SourceJoint, at: Place, X_CJ: Array, held: list[HeldJoint], stated: Range | None) -> Place:
    low, high = _range(joint.position_min, joint.position_max, stated)
    if low is None or high is None:
        raise ConfigError(f"joint {joint.name}", "slides without end and is not controlled: give it a range")
    held.append(HeldJoint(name=joint.name, covered=True, low=low, high=high, unit="m"))
    direction = X_CJ[:3, :3] @ joint.axis
    X_low = pose(X_CJ[:3, :3], X_CJ[:3, 3] + low * direction)
    return Place(at.carrier, X_low, (*at.sweeps, Slide((high - low) * direction)))


def _turned(joint: SourceJoint, at: Place, X_CJ: Array, held: list[HeldJoint], stated: Range | None) -> Place:
    low, high = _range(joint.position_min, joint.position_max, stated)
    if low is None or high is None or high - low > 2.0 * math.pi:
        low, high = -math.pi, math.pi
    held.append(HeldJoint(name=joint.name, covered=True, low=low, high=high))
    turn = Turn(X_CJ[:3, 3], X_CJ[:3, :3] @ joint.axis, low, high)
    return Place(at.carrier, X_CJ, (*at.sweeps, turn))


def _range(low: float | None, high: float | None, stated: Range | None) -> tuple[float | None, float | None]:
    """All of the description's range and of what the robot's own files state."""
    if stated is None or low is None or high is None:
        return low, high
    return min(low, stated[0]), max(high, stated[1])


def _z_to(axis: tuple[float, float, float]) -> Array:
    """A turn that brings +z to the axis: the shortest one, for an axis below the horizon after half a turn about x."""
    x, y, z = axis
    if z < 0.0:
        return np.diag((1.0, -1.0, -1.0)) @ _z_to((x, -y, -z))
    k = 1.0 / (1.0 + z)
    return np.array([[1.0 - k * x * x, -k * x * y, x], [-k * x * y, 1.0 - k * y * y, y], [-x, -y, z]])


def _tidy(values: Sequence[float] | Array, digits: int) -> Vector:
    """Without the noise of the last bits, and without -0."""
    return tuple(round(float(value), digits) + 0.0 for value in values)  # type: ignore[return-value]
