"""The part of `geometry.c` that looks at a model before the robot moves, once more, line for line, in Python."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from edge_runtime.safety.reference_geometry import Capsule, Geometry, Vector, cross, dot, larger, length, moved_by

MAX_AXES = 16
MAX_CAPSULES = 48
MAX_PAIRS = 512
MAX_PLANES = 16
MAX_KEEPOUTS = 16

_FARTHEST_POINT_M = 100.0
_FARTHEST_WORLD_M = 1e6
_UNIT_TOLERANCE = 1e-9
_NEARER_MOST_M = 1.0


class GeometryError(IntEnum):
    """`geometry_error` of `geometry.h`."""

    OK = 0
    COUNTS = 1
    PARENT = 2
    ROTATION = 3
    OFFSET = 4
    CAPSULE = 5
    PAIR = 6
    PLANE = 7
    KEEPOUT = 8
    TOOL = 9
    REACH = 10


def _in_range(x: float, low: float, high: float) -> bool:
    return low <= x <= high


def _reach_of(model: Geometry, link: int, radius_m: float) -> list[float]:
    reach_m = [0.0] * MAX_AXES
    for i in moved_by(model, link):
        reach_m[i] = radius_m
        radius_m += length(model.joints[i].offset_m)
    return reach_m


def _capsule_reach(model: Geometry, index: int) -> list[float]:
    capsule = model.capsules[index]
    return _reach_of(model, capsule.link, larger(length(capsule.a_m), length(capsule.b_m)))


def _ball_of(capsule: Capsule) -> float:
    return 0.5 * length([b - a for a, b in zip(capsule.a_m, capsule.b_m, strict=True)]) + capsule.radius_m


def _root_of(model: Geometry, pair: int) -> int:
    first, second = (model.capsules[one].link for one in model.pairs[pair])
    while True:
        if first > second:
            first = model.joints[first].parent
        elif second > first:
            second = model.joints[second].parent
        else:
            return first


def _inside(point: Vector, farthest_m: float) -> bool:
    return all(_in_range(value, -farthest_m, farthest_m) for value in point)


def _near_to(x: float, target: float) -> bool:
    return _in_range(x - target, -_UNIT_TOLERANCE, _UNIT_TOLERANCE)


def _is_link(model: Geometry, link: int) -> bool:
    return -1 <= link < model.n_joints


def _is_rotation(r: Vector) -> bool:
    third = cross(r[0:3], r[3:6])
    return (
        _near_to(dot(r[0:3], r[0:3]), 1.0)
        and _near_to(dot(r[3:6], r[3:6]), 1.0)
        and _near_to(dot(r[0:3], r[3:6]), 0.0)
        and all(_near_to(r[6 + i], third[i]) for i in range(3))
    )


def _joint_error(model: Geometry, index: int) -> GeometryError:
    joint = model.joints[index]
    if joint.parent < -1 or joint.parent >= index:
        return GeometryError.PARENT
    if not _is_rotation(joint.rotation):
        return GeometryError.ROTATION
    return GeometryError.OK if _inside(joint.offset_m, _FARTHEST_POINT_M) else GeometryError.OFFSET


def _capsule_error(model: Geometry, index: int) -> GeometryError:
    capsule = model.capsules[index]
    known = (
        _is_link(model, capsule.link)
        and _inside(capsule.a_m, _FARTHEST_POINT_M)
        and _inside(capsule.b_m, _FARTHEST_POINT_M)
        and 0.0 < capsule.radius_m <= _FARTHEST_POINT_M
    )
    return GeometryError.OK if known else GeometryError.CAPSULE


def _pair_error(model: Geometry, index: int) -> GeometryError:
    first, second = model.pairs[index]
    known = (
        first < model.n_capsules
        and second < model.n_capsules
        and model.capsules[first].link != model.capsules[second].link
        and _in_range(model.pair_nearer_m[index], 0.0, _NEARER_MOST_M)
    )
    return GeometryError.OK if known else GeometryError.PAIR


def _plane_error(model: Geometry, index: int) -> GeometryError:
    plane = model.planes[index]
    known = _near_to(dot(plane.normal, plane.normal), 1.0) and _in_range(
        plane.offset_m, -_FARTHEST_WORLD_M, _FARTHEST_WORLD_M
    )
    return GeometryError.OK if known else GeometryError.PLANE


def _keepout_error(model: Geometry, index: int) -> GeometryError:
    zone = model.keepouts[index]
    known = (
        _inside(zone.min_m, _FARTHEST_WORLD_M)
        and _inside(zone.max_m, _FARTHEST_WORLD_M)
        and all(low <= high for low, high in zip(zone.min_m, zone.max_m, strict=True))
        and _in_range(zone.radius_m, 0.0, _FARTHEST_WORLD_M)
    )
    return GeometryError.OK if known else GeometryError.KEEPOUT


def _values_error(model: Geometry) -> tuple[GeometryError, int]:
    fits = (
        model.n_joints <= MAX_AXES
        and model.n_capsules <= MAX_CAPSULES
        and model.n_pairs <= MAX_PAIRS
        and model.n_planes <= MAX_PLANES
        and model.n_keepouts <= MAX_KEEPOUTS
    )
    if not fits or model.n_capsules == 0:
        return GeometryError.COUNTS, 0
    items: tuple[tuple[Callable[[Geometry, int], GeometryError], int], ...] = (
        (_joint_error, model.n_joints),
        (_capsule_error, model.n_capsules),
        (_pair_error, model.n_pairs),
        (_plane_error, model.n_planes),
        (_keepout_error, model.n_keepouts),
    )
    for error_of, count in items:
        for index in range(count):
            error = error_of(model, index)
            if error is not GeometryError.OK:
                return error, index
    known = _is_link(model, model.tool_link) and _inside(model.tool_m, _FARTHEST_POINT_M)
    return (GeometryError.OK if known else GeometryError.TOOL), 0


def derive(model: Geometry) -> None:
    """`geometry_derive`."""
    if _values_error(model)[0] is not GeometryError.OK:
        return
    for i in range(model.n_capsules):
        model.reach_m[i] = _capsule_reach(model, i)
        model.ball_m[i] = _ball_of(model.capsules[i])
    for i in range(model.n_pairs):
        model.pair_root[i] = _root_of(model, i)
    model.tool_reach_m = _reach_of(model, model.tool_link, length(model.tool_m))


def check(model: Geometry) -> tuple[GeometryError, int]:
    """`geometry_check`: the error, and the index of the culprit."""
    if model.n_joints == 0:
        others = model.n_capsules | model.n_pairs | model.n_planes | model.n_keepouts
        return (GeometryError.OK if others == 0 else GeometryError.COUNTS), 0
    error, index = _values_error(model)
    if error is not GeometryError.OK:
        return error, index
    for i in range(model.n_capsules):
        if _capsule_reach(model, i) != model.reach_m[i] or model.ball_m[i] != _ball_of(model.capsules[i]):
            return GeometryError.REACH, i
    for i in range(model.n_pairs):
        if model.pair_root[i] != _root_of(model, i):
            return GeometryError.REACH, i
    known = _reach_of(model, model.tool_link, length(model.tool_m)) == model.tool_reach_m
    return (GeometryError.OK if known else GeometryError.REACH), 0
