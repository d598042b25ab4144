"""Every limit that a description states is kept or refused by name, and one that can't be in radians is asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_runtime.cli import main
from edge_runtime.contracts.axes import ParallelGripper, Revolute
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import SourceLimits, compile_file, load_kinematics
from edge_runtime.safety.kinematics.mjcf import read_mjcf
from edge_runtime.safety.kinematics.urdf import read_urdf
from tests.settings import copy_settings, problem_of, replace

URDF = """<robot name="r"><link name="foot"/><joint name="j1" type="TYPE"><parent link="foot"/><child link="arm"/>
<axis xyz="0 0 1"/>LIMIT</joint>
<link name="arm"><collision><geometry><sphere radius="0.1"/></geometry></collision></link></robot>"""
LIMIT = '<limit lower="-2" upper="2" velocity="1" effort="5"/>'


def urdf(folder: Path, limit: str, kind: str = "revolute") -> Path:
    path = folder / "arm.urdf"
    path.write_text(URDF.replace("LIMIT", limit).replace("TYPE", kind), encoding="utf-8")
    return path


def limits(path: Path, **options: Any) -> SourceLimits:
    return compile_file(path, ["j1"], **options).model.joints[0].limits


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        compile_file(path, ["j1"], **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("soft", "low", "high"),
    [
        ('soft_lower_limit="-0.5" soft_upper_limit="0.5" k_position="10" k_velocity="10"', -0.5, 0.5),
        ('soft_lower_limit="-3" soft_upper_limit="0.5"', -2.0, 0.5),
        ('k_velocity="10"', -2.0, 2.0),
        ('soft_lower_limit="0" soft_upper_limit="0" k_velocity="0"', -2.0, 2.0),
    ],
)
def test_soft_limits_are_kept_where_they_are_tighter(tmp_path: Path, soft: str, low: float, high: float) -> None:
    found = limits(urdf(tmp_path, f"{LIMIT}<safety_controller {soft}/>"))
    assert (found.position_min_rad, found.position_max_rad) == (low, high)


def test_a_range_that_a_continuous_joint_states_is_kept(tmp_path: Path) -> None:
    found = limits(urdf(tmp_path, LIMIT, "continuous"))
    assert (found.position_min_rad, found.position_max_rad) == (-2.0, 2.0)
    for none in ("", 'lower="0" upper="0"'):
        found = limits(urdf(tmp_path, f'<limit {none} velocity="1" effort="5"/>', "continuous"))
        assert found.position_max_rad is None


def test_soft_limits_of_a_joint_without_end_are_its_limits(tmp_path: Path) -> None:
    soft = '<safety_controller soft_lower_limit="-0.5" soft_upper_limit="0.5" k_velocity="1"/>'
    found = limits(urdf(tmp_path, soft, "continuous"))
    assert (found.position_min_rad, found.position_max_rad) == (-0.5, 0.5)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (f'{LIMIT}<safety_controller soft_upper_limit="0.5"/>', "states soft_upper_limit alone"),
        (f'{LIMIT}<safety_controller soft_lower_limit="1" soft_upper_limit="-1"/>', "its soft limits leave no range"),
        (
            f'{LIMIT}<safety_controller soft_lower_limit="3" soft_upper_limit="4"/>',
            "its limits leave no range: from 3 to 2",
        ),
        (f'{LIMIT}<safety_controller soft_lower_limit="nan" soft_upper_limit="4"/>', "must be a number, got 'nan'"),
        (f'{LIMIT}<safety_controller k_position="x"/>', "must be a number, got 'x'"),
        ('<limit lower="-2" upper="2" velocity="-1" effort="5"/>', "its velocity limit is -1: it is a magnitude"),
        ('<limit lower="-2" upper="2" velocity="1" effort="-5"/>', "its effort limit is -5: it is a magnitude"),
        ('<limit lower="2" upper="-2" velocity="1" effort="5"/>', "lower limit 2.0 is above the upper limit -2.0"),
        ('<limit lower="nan" upper="2" velocity="1" effort="5"/>', "must be a number, got 'nan'"),
        ('<limit lower="-2" upper="inf" velocity="1" effort="5"/>', "must be a number, got 'inf'"),
        ('<limit velocity="1" effort="5"/>', "its limits leave no range: from 0 to 0 rad"),
        (
            '<limit lower="-180" upper="180" velocity="1" effort="5"/>',
            "-180 to 180 rad, more than two turns: is that in deg",
        ),
        (
            '<limit lower="90" upper="95" velocity="1" effort="5"/>',
            "90 to 95 rad, more than two turns: is that in degrees",
        ),
        (
            '<limit lower="-2" upper="2" velocity="180" effort="5"/>',
            "its speed limit is 180 rad/s: is that in degrees?",
        ),
    ],
)
def test_urdf_limits_that_cannot_be_kept_are_refused_by_name(tmp_path: Path, limit: str, words: str) -> None:
    problem = refused(urdf(tmp_path, limit))
    assert problem.startswith("joint j1: ")
    assert words in problem


def test_two_turns_and_a_fast_joint_are_no_degrees(tmp_path: Path) -> None:
    found = limits(urdf(tmp_path, '<limit lower="-6.283185307" upper="6.283185307" velocity="30" effort="5"/>'))
    assert (found.position_max_rad, found.velocity_max_rad_s) == (6.283185307, 30.0)


def test_what_looks_like_degrees_can_be_confirmed(tmp_path: Path) -> None:
    path = urdf(tmp_path, '<limit lower="-1000" upper="1000" velocity="40" effort="5"/>')
    assert "--limits-in-rad" in refused(path)
    assert limits(path, limits_in_rad=True).position_max_rad == 1000.0
    output = tmp_path / "k.toml"
    with pytest.raises(SystemExit) as ended:
        main(["kinematics", str(path), "-o", str(output), "--limits-in-rad"])
    assert ended.value.code == 0
    assert load_kinematics(output).joints[0].limits.velocity_max_rad_s == 40.0


MJCF = """<mujoco><compiler angle="radian"/><worldbody><body name="arm"><joint name="j1" axis="0 0 1" RANGE/>
<geom size="0.1"/></body></worldbody><actuator>ACTUATOR</actuator></mujoco>"""


def mjcf(folder: Path, actuator: str, joint_range: str = 'range="-2 2"') -> Path:
    path = folder / "arm.xml"
    path.write_text(MJCF.replace("ACTUATOR", actuator).replace("RANGE", joint_range), encoding="utf-8")
    return path


NONE = {"position_min_rad": -2.0, "position_max_rad": 2.0, "velocity_max_rad_s": None, "torque_max_nm": None}


@pytest.mark.parametrize(
    ("actuator", "changes"),
    [
        ('<position joint="j1" kp="10" ctrlrange="-0.5 1"/>', {"position_min_rad": -0.5, "position_max_rad": 1.0}),
        ('<position joint="j1" kp="10" ctrlrange="-3 1"/>', {"position_max_rad": 1.0}),
        (
            '<position joint="j1" kp="10" gear="-2" ctrlrange="-1 2"/>',
            {"position_min_rad": -1.0, "position_max_rad": 0.5},
        ),
        (
            '<general joint="j1" biastype="affine" gainprm="20" biasprm="1 -10 -1" ctrlrange="-0.5 0.5"/>',
            {"position_min_rad": -0.9, "position_max_rad": 1.1},
        ),
        ('<velocity joint="j1" kv="3" ctrlrange="-1.5 2"/>', {"velocity_max_rad_s": 1.5}),
        ('<motor joint="j1" gear="10" ctrlrange="-2 3"/>', {"torque_max_nm": 20.0}),
        ('<motor joint="j1" gear="10" forcerange="-2 3"/>', {"torque_max_nm": 20.0}),
        (
            '<position joint="j1" kp="10" ctrlrange="-1 1" forcerange="-7 7"/><motor joint="j1" ctrlrange="-5 5"/>',
            {"position_min_rad": -1.0, "position_max_rad": 1.0, "torque_max_nm": 5.0},
        ),
        (
            '<intvelocity joint="j1" kp="10" actrange="-1 1" ctrlrange="-0.4 0.4"/>',
            {"position_min_rad": -1.0, "position_max_rad": 1.0, "velocity_max_rad_s": 0.4},
        ),
    ],
)
def test_limits_of_actuators_are_kept(tmp_path: Path, actuator: str, changes: dict[str, float]) -> None:
    found = limits(mjcf(tmp_path, actuator))
    for name, value in (NONE | changes).items():
        assert getattr(found, name) == (value if value is None else pytest.approx(value)), name


def test_actuators_of_joints_that_are_not_controlled_do_not_matter(tmp_path: Path) -> None:
    finger = '<body><joint name="finger" axis="0 1 0" range="0 1"/><geom size="0.01"/></body></body></worldbody>'
    odd = '<position joint="finger" kp="1" ctrlrange="3 4"/><damper joint="finger" kv="1" ctrlrange="0 255"/>'
    path = mjcf(tmp_path, odd)
    path.write_text(path.read_text(encoding="utf-8").replace("</body></worldbody>", finger), encoding="utf-8")
    assert limits(path).position_max_rad == 2.0


def test_a_control_range_is_the_range_of_a_joint_that_has_none(tmp_path: Path) -> None:
    found = limits(mjcf(tmp_path, '<position joint="j1" kp="10" ctrlrange="-1 1"/>', ""))
    assert (found.position_min_rad, found.position_max_rad) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("actuator", "joint_range", "words"),
    [
        ('<position joint="j1" kp="10" ctrlrange="3 4"/>', 'range="-2 2"', "leave nothing between 3 and 2 rad"),
        ('<position joint="j1" kp="10" ctrlrange="-180 180"/>', "", "more than two turns: is that in degrees?"),
        (
            '<velocity joint="j1" kv="1" ctrlrange="-180 180"/>',
            'range="-2 2"',
            "speed limit is 180 rad/s: is that in deg",
        ),
        (
            '<damper name="d" joint="j1" kv="1" ctrlrange="0 1"/>',
            'range="-2 2"',
            "actuator d: its control range, 0 to 1",
        ),
    ],
)
def test_mjcf_limits_that_cannot_be_kept_are_refused_by_name(
    tmp_path: Path, actuator: str, joint_range: str, words: str
) -> None:
    assert words in refused(mjcf(tmp_path, actuator, joint_range))


JOINT: dict[str, Any] = {
    "name": "j1",
    "position_min_rad": -2.0,
    "position_max_rad": 2.0,
    "velocity_max_rad_s": 2.0,
    "acceleration_max_rad_s2": 10.0,
    "jerk_max_rad_s3": 1000.0,
    "torque_max_nm": 10.0,
    "home_rad": 0.0,
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"position_min_rad": -180.0, "position_max_rad": 180.0},
            "-180 to 180 rad, more than two turns: is that in degrees",
        ),
        ({"velocity_max_rad_s": 180.0}, "speed limit is 180 rad/s: is that in degrees"),
    ],
)
def test_an_embodiment_in_degrees_is_asked_about_and_can_be_confirmed(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Revolute(**JOINT | changes)
    assert "limits_in_rad = true" in str(caught.value)
    Revolute(**JOINT | changes, limits_in_rad=True)


def test_an_embodiments_joint_has_ends() -> None:
    with pytest.raises(ValueError, match='a joint that turns without end is of kind = "continuous"'):
        Revolute(**JOINT | {"position_max_rad": float("inf")})


@pytest.mark.parametrize("changes", [{"opening_max_m": 80.0}, {"opening_max_m": 1.7}, {"speed_max_m_s": 100.0}])
def test_a_gripper_in_other_units_is_asked_about(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="is that in millimetres, percent or degrees"):
        ParallelGripper(**{"name": "g"} | {"opening_max_m": 0.08, "speed_max_m_s": 0.1} | changes)


def test_the_question_reaches_a_person_with_the_files_name(tmp_path: Path) -> None:
    path = copy_settings(tmp_path)
    replace(tmp_path / "embodiment.toml", r"^opening_max_m = .*", "opening_max_m = 80")
    problem = problem_of(path)
    assert "is that in millimetres" in str(problem)
    assert "embodiment.toml" in str(problem)


@pytest.mark.parametrize("key", ["frozen_encoder_travel_rad", "reset_tolerance_rad", "start_tolerance_rad"])
def test_a_tolerance_in_degrees_is_refused(tmp_path: Path, key: str) -> None:
    path = copy_settings(tmp_path)
    replace(tmp_path / "safety.toml", r"^gripper_speed_max", f"{key} = 3.0\ngripper_speed_max")
    assert f"{key} must be at most" in str(problem_of(path))


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ('<limit lower="-1" upper="1" effort="1" velocity="1"/>', "more than one <limit>"),
        ('<safety_controller k_velocity="1"/><safety_controller k_velocity="1"/>', "more than one <safety_controller>"),
    ],
)
def test_what_is_stated_twice_is_asked_about(tmp_path: Path, inside: str, words: str) -> None:
    limit = '<limit lower="-2" upper="2" effort="1" velocity="1"/>'
    path = tmp_path / "twice.urdf"
    path.write_text(
        f'<robot name="r"><link name="a"/><link name="b"/><joint name="j" type="revolute"><parent link="a"/>'
        f'<child link="b"/><axis xyz="0 0 1"/>{limit}{inside}</joint></robot>',
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=words):
        read_urdf(path)


def test_links_inside_something_else_are_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "odd.urdf"
    path.write_text('<robot name="r"><link name="a"/><group><link name="b"/></group></robot>', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"<group>.*holds links or joints"):
        read_urdf(path)


def test_a_link_that_is_only_drawn_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "drawn.urdf"
    sphere = '<visual><geometry><sphere radius="0.2"/></geometry></visual>'
    path.write_text(f'<robot name="r"><link name="a">{sphere}</link></robot>', encoding="utf-8")
    assert any("link a has a <visual> and no <collision>" in note for note in read_urdf(path).notes)


def test_two_robots_in_one_file_are_not_one_of_them_in_silence(tmp_path: Path) -> None:
    arm = '<body name="{0}"><joint name="{0}_j" type="hinge" range="-1 1"/><geom size="0.1"/></body>'
    path = tmp_path / "two.xml"
    path.write_text(
        f'<mujoco><compiler angle="radian"/><worldbody>{arm.format("l")}{arm.format("r")}</worldbody></mujoco>',
        encoding="utf-8",
    )
    both = read_mjcf(path)
    assert [joint.name for joint in both.joints if joint.moves] == ["l_j", "r_j"]
    assert "the world is that of the file, in which l and r stand" in both.notes
    assert any("nothing keeps it off: r" in note for note in read_mjcf(path, ("l_j",)).notes)
