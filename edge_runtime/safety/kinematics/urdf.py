"""Reads URDF: links, joints, limits and collision shapes; nothing else in the file matters to where the robot is.

Guarantees that an element that would change the geometry or a limit is read, refused by name or named in a note, never
skipped. Macros (xacro) are expanded, meshes are read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import source
from edge_runtime.safety.kinematics.limits import SourceLimits
from edge_runtime.safety.kinematics.mesh import mesh_vertices
from edge_runtime.safety.kinematics.packages import Packages
from edge_runtime.safety.kinematics.ros2_control import command_limits
from edge_runtime.safety.kinematics.source import Array, Kind, Mimic, Shape, SourceJoint, SourceTree, pose
from edge_runtime.safety.kinematics.xacro_file import expanded, is_xacro

_KINDS = {
    "fixed": Kind.FIXED,
    "revolute": Kind.REVOLUTE,
    "continuous": Kind.REVOLUTE,
    "prismatic": Kind.PRISMATIC,
    "planar": Kind.FREE,
    "floating": Kind.FREE,
}

_ENDLESS_RAD = 1e4
_ABOUT_OTHERS = frozenset({"transmission", "gazebo", "ros2_control", "sensor"})
"""Elements that name links and joints of the robot without bringing any."""

_LIMIT_ATTRIBUTES = frozenset({"lower", "upper", "velocity", "acceleration", "deceleration", "jerk", "effort"})


def read_urdf(
    path: Path, packages: Mapping[str, Path] | None = None, arguments: Mapping[str, str] | None = None
) -> SourceTree:
    """The robot in the file.

    Args:
        path: URDF, or xacro that expands to it.
        packages: where packages lie that the file names, by their names; others are looked for.
        arguments: of the file, if it is xacro.

    Raises:
        ConfigError: names the file, link or joint, and what is wrong with it.
        ImportError: what expands macros, or reads a kind of mesh, is not installed.
    """
    try:
        robot = ElementTree.fromstring(path.read_bytes())
    except OSError as error:
        raise ConfigError(str(path), f"{error.strerror}") from error
    except ElementTree.ParseError as error:
        raise ConfigError(str(path), f"not valid XML: {error}") from error
    except (ValueError, LookupError) as error:
        # What expat says of an encoding that it does not know.
        raise ConfigError(str(path), f"its encoding can't be read ({error}): save it as UTF-8") from error
    known = Packages(path, packages or {})
    if is_xacro(path, robot):
        robot = expanded(path, arguments or {}, known)
    elif arguments:
        raise ConfigError(str(path), f"is no xacro, and takes no arguments such as {next(iter(arguments))}")
    if robot.tag != "robot":
        raise ConfigError(str(path), f"not URDF: it opens with <{robot.tag}>, not with <robot>")
    links = [_attribute(link, "name", "link") for link in robot.findall("link")]
    shapes = {
        name: tuple(_shape(known, name, collision) for collision in link.findall("collision"))
        for name, link in zip(links, robot.findall("link"), strict=True)
    }
    notes: list[str] = []
    joints = [_joint(element, notes) for element in robot.findall("joint")]
    for what, names in (("link", links), ("joint", [joint.name for joint in joints])):
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"{what} {name}", "there are two of that name")
    for element in robot:
        if element.tag not in ("link", "joint") and any(child.tag in ("link", "joint") for child in element):
            if element.tag in _ABOUT_OTHERS:
                continue
            raise ConfigError(f"<{element.tag}>", "holds links or joints, which is no URDF")
    sliding = {joint.name for joint in joints if joint.kind is Kind.PRISMATIC}
    joints = _commanded(joints, command_limits(robot, notes, sliding))
    root, ordered = _ordered(path, links, joints)
    seen = [link.get("name", "") for link in robot.findall("link") if link.find("visual") is not None]
    # Beside a <collision> a <visual> is its paint; alone it is something that nothing encloses.
    drawn: dict[str, tuple[Shape | None, ...]] = {name: (None,) for name in seen if not shapes[name]}
    notes += [f"link {name} has a <visual> and no <collision>: nothing keeps it off anything" for name in drawn]
    return SourceTree(root=root, joints=ordered, shapes=shapes, drawn=drawn, notes=tuple(notes))


def _commanded(joints: list[SourceJoint], stated: dict[str, SourceLimits]) -> list[SourceJoint]:
    """The joints, with what `<ros2_control>` states of their commands."""
    for name in stated.keys() - {joint.name for joint in joints}:
        if stated[name] != SourceLimits():
            raise ConfigError(f"joint {name}", "has limits in <ros2_control>, and there is no joint of that name")
    return [
        replace(joint, limits=joint.limits.tightened(stated[joint.name]))
        if joint.moves and joint.name in stated
        else joint
        for joint in joints
    ]


def _ordered(path: Path, links: list[str], joints: list[SourceJoint]) -> tuple[str, tuple[SourceJoint, ...]]:
    for joint in joints:
        for link in (joint.parent, joint.child):
            if link not in links:
                raise ConfigError(f"joint {joint.name}", f"there is no link {link}")
        if sum(other.child == joint.child for other in joints) > 1:
            raise ConfigError(f"link {joint.child}", "is carried by two joints")
    if not links:
        raise ConfigError(str(path), "describes no link: is it the file that the robot is described in?")
    roots = [link for link in links if all(joint.child != link for joint in joints)]
    if len(roots) != 1:
        raise ConfigError(str(path), f"needs one link that no joint carries, has {len(roots)}: {', '.join(roots)}")
    reached, ordered = set(roots), list[SourceJoint]()
    while True:
        following = [joint for joint in joints if joint.parent in reached and joint.child not in reached]
        if not following:
            break
        ordered.append(following[0])
        reached.add(following[0].child)
    if len(ordered) != len(joints):
        raise ConfigError(str(path), f"links that carry each other: {', '.join(sorted(set(links) - reached))}")
    return roots[0], tuple(ordered)


def _joint(element: ElementTree.Element, notes: list[str]) -> SourceJoint:
    name = _attribute(element, "name", "joint")
    key = f"joint {name}"
    kind_name = _attribute(element, "type", key)
    if kind_name not in _KINDS:
        raise ConfigError(key, f"type {kind_name} is not possible, only {', '.join(_KINDS)}")
    kind = _KINDS[kind_name]
    for once in ("limit", "safety_controller", "mimic"):
        if len(element.findall(once)) > 1:
            raise ConfigError(key, f"has more than one <{once}>: which one counts?")
    limit = element.find("limit")
    if unknown := [] if limit is None else sorted(set(limit.keys()) - _LIMIT_ATTRIBUTES):
        notes.append(f"{key}: its <limit> states what is not kept: {', '.join(unknown)}")
    low = high = None
    if kind_name in ("revolute", "prismatic"):
        if limit is None:
            raise ConfigError(key, "has no <limit>")
        low, high = _number(key, limit, "lower", 0.0), _number(key, limit, "upper", 0.0)
        if low > high:
            raise ConfigError(key, f"lower limit {low} is above the upper limit {high}")
        if kind is Kind.REVOLUTE and low <= -_ENDLESS_RAD and high >= _ENDLESS_RAD:
            notes.append(f"{key}: its range, {low:g} to {high:g} rad, is taken for none: it turns without end")
            low = high = None
    stated_low, stated_high = low, high
    if kind_name == "continuous" and limit is not None and limit.get("lower") != limit.get("upper"):
        # Whoever states a range of a joint without end means one all the same; tools that know none write 0 and 0.
        stated_low, stated_high = _number(key, limit, "lower", 0.0), _number(key, limit, "upper", 0.0)
    limits, slides = SourceLimits(), kind is Kind.PRISMATIC
    if kind in (Kind.REVOLUTE, Kind.PRISMATIC):
        limits = SourceLimits.of(
            slides=slides,
            low=stated_low,
            high=stated_high,
            speed=_rating(key, limit, "velocity"),
            acceleration=_rating(key, limit, "acceleration"),
            jerk=_rating(key, limit, "jerk"),
            effort=_rating(key, limit, "effort"),
        )
        braking = SourceLimits.of(slides=slides, acceleration=_rating(key, limit, "deceleration"))
        limits = limits.tightened(braking).tightened(_soft_limits(key, element, slides=slides))
    return SourceJoint(
        name=name,
        kind=kind,
        parent=_attribute(_child(key, element, "parent"), "link", key),
        child=_attribute(_child(key, element, "child"), "link", key),
        X_PC=_origin(key, element),
        # Where nothing moves an axis says nothing, and tools write any.
        axis=(0.0, 0.0, 1.0) if kind in (Kind.FIXED, Kind.FREE) else _axis(key, element),
        position_min=low,
        position_max=high,
        limits=limits,
        mimic=_mimic(key, element) if kind in (Kind.REVOLUTE, Kind.PRISMATIC) else None,
    )


def _rating(key: str, limit: ElementTree.Element | None, attribute: str) -> float | None:
    """None where there is no limit; 0 is what tools write that know none."""
    value = 0.0 if limit is None else _number(key, limit, attribute, 0.0)
    if value < 0.0:
        raise ConfigError(key, f"its {attribute} limit is {value:g}: it is a magnitude, and 0 where there is no limit")
    return value if value > 0.0 else None


def _soft_limits(key: str, element: ElementTree.Element, *, slides: bool) -> SourceLimits:
    """Of `<safety_controller>`; its gains shape the approach to them, which is the kernel's."""
    controller = element.find("safety_controller")
    if controller is None:
        return SourceLimits()
    for gain in ("k_position", "k_velocity"):
        _number(key, controller, gain, 0.0)
    stated = [name for name in ("soft_lower_limit", "soft_upper_limit") if controller.get(name) is not None]
    if not stated:
        return SourceLimits()
    if len(stated) == 1:
        problem = f"its <safety_controller> states {stated[0]} alone, which makes the other one 0: state both"
        raise ConfigError(key, problem)
    low, high = (_number(key, controller, name, None) for name in stated)
    if low == high == 0.0:
        return SourceLimits()  # as written by tools that know none
    if not low < high:
        raise ConfigError(
            key, f"its soft limits leave no range: from {low:g} to {high:g}. Correct them, or leave them out"
        )
    return SourceLimits.of(slides=slides, low=low, high=high)


