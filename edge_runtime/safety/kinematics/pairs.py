"""Which pairs of capsules the kernel watches for touching each other, and from which distance.

Guarantees that a pair is left out for one of two reasons only, and listed under it: it is proved never to come near
inside the ranges of the joints, or it sits on neighbouring links and overlaps at home, around their joint. What is near
at home is watched from the distance that it has there. What overlaps there so deep that no distance is left to
watch is listed too: it needs a person's word. No sample decides anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_runtime.safety.kinematics.file import TOUCH_M, Pair
from edge_runtime.safety.kinematics.model import Capsule, KinematicJoint
from edge_runtime.safety.kinematics.proximity import Array, Body

HOME_MARGIN_M = 0.002
"""How much nearer than at home what is near at home may come: a robot never stands exactly where it was told to."""

_POSTURES = 2000
_OFTEN = 0.5


@dataclass
class PairDecisions:
    """Every pair of capsules on different links, in one of these lists.

    Attributes:
        pairs: kept apart by what the safety file says.
        near: kept apart by at least so many metres, which may be below zero: nearer than `TOUCH_M` at home.
        neighbours: on links that one joint joins, overlapping at home.
        apart: proved never to be as near as `TOUCH_M`.
        inseparable: overlapping at home so deep that their middle lines meet.
        often: of `pairs` and `near`, those that a random posture brings too near more often than not: for advice.
    """

    pairs: list[Pair] = field(default_factory=list)
    near: dict[Pair, float] = field(default_factory=dict)
    neighbours: list[Pair] = field(default_factory=list)
    apart: list[Pair] = field(default_factory=list)
    inseparable: list[Pair] = field(default_factory=list)
    often: list[Pair] = field(default_factory=list)


def decide_pairs(
    joints: Sequence[KinematicJoint], capsules: Sequence[Capsule], home_rad: Sequence[float]
) -> PairDecisions:
    """Sort all pairs. `home_rad` is a posture in which nothing touches that could be kept apart."""
    body = Body(joints, capsules)
    parents = {joint.name: joint.parent for joint in joints}
    low, high = np.array(body.ranges).T
    elsewhere = np.random.default_rng(0).uniform(low, high, (_POSTURES, len(joints)))
    postures = np.concatenate((np.reshape(home_rad, (1, -1)), elsewhere))
    decided = PairDecisions()
    for i, one in enumerate(capsules):
        others = [k for k in range(i + 1, len(capsules)) if capsules[k].link != one.link]
        if not others:
            continue
        found_m = body.distances_m(postures, i, others)
        for k, distances_m in zip(others, found_m.T, strict=True):
            other = capsules[k]
            joined = parents.get(one.link) == other.link or parents.get(other.link) == one.link
            _decide(decided, body, (i, k), (one, other), joined, distances_m)
    return decided


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
        least_m = round(home_m - HOME_MARGIN_M, 6)
        if joined and home_m <= 0.0:
            decided.neighbours.append(pair)
            return
        if least_m <= -(capsules[0].radius_m + capsules[1].radius_m):
            decided.inseparable.append(pair)
            return
        decided.near[pair] = least_m
    # A posture of the sample that is too near saves looking for a proof that there is none.
    elif elsewhere_m.min() > TOUCH_M and body.never_nearer(*numbers, TOUCH_M):
        decided.apart.append(pair)
        return
    else:
        decided.pairs.append(pair)
    if (elsewhere_m < least_m).mean() > _OFTEN:
        decided.often.append(pair)
