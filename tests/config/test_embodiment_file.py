"""An embodiment file is read in its newest form or in that of version 1, and a mistake teaches the form it needs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge_runtime.config.embodiment_file import embodiment_toml, read_embodiment
from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.contracts.axes import AnyAxis, ParallelGripper, Prismatic
from edge_runtime.contracts.embodiment import Embodiment, Group
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.testing.other_robots import OTHER_ROBOTS
from export_tools.check import read_embodiment as read_embodiment_of_exporter

VERSION_1 = Path(__file__).parent / "version_1" / "embodiment.toml"
SHIPPED = SIM_CONFIG.parent / "embodiment.toml"
_JOINT_DIGEST = "3bb684867df0a8ccefc63d1485989db07129a5673cf6df171892525e6e81a735"
"""Of joint1 to joint7, as version 1 had it for this robot."""


def refused(tmp_path: Path, text: str) -> ConfigError:
    path = tmp_path / "embodiment.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_embodiment(path)
    assert "\n" not in str(caught.value)
    assert "embodiment.toml" in caught.value.problem
    return caught.value


def one_axis(kind: str, keys: str, group: str = "arm") -> str:
    return (
        f'name = "x"\n[[groups]]\nname = "a"\nkind = "{group}"\n[[groups.axes]]\nkind = "{kind}"\nname = "j"\n{keys}\n'
    )


@pytest.mark.parametrize("read", [read_embodiment, read_embodiment_of_exporter])
def test_a_file_of_version_1_is_the_robot_that_it_was(read: object) -> None:
    assert callable(read)
    old, new = read(VERSION_1), read(SHIPPED)
    assert old == new
    assert old.joint_digest == new.joint_digest == _JOINT_DIGEST
    assert old.axis_names == (*(f"joint{i}" for i in range(1, 8)), "gripper")
    assert old.home[:7] == (0.0, -0.1727, 0.0, -2.4555, 0.0, 2.2828, 0.7854)


@pytest.mark.parametrize("name", OTHER_ROBOTS)
def test_what_is_written_is_what_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "embodiment.toml"
    path.write_text(embodiment_toml(OTHER_ROBOTS[name], "Written by a test.\nTwice."), encoding="utf-8")
    assert read_embodiment(path) == OTHER_ROBOTS[name]
    assert path.read_text(encoding="utf-8").startswith("# Written by a test.\n# Twice.\n")


def test_names_of_any_letters_are_written_and_read(tmp_path: Path) -> None:
    robot = OTHER_ROBOTS["gantry"]
    strange = 'größe "x" \\ \x7f'
    axes = (msgspec.structs.replace(robot.axes[0], name=strange), *robot.axes[1:])
    renamed = msgspec.structs.replace(robot, groups=(Group(name="#", kind="arm", axes=axes),))
    path = tmp_path / "embodiment.toml"
    path.write_text(embodiment_toml(renamed), encoding="utf-8")
    assert read_embodiment(path) == renamed


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ('name = "x"', "groups", "[[groups.axes]]"),
        ('name = "x"\njoints = []\ngroups = []', "joints", "exclude each other"),
        ('name = "x"\n[[joints]]\nname = "j"\nkind = "prismatic"', "joints[0].kind", "[[groups.axes]]"),
        (
            'name = "x"\njoints = []\ncameras = []\nhome_rad = []',
            "embodiment.toml",
            "one parallel gripper, no more and no",
        ),
        (
            one_axis("revolut", ""),
            "groups[0].axes[0].kind",
            "did you mean `revolute`?; known are revolute, continuous, ",
        ),
        (one_axis("base", "", "base"), "groups[0].axes[0].kind", "base_linear, base_yaw, parallel_gripper"),
        (
            'name = "x"\n[[groups]]\nname = "a"\nkind = "arm"\n[[groups.axes]]\nname = "j"',
            "groups[0].axes[0].kind",
            "missing",
        ),
        (one_axis("continuous", "position_min_rad = 1.0"), "groups[0].axes[0].position_min_rad", "unknown key"),
        (one_axis("prismatic", "position_min_mm = 1.0"), "groups[0].axes[0].position_min_mm", "`position_min_m`"),
        (
            one_axis("prismatic", "velocity_max_rad_s = 1.0"),
            "groups[0].axes[0].velocity_max_rad_s",
            "`velocity_max_m_s`",
        ),
        (one_axis("prismatic", "position_min_m = 0.0"), "groups[0].axes[0]", "missing required field `position_max_m`"),
        (one_axis("binary_gripper", "", "hands"), "groups[0].kind", "'hands'; it is one of 'arm', 'torso'"),
        (one_axis("binary_gripper", "", "base"), "groups[0]", "those of a base"),
        ('name = "x"\n[[groups]]\nname = "a"\nkind = "arm"\naxes = []', "groups[0]", "one axis at least"),
        (one_axis("binary_gripper", "limits = 3"), "groups[0].axes[0].limits", "unknown key"),
    ],
)
def test_a_file_that_is_no_robot(tmp_path: Path, text: str, key: str, hint: str) -> None:
    error = refused(tmp_path, text)
    assert error.key == key
    assert hint in error.problem


_LIFT = OTHER_ROBOTS["mobile_manipulator"]
_IN_MILLIMETRES = {"position_max_m": 600.0, "position_min_m": -300.0, "velocity_max_m_s": 200.0}


def spoiled(robot: Embodiment, name: str, **values: float) -> str:
    """The robot's file with other values of one axis, which could not be built as a value."""
    index = robot.index_of(name)
    lines = embodiment_toml(robot).splitlines()
    starts = [i for i, line in enumerate(lines) if line == "[[groups.axes]]"]
    end = [*starts, len(lines)][index + 1]
    part = lines[starts[index] : end]
    for key, value in values.items():
        part = [f"{key} = {value!r}" if line.startswith(f"{key} = ") else line for line in part]
    return "\n".join([*lines[: starts[index]], *part, *lines[end:]]) + "\n"


