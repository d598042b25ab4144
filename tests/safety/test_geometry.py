"""Where links are, how near they come to anything, and how far a joint's turn can move them: `kernel/geometry.c`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pytest

from edge_runtime.native import ffi, lib
from edge_runtime.safety.kinematics import (
    BASE,
    Capsule,
    GeometryModel,
    Keepout,
    KinematicJoint,
    Plane,
    ToolPoint,
)
from edge_runtime.safety.kinematics.model import Matrix, Vector
from tests.safety.geometry_robot import (
    BACKWARD,
    FORWARD,
    HOME_RAD,
    UPRIGHT,
    NativeGeometry,
    arm,
    random_model,
    random_posture,
    random_rotation,
)

Segment = tuple[Vector, Vector]

RADIUS_M = 0.01
NOTHING_NEAR_M = 1e9


def test_sine_and_cosine_are_right_to_1e_15() -> None:
    generator = random.Random(1)
    angles = [generator.uniform(-1e3, 1e3) for _ in range(50_000)]
    angles += [generator.uniform(-4.0, 4.0) for _ in range(50_000)]
    # Right beside the seams of the reduction, and where the result is nearly 0.
    angles += [k * math.pi / 4 + d for k in range(-1273, 1274) for d in (0.0, 1e-15, -1e-9)]
    sine, cosine = ffi.new("double *"), ffi.new("double *")
    for x_rad in angles:
        lib.geometry_sine_cosine(x_rad, sine, cosine)
        # The C library's own are wrong by less than 1.2e-16.
        assert abs(sine[0] - math.sin(x_rad)) < 8e-16
        assert abs(cosine[0] - math.cos(x_rad)) < 8e-16


def reference_poses(model: GeometryModel, q: list[float]) -> dict[str, np.ndarray]:
    """X_WL of every link, by multiplying 4 x 4 matrices."""
    poses = {BASE: np.eye(4)}
    for joint, angle_rad in zip(model.joints, q, strict=True):
        place, turn = np.eye(4), np.eye(4)
        place[:3, :3], place[:3, 3] = np.reshape(joint.rotation, (3, 3)), joint.offset_m
        c, s = math.cos(angle_rad), math.sin(angle_rad)
        turn[:2, :2] = [[c, -s], [s, c]]
        poses[joint.name] = poses[joint.parent] @ place @ turn
    return poses


def test_links_are_where_matrices_put_them() -> None:
    generator = random.Random(2)
    for _ in range(200):
        model = random_model(generator)
        native = NativeGeometry(model)
        q = random_posture(generator, model.n_joints)
        native.move_to(q)
        rotations, origins_m = native.pose()
        poses = reference_poses(model, q)
        for joint, rotation, origin_m in zip(model.joints, rotations, origins_m, strict=True):
            np.testing.assert_allclose(np.reshape(rotation, (3, 3)), poses[joint.name][:3, :3], atol=1e-13)
            np.testing.assert_allclose(origin_m, poses[joint.name][:3, 3], atol=1e-13)


def scene(segments: list[Segment], planes: tuple[Plane, ...], zones: tuple[Keepout, ...]) -> NativeGeometry:
    """Capsules that stand where they were written: the first on the base, others on joints at 0."""
    links = [BASE, *(f"j{i}" for i in range(1, max(2, len(segments))))]
    model = GeometryModel(
        joints=tuple(
            KinematicJoint(name=name, parent=BASE, rotation=UPRIGHT, offset_m=(0.0, 0.0, 0.0)) for name in links[1:]
        ),
        capsules=tuple(
            Capsule(name=f"c{i}", link=links[i], a_m=a_m, b_m=b_m, radius_m=RADIUS_M)
            for i, (a_m, b_m) in enumerate(segments)
        ),
        pairs=(("c0", "c1"),) if len(segments) > 1 else (),
        tool=ToolPoint(link=BASE, point_m=(0.0, 0.0, 0.0)),
        planes=planes,
        keepouts=zones,
    )
    native = NativeGeometry(model)
    native.move_to([0.0] * model.n_joints)
    return native


def least(distance: Callable[[np.ndarray], np.ndarray]) -> float:
    """Smallest value of a convex function of t in 0..1: never below it, and within 1e-12 where it is smooth."""
    low, high = 0.0, 1.0
    for _ in range(40):
        t = np.linspace(low, high, 33)
        values = distance(t)
        best = int(values.argmin())
        low, high = float(t[max(best - 1, 0)]), float(t[min(best + 1, 32)])
    return float(values.min())


def from_segment(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    along = b - a
    square = float(along @ along)
    t = np.clip((points - a) @ along / square, 0.0, 1.0) if square else np.zeros(len(points))
    return np.linalg.norm(points - a - t[:, None] * along, axis=1)


def random_segment(generator: random.Random) -> Segment:
    a = tuple(generator.uniform(-1.0, 1.0) for _ in range(3))
    kind = generator.random()
    if kind < 0.1:
        return a, a
    if kind < 0.3:
        axis = generator.randrange(3)
        return a, tuple(x + (0.5 if i == axis else 0.0) for i, x in enumerate(a))
    size = generator.choice((1.0, 1.0, 0.1, 1e-9))
    return a, tuple(x + generator.uniform(-size, size) for x in a)


def partner(generator: random.Random, segment: Segment) -> Segment:
    """Another segment: any, a parallel, a nearly parallel, one that crosses, or one that goes on from an end."""
    a, b = (np.array(end) for end in segment)
    kind = generator.randrange(5)
    if kind == 0:
        return random_segment(generator)
    shift = np.array([generator.uniform(-0.3, 0.3) for _ in range(3)])
    if kind == 3:
        middle = a + generator.random() * (b - a)
        return tuple((middle - shift).tolist()), tuple((middle + shift).tolist())
    if kind == 4:
        return tuple(b.tolist()), tuple((b + shift).tolist())
    tilt = np.array([generator.uniform(-1.0, 1.0) for _ in range(3)])
    tilt *= 0.0 if kind == 1 else 10 ** generator.uniform(-16, -3)
    first = a + shift + generator.uniform(-1.0, 1.0) * (b - a)
    return tuple(first.tolist()), tuple((first + (b - a) + tilt).tolist())


def test_distance_of_two_capsules_is_exact_and_never_too_large() -> None:
    generator = random.Random(3)
    for _ in range(1500):
        one = random_segment(generator)
        other = partner(generator, one)
        (a1, b1), (a2, b2) = ((np.array(end) for end in segment) for segment in (one, other))
        real = least(lambda t: from_segment(a1 + t[:, None] * (b1 - a1), a2, b2))  # noqa: B023
        found = scene([one, other], (), ()).clearance()[1][0] + 2.0 * RADIUS_M
        assert found <= real + 2e-15, (one, other)
        assert found >= real - 1e-7, (one, other)


def test_distance_from_a_zone_is_exact_near_it_and_never_too_large() -> None:
    generator = random.Random(4)
    for _ in range(1500):
        segment = random_segment(generator)
        a, b = (np.array(end) for end in segment)
        low = np.array([generator.uniform(-0.8, 0.8) for _ in range(3)])
        high = low + [generator.choice((0.0, generator.uniform(0.0, 0.6))) for _ in range(3)]
        radius_m = generator.choice((0.0, 0.07))
        zone = Keepout(min_m=tuple(low.tolist()), max_m=tuple(high.tolist()), radius_m=radius_m)

        def outside(t: np.ndarray) -> np.ndarray:
            points = a + t[:, None] * (b - a)  # noqa: B023
            return np.linalg.norm(points - np.clip(points, low, high), axis=1)  # noqa: B023

        real = least(outside)
        found = scene([segment], (), (zone,)).clearance()[0][0] + RADIUS_M + radius_m
        assert found <= real + 2e-15, (segment, zone)
        half = 0.5 * float(np.linalg.norm(b - a))
        assert found >= (real - 1e-9 if outside(np.array([0.5]))[0] < 4.0 * half else 0.6 * real), (segment, zone)


def test_world_is_the_nearest_plane_or_zone() -> None:
    ground = Plane(normal=(0.0, 0.0, 1.0), offset_m=-0.1)
    wall = Plane(normal=(-0.6, 0.8, 0.0), offset_m=-0.5)
    ball = Keepout(min_m=(0.0, 0.0, 0.9), max_m=(0.0, 0.0, 0.9), radius_m=0.2)
    upright = [((0.0, 0.0, 0.1), (0.0, 0.0, 0.4))]
    assert scene(upright, (), ()).clearance()[0][0] == NOTHING_NEAR_M - RADIUS_M
    assert scene(upright, (ground,), ()).clearance()[0][0] == pytest.approx(0.2 - RADIUS_M)
    assert scene(upright, (ground, wall), (ball,)).clearance()[0][0] == pytest.approx(0.2 - RADIUS_M)
    assert scene(upright, (wall,), (ball,)).clearance()[0][0] == pytest.approx(0.3 - RADIUS_M)
    assert scene(upright, (wall,), ()).clearance()[0][0] == pytest.approx(0.5 - RADIUS_M)
    below = [((0.0, 0.0, 0.1), (0.0, 0.0, -0.4))]
    assert scene(below, (wall, ground), (ball,)).clearance()[0][0] == pytest.approx(-0.3 - RADIUS_M)


def test_a_capsule_that_is_not_in_the_world_is_near_to_nothing() -> None:
    native = NativeGeometry(arm())
    native.move_to(list(HOME_RAD))
    world_m, _ = native.clearance()
    assert world_m[0] == NOTHING_NEAR_M
    assert max(world_m[1:]) < 1.0


def ends_of(model: GeometryModel, q: list[float]) -> list[list[np.ndarray]]:
    poses = reference_poses(model, q)
    return [
        [poses[one.link][:3, :3] @ end + poses[one.link][:3, 3] for end in (one.a_m, one.b_m)] for one in model.capsules
    ]


def pair_reaches(native: NativeGeometry) -> np.ndarray:
    """How far from each joint's axis one capsule of a pair can be, as seen from the other: (pairs, joints)."""
    model = native.model
    rows = np.zeros((model.n_pairs, model.n_joints))
    for row, (first, second), root in zip(rows, model.pairs, model.pair_root, strict=False):
        for capsule in (first, second):
            link = model.capsules[capsule].link
            while link != root:
                row[link] += model.reach_m[capsule][link]
                link = model.joints[link].parent
    return rows


