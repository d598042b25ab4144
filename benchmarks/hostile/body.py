"""Judges where links are: forward kinematics, capsule distances and tool speeds in NumPy, over many ticks at once.

The robot's own numbers (frames of joints, capsules, pairs) come from its kinematics file; the arithmetic is not the
kernel's. `meshes.py` says whether those numbers are right.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from benchmarks.hostile.commands import TICK_S, Findings
from benchmarks.hostile.drive import Array, Commands
from edge_runtime.safety.kinematics import GeometryModel
from edge_runtime.safety.limits import NO_TOOL_SPEED_LIMIT_M_S, KernelConfig

_SLACK_M = 1e-8
_NEAR_M = 0.03
_STEP_S = 1e-4
_ROWS = 1000
_HALVINGS = 60

Frames = list[tuple[Array, Array]]
"""For each joint (rows, 3, 3) rotations and (rows, 3) origins, in the frame of the robot's base."""


class Body:
    """One robot's links.

    Args:
        config: of the kernel, with the body that is to be kept.
    """

    def __init__(self, config: KernelConfig) -> None:
        assert isinstance(config.geometry, GeometryModel)
        self.config, self.model = config, config.geometry
        model = self.model
        self._number = {joint.name: number for number, joint in enumerate(model.joints)}
        self._axis = {name: number for number, name in enumerate(config.axis_names)}
        capsules = {capsule.name: number for number, capsule in enumerate(model.capsules)}
        self._pairs = np.array([[capsules[one], capsules[two]] for one, two in model.pairs], int).reshape(-1, 2)
        nearer = {(one.first, one.second): one.nearer_m for one in model.nearer}
        self._allowed_m = np.array([config.clearance_min_m - nearer.get(pair, 0.0) for pair in model.pairs])
        self._radius_m = np.array([capsule.radius_m for capsule in model.capsules])
        ends = np.array([[capsule.a_m, capsule.b_m] for capsule in model.capsules])
        self._half_m = 0.5 * np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
        self._in_world = [number for number, capsule in enumerate(model.capsules) if capsule.in_world]
        self._tools = [
            (number, tool)
            for number, tool in enumerate(model.tools)
            if config.tool_speed_max_m_s[number] < NO_TOOL_SPEED_LIMIT_M_S
        ]

    def frames(self, q: Array, only: Collection[int] | None = None) -> Frames:
        """Of every joint's link, or of those numbered in `only` and what carries them."""
        rows = len(q)
        base = np.broadcast_to(np.eye(3), (rows, 3, 3)), np.zeros((rows, 3))
        frames: Frames = []
        for number, joint in enumerate(self.model.joints):
            if only is not None and number not in only:
                frames.append(base)
                continue
            rotation, origin = base if joint.parent is None else frames[self._number[joint.parent]]
            at = joint.ratio * q[:, self._axis[joint.axis_name]] + joint.at_zero
            origin = origin + rotation @ np.array(joint.offset_m)
            turned = (rotation.reshape(-1, 3) @ np.array(joint.rotation).reshape(3, 3)).reshape(rows, 3, 3)
            if joint.slides:
                origin = origin + turned[:, :, 2] * at[:, None]
            else:
                c, s = np.cos(at)[:, None], np.sin(at)[:, None]
                x, y = turned[:, :, 0], turned[:, :, 1]
                turned = np.stack((c * x + s * y, c * y - s * x, turned[:, :, 2]), axis=2)
            frames.append((turned, origin))
        return frames

    def judge(self, q: Array, v: Array, places: Array, noise: float, found: Findings) -> None:
        """Judge (rows, axes) commands.

        What capsules have left beyond what they are kept apart goes to `found`.

        Args:
            places: (rows, 3) where the base is in the world once the command is carried out.
            noise: of its odometry, m and rad.
        """
        for start in range(0, len(q), _ROWS):
            some = slice(start, start + _ROWS)
            a, b = self._segments(self.frames(q[some]))
            room_m = self._pairs_m(a, b)
            in_world_m = self._world_m(a, b, places[some])
            # The kernel knows the place as well as it was measured, at both ends of the way that it still has to go.
            unsure_m = 4.0 * noise * (1.0 + 2.0) if self.model.has_base else 0.0
            found.nearest_m = min(found.nearest_m, float(room_m.min()), float(in_world_m.min()))
            found.beyond("capsules too near", room_m < -_SLACK_M, room_m)
            found.beyond("a capsule in a plane or zone", in_world_m < -_SLACK_M - unsure_m, in_world_m)
            self._tool_speeds(q[some], v[some], places[some], found)

    def _segments(self, frames: Frames) -> tuple[Array, Array]:
        """(capsules, rows, 3) ends in the frame of the base."""
        rows = len(frames[0][1]) if frames else 1
        ends = np.empty((2, len(self.model.capsules), rows, 3))
        for number, capsule in enumerate(self.model.capsules):
            for end, point in enumerate((capsule.a_m, capsule.b_m)):
                if capsule.link is None:
                    ends[end, number] = point
                else:
                    rotation, origin = frames[self._number[capsule.link]]
                    ends[end, number] = origin + rotation @ np.array(point)
        return ends[0], ends[1]

    def _pairs_m(self, a: Array, b: Array) -> Array:
        room_m = np.full(a.shape[1], np.inf)
        middle = 0.5 * (a + b)
        for (one, two), allowed_m in zip(self._pairs, self._allowed_m, strict=True):
            radii_m = self._radius_m[one] + self._radius_m[two] + allowed_m
            between = middle[one] - middle[two]
            apart_m = np.sqrt(np.einsum("ij,ij->i", between, between)) - self._half_m[one] - self._half_m[two]
            near = np.flatnonzero(apart_m - radii_m < np.minimum(room_m, _NEAR_M))
            if near.size:
                exact_m = segments_m(a[one, near], b[one, near], a[two, near], b[two, near])
                room_m[near] = np.minimum(room_m[near], exact_m - radii_m)
        return room_m

    def _world_m(self, a: Array, b: Array, places: Array) -> Array:
        least_m = np.full(len(places), np.inf)
        if not (self.model.planes or self.model.keepouts) or not self._in_world:
            return least_m
        ends = np.broadcast_to(np.stack((a, b)), (2, len(a), len(places), 3))[:, self._in_world]
        radius_m = self._radius_m[self._in_world][:, None] + self.config.clearance_min_m
        ends = in_world(ends, places)
        for plane in self.model.planes:
            off_m = (ends @ np.array(plane.normal)).min(axis=0) - plane.offset_m - radius_m
            least_m = np.minimum(least_m, off_m.min(axis=0))
        for zone in self.model.keepouts:
            low, high = np.array(zone.min_m), np.array(zone.max_m)
            off_m = _box_m(ends[0], ends[1], low, high) - zone.radius_m - radius_m
            least_m = np.minimum(least_m, off_m.min(axis=0))
        return least_m

    def _tool_speeds(self, q: Array, v: Array, places: Array, found: Findings) -> None:
        """By the difference of where the tool is just before and just after, on the way that the axes are moving."""
        if not self._tools:
            return
        moving = np.where([kind.name == "VELOCITY" for kind in self.config.axis_kinds], 0.0, v)
        drive = self._driven(v)
        for number, tool in self._tools:
            only = self._carriers(tool.link)
            ends = []
            for step_s in (-_STEP_S, _STEP_S):
                point = np.broadcast_to(np.array(tool.point_m), (len(q), 3))
                if tool.link is not None:
                    rotation, origin = self.frames(q + step_s * moving, only)[self._number[tool.link]]
                    point = origin + rotation @ np.array(tool.point_m)
                ends.append(in_world(point, _ahead(places, drive, step_s)))
            speed = np.linalg.norm(ends[1] - ends[0], axis=1) / (2.0 * _STEP_S)
            share = speed / self.config.tool_speed_max_m_s[number]
            found.use("tool speed", share)
            found.beyond("tool speed", share > 1.0 + 1e-5, share)

    def _carriers(self, link: str | None) -> set[int]:
        numbers: set[int] = set()
        while link is not None:
            numbers.add(self._number[link])
            link = self.model.joints[self._number[link]].parent
        return numbers

    def _driven(self, v: Array) -> Array:
        """(rows, 3) velocities of the base in its own frame."""
        base = self.config.base_axes
        columns = [np.zeros(len(v)) if axis is None else v[:, axis] for axis in (base.x, base.y, base.yaw)]
        return np.stack(columns, axis=1)

    def places(self, commands: Commands) -> Array:
        """(ticks, 3) where the base is once each command is carried out, by what it was told alone."""
        rows = len(commands.told)
        # A row that grants arming is no tick.
        way = np.where(commands.arms[:, None], 0.0, self._driven(commands.told) * TICK_S)
        way[0] = 0.0
        if not self._is_driven():
            return np.zeros((rows, 3))
        yaw = commands.place[2] + np.cumsum(way[:, 2])
        middle = yaw - 0.5 * way[:, 2]
        x = commands.place[0] + np.cumsum(np.cos(middle) * way[:, 0] - np.sin(middle) * way[:, 1])
        y = commands.place[1] + np.cumsum(np.sin(middle) * way[:, 0] + np.cos(middle) * way[:, 1])
        return np.stack((x, y, yaw), axis=1)

    def _is_driven(self) -> bool:
        return bool(self.model.has_base and self.config.has_odometry)


