"""From the robot's own safety limits to what the kernel holds it to."""

from __future__ import annotations

import math

from edge_runtime.config.safety_file import GeometrySection, HalfSpaceSection, SafetyLimits
from edge_runtime.config.toml_file import from_table
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety import KernelConfig
from edge_runtime.safety.kinematics import GeometryModel, Keepout, Plane, Watch, box_planes, watch_of, watched_body
from edge_runtime.safety.kinematics.file import KinematicsFile
from edge_runtime.safety.limits import NO_FORCE_LIMIT_N, NO_MOMENT_LIMIT_NM, NO_TOOL_SPEED_LIMIT_M_S

TICK_S = 1e-3
TICK_NS = 1_000_000
_ENDS = ("minimum", "maximum")


def kernel_config(safety: SafetyLimits, embodiment: Embodiment) -> KernelConfig:
    """Limits of `safety` in the joint order of `embodiment`, with their digest.

    Raises:
        ConfigError: a limit that the kernel can't hold, named.
    """
    limits = [safety.joints[name] for name in embodiment.joint_names]
    fallback, contact, geometry = safety.fallback, safety.contact, safety.geometry
    return KernelConfig(
        joint_names=embodiment.joint_names,
        q_min=tuple(joint.position_min_rad for joint in limits),
        q_max=tuple(joint.position_max_rad for joint in limits),
        dq_max=tuple(joint.velocity_max_rad_s for joint in limits),
        ddq_max=tuple(joint.acceleration_max_rad_s2 for joint in limits),
        dddq_max=tuple(joint.jerk_max_rad_s3 for joint in limits),
        tau_max=tuple(joint.torque_max_nm for joint in limits),
        tracking_max=(safety.tracking_error_max_rad,) * len(limits),
        step_max=tuple(joint.setpoint_step_max_rad for joint in limits),
        retract_rad=fallback.retract_rad or (),
        retract_speed_scale=fallback.retract_speed_scale,
        gripper_min_m=0.0,
        gripper_max_m=safety.gripper_opening_max_m,
        gripper_rate_m_s=safety.gripper_speed_max_m_s,
        tick_ns=TICK_NS,
        rest_speed_rad_s=safety.rest_speed_rad_s,
        reset_tolerance_rad=safety.reset_tolerance_rad,
        start_tolerance_rad=safety.start_tolerance_rad,
        start_tolerance_m=safety.start_tolerance_m,
        frozen_travel_rad=safety.frozen_encoder_travel_rad,
        force_max_n=contact.force_max_n if contact.force_max_n is not None else NO_FORCE_LIMIT_N,
        moment_max_nm=contact.moment_max_nm if contact.moment_max_nm is not None else NO_MOMENT_LIMIT_NM,
        tool_speed_max_m_s=geometry.tool_speed_max_m_s if geometry is not None else NO_TOOL_SPEED_LIMIT_M_S,
        manipulability_slow_below=geometry.manipulability_slow_below if geometry is not None else 0.0,
        manipulability_stop_below=geometry.manipulability_stop_below if geometry is not None else 0.0,
        clearance_min_m=geometry.clearance_min_m if geometry is not None else 0.0,
        feedback_max_age_ns=round(safety.feedback_timeout_s * 1e9),
        observation_max_age_ns=round(fallback.observation_age_max_s * 1e9),
        play_max_ns=round(fallback.play_max_s * 1e9),
        hold_timeout_ns=round(fallback.hold_timeout_s * 1e9),
        retract_timeout_ns=round(fallback.retract_timeout_s * 1e9),
        debounce_ticks=math.ceil(contact.debounce_s / TICK_S - 1e-9),
        digest=bytes.fromhex(safety.digest),
        geometry=geometry_model(safety),
    )


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
        body = watched_body(file, geometry.clearance_min_m, geometry.may_touch)
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
