"""`motion.c` once more, line for line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_runtime.safety.kernel_binding import Target
from edge_runtime.safety.reference.checks import near_turn, setpoint_of
from edge_runtime.safety.reference.number import clamp, divide, larger, magnitude, smaller
from edge_runtime.safety.reference.profile import (
    ProfileLimits,
    ProfileState,
    landing_rate,
    profile_tick,
    stop_accel,
    stop_profile_of,
)
from edge_runtime.safety.reference.structs import (
    CONTINUOUS,
    NONE,
    Config,
    KernelState,
    MotionResult,
    StopCertificate,
    is_gripper,
    is_joint,
    is_velocity,
    told_now,
)
from edge_runtime.safety.reference.walk import axis_limits, end_speed, posture_speed_scale, verify_stop
from edge_runtime.safety.states import Reason

_TOUCH = 1e-9
_ARRIVED = 1e-9
_CURVE_JERK = 0.75
_STOP_POSES = 32
_TICK_POSES = 64
_MARGIN_POSES = 8
_BISECTIONS = 6
_LANDING_BISECTIONS = 10


@dataclass(slots=True)
class _JointTarget:
    now: float
    before: float
    speed: float
    speed_before: float


class _AxisBounds(NamedTuple):
    limits: ProfileLimits
    speed_max: float
    fall: tuple[float, float]
    end: tuple[float, float]


def _flip(flipped: bool, x: float) -> float:
    return -x if flipped else x


def _rate_towards(distance: float, limits: ProfileLimits) -> float:
    return _flip(distance < 0.0, landing_rate(magnitude(distance), limits.jerk_max, limits.tick))


def _allowed(joint: ProfileState, bounds: _AxisBounds) -> tuple[float, float]:
    limits = bounds.limits
    step = limits.jerk_max * limits.tick
    least = larger(joint.a - step, -limits.accel_max)
    most = smaller(joint.a + step, limits.accel_max)
    high = clamp(smaller(_rate_towards(bounds.speed_max - joint.v, limits), bounds.fall[1]), least, most)
    low = clamp(-smaller(_rate_towards(bounds.speed_max + joint.v, limits), bounds.fall[0]), least, high)
    return low, high


def _landing_error(relative: ProfileState, a: float, limits: ProfileLimits) -> float:
    return stop_profile_of(profile_tick(relative, a, limits), limits).q_end


def _chase(joint: ProfileState, target: _JointTarget, bounds: _AxisBounds) -> float:
    above = joint.q > target.before
    relative = ProfileState(_flip(above, joint.q - target.before), _flip(above, joint.v - target.speed), 0.0)
    least, most = _allowed(joint, bounds)
    low = -most if above else least
    high = -least if above else most
    if _landing_error(relative, high, bounds.limits) <= 0.0:
        return _flip(above, high)
    for _ in range(_LANDING_BISECTIONS):
        middle = 0.5 * (low + high)
        if _landing_error(relative, middle, bounds.limits) <= 0.0:
            low = middle
        else:
            high = middle
    return _flip(above, low)


def _within(value: float, limit: float) -> bool:
    return magnitude(value) <= limit * (1.0 + _TOUCH)


def _meet(joint: ProfileState, target: _JointTarget, bounds: _AxisBounds, v_max: float) -> tuple[bool, float]:
    limits = bounds.limits
    tick = limits.tick
    step = limits.jerk_max * tick
    v = (target.now - joint.q) / tick
    a = (v - joint.v) / tick
    if not (_within(v, bounds.speed_max) and _within(a, limits.accel_max) and _within(a - joint.a, step)):
        return False, a
    if v > bounds.end[1] or -v > bounds.end[0]:
        return False, a
    if magnitude(target.before - joint.q) <= _TOUCH * v_max * tick:
        return True, a
    a_target = (target.speed - target.speed_before) / tick
    a_next = (target.speed + a_target * tick - v) / tick
    return _within(a_next, limits.accel_max) and _within(a_next - a, step) and _within(a_target - a_next, step), a


def _touched(value: float, limit: float, reason: Reason) -> Reason:
    return reason if magnitude(value) >= limit * (1.0 - _TOUCH) else NONE


def _acting(joint: ProfileState, accel: float, bounds: _AxisBounds, v_max: float) -> Reason:
    limits = bounds.limits
    speed = Reason.LIMIT_SPEED_SCALE if bounds.speed_max < v_max else Reason.LIMIT_VELOCITY
    falls = accel >= bounds.fall[1] or -accel >= bounds.fall[0]
    reasons = (
        (Reason.LIMIT_VELOCITY if falls else NONE)
        | _touched(joint.v + limits.tick * accel, bounds.speed_max, speed)
        | _touched(accel, limits.accel_max, Reason.LIMIT_ACCELERATION)
        | _touched(accel - joint.a, limits.jerk_max * limits.tick, Reason.LIMIT_JERK)
    )
    return reasons if reasons else Reason.LIMIT_ACCELERATION


def _shape(joint: ProfileState, target: _JointTarget, bounds: _AxisBounds, v_max: float) -> tuple[Reason, float]:
    step = bounds.limits.jerk_max * bounds.limits.tick
    if magnitude(target.speed) > v_max * (1.0 + _TOUCH):
        target = _JointTarget(target.now, target.now, 0.0, 0.0)
    meets, accel = _meet(joint, target, bounds, v_max)
    if not meets:
        accel = _chase(joint, target, bounds)
    accel = clamp(clamp(accel, joint.a - step, joint.a + step), -bounds.limits.accel_max, bounds.limits.accel_max)
    return NONE if meets else _acting(joint, accel, bounds, v_max), accel


def _shape_velocity(
    axis: ProfileState, target: _JointTarget, bounds: _AxisBounds, v_max: float
) -> tuple[Reason, float]:
    limits = bounds.limits
    change = target.speed
    before = target.before
    least, most = _allowed(axis, bounds)
    if not _within(change, limits.accel_max):
        before = target.now
        change = 0.0
    accel = clamp(_rate_towards(before - axis.v, limits) + change, least, most)
    meets = magnitude(axis.v + limits.tick * accel - target.now) <= _TOUCH * v_max
    return NONE if meets else _acting(axis, accel, bounds, v_max), accel


def _axis_of(state: KernelState, i: int) -> ProfileState:
    return ProfileState(state.q[i], state.dq[i], state.ddq[i])


def _axes_after(state: KernelState, config: Config, accel: Sequence[float]) -> list[ProfileState]:
    return [
        _axis_of(state, i)
        if is_gripper(config, i)
        else profile_tick(_axis_of(state, i), accel[i], axis_limits(config, i))
        for i in range(config.n_axes)
    ]


def _axes_between(
    state: KernelState, config: Config, stop: Sequence[float], wanted: Sequence[float], part: float
) -> list[ProfileState]:
    accel = [part * wanted[i] + (1.0 - part) * stop[i] for i in range(config.n_axes)]
    return _axes_after(state, config, accel)


def _take(state: KernelState, config: Config, axes: Sequence[ProfileState]) -> None:
    for i in range(config.n_axes):
        if is_gripper(config, i):
            continue
        state.q[i] = axes[i].q if is_velocity(config, i) else clamp(axes[i].q, config.q_min[i], config.q_max[i])
        state.dq[i] = axes[i].v
        state.ddq[i] = axes[i].a
    for k in range(3):
        i = config.base_axis[k]
        if i < 0:
            continue
        state.path[k] = state.q[i]
        state.path[4 if k == 2 else 3] += magnitude(state.dq[i]) * (float(config.tick_ns) * 1e-9)


def _verify(
    state: KernelState, config: Config, axes: Sequence[ProfileState], poses: int
) -> tuple[Reason, int, StopCertificate]:
    left = min(poses, _STOP_POSES)
    poses -= left
    reasons, left, stop = verify_stop(config, state.tightening.tool_speed_max_m_s, state.base, axes, left)
    return reasons, poses + left, stop


def _stop_accelerations(state: KernelState, config: Config) -> list[float]:
    """Those of grippers mean nothing."""
    return [
        0.0 if is_gripper(config, i) else stop_accel(state.dq[i], state.ddq[i], axis_limits(config, i))
        for i in range(config.n_axes)
    ]


def _retract_of(state: KernelState, config: Config, i: int) -> float:
    q = config.retract[i]
    return near_turn(q, state.q[i]) if config.axis_kind[i] == CONTINUOUS else q


def _move(state: KernelState, config: Config, wanted: Sequence[float], result: MotionResult) -> None:
    poses = _TICK_POSES
    stop = _stop_accelerations(state, config)
    axes = _axes_after(state, config, wanted)
    refused, poses, result.stop = _verify(state, config, axes, poses)
    if refused:
        low = 0.0
        high = 1.0
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            axes = _axes_between(state, config, stop, wanted, middle)
            again, poses, certificate = _verify(state, config, axes, poses)
            if again:
                high = middle
            else:
                low = middle
                result.stop = certificate
        axes = _axes_between(state, config, stop, wanted, low)
        if low == 0.0:
            _, _, result.stop = _verify(state, config, axes, _MARGIN_POSES)
        result.accepted = low
        result.reasons |= refused
    else:
        result.accepted = 1.0
    _take(state, config, axes)


def motion_brake(state: KernelState, config: Config, result: MotionResult) -> None:
    """`motion_brake` of `motion.h`."""
    stop = _stop_accelerations(state, config)
    axes = _axes_after(state, config, stop)
    _, _, result.stop = _verify(state, config, axes, _MARGIN_POSES)
    _take(state, config, axes)
    state.has_target = False


def _follow_gripper(state: KernelState, config: Config, wanted: float, i: int) -> Reason:
    goal = clamp(wanted, config.q_min[i], config.q_max[i])
    reach = config.dq_max[i] * (float(config.tick_ns) * 1e-9)
    acts = goal != wanted or magnitude(goal - state.q[i]) > reach
    held = state.over_grip >> i & 1
    up = config.closes_up >> i & 1
    low = state.q[i] if held and not up else state.q[i] - reach
    high = state.q[i] if held and up else state.q[i] + reach
    state.q[i] = clamp(goal, low, high)
    return Reason.LIMIT_GRIPPER if acts else NONE


def _fall_towards(config: Config, end: int, i: int, axis: ProfileState, most: float) -> float:
    v = -axis.v if end == 0 else axis.v
    offset = config.end_speed_offset[end][i]
    limits = ProfileLimits(config.ddq_max[i], _CURVE_JERK * config.dddq_max[i], float(config.tick_ns) * 1e-9)
    rate = larger(0.0, divide(0.5 * config.end_speed_slope[end][i] * v, most + offset))
    return _rate_towards(most - v, limits) - rate


def _bounds_of(config: Config, axis: ProfileState, i: int, scale: float) -> _AxisBounds:
    limits = axis_limits(config, i)
    fall = [math.inf, math.inf]
    ends = [math.inf, math.inf]
    for end in range(2):
        if config.end_speed_slope[end][i] != 0.0:
            ends[end] = end_speed(config, end, i, axis.q + limits.tick * axis.v)
            fall[end] = _fall_towards(config, end, i, axis, ends[end])
    return _AxisBounds(limits, config.dq_max[i] * scale, (fall[0], fall[1]), (ends[0], ends[1]))


def _goal_of(state: KernelState, config: Config, setpoint: Target, i: int) -> tuple[float, Reason]:
    wanted = setpoint_of(state, config, setpoint, i)
    if is_velocity(config, i):
        goal = clamp(wanted, -config.dq_max[i], config.dq_max[i])
        return goal, Reason.LIMIT_VELOCITY if goal != wanted else NONE
    goal = clamp(wanted, config.q_min[i], config.q_max[i])
    return goal, Reason.LIMIT_POSITION if goal != wanted else NONE


def _follow_axis(state: KernelState, config: Config, setpoint: Target, scale: float, i: int) -> tuple[Reason, float]:
    tick = float(config.tick_ns) * 1e-9
    v_max = config.dq_max[i]
    axis = _axis_of(state, i)
    bounds = _bounds_of(config, axis, i, scale)
    now, reasons = _goal_of(state, config, setpoint, i)
    before = state.target[i] if state.has_target else told_now(state, config, i)
    target = _JointTarget(now, before, (now - before) / tick, state.target_speed[i])
    state.target[i] = target.now
    state.target_speed[i] = target.speed
    shaped = _shape_velocity if is_velocity(config, i) else _shape
    acted, accel = shaped(axis, target, bounds, v_max)
    return reasons | acted, accel


def motion_follow(state: KernelState, config: Config, setpoint: Target, result: MotionResult) -> None:
    """`motion_follow` of `motion.h`."""
    posture = posture_speed_scale(config, state.q)
    told = smaller(state.tightening.speed_scale, setpoint.speed_scale)
    wanted = []
    result.speed_scale = smaller(told, posture)
    for i in range(config.n_axes):
        if is_gripper(config, i):
            result.reasons |= _follow_gripper(state, config, setpoint.q[i], i)
            wanted.append(0.0)
            continue
        reasons, accel = _follow_axis(state, config, setpoint, result.speed_scale, i)
        wanted.append(accel)
        if posture < told and reasons & Reason.LIMIT_SPEED_SCALE:
            reasons ^= Reason.LIMIT_SPEED_SCALE | Reason.LIMIT_SINGULARITY
        result.reasons |= reasons
    state.has_target = True
    _move(state, config, wanted, result)


def motion_retract(state: KernelState, config: Config, result: MotionResult) -> None:
    """`motion_retract` of `motion.h`."""
    told = smaller(state.tightening.speed_scale, config.retract_speed_scale)
    wanted = _stop_accelerations(state, config)
    result.speed_scale = smaller(told, posture_speed_scale(config, state.q))
    for i in range(config.n_axes):
        if not is_joint(config, i):
            continue
        axis = _axis_of(state, i)
        bounds = _bounds_of(config, axis, i, result.speed_scale)
        goal = _retract_of(state, config, i)
        wanted[i] = _shape(axis, _JointTarget(goal, goal, 0.0, 0.0), bounds, config.dq_max[i])[1]
    _move(state, config, wanted, result)


def motion_at_rest(state: KernelState, config: Config) -> bool:
    """`motion_at_rest` of `motion.h`."""
    return all(state.dq[i] == 0.0 and state.ddq[i] == 0.0 for i in range(config.n_axes))


def motion_retracted(state: KernelState, config: Config) -> bool:
    """`motion_retracted` of `motion.h`."""
    for i in range(config.n_axes):
        if is_joint(config, i) and magnitude(state.q[i] - _retract_of(state, config, i)) > _ARRIVED:
            return False
    return motion_at_rest(state, config)
