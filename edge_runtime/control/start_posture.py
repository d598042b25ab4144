"""Why a robot can't be armed or reset as it stands, for a person: which axis or link, how far, what was expected.

Decides nothing: the kernel has, or will. What is said here is computed from the same limits with the kernel's own code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_runtime.config.safety_file import GeometrySection, SafetyLimits
from edge_runtime.contracts.axes import AnyAxis, ParallelGripper
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.control.limits import geometry_model, plane_names
from edge_runtime.ipc.port import Feedback, FeedbackFlag
from edge_runtime.safety import KernelConfig, Result
from edge_runtime.safety.clearance import Distance, distances

_ROUNDING_M = 1e-12
"""The kernel takes a clearance that is short by so much for rounding."""
_TINY = 1e-12


def geometry_problem(limits: SafetyLimits, embodiment: Embodiment, posture: Sequence[float]) -> str | None:
    """Why arming in this posture would be refused for what is too near, or None if it would not.

    Args:
        limits: of the robot.
        embodiment: its type.
        posture: (axes,) finite values in the embodiment's order.

    Raises:
        ConfigError: limits that the kernel can't hold, named.
        ValueError: not one value for each axis.
    """
    model, geometry = geometry_model(limits), limits.geometry
    if len(posture) != len(embodiment.axes):
        raise ValueError(f"a posture of {embodiment.name} has {len(embodiment.axes)} values, got {len(posture)}")
    if model is None or geometry is None:
        return None
    least_m = geometry.clearance_min_m - _ROUNDING_M
    near = [d for d in distances(model, posture) if d.distance_m + d.nearer_m < least_m]
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
    held: Sequence[float],
    watchdog_ns: int,
    now_ns: int,
) -> str:
    """What was measured and what was expected, for a request that the kernel has refused; empty if that says all.

    Args:
        result: the kernel's answer.
        limits, embodiment, config: of the robot.
        feedback: as the port has it now, moments after the refusal.
        held: (axes,) what control last commanded.
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
        return _moving(feedback, embodiment, config)
    if result is Result.REFUSED_MISMATCH:
        return _mismatch(feedback, embodiment, config, held)
    if result is Result.REFUSED_OUTSIDE_LIMITS:
        return _outside(feedback, embodiment, config)
    if result is Result.REFUSED_GEOMETRY:
        start = [
            value if axis.is_velocity or not axis.has_range else min(max(value, low), high)
            for axis, value, low, high in zip(embodiment.axes, feedback.q, config.q_min, config.q_max, strict=True)
        ]
        return geometry_problem(limits, embodiment, start) or ""
    return ""


def _worst(values: Sequence[float], allowed: Sequence[float]) -> int:
    """Place of the axis that is furthest beyond what is allowed, as a share of that."""
    shares = [abs(value) / max(most, _TINY) for value, most in zip(values, allowed, strict=True)]
    return shares.index(max(shares))


def _moving(feedback: Feedback, embodiment: Embodiment, config: KernelConfig) -> str:
    speeds = [0.0 if axis.is_gripper else float(v) for axis, v in zip(embodiment.axes, feedback.dq, strict=True)]
    i = _worst(speeds, config.of_axes("rest_speed"))
    axis = embodiment.axes[i]
    unit = axis.unit if axis.is_velocity else axis.rate_unit
    rest = f"at rest is up to {config.of_axes('rest_speed')[i]:g}"
    return f"{axis.what} {axis.name} is measured to move at {abs(speeds[i]):.3g} {unit}, {rest}"


def _mismatch(feedback: Feedback, embodiment: Embodiment, config: KernelConfig, held: Sequence[float]) -> str:
    away = [_away(axis, float(q) - was) for axis, q, was in zip(embodiment.axes, feedback.q, held, strict=True)]
    i = _worst(away, config.of_axes("reset_tolerance"))
    axis = embodiment.axes[i]
    found = f"{abs(away[i]) * 1e3:.1f} m{axis.unit} from where control left it"
    allowed = f"{config.of_axes('reset_tolerance')[i] * 1e3:g} m{axis.unit} are allowed"
    return f"{axis.what} {axis.name} is measured {found}, {allowed}"


def _away(axis: AnyAxis, distance: float) -> float:
    """How far a joint is from where it was left, on the shorter way; a gripper and a base may be anywhere."""
    if axis.is_gripper or axis.is_velocity:
        return 0.0
    return math.remainder(distance, 2.0 * math.pi) if not axis.has_range else distance


def _bad_feedback(feedback: Feedback, config: KernelConfig, now_ns: int) -> str:
    age_ns = now_ns - feedback.stamp_ns
    if age_ns > config.feedback_max_age_ns:
        return f"the newest sample is {age_ns / 1e6:.0f} ms old, {config.feedback_max_age_ns / 1e6:g} ms are allowed"
    if age_ns < -config.future_tolerance_ns:
        return f"the newest sample is stamped {-age_ns / 1e6:.0f} ms after now"
    for name, values in (("position", feedback.q), ("velocity", feedback.dq), ("torque", feedback.tau)):
        for axis, value in zip(config.axis_names, values, strict=True):
            if not math.isfinite(value):
                return f"the measured {name} of {axis} is {value}"
    if not all(map(math.isfinite, feedback.odometry)):
        return "the measured odometry of the base is not a number"
    return "" if all(map(math.isfinite, feedback.wrench.flat)) else "the measured force or moment is not a number"


def _stop_inputs(feedback: Feedback) -> str:
    if feedback.flags & FeedbackFlag.STOP_LINE:
        return "the driver reports an open stop line"
    if feedback.flags & FeedbackFlag.DRIVER_FAULT:
        return "the driver reports a fault"
    return "the stop line of this computer is open, or a sensor of the driver has fallen silent"


def _outside(feedback: Feedback, embodiment: Embodiment, config: KernelConfig) -> str:
    ends = list(zip(config.q_min, config.q_max, strict=True))
    beyond = [
        0.0 if axis.is_velocity or not axis.has_range else max(low - q, q - high, 0.0)
        for axis, q, (low, high) in zip(embodiment.axes, feedback.q, ends, strict=True)
    ]
    i = _worst(beyond, config.of_axes("start_tolerance"))
    axis, (low, high), measured = embodiment.axes[i], ends[i], float(feedback.q[i])
    if beyond[i] <= config.of_axes("start_tolerance")[i]:
        return ""
    if isinstance(axis, ParallelGripper):
        problem = (
            f"gripper {axis.name} is measured at an opening of {measured:.4g} m, {low:g} to {high:g} m are expected"
        )
        return f"{problem}: a driver reports the distance between the fingers in metres, 0 when closed"
    degrees = axis.unit == "rad" and low <= math.radians(measured) <= high and beyond[i] > math.pi
    hint = ": is that in degrees? A driver reports radians" if degrees else ""
    ends_told = f"its range is {low:g} to {high:g} {axis.unit}"
    return f"{axis.what} {axis.name} is measured at {measured:.4g} {axis.unit}, {ends_told}{hint}"
