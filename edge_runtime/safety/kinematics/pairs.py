"""Which pairs of capsules the kernel watches for touching each other.

Guarantees that a pair is left out only for a reason that is noted: neighbours, which their joint keeps together; those
that touch at home or nearly always, which would stop the robot for nothing; those proved never to touch inside the
ranges of the joints; and, where there are more than the kernel takes, those that stayed furthest apart in a sample.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import msgspec

from edge_runtime.native import ffi, lib
from edge_runtime.safety.kinematics.model import GeometryModel, KinematicJoint

TOUCH_M = 0.01
"""Capsules nearer than this touch: what `clearance_min_m` of the safety file is, if nothing is said."""

_POSTURES = 2000
_NEARLY_ALL = 0.95
_PROOF_STEPS = 5000


def watched_pairs(body: GeometryModel, home_rad: Sequence[float], notes: list[str]) -> tuple[tuple[str, str], ...]:
    """Names of capsules, two by two. `home_rad` is a posture in which nothing touches that could be kept apart."""
    parents = {joint.name: joint.parent for joint in body.joints}
    candidates: list[tuple[str, str]] = []
    adjacent = 0
    for i, one in enumerate(body.capsules):
        for other in body.capsules[i + 1 :]:
            if one.link == other.link:
                continue
            if parents.get(one.link) == other.link or parents.get(other.link) == one.link:
                adjacent += 1
            else:
                candidates.append((one.name, other.name))
    if adjacent:
        notes.append(f"{adjacent} pairs of capsules on neighbouring links are not watched")
    generator = random.Random(0)
    ranges = [_range(joint) for joint in body.joints]
    postures = [list(home_rad), *([generator.uniform(*ends) for ends in ranges] for _ in range(_POSTURES))]
    watched: list[tuple[float, tuple[str, str]]] = []
    apart = []
    for pair in candidates:
        distance = _PairDistance(body, pair)
        at_home_m, *elsewhere_m = (distance.at(posture) for posture in postures)
        text = f"pair {' and '.join(pair)} is not watched"
        if at_home_m < TOUCH_M:
            notes.append(f"{text}: {at_home_m * 1e3:.0f} mm apart in the home posture")
        elif sum(found_m < TOUCH_M for found_m in elsewhere_m) > _NEARLY_ALL * _POSTURES:
            notes.append(f"{text}: they touch in nearly every posture")
        elif min(elsewhere_m) > TOUCH_M and distance.always_above(TOUCH_M, ranges):
            apart.append(" and ".join(pair))
        else:
            watched.append((min(elsewhere_m), pair))
    if apart:
        notes.append(f"pairs that no posture brings within {TOUCH_M * 1e3:.0f} mm are not watched: {', '.join(apart)}")
    room = lib.GEOMETRY_MAX_PAIRS
    for least_m, pair in sorted(watched)[room:]:
        watched.remove((least_m, pair))
        notes.append(
            f"pair {' and '.join(pair)} is not watched: the kernel takes {room}, and these came no nearer than "
            f"{least_m * 1e3:.0f} mm in {_POSTURES} random postures"
        )
    return tuple(pair for _, pair in watched)


def _range(joint: KinematicJoint) -> tuple[float, float]:
    low, high = joint.limits.position_min_rad, joint.limits.position_max_rad
    return -math.pi if low is None else low, math.pi if high is None else high


class _PairDistance:
    """How far two capsules are apart, as the kernel sees it."""

    def __init__(self, body: GeometryModel, pair: tuple[str, str]) -> None:
        self._model = ffi.new("geometry_model *")
        self._pose = ffi.new("geometry_pose *")
        self._clearance = ffi.new("geometry_clearance *")
        two = tuple(capsule for capsule in body.capsules if capsule.name in pair)
        msgspec.structs.replace(body, capsules=two, pairs=(pair,)).fill(self._model)

    def at(self, q_rad: Sequence[float]) -> float:
        """Metres between them."""
        lib.geometry_pose_at(self._model, q_rad, self._pose)
        lib.geometry_clearance_at(self._model, self._pose, self._clearance)
        return float(self._clearance.pair_m[0])

    def always_above(self, least_m: float, ranges: Sequence[tuple[float, float]]) -> bool:
        """Whether it is proved for every posture: around one posture the distance falls by no more than reach times
        turn; where that is not enough, the range is halved. False if that takes too many steps."""
        reach_m = list(self._model.pair_reach_m[0])
        middle = [0.5 * (low + high) for low, high in ranges]
        half = [0.5 * (high - low) for low, high in ranges]
        cells = [(middle, half)]
        for _ in range(_PROOF_STEPS):
            if not cells:
                return True
            middle, half = cells.pop()
            distance_m = self.at(middle)
            loss_m = [reach * turn for reach, turn in zip(reach_m, half, strict=False)]
            if distance_m - sum(loss_m) > least_m:
                continue
            if distance_m <= least_m:
                return False
            widest = loss_m.index(max(loss_m))
            half = [turn * (0.5 if j == widest else 1.0) for j, turn in enumerate(half)]
            step = [turn * (j == widest) for j, turn in enumerate(half)]
            cells.append(([q - d for q, d in zip(middle, step, strict=True)], half))
            cells.append(([q + d for q, d in zip(middle, step, strict=True)], half))
        return False