def in_world(points: Array, places: Array) -> Array:
    """(..., rows, 3) points of the base's frame in the world."""
    c, s = np.cos(places[:, 2]), np.sin(places[:, 2])
    x, y = points[..., 0], points[..., 1]
    return np.stack((places[:, 0] + c * x - s * y, places[:, 1] + s * x + c * y, points[..., 2]), axis=-1)


def segments_m(a: Array, b: Array, c: Array, d: Array) -> Array:
    """Distances of (rows, 3) segments a-b and c-d: of an end from the other segment, or of two inner points."""
    of_ends = (_point_m(a, c, d), _point_m(b, c, d), _point_m(c, a, b), _point_m(d, a, b))
    least_m = np.minimum.reduce(of_ends)
    u, w, between = b - a, d - c, a - c
    uu, uw, ww = _dot(u, u), _dot(u, w), _dot(w, w)
    us, ws = _dot(u, between), _dot(w, between)
    area = uu * ww - uw * uw
    with np.errstate(divide="ignore", invalid="ignore"):
        s, t = (uw * ws - ww * us) / area, (uu * ws - uw * us) / area
        inner = (area > 1e-12 * uu * ww) & (s > 0.0) & (s < 1.0) & (t > 0.0) & (t < 1.0)
        apart_m = np.linalg.norm(between + s[:, None] * u - t[:, None] * w, axis=1)
    return np.asarray(np.where(inner, np.minimum(least_m, apart_m), least_m))


