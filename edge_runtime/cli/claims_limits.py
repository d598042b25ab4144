"""What each axis is held to, as tables of the claims sheet, each kind in its own unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_runtime.config.safety_file import AxisLimits, NearEnd, SafetyLimits
from edge_runtime.contracts.axes import AnyAxis, AnyGripper, BinaryGripper
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.control.limits import TICK_S


def time_to_rest_s(limits: AxisLimits) -> float | None:
    """Longest time that a stop of this axis takes, whatever it is doing: V/A + 2 A/J + 2 T. None of a gripper.

    From constant speed it is V/A + A/J + 2 T; an axis that speeds up has to get rid of that acceleration first.
    """
    velocity, acceleration, jerk = limits.speed_max, limits.acceleration_max, limits.jerk_max
    if velocity is None or acceleration is None or jerk is None:
        return None
    return velocity / acceleration + 2.0 * acceleration / jerk + 2.0 * TICK_S


def limit_tables(safety: SafetyLimits, embodiment: Embodiment) -> Iterator[str]:
    """Lines of Markdown: a table for each unit, with what it means below."""
    joints = [axis for axis in embodiment.axes if not (axis.is_gripper or axis.is_velocity)]
    for unit in ("rad", "m"):
        if some := [axis for axis in joints if axis.unit == unit]:
            yield from _joints(some, safety)
            yield ""
    if joints:
        yield (
            "Position, velocity, acceleration and jerk hold for every command while the robot follows. *At rest "
            "within* is the longest stop of a command, V/A + 2 A/J + 2 T; the robot lags behind by what its own "
            "control does. Torque and force are watched only where the driver measures them."
        )
        yield ""
    for axis in joints:
        yield from _near_ends(axis, safety.axes[axis.name])
    if embodiment.base_axes:
        yield from _base(embodiment.base_axes, safety)
        yield ""
    if embodiment.grippers:
        yield from _grippers(embodiment.grippers, safety)
        yield ""
    yield _arming(safety, embodiment)


def _joints(axes: Sequence[AnyAxis], safety: SafetyLimits) -> Iterator[str]:
    unit, effort = axes[0].unit, f"{'torque' if axes[0].effort_unit == 'Nm' else 'force'}, {axes[0].effort_unit}"
    yield (
        f"| joint | range, {unit} | {unit}/s | {unit}/s² | {unit}/s³ | {effort} | setpoint step, {unit} "
        f"| tracking error, {unit} | at rest within, s |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for axis in axes:
        limits = safety.axes[axis.name]
        spans = f"{limits.low:g} to {limits.high:g}" if axis.has_range else "turns without end"
        yield (
            f"| {axis.name} | {spans} | {limits.speed_max:g} | {limits.acceleration_max:g} | {limits.jerk_max:g} "
            f"| {limits.effort_max:g} | {limits.setpoint_step_max:g} | {limits.tracking_error_max:g} "
            f"| {time_to_rest_s(limits):.3f} |"
        )


def _near_ends(axis: AnyAxis, limits: AxisLimits) -> Iterator[str]:
    for near, end, way in ((limits.near_low, "minimum", "{q} - {zero}"), (limits.near_high, "maximum", "{zero} - {q}")):
        if isinstance(near, NearEnd):
            apart = way.format(q="position", zero=f"{near.zero:g}")
            yield (
                f"{axis.name} is slower near its {end}: at most sqrt({near.slope:g} ({apart})) - {near.offset:g} "
                f"{axis.rate_unit} on the way there."
            )
            yield ""


def _base(axes: Sequence[AnyAxis], safety: SafetyLimits) -> Iterator[str]:
    yield (
        "| axis of the base | velocity, either way | acceleration | jerk | setpoint step | tracking error "
        "| at rest within, s |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for axis in axes:
        limits, unit = safety.axes[axis.name], axis.unit.removesuffix("/s")
        yield (
            f"| {axis.name} | {limits.speed_max:g} {unit}/s | {limits.acceleration_max:g} {unit}/s² "
            f"| {limits.jerk_max:g} {unit}/s³ | {limits.setpoint_step_max:g} {unit}/s "
            f"| {limits.tracking_error_max:g} {unit}/s | {time_to_rest_s(limits):.3f} |"
        )
    yield ""
    yield (
        "A base is commanded by velocity: these limits hold for that, and say nothing of where it drives to. That its "
        "wheels do not slip, and that the ground is level, is assumed."
    )


def _grippers(grippers: Sequence[AnyGripper], safety: SafetyLimits) -> Iterator[str]:
    for gripper in grippers:
        limits = safety.axes[gripper.name]
        if isinstance(gripper, BinaryGripper):
            yield f"Gripper {gripper.name}: open or closed, at any time. What it holds is not known."
        else:
            spans = f"{limits.low:g} to {limits.high:g} {gripper.unit}"
            grip = ""
            if limits.effort_max is not None:
                grip = f"; where more than {limits.effort_max:g} {gripper.effort_unit} is measured it closes no further"
            yield f"Gripper {gripper.name}: {spans}, at most {limits.speed_max:g} {gripper.rate_unit}{grip}."
        yield ""
    yield (
        "A gripper is no part of a stop: it keeps its last command. One that is measured further than a quarter of its "
        f"range from its command for {safety.jam_after_s:g} s is called jammed, which stops nothing."
    )


def _arming(safety: SafetyLimits, embodiment: Embodiment) -> str:
    tolerances: dict[str, float] = {}
    for axis in embodiment.axes:
        limits = safety.axes[axis.name]
        if limits.start_tolerance is not None and axis.has_range and not isinstance(axis, BinaryGripper):
            tolerances[axis.unit] = limits.start_tolerance
    outside = " and ".join(f"{tolerance:g} {unit}" for unit, tolerance in tolerances.items())
    return (
        f"Armed is only what is measured inside these ranges, or outside by at most {outside or 'nothing'}: noise and "
        "sag. The first command then is the end of the range. A robot as near to where it was left, in all joints, "
        "starts from there."
    )
