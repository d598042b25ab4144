"""A posture to be at home in, found with the robot's own capsules: inside its limits, clear of itself and of what it
stands on.

What is proposed here is a proposal: the kernel itself says afterwards whether it arms there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from edge_runtime.commissioning.ratings import range_of
from edge_runtime.native import ffi, lib
from edge_runtime.safety.kinematics import GeometryModel, KinematicJoint, KinematicsFile
from edge_runtime.safety.kinematics.file import TOUCH_M
from edge_runtime.safety.kinematics.proximity import Array, segments_m
from edge_runtime.safety.kinematics.source import SourceJoint

CLEAR_M = 0.02
"""What a posture is looked for that keeps: twice of what links are kept apart by."""
_POSTURES = 400
_STRUCTURAL = 0.85
"""A pair that is nearer than `CLEAR_M` in more of all postures is built that way."""
_END_SHARE = 0.02
_OFTEN = 0.5


class Placed:
    """Where the capsules of a body are, by the kernel's own geometry."""

    def __init__(self, file: KinematicsFile) -> None:
        self.capsules = file.capsules
        links = {None: -1} | {joint.name: number for number, joint in enumerate(file.joints)}
        self._links = [links[capsule.link] for capsule in file.capsules]
        self._ends = [np.array([capsule.a_m, capsule.b_m]) for capsule in file.capsules]
        self._native, self._pose = ffi.new("geometry_model *"), ffi.new("geometry_pose *")
        self._n_links = len(file.joints)
        GeometryModel(joints=file.joints, capsules=file.capsules, pairs=(), tools=file.tool_points).fill(self._native)

    def ends_m(self, postures: Array) -> Array:
        """Ends (postures, capsules, 2, 3) of their segments in the world.

        Args:
            postures: (postures, axes that move a joint) in the order of `KinematicsFile.axis_names`.
        """
        placed = np.empty((len(postures), len(self._ends), 2, 3))
        for number, posture in enumerate(postures):
            lib.geometry_pose_at(self._native, [0.0, 0.0, 0.0], [float(value) for value in posture], self._pose)
            for k, (link, ends) in enumerate(zip(self._links, self._ends, strict=True)):
                rotation, origin_m = self.frame(link)
                placed[number, k] = ends @ rotation.T + origin_m
        return placed

    def frame(self, link: int) -> tuple[Array, Array]:
        """Rotation and origin of a link in the posture asked for last; -1 is the base."""
        if link < 0:
            return np.eye(3), np.zeros(3)
        rotation = np.array(list(self._pose.rotation[link])).reshape(3, 3)
        return rotation, np.array(list(self._pose.origin_m[link]))


def first_home(joints: Sequence[SourceJoint], described: Mapping[str, float]) -> dict[str, float]:
    """Where the description has the robot, or 0, or where a range does not hold 0 a little inside of its nearer end."""
    return {joint.name: _inside(joint, described.get(joint.name, 0.0)) for joint in joints}


def _inside(joint: SourceJoint, value: float) -> float:
    low, high = range_of(joint)
    if low is None or high is None:
        return float(math.remainder(value, 2.0 * math.pi))
    margin = _END_SHARE * (high - low)
    if low + margin <= value <= high - margin:
        return value
    return round(min(max(value, low + margin), high - margin), 4)


def better_home(
    file: KinematicsFile,
    joints: Sequence[SourceJoint],
    home: Mapping[str, float],
    surface: tuple[float, float] | None,
) -> tuple[dict[str, float], float]:
    """The posture nearest to `home` that is clear of everything, and how clear it is, in m.

    Args:
        file: the body, compiled with any home.
        joints: controlled ones, in the order of the body's.
        home: the posture to begin with.
        surface: the sign of z that is away from the surface, and the least z times that sign; None: there is none.
    """
    axes = list(file.axis_names)
    by_name = {joint.name: joint for joint in joints}
    start = np.array([home[name] for name in axes])
    postures = _candidates([by_name[name] for name in axes], start)
    clear_m = _clear_m(file, postures, surface)
    steps = np.linalg.norm((postures - start) / np.maximum(_spans([by_name[name] for name in axes]), 1e-6), axis=1)
    good = np.flatnonzero(clear_m >= CLEAR_M)
    best = int(good[steps[good].argmin()]) if len(good) else int(clear_m.argmax())
    if clear_m[0] >= clear_m[best] or clear_m[0] >= CLEAR_M:
        best = 0
    found = dict(home)
    found.update({name: round(float(value), 4) for name, value in zip(axes, postures[best], strict=True)})
    return (dict(home) if best == 0 else found), float(clear_m[best])


def _spans(joints: Sequence[SourceJoint]) -> Array:
    ends = [range_of(joint) for joint in joints]
    return np.array([2.0 * math.pi if low is None or high is None else high - low for low, high in ends])


