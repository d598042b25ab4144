"""Joints that go with another: moved by its axis where it is controlled, held where it puts them where it is held."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from benchmarks.descriptions import errors_of
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import Compiled, GeometryModel, compile_file, read_kinematics, write_kinematics
from tests.safety.geometry_robot import NativeGeometry

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


def places(found: Compiled, q: dict[str, float]) -> dict[str, np.ndarray]:
    """X_WL of every joint's link, by the kernel."""
    file = found.file
    native = NativeGeometry(
        GeometryModel(joints=file.joints, capsules=file.capsules, pairs=(), tools=(), axes=found.axes)
    )
    native.move_to([q[axis] for axis in found.axes])
    rotations, origins_m = native.pose()
    return {
        joint.name: np.vstack((np.column_stack((np.reshape(rotation, (3, 3)), origin_m)), (0.0, 0.0, 0.0, 1.0)))
        for joint, rotation, origin_m in zip(file.joints, rotations, origins_m, strict=True)
    }


def require_followed(path: Path, name: str, goes: Callable[[float], float], lead: str = "j2") -> Compiled:
    """A joint is where it is if it is controlled by itself, and told where the other one puts it."""
    by_itself = compile_file(path, ("j1", lead, name))
    followed = compile_file(path, ("j1", lead))
    joint = next(joint for joint in followed.file.joints if joint.name == name)
    assert joint.axis == lead
    for at in (-0.9, 0.0, 0.8, 1.5):
        told = places(by_itself, {"j1": 0.3, lead: at, name: goes(at)})[name]
        np.testing.assert_allclose(places(followed, {"j1": 0.3, lead: at})[name], told, atol=1e-14)
    return followed


def test_a_parallelogram_is_followed_exactly(tmp_path: Path) -> None:
    path = arm(tmp_path, joint("jlevel", "fore", "plate", MIMIC), link("plate"))
    found = require_followed(path, "jlevel", lambda q: -q)
    assert found.axes == ("j1", "j2")
    assert "joint jlevel goes with j2: -1 times its position, and 0, and is moved by the same axis" in found.notes
    assert found.file.tool is not None
    assert found.file.tool.link == "jlevel", "the arm ends there"


def test_limits_that_a_joint_states_for_itself_are_named_where_its_axis_goes_beyond(tmp_path: Path) -> None:
    """Its range is -1 to 2 rad and its speed 1 rad/s, like that of the one that it goes with."""
    wide = joint("m", "fore", "plate", '<mimic joint="j2" multiplier="1.5"/>')
    notes = compiled(arm(tmp_path, wide, link("plate"))).notes
    assert "joint m: its own range is not kept, it goes from -1.5 to 3 with j2" in notes
    assert "joint m: its own speed limit is not kept, only that of j2" in notes
    same = joint("m", "fore", "plate", '<mimic joint="j2"/>')
    assert not any("not kept" in note for note in compiled(arm(tmp_path, same, link("plate"))).notes)


def test_controlled_by_itself_it_is_taken_and_said(tmp_path: Path) -> None:
    path = arm(tmp_path, joint("jlevel", "fore", "plate", MIMIC), link("plate"))
    found = compile_file(path, ("j1", "j2", "jlevel"))
    assert found.model.axis_names == ("j1", "j2", "jlevel")
    assert "joint jlevel goes with j2 in the description; here it is controlled" in found.notes
    assert compile_file(path).axes == ("j1", "j2"), "one that goes with another is no axis of its own"


@pytest.mark.parametrize(
    ("parts", "moved"),
    [
        ((joint("m", "fore", "a", MIMIC), link("a", False), joint("f", "a", "b", kind="fixed"), link("b")), ("m",)),
        ((joint("m", "fore", "a", MIMIC), link("a", False), joint("j3", "a", "b"), link("b")), ("m", "j3")),
        ((joint("m", "fore", "a", MIMIC, kind="prismatic"), link("a"), joint("j3", "a", "b"), link("b")), ("m", "j3")),
        ((joint("m", "fore", "tip", MIMIC, kind="prismatic"), link("tip", False)), ("m",)),
        ((joint("m", "fore", "tip", MIMIC), link("tip", False)), ("m",)),
    ],
)
def test_what_carries_a_shape_a_joint_or_the_tool_is_moved(
    tmp_path: Path, parts: tuple[str, ...], moved: tuple[str, ...]
) -> None:
    path = arm(tmp_path, *parts)
    names = ("j1", "j2", "j3") if "j3" in moved else ("j1", "j2")
    found = compile_file(path, names, tool="tip" if '"tip"' in parts[0] else None)
    assert tuple(one.name for one in found.file.joints[2:]) == moved
    joint_m = found.file.joints[2]
    assert (joint_m.axis, joint_m.ratio, joint_m.at_zero) == ("j2", -1.0, 0.0)
    assert joint_m.extent_m == (2.0 if joint_m.slides else None)
    assert found.model.n_axes == len(names)


def test_one_that_carries_nothing_does_not_matter(tmp_path: Path) -> None:
    path = arm(tmp_path, joint("m", "fore", "a", MIMIC), link("a", False))
    assert any("joint m goes with j2" in note for note in compiled(path).notes)


def test_a_controlled_mimic_moves_what_it_mimics(tmp_path: Path) -> None:
    """The description names the free one the mimic, the robot controls the other: it is the same linkage."""
    fingers = (
        joint("lead", "fore", "a"),
        link("a"),
        joint("mirror", "fore", "b", '<mimic joint="lead" multiplier="2" offset="0.4"/>'),
    )
    path = arm(tmp_path, *fingers, link("b"))
    require_followed(path, "lead", lambda q: 0.5 * q - 0.2, lead="mirror")
    compiled(path)


