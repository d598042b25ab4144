"""Descriptions of every kind of robot: lifts, gantries, coupled stages, endless joints, hands, two arms, moving bases.
Where MuJoCo can say where links are, it does."""

from __future__ import annotations

import math
import random
from pathlib import Path

import mujoco
import numpy as np
import pytest

from benchmarks.descriptions import errors_of
from edge_runtime.cli import main
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import (
    BASE,
    Compiled,
    GeometryModel,
    HeldJoint,
    SourceLimits,
    compile_file,
    load_kinematics,
    read_kinematics,
    watched_body,
    write_kinematics,
)
from tests.safety.geometry_robot import NativeGeometry

LIFT = """<mujoco><compiler angle="radian"/><default><geom type="capsule" mass="1"/></default><worldbody>
<body name="mast" pos="0.1 0.2 0" euler="0 0 0.4"><geom fromto="0 0 0.06 0 0 0.3" size="0.06"/>
 <body name="stage1" pos="0 0 0.3"><joint name="lift" type="slide" axis="0 0 1" range="0 0.5"/>
  <geom fromto="0 0 0 0 0 0.25" size="0.05"/>
  <body name="stage2" pos="0 0 0.3"><joint name="telescope" type="slide" axis="0 0.1 1" range="0 0.4"/>
   <geom fromto="0 0 0 0 0 0.2" size="0.04"/>
   <body name="shoulder" pos="0 0 0.3"><joint name="pan" axis="0 0 1"/><geom fromto="0 0 0 0.2 0 0" size="0.04"/>
    <body name="fore" pos="0.25 0 0"><joint name="elbow" axis="0 1 0" range="-2 2"/>
     <geom fromto="0.02 0 0 0.2 0 0" size="0.03"/>
     <body name="plate" pos="0.25 0 0"><joint name="level" axis="0 1 0"/><geom fromto="0 -0.03 0 0 0.03 0" size="0.03"/>
      <site name="tip" pos="0.06 0 0"/>
      <body name="jaw" pos="0.05 0.02 0"><joint name="jaw" axis="0 0 1" range="-0.2 1.2"/>
       <geom fromto="0 0 0 0.06 0 0" size="0.01"/></body>
     </body></body></body></body></body></body>
</worldbody><equality><joint joint1="telescope" joint2="lift" polycoef="0.02 0.6 0 0 0"/>
<joint joint1="level" joint2="elbow" polycoef="0 -1 0 0 0"/></equality>
<actuator><position joint="lift" kp="100" ctrlrange="0.05 0.45" forcerange="-300 300"/></actuator></mujoco>"""


