"""Axes of every kind are held to the tightest that is known, each in its own unit; a key of another kind is refused."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_runtime.config.axis_keys import RATED, keys_of
from edge_runtime.config.limit_sources import description_of, rating_of
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.config.safety_file import NearEnd, SafetyFile, SafetyLimits, tightest
from edge_runtime.config.toml_file import from_table, read_toml
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.testing.other_robots import OTHER_ROBOTS, safety_toml, write_settings
from tests.settings import copy_settings, replace

MOBILE, JAW, TWO_ARMS = (OTHER_ROBOTS[name] for name in ("mobile_manipulator", "jaw_arm", "two_arms_6"))
_EVERY_AXIS = [(robot, axis.name) for robot in OTHER_ROBOTS.values() for axis in robot.axes]
_RATED_KEYS = [
    pytest.param(robot, name, limit, id=f"{robot.name}-{name}-{limit}")
    for robot, name in _EVERY_AXIS
    for limit in RATED
    if limit in keys_of(robot.axes[robot.index_of(name)])
]


def settings(robot: Embodiment, *extra: str, **tables: dict[str, Any]) -> dict[str, Any]:
    """A safety file as a table, with a table for each joint; `extra` are keys of its head as TOML."""
    table: dict[str, Any] = msgspec.toml.decode("\n".join(extra) + "\n" + safety_toml(robot))
    for name, keys in tables.items():
        table[name] = {**table.get(name, {}), **keys}
    return table


def limits_of(robot: Embodiment, table: dict[str, Any], kinematics: dict[str, Any] | None = None) -> SafetyLimits:
    file = from_table(table, SafetyFile, "safety.toml")
    sources = [rating_of(robot)]
    if kinematics is not None:
        sources.append(description_of(kinematics, robot, "body.toml"))
    return tightest(file, "safety.toml", robot, sources, kinematics)


def refused(robot: Embodiment, table: dict[str, Any], kinematics: dict[str, Any] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        limits_of(robot, table, kinematics)
    assert "\n" not in str(caught.value)
    return caught.value


def of_axis(robot: Embodiment, name: str, **keys: Any) -> dict[str, Any]:
    """The file with these keys in the table of one axis."""
    kind = "grippers" if robot.axes[robot.index_of(name)].is_gripper else "joints"
    table = settings(robot)
    table[kind][name] = {**table[kind].get(name, {}), **keys}
    return table


@pytest.mark.parametrize(("robot", "name", "limit"), _RATED_KEYS)
def test_a_limit_of_any_kind_is_no_looser_than_the_rating(robot: Embodiment, name: str, limit: str) -> None:
    axis = robot.axes[robot.index_of(name)]
    key, rated = keys_of(axis)[limit], getattr(axis, limit)
    left_out = of_axis(robot, name)
    left_out["grippers" if axis.is_gripper else "joints"][name].pop(key, None)
    assert getattr(limits_of(robot, left_out).axes[name], limit) == rated
    tighter = rated + 0.01 if limit == "low" else rated - 0.01
    assert getattr(limits_of(robot, of_axis(robot, name, **{key: tighter})).axes[name], limit) == tighter
    looser = rated - 0.01 if limit == "low" else rated + 0.01
    error = refused(robot, of_axis(robot, name, **{key: looser}))
    assert error.key.endswith(f"{name}.{key}")
    assert f"{looser} is looser than the {rated} of the rating of {robot.name}" in error.problem
    for value in (math.nan, -math.inf):
        assert "finite" in refused(robot, of_axis(robot, name, **{key: value})).problem


@pytest.mark.parametrize(
    ("robot", "name", "keys", "hint"),
    [
        (MOBILE, "lift", {"velocity_max_rad_s": 0.1}, "lift is of kind prismatic: its key is `velocity_max_m_s`"),
        (MOBILE, "lift", {"torque_max_nm": 1.0}, "lift is of kind prismatic: it has position_min_m"),
        (MOBILE, "joint1", {"position_min_m": 0.1}, "its key is `position_min_rad`"),
        (MOBILE, "base_x", {"position_max_m": 1.0}, "base_x is of kind base_linear: it has velocity_max_m_s"),
        (MOBILE, "base_x", {"setpoint_step_max_m": 1.0}, "its key is `setpoint_step_max_m_s`"),
        (MOBILE, "base_yaw", {"velocity_max_m_s": 0.1}, "its key is `velocity_max_rad_s`"),
        (MOBILE, "gripper", {"speed_max_rad_s": 0.1}, "its key is `speed_max_m_s`"),
        (JAW, "gripper", {"force_max_n": 1.0}, "gripper is of kind jaw_gripper: it has speed_max_rad_s, torque_max_nm"),
        (OTHER_ROBOTS["continuous_arm"], "joint1", {"position_max_rad": 3.0}, "joint1 is of kind continuous"),
        (OTHER_ROBOTS["continuous_arm"], "suction", {"speed_max_m_s": 1.0}, "suction is of kind binary_gripper"),
    ],
)
def test_a_key_of_another_kind_of_axis(robot: Embodiment, name: str, keys: dict[str, float], hint: str) -> None:
    error = refused(robot, of_axis(robot, name, **keys))
    assert error.key.endswith(f"{name}.{next(iter(keys))}")
    assert hint in error.problem


@pytest.mark.parametrize(
    ("robot", "tables", "key", "hint"),
    [
        (MOBILE, {"joints": {"gripper": {}}}, "joints.gripper", "parallel_gripper: its table is [grippers.gripper]"),
        (MOBILE, {"grippers": {"lift": {}}}, "grippers.lift", "prismatic: its table is [joints.lift]"),
        (MOBILE, {"grippers": {"claw": {}}}, "grippers.claw", "mobile_manipulator has only gripper"),
        (OTHER_ROBOTS["bare_arm"], {"grippers": {"claw": {}}}, "grippers.claw", "bare_arm has none"),
        (MOBILE, {"joints": {"lift": {"tracking_error_max_m": 0.6}}}, "joints.lift", "at most 0.5, got 0.6"),
        (MOBILE, {"joints": {"lift": {"setpoint_step_max_m": math.inf}}}, "joints.lift.setpoint_step_max_m", "finite"),
        (MOBILE, {"joints": {"lift": {"velocity_near_max": {"zero": 1}}}}, "joints.lift.velocity_near_max", "`slope`"),
        (
            MOBILE,
            {"joints": {"lift": {"velocity_near_max": {"zero": 1, "slope": -1}}}},
            "joints.lift.velocity_near_max",
            "above zero",
        ),
        (MOBILE, {"geometry": {"kinematics": "b", "tool_speeds_m_s": {"left": 0}}}, "geometry", "tool_speeds_m_s.left"),
        (MOBILE, {"contact": {"tool_forces_n": {"left": 5}}}, "contact.tool_forces_n.left", "there is no such tool"),
        (JAW, {"geometry": {"kinematics": "b", "odometry": True}}, "geometry.odometry", "no axis of a base"),
    ],
)
def test_a_table_that_does_not_suit_the_robot(
    robot: Embodiment, tables: dict[str, dict[str, Any]], key: str, hint: str
) -> None:
    error = refused(robot, settings(robot, **tables))
    assert error.key == key
    assert hint in error.problem


def test_a_joint_or_base_without_a_table_and_a_gripper_without_one() -> None:
    for name in ("lift", "base_yaw", "joint6"):
        table = settings(MOBILE)
        del table["joints"][name]
        assert refused(MOBILE, table).key == f"joints.{name}"
    table = settings(JAW)
    del table["grippers"]
    assert limits_of(JAW, table).axes["gripper"].speed_max == 5.0, "the rated speed"


@pytest.mark.parametrize(
    ("robot", "head", "hint"),
    [
        (TWO_ARMS, "gripper_speed_max_m_s = 0.1", "[grippers.left_gripper], [grippers.right_gripper]"),
        (JAW, "gripper_speed_max_m_s = 0.1", "it has [grippers.gripper]"),
        (OTHER_ROBOTS["hand_16"], "gripper_speed_max_m_s = 0.1", "it has none: take the key out"),
        (MOBILE, "gripper_speed_max_m_s = 0.1", "says the same: take one of the two out"),
    ],
)
def test_the_key_of_the_lone_gripper_on_a_robot_that_has_none_such(robot: Embodiment, head: str, hint: str) -> None:
    error = refused(robot, settings(robot, head))
    assert error.key == "gripper_speed_max_m_s"
    assert hint in error.problem


def test_files_of_version_1_hold_what_they_held(tmp_path: Path) -> None:
    new = load_config(copy_settings(tmp_path))
    for name in ("embodiment.toml", "safety.toml"):
        old_text = (Path(__file__).parent / "version_1" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(old_text, encoding="utf-8")
    old = load_config(tmp_path / "robot.toml")
    assert old.safety == new.safety
    joint1, gripper = old.safety.axes["joint1"], old.safety.axes["gripper"]
    assert (joint1.low, joint1.high, joint1.speed_max, joint1.effort_max) == (-2.6937, 2.6937, 1.957, 87.0)
    assert (joint1.setpoint_step_max, joint1.tracking_error_max, joint1.frozen_travel) == (0.5, 0.15, 0.05)
    assert (joint1.rest_speed, joint1.reset_tolerance, joint1.start_tolerance) == (0.05, 0.05, 0.005)
    assert (gripper.low, gripper.high, gripper.speed_max, gripper.start_tolerance) == (0.0, 0.08, 0.1, 0.003)


def test_the_words_of_version_1_and_the_newest_are_the_same_limits(tmp_path: Path) -> None:
    before = load_config(copy_settings(tmp_path)).safety
    safety = tmp_path / "safety.toml"
    posture = ", ".join(f"joint{i} = {v}" for i, v in zip(range(7, 0, -1), reversed(RETRACT), strict=True))
    replace(safety, r"^retract_rad = .*", f"retract = {{ {posture} }}")
    replace(safety, r"^gripper_speed_max_m_s = .*\n", "")
    safety.write_text(
        safety.read_text(encoding="utf-8") + "\n[grippers.gripper]\nspeed_max_m_s = 0.1\n", encoding="utf-8"
    )
    after = load_config(tmp_path / "robot.toml").safety
    assert after == before
    assert after.digest == before.digest


RETRACT = (0.0, -0.1727, 0.0, -2.4555, 0.0, 2.2828, 0.7854)
_HOME = {axis.name: axis.home for axis in MOBILE.axes if not (axis.is_gripper or axis.is_velocity)}


def test_a_posture_by_name_may_slide_and_turn() -> None:
    fallback = limits_of(MOBILE, settings(MOBILE, fallback={"retract": dict(reversed(_HOME.items()))})).fallback
    assert fallback.retract is not None
    assert list(fallback.retract.items()) == list(_HOME.items())


@pytest.mark.parametrize(
    ("fallback", "key", "hint"),
    [
        ({"retract": {**_HOME, "gripper": 0.0}}, "fallback.retract", "gripper is no joint"),
        ({"retract": {**_HOME, "base_x": 0.0}}, "fallback.retract", "base_x is no joint"),
        ({"retract": {"lift": 0.2}}, "fallback.retract", "joint1, joint2, joint3, joint4, joint5, joint6 is missing"),
        ({"retract": {**_HOME, "lift": 0.7}}, "fallback.retract", "0.7 is outside the limits of lift"),
        ({"retract": {**_HOME, "lift": math.nan}}, "fallback.retract", "nan is outside the limits of lift"),
        ({"retract_rad": [0.0] * 7}, "fallback.retract_rad", "write retract = { NAME = VALUE }"),
        ({"retract_rad": [0.0], "retract": {}}, "fallback", "exclude each other"),
    ],
)
def test_a_posture_to_retract_to_that_cannot_be(fallback: dict[str, Any], key: str, hint: str) -> None:
    error = refused(MOBILE, settings(MOBILE, fallback=fallback))
    assert error.key == key
    assert hint in error.problem


def test_a_joint_without_end_retracts_to_an_angle_inside_one_turn() -> None:
    robot = OTHER_ROBOTS["continuous_arm"]
    home = {f"joint{i}": 0.0 for i in range(1, 8)}
    assert limits_of(robot, settings(robot, fallback={"retract": home})).fallback.retract == home
    error = refused(robot, settings(robot, fallback={"retract": {**home, "joint3": 4.0}}))
    assert "4.0 is outside the limits of joint3" in error.problem


def test_tolerances_are_by_unit_and_a_joint_may_have_its_own() -> None:
    heads = (
        "tracking_error_max_m = 0.03",
        "rest_speed_m_s = 0.01",
        "reset_tolerance_m = 0.04",
        "start_tolerance_m = 0.001",
    )
    table = settings(MOBILE, *heads, "frozen_encoder_travel_m = 0.05", "gripper_jam_after_s = 2.5")
    table["joints"]["joint2"]["tracking_error_max_rad"] = 0.05
    limits = limits_of(MOBILE, table)
    lift, joint1, base_x = (limits.axes[name] for name in ("lift", "joint1", "base_x"))
    assert (lift.tracking_error_max, lift.rest_speed, lift.reset_tolerance) == (0.03, 0.01, 0.04)
    assert (lift.start_tolerance, lift.frozen_travel, lift.setpoint_step_max) == (0.001, 0.05, 0.1)
    assert (joint1.tracking_error_max, joint1.start_tolerance, joint1.setpoint_step_max) == (0.15, 0.005, 0.5)
    assert limits.axes["joint2"].tracking_error_max == 0.05
    assert (base_x.tracking_error_max, base_x.rest_speed, base_x.setpoint_step_max) == (0.3, 0.01, 0.5)
    assert (base_x.low, base_x.high) == (-0.54, 0.54), "of its velocity"
    assert limits.axes["gripper"].start_tolerance == 0.001
    assert limits.jam_after_s == 2.5


def test_what_turns_needs_a_tracking_error_and_what_slides_has_a_usual_one() -> None:
    table = settings(MOBILE)
    del table["tracking_error_max_rad"]
    error = refused(MOBILE, table)
    assert error.key == "tracking_error_max_rad"
    assert "missing: joint1 needs it" in error.problem
    for axis in MOBILE.axes:
        if axis.unit == "rad":
            table["joints"][axis.name]["tracking_error_max_rad"] = 0.1
    assert limits_of(MOBILE, table).axes["joint1"].tracking_error_max == 0.1
    gantry = OTHER_ROBOTS["gantry"]
    table = settings(gantry)
    del table["tracking_error_max_rad"]
    assert limits_of(gantry, table).axes["z"].tracking_error_max == 0.02


def test_speed_near_an_end_is_read() -> None:
    near = {"slope": 12.0, "offset": 0.3, "zero": 2.7501}
    limits = limits_of(MOBILE, of_axis(MOBILE, "joint1", velocity_near_max=near)).axes["joint1"]
    assert limits.near_high == NearEnd(slope=12.0, offset=0.3, zero=2.7501)
    assert limits.near_low is None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^feedback_timeout_s = .*", "feedback_timeout_s = 0.2"),
        (r"^feedback_timeout_s = .*", "feedback_timeout_s = 0.1\ngripper_jam_after_s = 2.0"),
        (r"^feedback_timeout_s = .*", "feedback_timeout_s = 0.1\ntracking_error_max_m = 0.03"),
        (r"^feedback_timeout_s = .*", "feedback_timeout_s = 0.1\ntracking_error_max_m_s = 0.2"),
        (r"^feedback_timeout_s = .*", "feedback_timeout_s = 0.1\nstart_tolerance_m = 0.001"),
        (r"^\[joints.lift\]", "[joints.lift]\nvelocity_near_min = { slope = 1.0, zero = 0.0 }"),
        (r"^\[joints.lift\]", "[joints.lift]\nforce_max_n = 300.0"),
        (r"^\[joints.base_yaw\]", "[joints.base_yaw]\njerk_max_rad_s3 = 50.0"),
        (r"^\[grippers.gripper\]", "[grippers.gripper]\nforce_max_n = 20.0"),
    ],
)
def test_the_digest_follows_limits_of_every_kind(tmp_path: Path, pattern: str, text: str) -> None:
    path = write_settings(tmp_path, MOBILE)
    before = load_config(path).safety.digest
    replace(tmp_path / "safety.toml", pattern, text)
    assert load_config(path).safety.digest != before


def described(*joints: dict[str, Any]) -> dict[str, Any]:
    return {"joints": list(joints), "tools": [{"name": "left"}, {"name": "right"}]}


_LIFT = {"name": "lift", "kind": "prismatic"}
_ARM = [{"name": f"joint{i}"} for i in range(1, 7)]
_GEOMETRY = {"kinematics": "body.toml", "tool_speed_max_m_s": 0.8, "tool_speeds_m_s": {"right": 0.4}}


def test_what_slides_is_no_looser_than_its_description_and_mimics_go_with_their_axis() -> None:
    lift = {**_LIFT, "limits": {"position_max_m": 0.5, "velocity_max_m_s": 0.1}}
    follower = {"name": "upper_stage", "kind": "prismatic", "axis": "lift", "ratio": 0.5}
    body = described(lift, follower, *reversed(_ARM))
    table = settings(MOBILE, geometry=_GEOMETRY)
    error = refused(MOBILE, table, body)
    assert error.key == "joints.lift.velocity_max_m_s"
    assert "0.18 is looser than the 0.1 of body.toml" in error.problem
    del table["joints"]["lift"]["velocity_max_m_s"]
    assert (
        limits_of(MOBILE, table, body).axes["lift"].high,
        limits_of(MOBILE, table, body).axes["lift"].speed_max,
    ) == (
        0.5,
        0.1,
    )


def test_tools_have_limits_of_their_own() -> None:
    contact = {"force_max_n": 40.0, "tool_forces_n": {"left": 25.0}, "tool_moments_nm": {"right": 5.0}}
    table = settings(MOBILE, geometry=_GEOMETRY, contact=contact)
    limits = limits_of(MOBILE, table, described(_LIFT, *_ARM))
    left, right = limits.tools
    assert (left.name, left.speed_max_m_s, left.force_max_n, left.moment_max_nm) == ("left", 0.8, 25.0, None)
    assert (right.name, right.speed_max_m_s, right.force_max_n, right.moment_max_nm) == ("right", 0.4, 40.0, 5.0)
    assert limits.motion.tool_speed_m_s == 0.4
    table["geometry"] = {**_GEOMETRY, "tool_speeds_m_s": {"middle": 0.1}}
    error = refused(MOBILE, table, described(_LIFT, *_ARM))
    assert error.key == "geometry.tool_speeds_m_s.middle"
    assert "there is no such tool: body.toml has left, right" in error.problem


@pytest.mark.parametrize(
    ("joints", "hint"),
    [
        ([{"name": "lift"}, *_ARM], "lift is revolute in body.toml, and prismatic in mobile_manipulator"),
        ([_LIFT, *_ARM[:-1]], "it is of another robot"),
        ([_LIFT, *_ARM, {"name": "wrist"}], "wrist"),
        ([_LIFT, *_ARM, {"name": "finger", "axis": "gripper", "kind": "prismatic"}], "gripper"),
        ([_LIFT, *_ARM, {"name": "wheel", "axis": "base_x"}], "base_x"),
    ],
)
def test_a_description_of_another_robot(joints: list[dict[str, Any]], hint: str) -> None:
    error = refused(MOBILE, settings(MOBILE, geometry=_GEOMETRY), described(*joints))
    assert error.key == "geometry.kinematics"
    assert hint in error.problem


def test_what_a_bundle_may_ask_for_is_of_joints_and_base_in_their_units() -> None:
    motion = limits_of(MOBILE, settings(MOBILE)).motion
    assert motion.velocity_rad_s == (0.54, 1.35, 0.18, *(1.8,) * 6)
    assert motion.tool_speed_m_s is None


def test_the_shipped_files_and_those_of_the_skeleton_have_no_key_twice() -> None:
    for path in (SIM_CONFIG.parent, SIM_CONFIG.parents[2] / "sdk" / "skeleton" / "my_arm" / "config"):
        assert read_toml(path / "safety.toml", SafetyFile).gripper_speed_max_m_s == 0.1
        assert not re.search(r"^home_rad = \[", (path / "embodiment.toml").read_text(encoding="utf-8"), re.MULTILINE)