@pytest.mark.parametrize(
    ("robot", "axis", "values", "hint"),
    [
        *(("mobile_manipulator", "lift", {key: value}, "in millimetres?") for key, value in _IN_MILLIMETRES.items()),
        ("mobile_manipulator", "base_x", {"velocity_max_m_s": 600.0}, "in millimetres?"),
        ("mobile_manipulator", "base_yaw", {"velocity_max_rad_s": 90.0}, "in degrees?"),
        ("mobile_manipulator", "joint1", {"position_min_rad": -180.0, "position_max_rad": 180.0}, "in degrees?"),
        ("mobile_manipulator", "gripper", {"opening_max_m": 80.0}, "millimetres, percent or degrees?"),
        ("mobile_manipulator", "gripper", {"speed_max_m_s": 200.0}, "millimetres, percent or degrees?"),
        ("jaw_arm", "gripper", {"closed_rad": 0.0, "open_rad": 100.0}, "in degrees or percent?"),
        ("continuous_arm", "joint1", {"velocity_max_rad_s": 80.0}, "in degrees?"),
    ],
)
def test_a_unit_that_can_t_be_right_is_asked_about(
    tmp_path: Path, robot: str, axis: str, values: dict[str, float], hint: str
) -> None:
    error = refused(tmp_path, spoiled(OTHER_ROBOTS[robot], axis, **values))
    assert hint in error.problem
    assert axis in error.problem, "which axis it is"


def test_metres_that_look_like_millimetres_can_be_confirmed(tmp_path: Path) -> None:
    text = spoiled(_LIFT, "lift", position_max_m=12.0).replace("home_m = 0.2", "home_m = 0.2\nlimits_in_m = true")
    path = tmp_path / "embodiment.toml"
    path.write_text(text, encoding="utf-8")
    lift = read_embodiment(path).axes[_LIFT.index_of("lift")]
    assert isinstance(lift, Prismatic)
    assert lift.position_max_m == 12.0


def test_the_order_of_two_grippers_is_in_the_digest() -> None:
    robot = OTHER_ROBOTS["two_arms_6"]
    left, right = robot.groups
    assert msgspec.structs.replace(robot, groups=(right, left)).joint_digest != robot.joint_digest
    lone: tuple[AnyAxis, ...] = (*left.axes[:-1], ParallelGripper(name="gripper", opening_max_m=0.1, speed_max_m_s=0.1))
    one_arm = Embodiment(name="one", groups=(msgspec.structs.replace(left, axes=lone),))
    bare = Embodiment(name="one", groups=(msgspec.structs.replace(left, axes=lone[:-1]),))
    assert one_arm.joint_digest == bare.joint_digest, "the gripper that every robot of version 1 had is not in it"
