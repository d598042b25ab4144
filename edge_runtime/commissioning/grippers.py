"""Grippers in a description: fingers that slide in pairs, jaws that turn, and fingers that go with one of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge_runtime.commissioning import names
from edge_runtime.commissioning.tree import Tree, is_endless
from edge_runtime.safety.kinematics.source import Array, Kind, SourceJoint

_FINGER_TRAVEL_MAX_M = 0.25
_SAME_TRAVEL = 0.02
_FACING = (0.4, 1.4)


@dataclass(frozen=True)
class FoundGripper:
    """Joints that hold things together: two fingers that slide, or a jaw that turns.

    Attributes:
        name: proposed for its axis.
        kind: how it is commanded.
        joints: that drive it; of a pair of fingers that the description does not couple, both.
        closed, open: of the first joint, in rad or m.
        opening_m: of a parallel gripper, what all of its fingers travel.
        carrier: the joint that carries it; None: it stands on the base.
    """

    name: str
    kind: Literal["parallel_gripper", "jaw_gripper"]
    joints: tuple[str, ...]
    closed: float
    open: float
    opening_m: float
    carrier: str | None


def grippers_of(known: Tree, joints: Sequence[SourceJoint]) -> list[FoundGripper]:
    """Leaves of the tree that slide or turn as fingers do, in pairs where they slide."""
    carrying = {known.above(joint) for joint in joints}
    leaves = [joint for joint in joints if joint not in carrying and not is_endless(joint)]
    of_body: dict[str, list[SourceJoint]] = {}
    for joint in leaves:
        of_body.setdefault(known.body(joint.parent), []).append(joint)
    found = []
    for fingers in of_body.values():
        sliding = [
            joint for joint in fingers if joint.kind is Kind.PRISMATIC and _travel(joint) <= _FINGER_TRAVEL_MAX_M
        ]
        pairs = [joint for joint in sliding if _slides_as_finger(known, joint, sliding)]
        if pairs:
            found.append(_parallel(known, pairs))
        found += [
            _jaw(known, joint) for joint in fingers if joint.kind is Kind.REVOLUTE and _turns_as_finger(known, joint)
        ]
    return found


def _travel(joint: SourceJoint) -> float:
    assert joint.position_min is not None
    assert joint.position_max is not None
    return joint.position_max - joint.position_min


def _slides_as_finger(known: Tree, joint: SourceJoint, beside: Sequence[SourceJoint]) -> bool:
    if known.followers(joint) or names.is_finger(joint.name) or names.is_finger(joint.child):
        return True
    return any(abs(_travel(other) - _travel(joint)) < _SAME_TRAVEL for other in beside if other is not joint)


def _turns_as_finger(known: Tree, joint: SourceJoint) -> bool:
    body = known.body(joint.parent)
    coupled = any(known.body(other.parent) == body for other in known.followers(joint))
    return coupled or names.is_finger(joint.name)


def _parallel(known: Tree, fingers: list[SourceJoint]) -> FoundGripper:
    first = fingers[0]
    closed = _closed_end(known, first, {joint.name: joint for joint in fingers})
    assert first.position_min is not None
    assert first.position_max is not None
    is_open = first.position_max if closed == first.position_min else first.position_min
    travels = [_travel(joint) for joint in fingers]
    travels += [
        abs(other.mimic.multiplier) * _travel(first)
        for other in known.followers(first)
        if other.mimic is not None and other.kind is Kind.PRISMATIC
    ]
    carrier = known.above(first)
    return FoundGripper(
        name="gripper",
        kind="parallel_gripper",
        joints=tuple(joint.name for joint in fingers),
        closed=closed,
        open=is_open,
        opening_m=sum(sorted(travels)[-2:]),
        carrier=None if carrier is None else carrier.name,
    )


def _jaw(known: Tree, joint: SourceJoint) -> FoundGripper:
    closed = _closed_end(known, joint, {joint.name: joint})
    assert joint.position_min is not None
    assert joint.position_max is not None
    carrier = known.above(joint)
    return FoundGripper(
        name=joint.name,
        kind="jaw_gripper",
        joints=(joint.name,),
        closed=closed,
        open=joint.position_max if closed == joint.position_min else joint.position_min,
        opening_m=0.0,
        carrier=None if carrier is None else carrier.name,
    )


def _closed_end(known: Tree, joint: SourceJoint, together: dict[str, SourceJoint]) -> float:
    """The end of the joint's range at which what it moves is nearer to what it closes on."""
    assert joint.position_min is not None
    assert joint.position_max is not None
    ends = (joint.position_min, joint.position_max)
    gaps = [_gap_m(known, joint, together, end) for end in ends]
    if None in gaps or math.isclose(gaps[0] or 0.0, gaps[1] or 0.0, abs_tol=1e-4):
        return min(ends, key=abs)
    return ends[int(np.argmin(np.array(gaps, dtype=np.float64)))]


