"""A robot's body out of URDF and MJCF: links where MuJoCo has them, capsules around everything, a file that says it."""

from __future__ import annotations

import math
import random
from pathlib import Path

import msgspec
import mujoco
import numpy as np
import pytest

from edge_runtime.cli import main
from edge_runtime.config.embodiment_file import read_embodiment
from edge_runtime.safety.kinematics import (
    BASE,
    Compiled,
    GeometryModel,
    SourceLimits,
    compile_file,
    load_kinematics,
    read_kinematics,
)
from edge_runtime.safety.kinematics.enclose import enclosing_capsule
from edge_runtime.safety.kinematics.file import to_toml
from edge_runtime.safety.kinematics.source import Shape, box, capsule, cylinder, ellipsoid
from tests.safety.geometry_robot import NativeGeometry, arm, file_of, random_model, random_rotation
from tests.safety.kinematics_sources import BOX_M, URDF, stl, write_mjcf, write_urdf

SIM = Path(__file__).resolve().parents[2] / "edge_runtime" / "drivers" / "sim"
JOINTS = ("turn", "lift", "wrist")


def compile_sim() -> Compiled:
    embodiment = read_embodiment(SIM / "config" / "embodiment.toml")
    return compile_file(
        SIM / "world.xml", embodiment.joint_names, [embodiment.home[i] for i in embodiment.joint_indices], "tool"
    )


def require_same(one: msgspec.Struct, other: msgspec.Struct, tolerance: float = 1e-9) -> None:
    """All names and numbers, up to rounding."""
    texts = []
    numbers: list[list[float]] = []
    for model in (one, other):
        values: list[float] = []
        texts.append(str(_without_numbers(msgspec.to_builtins(model), values)))
        numbers.append(values)
    assert texts[0] == texts[1]
    np.testing.assert_allclose(numbers[0], numbers[1], rtol=0.0, atol=tolerance)


def _without_numbers(value: object, numbers: list[float]) -> object:
    if isinstance(value, float):
        numbers.append(value)
        return "number"
    if isinstance(value, dict):
        return {key: _without_numbers(entry, numbers) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_numbers(entry, numbers) for entry in value]
    return value


def test_the_simulated_arms_file_is_what_the_compiler_makes() -> None:
    """Not so: edge-runtime kinematics edge_runtime/drivers/sim/world.xml --tool tool --embodiment embodiment.toml"""
    require_same(read_kinematics(SIM / "config" / "kinematics.toml"), compile_sim().file, 2e-6)


def homogeneous(rotation: np.ndarray, origin_m: np.ndarray) -> np.ndarray:
    X = np.eye(4)
    X[:3, :3], X[:3, 3] = np.reshape(rotation, (3, 3)), origin_m
    return X


def require_mujocos_places(model: GeometryModel, mjcf: Path, base: str, site: str) -> None:
    """Axis and anchor of every joint, and the tool, as seen from the base."""
    sim = mujoco.MjModel.from_xml_path(str(mjcf))
    data = mujoco.MjData(sim)
    native = NativeGeometry(model)
    generator = random.Random(1)
    for _ in range(50):
        q = [generator.uniform(-3.0, 3.0) for _ in model.joints]
        for joint, position in zip(model.joints, q, strict=True):
            data.joint(joint.name).qpos[0] = position
        mujoco.mj_kinematics(sim, data)
        native.move_to(q)
        rotations, origins_m = native.pose()
        X_BW = np.linalg.inv(homogeneous(data.body(base).xmat, data.body(base).xpos))
        for joint, rotation, origin_m in zip(model.joints, rotations, origins_m, strict=True):
            in_mujoco = data.joint(joint.name)
            axis = np.reshape(rotation, (3, 3))[:, 2]
            np.testing.assert_allclose(axis, X_BW[:3, :3] @ in_mujoco.xaxis, atol=1e-12)
            anchor_m = in_mujoco.xanchor.copy()
            if joint.slides:  # MuJoCo's anchor is where the joint would be at its reference
                address = sim.joint(joint.name).qposadr[0]
                anchor_m += in_mujoco.xaxis * (data.qpos[address] - sim.qpos0[address])
            np.testing.assert_allclose([*origin_m, 1.0], X_BW @ [*anchor_m, 1.0], atol=1e-12)
        X_BL = homogeneous(rotations[-1], origins_m[-1])
        tool_m = X_BW @ [*data.site(site).xpos, 1.0]
        np.testing.assert_allclose(X_BL @ [*model.tools[0].point_m, 1.0], tool_m, atol=1e-12)


