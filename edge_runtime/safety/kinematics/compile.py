"""From a robot's description to the body that the kernel takes.

Guarantees that nothing is dropped or held still without a note that says so. `base.py`, `mimic.py` and `place.py` say
what moves; here every shape becomes one capsule, or where that is more than the kernel takes every link or every rigid
body; `pairs.py` says which pairs of capsules are watched, and `tools.py` which points are tools.
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
from edge_runtime.safety.kinematics.base import from_the_base
from edge_runtime.safety.kinematics.enclose import enclosing_capsule, holds
from edge_runtime.safety.kinematics.file import TOUCH_M, KinematicsFile, tool_fields
from edge_runtime.safety.kinematics.limits import SourceLimits
from edge_runtime.safety.kinematics.mimic import coupled
from edge_runtime.safety.kinematics.mjcf import read_mjcf
from edge_runtime.safety.kinematics.model import BASE, Capsule, GeometryModel, KinematicJoint, Vector
from edge_runtime.safety.kinematics.notes import held_note, pair_notes
from edge_runtime.safety.kinematics.pairs import PairDecisions, decide_pairs
from edge_runtime.safety.kinematics.place import Place, Range, place_links
from edge_runtime.safety.kinematics.plausible import require_plausible, require_plausible_sizes
from edge_runtime.safety.kinematics.source import Array, Kind, Shape, SourceJoint, SourceTree, links_below
from edge_runtime.safety.kinematics.sweep import swept
from edge_runtime.safety.kinematics.tools import named_tools, tools_at_ends
from edge_runtime.safety.kinematics.urdf import read_urdf
from edge_runtime.safety.kinematics.watch import watched_body

_CAPSULE_DIGITS = 6
_WHEELS = ("wheel", "caster", "castor", "roller")
_FARTHEST_M = 100.0
"""From the joint that carries it, as the kernel has it."""


@dataclass(frozen=True)
class Compiled:
    """A body, and what there is to know about how it came about.

    Attributes:
        notes: what was decided, one line each.
        axes: the controlled joints, in order; `file` has its joints in an order in which each comes after its parent.
        has_base: the robot's base moves.
    """

    file: KinematicsFile
    notes: tuple[str, ...]
    axes: tuple[str, ...]
    has_base: bool = False

    @property
    def model(self) -> GeometryModel:
        """The body as the kernel takes it, with the usual clearance and without surroundings.

        Raises:
            ConfigError: capsules overlap so deep that a person has to say that they may.
        """
        return watched_body(self.file, axes=self.axes, has_base=self.has_base)


Tools = str | Mapping[str, str] | None


def compile_file(
    path: Path,
    joint_names: Sequence[str] | None = None,
    home: Sequence[float] | None = None,
    tool: Tools = None,
    *,
    limits_in_rad: bool = False,
    limits_in_m: bool = False,
    sizes_in_m: bool = False,
    packages: Mapping[str, Path] | None = None,
    arguments: Mapping[str, str] | None = None,
    grippers: Mapping[str, Range] | None = None,
    has_base: bool = False,
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
    return compile_tree(
        tree,
        joint_names,
        home,
        tool,
        limits_in_rad=limits_in_rad,
        limits_in_m=limits_in_m,
        sizes_in_m=sizes_in_m,
        grippers=grippers,
        has_base=has_base,
    )


def compile_tree(
    tree: SourceTree,
    joint_names: Sequence[str] | None = None,
    home: Sequence[float] | None = None,
    tool: Tools = None,
    *,
    limits_in_rad: bool = False,
    limits_in_m: bool = False,
    sizes_in_m: bool = False,
    grippers: Mapping[str, Range] | None = None,
    has_base: bool = False,
) -> Compiled:
    """The robot's body.

    Args:
        tree: as read from URDF or MJCF.
        joint_names: joints to control, turning or sliding, in the order of the robot's vectors; None: see
            `controlled_joints`.
        home: one position for each of them, in rad or m: a posture in which nothing touches that could be kept apart;
            None: the middle of each range.
        tool: name of a link or point, or such names by what the tools are called; None: the ends of the robot.
        limits_in_rad: somebody has confirmed that limits are in radians although they look like degrees.
        limits_in_m: the same of metres and millimetres.
        sizes_in_m: somebody has confirmed that shapes are in metres although no link seems to be that long.
        grippers: ranges of joints that are grippers, by name, which are covered beside those of the description.
        has_base: the robot's base moves, whatever the description says.

    Raises:
        ConfigError: names the joint, link or tool that is missing or not possible.
    """
    tree, is_free = from_the_base(tree, joint_names)
    has_wheels = joint_names is None and any(map(_is_wheel, tree.joints))
    moves = is_free or has_wheels or has_base
    notes: list[str] = []
    names = list(controlled_joints(tree, notes) if joint_names is None else joint_names)
    _require_joints(tree, names, is_mobile=moves)
    called = {} if tool is None else {"tool": tool} if isinstance(tool, str) else dict(tool)
    tree, drives = coupled(tree, names, list(called.values()), notes)
    require_plausible(tree, names, limits_in_rad=limits_in_rad, limits_in_m=limits_in_m)
    if not sizes_in_m:
        require_plausible_sizes(tree)
    joints, places, held = place_links(tree, names, drives, grippers or {})
    if len(joints) > lib.GEOMETRY_MAX_LINKS:
        problem = f"{len(joints)} joints move, and the kernel takes {lib.GEOMETRY_MAX_LINKS}"
        raise ConfigError("joints", f"{problem}: name fewer with --joints or --embodiment")
    notes += (held_note(joint) for joint in held)
    limits = {joint.name: joint.limits for joint in joints}
    at_home = dict(zip(names, [_middle(limits[name]) for name in names] if home is None else home, strict=True))
    capsules, decided = _enclosed(tree, places, joints, at_home, notes, base_in_world=moves)
    carrying = {capsule.link for capsule in capsules}
    notes += [
        f"joint {joint.name} carries no shape: nothing keeps it off anything"
        for joint in joints
        if joint.name not in carrying
    ]
    if called:
        tools = tuple(named_tools(tree, places, called))
    else:
        tools = tuple(tools_at_ends(places, joints, capsules, notes))
    file = KinematicsFile(
        **tool_fields(tools),
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
    return Compiled(file, (*tree.notes, *notes, *pair_notes(decided)), tuple(names), moves)


def controlled_joints(tree: SourceTree, notes: list[str]) -> list[str]:
    """Joints that are axes where nobody says which: those that turn, and those that slide and carry one that turns, or
    all that slide where none turns. Not those that go with another one, nor wheels.

    Args:
        notes: what was decided is added.
    """
    free = [joint for joint in tree.joints if joint.moves and joint.mimic is None]
    wheels = [joint for joint in free if _is_wheel(joint)]
    if wheels:
        notes.append(f"wheels are no axes here: {', '.join(joint.name for joint in wheels)}")
    free = [joint for joint in free if joint not in wheels]
    turning = {joint.name for joint in free if joint.kind is Kind.REVOLUTE}

    def is_axis(joint: SourceJoint) -> bool:
        below = links_below(tree.joints, joint.child)
        carries = any(other.name in turning and other.parent in below for other in free)
        return joint.name in turning or carries or not turning

    return [joint.name for joint in free if is_axis(joint)]


def _is_wheel(joint: SourceJoint) -> bool:
    words = f"{joint.name} {joint.child}".lower()
    return joint.moves and not joint.has_end and any(word in words for word in _WHEELS)


def _require_joints(tree: SourceTree, names: Sequence[str], *, is_mobile: bool) -> None:
    moving = [joint.name for joint in tree.joints if joint.moves]
    if not names and not is_mobile:
        there = f"; there are {', '.join(moving)}" if moving else ", and has none that turns or slides"
        raise ConfigError("joints", f"the description has no joint to control{there}")
    for name in names:
        if name not in moving:
            raise ConfigError(f"joint {name}", f"no such joint that turns or slides; there are {', '.join(moving)}")
        if names.count(name) > 1:
            raise ConfigError(f"joint {name}", "is named twice")
    if len(names) > lib.GEOMETRY_MAX_AXES:
        problem = f"{len(names)} joints are more than the {lib.GEOMETRY_MAX_AXES} axes of a robot"
        raise ConfigError("joints", f"{problem}: name yours with --joints or --embodiment, of {', '.join(names)}")


def _enclosed(
    tree: SourceTree,
    places: dict[str, Place],
    joints: tuple[KinematicJoint, ...],
    home: Mapping[str, float],
    notes: list[str],
    *,
    base_in_world: bool,
) -> tuple[tuple[Capsule, ...], PairDecisions]:
    """The finest capsules for which, with all their pairs, the kernel has room."""
    shapes = list(_shapes(tree, places))
    if not shapes:
        problem = (
            "no link has a shape that is solid, a <collision> in URDF: nothing could be kept off anything. Add some"
        )
        raise ConfigError("capsules", problem)
    problem = ""
    for coarser in (None, "link", "rigid body"):
        if coarser is not None:
            notes.append(f"{problem}: one capsule for each {coarser}")
            shapes = list(_joined(shapes, by_carrier=coarser != "link"))
        problem = f"{len(shapes)} shapes are more than the kernel's {lib.GEOMETRY_MAX_CAPSULES} capsules"
        if len(shapes) <= lib.GEOMETRY_MAX_CAPSULES:
            capsules = _capsules(shapes, base_in_world=base_in_world)
            # What the kernel would not take is an error now: pairs are about sound joints and capsules.
            GeometryModel(joints=joints, capsules=capsules, pairs=(), tools=(), has_base=base_in_world)
            decided = decide_pairs(joints, capsules, home)
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


def _shapes(tree: SourceTree, places: dict[str, Place]) -> Iterator[_Placed]:
    for link, at in places.items():
        for shape in tree.shapes.get(link, ()):
            yield _Placed(link, at.carrier, swept(shape.placed(at.X_CL), at.sweeps))


def _uncovered(tree: SourceTree, places: dict[str, Place], capsules: Sequence[Capsule]) -> Iterator[str]:
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


def _capsules(shapes: Sequence[_Placed], *, base_in_world: bool) -> tuple[Capsule, ...]:
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
        rounded = _tidy(a_m), _tidy(b_m)
        capsules.append(
            Capsule(
                name=one.link if counts[one.link] == 1 else f"{one.link}_{number}",
                link=one.carrier,
                source_link=one.link,
                a_m=rounded[0],
                b_m=rounded[1],
                radius_m=_radius(radius_m, (a_m, b_m), rounded),
                in_world=base_in_world or one.carrier is not BASE,
            )
        )
    return tuple(capsules)


def _radius(radius_m: float, ends_m: tuple[Array, Array], rounded_m: tuple[Vector, Vector]) -> float:
    """Rounded up, and wider by as much as the ends were moved."""
    moved_m = max(float(np.linalg.norm(end - tidy)) for end, tidy in zip(ends_m, rounded_m, strict=True))
    unit = 10.0**_CAPSULE_DIGITS
    return math.ceil(round((radius_m + moved_m) * unit, 3)) / unit


def _tidy(values: Array) -> Vector:
    x, y, z = (round(float(value), _CAPSULE_DIGITS) + 0.0 for value in values)
    return x, y, z


def _middle(limits: SourceLimits) -> float:
    low, high = limits.low, limits.high
    return 0.0 if low is None or high is None else 0.5 * (low + high)
