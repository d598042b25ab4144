"""Joints that go with another: refused where they would be elsewhere than the body says, covered where they can be."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import Compiled, compile_file

_BALL = '<collision><geometry><sphere radius="0.02"/></geometry></collision>'


def link(name: str, shape: bool = True) -> str:
    return f'<link name="{name}">{_BALL if shape else ""}</link>'


def joint(name: str, parent: str, child: str, extra: str = "", kind: str = "revolute", axis: str = "0 1 0") -> str:
    limit = "" if kind in ("fixed", "continuous") else '<limit lower="-1" upper="2" velocity="1" effort="5"/>'
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/><origin xyz="0.2 0 0"/>'
        f'<axis xyz="{axis}"/>{limit}{extra}</joint>'
    )


def urdf(folder: Path, *parts: str) -> Path:
    path = folder / "arm.urdf"
    path.write_text('<robot name="r">' + "".join(parts) + "</robot>", encoding="utf-8")
    return path


def arm(folder: Path, *parts: str) -> Path:
    """Two controlled joints, and what else there is."""
    first = (link("foot"), joint("j1", "foot", "upper"), link("upper"), joint("j2", "upper", "fore"), link("fore"))
    return urdf(folder, *first, *parts)


def compiled(path: Path, names: tuple[str, ...] = ("j1", "j2"), tool: str | None = None) -> Compiled:
    return compile_file(path, names, tool=tool)


def refused(path: Path, names: tuple[str, ...] = ("j1", "j2"), tool: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        compile_file(path, names, tool=tool)
    assert "\n" not in str(caught.value)
    return str(caught.value)


MIMIC = '<mimic joint="j2" multiplier="-1"/>'


def test_a_parallelogram_is_refused_with_the_joint_it_goes_with_and_what_to_do(tmp_path: Path) -> None:
    path = arm(tmp_path, joint("jlevel", "fore", "plate", MIMIC), link("plate"))
    problem = refused(path)
    assert re.search(r"joint jlevel.*goes with j2 \(-1 times its position, and 0\), and carries plate", problem)
    assert "Name it among the joints of the embodiment" in problem


def test_controlled_by_itself_it_is_taken_and_said(tmp_path: Path) -> None:
    path = arm(tmp_path, joint("jlevel", "fore", "plate", MIMIC), link("plate"))
    for names in (("j1", "j2", "jlevel"), None):
        found = compile_file(path, names)
        assert found.model.axis_names == ("j1", "j2", "jlevel")
        assert "joint jlevel goes with j2 in the description; here it is controlled" in found.notes


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            (joint("m", "fore", "a", MIMIC), link("a", False), joint("f", "a", "b", kind="fixed"), link("b")),
            "carries b",
        ),
        ((joint("m", "fore", "a", MIMIC), link("a", False), joint("j3", "a", "b"), link("b")), "carries the joint j3"),
        ((joint("m", "fore", "a", MIMIC, kind="prismatic"), link("a"), joint("j3", "a", "b"), link("b")), "joint j3"),
        ((joint("m", "fore", "tip", MIMIC, kind="prismatic"), link("tip", False)), "carries the tool, tip"),
        ((joint("m", "fore", "tip", MIMIC), link("tip", False)), "carries the tool, tip"),
    ],
)
def test_what_it_carries_is_named(tmp_path: Path, parts: tuple[str, ...], words: str) -> None:
    path = arm(tmp_path, *parts)
    names = ("j1", "j2", "j3") if "j3" in words else ("j1", "j2")
    assert words in refused(path, names, "tip" if "tip" in words else None)


def test_one_that_carries_nothing_does_not_matter(tmp_path: Path) -> None:
    path = arm(tmp_path, joint("m", "fore", "a", MIMIC), link("a", False))
    assert any("joint m goes with j2" in note for note in compiled(path).notes)


def test_a_controlled_mimic_moves_what_it_mimics(tmp_path: Path) -> None:
    """The description names the free one the mimic, the robot controls the other: it is the same linkage."""
    fingers = (
        joint("lead", "fore", "a"),
        link("a"),
        joint("mirror", "fore", "b", '<mimic joint="lead" multiplier="2"/>'),
    )
    path = arm(tmp_path, *fingers, link("b"))
    problem = refused(path, ("j1", "j2", "mirror"))
    assert "joint lead: goes with mirror (0.5 times its position, and 0), and carries a" in problem
    compiled(path)


def test_a_chain_of_mimics_goes_with_the_one_at_its_end(tmp_path: Path) -> None:
    chain = (
        joint("m1", "fore", "a", '<mimic joint="j2" multiplier="2" offset="0.1"/>'),
        joint("m2", "fore", "b", '<mimic joint="m1" multiplier="-3" offset="0.5"/>'),
    )
    path = arm(tmp_path, *chain, link("a", False), link("b"))
    assert "joint m2: goes with j2 (-6 times its position, and 0.2)" in refused(path)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((joint("m", "fore", "a", '<mimic joint="nobody"/>'),), "joint m: mimics nobody, and there is no joint"),
        ((joint("m", "fore", "a", '<mimic joint="m"/>'),), "joint m: mimics itself"),
        (
            (joint("m", "fore", "a", '<mimic joint="n"/>'), joint("n", "fore", "b", '<mimic joint="m"/>'), link("b")),
            "mimics itself, by way of n, m",
        ),
        (
            (joint("m", "fore", "a", '<mimic joint="f"/>'), joint("f", "fore", "b", kind="fixed"), link("b")),
            "joint m: mimics f, which is fixed",
        ),
        ((joint("m", "fore", "a", '<mimic joint="j2" multiplier="nan"/>'),), "<mimic multiplier> must be a number"),
        ((joint("m", "fore", "a", '<mimic joint="j2" offset="inf"/>'),), "<mimic offset> must be a number"),
        ((joint("m", "fore", "a", "<mimic/>"),), "joint m: <mimic> has no joint"),
    ],
)
def test_a_mimic_that_makes_no_sense_is_refused_by_name(tmp_path: Path, parts: tuple[str, ...], words: str) -> None:
    assert words in refused(arm(tmp_path, *parts, link("a")))


def holds(found: Compiled, name: str, *points_m: tuple[float, float, float]) -> bool:
    """Whether these points lie inside the capsule."""
    capsule = next(one for one in found.model.capsules if one.name == name)
    a, b = np.asarray(capsule.a_m), np.asarray(capsule.b_m)
    for point in np.asarray(points_m):
        along = b - a
        t = np.clip((point - a) @ along / max(along @ along, 1e-30), 0.0, 1.0)
        if np.linalg.norm(point - a - t * along) > capsule.radius_m + 1e-9:
            return False
    return True


def in_hand(x: float, y: float, z: float) -> tuple[float, float, float]:
    """A point of the link `fore`, in the frame of the joint that carries it, which turns about its own z: fore's y."""
    return x, -z, y


