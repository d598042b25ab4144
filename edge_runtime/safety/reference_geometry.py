"""`geometry.c` once more, line for line, in float64 Python: the oracle of the differential tests, never a fallback.

Every floating-point operation stands in the order of the C file, and both round each one alone (no contraction), so
the two agree bit for bit. Change both or neither.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Vector = Sequence[float]

_NOTHING_NEAR_M = 1e9
_FAR_IN_HALVES = 4.0


@dataclass(slots=True)
class Joint:
    """`geometry_joint`."""

    rotation: list[float]
    offset_m: list[float]
    ratio: float
    at_zero: float
    extent_m: float
    parent: int
    axis: int
    slides: int


@dataclass(slots=True)
class Tool:
    """`geometry_tool`."""

    point_m: list[float]
    link: int


@dataclass(slots=True)
class Capsule:
    """`geometry_capsule`."""

    a_m: list[float]
    b_m: list[float]
    radius_m: float
    link: int
    in_world: int


@dataclass(slots=True)
class Plane:
    """`geometry_plane`."""

    normal: list[float]
    offset_m: float


@dataclass(slots=True)
class Keepout:
    """`geometry_keepout`."""

    min_m: list[float]
    max_m: list[float]
    radius_m: float


@dataclass(slots=True)
class Geometry:
    """`geometry_model` as Python numbers, unchecked."""

    n_joints: int
    n_axes: int
    n_capsules: int
    n_pairs: int
    n_planes: int
    n_keepouts: int
    n_tools: int
    has_base: int
    joints: list[Joint]
    capsules: list[Capsule]
    pairs: list[tuple[int, int]]
    pair_nearer_m: list[float]
    planes: list[Plane]
    keepouts: list[Keepout]
    tools: list[Tool]
    reach_m: list[list[float]]
    base_reach_m: list[float]
    ball_m: list[float]
    pair_root: list[int]
    tool_reach_m: list[list[float]]
    tool_base_reach_m: list[float]

    @classmethod
    def of(cls, native: Any) -> Geometry:
        """A copy of a cffi `geometry_model`, with everything there is room for."""
        return cls(
            n_joints=native.n_joints,
            n_axes=native.n_axes,
            n_capsules=native.n_capsules,
            n_pairs=native.n_pairs,
            n_planes=native.n_planes,
            n_keepouts=native.n_keepouts,
            n_tools=native.n_tools,
            has_base=native.has_base,
            joints=[_joint_of(one) for one in native.joints],
            capsules=[
                Capsule(list(one.a_m), list(one.b_m), one.radius_m, one.link, one.in_world) for one in native.capsules
            ],
            pairs=[(one[0], one[1]) for one in native.pairs],
            pair_nearer_m=list(native.pair_nearer_m),
            planes=[Plane(list(one.normal), one.offset_m) for one in native.planes],
            keepouts=[Keepout(list(one.min_m), list(one.max_m), one.radius_m) for one in native.keepouts],
            tools=[Tool(list(one.point_m), one.link) for one in native.tools],
            reach_m=[list(row) for row in native.reach_m],
            base_reach_m=list(native.base_reach_m),
            ball_m=list(native.ball_m),
            pair_root=list(native.pair_root),
            tool_reach_m=[list(row) for row in native.tool_reach_m],
            tool_base_reach_m=list(native.tool_base_reach_m),
        )


def _joint_of(native: Any) -> Joint:
    return Joint(
        rotation=list(native.rotation),
        offset_m=list(native.offset_m),
        ratio=native.ratio,
        at_zero=native.at_zero,
        extent_m=native.extent_m,
        parent=native.parent,
        axis=native.axis,
        slides=native.slides,
    )


@dataclass(slots=True)
class Pose:
    """`geometry_pose`, as long as the model has joints."""

    base_rotation: list[float]
    base_origin_m: list[float]
    rotation: list[list[float]] = field(default_factory=list)
    origin_m: list[list[float]] = field(default_factory=list)


@dataclass(slots=True)
class Places:
    """`geometry_places`, as long as the model has capsules."""

    a_m: list[list[float]]
    b_m: list[list[float]]
    middle_m: list[list[float]]


@dataclass(slots=True)
class Clearance:
    """`geometry_clearance`, as long as the model has capsules and pairs."""

    world_m: list[float]
    pair_m: list[float]


def _smaller(a: float, b: float) -> float:
    return b if b < a else a


def larger(a: float, b: float) -> float:
    return b if b > a else a


def _clamp(x: float, low: float, high: float) -> float:
    return larger(low, _smaller(x, high))


def _divide(a: float, b: float) -> float:
    """IEEE 754, where Python raises."""
    if b != 0.0:
        return a / b
    if a == 0.0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def length(a: Vector) -> float:
    return math.sqrt(dot(a, a))


def _difference(a: Vector, b: Vector) -> list[float]:
    return [a[0] - b[0], a[1] - b[1], a[2] - b[2]]


def cross(a: Vector, b: Vector) -> list[float]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def _place(pose: Pose, link: int, p: Vector) -> list[float]:
    rotation = pose.base_rotation if link < 0 else pose.rotation[link]
    origin = pose.base_origin_m if link < 0 else pose.origin_m[link]
    return [origin[row] + dot(rotation[3 * row : 3 * row + 3], p) for row in range(3)]


def sine_cosine(x_rad: float) -> tuple[float, float]:
    """`geometry_sine_cosine`."""
    turns = float(math.floor(x_rad * 6.36619772367581382433e-01 + 0.5))
    x = (x_rad - turns * 1.57079632673412561417e00) - turns * 6.07710050650619224932e-11
    z = x * x
    s = x + x * z * (
        -1.66666666666666324348e-01
        + z * (8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04
        + z * (2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10))))
    )  # fmt: skip
    c = 1.0 - (0.5 * z - z * z * (
        4.16666666666666019037e-02
        + z * (-1.38888888888741095749e-03 + z * (2.48015872894767294178e-05
        + z * (-2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))))
    ))  # fmt: skip
    quarter = int(turns)
    up, across = (c, s) if quarter & 1 else (s, c)
    return (-up if quarter & 2 else up), (-across if (quarter + 1) & 2 else across)


def _base_at(model: Geometry, base: Vector) -> Pose:
    sine, cosine = sine_cosine(base[2]) if model.has_base else (0.0, 1.0)
    rotation = [cosine, 0.0 - sine, 0.0, sine, cosine, 0.0, 0.0, 0.0, 1.0]
    return Pose(rotation, [base[0], base[1], 0.0] if model.has_base else [0.0, 0.0, 0.0])


def pose_at(model: Geometry, base: Vector, q: Vector) -> Pose:
    """`geometry_pose_at`."""
    pose = _base_at(model, base)
    for i in range(model.n_joints):
        joint = model.joints[i]
        parent = pose.base_rotation if joint.parent < 0 else pose.rotation[joint.parent]
        position = joint.ratio * q[joint.axis] + joint.at_zero
        r = joint.rotation
        sine, cosine = sine_cosine(0.0 if joint.slides else position)
        rotation: list[float] = []
        for row in (0, 3, 6):
            p0, p1, p2 = parent[row : row + 3]
            x = p0 * r[0] + p1 * r[3] + p2 * r[6]
            y = p0 * r[1] + p1 * r[4] + p2 * r[7]
            rotation += (x * cosine + y * sine, y * cosine - x * sine, p0 * r[2] + p1 * r[5] + p2 * r[8])
        origin_m = _place(pose, joint.parent, joint.offset_m)
        if joint.slides:
            origin_m = [origin_m[row] + rotation[3 * row + 2] * position for row in range(3)]
        pose.rotation.append(rotation)
        pose.origin_m.append(origin_m)
    return pose


def _separation(w: Vector, near: float, far: float) -> float:
    distance = length(w)
    return _clamp(_divide(near - far, distance), 0.0, distance)


def segment_distance(a1: Vector, b1: Vector, a2: Vector, b2: Vector) -> float:
    """`segment_distance` of the C file."""
    along1, along2, between = _difference(b1, a1), _difference(b2, a2), _difference(a1, a2)
    d11, d12, d22 = dot(along1, along1), dot(along1, along2), dot(along2, along2)
    d1, d2 = dot(along1, between), dot(along2, between)
    on_line = _clamp(_divide(d12 * d2 - d1 * d22, d11 * d22 - d12 * d12), 0.0, 1.0)
    t = _clamp(_divide(d12 * on_line + d2, d22), 0.0, 1.0)
    s = _clamp(_divide(d12 * t - d1, d11), 0.0, 1.0)
    w = [between[i] + s * along1[i] - t * along2[i] for i in range(3)]
    return _separation(w, _smaller(dot(w, a1), dot(w, b1)), larger(dot(w, a2), dot(w, b2)))


def _outside(zone: Keepout, a: Vector, along: Vector, t: float) -> list[float]:
    w = []
    for i in range(3):
        p = a[i] + t * along[i]
        w.append(p - _clamp(p, zone.min_m[i], zone.max_m[i]))
    return w


def keepout_distance(zone: Keepout, a: Vector, b: Vector) -> float:
    """`keepout_distance` of the C file."""
    along, low, high = _difference(b, a), 0.0, 1.0
    to_middle, half = length(_outside(zone, a, along, 0.5)), 0.5 * length(along)
    if to_middle > _FAR_IN_HALVES * half:
        return to_middle - half - zone.radius_m
    for i in range(3):
        for side in (zone.min_m[i], zone.max_m[i]):
            t = _clamp(_divide(side - a[i], along[i]), low, high)
            if dot(_outside(zone, a, along, t), along) < 0.0:
                low = t
            else:
                high = t
    slope_low, slope_high = (dot(_outside(zone, a, along, end), along) for end in (low, high))
    t = _clamp(low + (high - low) * _divide(slope_low, slope_low - slope_high), low, high)
    w = _outside(zone, a, along, t)
    sides = [larger(w[i] * zone.min_m[i], w[i] * zone.max_m[i]) for i in range(3)]
    far = sides[0] + sides[1] + sides[2]
    return _separation(w, _smaller(dot(w, a), dot(w, b)), far) - zone.radius_m


def _world_distance(model: Geometry, a: Vector, b: Vector) -> float:
    nearest = _NOTHING_NEAR_M
    for plane in model.planes[: model.n_planes]:
        nearest = _smaller(nearest, _smaller(dot(plane.normal, a), dot(plane.normal, b)) - plane.offset_m)
    for zone in model.keepouts[: model.n_keepouts]:
        nearest = _smaller(nearest, keepout_distance(zone, a, b))
    return nearest


def places_at(model: Geometry, pose: Pose) -> Places:
    """`geometry_places_at`."""
    places = Places([], [], [])
    for capsule in model.capsules[: model.n_capsules]:
        a, b = _place(pose, capsule.link, capsule.a_m), _place(pose, capsule.link, capsule.b_m)
        places.a_m.append(a)
        places.b_m.append(b)
        places.middle_m.append([0.5 * (a[i] + b[i]) for i in range(3)])
    return places


def world_m(model: Geometry, places: Places, capsule: int) -> float:
    """`geometry_world_m`."""
    if not model.capsules[capsule].in_world:
        return _NOTHING_NEAR_M
    return _world_distance(model, places.a_m[capsule], places.b_m[capsule]) - model.capsules[capsule].radius_m


def pair_m(model: Geometry, places: Places, pair: int) -> float:
    """`geometry_pair_m`."""
    first, second = model.pairs[pair]
    apart_m = segment_distance(places.a_m[first], places.b_m[first], places.a_m[second], places.b_m[second])
    return apart_m - (model.capsules[first].radius_m + model.capsules[second].radius_m) + model.pair_nearer_m[pair]


def clearance_at(model: Geometry, pose: Pose) -> Clearance:
    """`geometry_clearance_at`."""
    places = places_at(model, pose)
    return Clearance(
        [world_m(model, places, i) for i in range(model.n_capsules)],
        [pair_m(model, places, i) for i in range(model.n_pairs)],
    )


def _motion(model: Geometry, pose: Pose, i: int, point: Vector) -> tuple[list[float], list[float]]:
    axis = [pose.rotation[i][3 * row + 2] for row in range(3)]
    if model.joints[i].slides:
        return [0.0, 0.0, 0.0], axis
    return axis, cross(axis, _difference(point, pose.origin_m[i]))


def moved_by(model: Geometry, link: int) -> list[int]:
    chain = []
    while link >= 0:
        chain.append(link)
        link = model.joints[link].parent
    return chain


def tool_at(model: Geometry, pose: Pose, tool: int) -> list[float]:
    """`geometry_tool_at`."""
    return _place(pose, model.tools[tool].link, model.tools[tool].point_m)


def tool_columns(model: Geometry, pose: Pose, tool: int) -> list[list[float]]:
    """`geometry_tool_columns`."""
    link = model.tools[tool].link
    point = tool_at(model, pose, tool)
    columns = [[0.0, 0.0, 0.0] for _ in range(model.n_joints)]
    for i in moved_by(model, link):
        columns[i] = _motion(model, pose, i, point)[1]
    return columns


def _volume_of(vectors: list[list[float]]) -> float:
    volume = 1.0
    for i, vector in enumerate(vectors):
        square = 0.0
        for value in vector:
            square += value * value
        volume *= math.sqrt(square)
        for other in vectors[i + 1 :]:
            share = 0.0
            for k, value in enumerate(vector):
                share += value * other[k]
            if square > 0.0:
                share /= square
            for k, value in enumerate(vector):
                other[k] -= share * value
    return volume


def manipulability(model: Geometry, pose: Pose, tool: int) -> float:
    """`geometry_manipulability`."""
    link = model.tools[tool].link
    point = _place(pose, link, model.tools[tool].point_m)
    columns: dict[int, list[float]] = {}
    for i in moved_by(model, link):
        joint = model.joints[i]
        column = columns.setdefault(joint.axis, [0.0] * 6)
        spin, velocity = _motion(model, pose, i, point)
        for k, value in enumerate((*velocity, *spin)):
            column[k] = joint.ratio * value + column[k]
    vectors = list(columns.values())
    return _volume_of(vectors if len(vectors) < 6 else [list(row) for row in zip(*vectors, strict=True)])
