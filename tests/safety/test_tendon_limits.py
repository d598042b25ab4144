"""Limits that MJCF states of tendons and of what pulls at them: kept where they are one joint's, named where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import Compiled, SourceLimits, compile_file

MJCF = """<mujoco><compiler angle="radian"/><default><geom mass="0.1"/></default><worldbody><body name="foot">
<geom size="0.05"/><site name="low"/>
<body name="arm" pos="0 0 0.3"><joint name="j1" axis="0 1 0" range="-2 2"/><geom size="0.05"/>
<body name="fore" pos="0 0 0.3"><joint name="j2" axis="0 1 0" range="-2 2"/><geom size="0.05"/><site name="high"/>
<body name="finger" pos="0 0 0.2"><joint name="f" axis="0 1 0" range="0 1"/><geom size="0.01"/></body>
</body></body></body></worldbody><tendon>TENDON</tendon><actuator>ACTUATOR</actuator></mujoco>"""
ONE = '<fixed name="t" RANGE><joint joint="j1" coef="-2"/></fixed>'
PLAIN = ONE.replace("RANGE", "")
BOTH = '<fixed name="t" RANGE><joint joint="j1" coef="1"/><joint joint="j2" coef="1"/></fixed>'
SPATIAL = '<spatial name="t" RANGE><site site="low"/><site site="high"/></spatial>'
FINGER = '<fixed name="t" RANGE><joint joint="f" coef="1"/></fixed>'
NONE: dict[str, Any] = {"position_min_rad": -2.0, "position_max_rad": 2.0}


def compiled(folder: Path, tendon: str, actuator: str = "") -> Compiled:
    path = folder / "arm.xml"
    path.write_text(MJCF.replace("TENDON", tendon).replace("ACTUATOR", actuator), encoding="utf-8")
    return compile_file(path, ["j1", "j2"])


def shared(found: Compiled) -> list[str]:
    return [note for note in found.notes if "not of one joint alone" in note]


@pytest.mark.parametrize(
    ("tendon", "actuator", "changes"),
    [
        (ONE.replace("RANGE", 'range="-1 2"'), "", {"position_min_rad": -1.0, "position_max_rad": 0.5}),
        (ONE.replace("RANGE", 'range="-9 2"'), "", {"position_min_rad": -1.0}),
        (ONE.replace("RANGE", 'limited="false" range="-1 1"'), "", {}),
        (ONE.replace("RANGE", 'actuatorfrcrange="-3 4"'), "", {"torque_max_nm": 6.0}),
        (
            '<fixed name="t" range="-1 1"><joint joint="j1" coef="1"/><joint joint="j2" coef="0"/></fixed>',
            "",
            {"position_min_rad": -1.0, "position_max_rad": 1.0},
        ),
        (
            PLAIN,
            '<position tendon="t" kp="10" gear="2" ctrlrange="-2 6"/>',
            {"position_min_rad": -1.5, "position_max_rad": 0.5},
        ),
        (PLAIN, '<velocity tendon="t" kv="3" ctrlrange="-1 1"/>', {"velocity_max_rad_s": 0.5}),
        (PLAIN, '<motor tendon="t" gear="10" ctrlrange="-2 3"/>', {"torque_max_nm": 40.0}),
    ],
)
def test_limits_of_a_tendon_over_one_joint_are_that_joints(
    tmp_path: Path, tendon: str, actuator: str, changes: dict[str, float]
) -> None:
    found = compiled(tmp_path, tendon, actuator)
    assert found.file.joints[0].limits == SourceLimits(**NONE | changes)
    assert found.file.joints[1].limits == SourceLimits(**NONE)
    assert not shared(found)


@pytest.mark.parametrize(
    ("tendon", "actuator", "what"),
    [
        (BOTH.replace("RANGE", 'range="-1 1"'), "", "tendon t"),
        (BOTH.replace("RANGE", 'actuatorfrcrange="-1 1"'), "", "tendon t"),
        (SPATIAL.replace("RANGE", 'range="0 0.5"'), "", "tendon t"),
        (BOTH.replace("RANGE", ""), '<position name="a" tendon="t" kp="1" ctrlrange="-1 1"/>', "actuator a"),
        (SPATIAL.replace("RANGE", ""), '<motor name="a" tendon="t" forcerange="-1 1"/>', "actuator a"),
        ("", '<motor name="a" site="high" ctrlrange="-1 1"/>', "actuator a"),
    ],
)
def test_limits_that_several_joints_share_are_named(tmp_path: Path, tendon: str, actuator: str, what: str) -> None:
    found = compiled(tmp_path, tendon, actuator)
    assert [joint.limits for joint in found.file.joints] == [SourceLimits(**NONE)] * 2
    (note,) = shared(found)
    assert note.startswith(f"the limits of {what} are not kept")
    assert "state what they mean for j1, j2 in the safety file" in note


@pytest.mark.parametrize(
    ("tendon", "actuator"),
    [
        (BOTH.replace("RANGE", ""), '<motor tendon="t"/>'),
        (SPATIAL.replace("RANGE", ""), ""),
        (FINGER.replace("RANGE", 'range="0 0.5"'), '<position tendon="t" kp="1" ctrlrange="0 255"/>'),
    ],
)
def test_what_limits_no_controlled_joint_does_not_matter(tmp_path: Path, tendon: str, actuator: str) -> None:
    found = compiled(tmp_path, tendon, actuator)
    assert [joint.limits for joint in found.file.joints] == [SourceLimits(**NONE)] * 2
    assert not shared(found)


@pytest.mark.parametrize(
    ("tendon", "actuator", "words"),
    [
        (ONE.replace("RANGE", 'range="5 6"'), "", "leave nothing between -2 and -2.5 rad"),
        (PLAIN, '<damper name="d" tendon="t" kv="1" ctrlrange="0 1"/>', "actuator d: its control range, 0 to 1"),
    ],
)
def test_limits_of_a_tendon_that_cannot_be_kept_are_refused_by_name(
    tmp_path: Path, tendon: str, actuator: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        compiled(tmp_path, tendon, actuator)
    assert words in str(caught.value)


def test_joints_that_a_tendon_through_space_ties_are_named(tmp_path: Path) -> None:
    tie = '<equality><tendon tendon1="t"/></equality></mujoco>'
    path = tmp_path / "tied.xml"
    text = MJCF.replace("TENDON", SPATIAL.replace("RANGE", "")).replace("ACTUATOR", "").replace("</mujoco>", tie)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"tendon t.*j2 moves with j1 in a closed chain"):
        compile_file(path, ["j1"])