def _candidates(joints: Sequence[SourceJoint], start: Array) -> Array:
    """`start` first, then what lies between it and the middle of all ranges, and postures further and further away."""
    middles, halves = [], []
    for joint, at in zip(joints, start, strict=True):
        low, high = range_of(joint)
        low, high = (at - 1.5, at + 1.5) if low is None or high is None else (low, high)
        middles.append(0.5 * (low + high))
        halves.append(0.5 * (high - low) * (1.0 - 2.0 * _END_SHARE))
    middle, half = np.array(middles), np.array(halves)
    random = np.random.default_rng(0)
    spread = np.linspace(0.1, 1.0, _POSTURES)[:, None]
    around = start + spread * random.uniform(-1.0, 1.0, (_POSTURES, len(start))) * half
    between = start + np.linspace(0.1, 1.0, 10)[:, None] * (middle - start)
    return np.concatenate((start[None], np.clip(np.concatenate((between, around)), middle - half, middle + half)))


def in_the_way(
    file: KinematicsFile, joints: Sequence[SourceJoint], home: Mapping[str, float]
) -> dict[tuple[str, str], float]:
    """Watched pairs that are too near to each other in more than half of all postures, and in which share of them."""
    by_name = {joint.name: joint for joint in joints}
    axes = [by_name[name] for name in file.axis_names]
    postures = _candidates(axes, np.array([home[joint.name] for joint in axes]))[-_POSTURES // 2 :]
    ends_m = Placed(file).ends_m(postures)
    numbers = {capsule.name: number for number, capsule in enumerate(file.capsules)}
    kept_m = dict.fromkeys(file.pairs, TOUCH_M) | {near.pair: near.at_least_m for near in file.near if not near.proved}
    kept_m |= dict.fromkeys(file.inseparable, 0.0)
    found = {}
    for pair, least_m in kept_m.items():
        one, other = (numbers[name] for name in pair)
        radii_m = file.capsules[one].radius_m + file.capsules[other].radius_m
        share = float((segments_m(ends_m[:, one], ends_m[:, other]) - radii_m < least_m).mean())
        if share > _OFTEN:
            found[pair] = share
    return found


def _clear_m(file: KinematicsFile, postures: Array, surface: tuple[float, float] | None) -> Array:
    """How far every posture keeps everything that can be kept apart, at most twice `CLEAR_M`."""
    clear_m = np.full(len(postures), 2.0 * CLEAR_M)
    capsules = file.capsules
    ends_m = Placed(file).ends_m(postures)
    for first, one in enumerate(capsules):
        for second in range(first + 1, len(capsules)):
            other = capsules[second]
            if one.link == other.link:
                continue
            found_m = segments_m(ends_m[:, first], ends_m[:, second]) - one.radius_m - other.radius_m
            if (found_m < CLEAR_M).mean() <= _STRUCTURAL:
                clear_m = np.minimum(clear_m, found_m)
    if surface is not None:
        up, least_m = surface
        for number, capsule in enumerate(capsules):
            heights_m = (up * ends_m[:, number, :, 2]).min(axis=1) - capsule.radius_m - least_m
            # What never changes its height is no matter of the posture.
            if capsule.in_world and np.ptp(heights_m) > 1e-6:
                clear_m = np.minimum(clear_m, heights_m)
    return clear_m


def resting(
    file: KinematicsFile, home: Mapping[str, float], surface: tuple[float, float], clearance_m: float
) -> tuple[str, ...]:
    """Capsules that are nearer to the surface than links are kept from it, and stay so in every posture.

    What carries such a capsule turns about axes that stand upright on the surface, and about no others.
    """
    up, least_m = surface
    by_name = {joint.name: joint for joint in file.joints}
    ends_m = Placed(file).ends_m(np.array([[home[name] for name in file.axis_names]]))[0]
    found = []
    for number, capsule in enumerate(file.capsules):
        height_m = float((up * ends_m[number, :, 2]).min()) - capsule.radius_m - least_m
        if capsule.in_world and height_m < clearance_m + 1e-4 and _turns_upright(by_name, capsule.link):
            found.append(capsule.name)
    return tuple(found)


def _turns_upright(joints: Mapping[str, KinematicJoint], link: str | None) -> bool:
    """Whether no joint changes the height of what this link carries."""
    chain = []
    while link is not None:
        chain.append(joints[link])
        link = joints[link].parent
    rotation = np.eye(3)
    for joint in reversed(chain):
        # The axes before it are upright, so that their turns leave this one's inclination as it is.
        rotation = rotation @ np.reshape(joint.rotation, (3, 3))
        if joint.slides or abs(abs(float(rotation[2, 2])) - 1.0) > 1e-9:
            return False
    return True