def _gap_m(known: Tree, joint: SourceJoint, together: dict[str, SourceJoint], end: float) -> float | None:
    """Distance between the far end of the finger and that of the fingers against it, or the nearest of what stands."""
    positions = {joint.name: end}
    for other in together.values():
        if other is not joint:
            positions[other.name] = _mirrored(known, joint, other, end)
    places = known.poses(positions)
    mount = known.body(joint.parent)
    mine = _tip(known, places, joint)
    beside = [
        other for other in known.tree.joints if other is not joint and other.moves and known.body(other.parent) == mount
    ]
    tips = [tip for other in beside if (tip := _tip(known, places, other)) is not None]
    if mine is None:
        return None
    if tips:
        # Of the two links of one finger the tips go together: the one against it is the farthest.
        return max(float(np.linalg.norm(tip - mine)) for tip in tips)
    standing = [
        shape.centres_m @ places[link][:3, :3].T + places[link][:3, 3]
        for link in known.rigid(mount)
        for shape in known.tree.shapes.get(link, ())
    ]
    if not standing:
        return None
    cloud = np.concatenate(standing)
    # What it can close on is about as far from the joint as the finger is long.
    origin_m = places[joint.child][:3, 3]
    share = np.linalg.norm(cloud - origin_m, axis=1) / max(float(np.linalg.norm(mine - origin_m)), 1e-6)
    beside_it = (share > _FACING[0]) & (share < _FACING[1])
    facing = cloud[beside_it] if beside_it.any() else cloud
    nearest_m = np.sort(np.linalg.norm(facing - mine, axis=1))
    return float(nearest_m[: max(1, len(nearest_m) // 20)].mean())


def _mirrored(known: Tree, joint: SourceJoint, other: SourceJoint, end: float) -> float:
    """Where a finger is that nothing couples to `joint`, when that one is at an end: as far open."""
    assert joint.position_min is not None
    assert joint.position_max is not None
    assert other.position_min is not None
    assert other.position_max is not None
    share = (end - joint.position_min) / max(_travel(joint), 1e-9)
    faces = _axis_in_root(known, joint) @ _axis_in_root(known, other) < 0.0
    middles = (joint.position_min + joint.position_max, other.position_min + other.position_max)
    if not faces and middles[0] * middles[1] < 0.0:
        share = 1.0 - share
    return other.position_min + share * _travel(other)


def _tip(known: Tree, places: dict[str, Array], joint: SourceJoint) -> Array | None:
    """Middle of the part of a finger that is furthest from its joint; of one that slides, of all of it."""
    points = known.points(places, joint.child)
    if not len(points):
        return None
    away_m = np.linalg.norm(points - places[joint.child][:3, 3], axis=1)
    share = 0.0 if joint.kind is Kind.PRISMATIC else 0.8
    tip: Array = points[away_m >= share * away_m.max()].mean(axis=0)
    return tip


def _axis_in_root(known: Tree, joint: SourceJoint) -> Array:
    axis: Array = known.poses({})[joint.child][:3, :3] @ np.asarray(joint.axis)
    return axis
