"""Who else than the safety file knows limits of a robot: the maker's rating, and the robot's own description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from edge_runtime.config.axis_keys import RATED, keys_of, kind_of
from edge_runtime.contracts.axes import Prismatic
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError


class Source(msgspec.Struct, frozen=True):
    """A source of limits: keys of a safety file by axis, None where one is not known."""

    name: str
    joints: Mapping[str, Mapping[str, float | None]]


def rating_of(embodiment: Embodiment) -> Source:
    """The maker's rated limits."""
    limits = {}
    for axis in embodiment.axes:
        keys = keys_of(axis)
        limits[axis.name] = {keys[limit]: getattr(axis, limit) for limit in RATED if limit in keys}
    return Source(f"the rating of {embodiment.name}", limits)


class _DescribedJoint(msgspec.Struct):
    name: str
    limits: dict[str, float] = {}
    kind: str = "revolute"
    axis: str | None = None


class _Description(msgspec.Struct):
    joints: tuple[_DescribedJoint, ...]


def description_of(kinematics: dict[str, Any], embodiment: Embodiment, file_name: str) -> Source:
    """The limits that the robot's own description (URDF or MJCF) stated when `kinematics` was made from it.

    Raises:
        ConfigError: not a kinematics file, or of a robot with other joints.
    """
    key = "geometry.kinematics"
    try:
        description = msgspec.convert(kinematics, _Description)
    except msgspec.ValidationError as error:
        raise ConfigError(key, f"{file_name} is no kinematics file: {error}") from error
    moved = [axis.name for axis in embodiment.axes if not (axis.is_gripper or axis.is_velocity)]
    driving = list(dict.fromkeys(joint.axis or joint.name for joint in description.joints))
    if set(driving) != set(moved):
        problem = f"{file_name} has joints that go with {', '.join(driving)}; those of {embodiment.name} are "
        problem += f"{', '.join(moved) or 'none'}: it is of another robot, or one name is written otherwise"
        raise ConfigError(key, problem)
    own = {joint.name: joint for joint in description.joints if joint.axis in (None, joint.name)}
    for axis in embodiment.axes:
        described = own.get(axis.name)
        if described is not None and (described.kind == "prismatic") != isinstance(axis, Prismatic):
            kinds = f"{axis.name} is {described.kind} in {file_name}, and {kind_of(axis)} in {embodiment.name}"
            raise ConfigError(key, f"{kinds}: one of the two files is of another robot")
    return Source(file_name, {name: joint.limits for name, joint in own.items()})
