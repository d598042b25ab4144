"""Between axes and LeRobot's features: units by the calibration, names as they are, and nothing guessed."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edge_runtime.contracts.axes import BaseLinear, BaseYaw, JawGripper, ParallelGripper, Prismatic
from edge_runtime.contracts.embodiment import Embodiment, Group
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.lerobot.settings import AxisSection, LeRobotSettings
from edge_runtime.drivers.lerobot.units import AxisMap, Motor, axis_maps
from edge_runtime.testing.other_robots import revolute

JAW = JawGripper(name="gripper", closed_rad=-0.17, open_rad=1.75, speed_max_rad_s=5.0)


def robot(*axes: Any, base: bool = False) -> Embodiment:
    groups = [Group(name="arm", kind="arm", axes=tuple(a for a in axes if not a.is_velocity))]
    if base:
        groups.append(Group(name="base", kind="base", axes=tuple(a for a in axes if a.is_velocity)))
    return Embodiment(name="robot", groups=tuple(groups))


def maps(
    embodiment: Embodiment, features: list[str], motors: dict[str, Motor] | None = None, **axes: AxisSection
) -> tuple[AxisMap, ...]:
    settings = LeRobotSettings(type="arm", id="one", axes=axes)
    told = dict.fromkeys(features, float)
    return axis_maps(embodiment, settings, told, told, motors or {})


def test_degrees_are_turned_into_radians_and_back() -> None:
    (axis,) = maps(robot(revolute("elbow")), ["elbow.pos"], {"elbow.pos": Motor("degrees", 3.0)})
    assert math.isclose(axis.value(90.0), math.pi / 2.0)
    assert math.isclose(axis.feature(math.pi), 180.0)


def test_a_normalized_joint_is_a_share_of_its_calibrated_range() -> None:
    (axis,) = maps(robot(revolute("elbow")), ["elbow.pos"], {"elbow.pos": Motor("normalized", 3.0)})
    assert (axis.value(-100.0), axis.value(0.0), axis.value(100.0)) == (-1.5, 0.0, 1.5)
    assert math.isclose(axis.feature(0.75), 50.0)


def test_a_normalized_joint_without_a_bus_is_a_share_of_its_own_range() -> None:
    embodiment = robot(revolute("elbow", 0.5, low=0.0, high=2.0))
    (axis,) = maps(embodiment, ["elbow.pos"], elbow=AxisSection(unit="normalized"))
    assert (axis.value(-100.0), axis.value(100.0)) == (0.0, 2.0)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_percentage_is_how_far_a_jaw_is_open(reverse: bool) -> None:
    (axis,) = maps(
        robot(JAW), ["gripper.pos"], {"gripper.pos": Motor("percent", 2.0)}, gripper=AxisSection(reversed=reverse)
    )
    shut, wide = (100.0, 0.0) if reverse else (0.0, 100.0)
    assert math.isclose(axis.value(shut), -0.17)
    assert math.isclose(axis.value(wide), 1.75)
    assert math.isclose(axis.feature(-0.17), shut, abs_tol=1e-9)


def test_a_percentage_is_how_far_apart_fingers_are() -> None:
    fingers = ParallelGripper(name="gripper", opening_max_m=0.08, speed_max_m_s=0.2)
    (axis,) = maps(robot(fingers), ["gripper.pos"], {"gripper.pos": Motor("percent", 2.0)})
    assert math.isclose(axis.value(25.0), 0.02)


def test_a_joint_may_turn_the_other_way_from_another_zero() -> None:
    section = AxisSection(reversed=True, offset_rad=0.5)
    (axis,) = maps(robot(revolute("elbow")), ["elbow.pos"], {"elbow.pos": Motor("degrees", 3.0)}, elbow=section)
    assert math.isclose(axis.value(90.0), 0.5 - math.pi / 2.0)
    assert math.isclose(axis.feature(axis.value(33.0)), 33.0)


def test_a_lift_may_be_told_in_millimetres() -> None:
    lift = Prismatic(
        name="lift", position_min_m=0.0, position_max_m=0.6, velocity_max_m_s=0.2, acceleration_max_m_s2=1.0,
        jerk_max_m_s3=20.0, force_max_n=100.0, home_m=0.1,
    )  # fmt: skip
    (axis,) = maps(robot(lift), ["lift.height_mm"], lift=AxisSection(key="lift.height_mm", unit="mm"))
    assert math.isclose(axis.value(250.0), 0.25)


def test_a_base_of_lerobot_drives_in_metres_and_turns_in_degrees() -> None:
    x = BaseLinear(name="base_x", along="x", velocity_max_m_s=0.5, acceleration_max_m_s2=1.0, jerk_max_m_s3=20.0)
    yaw = BaseYaw(name="base_yaw", velocity_max_rad_s=1.5, acceleration_max_rad_s2=3.0, jerk_max_rad_s3=60.0)
    found = maps(
        robot(revolute("elbow"), x, yaw, base=True),
        ["elbow.pos", "x.vel", "theta.vel"],
        {"elbow.pos": Motor("degrees", 3.0)},
    )
    assert [axis.key for axis in found] == ["elbow.pos", "x.vel", "theta.vel"]
    assert [axis.is_velocity for axis in found] == [False, True, True]
    assert math.isclose(found[2].value(180.0), math.pi)


def test_a_feature_called_as_the_axis_is_found() -> None:
    (axis,) = maps(robot(revolute("elbow.pos")), ["elbow.pos"], {"elbow.pos": Motor("degrees", 3.0)})
    assert axis.key == "elbow.pos"


def test_a_motor_may_be_told_its_speed_and_torque_besides() -> None:
    (axis,) = maps(robot(revolute("a")), ["a.pos", "a.vel", "a.torque"], {"a.pos": Motor("degrees", 3.0)})
    assert axis.key == "a.pos"


@pytest.mark.parametrize(
    ("axis", "features", "section", "key", "words"),
    [
        (revolute("elbow"), ["wrist.pos"], AxisSection(), "driver.axes.elbow.key", "'elbow.pos'; they have wrist"),
        (revolute("elbow"), ["elbow.pos"], AxisSection(), "driver.axes.elbow.unit", "is not known"),
        (revolute("elbow"), ["elbow.pos"], AxisSection(unit="mm"), "driver.axes.elbow.unit", "can't be rad"),
        (revolute("a"), ["a.pos"], AxisSection(unit="rad", offset_m=1.0), "driver.axes.a.offset_m", "in rad"),
        (revolute("elbow"), ["elbow.pos", "wrist.pos"], AxisSection(unit="rad"), "driver.axes", "drives wrist.pos"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_asked_for(
    axis: Any, features: list[str], section: AxisSection, key: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        maps(robot(axis), features, **{axis.name: section})
    assert caught.value.key == key


def test_two_axes_are_not_one_feature() -> None:
    sections = {name: AxisSection(key="a.pos", unit="rad") for name in ("a", "b")}
    with pytest.raises(ConfigError, match=r"a, b are all 'a\.pos'"):
        maps(robot(revolute("a"), revolute("b")), ["a.pos"], **sections)
