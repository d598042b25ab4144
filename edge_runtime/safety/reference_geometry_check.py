"""The part of `geometry.c` that looks at a model before the robot moves, once more, line for line, in Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from edge_runtime.safety.reference_geometry import Capsule, Geometry, Vector, cross, dot, larger, length, moved_by

MAX_AXES = 32
MAX_LINKS = 48
MAX_CAPSULES = 64
MAX_PAIRS = 1024
MAX_TOOLS = 4
MAX_PLANES = 16
MAX_KEEPOUTS = 16

_FARTHEST_POINT_M = 100.0
_FARTHEST_WORLD_M = 1e6
_UNIT_TOLERANCE = 1e-9
_NEARER_MOST_M = 1.0
_FARTHEST_TURN_RAD = 1.5e6
_LARGEST_RATIO = 1e3


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
    AXIS = 11
    RANGE = 12


def _in_range(x: float, low: float, high: float) -> bool:
    return low <= x <= high


def _level(x: float, y: float) -> float:
    return math.sqrt(x * x + y * y)


class _Reach(NamedTuple):
    joints_m: list[float]
    base_m: float


def _reach_of(model: Geometry, link: int, radius_m: float, level_m: float) -> _Reach:
    joints_m = [0.0] * MAX_LINKS
    base_m = level_m
    for i in moved_by(model, link):
        joint = model.joints[i]
        extent_m = joint.extent_m if joint.slides else 0.0
        joints_m[i] = 1.0 if joint.slides else radius_m
        aside_m = extent_m * _level(joint.rotation[2], joint.rotation[5])
        base_m = radius_m + _level(joint.offset_m[0], joint.offset_m[1]) + aside_m
        radius_m += length(joint.offset_m) + extent_m
    return _Reach(joints_m, base_m)


def _capsule_reach(model: Geometry, index: int) -> _Reach:
    capsule = model.capsules[index]
    radius_m = larger(length(capsule.a_m), length(capsule.b_m))
    level_m = larger(_level(capsule.a_m[0], capsule.a_m[1]), _level(capsule.b_m[0], capsule.b_m[1]))
    return _reach_of(model, capsule.link, radius_m, level_m)


def _tool_reach(model: Geometry, index: int) -> _Reach:
    tool = model.tools[index]
    return _reach_of(model, tool.link, length(tool.point_m), _level(tool.point_m[0], tool.point_m[1]))


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
    if not _inside(joint.offset_m, _FARTHEST_POINT_M):
        return GeometryError.OFFSET
    known = (
        0 <= joint.axis < model.n_axes
        and _in_range(joint.ratio, -_LARGEST_RATIO, _LARGEST_RATIO)
        and _in_range(joint.at_zero, -_LARGEST_RATIO, _LARGEST_RATIO)
        and _in_range(joint.extent_m, 0.0, _FARTHEST_POINT_M)
    )
    return GeometryError.OK if known else GeometryError.AXIS


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


def _tool_error(model: Geometry, index: int) -> GeometryError:
    tool = model.tools[index]
    known = _is_link(model, tool.link) and _inside(tool.point_m, _FARTHEST_POINT_M)
    return GeometryError.OK if known else GeometryError.TOOL


_Items = tuple[tuple[Callable[[Geometry, int], GeometryError], int], ...]


def _first_error(model: Geometry, items: _Items) -> tuple[GeometryError, int]:
    for error_of, count in items:
        for index in range(count):
            error = error_of(model, index)
            if error is not GeometryError.OK:
                return error, index
    return GeometryError.OK, 0


def _values_error(model: Geometry) -> tuple[GeometryError, int]:
    fits = (
        model.n_joints <= MAX_LINKS
        and model.n_axes <= MAX_AXES
        and model.n_tools <= MAX_TOOLS
        and model.n_capsules <= MAX_CAPSULES
        and model.n_pairs <= MAX_PAIRS
        and model.n_planes <= MAX_PLANES
        and model.n_keepouts <= MAX_KEEPOUTS
    )
    if not fits or model.n_capsules == 0:
        return GeometryError.COUNTS, 0
    items: _Items = (
        (_joint_error, model.n_joints),
        (_capsule_error, model.n_capsules),
        (_pair_error, model.n_pairs),
        (_plane_error, model.n_planes),
        (_keepout_error, model.n_keepouts),
        (_tool_error, model.n_tools),
    )
    return _first_error(model, items)


def derive(model: Geometry) -> None:
    """`geometry_derive`."""
    if _values_error(model)[0] is not GeometryError.OK:
        return
    for i in range(model.n_capsules):
        model.reach_m[i], model.base_reach_m[i] = _capsule_reach(model, i)
        model.ball_m[i] = _ball_of(model.capsules[i])
    for i in range(model.n_pairs):
        model.pair_root[i] = _root_of(model, i)
    for i in range(model.n_tools):
        model.tool_reach_m[i], model.tool_base_reach_m[i] = _tool_reach(model, i)


def _capsule_derived_error(model: Geometry, index: int) -> GeometryError:
    found = _Reach(model.reach_m[index], model.base_reach_m[index])
    same = _capsule_reach(model, index) == found and model.ball_m[index] == _ball_of(model.capsules[index])
    return GeometryError.OK if same else GeometryError.REACH


def _pair_derived_error(model: Geometry, index: int) -> GeometryError:
    return GeometryError.OK if model.pair_root[index] == _root_of(model, index) else GeometryError.REACH


def _tool_derived_error(model: Geometry, index: int) -> GeometryError:
    found = _Reach(model.tool_reach_m[index], model.tool_base_reach_m[index])
    return GeometryError.OK if _tool_reach(model, index) == found else GeometryError.REACH


def check(model: Geometry) -> tuple[GeometryError, int]:
    """`geometry_check`: the error, and the index of the culprit."""
    if model.n_capsules == 0:
        others = model.n_joints | model.n_pairs | model.n_planes | model.n_keepouts | model.n_tools | model.has_base
        return (GeometryError.OK if others == 0 else GeometryError.COUNTS), 0
    error, index = _values_error(model)
    if error is not GeometryError.OK:
        return error, index
    items: _Items = (
        (_capsule_derived_error, model.n_capsules),
        (_pair_derived_error, model.n_pairs),
        (_tool_derived_error, model.n_tools),
    )
    return _first_error(model, items)


def check_ranges(model: Geometry, q_min: Vector, q_max: Vector) -> tuple[GeometryError, int]:
    """`geometry_check_ranges`: the error, and the index of the joint."""
    for index in range(model.n_joints):
        joint = model.joints[index]
        most = joint.extent_m if joint.slides else _FARTHEST_TURN_RAD
        low = abs(joint.ratio * q_min[joint.axis] + joint.at_zero)
        high = abs(joint.ratio * q_max[joint.axis] + joint.at_zero)
        if not (low <= most and high <= most):
            return GeometryError.RANGE, index
    return GeometryError.OK, 0