def written(folder: Path, text: str, name: str = "robot.xml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_lift_in_two_stages_with_an_endless_joint_and_a_level_plate(tmp_path: Path) -> None:
    path = written(tmp_path, LIFT)
    found = compile_file(path, ("lift", "pan", "elbow"), tool="tip")
    assert max(errors_of(path, found)) < 1e-12
    joints = {joint.name: joint for joint in found.file.joints}
    assert list(joints) == ["lift", "telescope", "pan", "elbow", "level"]
    assert joints["lift"].limits == SourceLimits(position_min_m=0.05, position_max_m=0.45, force_max_n=300.0)
    telescope = joints["telescope"]
    assert (telescope.kind, telescope.axis, telescope.ratio, telescope.at_zero) == ("prismatic", "lift", 0.6, 0.02)
    assert telescope.extent_m == pytest.approx(0.6 * 0.45 + 0.02)
    assert joints["pan"].limits == SourceLimits()
    assert (joints["level"].axis, joints["level"].ratio) == ("elbow", -1.0)
    assert found.file.held == (HeldJoint(name="jaw", covered=True, low=-0.2, high=1.2),)
    assert found.file.tool is not None
    assert found.file.tool.link == "level"
    # Nobody named any: those that turn, and the slide that carries them; the jaw turns as well.
    assert compile_file(path).axes == ("lift", "pan", "elbow", "jaw")
    assert max(errors_of(path, compile_file(path))) < 1e-12


def test_the_order_of_the_robot_is_kept_and_a_gripper_moves_no_link(tmp_path: Path) -> None:
    path = written(tmp_path, LIFT)
    found = compile_file(path, ("elbow", "lift", "pan"), (0.5, 0.2, 0.0), "tip")
    assert found.axes == ("elbow", "lift", "pan")
    assert max(errors_of(path, found)) < 1e-12
    names = ("elbow", "gripper", "lift", "pan")
    model = watched_body(found.file, axes=names)
    native = NativeGeometry(model).model
    assert native.n_axes == 4
    by_name = {joint.name: native.joints[number].axis for number, joint in enumerate(found.file.joints)}
    assert by_name == {"lift": 2, "telescope": 2, "pan": 3, "elbow": 0, "level": 0}
    with pytest.raises(ConfigError, match=r"joint pan\.axis: there is no 'pan', only elbow, lift"):
        watched_body(found.file, axes=("elbow", "lift"))


def test_a_file_of_any_kind_of_axes_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = compile_file(written(tmp_path, LIFT), ("lift", "pan", "elbow"), tool={"plate": "tip", "arm": "fore"})
    path = tmp_path / "kinematics.toml"
    write_kinematics(path, found.file, found.notes)
    assert read_kinematics(path) == found.file
    assert [tool.name for tool in found.file.tool_points] == ["plate", "arm"]
    assert load_kinematics(path).tools == found.file.tools
    text = path.read_text()
    for line in ('kind = "prismatic"', 'axis = "elbow"', "ratio = -1.0", "at_zero = 0.02", "extent_m = 0.29"):
        assert line in text


def capsule_points(found: Compiled, q: list[float]) -> list[tuple[str | None, np.ndarray, np.ndarray, float]]:
    """Of each capsule its link in the description, its ends in the world and its radius."""
    native = NativeGeometry(found.model)
    native.move_to(q)
    rotations, origins_m = native.pose()
    links = {joint.name: number for number, joint in enumerate(found.model.joints)}
    placed = []
    for one in found.model.capsules:
        rotation, origin_m = np.eye(3), np.zeros(3)
        if one.link is not BASE:
            rotation, origin_m = np.reshape(rotations[links[one.link]], (3, 3)), np.array(origins_m[links[one.link]])
        placed.append((one.source_link, rotation @ one.a_m + origin_m, rotation @ one.b_m + origin_m, one.radius_m))
    return placed


def test_what_is_solid_is_inside_the_capsules_wherever_lift_plate_and_jaw_are(tmp_path: Path) -> None:
    path = written(tmp_path, LIFT)
    found = compile_file(path, ("lift", "pan", "elbow"), tool="tip")
    sim = mujoco.MjModel.from_xml_path(str(path))
    data = mujoco.MjData(sim)
    generator = random.Random(1)
    for _ in range(40):
        lift, pan, elbow = generator.uniform(0.05, 0.45), generator.uniform(-9, 9), generator.uniform(-2, 2)
        data.qpos[:] = (lift, 0.02 + 0.6 * lift, pan, elbow, -elbow, generator.uniform(-0.2, 1.2))
        mujoco.mj_kinematics(sim, data)
        base, base_m = data.body("mast").xmat.reshape(3, 3), data.body("mast").xpos
        placed = capsule_points(found, [lift, pan, elbow])
        for geom in range(sim.ngeom):
            body = sim.body(sim.geom_bodyid[geom]).name
            axis = data.geom_xmat[geom].reshape(3, 3)[:, 2] * sim.geom_size[geom][1]
            ends = [base.T @ (data.geom_xpos[geom] + sign * axis - base_m) for sign in (-1.0, 1.0)]
            for end in ends:
                inside = [
                    from_segment(end, a, b) + sim.geom_size[geom][0] - radius_m
                    for source, a, b, radius_m in placed
                    if source == body
                ]
                assert min(inside) <= 2e-6, body


def from_segment(point: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    along = b - a
    square = float(along @ along)
    t = float(np.clip((point - a) @ along / square, 0.0, 1.0)) if square else 0.0
    return float(np.linalg.norm(point - a - t * along))


GANTRY = """<robot name="gantry"><link name="frame"/>
<joint name="x" type="prismatic"><parent link="frame"/><child link="bridge"/><axis xyz="1 0 0"/>
  <limit lower="0" upper="1.5" velocity="0.8" effort="200" acceleration="2"/></joint><link name="bridge">BOX</link>
<joint name="y" type="prismatic"><parent link="bridge"/><child link="cart"/><axis xyz="0 1 0"/>
  <limit lower="-0.4" upper="0.4" velocity="0.8" effort="100"/></joint><link name="cart">BOX</link>
<joint name="z" type="prismatic"><parent link="cart"/><child link="quill"/><origin xyz="0 0 0.4"/><axis xyz="0 0 -1"/>
  <limit lower="0" upper="0.3" velocity="0.2" effort="100"/></joint><link name="quill">BOX</link></robot>""".replace(
    "BOX", '<collision><geometry><box size="0.1 0.1 0.1"/></geometry></collision>'
)


def test_a_gantry_slides_alone(tmp_path: Path) -> None:
    found = compile_file(written(tmp_path, GANTRY, "gantry.urdf"))
    assert found.axes == ("x", "y", "z")
    assert [joint.kind for joint in found.file.joints] == ["prismatic"] * 3
    assert found.file.joints[0].limits == SourceLimits(
        position_min_m=0.0,
        position_max_m=1.5,
        velocity_max_m_s=0.8,
        acceleration_max_m_s2=2.0,
        force_max_n=200.0,
    )
    native = NativeGeometry(found.model)
    native.move_to([1.2, -0.3, 0.25])
    assert native.pose()[1][2] == pytest.approx([1.2, -0.3, 0.4 - 0.25])
    assert list(native.model.reach_m[2][0:3]) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ('lower="0" upper="1500"', "its range is 0 to 1500 m, more than 10 m: is that in millimetres"),
        ('lower="0" upper="0"', "its limits leave no range: from 0 to 0 m"),
    ],
)
def test_a_slide_in_millimetres_or_without_a_range_is_asked_about(tmp_path: Path, wrong: str, words: str) -> None:
    path = written(tmp_path, GANTRY.replace('lower="0" upper="1.5"', wrong), "gantry.urdf")
    with pytest.raises(ConfigError, match=words):
        compile_file(path)
    if "1500" in wrong:
        with pytest.raises(ConfigError, match="within 100 m"):
            compile_file(path, limits_in_m=True, limits_in_rad=True)
        with pytest.raises(ConfigError, match="compile with --limits-in-m"):
            compile_file(path, limits_in_rad=True)


