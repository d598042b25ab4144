"""How near capsules come to each other, for many postures at once, in NumPy.

Guarantees: a distance is exact or too small, never too large, up to rounding; `never_nearer` says yes only with a proof
that covers every posture of the ranges. Refuses to know which pairs anybody cares about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_runtime.safety.kinematics.limits import SourceLimits
from edge_runtime.safety.kinematics.model import BASE, Capsule, KinematicJoint

Array = NDArray[np.float64]
Range = tuple[float, float]

_CELLS = 6000
_BATCH = 512
_ROUNDING_M = 1e-9


def axis_range(limits: SourceLimits) -> Range:
    """Angles that stand for all that a joint can have which turns: its range, or a whole turn from an end it has."""
    low, high = limits.position_min_rad, limits.position_max_rad
    if low is not None and high is not None and high - low < 2.0 * math.pi:
        return low, high
    if low is None:
        low = -math.pi if high is None else high - 2.0 * math.pi
    return low, low + 2.0 * math.pi


def _whole_way(joint: KinematicJoint) -> Range:
    if joint.slides:
        extent_m = joint.extent_m or 0.0
        return -extent_m, extent_m
    return -math.pi, math.pi


class Body:
    """The joints and capsules of one robot.

    Its postures are given by free variables, on which the joints' positions depend: the axes, and where an axis turns
    without end while joints go with it that are not at the same place again after its whole turn, those joints.

    Attributes:
        ranges: of each variable, in rad or m: its postures inside are all that there are.
    """

    def __init__(self, joints: Sequence[KinematicJoint], capsules: Sequence[Capsule]) -> None:
        numbers: dict[str | None, int] = {BASE: -1} | {joint.name: number for number, joint in enumerate(joints)}
        self.ranges: list[Range] = []
        self._variables = [0] * len(joints)
        self._ratios, self._at_zero = np.ones(len(joints)), np.zeros(len(joints))
        by_axis: dict[str, list[int]] = {}
        for number, joint in enumerate(joints):
            by_axis.setdefault(joint.axis_name, []).append(number)
        for axis, moved in by_axis.items():
            limits = next((joints[i].limits for i in moved if joints[i].name == axis), SourceLimits())
            self._vary([(i, joints[i]) for i in moved], limits)
        self._slides = [joint.slides for joint in joints]
        self._parents = [numbers[joint.parent] for joint in joints]
        self._rotations = [np.reshape(joint.rotation, (3, 3)) for joint in joints]
        self._offsets = [np.asarray(joint.offset_m) for joint in joints]
        self._links = [numbers[capsule.link] for capsule in capsules]
        self._ends = [np.array([capsule.a_m, capsule.b_m]) for capsule in capsules]
        self._radii = [capsule.radius_m for capsule in capsules]

    def _vary(self, joints: Sequence[tuple[int, KinematicJoint]], limits: SourceLimits) -> None:
        """Add the variables of one axis, which has these limits and moves these joints."""
        low, high = limits.low, limits.high
        comes_round = all(not joint.slides and joint.ratio == round(joint.ratio) for _, joint in joints)
        if low is not None and high is not None and not (comes_round and high - low > 2.0 * math.pi):
            bounds = [(low, high)]
        elif comes_round:
            bounds = [axis_range(limits)]
        else:
            bounds = [_whole_way(joint) for _, joint in joints]
        for place, (number, joint) in enumerate(joints):
            self._variables[number] = len(self.ranges) + min(place, len(bounds) - 1)
            if len(bounds) == 1:
                self._ratios[number], self._at_zero[number] = joint.ratio, joint.at_zero
        self.ranges += bounds

    def positions(self, postures: Array) -> Array:
        """Positions (postures, joints) in rad or m, of the variables (postures, variables)."""
        found: Array = postures[:, self._variables] * self._ratios + self._at_zero
        return found

    def distances_m(self, q: Array, first: int, others: Sequence[int]) -> Array:
        """Distances (postures, others) of a capsule from others, below zero by as much as they overlap.

        Args:
            q: (postures, joints) positions.
            first, others: numbers of capsules.
        """
        poses = self._poses(q, range(len(self._parents)), -1)
        one = self._placed(poses, first, -1)
        return np.stack(
            [segments_m(one, self._placed(poses, k, -1)) - self._radii[first] - self._radii[k] for k in others], axis=1
        )

    def never_nearer(self, first: int, second: int, least_m: float, most_cells: int = _CELLS) -> bool:
        """Whether no posture of the ranges brings two capsules as near as that: shown posture by posture, each with the
        cell of postures around it in which motions are too small to use its distance up. A cell for which that is not
        enough is cut in two. False as well if that takes too many cells."""
        chains = self._chains(first, second)
        joints = sorted({*chains[0], *chains[1]})
        variables = sorted({self._variables[j] for j in joints})
        root = self._root(first, second)
        ends = np.array([self.ranges[v] for v in variables]).reshape(-1, 2)
        middles, halves = [0.5 * (ends[:, 0] + ends[:, 1])], [0.5 * (ends[:, 1] - ends[:, 0])]
        spent = 0
        while middles:
            take = min(_BATCH, len(middles))
            middle, half = np.array(middles[-take:]), np.array(halves[-take:])
            del middles[-take:], halves[-take:]
            spent += take
            postures = np.zeros((take, len(self.ranges)))
            postures[:, variables] = middle
            poses = self._poses(self.positions(postures), joints, root)
            segments = [self._placed(poses, capsule, root) for capsule in (first, second)]
            distance_m = segments_m(*segments) - self._radii[first] - self._radii[second]
            if (distance_m <= least_m + _ROUNDING_M).any():
                return False
            losses_m = np.zeros((take, len(variables)))
            for chain, segment in zip(chains, segments, strict=True):
                self._lose(poses, chain, variables, segment, half, losses_m)
            open_cells = distance_m - losses_m.sum(axis=1) <= least_m + _ROUNDING_M
            if spent + int(open_cells.sum()) > most_cells:
                return False
            for cell in np.flatnonzero(open_cells):
                widest = int(losses_m[cell].argmax())
                cut = half[cell].copy()
                cut[widest] *= 0.5
                for side in (-1.0, 1.0):
                    place = middle[cell].copy()
                    place[widest] += side * cut[widest]
                    middles.append(place)
                    halves.append(cut)
        return True

    def _lose(
        self,
        poses: dict[int, tuple[Array, Array]],
        chain: list[int],
        variables: list[int],
        segment: Array,
        half: Array,
        losses_m: Array,
    ) -> None:
        """Add how far the motions of a cell can move a segment, variable by variable. A point is at most as far from a
        joint's axis as it is in the cell's middle, and as the joints beyond can move it."""
        beyond_m = np.zeros(len(half))
        for joint in chain:
            column = variables.index(self._variables[joint])
            way = abs(self._ratios[joint]) * half[:, column]
            if self._slides[joint]:
                moved_m = way
            else:
                rotation, origin_m = poses[joint]
                arms = segment - origin_m[:, None, :]
                across = np.cross(arms, rotation[:, None, :, 2])
                moved_m = (np.linalg.norm(across, axis=2).max(axis=1) + beyond_m) * way
            losses_m[:, column] += moved_m
            beyond_m = beyond_m + moved_m

    def _way(self, capsule: int) -> list[int]:
        """Joints that move a capsule, the last one first."""
        way, link = [], self._links[capsule]
        while link >= 0:
            way.append(link)
            link = self._parents[link]
        return way

    def _root(self, first: int, second: int) -> int:
        shared = set(self._way(first)) & set(self._way(second))
        return max(shared, default=-1)

    def _chains(self, first: int, second: int) -> tuple[list[int], list[int]]:
        """Joints that move one as seen from the other, each from its end of the way."""
        one, other = self._way(first), self._way(second)
        return [j for j in one if j not in other], [j for j in other if j not in one]

    def _poses(self, q: Array, joints: Sequence[int], root: int) -> dict[int, tuple[Array, Array]]:
        """Rotation (postures, 3, 3) and origin (postures, 3) of the joints' links as seen from link `root`."""
        count = len(q)
        poses = {root: (np.broadcast_to(np.eye(3), (count, 3, 3)), np.zeros((count, 3)))}
        for joint in joints:
            rotation, origin_m = poses[self._parents[joint]]
            fixed = rotation @ self._rotations[joint]
            at_m = origin_m + rotation @ self._offsets[joint]
            if self._slides[joint]:
                poses[joint] = fixed, at_m + fixed[:, :, 2] * q[:, joint, None]
                continue
            c, s = np.cos(q[:, joint])[:, None], np.sin(q[:, joint])[:, None]
            x, y = fixed[:, :, 0], fixed[:, :, 1]
            turned = np.stack((x * c + y * s, y * c - x * s, fixed[:, :, 2]), axis=2)
            poses[joint] = turned, at_m
        return poses

    def _placed(self, poses: dict[int, tuple[Array, Array]], capsule: int, root: int) -> Array:
        """Ends (postures, 2, 3) of a capsule's segment."""
        link = self._links[capsule]
        rotation, origin_m = poses[link if link >= 0 else root]
        placed: Array = np.einsum("nij,ej->nei", rotation, self._ends[capsule]) + origin_m[:, None, :]
        return placed


