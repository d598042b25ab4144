"""Limits are the tightest that anybody knows: never looser than the rating, named where they are, and hashed."""

from __future__ import annotations

import math
import re
from pathlib import Path

import msgspec
import pytest

from edge_runtime.config.axis_keys import keys_of
from edge_runtime.config.embodiment_file import read_embodiment
from edge_runtime.config.limit_sources import Source, rating_of
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.config.safety_file import JointSection, SafetyFile, SafetyLimits, tightest
from edge_runtime.config.toml_file import read_toml
from edge_runtime.contracts.errors import ConfigError
from tests.settings import copy_settings, problem_of, replace

EMBODIMENT = read_embodiment(SIM_CONFIG.parent / "embodiment.toml")
FILE = read_toml(SIM_CONFIG.parent / "safety.toml", SafetyFile)
_KEEP_OUT = '[[geometry.keep_out]]\nname = "x"\nmin_m = [0, 0, 0]\nmax_m = [0, 0, 0]\n'
FIELDS = ("position_min_rad", "position_max_rad", "velocity_max_rad_s", "acceleration_max_rad_s2", "jerk_max_rad_s3")
LIMITS = {key: limit for limit, key in keys_of(EMBODIMENT.axes[0]).items()}


@pytest.fixture
def robot(tmp_path: Path) -> Path:
    """The path of a robot.toml that a test may spoil."""
    return copy_settings(tmp_path)


def limits_of(file: SafetyFile, *sources: Source) -> SafetyLimits:
    return tightest(file, "safety.toml", EMBODIMENT, [rating_of(EMBODIMENT), *sources])


def with_joint1(**values: float | None) -> SafetyFile:
    joint = msgspec.structs.replace(FILE.joints["joint1"], **values)
    return msgspec.structs.replace(FILE, joints={**FILE.joints, "joint1": joint})


@pytest.mark.parametrize(
    ("pattern", "text", "key", "hint"),
    [
        (r"velocity_max_rad_s = [0-9.]+", "velocity_max_deg_s = 80", "joints.joint1.velocity_max_deg_s", "unit"),
        (r"jerk_max_rad_s3 = [0-9.]+", "jerk_max_rad = 80", "joints.joint1.jerk_max_rad", "`jerk_max_rad_s3`"),
        (r"velocity_max_rad_s = [0-9.]+", "velocity_max_rad_s = 2.2", "joints.joint1.velocity_max_rad_s", "looser"),
        (r"position_max_rad = [0-9.]+", "position_max_rad = 2.9", "joints.joint1.position_max_rad", "looser"),
        (r"position_min_rad = [-0-9.]+", "position_min_rad = -2.9", "joints.joint1.position_min_rad", "looser"),
        (r"position_min_rad = [-0-9.]+", "position_min_rad = 2.8", "joints.joint1.position_min_rad", "must be below"),
        (
            r"acceleration_max_rad_s2 = [0-9.]+",
            "acceleration_max_rad_s2 = 99",
            "joints.joint1.acceleration_max_rad_s2",
            "looser than the 15.0 of the rating of pocket_arm",
        ),
        (r"jerk_max_rad_s3 = [0-9.]+", "jerk_max_rad_s3 = 7501", "joints.joint1.jerk_max_rad_s3", "7501.0 is looser"),
        (r"jerk_max_rad_s3 = [0-9.]+", "torque_max_nm = 88", "joints.joint1.torque_max_nm", "looser than the 87.0"),
        (
            r"acceleration_max_rad_s2 = [0-9.]+",
            "acceleration_max_rad_s2 = -1",
            "joints.joint1.acceleration_max_rad_s2",
            "above zero",
        ),
        (r"velocity_max_rad_s = [0-9.]+", "velocity_max_rad_s = nan", "joints.joint1.velocity_max_rad_s", "finite"),
        (
            r"jerk_max_rad_s3 = [0-9.]+",
            "setpoint_step_max_rad = inf",
            "joints.joint1.setpoint_step_max_rad",
            "finite and above zero",
        ),
        (r"^gripper_speed_max_m_s = [0-9.]+", "gripper_speed_max_m_s = 0.3", "gripper_speed_max_m_s", "looser"),
        (r"^\[joints.joint7\]", "[joints.joint9]", "joints.joint9", "has only"),
        (r"^\[joints.joint7\](.|\n)*", "", "joints.joint7", "missing"),
        (r"^feedback_timeout_s = [0-9.]+", "feedback_timeout_s = 0", "safety.toml", "above zero"),
        (r"^feedback_timeout_s = [0-9.]+", "feedback_timeout_s = 1.0", "safety.toml", "at most 0.5, got 1.0"),
        (r"^tracking_error_max_rad = [0-9.]+", "tracking_error_max_rad = 9", "safety.toml", "at most 1.0, got 9.0"),
        (r"^hold_timeout_s = [0-9.]+", "hold_timeout_ms = 60000", "fallback.hold_timeout_ms", "`hold_timeout_s`"),
        (r"^hold_timeout_s = [0-9.]+", "hold_timeout_s = 0", "fallback", "above zero"),
        (r"^hold_timeout_s = [0-9.]+", "hold_timeout_s = 1e308", "fallback", "a year"),
        (r"^retract_timeout_s = [0-9.]+", "retract_timeout_s = 1e308", "fallback", "a year"),
        (r"^play_max_s = [0-9.]+", "play_max_s = -1", "fallback", "between 0 and 60"),
        (r"^retract_speed_scale = [0-9.]+", "retract_speed_scale = 1.5", "fallback", "at most at 1"),
        (r"^retract_rad = \[0.0", "retract_rad = [3.0", "fallback.retract_rad", "3.0 is outside the limits of joint1"),
        (r"^retract_rad = \[.*\]", "retract_rad = [0.0]", "fallback.retract_rad", "each of the 7 joints"),
        (r"^\[fallback\]", "[contact]\nforce_max_n = 0\n[fallback]", "contact", "force_max_n"),
        (r"^\[fallback\]", "[contact]\nforce_max_kn = 1\n[fallback]", "contact.force_max_kn", "`force_max_n`"),
        (r"^\[fallback\]", "[contact]\ndebounce_s = nan\n[fallback]", "contact", "debounce_s"),
        (r"^\[fallback\]", "[contact]\ndebounce_s = 1e308\n[fallback]", "contact", "debounce_s must be at most 1"),
    ],
)
def test_a_wrong_line_in_safety_toml(robot: Path, pattern: str, text: str, key: str, hint: str) -> None:
    replace(robot.parent / "safety.toml", pattern, text)
    error = problem_of(robot)
    assert error.key == key
    assert hint in error.problem
    assert "safety.toml" in str(error)


