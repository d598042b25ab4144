"""From safety.toml and the kinematics file to the kernel's config: everything arrives, and all of it is hashed."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path

import pytest

from edge_runtime.config.robot_file import SIM_CONFIG, RobotConfig, load_config
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.control.limits import kernel_config
from edge_runtime.safety import AxisKind, Kernel, KernelConfig, Reason, State
from edge_runtime.safety.kinematics import (
    BASE,
    Capsule,
    GeometryModel,
    KinematicJoint,
    SourceLimits,
    ToolPoint,
    write_kinematics,
)
from tests.safety.geometry_robot import file_of
from tests.safety.robot import Robot
from tests.settings import copy_settings, problem_of, replace

_GEOMETRY = """
[geometry]
kinematics = "body.toml"
clearance_min_m = 0.02
tool_speed_max_m_s = 0.8

[geometry.workspace]
min_m = [-1.0, -1.0, 0.0]
max_m = [1.0, 1.0, 3.0]

[[geometry.half_spaces]]
name = "wall"
normal = [0.0, 3.0, 4.0]
offset_m = -2.0

[[geometry.keep_out]]
name = "pole"
min_m = [0.5, 0.5, 0.0]
max_m = [0.5, 0.5, 1.0]
radius_m = 0.1

"""


def body(velocity_max_rad_s: float = 3.0) -> GeometryModel:
    """Seven joints stacked on each other, each with a link of 30 cm; the limit is the first one's."""
    names = [BASE, *(f"joint{i}" for i in range(1, 8))]
    tilt = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0)
    limits = {"joint1": SourceLimits(velocity_max_rad_s=velocity_max_rad_s)}
    return GeometryModel(
        joints=tuple(
            KinematicJoint(
                name=name,
                parent=parent,
                rotation=tilt,
                offset_m=(0.0, 0.0, 0.3),
                limits=limits.get(name, SourceLimits()),
            )
            for parent, name in itertools.pairwise(names)
        ),
        capsules=tuple(
            Capsule(name=name, link=name, a_m=(0.0, 0.0, 0.0), b_m=(0.0, 0.0, 0.3), radius_m=0.05) for name in names[1:]
        ),
        pairs=(("joint1", "joint7"),),
        tools=(ToolPoint(link="joint7", point_m=(0.0, 0.0, 0.3)),),
    )


@pytest.fixture
def robot(tmp_path: Path) -> Path:
    """The path of a robot.toml whose robot has the body above, for a test to spoil."""
    path = copy_settings(tmp_path)
    safety = tmp_path / "safety.toml"
    plain = re.sub(r"^\[geometry\](.|\n)*?(?=^\[joints)", "", safety.read_text(encoding="utf-8"), flags=re.MULTILINE)
    safety.write_text(plain + _GEOMETRY, encoding="utf-8")
    write_kinematics(tmp_path / "body.toml", file_of(body()), ["by hand"])
    return path


def native(config: RobotConfig) -> KernelConfig:
    return kernel_config(config.safety, config.embodiment)


def test_the_shipped_limits_arrive_in_joint_order_with_their_digest() -> None:
    config = load_config(SIM_CONFIG)
    kernel = native(config)
    assert kernel.axis_names == config.embodiment.axis_names
    assert kernel.joint_digest == config.embodiment.joint_digest
    for i, name in enumerate(config.embodiment.joint_names):
        limits = config.safety.axes[name]
        assert kernel.axis_kinds[i] is AxisKind.BOUNDED
        assert kernel.q_min[i] == limits.low
        assert kernel.q_max[i] == limits.high
        assert kernel.dq_max[i] == limits.speed_max
        assert kernel.ddq_max[i] == limits.acceleration_max
        assert kernel.dddq_max[i] == limits.jerk_max
        assert kernel.tau_max[i] == limits.effort_max
        assert kernel.step_max[i] == limits.setpoint_step_max
        assert kernel.tracking_max[i] == limits.tracking_error_max
    assert kernel.axis_kinds[7] is AxisKind.GRIPPER
    assert (kernel.q_min[7], kernel.q_max[7], kernel.dq_max[7]) == (0.0, 0.08, 0.1)
    assert kernel.digest.hex() == config.safety.digest
    assert kernel.hold_timeout_ns == round(config.safety.fallback.hold_timeout_s * 1e9)
    assert kernel.play_max_ns == round(config.safety.fallback.play_max_s * 1e9)
    assert config.safety.fallback.retract is not None
    assert kernel.retract[:7] == tuple(config.safety.fallback.retract.values())
    assert kernel.debounce_ticks == 5