def test_the_simulated_arms_joints_are_where_mujoco_has_them() -> None:
    model = load_kinematics(SIM / "config" / "kinematics.toml")
    require_mujocos_places(model, SIM / "world.xml", "link0", "tool")


def test_anchors_references_and_several_joints_on_a_body_are_where_mujoco_has_them(tmp_path: Path) -> None:
    path = tmp_path / "odd.xml"
    path.write_text(
        """<mujoco><compiler angle="radian"/><default><geom type="sphere" size="0.01" mass="1"/></default><worldbody>
        <body name="root" pos="0.1 0.2 0.3" quat="0.5 0.1 -0.3 0.2"><geom/>
          <body name="first" pos="0.3 0 0.1" quat="0.9 0.2 0.1 0">
            <joint name="a" axis="0.2 -0.5 -0.8" pos="0.05 0.1 0" ref="0.4"/>
            <joint name="b" axis="1 1 0" pos="0 -0.1 0.2"/><geom/>
            <body name="slider" pos="0.1 0 0" euler="0.3 0 0">
              <joint name="s" type="slide" axis="0 1 0" range="0 0.1" ref="0.2"/><geom/>
              <body name="second" pos="0 0.2 0.2"><joint name="c" axis="0 0 -1" pos="0.1 0 0" ref="-1"/><geom/>
                <site name="end" pos="0.1 0.2 0.3"/></body></body></body></body></worldbody></mujoco>"""
    )
    for text in (path.read_text(), path.read_text().replace('type="slide"', "").replace('"0 0.1"', '"-4 4"')):
        path.write_text(text)
        model = compile_file(path, tool="end").model
        assert model.axis_names == ("a", "b", "s", "c")
        assert model.joints[2].slides == ('type="slide"' in text)
        require_mujocos_places(model, path, "root", "end")


def surface_of(sim: mujoco.MjModel, data: mujoco.MjData, base: str, geom: int) -> np.ndarray:
    """Points on a geom's surface, as seen from the base."""
    generator = np.random.default_rng(geom)
    unit = generator.normal(size=(300, 3))
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    x, y, _ = sim.geom_size[geom]
    kind = sim.geom_type[geom]
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        points = np.sign(unit) * sim.geom_size[geom]
    elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        points = unit * x + np.outer(np.sign(unit[:, 2]), (0.0, 0.0, y))
    else:
        assert kind == mujoco.mjtGeom.mjGEOM_CYLINDER
        rim = unit[:, :2] / np.linalg.norm(unit[:, :2], axis=1)[:, None]
        points = np.column_stack((rim * x, np.sign(unit[:, 2]) * y))
    points_W = points @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
    X_BW = np.linalg.inv(homogeneous(data.body(base).xmat, data.body(base).xpos))
    return points_W @ X_BW[:3, :3].T + X_BW[:3, 3]


