"""`walk.c` once more, line for line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_runtime.safety.reference.number import clamp, divide, floor, larger, magnitude, smaller
from edge_runtime.safety.reference.profile import (
    ProfileLimits,
    ProfileState,
    StopProfile,
    stop_profile_at,
    stop_profile_of,
)
from edge_runtime.safety.reference.structs import NONE, Config, StopCertificate
from edge_runtime.safety.reference_geometry import Pose, clearance_at, manipulability, pose_at, tool_columns
from edge_runtime.safety.states import Reason

_SLACK = 1e-11
_SLACK_M = 1e-12


@dataclass(slots=True)
class _StopMoment:
    q: list[float]
    v: list[float]
    peak: list[float]
    still: list[float]


def joint_limits(config: Config, i: int) -> ProfileLimits:
    """`joint_limits` of `motion.h`."""
    return ProfileLimits(config.ddq_max_rad_s2[i], config.dddq_max_rad_s3[i], float(config.tick_ns) * 1e-9)


def _verify_joint(config: Config, i: int, profile: StopProfile, stop: StopCertificate) -> Reason:
    margin = smaller(config.q_max_rad[i] - profile.q_high, profile.q_low - config.q_min_rad[i])
    if i == 0 or margin < stop.margin_rad:
        stop.margin_rad = margin
        stop.margin_joint = i
    stop.ticks = larger(stop.ticks, float(profile.ticks))
    inside = margin >= -_SLACK * (
        config.q_max_rad[i] - config.q_min_rad[i]
    ) and profile.speed_max <= config.dq_max_rad_s[i] * (1.0 + _SLACK)
    return NONE if inside else Reason.LIMIT_BRAKING


def _moment_at(profiles: Sequence[StopProfile], ticks: int, tick: float) -> _StopMoment:
    moment = _StopMoment([], [], [], [])
    for profile in profiles:
        q, v = stop_profile_at(profile, ticks, tick)
        moment.q.append(q)
        moment.v.append(v)
        moment.peak.append(profile.speed_max if ticks < profile.peak_tick else magnitude(v))
        moment.still.append(2.0 * (profile.q_high - profile.q_low) if profile.turns else magnitude(profile.q_end - q))
    return moment


def _weighted(reach_m: Sequence[float], of_joint: Sequence[float]) -> float:
    total = 0.0
    for i, value in enumerate(of_joint):
        total += reach_m[i] * value
    return total


def _free_ticks(room_m: float, reach_m: Sequence[float], moment: _StopMoment, tick: float) -> float:
    if _weighted(reach_m, moment.still) <= room_m:
        return math.inf
    return divide(room_m, _weighted(reach_m, moment.peak) * tick)


def _look_at_distances(config: Config, pose: Pose, moment: _StopMoment, stop: StopCertificate) -> float:
    model = config.geometry
    tick = float(config.tick_ns) * 1e-9
    clearance = clearance_at(model, pose)
    ticks = math.inf
    for c in range(model.n_capsules):
        room = clearance.world_m[c] - config.clearance_min_m
        stop.margin_m = smaller(stop.margin_m, clearance.world_m[c])
        ticks = smaller(ticks, _free_ticks(room, model.reach_m[c], moment, tick))
    for p in range(model.n_pairs):
        room = clearance.pair_m[p] - config.clearance_min_m
        stop.margin_m = smaller(stop.margin_m, clearance.pair_m[p])
        ticks = smaller(ticks, _free_ticks(room, model.pair_reach_m[p], moment, tick))
    return ticks


def _look_at_tool(config: Config, speed_max_m_s: float, pose: Pose, moment: _StopMoment) -> float:
    model = config.geometry
    tick = float(config.tick_ns) * 1e-9
    velocity = [0.0, 0.0, 0.0]
    bound = 0.0
    gain = 0.0
    spin = 0.0
    swing = 0.0
    outer = 0.0
    columns = tool_columns(model, pose)
    for i in reversed(range(model.n_joints)):
        if model.tool_reach_m[i] == 0.0:
            continue
        column = columns[i]
        longest = math.sqrt(column[0] * column[0] + column[1] * column[1] + column[2] * column[2]) + swing
        for k in range(3):
            velocity[k] = column[k] * moment.v[i] + velocity[k]
        bound += longest * moment.peak[i]
        gain += longest * config.ddq_max_rad_s2[i] + outer * moment.peak[i]
        spin += moment.peak[i]
        swing += model.tool_reach_m[i] * moment.still[i]
        outer += model.tool_reach_m[i] * moment.peak[i]
    if bound <= speed_max_m_s:
        return math.inf
    speed_m_s = math.sqrt(velocity[0] * velocity[0] + velocity[1] * velocity[1] + velocity[2] * velocity[2])
    if speed_m_s > speed_max_m_s * (1.0 + _SLACK):
        return -1.0
    return divide(larger(0.0, speed_max_m_s - speed_m_s), (gain + bound * spin) * tick)


def _walk(
    config: Config, tool_speed_max_m_s: float, profiles: Sequence[StopProfile], poses: int, stop: StopCertificate
) -> tuple[Reason, int]:
    tick = float(config.tick_ns) * 1e-9
    narrowest = Reason.LIMIT_GEOMETRY
    at = 0
    while poses > 0:
        poses -= 1
        moment = _moment_at(profiles, at, tick)
        pose = pose_at(config.geometry, moment.q)
        clear = _look_at_distances(config, pose, moment, stop)
        if stop.margin_m < config.clearance_min_m - _SLACK_M:
            return Reason.LIMIT_GEOMETRY, poses
        slow = _look_at_tool(config, tool_speed_max_m_s, pose, moment)
        if slow < 0.0:
            return Reason.LIMIT_TOOL_SPEED, poses
        free = smaller(clear, slow)
        ticks = larger(1.0, floor(free))
        if ticks >= stop.ticks - float(at):
            return NONE, poses
        at += int(ticks)
        narrowest = Reason.LIMIT_GEOMETRY if free == clear else Reason.LIMIT_TOOL_SPEED
    return narrowest, poses


def verify_stop(
    config: Config, tool_speed_max_m_s: float, joints: Sequence[ProfileState], poses: int
) -> tuple[Reason, int, StopCertificate]:
    """`verify_stop` of `motion.h`: the reasons, what is left of the poses, and the certificate."""
    profiles = []
    reasons = NONE
    stop = StopCertificate()
    for i in range(config.n_joints):
        profiles.append(stop_profile_of(joints[i], joint_limits(config, i)))
        reasons |= _verify_joint(config, i, profiles[i], stop)
    if reasons or config.geometry.n_joints == 0:
        return reasons, poses, stop
    reasons, poses = _walk(config, tool_speed_max_m_s, profiles, poses, stop)
    return reasons, poses, stop


def posture_speed_scale(config: Config, q_rad: Sequence[float]) -> float:
    """`posture_speed_scale` of `motion.h`."""
    if config.manipulability_slow_below == 0.0:
        return 1.0
    pose = pose_at(config.geometry, q_rad)
    above = manipulability(config.geometry, pose) - config.manipulability_stop_below
    return clamp(above / (config.manipulability_slow_below - config.manipulability_stop_below), 0.1, 1.0)
