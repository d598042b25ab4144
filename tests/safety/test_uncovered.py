"""What a description draws and no capsule holds is in the kinematics file, on the claims sheet and in `check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.cli.check.robot import not_kept_apart
from edge_runtime.cli.check.row import Level
from edge_runtime.cli.claims import claims_sheet
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import Compiled, compile_file, load_kinematics
from tests.settings import copy_settings, replace

DRAWN = 'contype="0" conaffinity="0"'
MJCF = """<mujoco><compiler angle="radian" COMPILER/>
<asset><hfield name="hills" nrow="2" ncol="2" size="1 1 1 1"/></asset><worldbody>
<body name="foot"><geom name="foot" type="box" size="0.1 0.1 0.05" CLASS/>
<body name="arm" pos="0 0 0.3"><joint name="j1" axis="0 1 0" range="-1 1"/>
<geom name="arm" type="capsule" size="0.05" fromto="0 0 0 0 0 0.2"/>ARM
<body name="slider" pos="0 0 0.3"><joint name="s" type="slide" axis="1 0 0" range="0 0.1"/>
<geom type="sphere" size="0.04"/>SLIDER</body></body></body></worldbody>MORE</mujoco>"""


def compiled(folder: Path, **parts: str) -> Compiled:
    text = MJCF
    for part in ("compiler", "class", "arm", "slider", "more"):
        text = text.replace(part.upper(), parts.get(part, ""))
    path = folder / "arm.xml"
    path.write_text(text, encoding="utf-8")
    return compile_file(path, ["j1"])


BIG = f'<geom type="box" size="0.2 0.02 0.02" {DRAWN}/>'


def test_what_is_drawn_beside_solid_shapes_and_reaches_beyond_them_is_named(tmp_path: Path) -> None:
    found = compiled(tmp_path, arm=BIG * 3, slider=BIG)
    assert found.file.uncovered == ("arm", "slider")
    assert "geoms that collide with nothing are taken as drawings: 4, on arm, slider" in found.notes
    assert "no capsule holds all that is drawn of arm, slider: nothing keeps the rest off" in found.notes
    assert [one.name for one in found.file.capsules] == ["foot", "arm", "slider"]


def test_what_is_drawn_inside_a_capsule_is_covered(tmp_path: Path) -> None:
    inside = f'<geom type="capsule" size="0.05" fromto="0 0 0 0 0 0.2" {DRAWN}/>'
    # Where it may slide to is held as well: the capsule is as long as the way.
    found = compiled(tmp_path, arm=inside, slider=f'<geom type="sphere" size="0.039" {DRAWN}/>')
    assert found.file.uncovered == ()
    assert any("taken as drawings: 2, on arm, slider" in note for note in found.notes)


def test_what_collides_by_name_or_stands_alone_is_solid(tmp_path: Path) -> None:
    rod = f'<geom name="rod" type="box" size="0.2 0.02 0.02" {DRAWN}/>'
    pair = '<contact><pair geom1="rod" geom2="foot"/></contact>'
    found = compiled(tmp_path, arm=rod, more=pair, **{"class": DRAWN})
    assert found.file.uncovered == ()
    assert [one.name for one in found.file.capsules] == ["foot", "arm_1", "arm_2", "slider"]


def test_a_drawing_that_is_no_solid_is_named_and_breaks_nothing(tmp_path: Path) -> None:
    found = compiled(tmp_path, arm=f'<geom type="hfield" hfield="hills" {DRAWN}/>')
    assert found.file.uncovered == ("arm",)
    with pytest.raises(ConfigError, match="body arm: a geom of type mjGEOM_HFIELD can't be part of a robot"):
        compiled(tmp_path, arm='<geom type="hfield" hfield="hills"/>')


def test_drawings_are_seen_although_mujoco_would_leave_them_out(tmp_path: Path) -> None:
    assert compiled(tmp_path, compiler='discardvisual="true"', arm=BIG).file.uncovered == ("arm",)


def test_links_of_a_urdf_that_are_only_drawn_are_named(tmp_path: Path) -> None:
    path = tmp_path / "arm.urdf"
    shape = "<geometry><sphere radius='0.1'/></geometry>"
    path.write_text(
        f"<robot name='r'><link name='foot'><visual>{shape}</visual></link><link name='arm'><visual>{shape}</visual>"
        f"<collision>{shape}</collision></link><joint name='j1' type='revolute'><parent link='foot'/>"
        "<child link='arm'/><limit lower='-1' upper='1' effort='1' velocity='1'/></joint></robot>",
        encoding="utf-8",
    )
    assert compile_file(path).file.uncovered == ("foot",)


def test_the_sheet_and_check_name_what_no_capsule_covers(tmp_path: Path) -> None:
    path = copy_settings(tmp_path)
    replace(tmp_path / "kinematics.toml", r"^uncovered = .*", 'uncovered = ["camera", "cable"]')
    config = load_config(path)
    assert "\n- **what is drawn of camera, cable** in the description: no capsule holds all" in claims_sheet(config)
    (row,) = not_kept_apart(config)
    assert row.level is Level.WARN
    assert "what is drawn of camera, cable in the description: no capsule holds all of it" in row.found
    assert config.safety.digest != load_config(SIM_CONFIG).safety.digest


def test_a_file_that_does_not_say_what_is_uncovered_is_refused(tmp_path: Path) -> None:
    copy_settings(tmp_path)
    replace(tmp_path / "kinematics.toml", r"^uncovered = .*\n", "")
    with pytest.raises(ConfigError, match="nothing says which links no capsule covers") as caught:
        load_kinematics(tmp_path / "kinematics.toml")
    assert caught.value.key == "uncovered"
