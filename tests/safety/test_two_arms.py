"""Two arms on one body are kept apart, link by link, and what a gripper's joints move is inside its capsules: judged by
MuJoCo, on the description's own shapes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety import Kernel, Reason, State
from edge_runtime.safety.kinematics import BASE, Compiled, HeldJoint, compile_file, watched_body
from tests.safety.geometry_robot import NativeGeometry
from tests.safety.robot import Robot, make_config
from tests.safety.two_arms import JAW_MJCF, RealBody, table_arms_mjcf, two_arms_urdf

CLEARANCE_M = 0.01
STEP_RAD = 2e-3
TABLE_JOINTS = tuple(
    f"{side}_{name}"
    for side in ("left", "right")
    for name in ("waist", "shoulder", "elbow", "forearm", "wrist", "roll")
)
Arms = tuple[Path, Compiled, tuple[float, ...]]


def arms_of(folder: Path, kind: str) -> Arms:
    if kind == "urdf":
        home = (0.0, -1.0, 1.2, 0.0, 0.5, 0.0) * 2
        path = two_arms_urdf(folder)
        return path, compile_file(path, None, home, "left_6_link"), home
    home = (0.0, -0.96, 1.16, 0.0, -0.3, 0.0) * 2
    path = table_arms_mjcf(folder)
    return path, compile_file(path, TABLE_JOINTS, home, "left_hand"), home


@pytest.fixture(scope="module", params=["urdf", "mjcf"])
def arms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Arms:
    """A robot of two arms: 12 joints, 16 or 17 capsules; in one of them fingers slide."""
    return arms_of(tmp_path_factory.mktemp("arms"), request.param)


def armed(compiled: Compiled, home: tuple[float, ...]) -> Robot:
    limits = [joint.limits for joint in compiled.model.joints]
    config = make_config(
        len(limits),
        axis_names=compiled.model.axis_names,
        q_min=tuple(one.position_min_rad for one in limits),
        q_max=tuple(one.position_max_rad for one in limits),
        geometry=compiled.model,
        clearance_min_m=CLEARANCE_M,
    )
    robot = Robot(Kernel(config), home)
    robot.arm()
    return robot


def steps_to(robot: Robot, goal: np.ndarray) -> Iterator[list[float]]:
    """Setpoints as a policy gives them: straight on from the last one, 2 mrad each."""
    at = np.array(robot.q)
    while (left := np.abs(goal - at).max()) > 0.0:
        at = at + (goal - at) * min(1.0, STEP_RAD / left)
        yield at.tolist()


def overlapping_goals(arms: Arms, real: RealBody, count: int, by_m: float, seed: int) -> Iterator[np.ndarray]:
    """Postures in which one arm is inside the other, near enough to home to be asked for."""
    _, compiled, home = arms
    names = compiled.model.axis_names
    generator = np.random.default_rng(seed)
    limits = [joint.limits for joint in compiled.model.joints]
    low, high = (np.array([getattr(one, end) for one in limits]) for end in ("position_min_rad", "position_max_rad"))
    between = [
        pair
        for pair in real.moving_pairs()
        if {real.model.geom(g).bodyid[0] for g in pair} and _sides(real, pair) == {"left", "right"}
    ]
    while count:
        goal = np.clip(np.array(home) + generator.uniform(-1.6, 1.6, len(home)), low, high)
        real.move_to(names, goal)
        if real.nearest_m(between, 0.1) < -by_m:
            count -= 1
            yield goal


def _sides(real: RealBody, pair: tuple[int, int]) -> set[str]:
    return {real.model.body(int(real.model.geom_bodyid[geom])).name.split("_")[0] for geom in pair}


def test_arms_that_are_told_to_pass_through_each_other_do_not(arms: Arms) -> None:
    """Two milliradians a tick from home into postures in which MuJoCo finds one arm 20 mm and more inside the other."""
    path, compiled, home = arms
    real = RealBody(path)
    pairs = real.moving_pairs()
    slides = [name for name in ("left_slide1", "left_slide2", "right_slide1", "right_slide2") if "mjcf" in path.name]
    generator = random.Random(2)
    held = 0
    for number, goal in enumerate(overlapping_goals(arms, real, 24, 0.02, 1)):
        robot = armed(compiled, home)
        seen = Reason(0)
        for tick, setpoint in enumerate([*steps_to(robot, goal), *[goal.tolist()] * 400]):
            verdict = robot.step(setpoint)
            seen |= verdict.reasons
            if tick % 8 == 0:
                real.move_to(robot.kernel.config.axis_names, verdict.q)
                real.move_to(slides, [generator.uniform(0.0, 0.03) for _ in slides])
                found_m = real.nearest_m(pairs, 0.1)
                assert found_m >= CLEARANCE_M - 1e-6, (number, tick, verdict.q)
        assert verdict.state is State.ACTIVE
        held += Reason.LIMIT_GEOMETRY in seen
    assert held == 24, "each of them was asked for what may not be"


def test_noise_and_jumps_bring_no_link_near_another(arms: Arms) -> None:
    path, compiled, home = arms
    real = RealBody(path)
    pairs = real.moving_pairs()
    generator = np.random.default_rng(5)
    robot = armed(compiled, home)
    names = robot.kernel.config.axis_names
    goal = np.array(home)
    nearest_m = math.inf
    for tick in range(12_000):
        if tick % 500 == 0:
            goal = np.array(home) + generator.uniform(-2.0, 2.0, len(home))
        setpoint = goal + (generator.normal(0.0, 0.3, len(home)) if tick // 2000 % 2 else 0.0)
        verdict = robot.step(setpoint.tolist())
        if tick % 8 == 0:
            real.move_to(names, verdict.q)
            nearest_m = min(nearest_m, real.nearest_m(pairs, 0.1))
    assert CLEARANCE_M - 1e-6 <= nearest_m < 0.04


def test_every_pair_is_watched_or_proved_or_a_neighbour(arms: Arms) -> None:
    _, compiled, _ = arms
    file = compiled.file
    assert not file.near
    assert not file.inseparable
    links = {one.name: one.link for one in file.capsules}
    parents = {joint.name: joint.parent for joint in file.joints}
    for one, other in file.neighbours:
        assert parents.get(links[one]) == links[other] or parents.get(links[other]) == links[one]
    # Nothing between the arms is left out but what random postures confirm to be far.
    native = NativeGeometry(
        compiled.model.__class__(joints=file.joints, capsules=file.capsules, pairs=file.apart, tools=file.tool_points)
    )
    generator = random.Random(3)
    ends = [(joint.limits.position_min_rad or 0.0, joint.limits.position_max_rad or 0.0) for joint in file.joints]
    for _ in range(3000):
        native.move_to([generator.uniform(*end) for end in ends])
        assert min(native.clearance()[1]) > CLEARANCE_M


def test_what_a_jaw_turns_is_inside_the_capsules_at_every_opening(tmp_path: Path) -> None:
    path = tmp_path / "jaw.xml"
    path.write_text(JAW_MJCF, encoding="utf-8")
    compiled = compile_file(path, ("pan", "lift", "roll"), tool="gripper")
    assert compiled.file.held == (
        HeldJoint(name="jaw", covered=True, low=-1.75, high=0.17),
        HeldJoint(name="tip", covered=True, low=-0.2, high=1.2),
        HeldJoint(name="pad", covered=True, low=0.0, high=0.01, unit="m"),
        HeldJoint(name="beacon", covered=False),
    )
    assert "joint beacon is not controlled: held at 0 rad; its motion is not covered" in compiled.notes
    assert "joint jaw is not controlled: covered from -1.75 to 0.17 rad" in compiled.notes
    real, native = RealBody(path), NativeGeometry(compiled.model)
    capsules = {one.name: one for one in compiled.model.capsules}
    generator = random.Random(4)
    farthest_m = 0.0
    for _ in range(400):
        openings = {
            name: generator.choice((low, high, generator.uniform(low, high)))
            for name, low, high in (("jaw", -1.75, 0.17), ("tip", -0.2, 1.2), ("pad", 0.0, 0.01))
        }
        q = [generator.uniform(-1.7, 1.7) for _ in range(3)]
        real.move_to([*compiled.model.axis_names, *openings], [*q, *openings.values()])
        native.move_to(q)
        rotations, origins_m = native.pose()
        for name in openings:
            one = capsules[name]
            assert one.link == "roll"
            rotation, origin_m = np.reshape(rotations[2], (3, 3)), np.array(origins_m[2])
            a, b = (rotation @ end + origin_m for end in (one.a_m, one.b_m))
            points = real.surface(real.model.geom(name).id)
            t = np.clip((points - a) @ (b - a) / max((b - a) @ (b - a), 1e-12), 0.0, 1.0)
            out_m = float((np.linalg.norm(points - a - t[:, None] * (b - a), axis=1) - one.radius_m).max())
            farthest_m = max(farthest_m, out_m)
    assert farthest_m <= 1e-9
    # Not wasteful either: the jaw of 8 cm turns by 110 degrees.
    assert capsules["jaw"].radius_m < 0.09


def spoiled(change: Callable[[str], str], folder: Path) -> Compiled:
    path = two_arms_urdf(folder)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    return compile_file(path, None, (0.0, -1.0, 1.2, 0.0, 0.5, 0.0) * 2, "left_6_link")


def test_links_that_are_near_at_home_are_kept_from_coming_nearer(tmp_path: Path) -> None:
    """Capsules that overlap by some millimetres at home may move, but not further into each other."""
    home = (0.0, -1.0, 1.2, 0.0, 0.5, 0.0) * 2
    thin, thick = 'radius="0.035" length="0.16"', 'radius="0.06" length="0.22"'
    compiled = spoiled(lambda text: text.replace(thin, thick), tmp_path)
    near = {near.pair: near.at_least_m for near in compiled.file.near}
    pair = ("left_2_link", "left_4_link")
    native = NativeGeometry(compiled.model)
    number = compiled.model.pairs.index(pair)

    def distance_m(q: Sequence[float]) -> float:
        native.move_to(list(q))
        return native.clearance()[1][number] - native.model.pair_nearer_m[number]

    assert distance_m(home) < 0.0
    assert near[pair] == pytest.approx(distance_m(home) - 0.002, abs=1e-6)
    folded = np.array([0.0, -1.0, 2.4, *home[3:]])
    assert distance_m(folded) < near[pair] - 0.01
    robot = armed(compiled, home)
    found_m = [distance_m(robot.step(setpoint).q) for setpoint in steps_to(robot, folded)]
    assert near[pair] - 1e-9 <= min(found_m) < near[pair] + 0.002
    # Back home nothing is in the way.
    for _ in range(2000):
        verdict = robot.step(home)
    assert verdict.q == pytest.approx(home, abs=1e-9)


def test_links_inside_each_other_need_a_persons_word(tmp_path: Path) -> None:
    """Middle lines that cross leave no distance to watch: refused, with the line that a person has to write."""
    rod = '<cylinder radius="0.045" length="0.06"/>'
    compiled = spoiled(lambda text: text.replace(rod, '<cylinder radius="0.045" length="0.8"/>'), tmp_path)
    pair = ("left_3_link", "left_5_link")
    assert pair in compiled.file.inseparable
    assert any("left_3_link and left_5_link overlap at home so deep" in note for note in compiled.notes)
    with pytest.raises(ConfigError, match=r'may_touch = \[\["left_3_link", "left_5_link"\]\]') as caught:
        watched_body(compiled.file)
    assert caught.value.key == "geometry.may_touch"
    model = watched_body(compiled.file, CLEARANCE_M, compiled.file.inseparable)
    assert not set(compiled.file.inseparable) & set(model.pairs)
    assert {one.link for one in model.capsules} - {BASE}


FOLDED = """
<mujoco><compiler angle="radian"/><worldbody><body name="frame"><geom type="box" size="0.05 0.05 0.03"/>
<body name="upper" pos="0 0 0.2"><joint name="j1" type="hinge" axis="0 1 0" range="-2 2"/>
<geom type="capsule" size="0.03" fromto="0 0 0 0 0 0.2"/>
<body name="fore" pos="0.06 0 0.35"><joint name="j2" type="hinge" axis="0 1 0" range="-3.1 3.1"/>
<geom type="sphere" size="0.05" pos="0 0 0.3"/></body></body></body></worldbody></mujoco>
"""


def test_neighbours_that_overlap_far_from_their_joint_are_not_let_go(tmp_path: Path) -> None:
    """A folded arm rests its end on the link before: at home they touch, and a joint is no reason for that."""
    path = tmp_path / "folded.xml"
    path.write_text(FOLDED, encoding="utf-8")
    file = compile_file(path, ("j1", "j2"), (0.0, -2.667)).file
    assert ("upper", "fore") not in file.neighbours
    (near,) = (near for near in file.near if set(near.pair) == {"upper", "fore"})
    assert not near.proved
    assert -0.01 < near.at_least_m < 0.0