def test_capsules_hold_every_geom_of_the_simulated_arm_in_any_posture_and_opening() -> None:
    model = load_kinematics(SIM / "config" / "kinematics.toml")
    sim = mujoco.MjModel.from_xml_path(str(SIM / "world.xml"))
    data = mujoco.MjData(sim)
    native = NativeGeometry(model)
    generator = random.Random(3)
    for _ in range(20):
        q = [generator.uniform(-2.0, 2.0) for _ in model.joints]
        data.qpos[:7] = q
        data.qpos[7:9] = [generator.uniform(0.0, 0.04) for _ in range(2)]
        mujoco.mj_kinematics(sim, data)
        native.move_to(q)
        rotations, origins_m = native.pose()
        for one in model.capsules:
            link = model.axis_names.index(one.link) if one.link != BASE else -1
            X_BL = np.eye(4) if link < 0 else homogeneous(rotations[link], origins_m[link])
            a, b = (X_BL[:3, :3] @ end + X_BL[:3, 3] for end in (one.a_m, one.b_m))
            points = surface_of(sim, data, "link0", sim.geom(one.name).id)
            t = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0.0, 1.0)
            assert np.linalg.norm(points - a - t[:, None] * (b - a), axis=1).max() <= one.radius_m + 1e-9


def test_pairs_left_out_as_never_near_are_never_near() -> None:
    compiled = compile_sim()
    apart = compiled.file.apart
    assert ("link5", "hand") in apart
    assert not set(apart) & set(compiled.model.pairs)
    native = NativeGeometry(msgspec.structs.replace(compiled.model, pairs=apart, nearer=()))
    generator = random.Random(4)
    for _ in range(3000):
        ends = [(joint.limits.position_min_rad, joint.limits.position_max_rad) for joint in compiled.model.joints]
        native.move_to([generator.uniform(low or 0.0, high or 0.0) for low, high in ends])
        assert min(native.clearance()[1]) > 0.01


def test_urdf_and_mjcf_of_one_arm_give_one_body(tmp_path: Path) -> None:
    from_urdf = compile_file(write_urdf(tmp_path), JOINTS, tool="tip")
    from_mjcf = compile_file(write_mjcf(tmp_path), JOINTS, tool="tip")
    urdf, mjcf = from_urdf.model, from_mjcf.model
    assert [joint.limits for joint in urdf.joints] == [
        SourceLimits(position_min_rad=-2.5, position_max_rad=2.0, velocity_max_rad_s=1.5, torque_max_nm=40.0),
        SourceLimits(velocity_max_rad_s=2.0, torque_max_nm=30.0),
        SourceLimits(position_min_rad=-1.0, position_max_rad=1.0),
    ]
    # MJCF knows no velocity limits, and these motors another torque: the rest is the same.
    assert [joint.limits.torque_max_nm for joint in mjcf.joints] == [30.0, 30.0, None]
    plain = [
        msgspec.structs.replace(
            model, joints=tuple(msgspec.structs.replace(one, limits=urdf.joints[0].limits) for one in model.joints)
        )
        for model in (urdf, mjcf)
    ]
    require_same(*plain)
    # MJCF has a world around the robot, which URDF has not, and here a large box that collides with nothing.
    of_mjcf = ("is no part of the robot", "taken as drawings: 1, on boom", "all that is drawn of boom")
    assert from_urdf.notes == tuple(note for note in from_mjcf.notes if not any(words in note for words in of_mjcf))
    assert (from_urdf.file.uncovered, from_mjcf.file.uncovered) == ((), ("boom",))
    assert from_urdf.notes[:2] == (
        "joint flap is not controlled: covered from -1 to 1 rad",
        "joint grip is not controlled: covered from 0.01 to 0.05 m",
    )
    assert [one.name for one in urdf.capsules] == ["foot", "column", "boom", "plate", "lid", "hand", "finger"]
    assert [one.link for one in urdf.capsules] == [BASE, "turn", "lift", "lift", "lift", "wrist", "wrist"]
    finger = urdf.capsules[-1]
    # Along y from where the finger is in to where it is out; the wrist turns about x.
    assert finger.radius_m == 0.015
    assert math.dist(finger.a_m, finger.b_m) == pytest.approx(0.04)