def test_the_shipped_arm_starts_at_home_and_never_gets_at_the_table() -> None:
    config = load_config(SIM_CONFIG)
    kernel = native(config)
    assert config.safety.geometry is not None
    home = config.embodiment.home
    robot = Robot(Kernel(kernel), home)
    robot.arm()
    reasons = Reason(0)
    nearest_m = math.inf
    for tick in range(3000):
        # Forward and down, no faster than half the limits.
        down = min(tick * 0.7e-3, 1.4)
        verdict = robot.step([home[0], home[1] + down, *home[2:]])
        reasons |= verdict.reasons
        nearest_m = min(nearest_m, verdict.stop_margin_m)
    assert Reason.LIMIT_GEOMETRY in reasons
    clearance_m = config.safety.geometry.clearance_min_m
    assert clearance_m - 1e-9 <= nearest_m <= clearance_m + 5e-3
    assert robot.kernel.state in (State.ACTIVE, State.HOLDING), "a limit that acts is no fault"


def test_body_and_surroundings_arrive(robot: Path) -> None:
    kernel = native(load_config(robot))
    assert kernel.clearance_min_m == 0.02
    assert kernel.tool_speed_max_m_s == (0.8,)
    geometry = kernel.to_native().geometry
    assert (geometry.n_axes, geometry.n_joints, geometry.n_capsules, geometry.n_pairs) == (8, 7, 7, 1)
    assert (geometry.n_planes, geometry.n_keepouts) == (7, 1)
    wall = geometry.planes[0]
    assert list(wall.normal) == pytest.approx([0.0, 0.6, 0.8])
    assert math.hypot(*wall.normal) == pytest.approx(1.0, abs=1e-15)
    assert wall.offset_m == -2.0
    assert list(geometry.keepouts[0].max_m) == [0.5, 0.5, 1.0]
    assert geometry.keepouts[0].radius_m == 0.1
    assert geometry.tool_reach_m[0][0] > 0.0, "reaches are derived"


def test_looser_than_the_robots_description_names_its_file(robot: Path) -> None:
    write_kinematics(robot.parent / "body.toml", file_of(body(velocity_max_rad_s=1.5)), [])
    error = problem_of(robot)
    assert error.key == "joints.joint1.velocity_max_rad_s"
    assert "1.957 is looser than the 1.5 of body.toml (in safety.toml)" in error.problem


def test_what_safety_leaves_out_comes_from_the_description(robot: Path) -> None:
    replace(robot.parent / "safety.toml", r"^velocity_max_rad_s = [0-9.]+\n", "")
    assert load_config(robot).safety.axes["joint1"].speed_max == 2.175, "the rating, which is tighter"
    write_kinematics(robot.parent / "body.toml", file_of(body(velocity_max_rad_s=2.0)), [])
    assert load_config(robot).safety.axes["joint1"].speed_max == 2.0


@pytest.mark.parametrize(
    ("file", "pattern", "text"),
    [
        ("body.toml", r"radius_m = [0-9.]+", "radius_m = 0.06"),
        ("body.toml", r"offset_m = \[.*\]", "offset_m = [0.0, 0.0, 0.31]"),
        ("body.toml", r"^apart_m = 1.0", "apart_m = 0.5"),
        ("safety.toml", r"^clearance_min_m = .*", 'clearance_min_m = 0.02\nmay_touch = [["joint1", "joint7"]]'),
        ("safety.toml", r"^radius_m = 0.1", "radius_m = 0.2"),
        ("safety.toml", r"^offset_m = -2.0", "offset_m = -2.1"),
        ("safety.toml", r"^max_m = \[1.0", "max_m = [1.1"),
        ("safety.toml", r"^tool_speed_max_m_s = .*", "tool_speed_max_m_s = 0.7"),
    ],
)
def test_the_digest_follows_the_geometry(robot: Path, file: str, pattern: str, text: str) -> None:
    before = load_config(robot).safety.digest
    replace(robot.parent / file, pattern, text)
    config = load_config(robot)
    assert config.safety.digest != before
    assert native(config).digest.hex() == config.safety.digest


def test_the_digest_ignores_comments(robot: Path) -> None:
    before = load_config(robot).safety.digest
    write_kinematics(robot.parent / "body.toml", file_of(body()), ["made anew", "from the same"])
    assert load_config(robot).safety.digest == before


def test_a_kinematics_file_of_another_robot_or_none_at_all(robot: Path) -> None:
    body_toml = robot.parent / "body.toml"
    replace(body_toml, r'^name = "joint1"', 'name = "shoulder"')
    error = problem_of(robot)
    assert error.key == "geometry.kinematics"
    assert "shoulder" in error.problem
    body_toml.write_text("[robot]\n", encoding="utf-8")
    assert "no kinematics file" in problem_of(robot).problem
    body_toml.unlink()
    assert "body.toml does not exist" in problem_of(robot).problem


def test_a_body_that_the_kernel_refuses_is_named(robot: Path) -> None:
    replace(robot.parent / "body.toml", r"radius_m = [0-9.]+", "radius_m = -1.0")
    with pytest.raises(ConfigError, match="capsule joint1"):
        native(load_config(robot))
    replace(robot.parent / "body.toml", r"radius_m = -1.0", "radius_mm = 50.0")
    with pytest.raises(ConfigError, match=r"capsules\[0\].radius_mm: unknown key in body.toml.*`radius_m`"):
        native(load_config(robot))
