"""`motion.c` once more, line for line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_runtime.safety.kernel_binding import Target
from edge_runtime.safety.reference.number import clamp, larger, magnitude, smaller
from edge_runtime.safety.reference.profile import (
    ProfileLimits,
    ProfileState,
    landing_rate,
    profile_tick,
    stop_accel,
    stop_profile_of,
)
from edge_runtime.safety.reference.structs import NONE, Config, KernelState, MotionResult, StopCertificate
from edge_runtime.safety.reference.walk import joint_limits, posture_speed_scale, verify_stop
from edge_runtime.safety.states import Reason

_TOUCH = 1e-9
_ARRIVED_RAD = 1e-9
_STOP_POSES = 32
_TICK_POSES = 64
_BISECTIONS = 6
_LANDING_BISECTIONS = 10


@dataclass(slots=True)
class _JointTarget:
    now: float
    before: float
    speed: float
    speed_before: float


class _JointBounds(NamedTuple):
    limits: ProfileLimits
    speed_max: float


def _allowed(joint: ProfileState, bounds: _JointBounds) -> tuple[float, float]:
    limits = bounds.limits
    step = limits.jerk_max * limits.tick
    up = bounds.speed_max - joint.v
    down = bounds.speed_max + joint.v
    up_rate = landing_rate(magnitude(up), limits.jerk_max, limits.tick)
    down_rate = landing_rate(magnitude(down), limits.jerk_max, limits.tick)
    least = larger(joint.a - step, -limits.accel_max)
    most = smaller(joint.a + step, limits.accel_max)
    high = clamp(-up_rate if up < 0.0 else up_rate, least, most)
    low = clamp(down_rate if down < 0.0 else -down_rate, least, high)
    return low, high


def _landing_error(relative: ProfileState, a: float, limits: ProfileLimits) -> float:
    return stop_profile_of(profile_tick(relative, a, limits), limits).q_end


def _chase(joint: ProfileState, target: _JointTarget, bounds: _JointBounds) -> float:
    side = -1.0 if joint.q > target.before else 1.0
    relative = ProfileState(side * (joint.q - target.before), side * (joint.v - target.speed), side * joint.a)
    least, most = _allowed(joint, bounds)
    low = least if side > 0.0 else -most
    high = most if side > 0.0 else -least
    if _landing_error(relative, high, bounds.limits) <= 0.0:
        return side * high
    for _ in range(_LANDING_BISECTIONS):
        middle = 0.5 * (low + high)
        if _landing_error(relative, middle, bounds.limits) <= 0.0:
            low = middle
        else:
            high = middle
    return side * low


def _within(value: float, limit: float) -> bool:
    return magnitude(value) <= limit * (1.0 + _TOUCH)


def _meet(joint: ProfileState, target: _JointTarget, bounds: _JointBounds, v_max: float) -> tuple[bool, float]:
    limits = bounds.limits
    tick = limits.tick
    step = limits.jerk_max * tick
    v = (target.now - joint.q) / tick
    a = (v - joint.v) / tick
    if not (_within(v, bounds.speed_max) and _within(a, limits.accel_max) and _within(a - joint.a, step)):
        return False, a
    if magnitude(target.before - joint.q) <= _TOUCH * v_max * tick:
        return True, a
    a_target = (target.speed - target.speed_before) / tick
    a_next = (target.speed + a_target * tick - v) / tick
    return _within(a_next, limits.accel_max) and _within(a_next - a, step) and _within(a_target - a_next, step), a


def _touched(value: float, limit: float, reason: Reason) -> Reason:
    return reason if magnitude(value) >= limit * (1.0 - _TOUCH) else NONE


def _acting(joint: ProfileState, accel: float, bounds: _JointBounds, v_max: float) -> Reason:
    limits = bounds.limits
    speed = Reason.LIMIT_SPEED_SCALE if bounds.speed_max < v_max else Reason.LIMIT_VELOCITY
    reasons = (
        _touched(joint.v + limits.tick * accel, bounds.speed_max, speed)
        | _touched(accel, limits.accel_max, Reason.LIMIT_ACCELERATION)
        | _touched(accel - joint.a, limits.jerk_max * limits.tick, Reason.LIMIT_JERK)
    )
    return reasons if reasons else Reason.LIMIT_ACCELERATION


def _shape(joint: ProfileState, target: _JointTarget, bounds: _JointBounds, v_max: float) -> tuple[Reason, float]:
    step = bounds.limits.jerk_max * bounds.limits.tick
    if magnitude(target.speed) > v_max * (1.0 + _TOUCH):
        target = _JointTarget(target.now, target.now, 0.0, 0.0)
    meets, accel = _meet(joint, target, bounds, v_max)
    if not meets:
        accel = _chase(joint, target, bounds)
    accel = clamp(clamp(accel, joint.a - step, joint.a + step), -bounds.limits.accel_max, bounds.limits.accel_max)
    return NONE if meets else _acting(joint, accel, bounds, v_max), accel


def _joint(state: KernelState, i: int) -> ProfileState:
    return ProfileState(state.q_rad[i], state.dq_rad_s[i], state.ddq_rad_s2[i])


def _joints_after(
    state: KernelState, config: Config, stop: Sequence[float], wanted: Sequence[float], part: float
) -> list[ProfileState]:
    return [
        profile_tick(_joint(state, i), part * wanted[i] + (1.0 - part) * stop[i], joint_limits(config, i))
        for i in range(config.n_joints)
    ]


def _take(state: KernelState, config: Config, joints: Sequence[ProfileState]) -> None:
    for i in range(config.n_joints):
        state.q_rad[i] = clamp(joints[i].q, config.q_min_rad[i], config.q_max_rad[i])
        state.dq_rad_s[i] = joints[i].v
        state.ddq_rad_s2[i] = joints[i].a


def _verify(
    state: KernelState, config: Config, joints: Sequence[ProfileState], poses: int
) -> tuple[Reason, int, StopCertificate]:
    left = poses if poses < _STOP_POSES else _STOP_POSES
    poses -= left
    reasons, left, stop = verify_stop(config, state.tightening.tool_speed_max_m_s, joints, left)
    return reasons, poses + left, stop


def _stop_accelerations(state: KernelState, config: Config) -> list[float]:
    return [stop_accel(state.dq_rad_s[i], state.ddq_rad_s2[i], joint_limits(config, i)) for i in range(config.n_joints)]


def _move(state: KernelState, config: Config, wanted: Sequence[float], result: MotionResult) -> None:
    poses = _TICK_POSES
    low = 0.0
    high = 1.0
    stop = _stop_accelerations(state, config)
    joints = _joints_after(state, config, stop, wanted, 1.0)
    refused, poses, result.stop = _verify(state, config, joints, poses)
    if refused:
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            joints = _joints_after(state, config, stop, wanted, middle)
            again, poses, certificate = _verify(state, config, joints, poses)
            if again:
                high = middle
            else:
                low = middle
                result.stop = certificate
        joints = _joints_after(state, config, stop, wanted, low)
        if low == 0.0:
            _, _, result.stop = _verify(state, config, joints, _STOP_POSES)
        result.accepted = low
        result.reasons |= refused
    else:
        result.accepted = 1.0
    _take(state, config, joints)


def motion_brake(state: KernelState, config: Config, result: MotionResult) -> None:
    """`motion_brake` of `motion.h`."""
    stop = _stop_accelerations(state, config)
    joints = _joints_after(state, config, stop, stop, 0.0)
    _, _, result.stop = _verify(state, config, joints, _STOP_POSES)
    _take(state, config, joints)
    state.has_target = False
    result.accepted = 0.0


def _follow_gripper(state: KernelState, config: Config, gripper_m: float, tick: float) -> Reason:
    opening = clamp(gripper_m, config.gripper_min_m, config.gripper_max_m)
    reach = config.gripper_rate_m_s * tick
    acts = opening != gripper_m or magnitude(opening - state.gripper_m) > reach
    state.gripper_m = clamp(opening, state.gripper_m - reach, state.gripper_m + reach)
    return Reason.LIMIT_GRIPPER if acts else NONE


def motion_follow(state: KernelState, config: Config, setpoint: Target, result: MotionResult) -> None:
    """`motion_follow` of `motion.h`."""
    tick = float(config.tick_ns) * 1e-9
    posture = posture_speed_scale(config, state.q_rad)
    told = smaller(state.tightening.speed_scale, setpoint.speed_scale)
    wanted = []
    result.speed_scale = smaller(told, posture)
    for i in range(config.n_joints):
        v_max = config.dq_max_rad_s[i]
        bounds = _JointBounds(joint_limits(config, i), v_max * result.speed_scale)
        joint = _joint(state, i)
        now = clamp(setpoint.q_rad[i], config.q_min_rad[i], config.q_max_rad[i])
        before = state.target_rad[i] if state.has_target else joint.q
        speed = (now - before) / tick
        speed_before = state.target_rad_s[i] if state.has_target else 0.0
        if now != setpoint.q_rad[i]:
            result.reasons |= Reason.LIMIT_POSITION
        reasons, accel = _shape(joint, _JointTarget(now, before, speed, speed_before), bounds, v_max)
        wanted.append(accel)
        if posture < told and reasons & Reason.LIMIT_SPEED_SCALE:
            reasons ^= Reason.LIMIT_SPEED_SCALE | Reason.LIMIT_SINGULARITY
        result.reasons |= reasons
        state.target_rad[i] = now
        state.target_rad_s[i] = speed
    state.has_target = True
    result.reasons |= _follow_gripper(state, config, setpoint.gripper_m, tick)
    _move(state, config, wanted, result)


def motion_retract(state: KernelState, config: Config, result: MotionResult) -> None:
    """`motion_retract` of `motion.h`."""
    told = smaller(state.tightening.speed_scale, config.retract_speed_scale)
    wanted = []
    result.speed_scale = smaller(told, posture_speed_scale(config, state.q_rad))
    for i in range(config.n_joints):
        v_max = config.dq_max_rad_s[i]
        bounds = _JointBounds(joint_limits(config, i), v_max * result.speed_scale)
        target = _JointTarget(config.retract_rad[i], config.retract_rad[i], 0.0, 0.0)
        wanted.append(_shape(_joint(state, i), target, bounds, v_max)[1])
    _move(state, config, wanted, result)


def motion_at_rest(state: KernelState, config: Config) -> bool:
    """`motion_at_rest` of `motion.h`."""
    return all(state.dq_rad_s[i] == 0.0 and state.ddq_rad_s2[i] == 0.0 for i in range(config.n_joints))


def motion_retracted(state: KernelState, config: Config) -> bool:
    """`motion_retracted` of `motion.h`."""
    for i in range(config.n_joints):
        if magnitude(state.q_rad[i] - config.retract_rad[i]) > _ARRIVED_RAD:
            return False
    return motion_at_rest(state, config)
