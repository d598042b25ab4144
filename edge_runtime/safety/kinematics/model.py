"""The robot's body as the kernel takes it: joints, capsules, the tool point, and what they must keep away from.

Guarantees: a model that was built is one that the kernel takes; a mistake is a `ConfigError` with the name of what is
wrong. The ranges are in one place, `kernel/geometry.c`. Refuses to know: where a model came from. Frames: the world W
is the frame of the robot's base; the frame of a link is that of the joint that carries it, which turns about its +z or
slides along it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from edge_runtime.config.toml_file import Section
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.native import ffi, lib
from edge_runtime.safety.kinematics.limits import SourceLimits

BASE: None = None
"""The link that no joint moves. It has no name, so that any joint may have any."""

Vector = tuple[float, float, float]
Matrix = tuple[float, float, float, float, float, float, float, float, float]


class KinematicJoint(Section, frozen=True):
    """A joint, after the one that carries it: it turns about +z of its frame, or slides along it."""

    name: str
    """The joint's name. Where `axis` is left out, as in `embodiment.toml`."""
    rotation: Matrix
    """Its frame at position 0 in the parent's frame, row-major; the third column is the joint's axis."""
    offset_m: Vector
    """Origin of its frame in the parent's frame."""
    parent: str | None = BASE
    """The joint that carries it; left out: it stands on the base. Example: `"joint1"`."""
    kind: Literal["revolute", "prismatic"] = "revolute"
    """Whether it turns or slides."""
    axis: str | None = None
    """The axis of the embodiment that moves it; left out: the one of its own name. Example: `"finger1"`."""
    ratio: float = 1.0
    """Its position is `ratio` times the value of its axis, and `at_zero`."""
    at_zero: float = 0.0
    """Its position where its axis is at 0, in rad or m."""
    extent_m: float | None = None
    """How far from 0 a joint that slides is at most; left out: at the further end of its limits. Example: `0.4`."""
    limits: SourceLimits = SourceLimits()
    """Of the axis of its own name."""

    @property
    def axis_name(self) -> str:
        """The axis that moves it."""
        return self.name if self.axis is None else self.axis

    @property
    def slides(self) -> bool:
        """Whether it slides."""
        return self.kind == "prismatic"


class Capsule(Section, frozen=True):
    """All points within a radius of a segment: a shape around a link, or around a part of one."""

    name: str
    """What it is called in pairs, messages and on the claims sheet."""
    a_m: Vector
    """One end of its segment, in the frame of `link`."""
    b_m: Vector
    """The other end."""
    radius_m: float
    """All points so near to the segment belong to it."""
    link: str | None = BASE
    """The joint that carries it; left out: it stands on the base. Example: `"joint1"`."""
    in_world: bool = True
    """Whether it keeps away from half-spaces and zones too."""
    source_link: str | None = None
    """Link or body of the description whose shapes it holds."""


class Nearer(Section, frozen=True):
    """Two capsules that may come nearer to each other than `clearance_min_m`, by `nearer_m`, 0 to 1."""

    first: str
    second: str
    nearer_m: float


class HeldJoint(Section, frozen=True):
    """A joint of the description that is not controlled."""

    name: str
    """Its name in the description."""
    covered: bool
    """Whether what it moves is inside the capsules from `low` to `high`. Else it counts as standing at 0."""
    low: float = 0.0
    """Lower end of the way that is covered, in `unit`. Example: `0.0`."""
    high: float = 0.0
    """Upper end of the way that is covered, in `unit`. Example: `0.04`."""
    unit: Literal["rad", "m"] = "rad"
    """Of `low` and `high`: a joint that turns, or one that slides."""


class ToolPoint(Section, frozen=True):
    """A point whose speed is limited."""

    point_m: Vector
    """The point whose speed is limited, in the frame of `link`. Example: `[0.0, 0.0, 0.1]`."""
    link: str | None = BASE
    """The joint that carries the tool; left out: it stands on the base. Example: `"joint7"`."""
    name: str = "tool"
    """What limits and messages call it, where there are several."""


class Plane(Section, frozen=True):
    """A half-space that is allowed: `normal . p >= offset_m`, with a normal of unit length, in the world."""

    normal: Vector
    offset_m: float


class Keepout(Section, frozen=True):
    """A box along the world's axes, grown by `radius_m`, that is forbidden; one with equal corners is a sphere."""

    min_m: Vector
    max_m: Vector
    radius_m: float = 0.0


def box_planes(min_m: Vector, max_m: Vector) -> tuple[Plane, ...]:
    """The six planes between which a point lies inside the box."""
    planes = []
    for axis in range(3):
        up, down = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
        up[axis], down[axis] = 1.0, -1.0
        planes.append(Plane(normal=_vector(up), offset_m=min_m[axis]))
        planes.append(Plane(normal=_vector(down), offset_m=-max_m[axis]))
    return tuple(planes)