def test_a_chain_of_mimics_goes_with_the_one_at_its_end(tmp_path: Path) -> None:
    chain = (
        joint("m1", "fore", "a", '<mimic joint="j2" multiplier="2" offset="0.1"/>'),
        joint("m2", "fore", "b", '<mimic joint="m1" multiplier="-3" offset="0.5"/>'),
    )
    path = arm(tmp_path, *chain, link("a", False), link("b"))
    require_followed(path, "m2", lambda q: -3.0 * (2.0 * q + 0.1) + 0.5)


def test_pairs_with_a_joint_that_goes_along_are_watched_or_proved(tmp_path: Path) -> None:
    """A level plate never tips over: of a plate on a joint of its own nothing of the kind is proved."""
    rod = (
        '<collision><origin xyz="0.09 0 0" rpy="0 1.5707963 0"/><geometry><capsule radius="0.02" length="0.14"/>'
        "</geometry></collision></link>"
    )
    plate, fore = f'<link name="plate">{rod}', f'<link name="fore">{rod}'
    parts = (link("foot"), joint("j1", "foot", "upper"), link("upper"), joint("j2", "upper", "fore"), fore)
    path = urdf(tmp_path, *parts, joint("jlevel", "fore", "plate", MIMIC), plate)
    every = {frozenset(pair) for pair in combinations([one.name for one in compiled(path).file.capsules], 2)}
    for found in (compiled(path), compile_file(path, ("j1", "j2", "jlevel"))):
        file = found.file
        near = [near.pair for near in file.near]
        listed = [*file.pairs, *near, *file.apart, *file.neighbours, *file.inseparable]
        assert {frozenset(pair) for pair in listed} == every
    assert len(compiled(path).file.pairs) <= len(compile_file(path, ("j1", "j2", "jlevel")).file.pairs)


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


def test_a_sliding_finger_that_goes_with_a_controlled_joint_is_moved_by_its_axis(tmp_path: Path) -> None:
    mirror = '<mimic joint="j2" multiplier="0.1" offset="-0.05"/>'
    path = arm(tmp_path, joint("slide", "fore", "b", mirror, kind="prismatic", axis="1 0 0"), link("b"))
    found = require_followed(path, "slide", lambda q: 0.1 * q - 0.05)
    slide = found.file.joints[-1]
    assert (slide.kind, slide.extent_m) == ("prismatic", 0.15)
    write_kinematics(tmp_path / "kinematics.toml", found.file, found.notes)
    assert read_kinematics(tmp_path / "kinematics.toml") == found.file


def test_a_joint_that_slides_with_one_that_turns_without_end_has_no_extent(tmp_path: Path) -> None:
    parts = (link("foot"), joint("j1", "foot", "upper", kind="continuous"), link("upper"))
    slide = joint("slide", "upper", "b", '<mimic joint="j1" multiplier="0.1"/>', kind="prismatic")
    path = urdf(tmp_path, *parts, slide, link("b"))
    assert "joint j1: turns or slides without end, and another joint slides with it" in refused(path, ("j1",))


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
    ("equality", "ref", "ratio", "at_zero"),
    [
        ('<joint joint1="jlevel" joint2="j2" polycoef="0.1 -1 0 0 0"/>', "", -1.0, 0.1),
        ('<joint joint1="j2" joint2="jlevel" polycoef="0 2 0 0 0"/>', "", 0.5, 0.0),
        ('<joint joint1="jlevel" joint2="j2"/>', 'ref="0.3"', 1.0, 0.3),
        ('<joint joint1="jlevel" joint2="j2" polycoef="0.1 -1 0 0 0"/>', 'ref="0.3"', -1.0, 0.4),
    ],
)
def test_mjcf_says_the_same_by_equality(tmp_path: Path, equality: str, ref: str, ratio: float, at_zero: float) -> None:
    """And MuJoCo has the links there once it has settled what the equality demands."""
    path = mjcf(tmp_path, equality, ref)
    found = compiled(path)
    level = found.file.joints[2]
    assert (level.name, level.axis, level.ratio, level.at_zero) == ("jlevel", "j2", ratio, pytest.approx(at_zero))
    error_m, error = errors_of(path, found)
    assert error_m < 1e-12
    assert error < 1e-12


@pytest.mark.parametrize(
    ("equality", "words"),
    [
        ('<joint joint1="jlevel" joint2="j2" polycoef="0 1 0.1 0 0"/>', "joint jlevel: goes with j2 by a polynomial"),
        ('<joint joint1="jlevel" polycoef="0.2 0 0 0 0"/>', "joint jlevel: is held by an <equality> of its own"),
        (
            '<joint joint1="jlevel" joint2="j2"/><joint joint1="jlevel" joint2="j1"/>',
            "joint jlevel: is coupled by two <equality>",
        ),
        ('<connect body1="rod" body2="upper" anchor="0 0 0"/>', "bodies rod and upper: tied by an <equality>, so that"),
        ('<weld body1="plate" body2="stand"/>', "jlevel moves with j1, j2 in a closed chain"),
    ],
)
def test_an_equality_that_is_no_line_or_closes_a_chain_is_refused(tmp_path: Path, equality: str, words: str) -> None:
    problem = refused(mjcf(tmp_path, equality))
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
