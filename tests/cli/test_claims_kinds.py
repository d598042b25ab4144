"""The claims sheet and check speak of every kind of axis in its unit: what is held, what not, and what is assumed."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from edge_runtime.cli.check.robot import base, driver, home_posture, limits
from edge_runtime.cli.check.row import Level
from edge_runtime.cli.claims import claims_report, claims_sheet
from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import write_kinematics
from edge_runtime.testing.other_robots import OTHER_ROBOTS, safety_toml, write_settings
from tests.cli.test_claims import section
from tests.control.test_limits_kinds import lift_body
from tests.safety.geometry_robot import file_of
from tests.settings import replace

MOBILE = OTHER_ROBOTS["mobile_manipulator"]
_FLOOR = '[[geometry.half_spaces]]\nname = "floor"\nnormal = [0.0, 0.0, 1.0]\noffset_m = -1.0\n'
_PILLAR = '[[geometry.keep_out]]\nname = "pillar"\nmin_m = [3.0, 3.0, 0.0]\nmax_m = [3.1, 3.1, 2.0]\n'
_OFF = "Off in this configuration"


def config_of(folder: Path, robot: Embodiment, geometry: str | None = None, extra: str = "") -> RobotConfig:
    safety = safety_toml(robot) + extra
    if geometry is not None:
        write_kinematics(folder / "body.toml", file_of(lift_body()), [])
        safety += f'\n[geometry]\nkinematics = "body.toml"\n{geometry}'
    return load_config(write_settings(folder, robot, safety=safety))


@pytest.mark.parametrize("name", OTHER_ROBOTS)
def test_every_axis_is_on_the_sheet_with_its_limits_in_its_unit(tmp_path: Path, name: str) -> None:
    robot = OTHER_ROBOTS[name]
    config = config_of(tmp_path, robot)
    sheet, report = claims_sheet(config), claims_report(config)
    limits = section(sheet, "Limits")
    assert [axis.name for axis in report.axes] == list(robot.axis_names)
    for axis, said in zip(robot.axes, report.axes, strict=True):
        line = next(line for line in limits.splitlines() if re.match(rf"(\| |Gripper ){axis.name}[ :]", line))
        assert (said.unit, said.kind) == (axis.unit, config.safety.axes[axis.name].kind)
        values = (said.low, said.high, said.speed_max) if axis.has_range and not axis.is_velocity else (said.speed_max,)
        for value in values:
            if value is not None and said.kind != "binary_gripper":
                assert re.search(rf"(?<![\d.]){re.escape(f'{value:g}')}(?![\d.])", line), (axis.name, value)
        assert (said.time_to_rest_s is None) == axis.is_gripper
    assert ("| range, m |" in limits) == any(axis.unit == "m" and not axis.is_gripper for axis in robot.axes)
    assert ("turns without end" in limits) == any(not axis.has_range for axis in robot.axes)
    assert ("A gripper is no part of a stop" in limits) == bool(robot.grippers)
    assert ("wheels do not slip, and that the ground is level, is assumed" in limits) == bool(robot.base_axes)


def test_a_robot_of_one_unit_is_not_told_of_others(tmp_path: Path) -> None:
    sheet = claims_sheet(config_of(tmp_path, OTHER_ROBOTS["gantry"]))
    assert "rad" not in section(sheet, "Limits")
    assert "outside by at most 0.003 m:" in section(sheet, "Limits")
    assert "has gone 0.0208 m one way" in section(sheet, "Stops the robot, and latches")


def test_speed_near_an_end_and_tools_are_on_the_sheet(tmp_path: Path) -> None:
    geometry = "tool_speed_max_m_s = 0.8\ntool_speeds_m_s = { joint3 = 0.4 }\n"
    contact = "\n[contact]\nforce_max_n = 40.0\ntool_forces_n = { joint3 = 25.0 }\n"
    config_of(tmp_path, MOBILE, geometry, contact)
    near = "[joints.lift]\nvelocity_near_max = { slope = 1.0, offset = 0.1, zero = 0.62 }"
    replace(tmp_path / "safety.toml", r"^\[joints.lift\]", near)
    config = load_config(tmp_path / "robot.toml")
    sheet = claims_sheet(config)
    slower = "lift is slower near its maximum: at most sqrt(1 (0.62 - position)) - 0.1 m/s on the way there."
    assert slower in section(sheet, "Limits")
    assert "tool speeds at most: joint6 0.8 m/s, joint3 0.4 m/s" in section(sheet, "Geometry")
    stops = section(sheet, "Stops the robot, and latches")
    assert "forces at joint6 above 40 N" in stops
    assert "forces at joint3 above 25 N" in stops
    assert "a limit of the moment at joint6, joint3" in section(sheet, _OFF)
    assert [tool.speed_max_m_s for tool in claims_report(config).tools] == [0.8, 0.4]


@pytest.mark.parametrize(
    ("geometry", "level", "found", "on_sheet"),
    [
        (None, Level.WARN, "no half-space and no zone", "zones for the base: it is limited in speed and stopped"),
        ("", Level.WARN, "no half-space and no zone", "zones in the room: nothing measures where the base is"),
        (_FLOOR, Level.WARN, "where it is in the room is not known", "zones in the room"),
        (_FLOOR + _PILLAR, Level.WARN, "pillar would go along with it", "zones in the room"),
        ("odometry = true\n", Level.WARN, "no half-space and no zone", None),
        ("odometry = true\n" + _FLOOR + _PILLAR, Level.OK, "stand in the world of its odometry", None),
    ],
)
def test_what_a_base_is_kept_from_is_said(
    tmp_path: Path, geometry: str | None, level: Level, found: str, on_sheet: str | None
) -> None:
    config = config_of(tmp_path, MOBILE, geometry)
    (row,) = base(config)
    assert row.level is level
    assert found in row.found
    assert bool(row.remedy) == (level is Level.WARN)
    sheet = claims_sheet(config)
    if on_sheet is None:
        assert "zones" not in section(sheet, _OFF)
    else:
        assert on_sheet in section(sheet, _OFF)
    if geometry is not None and _PILLAR in geometry:
        carried = "**pillar: carried along with the base**: nothing that stands in the room is kept off"
        assert (carried in section(sheet, "Geometry")) == ("odometry" not in geometry)
        lost = "odometry of the base that is missing"
        assert (lost in section(sheet, "Stops the robot, and latches")) == ("odometry" in geometry)


def test_a_gripper_whose_grip_nothing_limits_is_named(tmp_path: Path) -> None:
    robot = OTHER_ROBOTS["two_arms_6"]
    assert "grip" not in section(claims_sheet(config_of(tmp_path, robot)), _OFF)
    left, right = robot.groups
    weak = msgspec.structs.replace(left.axes[-1], force_max_n=None)
    changed = msgspec.structs.replace(left, axes=(*left.axes[:-1], weak))
    sheet = claims_sheet(config_of(tmp_path, msgspec.structs.replace(robot, groups=(changed, right))))
    assert "a limit of the grip of left_gripper\n" in section(sheet, _OFF)


def test_what_no_maker_states_is_named_by_axis(tmp_path: Path) -> None:
    config = config_of(tmp_path, MOBILE, "")
    assert "- no rating is marked as assumed" in section(claims_sheet(config), "Assumed")
    path = tmp_path / "embodiment.toml"
    for key in ("jerk_max_m_s3 = 200.0", "force_max_n = 400.0"):
        replace(path, rf"^{re.escape(key)}$", f"{key}  # assumed")
    config = load_config(tmp_path / "robot.toml")
    assert config.assumed == ("lift.jerk_max_m_s3", "lift.force_max_n")
    assert "- lift: jerk_max_m_s3, force_max_n; stated by no maker" in section(claims_sheet(config), "Assumed")
    (row,) = limits(config)
    assert "2 ratings are assumed" in row.found


def test_check_names_the_axis_whose_home_is_outside_its_limits_in_its_unit(tmp_path: Path) -> None:
    config_of(tmp_path, MOBILE)
    replace(tmp_path / "safety.toml", r"^\[joints.lift\]", "[joints.lift]\nposition_min_m = 0.25")
    (row,) = home_posture(load_config(tmp_path / "robot.toml"))
    assert row.level is Level.FAIL
    assert row.found == "can't be armed: lift at 0.2 m lies outside of 0.25 to 0.6 m"


def test_check_says_a_home_posture_that_is_too_near_to_a_zone(tmp_path: Path) -> None:
    near = '[[geometry.keep_out]]\nname = "shelf"\nmin_m = [-2.0, -2.0, 0.0]\nmax_m = [2.0, 2.0, 2.0]\n'
    (row,) = home_posture(config_of(tmp_path, MOBILE, near))
    assert row.level is Level.FAIL
    assert "hand is" in row.found
    assert "shelf" in row.found


def test_check_says_a_driver_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"driver\.py does not exist"):
        list(driver(config_of(tmp_path, MOBILE)))
    replace(tmp_path / "robot.toml", r"^driver = .*", 'driver = "my_base"')
    with pytest.raises(ConfigError, match=r"there is no driver 'my_base'; installed: .*sim"):
        list(driver(load_config(tmp_path / "robot.toml")))


def test_check_counts_axes_by_what_they_are(tmp_path: Path) -> None:
    config_of(tmp_path, MOBILE)
    (tmp_path / "driver.py").write_text(
        "from edge_runtime.drivers.sdk.declaration import DriverDeclaration\nDRIVER = DriverDeclaration(start='x:y')\n",
        encoding="utf-8",
    )
    (row,) = driver(load_config(tmp_path / "robot.toml"))
    assert "./driver.py, 2 axes of a base, 7 joints, 1 gripper, cameras: scene 64 x 48 px" in row.found