def test_no_motion_outruns_its_reach() -> None:
    """The promise on which the kernel skips postures: what a point, a pair's distance and the tool change by is at most
    the sum of reach times turn."""
    generator = random.Random(5)
    nearly = 0
    for _ in range(400):
        model = random_model(generator)
        native = NativeGeometry(model)
        n = model.n_joints
        before = random_posture(generator, n)
        moving = [generator.random() < 0.4 for _ in range(n)]
        turn = np.array([generator.choice((1e-3, 0.3)) * generator.uniform(-1.0, 1.0) * flag for flag in moving])
        after = (np.array(before) + turn).tolist()
        reach_m = np.array([list(row) for row in native.model.reach_m])[: len(model.capsules), :n]
        pair_reach_m = pair_reaches(native)
        for allowed_m, one, other in zip(
            reach_m @ abs(turn), ends_of(model, before), ends_of(model, after), strict=True
        ):
            moved_m = max(float(np.linalg.norm(b - a)) for a, b in zip(one, other, strict=True))
            assert moved_m <= allowed_m + 1e-12
            nearly += moved_m > 0.8 * allowed_m > 0.0
        native.move_to(before)
        pairs_before, columns = native.clearance()[1], native.tool_columns()
        native.move_to(after)
        for allowed_m, one_m, other_m in zip(
            pair_reach_m @ abs(turn), pairs_before, native.clearance()[1], strict=True
        ):
            assert abs(one_m - other_m) <= allowed_m + 1e-7
        lengths_m = [math.hypot(*column) for column in columns]
        assert all(length <= most + 1e-12 for length, most in zip(lengths_m, native.model.tool_reach_m, strict=False))
    assert nearly > 30  # a bound that is never nearly met would be too large


