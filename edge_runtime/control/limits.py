"""From the robot's own safety limits to what the kernel holds it to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from edge_runtime.config.safety_file import AxisLimits, GeometrySection, HalfSpaceSection, NearEnd, SafetyLimits
from edge_runtime.config.toml_file import from_table
from edge_runtime.contracts.axes import AnyAxis, AnyGripper, BaseLinear
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety import AxisKind, KernelConfig
from edge_runtime.safety.kinematics import GeometryModel, Keepout, Plane, Watch, box_planes, watch_of, watched_body
from edge_runtime.safety.kinematics.file import KinematicsFile
from edge_runtime.safety.limits import (
    CONTINUOUS_RANGE_RAD,
    MAX_TOOLS,
    NO_EFFORT_LIMIT,
    NO_FORCE_LIMIT_N,
    NO_MOMENT_LIMIT_NM,
    NO_TOOL_SPEED_LIMIT_M_S,
    BaseAxes,
    EndSpeed,
)

TICK_S = 1e-3
TICK_NS = 1_000_000
_ENDS = ("minimum", "maximum")
_SPEED_OF_A_SWITCH = 1e3
"""Of a binary gripper, a second: it is there within a tick."""
_UNUSED = 1.0
"""Where the kernel looks at no value of this kind of axis: any that it takes."""


def kernel_config(safety: SafetyLimits, embodiment: Embodiment) -> KernelConfig:
    """Limits of `safety` in the order of the embodiment's axes, with their digest.

    Raises:
        ConfigError: a limit that the kernel can't hold, named.
    """
    axes = list(zip(embodiment.axes, (safety.axes[name] for name in embodiment.axis_names), strict=True))
    fallback, contact, geometry = safety.fallback, safety.contact, safety.geometry
    tools = safety.tools

    def each(value: Callable[[AxisLimits], float | None], otherwise: float = _UNUSED) -> tuple[float, ...]:
        return tuple(otherwise if (known := value(limits)) is None else known for _, limits in axes)

    return KernelConfig(
        axis_names=embodiment.axis_names,
        joint_digest=embodiment.joint_digest,
        axis_kinds=tuple(_kind(axis) for axis in embodiment.axes),
        q_min=each(lambda axis: axis.low, -CONTINUOUS_RANGE_RAD),
        q_max=each(lambda axis: axis.high, CONTINUOUS_RANGE_RAD),
        dq_max=each(lambda axis: axis.speed_max, _SPEED_OF_A_SWITCH),
        ddq_max=each(lambda axis: axis.acceleration_max),
        dddq_max=each(lambda axis: axis.jerk_max),
        tau_max=each(lambda axis: axis.effort_max, NO_EFFORT_LIMIT),
        tracking_max=each(lambda axis: axis.tracking_error_max),
        step_max=each(lambda axis: axis.setpoint_step_max),
        rest_speed=each(lambda axis: axis.rest_speed),
        reset_tolerance=each(lambda axis: axis.reset_tolerance),
        start_tolerance=each(lambda axis: axis.start_tolerance, 0.0),
        frozen_travel=each(lambda axis: axis.frozen_travel),
        end_speed_min=tuple(_end_speed(limits.near_low) for _, limits in axes),
        end_speed_max=tuple(_end_speed(limits.near_high) for _, limits in axes),
        retract=_retract(safety, embodiment),
        retract_speed_scale=fallback.retract_speed_scale,
        tick_ns=TICK_NS,
        tool_speed_max_m_s=tuple(_or(tool.speed_max_m_s, NO_TOOL_SPEED_LIMIT_M_S) for tool in tools),
        force_max_n=_of_all_sensors([tool.force_max_n for tool in tools], contact.force_max_n, NO_FORCE_LIMIT_N),
        moment_max_nm=_of_all_sensors(
            [tool.moment_max_nm for tool in tools], contact.moment_max_nm, NO_MOMENT_LIMIT_NM
        ),
        manipulability_slow_below=geometry.manipulability_slow_below if geometry is not None else 0.0,
        manipulability_stop_below=geometry.manipulability_stop_below if geometry is not None else 0.0,
        clearance_min_m=geometry.clearance_min_m if geometry is not None else 0.0,
        feedback_max_age_ns=round(safety.feedback_timeout_s * 1e9),
        observation_max_age_ns=round(fallback.observation_age_max_s * 1e9),
        play_max_ns=round(fallback.play_max_s * 1e9),
        hold_timeout_ns=round(fallback.hold_timeout_s * 1e9),
        retract_timeout_ns=round(fallback.retract_timeout_s * 1e9),
        debounce_ticks=math.ceil(contact.debounce_s / TICK_S - 1e-9),
        jam_ticks=math.ceil(safety.jam_after_s / TICK_S - 1e-9),
        base_axes=_base_axes(embodiment),
        has_odometry=knows_where_the_base_is(safety),
        closes_up=tuple(isinstance(axis, AnyGripper) and axis.closed > axis.open for axis in embodiment.axes),
        digest=bytes.fromhex(safety.digest),
        geometry=geometry_model(safety),
    )


def _kind(axis: AnyAxis) -> AxisKind:
    if axis.is_gripper:
        return AxisKind.GRIPPER
    if axis.is_velocity:
        return AxisKind.VELOCITY
    return AxisKind.BOUNDED if axis.has_range else AxisKind.CONTINUOUS


def _or(limit: float | None, otherwise: float) -> float:
    return otherwise if limit is None else limit


def _of_all_sensors(tools: Sequence[float | None], others: float | None, no_limit: float) -> tuple[float, ...]:
    """A sensor may be where no tool is described: what holds for all tools holds for it."""
    every = [*tools, *[others] * (MAX_TOOLS - len(tools))]
    return tuple(_or(limit, no_limit) for limit in every)


def _end_speed(near: NearEnd | None) -> EndSpeed | None:
    return None if near is None else EndSpeed(near.slope, near.offset, near.zero)


def _retract(safety: SafetyLimits, embodiment: Embodiment) -> tuple[float, ...]:
    """The posture to retract to, by axis: a gripper stays as it is, and a base where it is."""
    posture = safety.fallback.retract
    if posture is None:
        return ()
    return tuple(posture.get(axis.name, axis.home) for axis in embodiment.axes)


def _base_axes(embodiment: Embodiment) -> BaseAxes:
    places = {
        axis.along if isinstance(axis, BaseLinear) else "yaw": embodiment.index_of(axis.name)
        for axis in embodiment.base_axes
    }
    return BaseAxes(**places)


def knows_where_the_base_is(safety: SafetyLimits) -> bool:
    """Whether half-spaces and zones stand still while the robot's base moves."""
    return safety.geometry is not None and safety.geometry.odometry