def _mimic(key: str, element: ElementTree.Element) -> Mimic | None:
    mimic = element.find("mimic")
    if mimic is None:
        return None
    multiplier, offset = _number(key, mimic, "multiplier", 1.0), _number(key, mimic, "offset", 0.0)
    return Mimic(_attribute(mimic, "joint", key), multiplier, offset)


def _axis(key: str, element: ElementTree.Element) -> tuple[float, float, float]:
    axis = element.find("axis")
    x, y, z = (1.0, 0.0, 0.0) if axis is None else _vector(key, axis, "xyz", "1 0 0")
    norm = math.sqrt(x * x + y * y + z * z)
    if norm < 1e-9:
        raise ConfigError(key, "its axis has no direction")
    return x / norm, y / norm, z / norm


def _shape(packages: Packages, link: str, collision: ElementTree.Element) -> Shape:
    key = f"link {link}"
    geometry = _child(key, collision, "geometry")
    if len(geometry) != 1:
        raise ConfigError(key, f"a <geometry> holds one shape, this one {len(geometry)}")
    shape = geometry[0]
    if shape.tag == "mesh":
        found = _mesh(packages, key, shape)
    elif shape.tag == "box":
        x, y, z = _vector(key, shape, "size", None)
        found = source.box(_positive(key, x) / 2.0, _positive(key, y) / 2.0, _positive(key, z) / 2.0)
    elif shape.tag in ("sphere", "cylinder", "capsule"):
        radius_m = _positive(key, _number(key, shape, "radius", None))
        if shape.tag == "sphere":
            found = source.ball(radius_m)
        else:
            half_length_m = _positive(key, _number(key, shape, "length", None)) / 2.0
            found = (source.cylinder if shape.tag == "cylinder" else source.capsule)(radius_m, half_length_m)
    else:
        raise ConfigError(key, f"shape {shape.tag} is not known, only box, sphere, cylinder, capsule and mesh")
    return found.placed(_origin(key, collision))


