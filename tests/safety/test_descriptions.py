"""Descriptions as makers publish them: macros, packages, meshes of any kind, any names, several arms in one file."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest

from edge_runtime.cli import main
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import BASE, compile_file, read_kinematics, write_kinematics
from edge_runtime.safety.kinematics.mesh import mesh_vertices
from edge_runtime.safety.kinematics.packages import Packages
from edge_runtime.safety.kinematics.urdf import read_urdf
from tests.safety.kinematics_sources import BOX_M, MJCF, URDF, stl, write_mjcf, write_urdf
from tests.safety.test_kinematics import JOINTS, require_same

XACRO = """<?xml version="1.0"?>
<robot name="small" xmlns:xacro="http://www.ros.org/wiki/xacro">
  <xacro:arg name="length" default="0.4"/>
  <xacro:arg name="hand" default="true"/>
  <xacro:include filename="$(find small_description)/urdf/arm.xacro"/>
  <link name="foot"><collision><geometry><sphere radius="0.1"/></geometry></collision></link>
  <xacro:arm parent="foot" length="$(arg length)"/>
  <xacro:if value="$(arg hand)">
    <joint name="grip_mount" type="fixed"><parent link="boom"/><child link="hand"/>
      <origin xyz="${length_of_hand * 2} 0 0"/></joint>
    <link name="hand"><collision><geometry><box size="${length_of_hand} 0.05 0.05"/></geometry></collision></link>
  </xacro:if>
</robot>
"""
ARM = """<?xml version="1.0"?>
<robot xmlns:xacro="http://www.ros.org/wiki/xacro">
  <xacro:property name="length_of_hand" value="0.1"/>
  <xacro:macro name="arm" params="parent length">
    <joint name="turn" type="revolute"><parent link="${parent}"/><child link="boom"/><axis xyz="0 0 1"/>
      <origin xyz="0 0 0.3" rpy="0 ${pi / 2} 0"/><limit lower="${-pi}" upper="${pi}" velocity="1" effort="10"/></joint>
    <link name="boom"><collision><origin xyz="${length / 2} 0 0"/><geometry><box size="${length} 0.05 0.05"/></geometry>
    </collision></link>
  </xacro:macro>
