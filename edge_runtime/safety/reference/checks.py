"""`checks.c` once more, line for line."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_runtime.safety.kernel_binding import Measurement, Target
from edge_runtime.safety.reference.number import (
    clamp,
    divide,
    elapsed,
    finite_number,
    floor,
    larger,
    magnitude,
    smaller,
)
from edge_runtime.safety.reference.structs import (
    CONTINUOUS,
    NONE,
    TRAIL,
    VELOCITY,
    Base,
    Config,
    KernelState,
    is_gripper,
    is_velocity,
    needs_odometry,
    told_now,
)
from edge_runtime.safety.reference_geometry import sine_cosine
from edge_runtime.safety.states import Policy, Reason

_TURN = 6.283185307179586
_ANGLE_MAX = 1e6
_ODOMETRY_MAX = 1e5
_POLICY_REASONS: dict[int, Reason] = {
    Policy.DEAD: Reason.POLICY_DEAD,
    Policy.STALLED: Reason.POLICY_STALLED,
    Policy.STUCK: Reason.POLICY_STUCK,
}


def check_clock(state: KernelState, feedback: Measurement, now_ns: int) -> Reason:
    """`check_clock` of `motion.h`."""
    if not state.has_now:
        return NONE
    gap = elapsed(now_ns, state.last_now_ns)
    if gap <= 0:
        return Reason.CLOCK_BACKWARD
    if feedback.watchdog_ns != 0 and gap > feedback.watchdog_ns:
        return Reason.CLOCK_GAP
    return NONE


def _all_finite(values: Sequence[float], count: int) -> bool:
    return all(finite_number(values[i]) for i in range(count))


def near_turn(angle: float, other: float) -> float:
    """`near_turn` of `motion.h`."""
    if magnitude(angle) > _ANGLE_MAX:
        return angle
    return angle + _TURN * floor((other - angle) / _TURN + 0.5)


def _measures_numbers(feedback: Measurement, n: int) -> bool:
    return (
        _all_finite(feedback.q, n)
        and _all_finite(feedback.dq, n)
        and (feedback.tau is None or _all_finite(feedback.tau, n))
        and all(wrench is None or _all_finite(wrench, 6) for wrench in feedback.wrenches)
        and (feedback.odometry is None or _all_finite(feedback.odometry, 3))
    )


def _is_located(feedback: Measurement) -> bool:
    return feedback.odometry is not None and all(magnitude(value) <= _ODOMETRY_MAX for value in feedback.odometry)


def check_feedback(state: KernelState, config: Config, feedback: Measurement, now_ns: int) -> Reason:
    """`check_feedback` of `motion.h`."""
    reasons = Reason.FEEDBACK_TORN if feedback.torn else NONE
    if not feedback.present:
        return reasons | Reason.FEEDBACK_STALE
    if (len(feedback.q) if feedback.n is None else feedback.n) != config.n_axes:
        return reasons | Reason.FEEDBACK_SHAPE
    age = elapsed(now_ns, feedback.stamp_ns)
    if age > config.feedback_max_age_ns:
        reasons |= Reason.FEEDBACK_STALE
    if age < -config.future_tolerance_ns:
        reasons |= Reason.FEEDBACK_FUTURE
    if state.has_feedback_seq and (feedback.seq < state.feedback_seq or feedback.stamp_ns < state.feedback_stamp_ns):
        reasons |= Reason.FEEDBACK_SEQUENCE
    if not _measures_numbers(feedback, config.n_axes):
        reasons |= Reason.FEEDBACK_NOT_FINITE
    if needs_odometry(config) and not _is_located(feedback):
        reasons |= Reason.ODOMETRY_LOST
    return reasons


def check_stop_inputs(feedback: Measurement) -> Reason:
    """`check_stop_inputs` of `motion.h`."""
    return (Reason.STOP_LINE if feedback.stop_line else NONE) | (Reason.DRIVER_FAULT if feedback.driver_fault else NONE)


def _length(x: float, y: float, z: float) -> float:
    return math.sqrt(x * x + y * y + z * z)


def _when(state: KernelState, stamp_ns: int) -> tuple[int, float]:
    older = 1
    while older < TRAIL - 1 and state.trail_ns[older] > stamp_ns:
        older += 1
    gap = float(elapsed(state.trail_ns[older - 1], state.trail_ns[older]))
    return older, clamp(divide(float(elapsed(stamp_ns, state.trail_ns[older])), gap), 0.0, 1.0)


def trail_step_ns(config: Config) -> int:
    """`trail_step_ns` of `motion.h`."""
    return config.feedback_max_age_ns // (TRAIL - 2)


def _told(state: KernelState, older: int, part: float, i: int) -> float:
    return part * state.trail[older - 1][i] + (1.0 - part) * state.trail[older][i]


def _is_frozen(
    state: KernelState, config: Config, measured: float, i: int, before: tuple[int, float], now: tuple[int, float]
) -> bool:
    least = smaller(_told(state, *before, i), _told(state, *now, i))
    most = larger(_told(state, *before, i), _told(state, *now, i))
    for k in range(now[0], before[0]):
        least = smaller(least, state.trail[k][i])
        most = larger(most, state.trail[k][i])
    if measured == state.measured[i]:
        least = larger(least, state.shown_least[i])
        most = smaller(most, state.shown_most[i])
    state.measured[i] = measured
    state.shown_least[i] = least
    state.shown_most[i] = most
    apart_s = float(trail_step_ns(config) + config.tick_ns) * 1e-9
    bend = config.dddq_max[i] if is_velocity(config, i) else config.ddq_max[i]
    return least - most > config.frozen_travel[i] + 0.25 * bend * apart_s * apart_s


def _measurement_of(config: Config, feedback: Measurement, told_then: float, i: int) -> float:
    if config.axis_kind[i] == VELOCITY:
        return feedback.dq[i]
    if config.axis_kind[i] == CONTINUOUS:
        return near_turn(feedback.q[i], told_then)
    return feedback.q[i]


def _check_gripper(state: KernelState, config: Config, feedback: Measurement, told_then: float, i: int) -> Reason:
    apart = magnitude(told_then - feedback.q[i]) > config.tracking_max[i]
    over = feedback.tau is not None and magnitude(feedback.tau[i]) > config.tau_max[i]
    state.measured[i] = feedback.q[i]
    state.apart_ticks[i] = state.apart_ticks[i] + (state.apart_ticks[i] < config.jam_ticks) if apart else 0
    state.over_grip = state.over_grip | 1 << i if over else state.over_grip & ~(1 << i)
    jammed = state.apart_ticks[i] == config.jam_ticks
    return (Reason.GRIPPER_JAMMED if jammed else NONE) | (Reason.GRIPPER_FORCE if over else NONE)


def _lasts(config: Config, over: bool, was_over: bool, since_ns: int, stamp_ns: int) -> tuple[bool, int]:
    """Whether it does, and since when."""
    if over and not was_over:
        since_ns = stamp_ns
    half_ticks = 2 * config.debounce_ticks - 3
    return over and elapsed(stamp_ns, since_ns) >= half_ticks * (config.tick_ns // 2), since_ns


def check_following(state: KernelState, config: Config, feedback: Measurement) -> Reason:
    """`check_following` of `motion.h`."""
    again = feedback.seq == state.feedback_seq or feedback.stamp_ns == state.feedback_stamp_ns
    before = _when(state, elapsed(state.feedback_stamp_ns, config.tick_ns))
    now = _when(state, feedback.stamp_ns)
    reasons = NONE
    over_torque = False
    over_force = False
    for i in range(config.n_axes):
        told_then = _told(state, *now, i)
        if is_gripper(config, i):
            reasons |= _check_gripper(state, config, feedback, told_then, i)
            continue
        measured = _measurement_of(config, feedback, told_then, i)
        if magnitude(told_then - measured) > config.tracking_max[i]:
            reasons |= Reason.TRACKING_ERROR
        if not again and _is_frozen(state, config, measured, i, before, now):
            reasons |= Reason.ENCODER_FROZEN
        over_torque |= feedback.tau is not None and magnitude(feedback.tau[i]) > config.tau_max[i]
    for t, wrench in enumerate(feedback.wrenches):
        over_force |= wrench is not None and (
            _length(wrench[0], wrench[1], wrench[2]) > config.force_max_n[t]
            or _length(wrench[3], wrench[4], wrench[5]) > config.moment_max_nm[t]
        )
    lasts, state.torque_since_ns = _lasts(
        config, over_torque, state.over_torque, state.torque_since_ns, feedback.stamp_ns
    )
    state.over_torque = over_torque
    if lasts:
        reasons |= Reason.TORQUE
    lasts, state.force_since_ns = _lasts(config, over_force, state.over_force, state.force_since_ns, feedback.stamp_ns)
    state.over_force = over_force
    if lasts:
        reasons |= Reason.FORCE
    return reasons


def carry_base(state: KernelState, config: Config) -> None:
    """`carry_base` of `motion.h`."""
    if not needs_odometry(config):
        return
    then = state.trail_path[_when(state, elapsed(state.feedback_stamp_ns, config.tick_ns))[0]]
    path = state.path
    way_m, turn_rad = path[3] - then[3], path[4] - then[4]
    x_m, y_m = 0.5 * (path[0] - then[0]), 0.5 * (path[1] - then[1])
    sine, cosine = sine_cosine(state.odometry[2])
    pose = [
        state.odometry[0] + (cosine * x_m - sine * y_m),
        state.odometry[1] + (sine * x_m + cosine * y_m),
        state.odometry[2] + 0.5 * (path[2] - then[2]),
    ]
    state.base = Base(pose, path[0:3], 0.5 * way_m + turn_rad * way_m, 0.5 * turn_rad)


def locate_base(state: KernelState, config: Config, feedback: Measurement) -> None:
    """`locate_base` of `motion.h`."""
    if needs_odometry(config) and feedback.odometry is not None:
        state.odometry = list(feedback.odometry)


def setpoint_of(state: KernelState, config: Config, setpoint: Target, i: int) -> float:
    """`setpoint_of` of `motion.h`."""
    q = setpoint.q[i]
    return near_turn(q, state.q[i]) if config.axis_kind[i] == CONTINUOUS else q


def check_values(state: KernelState, config: Config, setpoint: Target | None) -> Reason:
    """`check_values` of `motion.h`."""
    if setpoint is None or not setpoint.present:
        return Reason.SETPOINT_NONE
    n = len(setpoint.q) if setpoint.n is None else setpoint.n
    if n != config.n_axes or not 0.0 < setpoint.speed_scale <= 1.0:
        return Reason.SETPOINT_SHAPE
    if not _all_finite(setpoint.q, config.n_axes):
        return Reason.SETPOINT_NOT_FINITE
    for i in range(config.n_axes):
        step = setpoint_of(state, config, setpoint, i) - told_now(state, config, i)
        if not is_gripper(config, i) and magnitude(step) > config.step_max[i]:
            return Reason.SETPOINT_STEP
    return NONE


def _check_number(state: KernelState, setpoint: Target) -> Reason:
    if state.has_setpoint_seq and setpoint.seq <= state.setpoint_seq:
        return Reason.SETPOINT_SEQUENCE
    skipped = state.has_setpoint_seq and setpoint.seq - state.setpoint_seq > 1
    state.setpoint_seq = setpoint.seq
    state.has_setpoint_seq = True
    return Reason.SETPOINT_SKIPPED if skipped else NONE


def check_setpoint(state: KernelState, config: Config, setpoint: Target | None, now_ns: int) -> Reason:
    """`check_setpoint` of `motion.h`."""
    reasons = check_values(state, config, setpoint)
    if setpoint is None or not setpoint.present:
        return reasons
    age = elapsed(now_ns, setpoint.stamp_ns)
    observation_age = elapsed(now_ns, setpoint.observation_ns)
    if age > config.setpoint_max_age_ns:
        reasons |= Reason.SETPOINT_STALE
    if observation_age > config.observation_max_age_ns:
        reasons |= Reason.OBSERVATION_STALE
    if age < -config.future_tolerance_ns or observation_age < -config.future_tolerance_ns:
        reasons |= Reason.SETPOINT_FUTURE
    return reasons | _check_number(state, setpoint)


def check_policy(config: Config, setpoint: Target | None, now_ns: int) -> Reason:
    """`check_policy` of `motion.h`."""
    if setpoint is None or setpoint.policy == Policy.ALIVE:
        return NONE
    reasons = _POLICY_REASONS.get(int(setpoint.policy))
    if reasons is None:
        return Reason.POLICY_LOST
    if elapsed(now_ns, setpoint.policy_lost_ns) > config.play_max_ns:
        reasons |= Reason.POLICY_LOST
    return reasons
