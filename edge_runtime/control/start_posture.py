"""Why a robot can't be armed or reset as it stands, for a person: which joint or link, how far, what was expected.

Decides nothing: the kernel has, or will. What is said here is computed from the same limits with the kernel's own code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from edge_runtime.config.safety_file import GeometrySection, SafetyLimits
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.control.limits import geometry_model, plane_names
from edge_runtime.ipc.port import Feedback, FeedbackFlag
from edge_runtime.safety import KernelConfig, Result
from edge_runtime.safety.clearance import Distance, distances

_ROUNDING_M = 1e-12
"""The kernel takes a clearance that is short by so much for rounding."""


def geometry_problem(limits: SafetyLimits, embodiment: Embodiment, posture_rad: Sequence[float]) -> str | None:
    """Why arming in this posture would be refused for what is too near, or None if it would not.

    Args:
        limits: of the robot.
        embodiment: its type.
        posture_rad: (joints,) finite angles in the embodiment's order.

    Raises:
        ConfigError: limits that the kernel can't hold, named.
        ValueError: not one angle for each joint.
    """
    model, geometry = geometry_model(limits), limits.geometry
    n_joints = len(embodiment.joints)
    if not len(posture_rad) == n_joints == (n_joints if model is None else model.n_joints):
        raise ValueError(f"a posture of {embodiment.name} has {n_joints} angles, got {len(posture_rad)}")
    if model is None or geometry is None:
        return None
    least_m = geometry.clearance_min_m - _ROUNDING_M
    near = [d for d in distances(model, posture_rad) if d.distance_m + d.nearer_m < least_m]
    if not near:
        return None
    worst = min(near, key=lambda distance: distance.distance_m + distance.nearer_m)
    more = f" ({len(near) - 1} more are too near)" if len(near) > 1 else ""
    return _words(worst, geometry) + more


def _words(found: Distance, geometry: GeometrySection) -> str:
    kept = f"{(geometry.clearance_min_m - found.nearer_m) * 1e3:.5g} mm must be kept"
    if found.other is not None:
        apart = f"{found.capsule} and {found.other} {_apart(found.distance_m, 'overlap by', 'are', 'apart')}"
        return f"{apart}, {kept}: move them apart by the robot's own means"
    if found.plane is not None:
        what = plane_names(geometry)[found.plane]
        cure = "move that plane"
    else:
        assert found.keepout is not None
        what = geometry.keep_out[found.keepout].name
        cure = "shrink that zone"
    where = _apart(found.distance_m, "is", "is", "from", past="into")
    return (
        f"{found.capsule} {where} {what}, {kept}: move the robot away; if no joint can, {cure} in the safety file, or "
        f"set in_world = false for {found.capsule} in {geometry.kinematics}"
    )


def _apart(distance_m: float, overlapping: str, clear: str, apart: str, past: str = "") -> str:
    millimetres = f"{abs(distance_m) * 1e3:.5g} mm"
    return f"{overlapping} {millimetres} {past}".strip() if distance_m < 0.0 else f"{clear} {millimetres} {apart}"


def refusal_detail(
    result: Result,
    limits: SafetyLimits,
    embodiment: Embodiment,
    config: KernelConfig,
    *,
    feedback: Feedback | None,
    held_rad: Sequence[float],
    watchdog_ns: int,
    now_ns: int,
) -> str:
    """What was measured and what was expected, for a request that the kernel has refused; empty if that says all.

    Args:
        result: the kernel's answer.
        limits, embodiment, config: of the robot.
        feedback: as the port has it now, moments after the refusal.
        held_rad: (joints,) what control last commanded.
        watchdog_ns: the driver's own.
        now_ns: on the port's clock.
    """
    if result is Result.REFUSED_NO_WATCHDOG:
        has = f"of {watchdog_ns * 1e-9:g} s" if watchdog_ns else "of none"
        return f"the driver declares a watchdog {has}, it must be one of 1 s or less"
    if feedback is None:
        return "the driver has not written any feedback" if result is Result.REFUSED_FEEDBACK else ""
    if result is Result.REFUSED_FEEDBACK:
        return _bad_feedback(feedback, config, now_ns)
    if result is Result.REFUSED_STOP_LINE:
        return _stop_inputs(feedback)
    if result is Result.REFUSED_MOVING:
        joint, speed = _worst(embodiment, feedback.dq)
        return f"joint {joint} is measured to move at {speed:.3g} rad/s, at rest is up to {config.rest_speed_rad_s:g}"
    if result is Result.REFUSED_MISMATCH:
        away = [measured - held for measured, held in zip(feedback.q, held_rad, strict=True)]
        joint, distance = _worst(embodiment, away)
        allowed = f"{config.reset_tolerance_rad * 1e3:g} mrad are allowed"
        return f"joint {joint} is measured {distance * 1e3:.1f} mrad from where control left it, {allowed}"
    if result is Result.REFUSED_OUTSIDE_LIMITS:
        return _outside(feedback, embodiment, config)
    if result is Result.REFUSED_GEOMETRY:
        start = [min(max(q, a), b) for q, a, b in zip(feedback.q, config.q_min, config.q_max, strict=True)]
        return geometry_problem(limits, embodiment, start) or ""
    return ""


def _worst(embodiment: Embodiment, values: Iterable[float]) -> tuple[str, float]:
    """The joint with the largest magnitude, and that."""
    return max(
        ((name, abs(float(value))) for name, value in zip(embodiment.joint_names, values, strict=True)),
        key=lambda one: one[1],
    )


def _bad_feedback(feedback: Feedback, config: KernelConfig, now_ns: int) -> str:
    age_ns = now_ns - feedback.stamp_ns
    if age_ns > config.feedback_max_age_ns:
        return f"the newest sample is {age_ns / 1e6:.0f} ms old, {config.feedback_max_age_ns / 1e6:g} ms are allowed"
    if age_ns < -config.future_tolerance_ns:
        return f"the newest sample is stamped {-age_ns / 1e6:.0f} ms after now"
    for name, values in (("position", feedback.q), ("velocity", feedback.dq), ("torque", feedback.tau)):
        for joint, value in zip(config.joint_names, values, strict=True):
            if not math.isfinite(value):
                return f"the measured {name} of {joint} is {value}"
    if not math.isfinite(feedback.gripper_m):
        return f"the measured opening of the gripper is {feedback.gripper_m}"
    return "" if all(map(math.isfinite, feedback.wrench)) else "the measured force or moment is not a number"


def _stop_inputs(feedback: Feedback) -> str:
    if feedback.flags & FeedbackFlag.STOP_LINE:
        return "the driver reports an open stop line"
    if feedback.flags & FeedbackFlag.DRIVER_FAULT:
        return "the driver reports a fault"
    return "the stop line of this computer is open, or a sensor of the driver has fallen silent"


def _outside(feedback: Feedback, embodiment: Embodiment, config: KernelConfig) -> str:
    ends = list(zip(config.q_min, config.q_max, strict=True))
    beyond = [max(low - q, q - high, 0.0) for q, (low, high) in zip(feedback.q, ends, strict=True)]
    joint, distance = _worst(embodiment, beyond)
    if distance > config.start_tolerance_rad:
        number = embodiment.joint_names.index(joint)
        (low, high), measured = ends[number], float(feedback.q[number])
        degrees = low <= math.radians(measured) <= high and distance > math.pi
        hint = ": is that in degrees? A driver reports radians" if degrees else ""
        return f"joint {joint} is measured at {measured:.4g} rad, its range is {low:g} to {high:g} rad{hint}"
    opening_m = feedback.gripper_m
    if not config.gripper_min_m <= opening_m <= config.gripper_max_m:
        expected = f"{config.gripper_min_m:g} to {config.gripper_max_m:g} m"
        problem = f"the gripper is measured at an opening of {opening_m:.4g} m, {expected} are expected"
        return f"{problem}: a driver reports the distance between the fingers in metres, 0 when closed"
    return ""