</robot>
"""


@pytest.fixture
def xacro_file(tmp_path: Path) -> Path:
    """In a clone whose folder is not called as its package."""
    folder = tmp_path / "Small_ROS2_Description" / "urdf"
    folder.mkdir(parents=True)
    (folder.parent / "package.xml").write_text("<package><name>small_description</name></package>")
    (folder / "arm.xacro").write_text(ARM)
    (folder / "small.urdf.xacro").write_text(XACRO)
    return folder / "small.urdf.xacro"


def exit_code(command: list[str]) -> object:
    with pytest.raises(SystemExit) as caught:
        main(command)
    return caught.value.code


def refusal(path: Path, **settings: object) -> str:
    with pytest.raises(ConfigError) as caught:
        compile_file(path, **settings)  # type: ignore[arg-type]
    return str(caught.value)


def test_macros_are_expanded_with_their_includes_arguments_and_conditions(xacro_file: Path) -> None:
    names = {one.name for one in compile_file(xacro_file).file.capsules}
    assert names == {"foot", "boom", "hand"}
    short = compile_file(xacro_file, arguments={"length": "0.2", "hand": "false"}).file
    assert {one.name for one in short.capsules} == {"foot", "boom"}
    boom = next(one for one in short.capsules if one.name == "boom")
    assert math.dist(boom.a_m, boom.b_m) + 2.0 * boom.radius_m < 0.3
    joint = short.joints[0]
    assert (joint.limits.position_min_rad, joint.limits.position_max_rad) == (-math.pi, math.pi)


def test_macros_need_no_name_that_tells_them(xacro_file: Path) -> None:
    plainly_named = xacro_file.with_name("small.urdf")
    plainly_named.write_text(xacro_file.read_text())
    assert compile_file(plainly_named).file == compile_file(xacro_file).file


XACRO_MISTAKES = [
    ("<xacro:arm parent", "<xacro:leg parent", "<xacro:leg> is no macro|leg"),
    ("$(find small_description)", "$(find other_description)", "package other_description: is neither beside"),
    ('<xacro:arg name="length" default="0.4"/>', "", "its argument length has no value: .* --arg length:=VALUE"),
    ("length_of_hand * 2", "length_of_foot * 2", "length_of_foot"),
    ("urdf/arm.xacro", "urdf/no.xacro", "no.xacro"),
    (' xmlns:xacro="http://www.ros.org/wiki/xacro"', "", "not valid XML: unbound prefix"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), XACRO_MISTAKES)
def test_what_can_not_be_expanded_is_named(xacro_file: Path, right: str, wrong: str, message: str) -> None:
    text = xacro_file.read_text()
    assert right in text
    xacro_file.write_text(text.replace(right, wrong, 1))
    with pytest.raises(ConfigError, match=message):
        compile_file(xacro_file)


def test_a_file_of_macros_alone_is_no_robot(xacro_file: Path) -> None:
    assert "expands to no link: a file that only defines macros" in refusal(xacro_file.with_name("arm.xacro"))


def test_plain_urdf_takes_no_arguments(tmp_path: Path) -> None:
    assert "is no xacro, and takes no arguments such as a" in refusal(write_urdf(tmp_path), arguments={"a": "1"})


def test_the_command_takes_arguments_packages_and_joints(
    xacro_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = elsewhere / "robot.xacro"
    moved.write_text(xacro_file.read_text())
    (xacro_file.parents[1] / "package.xml").unlink()
    command = ["kinematics", str(moved), "--arg", "hand:=false", "--joints", "turn"]
    assert exit_code(command) == 2
    assert "say where it is with --package small_description=FOLDER" in capsys.readouterr().err
    assert exit_code([*command, "--package", f"small_description={xacro_file.parents[1]}"]) == 0
    assert [one.name for one in read_kinematics(tmp_path / "kinematics.toml").capsules] == ["foot", "boom"]


def boxed(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(stl(BOX_M))
    return folder


@pytest.mark.parametrize(
    "url",
    [
        "package://my_robot/meshes/box part.stl",
        "package://my_robot/meshes/box%20part.stl",
        "model://my_robot/meshes/box part.stl",
        "package://my_robot\\meshes\\box part.stl",
        "package:///my_robot/meshes/box part.stl",
    ],
)
@pytest.mark.parametrize("place", ["above", "clone beside", "ament", "ros workspace", "colcon symlink", "said"])
def test_packages_are_found_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, place: str
) -> None:
    plain = compile_file(write_urdf(tmp_path), JOINTS, tool="tip").model
    robot, settings = tmp_path / "src" / "any" / "urdf", {}
    robot.mkdir(parents=True)
    package = {
        "above": tmp_path / "src" / "my_robot",
        "clone beside": tmp_path / "src" / "MyRobot_ROS2",
        "ament": tmp_path / "install" / "share" / "my_robot",
        "ros workspace": tmp_path / "ws" / "src" / "vendor" / "MyRobot",
        "colcon symlink": tmp_path / "install" / "share" / "my_robot",
        "said": tmp_path / "somewhere",
    }[place]
    boxed(package / "meshes", "box part.stl")
    (package / "package.xml").write_text("<package><name>my_robot</name></package>")
    path = write_urdf(robot, mesh=f'<mesh filename="{url}"/>')
    if place == "ament":
        monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path / 'install'}")
    elif place == "ros workspace":
        monkeypatch.setenv("ROS_PACKAGE_PATH", str(tmp_path / "ws" / "src"))
    elif place == "colcon symlink":
        # colcon links each file of the share folder to the source; beside the source there is no package of that name.
        link = package / "urdf" / "small.urdf"
        link.parent.mkdir()
        link.symlink_to(path)
        path = link
    elif place == "said":
        settings = {"packages": {"my_robot": package}}
    require_same(compile_file(path, JOINTS, tool="tip", **settings).model, plain, 2e-6)


def test_what_a_package_calls_itself_counts_more_than_its_folder(tmp_path: Path) -> None:
    packages = Packages(tmp_path / "robot.urdf", environment={})
    for folder, name in (("arm", "other"), ("clone_of_arm", "arm")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "package.xml").write_text(f"<package><name>{name}</name></package>")
    assert packages.folder("arm") == tmp_path / "clone_of_arm"
    assert packages.folder("other") == tmp_path / "arm"
    # What is not in that one may lie in a folder of the name.
    (tmp_path / "arm" / "box.stl").write_bytes(stl(BOX_M))
    assert packages.file("package://arm/box.stl") == tmp_path / "arm" / "box.stl"
    with pytest.raises(ConfigError, match="package leg: is neither beside"):
        packages.folder("leg")
    with pytest.raises(ConfigError, match=r"cube\.stl is not there"):
        packages.file("package://arm/cube.stl")


CORNERS = [(x, y, z) for x in (-0.05, 0.05) for y in (-0.03, 0.03) for z in (-0.02, 0.02)]
_FACES = ("f 1 2 4 3", "f 5 7 8 6", "f 1 5 6 2", "f 3 4 8 7", "f 1 3 7 5", "f 2 6 8 4")
OBJ = "\n".join(["o box", *(f"v {x} {y} {z}" for x, y, z in CORNERS), *_FACES])
PLY = """ply
format ascii 1.0
element vertex 8
property float x
property float y
property float z
element face 1
property list uchar int vertex_indices
end_header
{corners}
3 0 1 2
"""
DAE = """<?xml version="1.0"?>
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
  <asset><created>2026-01-01T00:00:00</created><modified>2026-01-01T00:00:00</modified>
    <unit name="millimeter" meter="0.001"/><up_axis>Y_UP</up_axis></asset>
  <library_geometries><geometry id="box"><mesh>
    <source id="p"><float_array id="pa" count="24">{corners}</float_array><technique_common>
      <accessor source="#pa" count="8" stride="3"><param name="X" type="float"/><param name="Y" type="float"/>
      <param name="Z" type="float"/></accessor></technique_common></source>
    <vertices id="v"><input semantic="POSITION" source="#p"/></vertices>
    <triangles count="6"><input semantic="VERTEX" source="#v" offset="0"/>
      <p>0 1 2 3 4 5 5 6 7 0 6 7 1 3 5 2 4 6</p></triangles>
  </mesh></geometry></library_geometries>
  <library_visual_scenes><visual_scene id="s"><node id="n"><matrix>1 0 0 1000 0 1 0 0 0 0 1 0 0 0 0 1</matrix>
    <instance_geometry url="#box"/></node></visual_scene></library_visual_scenes>
  <scene><instance_visual_scene url="#s"/></scene>