def _vector(values: Sequence[float]) -> Vector:
    x, y, z = values
    return x, y, z


class GeometryModel(Section, frozen=True):
    """A robot's body and its surroundings.

    Attributes:
        joints: at most 48.
        capsules: 1 to 64.
        pairs: names of capsules that may not touch each other, at most 1024.
        tools: points whose speeds are limited, at most 4.
        planes, keepouts: at most 16 of each.
        nearer: of `pairs`, those that may come nearer than others.
        axes: of the robot, in the order of its vectors, those included that move no joint here; empty: those that move
            one, in the order of the joints.
        has_base: the robot's base moves, and planes and zones stand in the world that its odometry measures in.

    Raises:
        ConfigError: names the joint, capsule, pair, plane, zone or tool that is not possible, and says why.
    """

    joints: tuple[KinematicJoint, ...]
    capsules: tuple[Capsule, ...]
    pairs: tuple[tuple[str, str], ...]
    tools: tuple[ToolPoint, ...]
    planes: tuple[Plane, ...] = ()
    keepouts: tuple[Keepout, ...] = ()
    nearer: tuple[Nearer, ...] = ()
    axes: tuple[str, ...] = ()
    has_base: bool = False

    def __post_init__(self) -> None:
        for field, most in _ROOM.items():
            there_are = self.n_axes if field == "axes" else len(getattr(self, field))
            if there_are > most:
                raise ConfigError(field, f"at most {most}, got {there_are}")
        if not self.capsules:
            raise ConfigError("capsules", "at least one is needed")
        if not self.joints and not self.has_base:
            raise ConfigError("joints", "at least one is needed, of a robot that stands")
        for field in ("joints", "capsules", "tools", "axes"):
            names = [one if isinstance(one, str) else one.name for one in getattr(self, field)]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ConfigError(field, f"names must differ from each other, and {', '.join(twice)} stands twice")
        native = ffi.new("geometry_model *")
        self.fill(native)
        index = ffi.new("uint32_t *")
        error = lib.geometry_check(native, index)
        if error != lib.GEOMETRY_OK:
            raise self._refused(error, index[0])

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The robot's axes, in the order of its vectors."""
        return self.axes or tuple(dict.fromkeys(joint.axis_name for joint in self.joints))

    @property
    def n_axes(self) -> int:
        """Length of every vector of the robot."""
        return len(self.axis_names)

    def with_axes(self, axes: Sequence[str], *, has_base: bool = False) -> GeometryModel:
        """The same body, as that of a robot with these axes; those of grippers and of a base move no joint of it.

        Raises:
            ConfigError: names a joint that none of these axes moves.
        """
        return msgspec.structs.replace(self, axes=tuple(axes), has_base=has_base)

    def with_world(self, planes: Sequence[Plane], keepouts: Sequence[Keepout]) -> GeometryModel:
        """The same robot among these planes and zones."""
        return msgspec.structs.replace(self, planes=tuple(planes), keepouts=tuple(keepouts))

    def fill(self, native: Any) -> None:
        """Write the model, derived reaches included, into a cffi `geometry_model` that is all zero."""
        links: dict[str | None, int] = {BASE: -1} | {joint.name: number for number, joint in enumerate(self.joints)}
        capsules: dict[str | None, int] = {capsule.name: number for number, capsule in enumerate(self.capsules)}
        native.n_joints, native.n_capsules, native.n_pairs = len(self.joints), len(self.capsules), len(self.pairs)
        native.n_planes, native.n_keepouts = len(self.planes), len(self.keepouts)
        native.n_axes, native.n_tools, native.has_base = self.n_axes, len(self.tools), self.has_base
        self._fill_joints(native, links)
        for capsule, room in zip(self.capsules, native.capsules, strict=False):
            key = f"capsule {capsule.name}"
            _put(key, "a_m", capsule.a_m, room.a_m)
            _put(key, "b_m", capsule.b_m, room.b_m)
            room.radius_m = capsule.radius_m
            room.link = _number(key, "link", capsule.link, links)
            room.in_world = capsule.in_world
        nearer_m = {(one.first, one.second): one.nearer_m for one in self.nearer}
        for number, (pair, room) in enumerate(zip(self.pairs, native.pairs, strict=False)):
            for end in range(2):
                room[end] = _number(f"pairs[{number}]", "", pair[end], capsules)
            native.pair_nearer_m[number] = nearer_m.get(pair, 0.0)
        for number, (plane, room) in enumerate(zip(self.planes, native.planes, strict=False)):
            _put(f"planes[{number}]", "normal", plane.normal, room.normal)
            room.offset_m = plane.offset_m
        for number, (zone, room) in enumerate(zip(self.keepouts, native.keepouts, strict=False)):
            _put(f"keepouts[{number}]", "min_m", zone.min_m, room.min_m)
            _put(f"keepouts[{number}]", "max_m", zone.max_m, room.max_m)
            room.radius_m = zone.radius_m
        for tool, room in zip(self.tools, native.tools, strict=False):
            key = _key("tool", tool)
            _put(key, "point_m", tool.point_m, room.point_m)
            room.link = _number(key, "link", tool.link, links)
        lib.geometry_derive(_address(native))

    def _fill_joints(self, native: Any, links: dict[str | None, int]) -> None:
        axes: dict[str | None, int] = {name: number for number, name in enumerate(self.axis_names)}
        for joint, room in zip(self.joints, native.joints, strict=False):
            key = f"joint {joint.name}"
            _put(key, "rotation", joint.rotation, room.rotation)
            _put(key, "offset_m", joint.offset_m, room.offset_m)
            room.parent = _number(key, "parent", joint.parent, links)
            room.axis = _number(key, "axis", joint.axis_name, axes)
            room.ratio, room.at_zero = joint.ratio, joint.at_zero
            if joint.slides:
                room.slides, room.extent_m = 1, _extent_m(joint)

    def _refused(self, error: int, index: int) -> ConfigError:
        field, problem = _PROBLEMS[error]
        culprit = getattr(self, field)[index]
        if isinstance(culprit, tuple):
            return ConfigError(f"{field}[{index}]", f"{' and '.join(culprit)} {problem}")
        return ConfigError(_key(field[:-1], culprit) if hasattr(culprit, "name") else f"{field}[{index}]", problem)


