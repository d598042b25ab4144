"""Limits in `<ros2_control>`, and those that newer URDFs have in `<limit>`, are kept, refused or named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import Compiled, compile_file, read_kinematics, write_kinematics

URDF = """<robot name="r"><link name="foot"/><link name="hand"/>
<joint name="j1" type="TYPE"><parent link="foot"/><child link="arm"/><axis xyz="0 0 1"/>
<limit lower="-2" upper="2" velocity="1" effort="5" MORE/></joint>
<joint name="slide" type="prismatic"><parent link="arm"/><child link="hand"/><limit lower="0" upper="0.1" velocity="1"
effort="5"/></joint>
<link name="arm"><collision><geometry><sphere radius="0.1"/></geometry></collision></link>CONTROL</robot>"""
STATED = {
    "position_min_rad": -2.0,
    "position_max_rad": 2.0,
    "velocity_max_rad_s": 1.0,
    "acceleration_max_rad_s2": None,
    "jerk_max_rad_s3": None,
    "torque_max_nm": 5.0,
}


def compiled(folder: Path, control: str = "", more: str = "", kind: str = "revolute") -> Compiled:
    path = folder / "arm.urdf"
    path.write_text(URDF.replace("CONTROL", control).replace("MORE", more).replace("TYPE", kind), encoding="utf-8")
    return compile_file(path, ["j1"])


def command(kind: str, *, joint: str = "j1", beside: str = "", tag: str = "command_interface", **params: Any) -> str:
    inside = "".join(f'<param name="{name}">{text}</param>' for name, text in params.items())
    return (
        f'<ros2_control name="arm" type="system"><hardware><plugin>any/Arm</plugin></hardware><joint name="{joint}">'
        f'<{tag} name="{kind}">{inside}</{tag}>{beside}<state_interface name="position"/></joint></ros2_control>'
    )


def limits(found: Compiled) -> dict[str, float | None]:
    return {name: getattr(found.file.joints[0].limits, name) for name in STATED}


@pytest.mark.parametrize(
    ("control", "changes"),
    [
        (command("position", min=-0.5, max="1e0"), {"position_min_rad": -0.5, "position_max_rad": 1.0}),
        (command("position", max=" 1.5 "), {"position_max_rad": 1.5}),
        (command("position", min=-3, max=3), {}),
        (command("position", min="", max=""), {}),
        (command("velocity", min=-0.7, max=0.5), {"velocity_max_rad_s": 0.5}),
        (command("velocity", min=-0.4), {"velocity_max_rad_s": 0.4}),
        (command("velocity", min=-9, max=9), {}),
        (command("velocity", min=0, max=0), {}),
        (command("effort", min=-4, max=3), {"torque_max_nm": 3.0}),
        (command("acceleration", min=-4, max=3), {"acceleration_max_rad_s2": 3.0}),
        (command("jerk", max=30), {"jerk_max_rad_s3": 30.0}),
        (
            command("position", min=-1) + command("position", min=-0.5, max=1.9) + command("velocity", max=0.2),
            {"position_min_rad": -0.5, "position_max_rad": 1.9, "velocity_max_rad_s": 0.2},
        ),
    ],
)
def test_limits_of_commands_are_kept_where_they_are_tighter(
    tmp_path: Path, control: str, changes: dict[str, float]
) -> None:
    found = compiled(tmp_path, control)
    assert limits(found) == STATED | changes
    assert not [note for note in found.notes if "ros2_control" in note]
    # What a joint does that nobody controls stays as wide as the joint's own range.
    assert found.file.held[0].high == 0.1


def test_limits_of_commands_are_those_of_a_joint_without_end(tmp_path: Path) -> None:
    found = compiled(tmp_path, command("position", min=-1, max=1.5), kind="continuous")
    assert (limits(found)["position_min_rad"], limits(found)["position_max_rad"]) == (-1.0, 1.5)


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (command("position", min="{-2*pi}"), "states '{-2*pi}' as min of its position, which is no number: correct it"),
        (command("velocity", max="nan"), "states 'nan' as max of its velocity, which is no number"),
        (command("velocity", min=2, max=1), "states a velocity of at least 2 and at most 1: nothing is between them"),
        (command("position", min=2, max=3), "its limits leave no range: from 2 to 2 rad"),
        (command("position", min=-180, max=180, joint="j2"), "has limits in <ros2_control>, and there is no joint of"),
    ],
)
def test_limits_of_commands_that_cannot_be_kept_are_refused_by_name(tmp_path: Path, control: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compiled(tmp_path, control)
    assert caught.value.key in ("joint j1", "joint j2")
    assert words in caught.value.problem


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (
            command("stiffness", min=0, max=9),
            "min = 0 of its stiffness command_interface, max = 9 of its stiffness com",
        ),
        (command("position", min=-1, tag="state_interface"), "min = -1 of its position state_interface"),
        (command("position", max_velocity=3), "max_velocity = 3 of its position command_interface"),
        (command("x", beside='<param name="torque_limit">7</param>'), "that are not kept: torque_limit = 7"),
        (command("position", max=1, beside='<limits enable="false"/>'), "max = 1 of its position command_interface"),
    ],
)
def test_limits_that_are_of_no_command_are_named(tmp_path: Path, control: str, words: str) -> None:
    found = compiled(tmp_path, control)
    assert limits(found) == STATED
    (note,) = (note for note in found.notes if "ros2_control" in note)
    assert note.startswith("joint j1: <ros2_control> states limits that are not kept: ")
    assert words in note


def test_joints_that_are_named_without_limits_are_nobodys_concern(tmp_path: Path) -> None:
    found = compiled(tmp_path, command("position", joint="elsewhere") + command("position", initial_value=1))
    assert limits(found) == STATED
    assert not [note for note in found.notes if "ros2_control" in note]


def test_acceleration_and_jerk_of_a_urdf_are_kept_to_the_file(tmp_path: Path) -> None:
    found = compiled(tmp_path, more='acceleration="4" deceleration="3" jerk="50"')
    assert limits(found) == STATED | {"acceleration_max_rad_s2": 3.0, "jerk_max_rad_s3": 50.0}
    write_kinematics(tmp_path / "kinematics.toml", found.file, ())
    assert read_kinematics(tmp_path / "kinematics.toml") == found.file
    found = compiled(tmp_path, more='upperr="1" acceleration="0"')
    assert limits(found) == STATED
    assert "joint j1: its <limit> states what is not kept: upperr" in found.notes