def test_ros2_control_states_limits_of_a_slide_in_metres(tmp_path: Path) -> None:
    control = (
        '<ros2_control name="c" type="system"><joint name="x"><command_interface name="position">'
        '<param name="min">0.1</param><param name="max">1.4</param></command_interface>'
        '<command_interface name="velocity"><param name="min">-0.5</param><param name="max">0.5</param>'
        "</command_interface></joint></ros2_control></robot>"
    )
    found = compile_file(written(tmp_path, GANTRY.replace("</robot>", control), "gantry.urdf"))
    limits = found.file.joints[0].limits
    assert (limits.low, limits.high, limits.speed_max, limits.position_min_rad) == (0.1, 1.4, 0.5, None)


ARM = """<link name="{0}_base">BALL</link>
<joint name="{0}_1" type="revolute"><parent link="{0}_base"/><child link="{0}_upper"/><origin xyz="0 0 0.2"/>
 <axis xyz="0 0 1"/><limit lower="-2" upper="2" velocity="1" effort="9"/></joint><link name="{0}_upper">BALL</link>
<joint name="{0}_2" type="revolute"><parent link="{0}_upper"/><child link="{0}_fore"/><origin xyz="0.2 0 0"/>
 <axis xyz="0 1 0"/><limit lower="-2" upper="2" velocity="1" effort="9"/></joint><link name="{0}_fore">BALL</link>
<joint name="{0}_mount" type="fixed"><parent link="chassis"/><child link="{0}_base"/><origin xyz="0 {1} 0.3"/></joint>
"""
WHEEL = """<joint name="{0}_wheel_joint" type="continuous"><parent link="chassis"/><child link="{0}_wheel"/>
 <origin xyz="0 {1} 0"/><axis xyz="0 1 0"/></joint><link name="{0}_wheel"><collision>
 <origin xyz="0.02 0 0" rpy="1.5707963 0 0"/><geometry><cylinder radius="0.1" length="0.04"/></geometry>
 </collision></link>
"""
BALL = '<collision><geometry><sphere radius="0.04"/></geometry></collision>'
MOBILE = (
    '<robot name="mobile"><link name="odom"/><joint name="drive" type="{kind}"><parent link="odom"/>'
    '<child link="chassis"/><origin xyz="0 0 0.1"/><axis xyz="0 0 1"/></joint><link name="chassis">'
    '<collision><origin xyz="0 0 0.1"/><geometry><box size="0.5 0.3 0.1"/></geometry></collision></link>'
    + WHEEL.format("left", 0.25)
    + WHEEL.format("right", -0.25)
    + ARM.format("left", 0.3)
    + ARM.format("right", -0.3)
    + "</robot>"
).replace("BALL", BALL)


