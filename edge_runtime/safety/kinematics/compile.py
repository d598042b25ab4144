"""From a robot's description to the body that the kernel takes.

Guarantees that nothing is dropped or held still without a note that says so. Decides three things by itself: joints
that are not controlled are covered over their whole range where a controlled one carries them, as a gripper's, and held
at 0 elsewhere; every shape becomes one capsule, or where that is more than the kernel takes every link or every rigid
body; `pairs.py` says which pairs of capsules are watched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.native import lib
from edge_runtime.safety.kinematics.enclose import enclosing_capsule, holds
from edge_runtime.safety.kinematics.file import TOUCH_M, KinematicsFile
from edge_runtime.safety.kinematics.mimic import without_mimics
from edge_runtime.safety.kinematics.mjcf import read_mjcf
from edge_runtime.safety.kinematics.model import (
    BASE,
    Capsule,
    GeometryModel,
    HeldJoint,
    KinematicJoint,
    ToolPoint,
    Vector,
)
from edge_runtime.safety.kinematics.notes import held_note, pair_notes
from edge_runtime.safety.kinematics.pairs import PairDecisions, decide_pairs
from edge_runtime.safety.kinematics.plausible import require_plausible, require_plausible_sizes
from edge_runtime.safety.kinematics.source import Array, Kind, Shape, SourceJoint, SourceTree, pose
from edge_runtime.safety.kinematics.sweep import Slide, Sweep, Turn, swept
from edge_runtime.safety.kinematics.urdf import read_urdf
from edge_runtime.safety.kinematics.watch import watched_body

_CAPSULE_DIGITS = 6
_FARTHEST_M = 100.0
"""From the joint that carries it, as the kernel has it."""


@dataclass(frozen=True)
class Compiled:
    """A body, and what there is to know about how it came about, one line each."""

    file: KinematicsFile
    notes: tuple[str, ...]

    @property
    def model(self) -> GeometryModel:
        """The body as the kernel takes it, with the usual clearance and without surroundings.

        Raises:
            ConfigError: capsules overlap so deep that a person has to say that they may.
        """
        return watched_body(self.file)


@dataclass(frozen=True, eq=False)
class _Place:
    """Where a link is: pose in the frame of the joint that carries it, and how it may move there."""

    carrier: str | None
    X_CL: Array
    sweeps: tuple[Sweep, ...] = ()


def compile_file(
    path: Path,
    joint_names: Sequence[str] | None = None,
    home_rad: Sequence[float] | None = None,
    tool: str | None = None,
    *,
    limits_in_rad: bool = False,
    sizes_in_m: bool = False,
    packages: Mapping[str, Path] | None = None,
    arguments: Mapping[str, str] | None = None,
) -> Compiled:
    """The body of the robot in a URDF, xacro or MJCF file; see `compile_tree` and `read_urdf`.

    Raises:
        ConfigError: names the file, or what in it is missing or not possible.
        ImportError: what reads the file is not installed.
    """
    try:
        kind = ElementTree.parse(path).getroot().tag
    except OSError as error:
        raise ConfigError(str(path), f"{error.strerror}") from error
    except ElementTree.ParseError as error:
        raise ConfigError(str(path), f"not valid XML: {error}") from error
    except (ValueError, LookupError) as error:
        # What expat says of an encoding that it does not know.
        raise ConfigError(str(path), f"its encoding can't be read ({error}): save it as UTF-8") from error
    if kind == "robot":
        tree = read_urdf(path, packages, arguments)
    elif kind == "mujoco":
        tree = read_mjcf(path, joint_names)
    else:
        raise ConfigError(str(path), f"opens with <{kind}>: URDF and xacro open with <robot>, MJCF with <mujoco>")
    return compile_tree(tree, joint_names, home_rad, tool, limits_in_rad=limits_in_rad, sizes_in_m=sizes_in_m)


def compile_tree(
    tree: SourceTree,
    joint_names: Sequence[str] | None = None,
    home_rad: Sequence[float] | None = None,
    tool: str | None = None,
    *,
    limits_in_rad: bool = False,
    sizes_in_m: bool = False,
) -> Compiled:
    """The robot's body.

    Args:
        tree: as read from URDF or MJCF.
        joint_names: revolute joints to control, in the order of every joint vector; None: all there are.
        home_rad: a posture in which nothing touches that could be kept apart; None: the middle of each range.
        tool: name of a link or point; None: the end of a capsule of the last joint that is furthest from its frame.
        limits_in_rad: somebody has confirmed that limits are in radians although they look like degrees.
        sizes_in_m: somebody has confirmed that shapes are in metres although no link seems to be that long.

    Raises:
        ConfigError: names the joint, link or tool that is missing or not possible.
    """
    revolute = [joint.name for joint in tree.joints if joint.kind is Kind.REVOLUTE]
    names = list(revolute if joint_names is None else joint_names)
    if not names:
        sliding = [joint.name for joint in tree.joints if joint.kind is Kind.PRISMATIC]
        there_is = f"only ones that slide ({', '.join(sliding)})" if sliding else "and none that slides either"
        raise ConfigError("joints", f"the description has no joint that turns, {there_is}: nothing to control")
    for name in names:
        if name not in revolute:
            raise ConfigError(f"joint {name}", f"no such revolute joint; there are {', '.join(revolute)}")
    coupled: list[str] = []
    tree = without_mimics(tree, names, tool, coupled)
    require_plausible(tree, names, limits_in_rad)
    if not sizes_in_m:
        require_plausible_sizes(tree)
    joints, places, held = _placed(tree, names)
    notes = [*coupled, *(held_note(joint) for joint in held)]
    if home_rad is None:
        home_rad = [_middle(joint) for joint in joints]
    capsules, decided = _enclosed(tree, places, joints, home_rad, notes)
    carrying = {capsule.link for capsule in capsules}
    notes += [f"joint {name} carries no shape: nothing keeps it off anything" for name in names if name not in carrying]
    file = KinematicsFile(
        tool=_tool(tree, places, capsules, names, tool, notes),
        joints=joints,
        capsules=capsules,
        pairs=tuple(decided.pairs),
        near=tuple(decided.near),
        neighbours=tuple(decided.neighbours),
        apart=tuple(decided.apart),
        apart_m=TOUCH_M,
        inseparable=tuple(decided.inseparable),
        held=tuple(held),
        uncovered=tuple(_uncovered(tree, places, capsules)),
    )
    if file.uncovered:
        notes.append(f"no capsule holds all that is drawn of {', '.join(file.uncovered)}: nothing keeps the rest off")
    return Compiled(file, (*tree.notes, *notes, *pair_notes(decided)))


def _placed(
    tree: SourceTree, names: Sequence[str]
) -> tuple[tuple[KinematicJoint, ...], dict[str, _Place], list[HeldJoint]]:
    places = {tree.root: _Place(BASE, np.eye(4))}
    joints: dict[str, KinematicJoint] = {}
    held: list[HeldJoint] = []
    carrying = _carrying(tree, names)
    for joint in tree.joints:
        at = places[joint.parent]
        X_CJ = at.X_CL @ joint.X_PC
        if joint.name in names:
            if at.sweeps:
                raise ConfigError(f"joint {joint.name}", "is carried by a sliding joint that is not controlled")
            aligned = _z_to(joint.axis)
            rotation, offset_m = X_CJ[:3, :3] @ aligned, X_CJ[:3, 3]
            joints[joint.name] = KinematicJoint(
                name=joint.name,
                parent=at.carrier,
                rotation=_tidy(rotation.ravel(), 15),  # type: ignore[arg-type]
                offset_m=_tidy(offset_m, 15),
                limits=joint.limits,
            )
            places[joint.child] = _Place(joint.name, pose(aligned.T, (0.0, 0.0, 0.0)))
        elif joint.kind is Kind.FIXED:
            places[joint.child] = _Place(at.carrier, X_CJ, at.sweeps)
        elif joint.kind is Kind.PRISMATIC:
            places[joint.child] = _slid(joint, at, X_CJ, held)
        elif at.carrier is BASE or joint.child in carrying:
            held.append(HeldJoint(name=joint.name, covered=False))
            places[joint.child] = _Place(at.carrier, X_CJ, at.sweeps)
        else:
            places[joint.child] = _turned(joint, at, X_CJ, held)
    return tuple(joints[name] for name in names), places, held


def _carrying(tree: SourceTree, names: Sequence[str]) -> set[str]:
    """Links that carry a controlled joint, however far out."""
    links: set[str] = set()
    for joint in reversed(tree.joints):
        if joint.name in names or joint.child in links:
            links.add(joint.parent)
    return links


def _slid(joint: SourceJoint, at: _Place, X_CJ: Array, held: list[HeldJoint]) -> _Place:
    if joint.position_min is None or joint.position_max is None:
        raise ConfigError(f"joint {joint.name}", "slides without end and is not controlled: give it a range")
    low, high = joint.position_min, joint.position_max
    held.append(HeldJoint(name=joint.name, covered=True, low=low, high=high, unit="m"))
    direction = X_CJ[:3, :3] @ joint.axis
    X_low = pose(X_CJ[:3, :3], X_CJ[:3, 3] + low * direction)
    return _Place(at.carrier, X_low, (*at.sweeps, Slide((high - low) * direction)))


def _turned(joint: SourceJoint, at: _Place, X_CJ: Array, held: list[HeldJoint]) -> _Place:
    low, high = joint.position_min, joint.position_max
    if low is None or high is None or high - low > 2.0 * math.pi:
        low, high = -math.pi, math.pi
    held.append(HeldJoint(name=joint.name, covered=True, low=low, high=high))
    turn = Turn(X_CJ[:3, 3], X_CJ[:3, :3] @ joint.axis, low, high)
    return _Place(at.carrier, X_CJ, (*at.sweeps, turn))


def _z_to(axis: tuple[float, float, float]) -> Array:
    """A turn that brings +z to the axis: the shortest one, for an axis below the horizon after half a turn about x."""
    x, y, z = axis
    if z < 0.0:
        return np.diag((1.0, -1.0, -1.0)) @ _z_to((x, -y, -z))
    k = 1.0 / (1.0 + z)
    return np.array([[1.0 - k * x * x, -k * x * y, x], [-k * x * y, 1.0 - k * y * y, y], [-x, -y, z]])


def _tidy(values: Array, digits: int) -> Vector:
    """Without the noise of the last bits, and without -0."""
    return tuple(round(float(value), digits) + 0.0 for value in values)  # type: ignore[return-value]


def _enclosed(
    tree: SourceTree,
    places: dict[str, _Place],
    joints: tuple[KinematicJoint, ...],
    home_rad: Sequence[float],
    notes: list[str],
) -> tuple[tuple[Capsule, ...], PairDecisions]:
    """The finest capsules for which, with all their pairs, the kernel has room."""
    shapes = list(_shapes(tree, places))
    problem = ""
    for coarser in (None, "link", "rigid body"):
        if coarser is not None:
            notes.append(f"{problem}: one capsule for each {coarser}")
            shapes = list(_joined(shapes, by_carrier=coarser != "link"))
        problem = f"{len(shapes)} shapes are more than the kernel's {lib.GEOMETRY_MAX_CAPSULES} capsules"
        if len(shapes) <= lib.GEOMETRY_MAX_CAPSULES:
            capsules = _capsules(shapes)
            # What the kernel would not take is an error now: pairs are about sound joints and capsules.
            GeometryModel(joints=joints, capsules=capsules, pairs=(), tools=())
            decided = decide_pairs(joints, capsules, home_rad)
            count = len(decided.pairs) + sum(not near.proved for near in decided.near)
            if count <= lib.GEOMETRY_MAX_PAIRS:
                return capsules, decided
            problem = f"{count} pairs to watch are more than the kernel's {lib.GEOMETRY_MAX_PAIRS}"
    raise ConfigError("capsules", f"{problem}, even with one for each rigid body: leave joints out")


@dataclass(frozen=True, eq=False)
class _Placed:
    """Shapes of one link, in the frame of the joint that carries it, wherever they may be there."""

    link: str
    carrier: str | None
    shape: Shape


def _shapes(tree: SourceTree, places: dict[str, _Place]) -> Iterator[_Placed]:
    for link, at in places.items():
        for shape in tree.shapes.get(link, ()):
            yield _Placed(link, at.carrier, swept(shape.placed(at.X_CL), at.sweeps))


def _uncovered(tree: SourceTree, places: dict[str, _Place], capsules: Sequence[Capsule]) -> Iterator[str]:
    """Links of which something is drawn that is inside none of the capsules of their rigid body."""
    for link, shapes in tree.drawn.items():
        at = places[link]
        around = [capsule for capsule in capsules if capsule.link == at.carrier]
        for shape in shapes:
            drawn = None if shape is None else swept(shape.placed(at.X_CL), at.sweeps)
            if drawn is None or not any(holds(capsule, drawn) for capsule in around):
                yield link
                break


def _joined(shapes: Sequence[_Placed], *, by_carrier: bool) -> Iterator[_Placed]:
    """One hull for each link, or for each joint that carries some, which then has the name of the first of them."""
    groups: dict[str | None, list[_Placed]] = {}
    for one in shapes:
        groups.setdefault(one.carrier if by_carrier else one.link, []).append(one)
    for first, *others in groups.values():
        whole = first.shape
        for other in others:
            whole = whole.joined(other.shape)
        yield _Placed(first.link, first.carrier, whole)


def _capsules(shapes: Sequence[_Placed]) -> tuple[Capsule, ...]:
    of_link: dict[str, int] = {}
    counts = {one.link: sum(other.link == one.link for other in shapes) for one in shapes}
    capsules = []
    for one in shapes:
        number = of_link.get(one.link, 0) + 1
        while f"{one.link}_{number}" in counts:
            number += 1
        of_link[one.link] = number
        if not np.abs(one.shape.centres_m).max() + one.shape.radii_m.max() <= _FARTHEST_M:
            raise ConfigError(f"link {one.link}", f"has a shape that reaches further than {_FARTHEST_M:g} m")
        a_m, b_m, radius_m = enclosing_capsule(one.shape)
        rounded = _tidy(a_m, _CAPSULE_DIGITS), _tidy(b_m, _CAPSULE_DIGITS)
        capsules.append(
            Capsule(
                name=one.link if counts[one.link] == 1 else f"{one.link}_{number}",
                link=one.carrier,
                source_link=one.link,
                a_m=rounded[0],
                b_m=rounded[1],
                radius_m=_radius(radius_m, (a_m, b_m), rounded),
                in_world=one.carrier is not BASE,
            )
        )
    return tuple(capsules)


def _radius(radius_m: float, ends_m: tuple[Array, Array], rounded_m: tuple[Vector, Vector]) -> float:
    """Rounded up, and wider by as much as the ends were moved."""
    moved_m = max(float(np.linalg.norm(end - tidy)) for end, tidy in zip(ends_m, rounded_m, strict=True))
    unit = 10.0**_CAPSULE_DIGITS
    return math.ceil(round((radius_m + moved_m) * unit, 3)) / unit


def _tool(
    tree: SourceTree,
    places: dict[str, _Place],
    capsules: Sequence[Capsule],
    names: Sequence[str],
    tool: str | None,
    notes: list[str],
) -> ToolPoint:
    if tool is None:
        ends = [end for capsule in capsules if capsule.link == names[-1] for end in (capsule.a_m, capsule.b_m)]
        if not ends:
            beyond = [link for link, at in places.items() if at.carrier == names[-1]]
            known = ", ".join([*beyond, *(point for point, (link, _) in tree.points.items() if link in beyond)])
            raise ConfigError("tool", f"{names[-1]} carries no shape: name the tool, a link or site such as {known}")
        notes.append("no tool was named: the far end of the last joint's capsules")
        return ToolPoint(link=names[-1], point_m=max(ends, key=lambda end: math.hypot(*end)))
    link, point_m = tree.points.get(tool, (tool, np.zeros(3)))
    if link not in places:
        known = ", ".join([*tree.points, *places])
        raise ConfigError(f"tool {tool}", f"no such link or site; there are {known}")
    at = places[link]
    point_m = at.X_CL[:3, :3] @ point_m + at.X_CL[:3, 3]
    return ToolPoint(link=at.carrier, point_m=_tidy(point_m, 15))


def _middle(joint: KinematicJoint) -> float:
    low, high = joint.limits.position_min_rad, joint.limits.position_max_rad
    return 0.0 if low is None or high is None else 0.5 * (low + high)
