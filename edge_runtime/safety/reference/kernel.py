"""`kernel.c` once more, line for line."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from edge_runtime.safety.kernel_binding import Measurement, Target, Verdict
from edge_runtime.safety.reference.checks import (
    carry_base,
    check_clock,
    check_feedback,
    check_following,
    check_policy,
    check_setpoint,
    check_stop_inputs,
    check_values,
    locate_base,
    near_turn,
    trail_step_ns,
)
from edge_runtime.safety.reference.motion import (
    motion_at_rest,
    motion_brake,
    motion_follow,
    motion_retract,
    motion_retracted,
)
from edge_runtime.safety.reference.number import clamp, elapsed, larger, magnitude
from edge_runtime.safety.reference.profile import ProfileState
from edge_runtime.safety.reference.structs import (
    CONTINUOUS,
    FEEDBACK_BAD,
    NONE,
    TRAIL,
    Base,
    Config,
    KernelState,
    MotionResult,
    Tightening,
    is_gripper,
    is_joint,
    is_velocity,
    needs_odometry,
    told_now,
)
from edge_runtime.safety.reference.walk import rest_margin, verify_stop
from edge_runtime.safety.states import TRANSITIONS, Event, Reason, Request, Result, State

_WATCHDOG_MAX_NS = 1_000_000_000
_STOP_INPUTS = Reason.STOP_LINE | Reason.DRIVER_FAULT
_CLOCK_BAD = Reason.CLOCK_BACKWARD | Reason.CLOCK_GAP
_FOLLOWING_BAD = Reason.TRACKING_ERROR | Reason.ENCODER_FROZEN | Reason.TORQUE | Reason.FORCE
_NO_DIGEST = bytes(32)


def _apply(state: KernelState, event: Event) -> None:
    to = TRANSITIONS[state.state].get(event)
    if to is None:
        state.faults |= Reason.INTERNAL
    state.state = State.FAULT if to is None else to


def fastest_tool_m_s(config: Config) -> float:
    """`fastest_tool_m_s` of `kernel.c`."""
    fastest_m_s = config.tool_speed_max_m_s[0]
    for t in range(1, config.geometry.n_tools):
        fastest_m_s = larger(fastest_m_s, config.tool_speed_max_m_s[t])
    return fastest_m_s


def kernel_init(config: Config) -> KernelState:
    """`kernel_init`."""
    n = config.n_axes
    return KernelState(
        q=[0.0] * n,
        dq=[0.0] * n,
        ddq=[0.0] * n,
        target=[0.0] * n,
        target_speed=[0.0] * n,
        measured=[0.0] * n,
        shown_least=[0.0] * n,
        shown_most=[0.0] * n,
        left=[0.0] * n,
        trail=[[0.0] * n for _ in range(TRAIL)],
        apart_ticks=[0] * n,
        tightening=Tightening(1.0, fastest_tool_m_s(config)),
    )


def _place_on_trail(state: KernelState, config: Config, k: int, now_ns: int) -> None:
    state.trail_ns[k] = now_ns
    state.trail_path[k] = list(state.path)
    state.trail[k] = [told_now(state, config, i) for i in range(config.n_axes)]


def _leave_trail(state: KernelState, config: Config, now_ns: int) -> None:
    if elapsed(state.trail_ns[0], state.trail_ns[1]) >= trail_step_ns(config):
        for k in range(TRAIL - 1, 0, -1):
            state.trail_ns[k] = state.trail_ns[k - 1]
            state.trail_path[k] = list(state.trail_path[k - 1])
            state.trail[k] = list(state.trail[k - 1])
    _place_on_trail(state, config, 0, now_ns)


def _begin_trail(state: KernelState, config: Config, now_ns: int) -> None:
    for k in range(TRAIL):
        _place_on_trail(state, config, k, now_ns)


def _copy_measurement(state: KernelState, config: Config, feedback: Measurement) -> None:
    for i in range(config.n_axes):
        drives = is_velocity(config, i)
        state.q[i] = 0.0 if drives else feedback.q[i]
        state.dq[i] = 0.0
        state.ddq[i] = 0.0
        state.measured[i] = feedback.dq[i] if drives else feedback.q[i]
    state.has_target = False
    state.has_command = False


def _fill(state: KernelState, config: Config, result: MotionResult) -> Verdict:
    return Verdict(
        q=tuple(state.q),
        dq=tuple(state.dq),
        ddq=tuple(state.ddq),
        accepted=result.accepted,
        speed_scale=result.speed_scale,
        stop_margin=result.stop.margin,
        stop_margin_m=result.stop.margin_m,
        stop_margin_axis=result.stop.margin_axis,
        time_to_rest_s=result.stop.ticks * (float(config.tick_ns) * 1e-9),
        reasons=result.reasons,
        faults=state.faults,
        state=state.state,
        config_digest=config.digest,
        bundle_digest=_NO_DIGEST,
    )


def _hold(state: KernelState, config: Config, now_ns: int) -> Reason:
    if elapsed(now_ns, state.hold_since_ns) <= config.hold_timeout_ns:
        return NONE
    state.retract_since_ns = now_ns
    _apply(state, Event.RETRACT if config.retracts else Event.HOLD_TIMEOUT)
    return Reason.HOLD_TIMEOUT


def _decide_setpoint(state: KernelState, config: Config, setpoint: Target | None, now_ns: int) -> Reason:
    policy = check_policy(config, setpoint, now_ns)
    refused = check_setpoint(state, config, setpoint, now_ns) | (policy & Reason.POLICY_LOST)
    if not refused:
        _apply(state, Event.SETPOINT)
        return policy
    if state.state is State.ACTIVE:
        state.hold_since_ns = now_ns
    _apply(state, Event.SETPOINT_LOST)
    return policy | refused | _hold(state, config, now_ns)


def _decide_retraction(state: KernelState, config: Config, now_ns: int) -> Reason:
    late = elapsed(now_ns, state.retract_since_ns) > config.retract_timeout_ns
    if late or motion_retracted(state, config):
        _apply(state, Event.RETRACTED)
    return Reason.RETRACT_TIMEOUT if late else NONE


def _decide(
    state: KernelState,
    config: Config,
    feedback: Measurement,
    setpoint: Target | None,
    now_ns: int,
    reasons: Reason,
) -> Reason:
    feedback_bad = reasons & FEEDBACK_BAD
    trips = reasons & _STOP_INPUTS
    if state.state.is_armed:
        if not feedback_bad:
            reasons |= check_following(state, config, feedback)
        trips |= reasons & (FEEDBACK_BAD | _CLOCK_BAD | _FOLLOWING_BAD)
    if trips:
        state.faults |= trips
        _apply(state, Event.TRIP)
        return reasons
    if state.state in (State.SILENT, State.READY):
        _apply(state, Event.FEEDBACK_LOST if feedback_bad else Event.FEEDBACK_GOOD)
        return reasons
    if state.state in (State.ACTIVE, State.HOLDING):
        return reasons | _decide_setpoint(state, config, setpoint, now_ns)
    if state.state is State.RETRACTING:
        return reasons | _decide_retraction(state, config, now_ns)
    return reasons


def kernel_step(
    state: KernelState, config: Config, feedback: Measurement, setpoint: Target | None, now_ns: int
) -> Verdict:
    """`kernel_step`."""
    result = MotionResult(NONE, 0.0, state.tightening.speed_scale)
    found = (
        check_clock(state, feedback, now_ns)
        | check_feedback(state, config, feedback, now_ns)
        | check_stop_inputs(feedback)
    )
    state.last_now_ns = now_ns
    state.has_now = True
    result.reasons = _decide(state, config, feedback, setpoint, now_ns, found)
    if not found & FEEDBACK_BAD:
        state.feedback_seq = feedback.seq
        state.feedback_stamp_ns = feedback.stamp_ns
        state.has_feedback_seq = True
        locate_base(state, config, feedback)
    carry_base(state, config)
    moves = state.state
    bundle_digest = _NO_DIGEST
    if state.state is State.ACTIVE:
        assert setpoint is not None
        motion_follow(state, config, setpoint, result)
        bundle_digest = setpoint.bundle_digest
    elif state.state is State.RETRACTING:
        motion_retract(state, config, result)
    elif state.state is State.HOLDING:
        motion_brake(state, config, result)
    elif state.state is State.STOPPING:
        motion_brake(state, config, result)
        if motion_at_rest(state, config):
            _apply(state, Event.SETTLED_LATCHED if state.faults else Event.SETTLED)
    else:
        if state.state is State.READY:
            _copy_measurement(state, config, feedback)
        rest_margin(config, state.q, result.stop)
    if moves.is_armed:
        _leave_trail(state, config, now_ns)
        state.left = list(state.q)
        state.has_left = True
    return replace(_fill(state, config, result), bundle_digest=bundle_digest)


def kernel_rehearse(state: KernelState, config: Config, setpoints: Sequence[Target]) -> list[Verdict]:
    """`kernel_rehearse`."""
    trial = copy.deepcopy(state)
    verdicts = []
    for setpoint in setpoints:
        result = MotionResult(check_values(trial, config, setpoint), 0.0, trial.tightening.speed_scale)
        if result.reasons:
            motion_brake(trial, config, result)
        else:
            motion_follow(trial, config, setpoint, result)
        verdicts.append(_fill(trial, config, result))
    return verdicts


def _not_at_rest(config: Config, feedback: Measurement) -> bool:
    return any(
        not is_gripper(config, i) and magnitude(feedback.dq[i]) > config.rest_speed[i] for i in range(config.n_axes)
    )


def _in_turn_of(config: Config, feedback: Measurement, q: float, i: int) -> float:
    return near_turn(q, feedback.q[i]) if config.axis_kind[i] == CONTINUOUS else q


def _is_where_left(state: KernelState, config: Config, feedback: Measurement) -> bool:
    for i in range(config.n_axes):
        apart = magnitude(feedback.q[i] - _in_turn_of(config, feedback, state.left[i], i))
        if is_joint(config, i) and apart > config.start_tolerance[i]:
            return False
    return state.has_left


def _start_posture(state: KernelState, config: Config, feedback: Measurement, axes: list[ProfileState]) -> Result:
    left = _is_where_left(state, config, feedback)
    base = Base()
    if needs_odometry(config) and feedback.odometry is not None:
        base.pose = list(feedback.odometry)
    for i in range(config.n_axes):
        if is_velocity(config, i):
            axes.append(ProfileState(0.0, 0.0, 0.0))
            continue
        inside = clamp(feedback.q[i], config.q_min[i], config.q_max[i])
        if magnitude(feedback.q[i] - inside) > config.start_tolerance[i]:
            return Result.REFUSED_OUTSIDE_LIMITS
        there = left and is_joint(config, i)
        axes.append(ProfileState(_in_turn_of(config, feedback, state.left[i], i) if there else inside, 0.0, 0.0))
    refused = verify_stop(config, state.tightening.tool_speed_max_m_s, base, axes, 1)[0]
    return Result.REFUSED_GEOMETRY if refused else Result.DONE


def _request_arm(state: KernelState, config: Config, feedback: Measurement, now_ns: int) -> Result:
    result = Result.DONE
    axes: list[ProfileState] = []
    if state.state is not State.READY:
        result = Result.REFUSED_STATE
    elif check_feedback(state, config, feedback, now_ns) & FEEDBACK_BAD:
        result = Result.REFUSED_FEEDBACK
    elif check_stop_inputs(feedback):
        result = Result.REFUSED_STOP_LINE
    elif feedback.watchdog_ns == 0 or feedback.watchdog_ns > _WATCHDOG_MAX_NS:
        result = Result.REFUSED_NO_WATCHDOG
    elif _not_at_rest(config, feedback):
        result = Result.REFUSED_MOVING
    else:
        result = _start_posture(state, config, feedback, axes)
    if result is not Result.DONE:
        return result
    _copy_measurement(state, config, feedback)
    for i in range(config.n_axes):
        state.q[i] = state.shown_least[i] = state.shown_most[i] = axes[i].q
        state.apart_ticks[i] = 0
    state.path = [0.0] * 5
    _begin_trail(state, config, now_ns)
    state.has_command = True
    state.has_setpoint_seq = False
    state.over_torque = False
    state.over_force = False
    state.over_grip = 0
    state.hold_since_ns = now_ns
    _apply(state, Event.ARM)
    return Result.DONE


def _was_moved(state: KernelState, config: Config, feedback: Measurement) -> bool:
    for i in range(config.n_axes):
        apart = magnitude(_in_turn_of(config, feedback, state.q[i], i) - feedback.q[i])
        if is_joint(config, i) and apart > config.reset_tolerance[i]:
            return state.has_command
    return False


def _request_reset(
    state: KernelState, config: Config, feedback: Measurement, request: Request | int, now_ns: int
) -> Result:
    if state.state is not State.FAULT:
        return Result.REFUSED_STATE
    bad = FEEDBACK_BAD ^ Reason.FEEDBACK_SEQUENCE
    if check_feedback(state, config, feedback, now_ns) & bad:
        return Result.REFUSED_FEEDBACK
    if check_stop_inputs(feedback):
        return Result.REFUSED_STOP_LINE
    if _not_at_rest(config, feedback):
        return Result.REFUSED_MOVING
    if request == Request.RESET and _was_moved(state, config, feedback):
        return Result.REFUSED_MISMATCH
    state.has_feedback_seq = False
    state.faults = NONE
    _apply(state, Event.RESET)
    return Result.DONE


def kernel_request(
    state: KernelState, config: Config, feedback: Measurement, request: Request | int, now_ns: int
) -> Result:
    """`kernel_request`."""
    if request == Request.ARM:
        return _request_arm(state, config, feedback, now_ns)
    if request in (Request.RESET, Request.RESET_MOVED):
        return _request_reset(state, config, feedback, request, now_ns)
    if request == Request.DISARM:
        if Event.DISARM not in TRANSITIONS[state.state]:
            return Result.REFUSED_STATE
        _apply(state, Event.DISARM)
        return Result.DONE
    if request == Request.STOP:
        state.faults |= Reason.OPERATOR_STOP
        _apply(state, Event.TRIP)
        return Result.DONE
    return Result.REFUSED_UNKNOWN


def kernel_tighten(state: KernelState, config: Config, tightening: Tightening) -> Result:
    """`kernel_tighten`."""
    fastest_m_s = fastest_tool_m_s(config)
    if not (0.0 < tightening.speed_scale <= 1.0 and 0.0 < tightening.tool_speed_max_m_s <= fastest_m_s):
        return Result.REFUSED_VALUE
    before = state.tightening
    looser = tightening.speed_scale > before.speed_scale or tightening.tool_speed_max_m_s > before.tool_speed_max_m_s
    if looser and state.state.is_armed:
        return Result.REFUSED_LOOSER
    state.tightening = tightening
    return Result.DONE