@pytest.mark.parametrize("kind", ["planar", "floating"])
def test_two_arms_on_a_base_that_moves(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, MOBILE.replace("{kind}", kind), "mobile.urdf")
    found = compile_file(path)
    assert found.axes == ("left_1", "left_2", "right_1", "right_2")
    assert found.has_base
    assert "wheels are no axes here: left_wheel_joint, right_wheel_joint" in found.notes
    assert any("the base moves (drive): the robot begins at chassis" in note for note in found.notes)
    assert [held.name for held in found.file.held if held.covered] == ["left_wheel_joint", "right_wheel_joint"]
    # The chassis is the frame of everything: 10 cm above where the file has it.
    native = NativeGeometry(found.model)
    native.move_to([0.0] * 4)
    assert native.pose()[1][0] == pytest.approx([0.0, 0.3, 0.5])
    assert all(capsule.in_world for capsule in found.file.capsules)
    # A wheel that is not round about its axle is covered all around.
    wheel = next(one for one in found.file.capsules if one.name == "left_wheel")
    for angle in np.linspace(0.0, 2.0 * math.pi, 50):
        rim = np.array([0.12 * math.cos(angle), 0.25, 0.12 * math.sin(angle)])
        assert from_segment(rim, np.array(wheel.a_m), np.array(wheel.b_m)) <= wheel.radius_m + 1e-6
    tools = {tool.name: tool.link for tool in found.file.tools}
    assert tools == {"left_2": "left_2", "right_2": "right_2"}
    # It drives up to a wall: the world is odometry's.
    native = NativeGeometry(found.model.with_axes((*found.axes, "x", "yaw"), has_base=True))
    native.move_to([0.0] * 6, (1.0, 2.0, math.pi))
    assert native.pose()[1][0] == pytest.approx([1.0, 2.0 - 0.3, 0.5])
    every = len(found.file.capsules)
    apart = [pair for pair in found.file.apart if {name[:5] for name in pair} == {"left_", "right"}]
    watched = [pair for pair in found.file.pairs if {name[:5] for name in pair} == {"left_", "right"}]
    assert every == 9
    assert len(apart) + len(watched) == 12, "every part that moves with every part of the other side"


def test_a_joint_that_floats_elsewhere_is_named(tmp_path: Path) -> None:
    loose = MOBILE.replace("{kind}", "fixed").replace(
        '<joint name="left_2" type="revolute">', '<joint name="left_2" type="floating">'
    )
    with pytest.raises(ConfigError, match="joint left_2: lets float what it carries: only the base of a robot may"):
        compile_file(written(tmp_path, loose, "mobile.urdf"))


def test_slides_without_end_move_the_base(tmp_path: Path) -> None:
    """As MuJoCo's models of mobile manipulators have them; the first joint of the arm turns without end as well."""
    text = """<mujoco><compiler angle="radian"/><default><geom mass="1"/></default><worldbody>
    <geom type="plane" size="1 1 1"/><body name="cart" pos="0.3 0.1 0.2" euler="0 0 0.5">
     <joint name="bx" type="slide" axis="1 0 0"/>
     <joint name="by" type="slide" axis="0 1 0"/><joint name="bth" axis="0 0 1"/><geom type="box" size="0.2 0.2 0.1"/>
     <body name="arm" pos="0 0 0.3"><joint name="a1" axis="0 0 1"/><geom size="0.05"/>
      <body name="fore" pos="0.3 0 0"><joint name="a2" axis="0 1 0" range="-2 2"/><geom size="0.05"/></body></body>
    </body></worldbody></mujoco>"""
    path = written(tmp_path, text)
    for names in (None, ("a1", "a2")):
        found = compile_file(path, names)
        assert found.axes == ("a1", "a2")
        assert found.has_base
        assert max(errors_of(path, found)) < 1e-12
    assert compile_file(path, ("bth", "a1", "a2")).axes == ("bth", "a1", "a2")


def test_a_base_alone_is_a_robot(tmp_path: Path) -> None:
    start, end = MOBILE.replace("{kind}", "planar").split('<joint name="left_1"')[0], "</robot>"
    start = start[: start.index('<link name="left_base"')]
    on_wheels_alone = start.replace('type="planar"', 'type="fixed"')
    for text in (start, on_wheels_alone):
        found = compile_file(written(tmp_path, text + end, "cart.urdf"))
        assert (found.axes, found.file.joints, found.has_base) == ((), (), True)
    model = watched_body(found.file, axes=("x", "yaw"), has_base=True)
    assert (model.n_axes, len(model.capsules)) == (2, 3)
    assert all(one.in_world for one in model.capsules)