def test_a_sliding_finger_is_covered_over_the_range_that_its_mimic_gives(tmp_path: Path) -> None:
    """Half as far as the other one, the other way, from 3 cm on: -1 to 2 becomes 0.53 to -0.97."""
    lead = joint("lead", "fore", "a", kind="prismatic", axis="1 0 0")
    mirror = '<mimic joint="lead" multiplier="-0.5" offset="0.03"/>'
    path = arm(
        tmp_path, lead, link("a"), joint("mirror", "fore", "b", mirror, kind="prismatic", axis="1 0 0"), link("b")
    )
    found = compiled(path)
    ends = [in_hand(0.2 + at, 0.0, 0.0) for at in (0.53, -0.97)]
    assert holds(found, "b", *ends)
    assert not holds(found, "b", in_hand(0.2 + 0.6, 0.0, 0.0))


def test_a_sliding_finger_that_goes_with_a_controlled_joint_is_covered_too(tmp_path: Path) -> None:
    mirror = '<mimic joint="j2" multiplier="0.1"/>'
    path = arm(tmp_path, joint("slide", "fore", "b", mirror, kind="prismatic", axis="1 0 0"), link("b"))
    found = compiled(path)
    assert holds(found, "b", *(in_hand(0.2 + at, 0.0, 0.0) for at in (-0.1, 0.2)))


