"""`geometry.c` and its Python reference agree bit for bit, on models that are sound and on models that are not."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

import msgspec
import pytest

from edge_runtime.native import ffi, lib
from edge_runtime.safety import reference_geometry as reference
from edge_runtime.safety.kinematics import BASE, Capsule, GeometryModel, Keepout, Plane, ToolPoint
from edge_runtime.safety.kinematics.model import Vector
from edge_runtime.safety.reference_geometry_check import GeometryError, check, check_ranges, derive
from tests.safety.geometry_robot import NativeGeometry, arm, random_model, random_place, random_posture

JUST_ABOVE_100 = math.nextafter(100.0, 200.0)
JUST_ABOVE_1E6 = math.nextafter(1e6, 2e6)
NEVER = (math.nan, math.inf, -math.inf)


def bits(*rows: list[float]) -> bytes:
    return b"".join(struct.pack(f"{len(row)}d", *row) for row in rows)


def require_agreement(model: GeometryModel, q: list[float], base: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
    native = NativeGeometry(model)
    geometry = reference.Geometry.of(native.model)
    native.move_to(q, base)
    pose = reference.pose_at(geometry, base, q)
    clearance = reference.clearance_at(geometry, pose)
    rotations, origins_m = native.pose()
    assert bits(*rotations, *origins_m) == bits(*pose.rotation, *pose.origin_m)
    assert bits(*native.base()) == bits(pose.base_rotation, pose.base_origin_m)
    assert bits(*native.clearance()) == bits(clearance.world_m, clearance.pair_m)
    for tool in range(len(model.tools)):
        assert bits(*native.tool_columns(tool)) == bits(*reference.tool_columns(geometry, pose, tool))
        assert bits([native.manipulability(tool)]) == bits([reference.manipulability(geometry, pose, tool)])


@pytest.mark.parametrize("of_any_kind", [False, True])
@pytest.mark.parametrize("tidy", [False, True])
def test_c_equals_reference_in_every_posture(tidy: bool, of_any_kind: bool) -> None:
    generator = random.Random(11)
    for _ in range(800):
        model = random_model(generator, tidy=tidy, of_any_kind=of_any_kind)
        require_agreement(model, random_posture(generator, model, tidy=tidy), random_place(generator))


@pytest.mark.parametrize("tidy", [False, True])
def test_c_equals_reference_near_zones(tidy: bool) -> None:
    """Right at one zone, so that it decides the result; tidy ones pass above its sides, edges and corners."""
    generator = random.Random(14)

    def number() -> float:
        return generator.randint(-5, 5) * 0.1 if tidy else generator.uniform(-0.5, 0.5)

    for _ in range(2000):
        a_m, low, size = [number() for _ in range(3)], [number() for _ in range(3)], [abs(number()) for _ in range(3)]
        b_m = [x + number() * generator.choice((0, 1, 1, 2)) for x in a_m]
        body = Capsule(name="body", link=BASE, a_m=tuple(a_m), b_m=tuple(b_m), radius_m=0.0625)
        high = [x + more * generator.choice((0, 1)) for x, more in zip(low, size, strict=True)]
        zone = Keepout(min_m=tuple(low), max_m=tuple(high), radius_m=generator.choice((0.0, 0.1)))
        model = GeometryModel(joints=arm().joints, capsules=(body,), pairs=(), tools=arm().tools, keepouts=(zone,))
        require_agreement(model, [0.0] * 7)


@pytest.mark.parametrize(
    ("a_m", "b_m", "low_m", "high_m"),
    [
        ((-0.2, 0.1 * 3, 0.5), (0.1 * 3, 0.1 * 3, 0.1), (-0.1, -0.1, -0.5), (0.1 * 3, 0.1, 0.2)),
        ((0.37, 0.33, 0.27), (0.37, -0.05, -0.18), (-0.19, -0.14, -0.49), (0.17, 0.18, 0.11 + 0.1)),
    ],
)
def test_c_equals_reference_along_a_side(a_m: Vector, b_m: Vector, low_m: Vector, high_m: Vector) -> None:
    """The slope is 0 over a stretch; where on it the nearest place is taken to be shows in the last bit."""
    body = Capsule(name="body", link=BASE, a_m=a_m, b_m=b_m, radius_m=0.0625)
    zone = Keepout(min_m=low_m, max_m=high_m)
    model = GeometryModel(joints=arm().joints, capsules=(body,), pairs=(), tools=arm().tools, keepouts=(zone,))
    require_agreement(model, [0.0] * 7)


def test_c_equals_reference_where_near_and_far_meet() -> None:
    body = Capsule(name="body", link=BASE, a_m=(0.0, 0.0, 0.0), b_m=(0.2, 0.0, 0.0), radius_m=0.05)
    for height_m in (0.4, math.nextafter(0.4, 1.0), math.nextafter(0.4, 0.0)):
        zone = Keepout(min_m=(0.1, 0.0, height_m), max_m=(0.1, 0.0, height_m))
        model = GeometryModel(joints=arm().joints, capsules=(body,), pairs=(), tools=arm().tools, keepouts=(zone, zone))
        require_agreement(model, [0.0] * 7)


DERIVED = ("reach_m", "base_reach_m", "ball_m", "pair_root", "tool_reach_m", "tool_base_reach_m")


def test_derived_reaches_agree() -> None:
    generator = random.Random(12)
    for of_any_kind in (False, True) * 150:
        native = NativeGeometry(random_model(generator, of_any_kind=of_any_kind)).model
        geometry = reference.Geometry.of(native)
        blank = reference.Geometry.of(ffi.new("geometry_model *"))
        wanted = [getattr(geometry, name) for name in DERIVED]
        for name in DERIVED:
            setattr(geometry, name, getattr(blank, name))
        derive(geometry)
        assert [getattr(geometry, name) for name in DERIVED] == wanted
        assert check(geometry) == (GeometryError.OK, 0)


VERTEX = (0.0, 0.1, 0.05)


def fresh() -> Any:
    native = ffi.new("geometry_model *")
    msgspec.structs.replace(arm(), tools=(*arm().tools, ToolPoint(name="elbow", link="joint4", point_m=VERTEX))).fill(
        native
    )
    return native


def require_verdict(native: Any, error: GeometryError, index: int) -> None:
    found = ffi.new("uint32_t *", 99)
    assert (lib.geometry_check(native, found), found[0]) == (error, index)
    assert check(reference.Geometry.of(native)) == (error, index)


def set_at(native: Any, path: str, value: float) -> None:
    """`set_at(model, "joints.3.offset_m.1", x)`."""
    *way, last = path.split(".")
    for step in way:
        native = native[int(step)] if step.isdigit() else getattr(native, step)
    if last.isdigit():
        native[int(last)] = value
    else:
        setattr(native, last, value)


TILT = 3e-5
"""Turned by so much, an axis leaves its unit length by 4.5e-10 and the others' right angle by far more."""

