"""Where links are, how near they come to anything, and how far a joint's turn can move them: `kernel/geometry.c`."""

from __future__ import annotations

import decimal
import math
import random
from collections.abc import Callable, Sequence

import msgspec
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
    SourceLimits,
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
    random_place,
    random_posture,
    random_rotation,
)

Segment = tuple[Vector, Vector]

RADIUS_M = 0.01
NOTHING_NEAR_M = 1e9


def exact_sine_cosine(x_rad: float) -> tuple[float, float]:
    """By the series, in 60 decimal digits, with pi to as many: right to the last bit of a double."""
    with decimal.localcontext() as context:
        context.prec = 60
        x = decimal.Decimal(x_rad)
        x -= (x / TURN).to_integral_value() * TURN
        terms, power, n = [decimal.Decimal(0), decimal.Decimal(0)], decimal.Decimal(1), 0
        while abs(power) > decimal.Decimal("1e-40"):
            terms[n % 2] += power if n % 4 < 2 else -power
            n += 1
            power *= x / n
        return float(terms[1]), float(terms[0])


TURN = 2 * decimal.Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628621")


def require_sine_cosine(x_rad: float, sine: float, cosine: float) -> None:
    found = ffi.new("double *"), ffi.new("double *")
    lib.geometry_sine_cosine(x_rad, *found)
    assert abs(found[0][0] - sine) < 8e-16, x_rad
    assert abs(found[1][0] - cosine) < 8e-16, x_rad


def test_sine_and_cosine_are_right_to_1e_15() -> None:
    generator = random.Random(1)
    angles = [generator.uniform(-1.0, 1.0) * span for span in (4.0, 1e3, 1e5, 1.5e6) for _ in range(50_000)]
    # Right beside the seams of the reduction, and where the result is nearly 0.
    near = [*range(-1273, 1274), *(generator.randint(-1_900_000, 1_900_000) for _ in range(5_000)), 1_909_858]
    angles += [k * math.pi / 4 + d for k in near for d in (0.0, 1e-15, -1e-9, -1e-4)]
    for x_rad in angles:
        assert abs(x_rad) <= 1.5e6
        # The C library's own are wrong by less than 1.2e-16.
        require_sine_cosine(x_rad, math.sin(x_rad), math.cos(x_rad))


def test_sine_and_cosine_of_many_turns_are_those_of_the_angle_to_sixty_digits() -> None:
    generator = random.Random(2)
    angles = [generator.choice((-1.0, 1.0)) * 10.0 ** generator.uniform(-3.0, math.log10(1.5e6)) for _ in range(1500)]
    angles += [k * math.pi / 2 for k in (generator.randint(-63_662, 63_662) for _ in range(500))]
    angles += [1e5, -1e5, math.nextafter(1e5, 0.0), 1.5e6, -1.5e6]
    for x_rad in angles:
        require_sine_cosine(x_rad, *exact_sine_cosine(x_rad))


def reference_poses(
    model: GeometryModel, q: list[float], base: Sequence[float] = (0.0, 0.0, 0.0)
) -> dict[str | None, np.ndarray]:
    """X_WL of every link, by multiplying 4 x 4 matrices."""
    poses = {BASE: moved(base[2], slides=False)}
    poses[BASE][:2, 3] = base[:2]
    for joint in model.joints:
        place = np.eye(4)
        place[:3, :3], place[:3, 3] = np.reshape(joint.rotation, (3, 3)), joint.offset_m
        position = joint.ratio * q[model.axis_names.index(joint.axis_name)] + joint.at_zero
        poses[joint.name] = poses[joint.parent] @ place @ moved(position, slides=joint.slides)
    return poses


def moved(position: float, *, slides: bool) -> np.ndarray:
    """About +z, or along it."""
    X = np.eye(4)
    if slides:
        X[2, 3] = position
    else:
        c, s = math.cos(position), math.sin(position)
        X[:2, :2] = [[c, -s], [s, c]]
    return X


@pytest.mark.parametrize("of_any_kind", [False, True])
def test_links_are_where_matrices_put_them(of_any_kind: bool) -> None:
    generator = random.Random(2)
    for _ in range(200):
        model = random_model(generator, of_any_kind=of_any_kind)
        native = NativeGeometry(model)
        q, base = random_posture(generator, model), random_place(generator)
        native.move_to(q, base)
        rotations, origins_m = native.pose()
        poses = reference_poses(model, q, base if model.has_base else (0.0, 0.0, 0.0))
        for joint, rotation, origin_m in zip(model.joints, rotations, origins_m, strict=True):
            np.testing.assert_allclose(np.reshape(rotation, (3, 3)), poses[joint.name][:3, :3], atol=1e-13)
            np.testing.assert_allclose(origin_m, poses[joint.name][:3, 3], atol=1e-12)


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
        tools=(),
        planes=planes,
        keepouts=zones,
    )
    native = NativeGeometry(model)
    native.move_to([0.0] * model.n_axes)
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