def geometry_model(safety: SafetyLimits) -> GeometryModel | None:
    """The robot's body among what `safety` keeps it away from; None if it keeps it from nothing.

    Raises:
        ConfigError: names what is not possible in the kinematics file, or among the planes and zones.
    """
    geometry = safety.geometry
    if geometry is None or safety.kinematics is None:
        return None
    file = from_table(safety.kinematics, KinematicsFile, geometry.kinematics)
    try:
        body = watched_body(
            file,
            geometry.clearance_min_m,
            geometry.may_touch,
            axes=tuple(safety.axes),
            has_base=knows_where_the_base_is(safety),
        )
    except ConfigError as error:
        raise ConfigError(error.key, f"{error.problem} (in {geometry.kinematics})") from error
    planes = [_plane(space) for space in geometry.half_spaces]
    if geometry.workspace is not None:
        planes += box_planes(geometry.workspace.min_m, geometry.workspace.max_m)
    zones = [Keepout(min_m=z.min_m, max_m=z.max_m, radius_m=z.radius_m) for z in geometry.keep_out]
    return body.with_world(planes, zones)


def plane_names(geometry: GeometrySection) -> tuple[str, ...]:
    """What the planes of `geometry_model` are called, in its order."""
    sides = () if geometry.workspace is None else [f"the workspace's {axis} {end}" for axis in "xyz" for end in _ENDS]
    return (*(space.name for space in geometry.half_spaces), *sides)


def kinematics_of(safety: SafetyLimits) -> tuple[KinematicsFile, Watch] | None:
    """The robot's kinematics file, and what becomes of each pair of its capsules; None without geometry.

    Raises:
        ConfigError: like `geometry_model`.
    """
    geometry = safety.geometry
    if geometry is None or safety.kinematics is None:
        return None
    file = from_table(safety.kinematics, KinematicsFile, geometry.kinematics)
    return file, watch_of(file, geometry.clearance_min_m, geometry.may_touch)


def _plane(space: HalfSpaceSection) -> Plane:
    x, y, z = space.normal
    length = math.hypot(x, y, z)
    return Plane(normal=(x / length, y / length, z / length), offset_m=space.offset_m)