REFUSED: list[tuple[str, float, GeometryError, int]] = [
    ("n_joints", 49, GeometryError.COUNTS, 0),
    ("n_axes", 33, GeometryError.COUNTS, 0),
    ("n_tools", 5, GeometryError.COUNTS, 0),
    ("n_capsules", 65, GeometryError.COUNTS, 0),
    ("n_capsules", 0, GeometryError.COUNTS, 0),
    ("n_pairs", 1025, GeometryError.COUNTS, 0),
    ("n_planes", 17, GeometryError.COUNTS, 0),
    ("n_keepouts", 17, GeometryError.COUNTS, 0),
    ("n_joints", 0, GeometryError.CAPSULE, 1),
    ("n_axes", 6, GeometryError.AXIS, 6),
    ("joints.3.axis", -1, GeometryError.AXIS, 3),
    ("joints.3.axis", 7, GeometryError.AXIS, 3),
    *(
        (f"joints.2.{field}", value, GeometryError.AXIS, 2)
        for field in ("ratio", "at_zero")
        for value in (math.nextafter(1e3, 2e3), math.nextafter(-1e3, -2e3), *NEVER)
    ),
    *(("joints.5.extent_m", value, GeometryError.AXIS, 5) for value in (-1e-300, JUST_ABOVE_100, *NEVER)),
    ("joints.0.parent", -2, GeometryError.PARENT, 0),
    ("joints.0.parent", 0, GeometryError.PARENT, 0),
    ("joints.4.parent", 4, GeometryError.PARENT, 4),
    *((f"joints.2.rotation.{k}", TILT, GeometryError.ROTATION, 2) for k in range(1, 4)),
    *((f"joints.2.rotation.{k}", 2e-9, GeometryError.ROTATION, 2) for k in (1, 2, 3, 6, 7, 8)),
    *((f"joints.6.rotation.{k}", value, GeometryError.ROTATION, 6) for k in range(9) for value in NEVER),
    ("joints.0.rotation.0", -1.0, GeometryError.ROTATION, 0),
    ("joints.0.rotation.4", -1.0, GeometryError.ROTATION, 0),
    ("joints.0.rotation.8", -1.0, GeometryError.ROTATION, 0),
    ("joints.0.rotation.0", 1.0 + 1e-9, GeometryError.ROTATION, 0),
    ("joints.0.rotation.4", 1.0 + 1e-9, GeometryError.ROTATION, 0),
    ("joints.0.rotation.0", 1.0 + 0.75e-9, GeometryError.ROTATION, 0),
    ("joints.0.rotation.4", 1.0 + 0.75e-9, GeometryError.ROTATION, 0),
    ("joints.0.rotation.8", 1.0 + 2e-9, GeometryError.ROTATION, 0),
    *(
        (f"joints.3.offset_m.{k}", value, GeometryError.OFFSET, 3)
        for k in range(3)
        for value in (JUST_ABOVE_100, -JUST_ABOVE_100, *NEVER)
    ),
    *(
        (f"capsules.5.{end}.{k}", value, GeometryError.CAPSULE, 5)
        for end in ("a_m", "b_m")
        for k in range(3)
        for value in (JUST_ABOVE_100, -JUST_ABOVE_100, *NEVER)
    ),
    *(("capsules.0.radius_m", value, GeometryError.CAPSULE, 0) for value in (0.0, -0.1, JUST_ABOVE_100, *NEVER)),
    ("capsules.8.link", -2, GeometryError.CAPSULE, 8),
    ("capsules.8.link", 7, GeometryError.CAPSULE, 8),
    ("pairs.3.0", 9, GeometryError.PAIR, 3),
    ("pairs.3.1", 9, GeometryError.PAIR, 3),
    ("pairs.0.1", 0, GeometryError.PAIR, 0),
    ("planes.0.normal.0", 1.0 + 1e-9, GeometryError.PLANE, 0),
    ("planes.5.normal.1", TILT * 2, GeometryError.PLANE, 5),
    *(("planes.1.offset_m", value, GeometryError.PLANE, 1) for value in (JUST_ABOVE_1E6, -JUST_ABOVE_1E6, *NEVER)),
    *(
        (f"keepouts.0.min_m.{k}", value, GeometryError.KEEPOUT, 0)
        for k in range(3)
        for value in (0.6, -JUST_ABOVE_1E6, *NEVER)
    ),
    *(
        (f"keepouts.0.max_m.{k}", value, GeometryError.KEEPOUT, 0)
        for k in range(3)
        for value in (-0.5, JUST_ABOVE_1E6, *NEVER)
    ),
    *(("keepouts.1.radius_m", value, GeometryError.KEEPOUT, 1) for value in (-1e-300, JUST_ABOVE_1E6, *NEVER)),
    ("tools.0.link", -2, GeometryError.TOOL, 0),
    ("tools.1.link", 7, GeometryError.TOOL, 1),
    *((f"tools.1.point_m.{k}", value, GeometryError.TOOL, 1) for k in range(3) for value in (JUST_ABOVE_100, *NEVER)),
    ("reach_m.8.0", 1.0, GeometryError.REACH, 8),
    ("reach_m.2.47", 1e-9, GeometryError.REACH, 2),
    ("base_reach_m.5", 2.0, GeometryError.REACH, 5),
    ("base_reach_m.0", math.nan, GeometryError.REACH, 0),
    ("reach_m.0.3", math.nan, GeometryError.REACH, 0),
    *(("pair_nearer_m.3", value, GeometryError.PAIR, 3) for value in (-1e-300, math.nextafter(1.0, 2.0), *NEVER)),
    ("ball_m.8", 0.05, GeometryError.REACH, 8),
    ("ball_m.0", math.nan, GeometryError.REACH, 0),
    ("pair_root.19", 5, GeometryError.REACH, 19),
    ("pair_root.0", 0, GeometryError.REACH, 0),
    ("tool_reach_m.0.6", 0.2, GeometryError.REACH, 0),
    ("tool_reach_m.1.47", 1e-9, GeometryError.REACH, 1),
    ("tool_base_reach_m.1", 0.1, GeometryError.REACH, 1),
]