def test_reach_is_the_way_from_the_joint_to_the_far_end() -> None:
    native = NativeGeometry(arm()).model
    hand = math.hypot(0.04, 0.14)
    assert list(native.reach_m[8][0:7]) == pytest.approx(
        [hand + 0.088 + math.hypot(0.0825, 0.384) + 0.0825 + 0.316] * 2
        + [hand + 0.088 + math.hypot(0.0825, 0.384) + 0.0825]
        + [hand + 0.088 + math.hypot(0.0825, 0.384)]
        + [hand + 0.088] * 2
        + [hand]
    )
    assert not any(native.reach_m[0])
    assert list(native.reach_m[3][3:7]) == [0.0] * 4
    pairs = [tuple(pair) for pair in native.pairs]
    assert native.pair_root[pairs.index((0, 3))] == -1
    assert native.pair_root[pairs.index((2, 7))] == 1
    assert native.ball_m[8] == 0.04 + 0.06
    assert native.ball_m[0] == 0.07 + 0.075


def test_tool_moves_as_its_columns_say() -> None:
    generator = random.Random(6)
    for _ in range(100):
        model = random_model(generator)
        native = NativeGeometry(model)
        q = random_posture(generator, model.n_joints)
        native.move_to(q)

        def tool(posture: list[float]) -> np.ndarray:
            X = reference_poses(model, posture)[model.tool.link]  # noqa: B023
            return X[:3, :3] @ model.tool.point_m + X[:3, 3]  # noqa: B023

        for i, column in enumerate(native.tool_columns()):
            step = [1e-6 * (i == k) for k in range(model.n_joints)]
            forward, backward = ([q + sign * d for q, d in zip(q, step, strict=True)] for sign in (1.0, -1.0))
            np.testing.assert_allclose(column, (tool(forward) - tool(backward)) / 2e-6, atol=1e-6)