def ends_of(model: GeometryModel, q: list[float], base: Sequence[float]) -> list[list[np.ndarray]]:
    poses = reference_poses(model, q, base)
    return [
        [poses[one.link][:3, :3] @ end + poses[one.link][:3, 3] for end in (one.a_m, one.b_m)] for one in model.capsules
    ]


def pair_reaches(native: NativeGeometry) -> np.ndarray:
    """How far a joint moves one capsule of a pair, as seen from the other, for each rad or m: (pairs, joints)."""
    model = native.model
    rows = np.zeros((model.n_pairs, model.n_joints))
    for row, (first, second), root in zip(rows, model.pairs, model.pair_root, strict=False):
        for capsule in (first, second):
            link = model.capsules[capsule].link
            while link != root:
                row[link] += model.reach_m[capsule][link]
                link = model.joints[link].parent
    return rows


@pytest.mark.parametrize("of_any_kind", [False, True])
def test_no_motion_outruns_its_reach(of_any_kind: bool) -> None:
    """The promise on which the kernel skips postures: what a point, a pair's distance and a tool change by is at most
    the sum of reach times motion of each joint, and of the base."""
    generator = random.Random(5)
    nearly = nearly_by_the_base = 0
    for _ in range(400):
        model = random_model(generator, of_any_kind=of_any_kind)
        native = NativeGeometry(model)
        before, base = random_posture(generator, model), [0.0, 0.0, 0.0]
        moving = [generator.random() < 0.4 for _ in before]
        way = np.array([generator.choice((1e-3, 0.3)) * generator.uniform(-1.0, 1.0) * flag for flag in moving])
        after = (np.array(before) + way).tolist()
        drive = np.array([generator.uniform(-0.1, 0.1) for _ in range(3)]) * model.has_base
        turn = np.array([joint.ratio * way[model.axis_names.index(joint.axis_name)] for joint in model.joints])
        reach_m = np.array([list(row) for row in native.model.reach_m])[: len(model.capsules), : len(turn)]
        base_m = np.array(list(native.model.base_reach_m))[: len(model.capsules)]
        before_m, after_m = ends_of(model, before, base), ends_of(model, after, base)
        for allowed_m, one, other in zip(reach_m @ abs(turn), before_m, after_m, strict=True):
            moved_m = max(float(np.linalg.norm(b - a)) for a, b in zip(one, other, strict=True))
            assert moved_m <= allowed_m + 1e-12
            nearly += moved_m > 0.8 * allowed_m > 0.0
        driven_m = ends_of(model, after, drive)
        for most_m, one, other in zip(base_m, after_m, driven_m, strict=True):
            assert all(math.hypot(end[0], end[1]) <= most_m + 1e-12 for end in one)
            moved_m = max(float(np.linalg.norm(b - a)) for a, b in zip(one, other, strict=True))
            allowed_m = abs(drive[0]) + abs(drive[1]) + most_m * abs(drive[2])
            assert moved_m <= allowed_m + 1e-12
            nearly_by_the_base += moved_m > 0.8 * allowed_m > 0.0
        native.move_to(before)
        pairs_before = native.clearance()[1]
        columns = [native.tool_columns(tool) for tool in range(len(model.tools))]
        native.move_to(after, drive.tolist())
        for allowed_m, one_m, other_m in zip(
            pair_reaches(native) @ abs(turn), pairs_before, native.clearance()[1], strict=True
        ):
            assert abs(one_m - other_m) <= allowed_m + 1e-7
        poses = reference_poses(model, before, base)
        for tool, column, most, base_most in zip(
            model.tools, columns, native.model.tool_reach_m, native.model.tool_base_reach_m, strict=False
        ):
            assert all(math.hypot(*one) <= limit + 1e-12 for one, limit in zip(column, most, strict=False))
            point_m = poses[tool.link][:3, :3] @ tool.point_m + poses[tool.link][:3, 3]
            assert math.hypot(point_m[0], point_m[1]) <= base_most + 1e-12
    assert nearly > 30  # a bound that is never nearly met would be too large
    assert nearly_by_the_base >= 30 * of_any_kind


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