@pytest.mark.parametrize(
    ("key", "text", "hint"),
    [
        ("geometry.keep_out[0].radius", "[[geometry.keep_out]]\nradius = 1.0", "`radius_m`"),
        ("geometry.workspace.min", "[geometry.workspace]\nmin = [0, 0, 0]", "`min_m`"),
        ("geometry.workspace", "[geometry.workspace]\nmin_m = [0, 0, 1]\nmax_m = [1, 1, 0]", "not be above max_m"),
        ("geometry.workspace", "[geometry.workspace]\nmin_m = [0, 0, nan]\nmax_m = [1, 1, 0]", "finite"),
        ("geometry.workspace.min_m", "[geometry.workspace]\nmin_m = [0, 0]\nmax_m = [1, 1, 0]", "length 3"),
        ("geometry.half_spaces[0]", '[[geometry.half_spaces]]\nname = "x"\nnormal = [0, 0, 0]\noffset_m = 0', "length"),
        ("geometry.keep_out[0]", _KEEP_OUT + "radius_m = -1", "not negative"),
        ("geometry", "manipulability_stop_below = 0.1", "below manipulability_slow_below"),
        ("geometry", "reduced_tool_speed_m_s = 9", "above tool_speed_max_m_s"),
        ("geometry", "clearance_min_m = 2", "between 0 and 1"),
        ("geometry", "tool_speed_max_m_s = -1", "above zero"),
    ],
)
def test_a_wrong_line_in_the_geometry(tmp_path: Path, key: str, text: str, hint: str) -> None:
    path = tmp_path / "safety.toml"
    shipped = (SIM_CONFIG.parent / "safety.toml").read_text(encoding="utf-8")
    plain = re.sub(r"^\[geometry(.|\n)*?(?=^\[joints)", "", shipped, flags=re.MULTILINE)
    path.write_text(f'{plain}\n[geometry]\nkinematics = "kinematics.toml"\n{text}\n', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_toml(path, SafetyFile)
    assert re.sub(r"\[\d+\]", "[0]", caught.value.key) == key or caught.value.key == key.replace("[0]", "[...]")
    assert hint in caught.value.problem


@pytest.mark.parametrize("field", [*FIELDS, "torque_max_nm"])
def test_what_is_left_out_is_the_tightest_that_is_known(field: str) -> None:
    rated = getattr(EMBODIMENT.axes[0], field)
    file = with_joint1(**{field: None})
    assert getattr(limits_of(file).axes["joint1"], LIMITS[field]) == rated
    other = Source("model.xml", {"joint1": {field: rated * 0.98}})
    assert getattr(limits_of(file, other).axes["joint1"], LIMITS[field]) == rated * 0.98
    looser = Source("model.xml", {"joint1": {field: rated * 1.5}})
    assert getattr(limits_of(file, looser).axes["joint1"], LIMITS[field]) == rated
    nobody = Source("model.xml", {"joint1": {field: None}})
    assert getattr(limits_of(file, nobody).axes["joint1"], LIMITS[field]) == rated


@pytest.mark.parametrize("field", FIELDS)
def test_looser_than_the_robots_description_names_it_and_both_values(field: str) -> None:
    asked = getattr(FILE.joints["joint3"], field)
    tighter = Source("model.xml", {"joint3": {field: asked * 0.9}})
    with pytest.raises(ConfigError) as caught:
        limits_of(FILE, tighter)
    assert caught.value.key == f"joints.joint3.{field}"
    assert f"{asked} is looser than the {asked * 0.9} of model.xml (in safety.toml)" in caught.value.problem
    assert limits_of(FILE, Source("model.xml", {"joint3": {field: asked}})) == limits_of(FILE)


def test_a_range_that_closes_and_a_limit_that_nobody_knows() -> None:
    file = with_joint1(position_min_rad=None, position_max_rad=None)
    with pytest.raises(ConfigError, match="must be below position_max_rad"):
        limits_of(file, Source("a", {"joint1": {"position_min_rad": 1.0, "position_max_rad": 1.0}}))
    with pytest.raises(ConfigError, match="can't be left out") as caught:
        tightest(file, "safety.toml", EMBODIMENT, [])
    assert caught.value.key == "joints.joint1.position_min_rad"


def test_a_joint_that_says_nothing_has_the_rating() -> None:
    file = msgspec.structs.replace(FILE, joints={name: JointSection() for name in EMBODIMENT.joint_names})
    for axis, limits in zip(EMBODIMENT.axes, limits_of(file).axes.values(), strict=True):
        if not axis.is_gripper:
            assert all(getattr(limits, LIMITS[field]) == getattr(axis, field) for field in FIELDS)


def test_the_digest_does_not_depend_on_the_order_of_keys(robot: Path) -> None:
    before = load_config(robot).safety
    path = robot.parent / "safety.toml"
    text = path.read_text(encoding="utf-8")
    head, *tables = re.split(r"^(?=\[joints\.)", text, flags=re.MULTILINE)
    shuffled = [
        re.sub(r"(velocity_max_rad_s = .*\n)(acceleration_max_rad_s2 = .*\n)", r"\2\1", table).rstrip() + "\n\n"
        for table in reversed(tables)
    ]
    path.write_text(head + "".join(shuffled), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != text
    after = load_config(robot).safety
    assert after.digest == before.digest
    assert list(after.axes) == list(EMBODIMENT.axis_names)


@pytest.mark.parametrize(
    ("file", "pattern", "text"),
    [
        ("safety.toml", r"velocity_max_rad_s = [0-9.]+", "velocity_max_rad_s = 1.0"),
        ("safety.toml", r"jerk_max_rad_s3 = [0-9.]+", "jerk_max_rad_s3 = 1000.0"),
        ("safety.toml", r"^hold_timeout_s = [0-9.]+", "hold_timeout_s = 61.0"),
        ("safety.toml", r"^tracking_error_max_rad = [0-9.]+", "tracking_error_max_rad = 0.1"),
        ("embodiment.toml", r"torque_max_nm = [0-9.]+", "torque_max_nm = 80.0"),
        ("embodiment.toml", r"opening_max_m = [0-9.]+", "opening_max_m = 0.07"),
    ],
)
def test_the_digest_follows_every_limit_that_acts(robot: Path, file: str, pattern: str, text: str) -> None:
    before = load_config(robot).safety.digest
    replace(robot.parent / file, pattern, text)
    assert load_config(robot).safety.digest != before


def test_the_digest_ignores_a_rating_that_does_not_act(robot: Path) -> None:
    before = load_config(robot).safety.digest
    replace(robot.parent / "embodiment.toml", r"velocity_max_rad_s = [0-9.]+", "velocity_max_rad_s = 2.1")
    assert load_config(robot).safety.digest == before


def test_a_bundle_may_ask_of_what_the_robot_allows() -> None:
    motion = limits_of(FILE).motion
    assert motion.velocity_rad_s == tuple(FILE.joints[name].velocity_max_rad_s for name in EMBODIMENT.joint_names)
    assert motion.jerk_rad_s3 == tuple(FILE.joints[name].jerk_max_rad_s3 for name in EMBODIMENT.joint_names)
    assert all(math.isfinite(value) for value in motion.acceleration_rad_s2 or ())


@pytest.mark.parametrize("field", ["position_max_rad = 2.7437", "torque_max_nm = 87.0"])
def test_a_described_limit_that_is_no_number_is_not_passed_over(robot: Path, field: str) -> None:
    name = field.split(" ")[0]
    replace(robot.parent / "kinematics.toml", re.escape(field), f"{name} = nan")
    error = problem_of(robot)
    assert error.key == f"joints.joint1.{name}"
    assert "kinematics.toml has nan" in error.problem
