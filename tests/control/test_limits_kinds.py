"""Robots of every shape reach the kernel: each axis as what it is, held to its own limits, in the robot's own order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.control.limits import kernel_config
from edge_runtime.safety import AxisKind, Kernel, KernelConfig, Measurement, Request, Result, State
from edge_runtime.safety.kinematics import Capsule, GeometryModel, KinematicJoint, ToolPoint, write_kinematics
from edge_runtime.testing.other_robots import OTHER_ROBOTS, safety_toml, write_settings
from tests.safety.geometry_robot import UPRIGHT, file_of

MOBILE = OTHER_ROBOTS["mobile_manipulator"]
CONTINUOUS = OTHER_ROBOTS["continuous_arm"]
_WALL = '[[geometry.half_spaces]]\nname = "wall"\nnormal = [-1.0, 0.0, 0.0]\noffset_m = -3.0\n'


def config_of(folder: Path, robot: Embodiment, extra: str = "", pattern: str = "", text: str = "") -> RobotConfig:
    return load_config(write_settings(folder, robot, safety=safety_toml(robot).replace(pattern, text) + extra))


def held(config: RobotConfig) -> KernelConfig:
    return kernel_config(config.safety, config.embodiment)


@pytest.mark.parametrize("name", OTHER_ROBOTS)
def test_every_axis_arrives_as_what_it_is(tmp_path: Path, name: str) -> None:
    robot = OTHER_ROBOTS[name]
    config = config_of(tmp_path, robot)
    kernel = held(config)
    assert kernel.axis_names == robot.axis_names
    assert kernel.joint_digest == robot.joint_digest
    assert kernel.digest.hex() == config.safety.digest
    for i, axis in enumerate(robot.axes):
        limits = config.safety.axes[axis.name]
        kind = kernel.axis_kinds[i]
        assert (kind is AxisKind.GRIPPER, kind is AxisKind.VELOCITY) == (axis.is_gripper, axis.is_velocity)
        assert (kind is AxisKind.CONTINUOUS) == (not axis.has_range)
        if axis.has_range:
            assert (kernel.q_min[i], kernel.q_max[i]) == (limits.low, limits.high)
        else:
            assert (kernel.q_min[i], kernel.q_max[i]) == (-1e5, 1e5)
        if limits.speed_max is not None:
            assert kernel.dq_max[i] == pytest.approx(0.9 * axis.speed_max)
        if not axis.is_gripper:
            assert (kernel.ddq_max[i], kernel.dddq_max[i]) == (axis.acceleration_max, axis.jerk_max)
            assert (kernel.rest_speed[i], kernel.step_max[i]) == (limits.rest_speed, limits.setpoint_step_max)
            assert kernel.tau_max[i] == (1e6 if axis.is_velocity else axis.effort_max)


@pytest.mark.parametrize("name", OTHER_ROBOTS)
@pytest.mark.parametrize("end", [-1, 1])
def test_arming_tolerates_the_end_of_a_range_of_any_kind_and_no_more(tmp_path: Path, name: str, end: int) -> None:
    kernel = held(config_of(tmp_path, OTHER_ROBOTS[name]))
    for i, axis in enumerate(OTHER_ROBOTS[name].axes):
        if axis.is_velocity:
            continue
        for share, armed in ((0.9, True), (1.1, not axis.has_range)):
            beyond = share * kernel.of_axes("start_tolerance")[i]
            outside = (kernel.q_max[i] + beyond if end > 0 else kernel.q_min[i] - beyond) if axis.has_range else 100.0
            assert (answer(kernel, i, outside) is Result.DONE) == armed, (axis.name, outside)


def answer(config: KernelConfig, index: int, value: float) -> Result:
    """What the kernel says to arming with one axis measured there, and the others in their middle."""
    ends = zip(config.axis_kinds, config.q_min, config.q_max, strict=True)
    measured = [0.5 * (low + high) if kind is not AxisKind.VELOCITY else 0.0 for kind, low, high in ends]
    measured[index] = value
    kernel = Kernel(config)
    sample = Measurement(stamp_ns=10**9, seq=1, q=measured, dq=(0.0,) * len(measured))
    kernel.step(sample, None, 10**9)
    return kernel.request(Request.ARM, replace(sample, seq=2), 10**9)


@pytest.mark.parametrize(
    ("name", "gripper", "measured"),
    [
        *(("mobile_manipulator", "gripper", value) for value in (50.0, 1.7, -0.01, 0.5)),
        *(("jaw_arm", "gripper", value) for value in (50.0, 100.0, -0.2, 1.8)),
        *(("continuous_arm", "suction", value) for value in (100.0, -1.0, 1.02)),
        *(("two_arms_6", "left_gripper", value) for value in (80.0, -0.01)),
    ],
)
def test_a_gripper_that_is_measured_in_another_unit_is_not_armed(
    tmp_path: Path, name: str, gripper: str, measured: float
) -> None:
    robot = OTHER_ROBOTS[name]
    said = answer(held(config_of(tmp_path, robot)), robot.index_of(gripper), measured)
    assert said is Result.REFUSED_OUTSIDE_LIMITS


def test_a_binary_gripper_may_switch_within_a_tick(tmp_path: Path) -> None:
    kernel = held(config_of(tmp_path, CONTINUOUS))
    suction = CONTINUOUS.index_of("suction")
    assert kernel.dq_max[suction] * kernel.tick_ns * 1e-9 >= 1.0


def test_a_jaw_that_closes_upwards_is_told_so(tmp_path: Path) -> None:
    robot = OTHER_ROBOTS["jaw_arm"]
    assert held(config_of(tmp_path, robot)).closes_up == (False,) * 6
    (arm,) = robot.groups
    jaw = msgspec.structs.replace(robot.grippers[0], closed_rad=1.75, open_rad=-0.17)
    turned = msgspec.structs.replace(robot, groups=(msgspec.structs.replace(arm, axes=(*arm.axes[:-1], jaw)),))
    kernel = held(config_of(tmp_path, turned))
    assert kernel.closes_up == (*(False,) * 5, True)
    assert (kernel.q_min[5], kernel.q_max[5]) == (-0.17, 1.75)


def test_axes_of_a_base_are_known_by_what_they_do(tmp_path: Path) -> None:
    assert held(config_of(tmp_path, MOBILE)).base_axes == (0, None, 1)
    assert held(config_of(tmp_path, CONTINUOUS)).base_axes == (None, None, None)


def test_a_posture_by_name_leaves_grippers_and_base(tmp_path: Path) -> None:
    home = {axis.name: axis.home for axis in MOBILE.axes if not (axis.is_gripper or axis.is_velocity)}
    posture = ", ".join(f"{name} = {value}" for name, value in reversed(home.items()))
    kernel = held(config_of(tmp_path, MOBILE, f"\n[fallback]\nretract = {{ {posture} }}\n"))
    assert kernel.retract[2:9] == tuple(home.values())


def test_speed_near_an_end_arrives(tmp_path: Path) -> None:
    near = "[joints.joint1]\nvelocity_near_max = { slope = 12.0, offset = 0.3, zero = 2.6 }"
    kernel = held(config_of(tmp_path, MOBILE, pattern="[joints.joint1]", text=near))
    joint1 = MOBILE.index_of("joint1")
    assert kernel.end_speed_max[joint1] == (12.0, 0.3, 2.6)
    assert [one for one in (*kernel.end_speed_min, *kernel.end_speed_max) if one is not None] == [(12.0, 0.3, 2.6)]
    with pytest.raises(ConfigError, match="end_speed"):
        held(config_of(tmp_path, MOBILE, pattern="[joints.joint1]", text=near.replace("2.6", "1e9")))


def test_force_holds_at_every_sensor_and_jams_are_counted_in_ticks(tmp_path: Path) -> None:
    kernel = held(
        config_of(
            tmp_path, MOBILE, "\n[contact]\nforce_max_n = 30.0\n", "feedback", "gripper_jam_after_s = 2.5\nfeedback"
        )
    )
    assert kernel.of_tools("force_max_n") == (30.0,) * 4
    assert kernel.jam_ticks == 2500


def lift_body() -> GeometryModel:
    """A lift that carries an arm of six joints, with a tool at its end and one in its middle."""
    names = ["lift", *(f"joint{i}" for i in range(1, 7))]
    joints = tuple(
        KinematicJoint(
            name=name,
            parent=parent,
            rotation=UPRIGHT,
            offset_m=(0.1, 0.0, 0.1),
            kind="prismatic" if name == "lift" else "revolute",
            extent_m=0.6 if name == "lift" else None,
        )
        for parent, name in zip([None, *names], names, strict=False)
    )
    capsule = Capsule(name="hand", link="joint6", a_m=(0.0, 0.0, 0.0), b_m=(0.1, 0.0, 0.0), radius_m=0.05)
    tools = tuple(ToolPoint(name=name, link=name, point_m=(0.1, 0.0, 0.0)) for name in ("joint6", "joint3"))
    return GeometryModel(joints=joints, capsules=(capsule,), pairs=(), tools=tools)


@pytest.mark.parametrize("odometry", [False, True])
def test_a_body_on_a_base_moves_with_it_or_not(tmp_path: Path, odometry: bool) -> None:
    write_kinematics(tmp_path / "body.toml", file_of(lift_body()), [])
    geometry = f'\n[geometry]\nkinematics = "body.toml"\nodometry = {str(odometry).lower()}\n'
    geometry += f"tool_speed_max_m_s = 0.8\ntool_speeds_m_s = {{ joint3 = 0.4 }}\n{_WALL}"
    kernel = held(config_of(tmp_path, MOBILE, geometry))
    assert kernel.tool_speed_max_m_s == (0.8, 0.4)
    assert kernel.has_odometry == kernel.needs_odometry == odometry
    native = kernel.to_native().geometry
    assert (native.n_axes, native.n_joints, native.has_base) == (10, 7, odometry)
    assert [native.joints[i].axis for i in range(7)] == list(range(2, 9))
    assert (native.joints[0].slides, native.joints[1].slides) == (1, 0)


def test_a_robot_on_a_base_whose_place_is_known_stops_when_it_is_not(tmp_path: Path) -> None:
    write_kinematics(tmp_path / "body.toml", file_of(lift_body()), [])
    config = config_of(tmp_path, MOBILE, f'\n[geometry]\nkinematics = "body.toml"\nodometry = true\n{_WALL}')
    kernel = Kernel(held(config))
    start = Measurement(stamp_ns=10**9, seq=1, q=(0.0, 0.0, *MOBILE.home[2:]), dq=(0.0,) * 10, odometry=(0.0, 0.0, 0.0))
    kernel.step(start, None, 10**9)
    assert kernel.request(Request.ARM, start, 10**9) is Result.DONE
    blind = replace(start, seq=2, stamp_ns=10**9 + 10**6, odometry=None)
    assert kernel.step(blind, None, 10**9 + 10**6).state in (State.STOPPING, State.FAULT)