def test_meshes_are_enclosed_from_either_format(tmp_path: Path) -> None:
    (tmp_path / "box.stl").write_bytes(stl(BOX_M))
    (tmp_path / "small_box.stl").write_bytes(stl((1.0, 0.6, 0.4), text=True))
    package = tmp_path / "my_robot" / "meshes"
    package.mkdir(parents=True)
    (package / "box.STL").write_bytes(stl(BOX_M))
    plain = compile_file(write_urdf(tmp_path), JOINTS, tool="tip").model
    for mesh in (
        '<mesh filename="box.stl"/>',
        '<mesh filename="file://box.stl"/>',
        '<mesh filename="small_box.stl" scale="0.1 0.1 0.1"/>',
        '<mesh filename="package://my_robot/meshes/box.STL"/>',
    ):
        require_same(compile_file(write_urdf(tmp_path, mesh=mesh), JOINTS, tool="tip").model, plain, 2e-6)
    inside = write_urdf(package.parent, mesh='<mesh filename="package://my_robot/meshes/box.STL"/>')
    require_same(compile_file(inside, JOINTS, tool="tip").model, plain, 2e-6)
    from_mjcf = compile_file(write_mjcf(tmp_path, mesh=True), JOINTS, tool="tip").model
    hands = [next(one for one in model.capsules if one.name == "hand") for model in (plain, from_mjcf)]
    assert hands[0].radius_m == pytest.approx(hands[1].radius_m, abs=1e-5)


def test_enclosing_capsules_hold_every_ball_and_are_not_wasteful() -> None:
    generator = np.random.default_rng(5)
    for _ in range(60):
        n = int(generator.integers(1, 40))
        shape = Shape(
            generator.normal(size=(n, 3)) * generator.uniform(0.01, 0.3, size=3), generator.choice([0.0, 0.02, 0.05], n)
        )
        a, b, radius_m = enclosing_capsule(shape)
        square = float((b - a) @ (b - a))
        t = np.clip((shape.centres_m - a) @ (b - a) / square, 0.0, 1.0) if square else np.zeros(n)
        off_m = np.linalg.norm(shape.centres_m - a - t[:, None] * (b - a), axis=1)
        assert (off_m + shape.radii_m).max() <= radius_m + 1e-12
        extent_m = float((np.linalg.norm(shape.centres_m - shape.centres_m.mean(axis=0), axis=1) + shape.radii_m).max())
        assert volume(a, b, radius_m) <= 4.0 / 3.0 * math.pi * (1.05 * extent_m) ** 3
    a, b, radius_m = enclosing_capsule(capsule(0.05, 0.2).placed(homogeneous(random_rotation(random.Random(6)), a)))
    assert (radius_m, math.dist(a, b)) == (0.05, pytest.approx(0.4))
    # The sphere around it would have 2.7 times the volume; the tightest capsule is a little shorter than the box.
    a, b, radius_m = enclosing_capsule(box(0.05, 0.05, 0.2))
    assert math.hypot(0.05, 0.05) <= radius_m < 1.1 * math.hypot(0.05, 0.05)
    assert math.dist(a, b) < 0.4
    a, b, radius_m = enclosing_capsule(cylinder(0.05, 0.2))
    assert 0.05 <= radius_m < 0.055
    a, b, radius_m = enclosing_capsule(ellipsoid((0.05, 0.2, 0.1)))
    assert (a.tolist(), b.tolist(), radius_m) == ([0.0, -0.1, 0.0], [0.0, 0.1, 0.0], 0.1)


def volume(a: np.ndarray, b: np.ndarray, radius_m: float) -> float:
    return math.pi * radius_m**2 * (math.dist(a, b) + 4.0 / 3.0 * radius_m)


def spheres(count: int, radius_m: float, x_m: float, step_m: float) -> str:
    """A row of them along x."""
    shape = f'<geometry><sphere radius="{radius_m}"/></geometry>'
    return "".join(f'<collision><origin xyz="{x_m + step_m * i} 0 0"/>{shape}</collision>' for i in range(count))