def test_a_turning_finger_is_held_where_its_mimic_puts_it(tmp_path: Path) -> None:
    lead = joint("lead", "fore", "a")
    mirror = joint("mirror", "fore", "b", '<mimic joint="lead" offset="1.5707963267948966"/>')
    shaped = link("b").replace("<geometry>", '<origin xyz="0.1 0 0"/><geometry>')
    found = compiled(arm(tmp_path, lead, link("a"), mirror, shaped))
    assert holds(found, "b", in_hand(0.2, 0.0, -0.1))
    assert not holds(found, "b", in_hand(0.3, 0.0, 0.0))


MJCF = """<mujoco><compiler angle="radian"/><worldbody><body name="stand"><geom size="0.05"/>
<body name="upper" pos="0.2 0 0"><joint name="j1" axis="0 1 0" range="-1 2"/><geom size="0.02"/>
<body name="fore" pos="0.2 0 0"><joint name="j2" axis="0 1 0" range="-1 2"/><geom size="0.02"/>
<body name="plate" pos="0.2 0 0"><joint name="jlevel" axis="0 1 0" REF/><geom size="0.02"/><site name="tip"/>
<body name="rod" pos="0.2 0 0"><joint name="jrod" axis="0 1 0"/><geom size="0.02"/></body>
</body></body></body></body></worldbody>TENDON<equality>EQUALITY</equality></mujoco>"""


def mjcf(folder: Path, equality: str, ref: str = "", tendon: str = "") -> Path:
    path = folder / "arm.xml"
    text = MJCF.replace("EQUALITY", equality).replace("REF", ref).replace("TENDON", tendon)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("equality", "ref", "words"),
    [
        (
            '<joint joint1="jlevel" joint2="j2" polycoef="0.1 -1 0 0 0"/>',
            "",
            "goes with j2 (-1 times its position, and 0.1)",
        ),
        (
            '<joint joint1="j2" joint2="jlevel" polycoef="0 2 0 0 0"/>',
            "",
            "goes with j2 (0.5 times its position, and 0)",
        ),
        ('<joint joint1="jlevel" joint2="j2"/>', 'ref="0.3"', "goes with j2 (1 times its position, and 0.3)"),
        (
            '<joint joint1="jlevel" joint2="j2" polycoef="0 1 0.1 0 0"/>',
            "",
            "joint jlevel: goes with j2 by a polynomial",
        ),
        ('<joint joint1="jlevel" polycoef="0.2 0 0 0 0"/>', "", "joint jlevel: is held by an <equality> of its own"),
        (
            '<joint joint1="jlevel" joint2="j2"/><joint joint1="jlevel" joint2="j1"/>',
            "",
            "joint jlevel: is coupled by two <equality>",
        ),
        (
            '<connect body1="rod" body2="upper" anchor="0 0 0"/>',
            "",
            "bodies rod and upper: tied by an <equality>, so that",
        ),
        ('<weld body1="plate" body2="stand"/>', "", "jlevel moves with j1, j2 in a closed chain"),
    ],
)
def test_mjcf_says_the_same_by_equality(tmp_path: Path, equality: str, ref: str, words: str) -> None:
    problem = refused(mjcf(tmp_path, equality, ref))
    assert words in problem
    assert "jlevel" in problem


def test_joints_tied_by_a_tendon_are_refused(tmp_path: Path) -> None:
    tendon = '<tendon><fixed name="belt"><joint joint="j2" coef="1"/><joint joint="jlevel" coef="-1"/></fixed></tendon>'
    problem = refused(mjcf(tmp_path, '<tendon tendon1="belt"/>', tendon=tendon))
    assert "tendon belt: tied by an <equality>, so that jlevel moves with j2" in problem


def test_an_equality_that_is_switched_off_ties_nothing(tmp_path: Path) -> None:
    joint_off = '<joint joint1="jlevel" joint2="j2" active="false"/>'
    compiled(mjcf(tmp_path, f'{joint_off}<connect body1="rod" body2="upper" anchor="0 0 0" active="false"/>'))


def test_fingers_that_are_tied_among_themselves_are_held_as_ever(tmp_path: Path) -> None:
    equality = '<joint joint1="jrod" joint2="jlevel"/>'
    assert any("joint jrod goes with jlevel" in note for note in compiled(mjcf(tmp_path, equality)).notes)
