"""One robot type: its axes in order, their rated limits, and its cameras.

The order is part of the contract: `Embodiment.joint_digest` travels with every observation, chunk and bundle, and a
mismatch is a refusal. The rated limits here are the maker's; what a robot is allowed to use is its own safety file,
which can only be tighter.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from edge_runtime.contracts.axes import (
    AnyAxis,
    AnyGripper,
    BaseLinear,
    BaseYaw,
    ParallelGripper,
    Revolute,
)

MAX_AXES = 32
MAX_GROUPS = 16
MAX_SIDE_PX = 8192
LONE_GRIPPER = "gripper"
"""Name of the gripper of a robot whose file is of version 1."""

_RATE_MIN_HZ, _RATE_MAX_HZ = 0.01, 10_000.0


def joint_order_digest(joint_names: Sequence[str]) -> str:
    """SHA-256 (64 lower-case hex digits) of the joint names, in order, joined by newlines."""
    return hashlib.sha256("\n".join(joint_names).encode()).hexdigest()


class Camera(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One colour camera, 8-bit RGB, row-major. Its name is also part of names in shared memory and on the page."""

    name: str
    """The camera's name, as the policy's bundle and the driver know it: 1 to 32 letters, digits, dashes or
    underscores."""
    width_px: int
    """Width of its pictures, 1 to 8192."""
    height_px: int
    """Height of its pictures, 1 to 8192."""
    rate_hz: float
    """Pictures a second, 0.01 to 10000."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", self.name):
            raise ValueError(f"camera {self.name!r}: a name has 1 to 32 letters, digits, dashes or underscores")
        if not (1 <= self.width_px <= MAX_SIDE_PX and 1 <= self.height_px <= MAX_SIDE_PX):
            raise ValueError(f"camera {self.name}: width_px and height_px must lie between 1 and {MAX_SIDE_PX}")
        if not _RATE_MIN_HZ <= self.rate_hz <= _RATE_MAX_HZ:
            between = f"between {_RATE_MIN_HZ:g} and {_RATE_MAX_HZ:g}"
            raise ValueError(f"camera {self.name}: rate_hz must lie {between}, got {self.rate_hz!r}")


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Axes that belong together: an arm with its gripper, a torso, a hand, a base."""

    name: str
    """The group's name, as a person calls it."""
    kind: Literal["arm", "torso", "head", "hand", "leg", "base"]
    """What it is. A base has nothing but the axes of a base, and no other group has one."""
    axes: tuple[AnyAxis, ...]

    def __post_init__(self) -> None:
        if not self.axes:
            raise ValueError(f"group {self.name}: a group has one axis at least")
        for axis in self.axes:
            if isinstance(axis, (BaseLinear, BaseYaw)) != (self.kind == "base"):
                raise ValueError(f'group {self.name}: {axis.name} is {axis.what}; those of a base are in kind = "base"')


class Embodiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One robot type, as its driver, its bundles and its hub know it."""

    name: str
    """The robot type's name. A bundle made for another one is refused."""
    groups: tuple[Group, ...]
    cameras: tuple[Camera, ...] = ()

    def __post_init__(self) -> None:
        names = self.axis_names
        if not 1 <= len(names) <= MAX_AXES:
            raise ValueError(f"an embodiment has 1 to {MAX_AXES} axes, got {len(names)}")
        for what, called in (
            ("axis", names),
            ("group", [group.name for group in self.groups]),
            ("camera", [camera.name for camera in self.cameras]),
        ):
            for name in called:
                if not name or list(called).count(name) > 1:
                    raise ValueError(f"{what} names must be there and differ from each other, got {name!r}")
        along = [axis.along if isinstance(axis, BaseLinear) else "yaw" for axis in self.base_axes]
        if len(set(along)) != len(along):
            raise ValueError("a robot has one base, which has each of x, y and yaw once at most")

    @property
    def axes(self) -> tuple[AnyAxis, ...]:
        """All axes, in the order of every vector of this robot."""
        return tuple(axis for group in self.groups for axis in group.axes)

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the axes in the order of every vector of this robot."""
        return tuple(axis.name for axis in self.axes)

    @property
    def home(self) -> tuple[float, ...]:
        """A posture to be at home in: one value for each axis, in its unit; grippers are open, a base stands."""
        return tuple(axis.home for axis in self.axes)

    @property
    def joint_indices(self) -> tuple[int, ...]:
        """Places of the axes that are no gripper."""
        return tuple(index for index, axis in enumerate(self.axes) if not axis.is_gripper)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the axes that are no gripper, in order."""
        return tuple(axis.name for axis in self.axes if not axis.is_gripper)

    @property
    def gripper_indices(self) -> tuple[int, ...]:
        """Places of the grippers."""
        return tuple(index for index, axis in enumerate(self.axes) if axis.is_gripper)

    @property
    def grippers(self) -> tuple[AnyGripper, ...]:
        """The grippers, in order."""
        return tuple(axis for axis in self.axes if isinstance(axis, AnyGripper))

    @property
    def base_indices(self) -> tuple[int, ...]:
        """Places of the axes of a mobile base."""
        return tuple(index for index, axis in enumerate(self.axes) if axis.is_velocity)

    @property
    def base_axes(self) -> tuple[BaseLinear | BaseYaw, ...]:
        """The axes of a mobile base, in order."""
        return tuple(axis for axis in self.axes if isinstance(axis, (BaseLinear, BaseYaw)))

    @property
    def joint_digest(self) -> str:
        """Digest of the order of the axes, see `joint_order_digest`.

        A lone gripper is not in it, see `order_names`.
        """
        return joint_order_digest(self.order_names)

    @property
    def order_names(self) -> tuple[str, ...]:
        """Names of the axes in order, as bundles list them and `joint_digest` has them.

        A gripper that is the only one, the last axis and called "gripper" is left out: every robot of version 1 has
        one.
        """
        names = self.axis_names
        is_lone = names[-1] == LONE_GRIPPER and self.gripper_indices == (len(names) - 1,)
        return names[:-1] if is_lone else names

    def index_of(self, name: str) -> int:
        """Place of an axis.

        Raises:
            KeyError: there is none of that name.
        """
        try:
            return self.axis_names.index(name)
        except ValueError:
            raise KeyError(name) from None


class JointOfVersion1(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A revolute joint as files of version 1 have it."""

    name: str
    position_min_rad: float
    position_max_rad: float
    velocity_max_rad_s: float
    acceleration_max_rad_s2: float
    jerk_max_rad_s3: float
    torque_max_nm: float
    limits_in_rad: bool = False


class GripperOfVersion1(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The parallel gripper that robots of version 1 all have."""

    opening_max_m: float
    speed_max_m_s: float


class EmbodimentOfVersion1(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of version 1: revolute joints, and one parallel gripper. `newest` is what it says in the newest words."""

    name: str
    joints: tuple[JointOfVersion1, ...]
    gripper: GripperOfVersion1
    cameras: tuple[Camera, ...]
    home_rad: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.home_rad) != len(self.joints):
            raise ValueError(f"home_rad needs {len(self.joints)} values, got {len(self.home_rad)}")
        self.newest()

    def newest(self) -> Embodiment:
        """The same robot.

        Raises:
            ValueError: its values are not possible.
        """
        gripper = ParallelGripper(
            name=LONE_GRIPPER, opening_max_m=self.gripper.opening_max_m, speed_max_m_s=self.gripper.speed_max_m_s
        )
        joints = [
            Revolute(home_rad=home_rad, **msgspec.structs.asdict(joint))
            for joint, home_rad in zip(self.joints, self.home_rad, strict=True)
        ]
        arm = Group(name="arm", kind="arm", axes=(*joints, gripper))
        return Embodiment(name=self.name, groups=(arm,), cameras=self.cameras)


def is_of_version_1(table: Mapping[str, Any]) -> bool:
    """Whether the content of an embodiment file is of version 1, which has joints instead of groups."""
    return "joints" in table


def embodiment_of(table: Mapping[str, Any]) -> Embodiment:
    """The robot type that the content of an embodiment file declares, of whichever version it is.

    Raises:
        msgspec.ValidationError: it declares none, or one that is not possible.
    """
    if is_of_version_1(table):
        return msgspec.convert(table, EmbodimentOfVersion1).newest()
    return msgspec.convert(table, Embodiment)