def test_an_extended_joint_reaches_further_and_an_upright_one_no_further_from_the_base() -> None:
    """Of a capsule 1 m beyond a turning joint, which a sliding one carries that extends by up to 0.4 m."""
    limits = SourceLimits.of(slides=True, low=-0.1, high=0.4)
    for along, aside_m in ((UPRIGHT, 0.0), (FORWARD, 0.4)):
        joints = (
            KinematicJoint(name="turn", rotation=UPRIGHT, offset_m=(0.3, 0.0, 2.0)),
            KinematicJoint(
                name="slide", parent="turn", kind="prismatic", rotation=along, offset_m=(0.0, 0.5, 0.0), limits=limits
            ),
            KinematicJoint(name="end", parent="slide", rotation=UPRIGHT, offset_m=(0.0, 0.2, 0.0)),
        )
        ball = Capsule(name="ball", link="end", a_m=(1.0, 0.0, 0.0), b_m=(1.0, 0.0, 0.0), radius_m=0.1)
        model = NativeGeometry(
            GeometryModel(
                joints=joints,
                capsules=(ball, msgspec.structs.replace(ball, name="base", link=BASE)),
                pairs=(),
                tools=(ToolPoint(link="slide", point_m=(0.0, 0.0, 1.0)),),
            )
        ).model
        assert list(model.reach_m[0][0:3]) == pytest.approx([1.0 + 0.2 + 0.5 + 0.4, 1.0, 1.0])
        assert list(model.tool_reach_m[0][0:3]) == pytest.approx([1.0 + 0.5 + 0.4, 1.0, 0.0])
        assert list(model.base_reach_m[0:2]) == pytest.approx([2.1 + 0.3, 1.0])
        first = msgspec.structs.replace(joints[1], parent=BASE)
        alone = NativeGeometry(
            GeometryModel(
                joints=(first,),
                capsules=(msgspec.structs.replace(ball, link="slide"),),
                pairs=(),
                tools=(),
            )
        ).model
        assert alone.base_reach_m[0] == pytest.approx(1.0 + 0.5 + aside_m)


def test_tools_move_as_their_columns_say() -> None:
    generator = random.Random(6)
    for _ in range(100):
        model = random_model(generator, of_any_kind=True)
        native = NativeGeometry(model)
        q = random_posture(generator, model)
        base = random_place(generator) if model.has_base else (0.0, 0.0, 0.0)
        native.move_to(q, base)
        for number, tool in enumerate(model.tools):

            def place(posture: list[float]) -> np.ndarray:
                X = reference_poses(model, posture, base)[tool.link]  # noqa: B023
                return X[:3, :3] @ tool.point_m + X[:3, 3]  # noqa: B023

            for axis, name in enumerate(model.axis_names):
                column = np.zeros(3)
                for joint, one in zip(model.joints, native.tool_columns(number), strict=True):
                    column += joint.ratio * np.array(one) * (joint.axis_name == name)
                step = [1e-6 * (axis == k) for k in range(model.n_axes)]
                forward, backward = ([x + sign * d for x, d in zip(q, step, strict=True)] for sign in (1.0, -1.0))
                np.testing.assert_allclose(column, (place(forward) - place(backward)) / 2e-6, atol=1e-6)


def jacobian(model: GeometryModel, native: NativeGeometry, tool: int) -> np.ndarray:
    """6 x n of the axes that move the tool, translation above rotation."""
    by_name = {joint.name: number for number, joint in enumerate(model.joints)}
    columns: dict[str, np.ndarray] = {}
    link = model.tools[tool].link
    while link is not BASE:
        i, joint = by_name[link], model.joints[by_name[link]]
        spin = np.zeros(3) if joint.slides else np.reshape(native.pose()[0][i], (3, 3))[:, 2]
        one = joint.ratio * np.array([*native.tool_columns(tool)[i], *spin])
        columns[joint.axis_name] = columns.get(joint.axis_name, np.zeros(6)) + one
        link = joint.parent
    return np.array(list(columns.values())).reshape(len(columns), 6).T


@pytest.mark.parametrize("of_any_kind", [False, True])
def test_manipulability_is_the_root_of_the_determinant(of_any_kind: bool) -> None:
    generator = random.Random(7)
    for _ in range(300):
        model = random_model(generator, of_any_kind=of_any_kind)
        native = NativeGeometry(model)
        native.move_to(random_posture(generator, model), random_place(generator))
        for tool in range(len(model.tools)):
            J = jacobian(model, native, tool)
            gram = J @ J.T if J.shape[1] >= 6 else J.T @ J
            assert native.manipulability(tool) ** 2 == pytest.approx(np.linalg.det(gram), rel=1e-6, abs=1e-13)


def wrist(*rotations: Matrix, tool_link: str, tool_m: Vector = (0.0, 0.0, 0.0)) -> NativeGeometry:
    """Joints "0", "1", ... on each other, all with the same origin."""
    names = [str(i) for i in range(len(rotations))]
    joints = tuple(
        KinematicJoint(name=name, parent=parent, rotation=rotation, offset_m=(0.0, 0.0, 0.0))
        for name, parent, rotation in zip(names, [BASE, *names], rotations, strict=False)
    )
    body = Capsule(name="body", link=names[-1], a_m=(0.0, 0.0, 0.0), b_m=(0.0, 0.0, 0.1), radius_m=0.1)
    tool = ToolPoint(link=tool_link, point_m=tool_m)
    return NativeGeometry(GeometryModel(joints=joints, capsules=(body,), pairs=(), tools=(tool,)))


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