def segments_m(one: Array, other: Array) -> Array:
    """Distances (n,) of segments (n, 2, 3): of the two planes across the line between two places on them that hold one
    segment each. With their closest places that is the distance; with any others it is less."""
    a1, b1, a2, b2 = one[:, 0], one[:, 1], other[:, 0], other[:, 1]
    along1, along2, between = b1 - a1, b2 - a2, a1 - a2
    d11, d12, d22 = _dot(along1, along1), _dot(along1, along2), _dot(along2, along2)
    d1, d2 = _dot(along1, between), _dot(along2, between)
    on_line = _part(d12 * d2 - d1 * d22, d11 * d22 - d12 * d12)
    t = _part(d12 * on_line + d2, d22)
    s = _part(d12 * t - d1, d11)
    w = between + s[:, None] * along1 - t[:, None] * along2
    length = np.linalg.norm(w, axis=1)
    near = np.minimum(_dot(w, a1), _dot(w, b1)) - np.maximum(_dot(w, a2), _dot(w, b2))
    found: Array = np.clip(np.divide(near, length, out=np.zeros_like(near), where=length > 0.0), 0.0, length)
    return found


def _dot(a: Array, b: Array) -> Array:
    product: Array = (a * b).sum(axis=1)
    return product


def _part(dividend: Array, divisor: Array) -> Array:
    """The quotient inside 0..1; 0 where nothing divides."""
    return np.clip(np.divide(dividend, divisor, out=np.zeros_like(dividend), where=divisor > 0.0), 0.0, 1.0)