def _key(what: str, culprit: Any) -> str:
    """A tool that has no name of its own is the only one."""
    return what if culprit.name == what else f"{what} {culprit.name}"


def _extent_m(joint: KinematicJoint) -> float:
    ends = (joint.limits.low, joint.limits.high) if joint.extent_m is None else (joint.extent_m,)
    known = [abs(end) for end in ends if end is not None]
    if len(known) < len(ends):
        raise ConfigError(
            f"joint {joint.name}",
            "slides, and how far is not said: state position_min_m and position_max_m among its limits, or extent_m",
        )
    return max(known)


_ROOM = {
    "axes": lib.GEOMETRY_MAX_AXES,
    "joints": lib.GEOMETRY_MAX_LINKS,
    "capsules": lib.GEOMETRY_MAX_CAPSULES,
    "pairs": lib.GEOMETRY_MAX_PAIRS,
    "planes": lib.GEOMETRY_MAX_PLANES,
    "keepouts": lib.GEOMETRY_MAX_KEEPOUTS,
    "tools": lib.GEOMETRY_MAX_TOOLS,
}

_PROBLEMS = {
    lib.GEOMETRY_PARENT: ("joints", "parent must be a joint before it"),
    lib.GEOMETRY_ROTATION: ("joints", "rotation is not a rotation matrix"),
    lib.GEOMETRY_OFFSET: ("joints", "offset_m must be finite and within 100 m"),
    lib.GEOMETRY_CAPSULE: ("capsules", "a_m and b_m must be finite and within 100 m, radius_m above 0 and at most 100"),
    lib.GEOMETRY_PAIR: (
        "pairs",
        "are of one link, so that their distance never changes, or may be nearer by a length not in 0 .. 1 m",
    ),
    lib.GEOMETRY_PLANE: ("planes", "normal must be of unit length, and offset_m within 1e6 m"),
    lib.GEOMETRY_KEEPOUT: ("keepouts", "min_m must not be above max_m, all within 1e6 m, radius_m not negative"),
    lib.GEOMETRY_TOOL: ("tools", "point_m must be finite and within 100 m"),
    lib.GEOMETRY_AXIS: ("joints", "ratio and at_zero must lie within 1e3, and how far it slides within 100 m"),
}


def _address(native: Any) -> Any:
    return native if ffi.typeof(native).kind == "pointer" else ffi.addressof(native)


def _put(key: str, field: str, values: Sequence[float], room: Any) -> None:
    if len(values) != len(room):
        raise ConfigError(f"{key}.{field}", f"needs {len(room)} values, got {len(values)}")
    room[0 : len(room)] = [float(value) for value in values]


def _number(key: str, field: str, name: str | None, numbers: dict[str | None, int]) -> int:
    if name not in numbers:
        where = f"{key}.{field}" if field else key
        raise ConfigError(where, f"there is no {name!r}, only {', '.join(filter(None, numbers))}")
    return numbers[name]
