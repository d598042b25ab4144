"""Which pairs of capsules the kernel watches for touching each other, and from which distance.

Guarantees that a pair is left out for one of two reasons only, and listed under it: it is proved never to come near
inside the ranges of the joints, or it sits on neighbouring links and overlaps at home, around their joint. What is
near at home keeps the distance that it has there, by proof or watched. What overlaps there so deep that no distance is
left to watch is listed too: it needs a person's word. No sample decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_runtime.safety.kinematics.file import TOUCH_M, NearPair, Pair
from edge_runtime.safety.kinematics.model import Capsule, KinematicJoint
from edge_runtime.safety.kinematics.proximity import Array, Body

HOME_MARGINS_M = (0.002, 0.003, 0.005, 0.01)
"""How much nearer than at home what is near at home may come: the least of these for which it is proved never to, and
where there is no proof the first. A robot never stands exactly where it was told to."""

_AXIS_SLACK_M = 0.02
"""How far from its joint's axis a shape may begin, for its overlap with the neighbour to be the joint's doing."""
_POSTURES = 2000
_OFTEN = 0.5
_FINE_CELLS = 20_000


@dataclass
class PairDecisions:
    """Every pair of capsules on different links, in one of these lists.

    Attributes:
        pairs: kept apart by what the safety file says, the nearest at home first.
        near: nearer than `TOUCH_M` at home, and apart by at least so many metres, which may be below zero.
        neighbours: on links that one joint joins, overlapping at home.
        apart: proved never to be as near as `TOUCH_M`.
        inseparable: overlapping at home so deep that their middle lines meet.
        often: of `pairs` and `near`, those that a random posture brings too near more often than not: for advice.
    """

    pairs: list[Pair] = field(default_factory=list)
    near: list[NearPair] = field(default_factory=list)
    neighbours: list[Pair] = field(default_factory=list)
    apart: list[Pair] = field(default_factory=list)
    inseparable: list[Pair] = field(default_factory=list)
    often: list[Pair] = field(default_factory=list)


def decide_pairs(
    joints: Sequence[KinematicJoint], capsules: Sequence[Capsule], home: Mapping[str, float]
) -> PairDecisions:
    """Sort all pairs. `home` is a posture in which nothing touches that could be kept apart, by axis."""
    body = Body(joints, capsules)
    low, high = np.reshape(body.ranges, (-1, 2)).T
    elsewhere = np.random.default_rng(0).uniform(low, high, (_POSTURES, len(low)))
    at_home = [joint.ratio * home[joint.axis_name] + joint.at_zero for joint in joints]
    postures = np.concatenate((np.reshape(at_home, (1, -1)), body.positions(elsewhere)))
    decided = PairDecisions()
    at_home_m: dict[Pair, float] = {}
    for i, one in enumerate(capsules):
        others = [k for k in range(i + 1, len(capsules)) if capsules[k].link != one.link]
        if not others:
            continue
        found_m = body.distances_m(postures, i, others)
        for k, distances_m in zip(others, found_m.T, strict=True):
            other = capsules[k]
            joined = meet_at_their_joint(joints, one, other)
            at_home_m[one.name, other.name] = float(distances_m[0])
            _decide(decided, body, (i, k), (one, other), joined, distances_m)
    # The nearest first: once it is measured, the kernel passes over most of the others.
    decided.pairs.sort(key=lambda pair: round(at_home_m[pair], 3))
    return decided


def meet_at_their_joint(joints: Sequence[KinematicJoint], one: Capsule, other: Capsule) -> bool:
    """Whether one joint joins the links of the two, and slides, or its axis runs through both or close by.

    What overlaps elsewhere at home, as the parts of a folded arm, is not kept there by the joint.
    """
    for parent, child in ((one, other), (other, one)):
        joint = next((joint for joint in joints if (joint.name, joint.parent) == (child.link, parent.link)), None)
        if joint is not None and joint.slides:
            return True
        if joint is not None:
            axis_m = np.array(joint.rotation).reshape(3, 3)[:, 2]
            return _near_axis(parent, np.array(joint.offset_m), axis_m) and _near_axis(
                child, np.zeros(3), np.array((0.0, 0.0, 1.0))
            )
    return False


def _near_axis(capsule: Capsule, origin_m: Array, axis: Array) -> bool:
    ends_m = [np.array(end) - origin_m for end in (capsule.a_m, capsule.b_m)]
    a_m, b_m = (end - (end @ axis) * axis for end in ends_m)
    along_m = b_m - a_m
    square = float(along_m @ along_m)
    share = 0.0 if square == 0.0 else float(np.clip(-(a_m @ along_m) / square, 0.0, 1.0))
    return float(np.linalg.norm(a_m + share * along_m)) <= capsule.radius_m + _AXIS_SLACK_M


def _decide(
    decided: PairDecisions,
    body: Body,
    numbers: tuple[int, int],
    capsules: tuple[Capsule, Capsule],
    joined: bool,
    distances_m: Array,
) -> None:
    pair = capsules[0].name, capsules[1].name
    home_m, elsewhere_m = float(distances_m[0]), distances_m[1:]
    least_m = TOUCH_M
    if home_m < TOUCH_M:
        if joined and home_m <= 0.0:
            decided.neighbours.append(pair)
            return
        if home_m - HOME_MARGINS_M[0] <= -(capsules[0].radius_m + capsules[1].radius_m):
            decided.inseparable.append(pair)
            return
        near = _near(body, numbers, pair, home_m, elsewhere_m)
        decided.near.append(near)
        least_m = near.at_least_m
    # A posture of the sample that is too near saves looking for a proof that there is none.
    elif elsewhere_m.min() > TOUCH_M and body.never_nearer(*numbers, TOUCH_M):
        decided.apart.append(pair)
        return
    else:
        decided.pairs.append(pair)
    if (elsewhere_m < least_m).mean() > _OFTEN:
        decided.often.append(pair)


def _near(body: Body, numbers: tuple[int, int], pair: Pair, home_m: float, elsewhere_m: Array) -> NearPair:
    least_m = [round(home_m - margin_m, 6) for margin_m in HOME_MARGINS_M]
    for one_m in least_m:
        if elsewhere_m.min() > one_m and body.never_nearer(*numbers, one_m, _FINE_CELLS):
            return NearPair(pair=pair, at_least_m=one_m, proved=True)
    return NearPair(pair=pair, at_least_m=least_m[0])
