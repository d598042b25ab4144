"""`kernel.c` once more, line for line, in float64 Python: the oracle of the differential tests, never a fallback.

Every floating-point operation stands in the order of the C file, and both round each one alone (no contraction), so
the two agree bit for bit. Change both or neither. Integers are unbounded here; where C saturates, so does this.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

from edge_runtime.safety.braking import braking_distance, braking_speed, landing_speed
from edge_runtime.safety.kernel_binding import Measurement, Target, Verdict
from edge_runtime.safety.limits import KernelConfig
from edge_runtime.safety.states import TRANSITIONS, Event, Reason, Request, Result, State

_FEEDBACK_BAD = (
    Reason.FEEDBACK_SHAPE
    | Reason.FEEDBACK_NOT_FINITE
    | Reason.FEEDBACK_STALE
    | Reason.FEEDBACK_FUTURE
    | Reason.FEEDBACK_SEQUENCE
)
_STOP_INPUTS = Reason.STOP_LINE | Reason.DRIVER_FAULT
_CLOCK_BAD = Reason.CLOCK_BACKWARD | Reason.CLOCK_GAP
_NONE = Reason(0)
_TOUCH = 1e-9
_INT64_MAX = 2**63 - 1
_INT64_MIN = -(2**63)


@dataclass
class _State:
    q_rad: list[float]
    dq_rad_s: list[float]
    target_rad: list[float]
    gripper_m: float = 0.0
    last_now_ns: int = 0
    hold_since_ns: int = 0
    feedback_stamp_ns: int = 0
    feedback_seq: int = 0
    setpoint_seq: int = 0
    faults: Reason = field(default=_NONE)
    state: State = State.SILENT
    has_now: bool = False
    has_target: bool = False
    has_feedback_seq: bool = False
    has_setpoint_seq: bool = False
    has_command: bool = False


class ReferenceKernel:
    """Same interface as `Kernel`, same results to the last bit, about a thousand times slower."""

    def __init__(self, config: KernelConfig) -> None:
        n = len(config.joint_names)
        self.config = config
        self._state = _State([0.0] * n, [0.0] * n, [0.0] * n)

    @property
    def state(self) -> State:
        """The state after the last step or request."""
        return self._state.state

    def step(self, measurement: Measurement, target: Target | None, now_ns: int) -> Verdict:
        """One tick; see `Kernel.step`."""
        state, config = self._state, self.config
        tick = float(config.tick_ns) * 1e-9
        reasons = (
            _check_clock(state, measurement, now_ns)
            | _check_feedback(state, config, measurement, now_ns)
            | _check_stop_inputs(measurement)
        )
        state.last_now_ns = now_ns
        state.has_now = True
        if not reasons & _FEEDBACK_BAD:
            state.feedback_seq = measurement.seq
            state.feedback_stamp_ns = measurement.stamp_ns
            state.has_feedback_seq = True
        reasons = _decide(state, config, measurement, target, now_ns, reasons)
        if state.state is State.READY:
            _copy_measurement(state, measurement)
        elif state.state is State.ACTIVE:
            assert target is not None
            reasons |= _follow(state, config, target, tick)
        elif state.state is State.HOLDING:
            _brake(state, config, tick)
        elif state.state is State.STOPPING:
            _brake(state, config, tick)
            if all(v == 0.0 for v in state.dq_rad_s):
                _apply(state, Event.SETTLED_LATCHED if state.faults else Event.SETTLED)
        return _verdict(state, config, reasons, tick)

    def request(self, request: Request | int, measurement: Measurement, now_ns: int) -> Result:
        """Ask between ticks; see `Kernel.request`."""
        state = self._state
        if request == Request.ARM:
            return _request_arm(state, self.config, measurement, now_ns)
        if request == Request.RESET:
            return _request_reset(state, self.config, measurement, now_ns)
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


def _apply(state: _State, event: Event) -> None:
    to = TRANSITIONS[state.state].get(event)
    if to is None:
        state.faults |= Reason.INTERNAL
        state.state = State.STOPPING if state.state.is_armed else State.FAULT
        return
    state.state = to


def _smaller(a: float, b: float) -> float:
    return b if b < a else a


def _larger(a: float, b: float) -> float:
    return b if b > a else a


def _clamp(x: float, low: float, high: float) -> float:
    return _larger(low, _smaller(x, high))


def _magnitude(x: float) -> float:
    return -x if x < 0.0 else x


def _elapsed(a: int, b: int) -> int:
    return max(_INT64_MIN, min(_INT64_MAX, a - b))


def _check_clock(state: _State, feedback: Measurement, now_ns: int) -> Reason:
    if not state.has_now:
        return _NONE
    gap = _elapsed(now_ns, state.last_now_ns)
    if gap <= 0:
        return Reason.CLOCK_BACKWARD
    if feedback.watchdog_ns != 0 and gap > feedback.watchdog_ns:
        return Reason.CLOCK_GAP
    return _NONE


def _check_feedback(state: _State, config: KernelConfig, feedback: Measurement, now_ns: int) -> Reason:
    n = len(config.joint_names)
    reasons = Reason.FEEDBACK_TORN if feedback.torn else _NONE
    if not feedback.present:
        return reasons | Reason.FEEDBACK_STALE
    if (len(feedback.q_rad) if feedback.n is None else feedback.n) != n:
        return reasons | Reason.FEEDBACK_SHAPE
    age = _elapsed(now_ns, feedback.stamp_ns)
    if age > config.feedback_max_age_ns:
        reasons |= Reason.FEEDBACK_STALE
    if age < -config.future_tolerance_ns:
        reasons |= Reason.FEEDBACK_FUTURE
    if state.has_feedback_seq and (feedback.seq < state.feedback_seq or feedback.stamp_ns < state.feedback_stamp_ns):
        reasons |= Reason.FEEDBACK_SEQUENCE
    bad = not math.isfinite(feedback.gripper_m)
    for i in range(n):
        bad |= not math.isfinite(feedback.q_rad[i]) or not math.isfinite(feedback.dq_rad_s[i])
    return reasons | Reason.FEEDBACK_NOT_FINITE if bad else reasons


def _check_stop_inputs(feedback: Measurement) -> Reason:
    return (Reason.STOP_LINE if feedback.stop_line else _NONE) | (
        Reason.DRIVER_FAULT if feedback.driver_fault else _NONE
    )


def _check_tracking(state: _State, config: KernelConfig, feedback: Measurement) -> Reason:
    for i in range(len(config.joint_names)):
        if _magnitude(state.q_rad[i] - feedback.q_rad[i]) > config.tracking_max_rad[i]:
            return Reason.TRACKING_ERROR
    return _NONE


def _check_setpoint(state: _State, config: KernelConfig, setpoint: Target | None, now_ns: int) -> Reason:
    reasons = _NONE
    if setpoint is None or not setpoint.present:
        return Reason.SETPOINT_NONE
    if state.has_setpoint_seq and setpoint.seq <= state.setpoint_seq:
        reasons |= Reason.SETPOINT_SEQUENCE
    elif state.has_setpoint_seq and setpoint.seq - state.setpoint_seq > 1:
        reasons |= Reason.SETPOINT_SKIPPED
    if not reasons & Reason.SETPOINT_SEQUENCE:
        state.setpoint_seq = setpoint.seq
        state.has_setpoint_seq = True
    n = len(config.joint_names)
    if (len(setpoint.q_rad) if setpoint.n is None else setpoint.n) != n:
        return reasons | Reason.SETPOINT_SHAPE
    age = _elapsed(now_ns, setpoint.stamp_ns)
    observation_age = _elapsed(now_ns, setpoint.observation_ns)
    if age > config.setpoint_max_age_ns:
        reasons |= Reason.SETPOINT_STALE
    if observation_age > config.observation_max_age_ns:
        reasons |= Reason.OBSERVATION_STALE
    if age < -config.future_tolerance_ns or observation_age < -config.future_tolerance_ns:
        reasons |= Reason.SETPOINT_FUTURE
    bad = not math.isfinite(setpoint.gripper_m)
    for i in range(n):
        bad |= not math.isfinite(setpoint.q_rad[i])
    return reasons | Reason.SETPOINT_NOT_FINITE if bad else reasons


def _move(state: _State, config: KernelConfig, i: int, wanted: float, tick: float) -> Reason:
    q = state.q_rad[i]
    v = state.dq_rad_s[i]
    v_max = config.dq_max_rad_s[i]
    step = config.ddq_max_rad_s2[i] * tick
    up = braking_speed(config.q_max_rad[i] - q, config.ddq_max_rad_s2[i], tick)
    down = braking_speed(q - config.q_min_rad[i], config.ddq_max_rad_s2[i], tick)
    high = _smaller(_smaller(v + step, v_max), up)
    low = _larger(_larger(v - step, -v_max), -down)
    u = _smaller(_larger(wanted, low), high) if v > 0.0 else _larger(_smaller(wanted, high), low)
    reasons = _NONE
    if _magnitude(wanted - u) > _TOUCH * v_max:
        if _magnitude(wanted) > v_max:
            reasons |= Reason.LIMIT_VELOCITY
        if wanted > v + step or wanted < v - step:
            reasons |= Reason.LIMIT_ACCELERATION
        if wanted > up or wanted < -down:
            reasons |= Reason.LIMIT_BRAKING
    state.q_rad[i] = _clamp(q + tick * u, config.q_min_rad[i], config.q_max_rad[i])
    state.dq_rad_s[i] = u
    return reasons


def _follow(state: _State, config: KernelConfig, setpoint: Target, tick: float) -> Reason:
    reasons = _NONE
    for i in range(len(config.joint_names)):
        q = state.q_rad[i]
        target = _clamp(setpoint.q_rad[i], config.q_min_rad[i], config.q_max_rad[i])
        if target != setpoint.q_rad[i]:
            reasons |= Reason.LIMIT_POSITION
        before = state.target_rad[i] if state.has_target else q
        accel = 0.5 * config.ddq_max_rad_s2[i]
        target_speed = (target - before) / tick
        gap = before - q
        if _magnitude(target_speed) > config.dq_max_rad_s[i] * (1.0 + _TOUCH):
            target_speed = 0.0
            gap = target - q
        wanted = (target - q) / tick
        if _magnitude(gap) > accel * tick * tick:
            closing = landing_speed(_magnitude(gap), accel, tick)
            wanted = target_speed + (-closing if gap < 0.0 else closing)
        reasons |= _move(state, config, i, wanted, tick)
        state.target_rad[i] = target
    state.has_target = True
    opening = _clamp(setpoint.gripper_m, config.gripper_min_m, config.gripper_max_m)
    reach = config.gripper_rate_m_s * tick
    if opening != setpoint.gripper_m or _magnitude(opening - state.gripper_m) > reach:
        reasons |= Reason.LIMIT_GRIPPER
    state.gripper_m = _clamp(opening, state.gripper_m - reach, state.gripper_m + reach)
    return reasons


def _brake(state: _State, config: KernelConfig, tick: float) -> None:
    for i in range(len(config.joint_names)):
        _move(state, config, i, 0.0, tick)
    state.has_target = False


def _copy_measurement(state: _State, feedback: Measurement) -> None:
    for i in range(len(state.q_rad)):
        state.q_rad[i] = feedback.q_rad[i]
        state.dq_rad_s[i] = 0.0
    state.gripper_m = feedback.gripper_m
    state.has_target = False
    state.has_command = False


def _verdict(state: _State, config: KernelConfig, reasons: Reason, tick: float) -> Verdict:
    stop_margin_rad = 0.0
    stop_margin_joint = 0
    time_to_rest_s = 0.0
    for i in range(len(config.joint_names)):
        q = state.q_rad[i]
        v = state.dq_rad_s[i]
        speed = _magnitude(v)
        distance = braking_distance(speed, config.ddq_max_rad_s2[i], tick)
        up = config.q_max_rad[i] - (q + distance if v > 0.0 else q)
        down = (q - distance if v < 0.0 else q) - config.q_min_rad[i]
        margin = _smaller(up, down)
        time_to_rest_s = _larger(time_to_rest_s, speed / config.ddq_max_rad_s2[i])
        if i == 0 or margin < stop_margin_rad:
            stop_margin_rad = margin
            stop_margin_joint = i
    return Verdict(
        tuple(state.q_rad),
        tuple(state.dq_rad_s),
        state.gripper_m,
        state.state,
        reasons,
        state.faults,
        stop_margin_rad,
        stop_margin_joint,
        time_to_rest_s,
    )


def _decide(
    state: _State,
    config: KernelConfig,
    feedback: Measurement,
    setpoint: Target | None,
    now_ns: int,
    reasons: Reason,
) -> Reason:
    feedback_bad = reasons & _FEEDBACK_BAD
    trips = reasons & _STOP_INPUTS
    if state.state.is_armed:
        if not feedback_bad:
            reasons |= _check_tracking(state, config, feedback)
        trips |= reasons & (_FEEDBACK_BAD | _CLOCK_BAD | Reason.TRACKING_ERROR)
    if trips:
        state.faults |= trips
        _apply(state, Event.TRIP)
        return reasons
    if state.state in (State.SILENT, State.READY):
        _apply(state, Event.FEEDBACK_LOST if feedback_bad else Event.FEEDBACK_GOOD)
        return reasons
    if state.state not in (State.ACTIVE, State.HOLDING):
        return reasons
    refused = _check_setpoint(state, config, setpoint, now_ns)
    if not refused:
        _apply(state, Event.SETPOINT)
        return reasons
    if state.state is State.ACTIVE:
        state.hold_since_ns = now_ns
    _apply(state, Event.SETPOINT_LOST)
    if _elapsed(now_ns, state.hold_since_ns) > config.hold_timeout_ns:
        _apply(state, Event.HOLD_TIMEOUT)
        return reasons | refused | Reason.HOLD_TIMEOUT
    return reasons | refused


def _request_arm(state: _State, config: KernelConfig, feedback: Measurement, now_ns: int) -> Result:
    if state.state is not State.READY:
        return Result.REFUSED_STATE
    if _check_feedback(state, config, feedback, now_ns):
        return Result.REFUSED_FEEDBACK
    if _check_stop_inputs(feedback):
        return Result.REFUSED_STOP_LINE
    if feedback.watchdog_ns == 0:
        return Result.REFUSED_NO_WATCHDOG
    for i in range(len(config.joint_names)):
        if _magnitude(feedback.dq_rad_s[i]) > config.rest_speed_rad_s:
            return Result.REFUSED_MOVING
        if not config.q_min_rad[i] <= feedback.q_rad[i] <= config.q_max_rad[i]:
            return Result.REFUSED_OUTSIDE_LIMITS
    _copy_measurement(state, feedback)
    state.gripper_m = _clamp(feedback.gripper_m, config.gripper_min_m, config.gripper_max_m)
    state.has_command = True
    state.has_setpoint_seq = False
    state.hold_since_ns = now_ns
    _apply(state, Event.ARM)
    return Result.DONE


def _request_reset(state: _State, config: KernelConfig, feedback: Measurement, now_ns: int) -> Result:
    if state.state is not State.FAULT:
        return Result.REFUSED_STATE
    anew = copy.copy(state)
    anew.has_feedback_seq = False
    if _check_feedback(anew, config, feedback, now_ns):
        return Result.REFUSED_FEEDBACK
    if _check_stop_inputs(feedback):
        return Result.REFUSED_STOP_LINE
    for i in range(len(config.joint_names)):
        if _magnitude(feedback.dq_rad_s[i]) > config.rest_speed_rad_s:
            return Result.REFUSED_MOVING
        if state.has_command and _magnitude(state.q_rad[i] - feedback.q_rad[i]) > config.reset_tolerance_rad:
            return Result.REFUSED_MISMATCH
    state.has_feedback_seq = False
    state.faults = _NONE
    _apply(state, Event.RESET)
    return Result.DONE
