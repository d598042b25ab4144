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

_ENDS_RAD = {"low": "position_min_rad", "high": "position_max_rad"}
_SPEED_RAD = {
    "speed_max": "velocity_max_rad_s",
    "acceleration_max": "acceleration_max_rad_s2",
    "jerk_max": "jerk_max_rad_s3",
}
_SPEED_M = {
    "speed_max": "velocity_max_m_s",
    "acceleration_max": "acceleration_max_m_s2",
    "jerk_max": "jerk_max_m_s3",
}
_TURNS = {
    **_SPEED_RAD,
    "effort_max": "torque_max_nm",
    "setpoint_step_max": "setpoint_step_max_rad",
    "tracking_error_max": "tracking_error_max_rad",
}
_NEAR = {"near_low": "velocity_near_min", "near_high": "velocity_near_max"}

_KEYS: dict[type[AnyAxis], Mapping[str, str]] = {
    Revolute: {**_ENDS_RAD, **_TURNS, **_NEAR},
    Continuous: _TURNS,
    Prismatic: {
        "low": "position_min_m",
        "high": "position_max_m",
        **_SPEED_M,
        "effort_max": "force_max_n",
        "setpoint_step_max": "setpoint_step_max_m",
        "tracking_error_max": "tracking_error_max_m",
        **_NEAR,
    },
    BaseLinear: {
        **_SPEED_M,
        "setpoint_step_max": "setpoint_step_max_m_s",
        "tracking_error_max": "tracking_error_max_m_s",
    },
    BaseYaw: {
        **_SPEED_RAD,
        "setpoint_step_max": "setpoint_step_max_rad_s",
        "tracking_error_max": "tracking_error_max_rad_s",
    },
    ParallelGripper: {"speed_max": "speed_max_m_s", "effort_max": "force_max_n"},
    JawGripper: {"speed_max": "speed_max_rad_s", "effort_max": "torque_max_nm"},
    BinaryGripper: {},
}


def keys_of(axis: AnyAxis) -> Mapping[str, str]:
    """The key in a safety file of each limit that an axis of this kind has."""
    return _KEYS[type(axis)]


def kind_of(axis: AnyAxis) -> str:
    """Its kind, as files have it."""
    return str(type(axis).__struct_config__.tag)


def suffix_of(unit: str) -> str:
    """A unit as it stands at the end of a key: `m_s` for m/s."""
    return unit.replace("/", "_").replace("^", "")
