"""From a robot's description to the body that the kernel takes.

Guarantees that nothing is dropped or held still without a note that says so. Decides three things by itself: joints
that are not controlled are held at 0, with what slides covered over its whole range; every shape becomes one capsule;
`pairs.py` says which pairs of capsules are watched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np

from contracts.errors import ConfigError
from edge_runtime.native import lib
from edge_runtime.safety.kinematics.enclose import enclosing_capsule
from edge_runtime.safety.kinematics.mimic import without_mimics
from edge_runtime.safety.kinematics.mjcf import read_mjcf
from edge_runtime.safety.kinematics.model import BASE, Capsule, GeometryModel, KinematicJoint, ToolPoint, Vector
from edge_runtime.safety.kinematics.pairs import watched_pairs
from edge_runtime.safety.kinematics.plausible import require_plausible
from edge_runtime.safety.kinematics.source import Array, Kind, Shape, SourceJoint, SourceTree, pose
from edge_runtime.safety.kinematics.urdf import read_urdf

_CAPSULE_DIGITS = 6


@dataclass(frozen=True)
class Compiled:
    """A body, and what there is to know about how it came about, one line each."""

    model: GeometryModel
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Place:
    """Where a link is: pose in the frame of the joint that carries it, and what it may slide along there."""

    carrier: str
    X_CL: Array
    slides: tuple[Array, ...] = ()


def compile_file(
    path: Path,
    joint_names: Sequence[str] | None = None,
    home_rad: Sequence[float] | None = None,
    tool: str | None = None,
    *,
    limits_in_rad: bool = False,
) -> Compiled:
    """The body of the robot in a URDF or MJCF file; see `compile_tree`.

    Raises:
        ConfigError: names the file, or what in it is missing or not possible.
        ImportError: the file is MJCF, and MuJoCo is not installed.
    """
    try:
        is_urdf = ElementTree.parse(path).getroot().tag == "robot"
    except OSError as error:
        raise ConfigError(str(path), f"{error.strerror}") from error
    except ElementTree.ParseError as error:
        raise ConfigError(str(path), f"not valid XML: {error}") from error
    tree = read_urdf(path) if is_urdf else read_mjcf(path, joint_names)
    return compile_tree(tree, joint_names, home_rad, tool, limits_in_rad=limits_in_rad)


def compile_tree(
    tree: SourceTree,
    joint_names: Sequence[str] | None = None,
    home_rad: Sequence[float] | None = None,
    tool: str | None = None,
    *,
    limits_in_rad: bool = False,
) -> Compiled:
    """The robot's body.

    Args:
        tree: as read from URDF or MJCF.
        joint_names: revolute joints to control, in the order of every joint vector; None: all there are.
        home_rad: a posture in which nothing touches that could be kept apart; None: the middle of each range.
        tool: name of a link or point; None: the end of a capsule of the last joint that is furthest from its frame.
        limits_in_rad: somebody has confirmed that limits are in radians although they look like degrees.

    Raises:
        ConfigError: names the joint, link or tool that is missing or not possible.
    """
    revolute = [joint.name for joint in tree.joints if joint.kind is Kind.REVOLUTE]
    names = list(revolute if joint_names is None else joint_names)
    for name in names:
        if name not in revolute:
            raise ConfigError(f"joint {name}", f"no such revolute joint; there are {', '.join(revolute)}")
    coupled: list[str] = []
    tree = without_mimics(tree, names, tool, coupled)
    require_plausible(tree, names, limits_in_rad)
    joints, places, notes = _placed(tree, names)
    notes = [*coupled, *notes]
    capsules = _capsules(tree, places, notes)
    carrying = {capsule.link for capsule in capsules}
    notes += [f"joint {name} carries no shape: nothing keeps it off anything" for name in names if name not in carrying]
    point = _tool(tree, places, capsules, names, tool, notes)
    body = GeometryModel(joints=joints, capsules=capsules, pairs=(), tool=point)
    if home_rad is None:
        home_rad = [_middle(joint) for joint in joints]
    pairs = watched_pairs(body, home_rad, notes)
    return Compiled(msgspec.structs.replace(body, pairs=pairs), (*tree.notes, *notes))


def _placed(tree: SourceTree, names: Sequence[str]) -> tuple[tuple[KinematicJoint, ...], dict[str, _Place], list[str]]:
    places = {tree.root: _Place(BASE, np.eye(4))}
    joints: dict[str, KinematicJoint] = {}
    notes: list[str] = []
    for joint in tree.joints:
        at = places[joint.parent]
        X_CJ = at.X_CL @ joint.X_PC
        if joint.name in names:
            if at.slides:
                raise ConfigError(f"joint {joint.name}", "is carried by a sliding joint that nobody controls")
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
        else:
            places[joint.child] = _held(joint, at, X_CJ, notes)
    return tuple(joints[name] for name in names), places, notes


def _held(joint: SourceJoint, at: _Place, X_CJ: Array, notes: list[str]) -> _Place:
    if joint.kind is Kind.REVOLUTE:
        notes.append(f"joint {joint.name} is not controlled: held at 0 rad; its motion is not covered")
    if joint.kind is not Kind.PRISMATIC:
        return _Place(at.carrier, X_CJ, at.slides)
    if joint.position_min is None or joint.position_max is None:
        raise ConfigError(f"joint {joint.name}", "slides without end and is not controlled: give it a range")
    notes.append(
        f"joint {joint.name} is not controlled: covered from {joint.position_min:g} to {joint.position_max:g} m"
    )
    direction = X_CJ[:3, :3] @ joint.axis
    X_low = pose(X_CJ[:3, :3], X_CJ[:3, 3] + joint.position_min * direction)
    return _Place(at.carrier, X_low, (*at.slides, (joint.position_max - joint.position_min) * direction))


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


def _capsules(tree: SourceTree, places: dict[str, _Place], notes: list[str]) -> tuple[Capsule, ...]:
    shapes = {link: list(tree.shapes.get(link, ())) for link in places}
    count = sum(map(len, shapes.values()))
    if count > lib.GEOMETRY_MAX_CAPSULES:
        notes.append(
            f"{count} shapes are more than the kernel's {lib.GEOMETRY_MAX_CAPSULES}: one capsule for each link"
        )
        shapes = {link: [_union(of_link)] if of_link else [] for link, of_link in shapes.items()}
    capsules = []
    for link, of_link in shapes.items():
        for number, shape in enumerate(of_link):
            a_m, b_m, radius_m = enclosing_capsule(_swept(shape.placed(places[link].X_CL), places[link].slides))
            rounded = _tidy(a_m, _CAPSULE_DIGITS), _tidy(b_m, _CAPSULE_DIGITS)
            capsules.append(
                Capsule(
                    name=link if len(of_link) == 1 else f"{link}_{number + 1}",
                    link=places[link].carrier,
                    a_m=rounded[0],
                    b_m=rounded[1],
                    radius_m=_radius(radius_m, (a_m, b_m), rounded),
                    in_world=places[link].carrier != BASE,
                )
            )
    return tuple(capsules)


def _radius(radius_m: float, ends_m: tuple[Array, Array], rounded_m: tuple[Vector, Vector]) -> float:
    """Rounded up, and wider by as much as the ends were moved."""
    moved_m = max(float(np.linalg.norm(end - tidy)) for end, tidy in zip(ends_m, rounded_m, strict=True))
    unit = 10.0**_CAPSULE_DIGITS
    return math.ceil(round((radius_m + moved_m) * unit, 3)) / unit


def _union(shapes: Sequence[Shape]) -> Shape:
    whole = shapes[0]
    for shape in shapes[1:]:
        whole = whole.joined(shape)
    return whole


def _swept(shape: Shape, slides: Sequence[Array]) -> Shape:
    for slide in slides:
        shape = shape.joined(Shape(shape.centres_m + slide, shape.radii_m, shape.axes))
    return shape


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
            raise ConfigError("tool", f"{names[-1]} carries no shape: name the tool")
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