def test_an_arm_that_somebody_else_moves_is_held_and_said(tmp_path: Path) -> None:
    """On a torso that turns: six joints are no finger, and all that they may reach is no capsule of use."""
    joint = (
        '<joint name="{0}" type="revolute"><parent link="{1}"/><child link="{2}"/><origin xyz="0.1 0 0"/>'
        '<axis xyz="0 {3} 1"/><limit lower="-1" upper="1" velocity="1" effort="9"/></joint><link name="{2}">'
        + BALL
        + "</link>"
    )
    chain = [joint.format(f"other{k}", f"o{k}" if k else "torso", f"o{k + 1}", k) for k in range(6)]
    own = joint.format("mine", "torso", "hand", 1)
    text = f'<robot name="r"><link name="foot"/>{joint.format("turn", "foot", "torso", 0)}{own}{"".join(chain)}</robot>'
    found = compile_file(written(tmp_path, text, "robot.urdf"), ("turn", "mine"), tool="hand")
    assert {one.name: one.covered for one in found.file.held} == {f"other{k}": False for k in range(6)}
    assert "joint other0 is not controlled: held at 0 rad; its motion is not covered" in found.notes
    shorter = text.replace(chain[5], "")
    found = compile_file(written(tmp_path, shorter, "robot.urdf"), ("turn", "mine"), tool="hand")
    assert all(one.covered for one in found.file.held)


def test_a_torso_that_is_not_controlled_is_held_where_it_carries_the_arm(tmp_path: Path) -> None:
    found = compile_file(
        written(tmp_path, LIFT.replace("<equality>", "<!--").replace("</equality>", "-->")), ("pan", "elbow")
    )
    assert [(one.name, one.covered, one.unit) for one in found.file.held][:2] == [
        ("lift", False, "m"),
        ("telescope", False, "m"),
    ]
    assert "joint lift is not controlled: held at 0 m; its motion is not covered" in found.notes


def test_a_range_beyond_all_measure_is_none(tmp_path: Path) -> None:
    text = MOBILE.replace("{kind}", "fixed").replace('lower="-2" upper="2"', 'lower="-1e16" upper="1e16"', 1)
    found = compile_file(written(tmp_path, text, "robot.urdf"))
    assert found.file.joints[0].limits.low is None
    assert any("joint left_1: its range, -1e+16 to 1e+16 rad, is taken for none" in note for note in found.notes)


HAND = "".join(
    f'<joint name="f{finger}_{k}" type="revolute"><parent link="{f"f{finger}_{k - 1}" if k else "palm"}"/>'
    f'<child link="f{finger}_{k}"/><origin xyz="{0.04 if k else 0.05} {0.0 if k else 0.05 * finger - 0.1} 0"/>'
    f'<axis xyz="0 {0 if k == 0 else 1} {1 if k == 0 else 0}"/>'
    f'<limit lower="{-0.3 if k == 0 else 0}" upper="{0.3 if k == 0 else 1.5}" velocity="3" effort="1"/>'
    + (f'<mimic joint="f{finger}_2" multiplier="0.8"/>' if k == 3 else "")
    + f'</joint><link name="f{finger}_{k}"><collision><origin xyz="0.015 0 0" rpy="0 1.5707963 0"/><geometry>'
    '<capsule radius="0.008" length="0.02"/></geometry></collision></link>'
    for finger in range(5)
    for k in range(4)
)


def test_a_hand_with_coupled_joints(tmp_path: Path) -> None:
    """Five fingers of four joints, the last of each at 0.8 of the one before: 15 axes, 20 links."""
    palm = '<link name="palm"><collision><geometry><box size="0.06 0.24 0.02"/></geometry></collision></link>'
    found = compile_file(written(tmp_path, f'<robot name="hand">{palm}{HAND}</robot>', "hand.urdf"))
    assert (len(found.axes), len(found.file.joints)) == (15, 20)
    assert found.file.tool is not None
    assert len(found.file.tool_points) == 1, "more ends than the kernel has tools for"
    fingers = {tuple(sorted(name[:2] for name in pair)) for pair in found.file.pairs}
    assert {("f0", "f1"), ("f1", "f2"), ("f3", "f4")} <= fingers
    four = palm + HAND[: HAND.index('<joint name="f4_0"')]
    found = compile_file(written(tmp_path, f'<robot name="hand">{four}</robot>', "hand.urdf"))
    assert [tool.name for tool in found.file.tools] == [f"f{k}_3" for k in range(4)]


