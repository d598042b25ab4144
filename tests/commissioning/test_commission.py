"""From a description to a folder: robots of every shape, what can't be known, and what is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.robots import jog_each
from edge_runtime.cli.check import robot as check_robot
from edge_runtime.cli.check.row import Level
from edge_runtime.commissioning.answers import Answers, Proposals, Unanswered
from edge_runtime.commissioning.commission import WRITTEN, Made, Order, commission
from edge_runtime.commissioning.robot_types import ROBOT_TYPES
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.axes import Continuous, JawGripper, ParallelGripper, Prismatic, Revolute
from edge_runtime.contracts.errors import ConfigError
from tests.commissioning.descriptions import BASE, DESCRIPTIONS, chain, joint, link, robot, two_roots


def make(folder: Path, text: str, answers: Answers | None = None, name: str = "own.urdf", **order: Any) -> Made:
    source = folder / name
    source.write_text(text, encoding="utf-8")
    wanted = Order(source=str(source), output=folder / "robot", **order)
    return commission(wanted, answers or Answers(), Proposals(), lambda _: None)


def shape_of(made: Made) -> dict[str, list[str]]:
    """Names and kinds of axes, by group."""
    return {
        group.name: [f"{axis.name} {type(axis).__struct_config__.tag}" for axis in group.axes]
        for group in made.embodiment.groups
    }


SHAPES: dict[str, dict[str, list[str]]] = {
    "arm_without_gripper": {"arm": [f"joint{n} revolute" for n in range(1, 5)]},
    "arm_with_fingers": {"arm": [*(f"joint{n} revolute" for n in range(1, 5)), "gripper parallel_gripper"]},
    "fingers_that_nothing_couples": {"arm": [*(f"joint{n} revolute" for n in range(1, 4)), "gripper parallel_gripper"]},
    "arm_with_a_jaw": {"arm": [*(f"joint{n} revolute" for n in range(1, 4)), "gripper jaw_gripper"]},
    "coupled_fingers": {"arm": [*(f"joint{n} revolute" for n in range(1, 4)), "drive jaw_gripper"]},
    "two_arms": {
        f"{side}_arm": [*(f"{side}_joint{n} revolute" for n in range(1, 4)), f"{side}_gripper parallel_gripper"]
        for side in ("left", "right")
    },
    "hand": {"hand": [f"f{finger}_{n} revolute" for finger in range(4) for n in range(3)]},
    "arm_on_a_lift_on_wheels": {
        "torso": ["torso_lift prismatic"],
        "head": ["head_pan revolute"],
        "arm": [f"arm_joint{n} revolute" for n in range(1, 5)],
        "base": ["base_x base_linear", "base_yaw base_yaw"],
    },
    "planar_base": {
        "arm": [f"arm_joint{n} revolute" for n in range(1, 4)],
        "base": ["base_x base_linear", "base_y base_linear", "base_yaw base_yaw"],
    },
    "gantry": {"arm": ["x prismatic", "y prismatic"]},
    "endless_joints": {"arm": ["turn continuous", "joint1 revolute", "joint2 revolute"]},
    "names_of_makers": {"arm": ["robot0:waist joint revolute", "base revolute"]},
}


@pytest.mark.parametrize("which", DESCRIPTIONS)
def test_a_robot_of_any_shape_goes_from_its_file_to_jogging_under_the_kernel(which: str, tmp_path: Path) -> None:
    made = make(tmp_path, DESCRIPTIONS[which])
    assert shape_of(made) == SHAPES[which]
    config = load_config(made.folder / "robot.toml")
    assert [row.level for row in check_robot.home_posture(config)] == [Level.OK]
    assert [row.level for row in check_robot.limits(config)] == [Level.OK]
    jogged = jog_each(config)
    assert not jogged.faults
    assert jogged.moved == config.embodiment.axis_names
    assert config.assumed == made.assumed
    for name in ("robot.svg", "robot.html"):
        text = (made.folder / name).read_text(encoding="utf-8")
        assert text.count("<line ") >= 3


def test_mjcf_with_several_roots_is_one_robot_and_what_floats_in_it_is_none(tmp_path: Path) -> None:
    made = make(tmp_path, two_roots(), name="pair.xml")
    assert shape_of(made) == {
        f"{side}_arm": [f"{side}/waist revolute", f"{side}/elbow revolute", f"{side}_gripper parallel_gripper"]
        for side in ("left", "right")
    }
    gripper = made.embodiment.axes[2]
    assert isinstance(gripper, ParallelGripper)
    assert gripper.opening_max_m == pytest.approx(0.06)
    assert not jog_each(load_config(made.folder / "robot.toml")).faults


def test_jaws_and_fingers_are_closed_where_they_meet(tmp_path: Path) -> None:
    for number, (which, closed, wide) in enumerate((("arm_with_a_jaw", -0.2, 1.6), ("coupled_fingers", 0.6, 0.0))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (jaw,) = make(folder, DESCRIPTIONS[which]).embodiment.grippers
        assert isinstance(jaw, JawGripper)
        assert (jaw.closed_rad, jaw.open_rad) == (closed, wide)


def test_what_no_maker_states_comes_of_the_rule_and_is_marked(tmp_path: Path) -> None:
    text = robot(BASE, link("a"), joint("j", "base", "a", limit='lower="-1" upper="1" velocity="2" effort="0"'))
    made = make(tmp_path, text)
    (axis,) = made.embodiment.axes
    assert isinstance(axis, Revolute)
    # Full speed in half a second, full acceleration in a tenth; an effort of 0 is none.
    assert (axis.acceleration_max_rad_s2, axis.jerk_max_rad_s3, axis.torque_max_nm) == (4.0, 40.0, 10.0)
    assert made.assumed == ("j.acceleration_max_rad_s2", "j.jerk_max_rad_s3", "j.torque_max_nm")
    lines = (made.folder / "embodiment.toml").read_text(encoding="utf-8").splitlines()
    assert "velocity_max_rad_s = 2.0" in lines
    assert "acceleration_max_rad_s2 = 4.0  # assumed" in lines


def test_a_speed_that_no_robot_has_counts_as_not_stated(tmp_path: Path) -> None:
    text = robot(BASE, link("a"), joint("j", "base", "a", limit='lower="-1" upper="1" velocity="10000" effort="50000"'))
    made = make(tmp_path, text)
    assert made.embodiment.axes[0].speed_max == 1.0
    assert any("a speed limit of 10000 is none" in note for note in made.notes)


def test_degrees_and_millimetres_are_converted_on_a_yes(tmp_path: Path) -> None:
    text = robot(
        BASE,
        link("a"),
        joint("turn", "base", "a", axis="0 0 1", limit='lower="-180" upper="90" velocity="60" effort="20"'),
        link("b"),
        joint(
            "slide", "a", "b", kind="prismatic", axis="0 0 1", limit='lower="0" upper="300" velocity="100" effort="20"'
        ),
    )
    made = make(tmp_path, text)
    turn, slide = made.embodiment.axes
    assert isinstance(turn, Revolute)
    assert isinstance(slide, Prismatic)
    assert (turn.low, turn.high, turn.speed_max) == pytest.approx((-3.141593, 1.570796, 1.047198))
    assert (slide.low, slide.high, slide.speed_max) == pytest.approx((0.0, 0.3, 0.1))
    assert sum("its limits are read as" in note for note in made.notes) == 2
    with pytest.raises(ConfigError, match=r"Is that in degrees\? Then it is converted"):
        commission(
            Order(source=str(tmp_path / "own.urdf"), output=tmp_path / "other"), Answers(), Unanswered(), lambda _: None
        )


def _stl(path: Path, size: float) -> None:
    corners = [(0, 0, 0), (size, 0, 0), (0, size, 0), (0, 0, size)]
    faces = [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]
    text = "solid s\n"
    for face in faces:
        vertices = "".join(f"vertex {' '.join(map(str, corners[k]))}\n" for k in face)
        text += f"facet normal 0 0 1\nouter loop\n{vertices}endloop\nendfacet\n"
    path.write_text(f"{text}endsolid s\n")


def test_meshes_in_millimetres_need_a_persons_word(tmp_path: Path) -> None:
    _stl(tmp_path / "part 1.stl", 4000.0)
    mesh = '<mesh filename="part%201.stl" scale="0.01 0.01 0.01"/>'
    text = robot(BASE, link("a", mesh, 0.2), joint("j", "base", "a"))
    with pytest.raises(ConfigError, match=r"No link of a robot is so large: a \(40 m\)"):
        make(tmp_path, text)
    assert not (tmp_path / "robot").exists()
    made = make(tmp_path, text, Answers(meshes="millimetres"))
    widest = max(float(line.split(" = ")[1]) for line in _lines(made, "kinematics.toml", "radius_m"))
    assert widest < 0.06


def _lines(made: Made, name: str, key: str) -> list[str]:
    text = (made.folder / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith(f"{key} = ")]


def test_a_robot_on_a_table_is_armed_although_its_shoulder_never_leaves_it(tmp_path: Path) -> None:
    fat = link("shoulder", '<cylinder radius="0.08" length="0.1"/>', 0.06)
    text = robot(
        link("base", '<box size="0.1 0.1 0.02"/>', 0.01),
        fat,
        joint("pan", "base", "shoulder", axis="0 0 1", xyz=(0, 0, 0.02)),
        chain("", 2, "shoulder", (0.0, 0.0, 0.12)),
    )
    made = make(tmp_path, text)
    assert made.resting == ("shoulder",)
    assert any("surfaces and zones are not kept from shoulder" in note for note in made.notes)
    # Held to it after all, it can't be armed, and the message says which capsule and which surface.
    with pytest.raises(ConfigError, match=r"does not arm there: shoulder is .* table"):
        make(tmp_path, text, Answers(rests_on_surface=()), force=True)


def test_a_home_on_the_table_is_refused_and_one_is_found(tmp_path: Path) -> None:
    text = robot(
        BASE,
        link("a", z_m=0.12),
        joint("lift", "base", "a", limit='lower="-3" upper="3" velocity="1" effort="9"', xyz=(0, 0, 0.05)),
    )
    lying = Answers(home={"lift": 2.2})
    with pytest.raises(ConfigError, match=r"home: the safety kernel does not arm there: a is .*"):
        make(tmp_path, text, lying)
    assert not (tmp_path / "robot").exists()
    assert make(tmp_path, text).embodiment.home == (0.0,)


def test_xacro_is_expanded_with_its_arguments(tmp_path: Path) -> None:
    text = """<robot xmlns:xacro="http://www.ros.org/wiki/xacro" name="own">
      <xacro:arg name="side" default="left"/>
      <xacro:macro name="arm" params="at">
        <link name="${at}_arm">
          <collision><origin xyz="0 0 0.1"/><geometry><sphere radius="0.05"/></geometry></collision></link>
        <joint name="${at}_turn" type="revolute"><parent link="base"/><child link="${at}_arm"/><axis xyz="0 0 1"/>
          <origin xyz="0 0 0.2"/><limit lower="${-pi/2}" upper="${pi/2}" velocity="1" effort="1"/></joint>
      </xacro:macro>
      <link name="base"/>
      <xacro:arm at="$(arg side)"/>
    </robot>"""
    made = make(tmp_path, text, name="own.urdf.xacro", arguments={"side": "right"})
    assert shape_of(made) == {"right_arm": ["right_turn revolute"]}


def test_where_it_stands_is_said_and_placed(tmp_path: Path) -> None:
    made = make(tmp_path, DESCRIPTIONS["arm_without_gripper"], Answers(stands_on="table", height_m=0.75))
    assert _lines(made, "safety.toml", "offset_m") == ["offset_m = -0.75"]
    made = make(tmp_path, DESCRIPTIONS["arm_without_gripper"], Answers(stands_on="nothing"), force=True)
    assert _lines(made, "safety.toml", "offset_m") == []


def test_fingers_may_be_plain_joints_and_joints_may_be_left_out(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        DESCRIPTIONS["arm_with_fingers"],
        Answers(grippers={}, joints=("joint1", "joint2", "joint3", "joint4", "finger_left")),
    )
    assert shape_of(made)["hand"] == ["finger_left prismatic"]
    (tmp_path / "other").mkdir()
    made = make(
        tmp_path / "other", DESCRIPTIONS["arm_with_fingers"], Answers(joints=("joint1", "joint2", "joint3", "joint4"))
    )
    assert made.embodiment.axis_names == ("joint1", "joint2", "joint3", "joint4")
    with pytest.raises(
        ConfigError, match=r"the description has no joint joint9 that moves by itself; there are joint1"
    ):
        make(tmp_path, DESCRIPTIONS["arm_with_fingers"], Answers(joints=("joint9",)), force=True)


def test_more_axes_than_a_robot_has_are_left_out_by_limb_and_said(tmp_path: Path) -> None:
    arms = "".join(chain(f"a{n}_", 6, "base", (0.9 * n, 0.0, 0.1)) for n in range(6))
    made = make(tmp_path, robot(BASE, arms))
    assert len(made.embodiment.axes) == 30
    assert any("not controlled, unless they are named, are a5_joint1" in note for note in made.notes)


@pytest.mark.parametrize("which", ROBOT_TYPES)
def test_a_type_that_lerobot_knows_is_a_robot_without_a_body(which: str, tmp_path: Path) -> None:
    made = commission(Order(source=which, output=tmp_path / "robot"), Answers(), Proposals(), lambda _: None)
    config = load_config(made.folder / "robot.toml")
    arms = len(ROBOT_TYPES[which].arms)
    assert len(config.embodiment.grippers) == arms
    assert config.safety.geometry is None
    assert not jog_each(config).faults
    assert ROBOT_TYPES[which].source in " ".join(made.notes)


def test_a_type_takes_a_description_with_its_names_and_no_other(tmp_path: Path) -> None:
    names = [one.name for one in ROBOT_TYPES["so101_follower"].joints]
    parts = [BASE]
    on = "base"
    for number, name in enumerate(names):
        parts += [link(f"l{number}"), joint(name, on, f"l{number}", axis="0 0 1" if number == 0 else "0 1 0")]
        on = f"l{number}"
    description = tmp_path / "so.urdf"
    description.write_text(robot(*parts), encoding="utf-8")
    order = Order(source="so101_follower", output=tmp_path / "robot", description=description)
    made = commission(order, Answers(), Proposals(), lambda _: None)
    assert made.embodiment.axis_names == tuple(names)
    assert made.watched > 0
    description.write_text(DESCRIPTIONS["arm_without_gripper"], encoding="utf-8")
    with pytest.raises(ConfigError, match=r"so\.urdf has no joint shoulder_pan"):
        commission(replace(order, force=True), Answers(), Proposals(), lambda _: None)


def test_nothing_is_written_over_and_other_files_stay(tmp_path: Path) -> None:
    text = DESCRIPTIONS["arm_without_gripper"]
    made = make(tmp_path, text)
    (made.folder / "calibration.toml").write_text("mine")
    (made.folder / "robot.toml").write_text("edited")
    with pytest.raises(ConfigError, match=r"has robot.toml, .* already: another folder, or --force to replace"):
        make(tmp_path, text)
    assert (made.folder / "robot.toml").read_text() == "edited"
    make(tmp_path, text, force=True)
    assert (made.folder / "robot.toml").read_text() != "edited"
    assert (made.folder / "calibration.toml").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.urdf", "robot"]


@pytest.mark.parametrize("at", ["reading", "capsules", "watched", "arming"])
def test_an_end_half_way_leaves_nothing_behind(at: str, tmp_path: Path) -> None:
    source = tmp_path / "own.urdf"
    source.write_text(DESCRIPTIONS["arm_with_fingers"], encoding="utf-8")

    def progress(doing: str) -> None:
        if at in doing:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        commission(Order(source=str(source), output=tmp_path / "robot"), Answers(), Proposals(), progress)
    assert [path.name for path in tmp_path.iterdir()] == ["own.urdf"]


class Typed:
    """A person at a terminal, who answers some questions in her own way."""

    def __init__(self, **said: list[str]) -> None:
        self.said, self.asked, self.told = said, list[str](), list[str]()

    def ask(self, key: str, _question: str, _proposal: str) -> str:
        self.asked.append(key)
        left = self.said.get(key.split(" ")[0], [])
        return left.pop(0) if left else ""

    def tell(self, words: str) -> bool:
        self.told.append(words)
        return True


def test_a_person_is_asked_what_no_file_can_know_and_asked_again_after_a_slip(tmp_path: Path) -> None:
    source = tmp_path / "own.urdf"
    source.write_text(DESCRIPTIONS["arm_with_a_jaw"], encoding="utf-8")
    person = Typed(
        grippers=["perhaps", "swap"],
        stands_on=["roof", "floor"],
        height_m=["high", "0.5"],
        cameras=["scene", "scene:64x48@20"],
        driver=["none", "./driver.py"],
        home=["joint9=1", "joint2=0.25"],
    )
    made = commission(Order(source=str(source), output=tmp_path / "robot"), Answers(), person, lambda _: None)
    asked = [key.split(" ")[0] for key in person.asked]
    assert list(dict.fromkeys(asked)) == [
        *("joints", "grippers", "tools", "stands_on", "height_m", "home", "cameras", "driver"),
    ]
    assert len(person.told) == 6
    (jaw,) = made.embodiment.grippers
    assert (jaw.closed, jaw.open) == (1.6, -0.2)
    assert made.embodiment.home[1] == 0.25
    assert made.embodiment.cameras[0].name == "scene"
    assert load_config(made.folder / "robot.toml").robot.driver == "./driver.py"


def test_endless_joints_are_at_home_inside_of_a_turn(tmp_path: Path) -> None:
    made = make(tmp_path, DESCRIPTIONS["endless_joints"], Answers(home={"turn": 7.0}))
    turn = made.embodiment.axes[0]
    assert isinstance(turn, Continuous)
    assert turn.home == pytest.approx(7.0 - 6.283185, abs=1e-5)


def test_the_command_speaks_json_and_says_what_nobody_answered(tmp_path: Path) -> None:
    source = tmp_path / "own.urdf"
    source.write_text(DESCRIPTIONS["arm_with_fingers"], encoding="utf-8")
    command = [
        str(Path(sys.executable).with_name("edge-runtime")),
        "new",
        "robot",
        str(source),
        "-o",
        str(tmp_path / "robot"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "error: joints: not answered: Which joints belong to the robot?" in done.stderr
    assert "--yes" in done.stderr
    done = subprocess.run([*command, "--yes", "--json"], capture_output=True, text=True, timeout=120)
    report = json.loads(done.stdout)
    assert report["axes"] == ["joint1", "joint2", "joint3", "joint4", "gripper"]
    assert set(report["files"]) == set(WRITTEN)
    assert report["next"][0].startswith("edge-runtime check --config ")