def test_more_shapes_than_the_kernel_takes_become_one_capsule_for_each_link(tmp_path: Path) -> None:
    text = URDF.replace('<link name="tip"/>', f'<link name="tip">{spheres(65, 0.01, 0.0, 0.01)}</link>')
    compiled = compile_file(write_urdf(tmp_path, text), JOINTS)
    assert "72 shapes are more than the kernel's 64 capsules: one capsule for each link" in compiled.notes
    assert "no tool was named: the far end of the capsules of the joint wrist" in compiled.notes
    tip = compiled.model.capsules[-1]
    assert (tip.name, tip.radius_m, math.dist(tip.a_m, tip.b_m)) == ("tip", 0.01, pytest.approx(0.64))
    # The far end of the tip: 0.16 + 0.64 m ahead of the wrist.
    assert math.hypot(*compiled.model.tools[0].point_m) == pytest.approx(math.hypot(0.8, 0.02))


def test_more_links_than_the_kernel_takes_become_one_capsule_for_each_rigid_body(tmp_path: Path) -> None:
    more = "".join(
        f'<link name="bead{i}">{spheres(1, 0.01, 0.01 * i, 0.0)}</link><joint name="glue{i}" type="fixed">'
        f'<parent link="hand"/><child link="bead{i}"/></joint>'
        for i in range(70)
    )
    compiled = compile_file(
        write_urdf(tmp_path, URDF.replace('<link name="tip"/>', f'<link name="tip"/>{more}')), JOINTS
    )
    assert "77 shapes are more than the kernel's 64 capsules: one capsule for each rigid body" in compiled.notes
    assert [one.name for one in compiled.file.capsules] == ["foot", "column", "boom", "hand"]


PLANAR = """<robot name="planar">
  <link name="rail">{rail}</link>
  <joint name="swing" type="continuous"><parent link="rail"/><child link="rod"/><axis xyz="0 0 1"/></joint>
  <link name="rod"/>
  <joint name="turn" type="continuous"><parent link="rod"/><child link="club"/><origin xyz="0.3 0 0"/>
    <axis xyz="0 0 1"/></joint>
  <link name="club">{club}</link>
</robot>
"""


def test_more_pairs_than_the_kernel_takes_are_no_reason_to_watch_fewer(tmp_path: Path) -> None:
    """Bodies are enclosed more coarsely until every pair that is not proved apart is watched."""
    path = tmp_path / "planar.urdf"
    for count, watched in ((30, 30 * 30), (32, 32 * 32), (33, 1)):
        text = PLANAR.format(rail=spheres(count, 0.05, 0.1, 0.002), club=spheres(count, 0.05, 0.1, 0.002))
        path.write_text(text, encoding="utf-8")
        compiled = compile_file(path, home=(math.pi, 0.0))
        assert len(compiled.file.pairs) == len(compiled.model.pairs) == watched
    assert "66 shapes are more than the kernel's 64 capsules: one capsule for each link" in compiled.notes
    assert compiled.file.pairs == (("rail", "club"),)


def test_a_file_is_loaded_to_the_last_bit_as_it_was_written(tmp_path: Path) -> None:
    generator = random.Random(7)
    others = (random_model(generator).with_world((), ()) for _ in range(50))
    for model in (arm(in_a_box=False), *(msgspec.structs.replace(other, nearer=()) for other in others)):
        path = tmp_path / "kinematics.toml"
        file = file_of(model)
        path.write_text(to_toml(file, ("any note", "")), encoding="utf-8")
        assert read_kinematics(path) == file
        assert load_kinematics(path) == model


def test_the_command_writes_a_file_and_says_what_it_decided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = write_urdf(tmp_path), tmp_path / "out.toml"
    with pytest.raises(SystemExit) as ended:
        main(["kinematics", str(source), "--tool", "tip", "-o", str(out)])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "covered from 0.01 to 0.05 m" in said
    compiled = compile_file(source, tool="tip")
    assert load_kinematics(out).with_axes(compiled.axes) == compiled.model
    assert load_kinematics(out).axis_names == compiled.axes == ("turn", "lift", "flap", "wrist")
    assert "joint grip is not controlled" in out.read_text(encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["kinematics", str(source), "--tool", "spoon", "-o", str(out)])
    assert ended.value.code == 2
    assert "error: tool spoon: no such link or site" in capsys.readouterr().err