@pytest.mark.parametrize(("path", "value", "error", "index"), REFUSED)
def test_a_model_that_is_not_sound_is_refused_by_name(
    path: str, value: float, error: GeometryError, index: int
) -> None:
    native = fresh()
    set_at(native, path, value)
    require_verdict(native, error, index)


TAKEN: list[tuple[str, float]] = [
    ("joints.2.parent", -1),
    ("joints.2.parent", 0),
    *((f"joints.0.rotation.{k}", 4e-10) for k in (1, 2, 3, 5, 6, 7)),
    *((f"joints.0.rotation.{k}", 1.0 - 4e-10) for k in (0, 4, 8)),
    *((f"joints.3.offset_m.{k}", value) for k in range(3) for value in (100.0, -100.0)),
    *((f"capsules.5.{end}.{k}", value) for end in ("a_m", "b_m") for k in range(3) for value in (100.0, -100.0)),
    ("capsules.5.radius_m", 100.0),
    ("capsules.5.radius_m", 5e-324),
    ("capsules.1.link", -1),
    ("capsules.8.link", 6),
    ("pairs.0.1", 8),
    *(("pair_nearer_m.3", value) for value in (0.0, 5e-324, 1.0)),
    ("planes.0.normal.0", 1.0 + 4e-10),
    *(("planes.1.offset_m", value) for value in (1e6, -1e6)),
    *((f"keepouts.0.min_m.{k}", -1e6) for k in range(3)),
    *((f"keepouts.0.max_m.{k}", 1e6) for k in range(3)),
    *(("keepouts.0.radius_m", value) for value in (0.0, 1e6)),
    ("n_axes", 32),
    ("n_tools", 0),
    ("has_base", 1),
    ("joints.3.axis", 0),
    *((f"joints.2.{field}", value) for field in ("ratio", "at_zero") for value in (-1e3, 0.0, 1e3)),
    *((f"joints.2.{field}", value) for field in ("extent_m", "slides") for value in (0, 1)),
    ("joints.2.extent_m", 100.0),
    ("tools.0.link", -1),
    *((f"tools.1.point_m.{k}", value) for k in range(3) for value in (100.0, -100.0)),
]