def jacobian(model: GeometryModel, native: NativeGeometry) -> np.ndarray:
    """6 x n of the joints that move the tool, translation above rotation."""
    moving, link = [], model.tool.link
    while link != BASE:
        moving.append(model.joint_names.index(link))
        link = model.joints[moving[-1]].parent
    axes = [np.reshape(rotation, (3, 3))[:, 2] for rotation in native.pose()[0]]
    columns = native.tool_columns()
    return np.array([[*columns[i], *axes[i]] for i in moving]).reshape(len(moving), 6).T


def test_manipulability_is_the_root_of_the_determinant() -> None:
    generator = random.Random(7)
    for _ in range(300):
        model = random_model(generator)
        native = NativeGeometry(model)
        native.move_to(random_posture(generator, model.n_joints))
        J = jacobian(model, native)
        gram = J @ J.T if J.shape[1] >= 6 else J.T @ J
        assert native.manipulability() ** 2 == pytest.approx(np.linalg.det(gram), rel=1e-6, abs=1e-15)


def wrist(*rotations: Matrix, tool_link: str, tool_m: Vector = (0.0, 0.0, 0.0)) -> NativeGeometry:
    """Joints "0", "1", ... on each other, all with the same origin."""
    names = [str(i) for i in range(len(rotations))]
    joints = tuple(
        KinematicJoint(name=name, parent=parent, rotation=rotation, offset_m=(0.0, 0.0, 0.0))
        for name, parent, rotation in zip(names, [BASE, *names], rotations, strict=False)
    )
    body = Capsule(name="body", link=names[-1], a_m=(0.0, 0.0, 0.0), b_m=(0.0, 0.0, 0.1), radius_m=0.1)
    tool = ToolPoint(link=tool_link, point_m=tool_m)
    return NativeGeometry(GeometryModel(joints=joints, capsules=(body,), pairs=(), tool=tool))


def test_manipulability_keeps_its_digits_near_a_singularity() -> None:
    native = wrist(UPRIGHT, FORWARD, BACKWARD, tool_link="2")
    for angle_rad in (1.0, -0.1, 1e-4, 1e-8):
        native.move_to([0.3, angle_rad, -0.7])
        assert native.manipulability() == pytest.approx(abs(math.sin(angle_rad)), rel=1e-6)
    native.move_to([0.0, 0.0, 0.0])
    assert native.manipulability() == 0.0


def test_manipulability_of_joints_about_one_axis_is_zero_and_of_none_is_one() -> None:
    for tool_link, wanted in (("1", 0.0), ("0", 1.25**0.5), (BASE, 1.0)):
        native = wrist(UPRIGHT, UPRIGHT, tool_link=tool_link, tool_m=(0.3, 0.4, 0.1))
        native.move_to([0.3, 0.4])
        assert native.manipulability() == pytest.approx(wanted, abs=0.0 if wanted == 0.0 else 1e-12)


def test_a_turned_world_changes_no_distance() -> None:
    generator = random.Random(8)
    for _ in range(100):
        one = random_segment(generator)
        other = partner(generator, one)
        turn = np.reshape(random_rotation(generator), (3, 3))
        turned = [tuple(tuple((turn @ end).tolist()) for end in segment) for segment in (one, other)]
        plain_m, turned_m = (scene(segments, (), ()).clearance()[1][0] for segments in ([one, other], turned))
        assert plain_m == pytest.approx(turned_m, abs=2e-7)