def _point_m(point: Array, a: Array, b: Array) -> Array:
    way = b - a
    length = np.maximum(_dot(way, way), 1e-300)
    share = np.clip(_dot(point - a, way) / length, 0.0, 1.0)
    return np.asarray(np.linalg.norm(point - a - share[:, None] * way, axis=1))


def _dot(one: Array, two: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", one, two))


def _box_m(a: Array, b: Array, low: Array, high: Array) -> Array:
    """(capsules, rows) distances of segments from a box: convex along the way, so thirds find the least."""

    def off_m(share: Array) -> Array:
        point = a + share[..., None] * (b - a)
        beyond = np.maximum(0.0, np.maximum(low - point, point - high))
        return np.asarray(np.linalg.norm(beyond, axis=-1))

    left, right = np.zeros(a.shape[:2]), np.ones(a.shape[:2])
    for _ in range(_HALVINGS):
        one, two = left + (right - left) / 3.0, right - (right - left) / 3.0
        is_left = off_m(one) < off_m(two)
        left, right = np.where(is_left, left, one), np.where(is_left, two, right)
    return off_m(0.5 * (left + right))


def _ahead(places: Array, drive: Array, step_s: float) -> Array:
    yaw = places[:, 2] + 0.5 * step_s * drive[:, 2]
    c, s = np.cos(yaw), np.sin(yaw)
    x = places[:, 0] + step_s * (c * drive[:, 0] - s * drive[:, 1])
    y = places[:, 1] + step_s * (s * drive[:, 0] + c * drive[:, 1])
    return np.stack((x, y, places[:, 2] + step_s * drive[:, 2]), axis=1)
