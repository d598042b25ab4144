"""Descriptions and files that are wrong are refused in one line that names what is wrong."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import (
    BASE,
    Capsule,
    GeometryModel,
    Keepout,
    Plane,
    ToolPoint,
    box_planes,
    compile_file,
    load_kinematics,
    read_kinematics,
    watch_of,
    watched_body,
    write_kinematics,
)
from edge_runtime.safety.kinematics.file import to_toml
from edge_runtime.safety.kinematics.stl import stl_vertices
from tests.safety.geometry_robot import UPRIGHT, NativeGeometry, arm, file_of
from tests.safety.kinematics_sources import BOX_M, MJCF, URDF, stl, write_mjcf, write_urdf

SIM_KINEMATICS = SIM_CONFIG.with_name("kinematics.toml")


def refusal(action: Callable[[], Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


URDF_MISTAKES = [
    ('<robot name="small">', "<robot", "small.urdf: not valid XML"),
    ('velocity="1.5"', 'velocity="fast"', "joint turn: <limit velocity> must be a number, got 'fast'"),
    ('lower="-2.5" upper="2.0"', 'lower="2.5" upper="2.0"', "joint turn: lower limit 2.5 is above the upper limit 2.0"),
    ('<limit lower="-2.5" upper="2.0" velocity="1.5" effort="40"/>', "", "joint turn: has no <limit>"),
    ('lower="-2.5"', 'lower="nan"', "joint turn: <limit lower> must be a number, got 'nan'"),
    ('type="continuous"', 'type="floating"', "joint lift: lets float what it carries: only the base"),
    ('axis xyz="0.6 0 -0.8"', 'axis xyz="0 0 0"', "joint lift: its axis has no direction"),
    ('axis xyz="0.6 0 -0.8"', 'axis xyz="0.6 0"', "joint lift: <axis xyz> must be three numbers, got '0.6 0'"),
    ('rpy="0.3 -0.2 0.9"', 'rpy="a b c"', "joint lift: <origin rpy> must be three numbers"),
    ('<child link="boom"/>', "", "joint lift: has no <child>"),
    ('<child link="boom"/>', "<child/>", "joint lift: <child> has no link"),
    ('<child link="boom"/>', '<child link="bom"/>', "joint lift: there is no link bom"),
    ('<child link="lid"/>', '<child link="boom"/>', "link boom: is carried by two joints"),
    ('<child link="column"/>', '<child link="foot"/>', "small.urdf: links that carry each other: foot"),
    ('<link name="tip"/>', '<link name="tip"/><link name="tip"/>', "link tip: there are two of that name"),
    ('<link name="tip"/>', '<link name="tip"/><link name="lost"/>', "needs one link that no joint carries, has 2"),
    ('name="lift"', 'name="turn"', "joint turn: there are two of that name"),
    ('<link name="tip"/>', "<link/>", "link: <link> has no name"),
    ('<capsule radius="0.06" length="0.2"/>', '<cone radius="1"/>', "link column: shape cone is not known"),
    ('<capsule radius="0.06" length="0.2"/>', '<capsule length="0.2"/>', "link column: <capsule radius> must be"),
    ('radius="0.06"', 'radius="-0.06"', "link column: a shape has a size above zero, not -0.06"),
    ('<capsule radius="0.06" length="0.2"/>', "", "link column: a <geometry> holds one shape, this one 0"),
    ('<mesh filename="hand.stl"/>', '<mesh filename="no.stl"/>', "link hand: its mesh no.stl can't be had: no.stl: "),
    ('<mesh filename="hand.stl"/>', '<mesh filename="hand.step"/>', "is no kind of mesh that can be read: only"),
    ('<mesh filename="hand.stl"/>', '<mesh filename="broken.stl"/>', "broken.stl: has no vertices"),
    ('<mesh filename="hand.stl"/>', '<mesh filename="package://x/y.stl"/>', "package x: is neither beside small.urdf"),
    ('<mesh filename="hand.stl"/>', "<mesh/>", "link hand: <mesh> has no filename"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "message"), URDF_MISTAKES)
def test_urdf_mistakes_are_named(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    (tmp_path / "hand.stl").write_bytes(stl(BOX_M))
    (tmp_path / "hand.step").write_text("ISO-10303-21;")
    (tmp_path / "broken.stl").write_bytes(b"solid nothing\nendsolid")
    text = URDF.replace("MESH", '<mesh filename="hand.stl"/>')
    assert right in text
    compile_file(write_urdf(tmp_path, text))
    path = write_urdf(tmp_path, text.replace(right, wrong, 1))
    assert message in refusal(lambda: compile_file(path))


def test_links_that_carry_each_other_are_named(tmp_path: Path) -> None:
    ring = "".join(
        f'<link name="{name}"/>'
        f'<joint name="to_{name}" type="fixed"><parent link="{other}"/><child link="{name}"/></joint>'
        for name, other in (("one", "two"), ("two", "one"))
    )
    path = write_urdf(tmp_path, URDF.replace('<link name="tip"/>', f'<link name="tip"/>{ring}'))
    assert "links that carry each other: one, two" in refusal(lambda: compile_file(path))


def test_other_files_are_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(lambda: compile_file(tmp_path / "none.urdf"))
    other = tmp_path / "other.xml"
    other.write_text("<sdf/>")
    assert "other.xml: opens with <sdf>: URDF and xacro open with <robot>" in refusal(lambda: compile_file(other))


MJCF_MISTAKES = [
    ('type="slide" axis="0 1 0" range="0.01 0.05"', 'type="ball"', "joint grip: is a ball joint: a robot has hinges"),
    ('range="0.01 0.05"', "", "joint grip: slides without end and is not controlled: give it a range"),
    ('axis="3 0 -4"', 'axis="0 0 0"', "MuJoCo can't read it"),
    (
        '<body name="column"',
        '<geom type="plane" size="1 1 1"/><body name="column"',
        "MuJoCo can't read it|a geom of type mjGEOM_PLANE can't be part of a robot",
    ),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MJCF_MISTAKES)
def test_mjcf_mistakes_are_named(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    compile_file(write_mjcf(tmp_path))
    assert right in MJCF
    path = write_mjcf(tmp_path, MJCF.replace(right, wrong, 1))
    assert re.search(message, refusal(lambda: compile_file(path)))


def test_a_robot_is_one_tree_with_a_hinge(tmp_path: Path) -> None:
    path = tmp_path / "two.xml"
    hinge = '<body name="{0}"><joint name="{0}"/><geom size="0.1"/></body>'
    path.write_text(f"<mujoco><worldbody>{hinge.format('a')}{hinge.format('b')}</worldbody></mujoco>")
    assert compile_file(path).axes == ("a", "b")
    assert compile_file(path, ("a",)).model.axis_names == ("a",)
    assert compile_file(path, ("b",)).model.axis_names == ("b",)
    path.write_text('<mujoco><worldbody><body><geom size="0.1"/></body></worldbody></mujoco>')
    assert "has no joint that turns or slides" in refusal(lambda: compile_file(path))


def test_mjcf_without_mujoco_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(ImportError, match="mujoco"):
        compile_file(write_mjcf(tmp_path))
    assert compile_file(write_urdf(tmp_path)).model.n_axes == 4


def test_joints_and_tools_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = write_urdf(tmp_path)
    message = refusal(lambda: compile_file(path, ("turn", "end")))
    assert message == "joint end: no such joint that turns or slides; there are turn, lift, flap, wrist, grip"
    assert refusal(lambda: compile_file(path, ("turn", "turn"))) == "joint turn: is named twice"
    assert "there are turn, lift" in refusal(lambda: compile_file(path, ()))
    assert "tool spoon: no such link or site; there are foot, column" in refusal(
        lambda: compile_file(path, tool="spoon")
    )
    bare = re.sub(r'<link name="(hand|finger)">.*?</link>', r'<link name="\1"/>', URDF)
    path = write_urdf(tmp_path, bare)
    bare_end = compile_file(path, ("turn", "lift", "wrist"))
    assert "no tool was named: the frame of tip, because the joint wrist carries no shape" in bare_end.notes
    assert bare_end.file.tool == compile_file(path, ("turn", "lift", "wrist"), tool="tip").file.tool
    assert "joint wrist carries no shape: nothing keeps it off anything" in compile_file(path, tool="tip").notes


FILE_MISTAKES = [
    ("pairs = [", "pears = [", "pears: unknown key in kinematics.toml; did you mean `pairs`?"),
    ("offset_m =", "offset_mm =", "joints[0].offset_mm: unknown key in kinematics.toml; the unit is part of the key"),
    ("radius_m =", "radius =", "capsules[0].radius: unknown key"),
    ("[tool]", "[planes]\n[tool]", "planes: unknown key"),
    ('parent = "joint1"', 'parent = "joint9"', "joint joint2.parent: there is no 'joint9', only joint1"),
    ('parent = "joint1"', 'parent = "joint2"', "joint joint2: parent must be a joint before it (in kinematics.toml)"),
    ("offset_m = [0.0, 0.0, 0.333]", "offset_m = [0.0, 0.333]", "joints[0].offset_m"),
    (
        "offset_m = [0.0, 0.0, 0.333]",
        "offset_m = [0.0, 0.0, 333.0]",
        "joint joint1: offset_m must be finite and within",
    ),
    ("rotation = [1.0,", "rotation = [1.1,", "joint joint1: rotation is not a rotation matrix"),
    ("radius_m = 0.06\n", "radius_m = -0.06\n", "capsule body1: a_m and b_m must be finite"),
    ("radius_m = 0.06\n", "radius_m = nan\n", "capsule body1: a_m and b_m must be finite"),
    ("radius_m = 0.06\n", 'radius_m = "thick"\n', "capsules[1].radius_m"),
    ('link = "joint3"\n', 'link = "elbow"\n', "capsule body3.link: there is no 'elbow'"),
    ('["body0", "body3"]', '["body0", "body33"]', "pairs[0]: there is no 'body33'"),
    ('["body0", "body3"]', '["body7", "body8"]', "pairs[0]: body7 and body8 are of one link"),
    ('["body0", "body3"]', '["body0"]', "pairs[0]"),
    ('name = "body1"', 'name = "body2"', "capsules: names must differ from each other, and body2 stands twice"),
    ('name = "joint7"', 'name = "joint6"', "joints: names must differ from each other, and joint6 stands twice"),
    ("point_m = [0.0, 0.0, 0.2104]", "point_m = [0.0, 0.0, inf]", "tool: point_m must be finite"),
    ('link = "joint7"', 'link = "joint77"', "tool.link: there is no 'joint77'"),
    ("[tool]", "[tool", "not valid TOML"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), FILE_MISTAKES)
def test_mistakes_in_the_file_are_named(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    path = tmp_path / "kinematics.toml"
    text = to_toml(file_of(arm(in_a_box=False)), ())
    assert right in text
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    assert message in refusal(lambda: load_kinematics(path))


LISTS = [
    ("pairs", ('["link0", "hand"],', ""), "pairs: nothing says whether link0 and hand may touch, nor of 0 more pairs"),
    ("pairs", ('["link0", "hand"]', '["link0", "link1"]'), "neighbours[0]: link0 and link1 are in pairs as well"),
    ("neighbours", ('["link0", "link1"]', '["link9", "link1"]'), "neighbours[0]: there is no 'link9', only link0"),
    (
        "apart",
        ('["link0", "link2"]', '["left_finger", "right_finger"]'),
        "left_finger and right_finger are of one link",
    ),
    ("near", ('pair = ["link1", "link3"]', 'pair = ["link0", "hand"]'), "near[0]: link0 and hand are in pairs as well"),
]


@pytest.mark.parametrize(("field", "change", "message"), LISTS)
def test_a_file_says_of_every_pair_what_becomes_of_it(
    tmp_path: Path, field: str, change: tuple[str, str], message: str
) -> None:
    path = tmp_path / "kinematics.toml"
    text = SIM_KINEMATICS.read_text(encoding="utf-8")
    head, found, tail = text.partition(f"\n{field} = [" if field != "near" else "[[near]]")
    assert found
    assert change[0] in tail
    path.write_text(head + found + tail.replace(*change, 1), encoding="utf-8")
    assert message in refusal(lambda: load_kinematics(path))


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("at_least_m = -0.002", "at_least_m = nan", "near[0].at_least_m: must lie above -0.115, where nothing is left"),
        (
            "at_least_m = -0.002",
            "at_least_m = -0.115",
            "near[0].at_least_m: must lie above -0.115, where nothing is left",
        ),
        ("at_least_m = -0.002", "at_least_m = 1.1", "near[0].at_least_m: must lie above -0.115, where nothing is left"),
        ("apart_m = 0.01", "apart_m = nan", "apart_m: must lie between 0 and 1, got nan"),
        ("apart_m = 0.01", "apart_m = -0.01", "apart_m: must lie between 0 and 1, got -0.01"),
        ("apart_m = 0.01", "apart_m = 2.0", "apart_m: must lie between 0 and 1, got 2.0"),
    ],
)
def test_no_number_in_the_file_drops_a_pair(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    path = tmp_path / "kinematics.toml"
    text = SIM_KINEMATICS.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    assert message in refusal(lambda: load_kinematics(path))


def test_neighbours_are_what_the_joints_say(tmp_path: Path) -> None:
    path = tmp_path / "kinematics.toml"
    text = SIM_KINEMATICS.read_text(encoding="utf-8").replace('  ["link0", "hand"],\n', "", 1)
    text = text.replace("neighbours = [\n", 'neighbours = [\n  ["link0", "hand"],\n')
    path.write_text(text, encoding="utf-8")
    assert "neighbours[0]: no one joint joins the links of link0 and hand" in refusal(lambda: load_kinematics(path))


def test_neighbours_meet_where_their_joint_is(tmp_path: Path) -> None:
    """One joint joins the two, and its axis passes by one of them: what makes them touch is not the joint."""
    path = tmp_path / "kinematics.toml"
    text = SIM_KINEMATICS.read_text(encoding="utf-8").replace('  ["link4", "link5"],\n', "", 1)
    path.write_text(text.replace("neighbours = [\n", 'neighbours = [\n  ["link5", "link4"],\n'), encoding="utf-8")
    message = refusal(lambda: load_kinematics(path))
    assert "neighbours[0]: the axis of the joint between link5 and link4 does not pass near both: make it" in message


def test_a_file_of_an_earlier_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """It left pairs out without saying which, and some of them by a sample."""
    path = tmp_path / "kinematics.toml"
    text = SIM_KINEMATICS.read_text(encoding="utf-8")
    old = re.sub(r"(?s)(neighbours|apart|inseparable) = \[.*?\n?\]\n|\[\[(near|held)\]\].*|apart_m = .*?\n", "", text)
    assert "pairs = [" in old
    path.write_text(old, encoding="utf-8")
    message = refusal(lambda: load_kinematics(path))
    assert (
        "Earlier versions left pairs unwatched without a proof: make it again with `edge-runtime kinematics`" in message
    )
    assert message.endswith("(in kinematics.toml)")


def test_a_persons_word_is_about_capsules_that_there_are() -> None:
    def load(*pair: str) -> GeometryModel:
        return load_kinematics(SIM_KINEMATICS, 0.01, ((pair[0], pair[1]),))

    assert ("link0", "hand") not in load("hand", "link0").pairs
    assert ("link0", "link7") in load("hand", "link0").pairs
    assert "geometry.may_touch: there is no 'head'; capsules are link0, link1" in refusal(lambda: load("head", "link0"))
    assert "left_finger and hand are of one rigid body" in refusal(lambda: load("left_finger", "hand"))
    model = arm(in_a_box=False)
    renamed = {"body7": "fist_1", "body8": "fist_2"}
    split = [msgspec.structs.replace(one, name=renamed[one.name], source_link="fist") for one in model.capsules[7:]]
    model = msgspec.structs.replace(
        model,
        capsules=(*model.capsules[:7], *split),
        pairs=tuple((one, renamed.get(other, other)) for one, other in model.pairs),
    )
    left = watched_body(file_of(model), 0.01, (("fist", "body0"),)).pairs
    assert not {("body0", "fist_1"), ("body0", "fist_2")} & set(left)
    assert {("body1", "fist_1"), ("body1", "fist_2")} <= set(left)


FINGERS = """<robot name="r"><link name="palm">PALM</link>
<link name="finger"/><link name="finger_1">BALL</link><link name="finger_2">BALL</link>
<link name="thumb">BALL BALL</link><link name="thumb_1">BALL</link>JOINTS</robot>"""


def test_a_persons_word_about_a_link_is_not_about_links_that_are_called_alike(tmp_path: Path) -> None:
    def joint(number: int, child: str) -> str:
        return (
            f'<joint name="j{number}" type="revolute"><parent link="palm"/><child link="{child}"/>'
            f'<origin xyz="{0.2 * number} 0 0"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint>'
        )

    names = ("finger", "finger_1", "finger_2", "thumb", "thumb_1")
    ball = '<collision><geometry><sphere radius="0.01"/></geometry></collision>'
    text = FINGERS.replace("JOINTS", "".join(joint(1 + k, name) for k, name in enumerate(names)))
    path = tmp_path / "fingers.urdf"
    path.write_text(text.replace("PALM", ball).replace("BALL", ball), encoding="utf-8")
    file = compile_file(path, tool="palm").file
    assert [(one.name, one.source_link) for one in file.capsules] == [
        ("palm", "palm"),
        *((name, name) for name in names[1:3]),
        ("thumb_2", "thumb"),
        ("thumb_3", "thumb"),
        ("thumb_1", "thumb_1"),
    ]
    assert "there is no 'finger'; capsules are" in refusal(lambda: watched_body(file, 0.01, (("finger", "palm"),)))
    let = watch_of(file, 0.01, (("thumb", "palm"),)).may_touch
    assert let == (("palm", "thumb_2"), ("palm", "thumb_3"))
    write_kinematics(tmp_path / "kinematics.toml", file, ())
    assert read_kinematics(tmp_path / "kinematics.toml") == file


def test_a_clearance_that_is_wider_than_what_is_proved_needs_room_for_more_pairs() -> None:
    balls = [
        Capsule(name=f"{at}{k}", link=at, a_m=(0.0, 0.0, 0.0), b_m=(0.0, 0.0, 0.0), radius_m=0.01)
        for at in ("joint1", "joint4", "joint7")
        for k in range(21)
    ]
    file = msgspec.structs.replace(file_of(changed(capsules=tuple(balls), pairs=())()), apart_m=0.02)
    assert watched_body(file, 0.02).pairs == ()
    message = refusal(lambda: watched_body(file, 0.021))
    assert "geometry.clearance_min_m: with 0.021 m there are 1323 pairs to watch, and the kernel takes 1024" in message


def test_a_file_that_cannot_be_written_or_named_is_an_error(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(lambda: write_kinematics(tmp_path, file_of(arm(in_a_box=False)), ()))
    model = arm(in_a_box=False)
    odd = msgspec.structs.replace(model.capsules[8], name="a\nb")
    model = msgspec.structs.replace(model, capsules=(*model.capsules[:8], odd), pairs=())
    assert "must not have control characters" in refusal(lambda: to_toml(file_of(model), ()))
    quoted = msgspec.structs.replace(odd, name='a "b" \\ c')
    path = tmp_path / "kinematics.toml"
    write_kinematics(path, file_of(msgspec.structs.replace(model, capsules=(quoted,))), ("note",))
    assert load_kinematics(path).capsules == (quoted,)


def changed(**fields: Any) -> Callable[[], GeometryModel]:
    return lambda: msgspec.structs.replace(arm(), **fields)


def many(count: int, **fields: Any) -> tuple[Capsule, ...]:
    return tuple(msgspec.structs.replace(arm().capsules[1], name=f"n{i}", **fields) for i in range(count))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: GeometryModel(joints=(), capsules=many(1, link=BASE), pairs=(), tools=()),
            "joints: at least one is needed",
        ),
        (changed(capsules=()), "capsules: at least one is needed"),
        (changed(capsules=many(65)), "capsules: at most 64, got 65"),
        (changed(pairs=(("body0", "body3"),) * 1025), "pairs: at most 1024, got 1025"),
        (changed(planes=arm().planes * 3), "planes: at most 16, got 18"),
        (changed(keepouts=arm().keepouts * 9), "keepouts: at most 16, got 18"),
        (changed(planes=(Plane(normal=(0.0, 0.0, 2.0), offset_m=0.0),)), "planes[0]: normal must be of unit length"),
        (changed(planes=(Plane(normal=(0.0, 1.0), offset_m=0.0),)), "planes[0].normal: needs 3 values, got 2"),  # type: ignore[arg-type]
        (
            changed(keepouts=(Keepout(min_m=(0.0, 0.0, 1.0), max_m=(0.0, 0.0, 0.0)),)),
            "keepouts[0]: min_m must not be above max_m",
        ),
        (changed(tools=(ToolPoint(link=BASE, point_m=(0.0, math.nan, 0.0)),)), "tool: point_m must be finite"),
    ],
)
def test_a_model_is_validated_when_it_is_built(build: Callable[[], GeometryModel], message: str) -> None:
    assert message in refusal(build)


def test_a_box_is_six_planes() -> None:
    body = Capsule(name="body", link="joint1", a_m=(0.0, 0.0, 0.0), b_m=(0.0, 0.0, 0.0), radius_m=0.1)
    model = msgspec.structs.replace(arm(), capsules=(body,), pairs=(), keepouts=())
    for axis in range(3):
        for end, sign in ((0.3, -1.0), (0.4, 1.0)):
            low, high = [-5.0] * 3, [5.0] * 3
            (low if sign < 0.0 else high)[axis] = sign * end + (0.333 if axis == 2 else 0.0)
            planes = box_planes((low[0], low[1], low[2]), (high[0], high[1], high[2]))
            native = NativeGeometry(model.with_world(planes, ()))
            native.move_to([0.0] * 7)
            assert native.clearance()[0] == pytest.approx([end - 0.1])
    assert model.joints[0].rotation == UPRIGHT


def test_stl_files_are_told_apart_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "box.stl"
    for data in (stl(BOX_M), stl(BOX_M, text=True)):
        path.write_bytes(data)
        found = stl_vertices(path)
        assert found.shape == (8, 3)
        assert found.max(axis=0) == pytest.approx([0.05, 0.03, 0.02])
    for data, message in (
        (stl(BOX_M)[:-1], "has no vertices"),
        (stl((math.inf, 1.0, 1.0)), "some that are not finite"),
        (b"solid\nvertex 1 2\nvertex 3 4 5\n", "not an STL file"),
        (b"solid\nvertex 1 2 x\n", "not an STL file"),
        (b"", "has no vertices"),
    ):
        path.write_bytes(data)
        assert message in refusal(lambda: stl_vertices(path))
    assert "No such file" in refusal(lambda: stl_vertices(tmp_path / "none.stl"))