</COLLADA>
"""


def test_meshes_of_other_kinds_have_the_same_vertices(tmp_path: Path) -> None:
    (tmp_path / "box.stl").write_bytes(stl(BOX_M))
    (tmp_path / "box.obj").write_text(OBJ)
    (tmp_path / "box.ply").write_text(PLY.format(corners="\n".join(" ".join(map(str, one)) for one in CORNERS)))
    in_mm = " ".join(str(1e3 * value) for corner in CORNERS for value in corner)
    (tmp_path / "box.dae").write_text(DAE.format(corners=in_mm))
    stored = mesh_vertices(tmp_path / "box.stl")
    for kind in ("obj", "ply"):
        np.testing.assert_allclose(mesh_vertices(tmp_path / f"box.{kind}"), stored, atol=1e-8)
    # The unit counts, also for where the scene places the mesh; the up axis does not, as for ROS.
    np.testing.assert_allclose(mesh_vertices(tmp_path / "box.dae"), stored + np.array((1.0, 0.0, 0.0)), atol=1e-8)
    plain = compile_file(write_urdf(tmp_path), JOINTS, tool="tip").model
    require_same(
        compile_file(write_urdf(tmp_path, mesh='<mesh filename="box.obj"/>'), JOINTS, tool="tip").model, plain, 2e-6
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.obj", ""),
        ("words.obj", "v one two three"),
        ("far.obj", OBJ.replace("v 0.05", "v inf")),
        ("text.dae", "<COLLADA/>"),
        ("cut.dae", DAE[:900]),
        ("lost.dae", DAE.format(corners="0 " * 24).replace('url="#box"', 'url="#other"')),
        ("cut.ply", PLY[:60]),
        ("binary.ply", "\0" * 100),
    ],
)
def test_a_mesh_that_can_not_be_read_whole_is_an_error_with_its_name(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=name):
        mesh_vertices(tmp_path / name)


def test_millimetres_are_asked_about(tmp_path: Path) -> None:
    (tmp_path / "box.stl").write_bytes(stl((100.0, 60.0, 40.0)))
    found = refusal(write_urdf(tmp_path, mesh='<mesh filename="box.stl"/>'), joint_names=JOINTS)
    assert 'link hand: one of its shapes is 100 m long: is that in millimetres? Write scale="0.001' in found
    scaled = write_urdf(tmp_path, mesh='<mesh filename="box.stl" scale="0.001 0.001 0.001"/>')
    compile_file(scaled, JOINTS)
    long = URDF.replace('<cylinder radius="0.1" length="0.2"/>', '<cylinder radius="0.1" length="4"/>')
    assert "compile with --sizes-in-m" in refusal(write_urdf(tmp_path, long), joint_names=JOINTS)
    compile_file(write_urdf(tmp_path, long), JOINTS, sizes_in_m=True)


@pytest.mark.parametrize("name", ["base", "world", "None", "joint"])
def test_makers_name_links_and_joints_as_they_like(tmp_path: Path, name: str) -> None:
    """A root, a joint and a body of that name, in both formats, through the file and back."""
    usual = compile_file(write_urdf(tmp_path), JOINTS, tool="tip").file
    urdf = URDF.replace('"foot"', f'"{name}"').replace('"lift"', f'"{name}"')
    joints = ("turn", name, "wrist")
    found = compile_file(write_urdf(tmp_path, urdf), joints, tool="tip").file
    assert [one.parent for one in found.joints] == [BASE, "turn", name]
    assert found.capsules[0].link is BASE
    assert found.capsules[0].name == name
    write_kinematics(tmp_path / "kinematics.toml", found, ())
    assert read_kinematics(tmp_path / "kinematics.toml") == found
    assert [one.radius_m for one in found.capsules] == [one.radius_m for one in usual.capsules]
    if name != "world":  # MuJoCo's own name for its root
        mjcf = MJCF.replace('"foot"', f'"{name}"').replace('"lift"', f'"{name}"')
        assert compile_file(write_mjcf(tmp_path, mjcf), joints, tool="tip").file.capsules[0].name == name


def test_a_file_of_version_0_1_names_the_base(tmp_path: Path) -> None:
    file = compile_file(write_urdf(tmp_path), JOINTS, tool="tip").file
    path = tmp_path / "kinematics.toml"
    write_kinematics(path, file, ())
    text = path.read_text()
    assert 'name = "turn"\nrotation' in text
    text = text.replace('name = "turn"\nrotation', 'name = "turn"\nparent = "base"\nrotation')
    path.write_text(text.replace('name = "foot"\n', 'name = "foot"\nlink = "base"\n', 1))
    assert read_kinematics(path) == file


def test_the_axis_of_a_joint_that_does_not_move_is_nobodys(tmp_path: Path) -> None:
    plain = compile_file(write_urdf(tmp_path), JOINTS, tool="tip").file
    for axis in ('<axis xyz="0 0 0"/>', '<axis xyz="none"/>', '<axis xyz="0 3 0"/>'):
        text = URDF.replace('name="end" type="fixed">', f'name="end" type="fixed">{axis}')
        assert compile_file(write_urdf(tmp_path, text), JOINTS, tool="tip").file == plain
    moving = URDF.replace('<axis xyz="0 0 1"/><limit lower="-2.5"', '<axis xyz="0 0 0"/><limit lower="-2.5"')
    assert "joint turn: its axis has no direction" in refusal(write_urdf(tmp_path, moving))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("prismatic", "no link has a shape that is solid, a <collision> in URDF"),
        ("fixed", "has no joint to control, and has none that turns or slides"),
    ],
)
def test_a_robot_that_moves_nowhere_or_has_no_shape_is_named(tmp_path: Path, kind: str, words: str) -> None:
    path = tmp_path / "gantry.urdf"
    path.write_text(
        f'<robot name="gantry"><link name="a"/><link name="b"/><joint name="turn" type="{kind}"><parent link="a"/>'
        '<child link="b"/><limit lower="0" upper="1" velocity="1" effort="1"/></joint></robot>'
    )
    with pytest.raises(ConfigError, match=words):
        compile_file(path)


def test_two_arms_in_one_file_are_one_robot(tmp_path: Path) -> None:
    """Where the world puts their bodies, and where MuJoCo says that their tips are."""
    arm = """<body name="{0}" pos="{1} 0 0.1" euler="0 0 {2}"><geom type="capsule" fromto="0 0 0 0 0 0.2" size="0.04"/>
      <body name="{0}_boom" pos="0 0 0.2"><joint name="{0}_turn" axis="0 0 1" range="-2 2"/>
        <geom type="capsule" fromto="0 0 0 0.3 0 0" size="0.03"/><site name="{0}_tip" pos="0.3 0 0"/></body></body>"""
    path = tmp_path / "pair.xml"
    both = arm.format("left", -0.4, 0.3) + arm.format("right", 0.4, 2.5)
    path.write_text(f'<mujoco><compiler angle="radian"/><worldbody>{both}</worldbody></mujoco>')
    compiled = compile_file(path)
    assert compiled.axes == ("left_turn", "right_turn")
    assert [tool.name for tool in compiled.file.tools] == ["left_turn", "right_turn"]
    compiled = compile_file(path, ("left_turn", "right_turn"), tool={"left": "left_tip", "right": "right_tip"})
    file = compiled.file
    assert [(tool.name, tool.link) for tool in file.tools] == [("left", "left_turn"), ("right", "right_turn")]
    assert "the world is that of the file, in which left and right stand" in compiled.notes
    assert ("left_boom", "right_boom") in {tuple(sorted(pair)) for pair in (*file.pairs, *file.apart)}
    model = mujoco.MjModel.from_xml_path(str(path))
    data = mujoco.MjData(model)
    data.qpos[:] = (0.7, -1.1)
    mujoco.mj_forward(model, data)
    joint = file.joints[1]
    cos, sin = math.cos(-1.1), math.sin(-1.1)
    turned = np.reshape(joint.rotation, (3, 3)) @ ((cos, -sin, 0), (sin, cos, 0), (0, 0, 1))
    tip_m = turned @ file.tools[1].point_m + joint.offset_m
    np.testing.assert_allclose(tip_m, data.site("right_tip").xpos, atol=1e-9)


def test_a_body_that_floats_is_the_base_with_or_without_a_name_for_its_joint(tmp_path: Path) -> None:
    standing = compile_file(write_mjcf(tmp_path), JOINTS, tool="tip").file
    for joint, name in (("<freejoint/>", "foot_joint1"), ('<freejoint name="float"/>', "float")):
        path = write_mjcf(tmp_path, MJCF.replace('<body name="column"', f'{joint}<body name="column"', 1))
        found = compile_file(path, JOINTS, tool="tip")
        assert found.has_base
        assert any(f"the base moves ({name}): the robot begins at foot" in note for note in found.notes)
        assert found.file.joints == standing.joints
        assert [one.in_world for one in found.file.capsules] == [True] * len(standing.capsules)


def test_reading_urdf_needs_neither_macros_nor_meshes_of_other_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for library in ("xacro", "trimesh"):
        monkeypatch.setitem(sys.modules, library, None)
    read_urdf(write_urdf(tmp_path))
    path = tmp_path / "arm.xacro"
    path.write_text(XACRO)
    with pytest.raises(ImportError):
        compile_file(path)
    assert exit_code(["kinematics", str(path)]) == 1
    assert "[descriptions]" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["gb2312", "no-such-encoding"])
def test_an_encoding_that_can_not_be_read_is_named(tmp_path: Path, encoding: str) -> None:
    text = URDF.replace('version="1.0"', f'version="1.0" encoding="{encoding}"')
    assert "save it as UTF-8" in refusal(write_urdf(tmp_path, text), joint_names=JOINTS)


def test_other_packages_in_the_way_are_no_obstacle(xacro_file: Path) -> None:
    above = xacro_file.parents[2]
    other = above / "other"
    other.mkdir()
    head = '<?xml version="1.0" encoding="gb2312"?>'
    (other / "package.xml").write_bytes(head.encode() + "<package><name>机</name></package>".encode("gb2312"))
    with pytest.raises(ConfigError, match="package absent: is neither beside"):
        Packages(xacro_file).folder("absent")


def test_a_name_that_no_file_system_takes_is_not_there(tmp_path: Path) -> None:
    packages = Packages(tmp_path / "small.urdf")
    for name in (f"package://{'x' * 300}/hand.stl", "x" * 300 + ".stl"):
        with pytest.raises(ConfigError):
            packages.file(name)


@pytest.mark.parametrize("letter", [r"\x01", r"\ud800"])
def test_what_expands_to_no_xml_is_named(xacro_file: Path, letter: str) -> None:
    text = XACRO.replace('<link name="foot">', f"""<link name="foot" about="${{'{letter}'}}">""")
    xacro_file.write_text(text)
    assert "small.urdf.xacro: " in refusal(xacro_file)


def test_notes_of_several_lines_are_comments_all_the_same(tmp_path: Path) -> None:
    crate = 'name="crate&#10;apart_m = 9.0&#10;"'
    path = write_mjcf(tmp_path, MJCF.replace('name="crate"', crate))
    compiled = compile_file(path, joint_names=JOINTS)
    assert any("crate" in note for note in compiled.notes)
    written = tmp_path / "kinematics.toml"
    write_kinematics(written, compiled.file, (*compiled.notes, "\x1b[2J"))
    assert read_kinematics(written) == compiled.file


def test_a_body_without_a_name_loses_no_shapes_to_one_that_is_called_as_its_number(tmp_path: Path) -> None:
    text = MJCF.replace('<body name="boom"', "<body").replace('<body name="lid"', '<body name="NUMBER"')
    model = mujoco.MjModel.from_xml_path(str(write_mjcf(tmp_path, text)))
    number = next(body for body in range(1, model.nbody) if not model.body(body).name)
    plain = compile_file(write_mjcf(tmp_path), joint_names=JOINTS).file
    path = write_mjcf(tmp_path, text.replace("NUMBER", f"body{number}"))
    assert len(compile_file(path, joint_names=JOINTS).file.capsules) == len(plain.capsules)


def test_made_up_names_that_clash_are_refused_by_name(tmp_path: Path) -> None:
    text = MJCF.replace('name="lid"', 'name="boom under lift"')
    assert "body boom under lift: is what two of them are called" in refusal(
        write_mjcf(tmp_path, text), joint_names=JOINTS
    )


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('size="0.06 0.05 0.4"', 'size="1e308 0.05 0.4"'),
        ('<sphere radius="0.04"/>', '<sphere radius="1e308"/>'),
        ('<origin xyz="0.2 0 0" rpy="0 1.5 0.2"/>', '<origin xyz="1e308 1e308 1e308" rpy="0 1.5 0.2"/>'),
        ('lower="0.01" upper="0.05"', 'lower="-1e308" upper="1e308"'),
    ],
)
def test_a_shape_beyond_all_measure_is_named(tmp_path: Path, right: str, wrong: str) -> None:
    assert right in URDF
    assert "link" in refusal(write_urdf(tmp_path, URDF.replace(right, wrong)), joint_names=JOINTS)