@pytest.mark.parametrize(("path", "value"), TAKEN)
def test_what_lies_on_the_edge_is_taken_once_its_reaches_are_derived(path: str, value: float) -> None:
    native = fresh()
    set_at(native, path, value)
    lib.geometry_derive(native)
    require_verdict(native, GeometryError.OK, 0)


COUNTS = ("n_joints", "n_pairs", "n_planes", "n_keepouts", "n_tools", "has_base")


def test_no_capsules_means_no_model_and_nothing_else_either() -> None:
    native = ffi.new("geometry_model *")
    require_verdict(native, GeometryError.OK, 0)
    native.n_axes = 7
    require_verdict(native, GeometryError.OK, 0)
    for count in COUNTS:
        setattr(native, count, 1)
        require_verdict(native, GeometryError.COUNTS, 0)
        setattr(native, count, 0)


def test_a_base_without_joints_is_a_model() -> None:
    body = Capsule(name="body", link=BASE, a_m=(0.0, 0.0, 0.2), b_m=(0.3, 0.0, 0.2), radius_m=0.1)
    wall = Plane(normal=(1.0, 0.0, 0.0), offset_m=-1.0)
    model = GeometryModel(
        joints=(), capsules=(body,), pairs=(), tools=(), planes=(wall,), axes=("x", "y", "yaw"), has_base=True
    )
    require_agreement(model, [0.0] * 3, (0.5, 0.0, math.pi))
    native = NativeGeometry(model)
    native.move_to([0.0] * 3, (0.5, 0.0, math.pi))
    assert native.clearance()[0] == [pytest.approx(1.5 - 0.3 - 0.1)]
    assert native.model.base_reach_m[0] == 0.3


