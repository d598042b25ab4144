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
_MARGIN_POSES = 8
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


def _flip(flipped: bool, x: float) -> float:
    return -x if flipped else x


def _rate_towards(distance: float, limits: ProfileLimits) -> float:
    return _flip(distance < 0.0, landing_rate(magnitude(distance), limits.jerk_max, limits.tick))


def _allowed(joint: ProfileState, bounds: _JointBounds) -> tuple[float, float]:
    limits = bounds.limits
    step = limits.jerk_max * limits.tick
    least = larger(joint.a - step, -limits.accel_max)
    most = smaller(joint.a + step, limits.accel_max)
    high = clamp(_rate_towards(bounds.speed_max - joint.v, limits), least, most)
    low = clamp(-_rate_towards(bounds.speed_max + joint.v, limits), least, high)
    return low, high


def _landing_error(relative: ProfileState, a: float, limits: ProfileLimits) -> float:
    return stop_profile_of(profile_tick(relative, a, limits), limits).q_end


def _chase(joint: ProfileState, target: _JointTarget, bounds: _JointBounds) -> float:
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
    return ProfileState(state.q[i], state.dq[i], state.ddq[i])


def _joints_after(state: KernelState, config: Config, accel: Sequence[float]) -> list[ProfileState]:
    return [profile_tick(_joint(state, i), accel[i], joint_limits(config, i)) for i in range(config.n_joints)]


def _joints_between(
    state: KernelState, config: Config, stop: Sequence[float], wanted: Sequence[float], part: float
) -> list[ProfileState]:
    accel = [part * wanted[i] + (1.0 - part) * stop[i] for i in range(config.n_joints)]
    return _joints_after(state, config, accel)


def _take(state: KernelState, config: Config, joints: Sequence[ProfileState]) -> None:
    for i in range(config.n_joints):
        state.q[i] = clamp(joints[i].q, config.q_min[i], config.q_max[i])
        state.dq[i] = joints[i].v
        state.ddq[i] = joints[i].a


def _verify(
    state: KernelState, config: Config, joints: Sequence[ProfileState], poses: int
) -> tuple[Reason, int, StopCertificate]:
    left = min(poses, _STOP_POSES)
    poses -= left
    reasons, left, stop = verify_stop(config, state.tightening.tool_speed_max_m_s, joints, left)
    return reasons, poses + left, stop


def _stop_accelerations(state: KernelState, config: Config) -> list[float]:
    return [stop_accel(state.dq[i], state.ddq[i], joint_limits(config, i)) for i in range(config.n_joints)]


def _move(state: KernelState, config: Config, wanted: Sequence[float], result: MotionResult) -> None:
    poses = _TICK_POSES
    stop = _stop_accelerations(state, config)
    joints = _joints_after(state, config, wanted)
    refused, poses, result.stop = _verify(state, config, joints, poses)
    if refused:
        low = 0.0
        high = 1.0
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            joints = _joints_between(state, config, stop, wanted, middle)
            again, poses, certificate = _verify(state, config, joints, poses)
            if again:
                high = middle
            else:
                low = middle
                result.stop = certificate
        joints = _joints_between(state, config, stop, wanted, low)
        if low == 0.0:
            _, _, result.stop = _verify(state, config, joints, _MARGIN_POSES)
        result.accepted = low
        result.reasons |= refused
    else:
        result.accepted = 1.0
    _take(state, config, joints)


def motion_brake(state: KernelState, config: Config, result: MotionResult) -> None:
    """`motion_brake` of `motion.h`."""
    stop = _stop_accelerations(state, config)
    joints = _joints_after(state, config, stop)
    _, _, result.stop = _verify(state, config, joints, _MARGIN_POSES)
    _take(state, config, joints)
    state.has_target = False


def _follow_gripper(state: KernelState, config: Config, gripper_m: float, tick: float) -> Reason:
    opening = clamp(gripper_m, config.gripper_min_m, config.gripper_max_m)
    reach = config.gripper_rate_m_s * tick
    acts = opening != gripper_m or magnitude(opening - state.gripper_m) > reach
    state.gripper_m = clamp(opening, state.gripper_m - reach, state.gripper_m + reach)
    return Reason.LIMIT_GRIPPER if acts else NONE


def motion_follow(state: KernelState, config: Config, setpoint: Target, result: MotionResult) -> None:
    """`motion_follow` of `motion.h`."""
    tick = float(config.tick_ns) * 1e-9
    posture = posture_speed_scale(config, state.q)
    told = smaller(state.tightening.speed_scale, setpoint.speed_scale)
    wanted = []
    result.speed_scale = smaller(told, posture)
    for i in range(config.n_joints):
        v_max = config.dq_max[i]
        bounds = _JointBounds(joint_limits(config, i), v_max * result.speed_scale)
        joint = _joint(state, i)
        now = clamp(setpoint.q[i], config.q_min[i], config.q_max[i])
        before = state.target_rad[i] if state.has_target else joint.q
        speed = (now - before) / tick
        speed_before = state.target_rad_s[i]
        if now != setpoint.q[i]:
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
    result.speed_scale = smaller(told, posture_speed_scale(config, state.q))
    for i in range(config.n_joints):
        v_max = config.dq_max[i]
        bounds = _JointBounds(joint_limits(config, i), v_max * result.speed_scale)
        target = _JointTarget(config.retract_rad[i], config.retract_rad[i], 0.0, 0.0)
        wanted.append(_shape(_joint(state, i), target, bounds, v_max)[1])
    _move(state, config, wanted, result)


def motion_at_rest(state: KernelState, config: Config) -> bool:
    """`motion_at_rest` of `motion.h`."""
    return all(state.dq[i] == 0.0 and state.ddq[i] == 0.0 for i in range(config.n_joints))


def motion_retracted(state: KernelState, config: Config) -> bool:
    """`motion_retracted` of `motion.h`."""
    for i in range(config.n_joints):
        if magnitude(state.q[i] - config.retract_rad[i]) > _ARRIVED_RAD:
            return False
    return motion_at_rest(state, config)