def test_more_axes_than_a_robot_has_are_counted(tmp_path: Path) -> None:
    bead = (
        '<joint name="j{0}" type="revolute"><parent link="{1}"/><child link="b{0}"/><origin xyz="0.1 0 0"/>'
        '<axis xyz="0 0 1"/><limit lower="-1" upper="1" velocity="1" effort="1"/></joint><link name="b{0}">'
        + BALL
        + "</link>"
    )
    chain = "".join(bead.format(k, f"b{k - 1}" if k else "foot") for k in range(33))
    path = written(tmp_path, f'<robot name="snake"><link name="foot"/>{chain}</robot>', "snake.urdf")
    with pytest.raises(ConfigError, match="33 joints are more than the 32 axes of a robot: name yours with --joints"):
        compile_file(path)


def test_a_gripper_is_covered_over_its_own_range_and_the_descriptions(tmp_path: Path) -> None:
    found = compile_file(written(tmp_path, LIFT), ("lift", "pan", "elbow"), tool="tip", grippers={"jaw": (-0.5, 1.0)})
    assert found.file.held == (HeldJoint(name="jaw", covered=True, low=-0.5, high=1.2),)


EMBODIMENT = """name = "mobile"
[[groups]]
name = "arm"
kind = "arm"
[[groups.axes]]
kind = "prismatic"
name = "lift"
position_min_m = 0.05
position_max_m = 0.45
velocity_max_m_s = 0.2
acceleration_max_m_s2 = 0.5
jerk_max_m_s3 = 5.0
force_max_n = 300.0
home_m = 0.1
[[groups.axes]]
kind = "continuous"
name = "pan"
velocity_max_rad_s = 1.0
acceleration_max_rad_s2 = 5.0
jerk_max_rad_s3 = 50.0
torque_max_nm = 20.0
[[groups.axes]]
kind = "jaw_gripper"
name = "jaw"
closed_rad = -0.3
open_rad = 1.0
speed_max_rad_s = 2.0
[[groups.axes]]
kind = "revolute"
name = "elbow"
position_min_rad = -2.0
position_max_rad = 2.0
velocity_max_rad_s = 1.0
acceleration_max_rad_s2 = 5.0
jerk_max_rad_s3 = 50.0
torque_max_nm = 20.0
home_rad = 0.4
[[groups]]
name = "base"
kind = "base"
[[groups.axes]]
kind = "base_linear"
name = "forwards"
along = "x"
velocity_max_m_s = 0.5
acceleration_max_m_s2 = 0.5
jerk_max_m_s3 = 5.0
"""


def test_the_command_takes_an_embodiment_of_any_kind_and_named_tools(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = written(tmp_path, LIFT)
    embodiment = written(tmp_path, EMBODIMENT, "embodiment.toml")
    out = tmp_path / "kinematics.toml"
    arguments = ["kinematics", str(source), "--embodiment", str(embodiment), "-o", str(out)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--tool", "plate=tip", "--tool", "arm=fore"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "3 axes, 5 joints" in said
    assert "prismatic" in said
    file = read_kinematics(out)
    assert [(tool.name, tool.link) for tool in file.tools] == [("plate", "level"), ("arm", "elbow")]
    assert file.held == (HeldJoint(name="jaw", covered=True, low=-0.3, high=1.2),)
    assert all(capsule.in_world for capsule in file.capsules), "its base moves"
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--tool", "=tip"])
    assert ended.value.code == 2
    assert "a tool's name, = and a link" in capsys.readouterr().err


def test_a_slide_of_which_nobody_says_how_far_it_goes_makes_no_model(tmp_path: Path) -> None:
    file = compile_file(written(tmp_path, GANTRY, "gantry.urdf")).file
    text = written(tmp_path, "", "kinematics.toml")
    write_kinematics(text, file, ())
    text.write_text(text.read_text().replace("position_max_m = 1.5\n", ""))
    with pytest.raises(ConfigError, match="joint x: slides, and how far is not said: state position_min_m"):
        load_kinematics(text)
    assert isinstance(GeometryModel(joints=file.joints, capsules=file.capsules, pairs=(), tools=()), GeometryModel)