LINKS, CAPSULES, PAIRS = 48, 64, 1024


def full_house() -> Any:
    """A model that has all there is room for."""
    native = ffi.new("geometry_model *")
    native.n_joints, native.n_capsules, native.n_pairs, native.n_planes, native.n_keepouts = (
        LINKS,
        CAPSULES,
        PAIRS,
        16,
        16,
    )
    native.n_axes, native.n_tools, native.has_base = 32, 4, 1
    for i in range(LINKS):
        joint = native.joints[i]
        joint.parent, joint.axis, joint.ratio, joint.at_zero = i - 1, i % 32, 1.0 - 0.01 * i, 0.1
        joint.slides, joint.extent_m = i % 5 == 4, 4.0
        joint.rotation = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0)
        joint.offset_m = (0.1, 0.0, 0.2)
    for i in range(16):
        native.planes[i].normal = (0.0, 0.0, 1.0)
        native.planes[i].offset_m = -0.1 * i
        native.keepouts[i].min_m = native.keepouts[i].max_m = (0.1 * i, 1.0, 0.0)
    for i in range(CAPSULES):
        native.capsules[i].link = i * 3 // 4
        native.capsules[i].b_m = (0.0, 0.1, 0.05 + 0.01 * i)
        native.capsules[i].radius_m = 0.01
        native.capsules[i].in_world = 1
    for i in range(PAIRS):
        native.pairs[i] = (i % CAPSULES, (i + 2 + i // CAPSULES) % CAPSULES)
        native.pair_nearer_m[i] = 0.0005 * i
    for i in range(4):
        native.tools[i].link = LINKS - 1 - i
    return native


def test_there_is_room_for_as_much_as_it_says() -> None:
    native = full_house()
    lib.geometry_derive(native)
    require_verdict(native, GeometryError.OK, 0)
    geometry = reference.Geometry.of(native)
    pose, clearance = ffi.new("geometry_pose *"), ffi.new("geometry_clearance *")
    q, base = [0.1 * i for i in range(32)], [1.0, -2.0, 0.5]
    lib.geometry_pose_at(native, base, q, pose)
    lib.geometry_clearance_at(native, pose, clearance)
    posed = reference.pose_at(geometry, base, q)
    wanted = reference.clearance_at(geometry, posed)
    assert bits(list(clearance.world_m), list(clearance.pair_m)) == bits(wanted.world_m, wanted.pair_m)
    assert lib.geometry_manipulability(native, pose, 3) == reference.manipulability(geometry, posed, 3)


def test_nothing_beyond_the_counts_is_looked_at_or_written() -> None:
    native = full_house()
    native.n_joints, native.n_capsules, native.n_pairs, native.n_planes, native.n_keepouts = 7, 3, 2, 1, 1
    native.n_axes, native.n_tools = 7, 1
    for i in range(3):
        native.capsules[i].link = i
    native.pairs[1] = (1, 2)
    native.tools[0].link = 2
    for row in (*native.reach_m, *native.tool_reach_m):
        row[0:LINKS] = [42.0] * LINKS
    native.ball_m[3] = native.base_reach_m[3] = native.tool_base_reach_m[1] = 42.0
    native.pair_root[2] = 42
    lib.geometry_derive(native)
    require_verdict(native, GeometryError.OK, 0)
    assert list(native.reach_m[3]) == list(native.tool_reach_m[1]) == [42.0] * LINKS
    assert (native.ball_m[3], native.base_reach_m[3], native.tool_base_reach_m[1], native.pair_root[2]) == (42,) * 4
    pose, clearance = ffi.new("geometry_pose *"), ffi.new("geometry_clearance *")
    columns = ffi.new(f"double[{LINKS}][3]")
    pose.origin_m[7][0] = clearance.world_m[3] = clearance.pair_m[2] = columns[7][0] = 42.0
    lib.geometry_pose_at(native, [0.0] * 3, [0.0] * 7, pose)
    lib.geometry_clearance_at(native, pose, clearance)
    lib.geometry_tool_columns(native, pose, 0, columns)
    assert (pose.origin_m[7][0], clearance.world_m[3], clearance.pair_m[2], columns[7][0]) == (42.0,) * 4


def test_where_the_base_stands_is_not_looked_at_where_it_does_not_move() -> None:
    native = fresh()
    pose = ffi.new("geometry_pose *")
    lib.geometry_pose_at(native, [math.nan] * 3, [0.1] * 7, pose)
    moved = bytes(ffi.buffer(pose))
    lib.geometry_pose_at(native, [0.0] * 3, [0.1] * 7, pose)
    assert bytes(ffi.buffer(pose)) == moved


def sliding(ratio: float, at_zero: float, extent_m: float, *, slides: bool = True) -> Any:
    native = fresh()
    joint = native.joints[2]
    joint.axis, joint.ratio, joint.at_zero, joint.extent_m, joint.slides = 5, ratio, at_zero, extent_m, slides
    lib.geometry_derive(native)
    return native


@pytest.mark.parametrize(
    ("native", "low", "high", "fits"),
    [
        (sliding(1.0, 0.0, 0.5), -0.5, 0.25, True),
        (sliding(1.0, 0.0, 0.5), -0.25, 0.5, True),
        (sliding(1.0, 0.0, 0.5), -0.50001, 0.0, False),
        (sliding(1.0, 0.0, 0.5), 0.0, 0.50001, False),
        (sliding(-2.0, 0.25, 0.5), -0.125, 0.375, True),
        (sliding(-2.0, 0.25, 0.5), -0.126, 0.375, False),
        (sliding(-2.0, 0.25, 0.5), -0.125, 0.376, False),
        (sliding(1.0, 0.0, 0.0, slides=False), -1e5, 1e5, True),
        (sliding(15.0, 0.0, 0.0, slides=False), -1e5, 1e5, True),
        (sliding(15.0, 1e-3, 0.0, slides=False), -1e5, 1e5, False),
        (sliding(-15.0, 1e-3, 0.0, slides=False), -1e5, 1e5, False),
        *((sliding(1.0, 0.0, 0.5), *ends, False) for never in NEVER for ends in ((never, 0.0), (0.0, never))),
    ],
)
def test_a_range_that_takes_a_joint_beyond_what_is_known_of_it_is_refused(
    native: Any, low: float, high: float, fits: bool
) -> None:
    q_min, q_max = [-1.0] * 7, [1.0] * 7
    q_min[5], q_max[5] = low, high
    index = ffi.new("uint32_t *", 99)
    wanted = (GeometryError.OK, 0) if fits else (GeometryError.RANGE, 2)
    assert (lib.geometry_check_ranges(native, q_min, q_max, index), index[0]) == wanted
    assert check_ranges(reference.Geometry.of(native), q_min, q_max) == wanted


def test_deriving_leaves_a_model_that_is_not_sound_alone() -> None:
    native = fresh()
    native.joints[3].parent = 1_000_000
    native.reach_m[0][0] = 42.0
    before = bytes(ffi.buffer(native))
    lib.geometry_derive(native)
    assert bytes(ffi.buffer(native)) == before
    geometry = reference.Geometry.of(native)
    derive(geometry)
    assert geometry == reference.Geometry.of(native)


def test_random_damage_gets_the_same_verdict_from_both() -> None:
    generator = random.Random(13)
    seen = set()
    for _ in range(1500):
        path, value, _, _ = generator.choice(REFUSED)
        native = ffi.new("geometry_model *")
        random_model(generator, of_any_kind=generator.random() < 0.5).fill(native)
        set_at(native, path, value)
        index = ffi.new("uint32_t *")
        found = GeometryError(lib.geometry_check(native, index))
        assert (found, index[0]) == check(reference.Geometry.of(native))
        seen.add(found)
    assert seen == set(GeometryError) - {GeometryError.RANGE}