def _mesh(packages: Packages, key: str, mesh: ElementTree.Element) -> Shape:
    name = _attribute(mesh, "filename", key)
    remedy = "or add a box, cylinder, sphere or capsule as its <collision>"
    try:
        vertices_m = mesh_vertices(packages.file(name))
    except ConfigError as error:
        raise ConfigError(key, f"its mesh {name} can't be had: {error}; mend that, {remedy}") from error
    return source.points(vertices_m * _vector(key, mesh, "scale", "1 1 1"))


def _origin(key: str, element: ElementTree.Element) -> Array:
    origin = element.find("origin")
    if origin is None:
        return np.eye(4)
    roll, pitch, yaw = _vector(key, origin, "rpy", "0 0 0")
    (cr, sr), (cp, sp), (cy, sy) = ((math.cos(angle), math.sin(angle)) for angle in (roll, pitch, yaw))
    rotation = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return pose(rotation, _vector(key, origin, "xyz", "0 0 0"))


def _child(key: str, element: ElementTree.Element, tag: str) -> ElementTree.Element:
    child = element.find(tag)
    if child is None:
        raise ConfigError(key, f"has no <{tag}>")
    return child


def _attribute(element: ElementTree.Element, attribute: str, key: str) -> str:
    value = element.get(attribute)
    if not value:
        raise ConfigError(key, f"<{element.tag}> has no {attribute}")
    return value


def _number(key: str, element: ElementTree.Element, attribute: str, otherwise: float | None) -> float:
    text = element.get(attribute)
    if text is None and otherwise is not None:
        return otherwise
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(key, f"<{element.tag} {attribute}> must be a number, got {text!r}")
    return value


def _positive(key: str, value: float) -> float:
    if value <= 0.0:
        raise ConfigError(key, f"a shape has a size above zero, not {value}")
    return value


def _vector(key: str, element: ElementTree.Element, attribute: str, otherwise: str | None) -> tuple[float, ...]:
    text = element.get(attribute, otherwise)
    try:
        values = tuple(float(word) for word in (text or "").split())
    except ValueError:
        values = ()
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise ConfigError(key, f"<{element.tag} {attribute}> must be three numbers, got {text!r}")
    return values
