"""What the limits of an axis are called in a file, where the unit is part of every key.

One table: a limit has one neutral name, and each kind of axis a key for those that it has.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge_runtime.contracts.axes import (
    AnyAxis,
    BaseLinear,
    BaseYaw,
    BinaryGripper,
    Continuous,
    JawGripper,
    ParallelGripper,
    Prismatic,
    Revolute,
)

LOWER = ("low",)
UPPER = ("high", "speed_max", "acceleration_max", "jerk_max", "effort_max")
RATED = (*LOWER, *UPPER)
"""Limits that a maker rates and a description states."""

_NEAR = {"near_low": "velocity_near_min", "near_high": "velocity_near_max"}


def _of_setpoints(suffix: str) -> dict[str, str]:
    """How far a setpoint may be from the last command, and a measurement from its own."""
    return {
        "setpoint_step_max": f"setpoint_step_max_{suffix}",
        "tracking_error_max": f"tracking_error_max_{suffix}",
    }


_NOT_RATED: dict[type[AnyAxis], Mapping[str, str]] = {
    Revolute: {**_of_setpoints("rad"), **_NEAR},
    Continuous: _of_setpoints("rad"),
    Prismatic: {**_of_setpoints("m"), **_NEAR},
    BaseLinear: _of_setpoints("m_s"),
    BaseYaw: _of_setpoints("rad_s"),
    ParallelGripper: {},
    JawGripper: {},
    BinaryGripper: {},
}
"""Limits that are this file's alone; those that a maker rates are called as in the embodiment's."""


def keys_of(axis: AnyAxis) -> Mapping[str, str]:
    """The key in a safety file of each limit that an axis of this kind has."""
    return {**axis.rated, **_NOT_RATED[type(axis)]}


def kind_of(axis: AnyAxis) -> str:
    """Its kind, as files have it."""
    return str(type(axis).__struct_config__.tag)


def suffix_of(unit: str) -> str:
    """A unit as it stands at the end of a key: `m_s` for m/s."""
    return unit.replace("/", "_").replace("^", "")
