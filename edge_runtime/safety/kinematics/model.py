"""The robot's body as the kernel takes it: joints, capsules, the tool point, and what they must keep away from.

Guarantees: a model that was built is one that the kernel takes; a mistake is a `ConfigError` with the name of what is
wrong. The ranges are in one place, `kernel/geometry.c`. Refuses to know: where a model came from. Frames: the world W
is the frame of the robot's base; the frame of a link is that of the joint that carries it, which turns about its +z.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from edge_runtime.config.toml_file import Section
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.native import ffi, lib

BASE: None = None
"""The link that no joint moves. It has no name, so that any joint may have any."""

Vector = tuple[float, float, float]
Matrix = tuple[float, float, float, float, float, float, float, float, float]


class SourceLimits(Section, frozen=True):
    """Limits of a joint as the robot's description states them; what it does not state is left out."""

    position_min_rad: float | None = None
    """Lower end of the range."""
    position_max_rad: float | None = None
    """Upper end of the range."""
    velocity_max_rad_s: float | None = None
    """Largest speed. Example: `2.175`."""
    acceleration_max_rad_s2: float | None = None
    """Largest acceleration. Example: `15.0`."""
    jerk_max_rad_s3: float | None = None
    """Largest jerk. Example: `7500.0`."""
    torque_max_nm: float | None = None
    """Largest torque. Example: `87.0`."""

    def tightened(self, other: SourceLimits) -> SourceLimits:
        """The tighter one of each limit that either of the two has."""
        tightest = {}
        for field in self.__struct_fields__:
            known = [value for value in (getattr(self, field), getattr(other, field)) if value is not None]
            tightest[field] = (max if field == "position_min_rad" else min)(known, default=None)
        return SourceLimits(**tightest)


class KinematicJoint(Section, frozen=True):
    """A revolute joint, after the one that carries it."""

    name: str
    """The joint's name, as in `embodiment.toml` and in its order."""
    rotation: Matrix
    """Its frame at 0 rad in the parent's frame, row-major; the third column is the joint's axis."""
    offset_m: Vector
    """Origin of its frame in the parent's frame."""
    parent: str | None = BASE
    """The joint that carries it; left out: it stands on the base. Example: `"joint1"`."""
    limits: SourceLimits = SourceLimits()


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
    """The point whose speed is limited."""

    point_m: Vector
    """The point whose speed is limited, in the frame of `link`."""
    link: str | None = BASE
    """The joint that carries the tool; left out: it stands on the base. Example: `"joint7"`."""


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
        joints: 1 to 16, in the order of every joint vector of the robot.
        capsules: 1 to 48.
        pairs: names of capsules that may not touch each other, at most 512.
        tool: the point whose speed is limited.
        planes, keepouts: at most 16 of each.
        nearer: of `pairs`, those that may come nearer than others.

    Raises:
        ConfigError: names the joint, capsule, pair, plane, zone or tool that is not possible, and says why.
    """

    joints: tuple[KinematicJoint, ...]
    capsules: tuple[Capsule, ...]
    pairs: tuple[tuple[str, str], ...]
    tool: ToolPoint
    planes: tuple[Plane, ...] = ()
    keepouts: tuple[Keepout, ...] = ()
    nearer: tuple[Nearer, ...] = ()

    def __post_init__(self) -> None:
        for field, most in _ROOM.items():
            if len(getattr(self, field)) > most:
                raise ConfigError(field, f"at most {most}, got {len(getattr(self, field))}")
        for field in ("joints", "capsules"):
            names = [one.name for one in getattr(self, field)]
            if not names:
                raise ConfigError(field, "at least one is needed")
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ConfigError(field, f"names must differ from each other, and {', '.join(twice)} stands twice")
        native = ffi.new("geometry_model *")
        self.fill(native)
        index = ffi.new("uint32_t *")
        error = lib.geometry_check(native, index)
        if error != lib.GEOMETRY_OK:
            raise self._refused(error, index[0])

    @property
    def joint_names(self) -> tuple[str, ...]:
        """In the order of every joint vector of the robot."""
        return tuple(joint.name for joint in self.joints)

    @property
    def n_joints(self) -> int:
        """Length of every joint vector of the robot."""
        return len(self.joints)

    def with_world(self, planes: Sequence[Plane], keepouts: Sequence[Keepout]) -> GeometryModel:
        """The same robot among these planes and zones."""
        return msgspec.structs.replace(self, planes=tuple(planes), keepouts=tuple(keepouts))

    def fill(self, native: Any) -> None:
        """Write the model, derived reaches included, into a cffi `geometry_model` that is all zero."""
        links: dict[str | None, int] = {BASE: -1} | {joint.name: number for number, joint in enumerate(self.joints)}
        capsules: dict[str | None, int] = {capsule.name: number for number, capsule in enumerate(self.capsules)}
        native.n_joints, native.n_capsules, native.n_pairs = len(self.joints), len(self.capsules), len(self.pairs)
        native.n_planes, native.n_keepouts = len(self.planes), len(self.keepouts)
        for joint, room in zip(self.joints, native.joints, strict=False):
            key = f"joint {joint.name}"
            _put(key, "rotation", joint.rotation, room.rotation)
            _put(key, "offset_m", joint.offset_m, room.offset_m)
            room.parent = _number(key, "parent", joint.parent, links)
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
        _put("tool", "point_m", self.tool.point_m, native.tool_m)
        native.tool_link = _number("tool", "link", self.tool.link, links)
        lib.geometry_derive(_address(native))

    def _refused(self, error: int, index: int) -> ConfigError:
        if error == lib.GEOMETRY_TOOL:
            return ConfigError("tool", "point_m must be finite and within 100 m")
        field, problem = _PROBLEMS[error]
        culprit = getattr(self, field)[index]
        if isinstance(culprit, tuple):
            return ConfigError(f"{field}[{index}]", f"{' and '.join(culprit)} {problem}")
        name = getattr(culprit, "name", None)
        return ConfigError(f"{field}[{index}]" if name is None else f"{field[:-1]} {name}", problem)


_ROOM = {
    "joints": lib.GEOMETRY_MAX_AXES,
    "capsules": lib.GEOMETRY_MAX_CAPSULES,
    "pairs": lib.GEOMETRY_MAX_PAIRS,
    "planes": lib.GEOMETRY_MAX_PLANES,
    "keepouts": lib.GEOMETRY_MAX_KEEPOUTS,
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
