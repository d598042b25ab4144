"""A tool moved by hand: straight along an axis, turned about one, by the arm that carries it and no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.client.jog_tool import DIRECTIONS, target_of
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.axes import AnyGripper
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import (
    JOG_SPEED_MAX,
    AxisSpeeds,
    AxisTargets,
    AxisUnit,
    JogCommand,
    JogFrame,
    ToolSpeed,
    ToolTarget,
)
from edge_runtime.control.jog_source import JogSource, Motion
from edge_runtime.control.limits import kernel_config
from edge_runtime.control.tool_motion import ToolMotion, rotation_vector
from edge_runtime.safety import KernelConfig
from edge_runtime.safety.kinematics import Capsule, GeometryModel, KinematicJoint, ToolPoint
from edge_runtime.testing.other_robots import OTHER_ROBOTS, jaw_arm, mobile_manipulator, two_arms, write_settings

NOW_NS = 5_000_000_000
VALID_NS = 200_000_000
STEP_NS = 10_000_000
TWO = two_arms(6)
BENT = np.array([0.7, 0.2, 1.4, -0.2, 1.5, -0.3, 0.08] * 2)
ALONG_Z, ALONG_Y = (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0), (1.0, 0, 0, 0, 0, 1.0, 0, -1.0, 0)
# Seen from the joint before: a turn of a quarter about x, forth or back, so that axes alternate as an arm's do.
ARM = (
    ((0.0, 0.0, 0.15), ALONG_Z),
    ((0.0, 0.0, 0.1), ALONG_Y),
    ((0.0, -0.35, 0.0), ALONG_Z),
    ((0.0, -0.15, 0.05), (1.0, 0, 0, 0, 0, -1.0, 0, 1.0, 0)),
    ((0.0, 0.0, 0.2), ALONG_Y),
    ((0.0, -0.1, 0.0), (1.0, 0, 0, 0, 0, -1.0, 0, 1.0, 0)),
)


def body(names: tuple[str, ...], axes: tuple[str, ...], stands_m: tuple[float, ...] = (0.0,)) -> GeometryModel:
    """Arms of up to six joints side by side, each with a tool of the name that comes before the underscore."""
    joints, tools = [], []
    of_one = len(names) // len(stands_m)
    for arm, stands in enumerate(stands_m):
        carried_by = None
        chain = names[arm * of_one : (arm + 1) * of_one]
        for name, (offset_m, rotation) in zip(chain, ARM, strict=False):
            offset_m = (offset_m[0], offset_m[1] + stands, offset_m[2]) if carried_by is None else offset_m
            joints.append(KinematicJoint(name=name, rotation=rotation, offset_m=offset_m, parent=carried_by))
            carried_by = name
        side = chain[0].rpartition("_")[0] or "tool"
        tools.append(ToolPoint(name=side, point_m=(0.02, 0.0, 0.1), link=carried_by))
    ball = Capsule(name="ball", a_m=(0.0, 0.0, 0.0), b_m=(0.0, 0.0, 0.05), radius_m=0.03, link=joints[-1].name)
    model = GeometryModel(joints=tuple(joints), capsules=(ball,), pairs=(), tools=tuple(tools))
    return model.with_axes(axes)


def two_arms_body() -> GeometryModel:
    names = tuple(axis.name for axis in TWO.axes if not axis.is_gripper)
    return body(names, TWO.axis_names, (0.3, -0.3))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> KernelConfig:
    settings = load_config(write_settings(tmp_path_factory.mktemp("two"), TWO))
    return replace(kernel_config(settings.safety, settings.embodiment), geometry=two_arms_body())


def command(motion: Any, **changes: object) -> JogCommand:
    fields: dict[str, Any] = {
        "session": 7,
        "sequence": 1,
        "stamp_ns": NOW_NS,
        "valid_ns": VALID_NS,
        "joint_digest": TWO.joint_digest,
        "motion": motion,
        **changes,
    }
    return JogCommand(**fields)


def source_of(config: KernelConfig) -> JogSource:
    source = JogSource(TWO, config)
    source.begin(7)
    return source


def followed(source: JogSource, motion: Any, q: NDArray[np.float64], steps: int) -> list[NDArray[np.float64]]:
    """Where the axes are commanded to be after each of so many steps, as if every command were said again and again."""
    position, speed, now_ns, rows = q.copy(), np.zeros(len(q)), NOW_NS, [q.copy()]
    for number in range(1, steps + 1):
        asked = command(motion, sequence=number, stamp_ns=now_ns, valid_ns=2 * STEP_NS)
        assert source.take(asked, now_ns) is None
        _, knots = source.plan(asked, Motion(position, speed), now_ns)
        position, speed, now_ns = knots[2], (knots[2] - knots[1]) / 0.01, now_ns + STEP_NS
        rows.append(position)
    return rows


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("frame", list(JogFrame))
def test_a_tool_goes_straight_or_turns_on_the_spot_and_no_other_arm_moves(
    config: KernelConfig, side: str, direction: str, frame: JogFrame
) -> None:
    source, tools = source_of(config), ToolMotion(two_arms_body(), TWO)
    number = tools.names.index(side)
    q = BENT
    (tool,) = [one for one in source.tools(q, q) if one.name == side]
    way = 0.03 if len(direction) == 1 else 0.2
    target = target_of(tool, direction, way, frame, JOG_SPEED_MAX)
    rows = followed(source, target, q, 300)
    before, after = tools.pose(number, q), tools.pose(number, rows[-1])
    assert np.allclose(after.position_m, target.position_m, atol=2e-4)
    assert np.linalg.norm(rotation_vector(np.array(target.rotation) @ after.rotation.T)) < 1e-3
    others = [i for i, name in enumerate(TWO.axis_names) if not name.startswith(side) or name.endswith("gripper")]
    assert (rows[-1][others] == q[others]).all(), "the other arm and the grippers stand still"
    wanted = np.array(target.position_m) - before.position_m
    line = wanted / np.linalg.norm(wanted) if np.linalg.norm(wanted) > 0.0 else np.zeros(3)
    for row in rows:
        off = tools.pose(number, row).position_m - before.position_m
        assert np.linalg.norm(off - line * (off @ line)) < 1e-3, "on the straight line, or on the spot"
    speeds = np.abs(np.diff(rows, axis=0)) / 0.01
    assert (speeds <= JOG_SPEED_MAX * np.array(config.dq_max) * 1.001).all(), "no axis is faster than anybody jogs"


def test_a_tool_keeps_its_speed_while_it_is_told_to_move(config: KernelConfig) -> None:
    source, tools = source_of(config), ToolMotion(two_arms_body(), TWO)
    motion = ToolSpeed(tool="left", frame=JogFrame.BASE, linear_m_s=(0.0, 0.0, -0.05), angular_rad_s=(0.0, 0.0, 0.0))
    rows = followed(source, motion, BENT, 120)
    places = np.array([tools.pose(tools.names.index("left"), row).position_m for row in rows[60:]])
    assert np.diff(places, axis=0) / 0.01 == pytest.approx(np.tile([0.0, 0.0, -0.05], (60, 1)), abs=2e-3)


def test_near_a_singular_posture_the_axes_slow_down_instead_of_racing() -> None:
    robot = TWO
    tools = ToolMotion(two_arms_body(), robot)
    stretched = np.zeros(len(robot.axes))
    speeds = tools.axis_speeds(0, stretched, np.array([0.0, 0.0, 0.1]), np.array([0.5, 0.5, 0.5]))
    assert np.isfinite(speeds).all()
    assert np.abs(speeds).max() < 20.0


def test_an_arm_of_five_joints_goes_straight_and_turns_as_little_as_it_can() -> None:
    robot = jaw_arm()
    joints = tuple(axis.name for axis in robot.axes if not axis.is_gripper)
    tools = ToolMotion(body(joints, robot.axis_names), robot)
    q = np.array([0.1, 0.5, -0.7, 0.4, 0.2, 0.0])
    for way in np.eye(3):
        speeds = tools.axis_speeds(0, q, 0.05 * way, np.zeros(3))
        moved = tools.pose(0, q + 1e-4 * speeds).position_m - tools.pose(0, q).position_m
        assert moved / 1e-4 == pytest.approx(0.05 * way, abs=1e-4)


ZERO = (0.0, 0.0, 0.0)
EYE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@pytest.mark.parametrize(
    ("motion", "refusal"),
    [
        (ToolSpeed(tool="third", frame=JogFrame.BASE, linear_m_s=ZERO, angular_rad_s=ZERO), Refusal.UNKNOWN_AXIS),
        (ToolTarget(tool="third", position_m=ZERO, rotation=EYE, speed_scale=0.1), Refusal.UNKNOWN_AXIS),
        (ToolTarget(tool="left", position_m=ZERO, rotation=(ZERO, ZERO, ZERO), speed_scale=0.1), Refusal.OUT_OF_RANGE),
        (
            ToolSpeed(tool="left", frame=JogFrame.TOOL, linear_m_s=(0.2, 0.2, 0.2), angular_rad_s=ZERO),
            Refusal.OUT_OF_RANGE,
        ),
        (
            ToolSpeed(tool="left", frame=JogFrame.TOOL, linear_m_s=ZERO, angular_rad_s=(0.0, 0.6, 0.0)),
            Refusal.OUT_OF_RANGE,
        ),
    ],
)
def test_what_no_tool_can_do_is_refused_by_name(config: KernelConfig, motion: Any, refusal: Refusal) -> None:
    refused = source_of(config).take(command(motion), NOW_NS)
    assert refused is not None
    assert refused.refusal is refusal


def test_a_robot_without_kinematics_has_no_tool(config: KernelConfig) -> None:
    source = source_of(replace(config, geometry=None))
    assert source.tools(np.zeros(14), np.zeros(14)) == ()
    motion = ToolTarget(tool="left", position_m=ZERO, rotation=EYE, speed_scale=0.1)
    refused = source.take(command(motion), NOW_NS)
    assert refused is not None
    assert "no kinematics file" in refused.detail


def test_a_base_is_jogged_by_its_speed_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    robot = mobile_manipulator()
    settings = load_config(write_settings(tmp_path_factory.mktemp("mobile"), robot))
    source = JogSource(robot, kernel_config(settings.safety, settings.embodiment))
    source.begin(7)
    units = {axis.name: (axis.unit, axis.group) for axis in source.axes(np.zeros(10), np.zeros(10))}
    assert units["base_x"] == (AxisUnit.M_S, "base")
    assert units["base_yaw"] == (AxisUnit.RAD_S, "base")
    assert units["lift"] == (AxisUnit.M, "torso")
    refused = source.take(
        command(AxisTargets(targets={"base_x": 0.1}, speed_scale=0.1), joint_digest=robot.joint_digest), NOW_NS
    )
    assert refused is not None
    assert "jogged by its speed alone" in refused.detail
    asked = command(AxisSpeeds(speeds={"base_x": 0.1}), joint_digest=robot.joint_digest)
    assert source.take(asked, NOW_NS) is None
    i = robot.index_of("base_x")
    _, knots = source.plan(asked, Motion(np.array(robot.home), np.zeros(10)), NOW_NS)
    assert knots[-1, i] == pytest.approx(min(0.1, min(0.3 * 1.0, 20.0 * 0.01) * VALID_NS * 1e-9)), (
        "its velocity, softly"
    )
    assert (np.delete(knots, i, axis=1) == np.delete(np.array(robot.home), i)).all()


@pytest.mark.parametrize("name", sorted(OTHER_ROBOTS))
def test_every_axis_of_every_robot_can_be_jogged_by_name(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    robot = OTHER_ROBOTS[name]
    settings = load_config(write_settings(tmp_path_factory.mktemp(name), robot))
    source = JogSource(robot, kernel_config(settings.safety, settings.embodiment))
    source.begin(7)
    home = np.array(robot.home)
    for i, axis in enumerate(robot.axes):
        source.begin(7)
        closes_down = isinstance(axis, AnyGripper) and axis.open == axis.high
        speed = 0.1 * min(axis.speed_max, 10.0) * (-1.0 if closes_down else 1.0)
        asked = command(AxisSpeeds(speeds={axis.name: speed}), joint_digest=robot.joint_digest)
        assert source.take(asked, NOW_NS) is None
        _, knots = source.plan(asked, Motion(home, np.zeros(len(home))), NOW_NS)
        assert (knots[-1, i] - home[i]) * speed > 0.0, axis.name
        assert (np.delete(knots, i, axis=1) == np.delete(home, i)).all()
