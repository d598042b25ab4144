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
from edge_runtime.safety.reference_geometry import (
    Geometry,
    Places,
    Pose,
    manipulability,
    moved_by,
    pair_m,
    places_at,
    pose_at,
    tool_columns,
    world_m,
)
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
    return ProfileLimits(config.ddq_max[i], config.dddq_max[i], float(config.tick_ns) * 1e-9)


def _verify_joint(config: Config, i: int, profile: StopProfile, stop: StopCertificate) -> Reason:
    margin = smaller(config.q_max[i] - profile.q_high, profile.q_low - config.q_min[i])
    if i == 0 or margin < stop.margin_rad:
        stop.margin_rad = margin
        stop.margin_joint = i
    stop.ticks = larger(stop.ticks, float(profile.ticks))
    inside = margin >= -_SLACK * (config.q_max[i] - config.q_min[i]) and profile.speed_max <= config.dq_max[i] * (
        1.0 + _SLACK
    )
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


@dataclass(slots=True)
class _StopTravel:
    still: list[dict[int, float]]
    pace: list[dict[int, float]]


def _travel_of(model: Geometry, moment: _StopMoment, tick: float, capsule: int, travel: _StopTravel) -> None:
    reach_m = model.reach_m[capsule]
    still: dict[int, float] = {}
    pace: dict[int, float] = {}
    way = 0.0
    speed = 0.0
    for i in moved_by(model, model.capsules[capsule].link):
        still[i + 1] = way
        pace[i + 1] = speed * tick
        way += reach_m[i] * moment.still[i]
        speed += reach_m[i] * moment.peak[i]
    still[0] = way
    pace[0] = speed * tick
    travel.still.append(still)
    travel.pace.append(pace)


def _free_ticks(room_m: float, still: float, pace: float) -> float:
    return math.inf if still <= room_m else divide(room_m, pace)


def _gap_of(model: Geometry, places: Places, pair: int) -> tuple[float, float]:
    first, second = model.pairs[pair]
    start, end = places.middle_m[first], places.middle_m[second]
    x, y, z = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    return x * x + y * y + z * z, model.ball_m[first] + model.ball_m[second] - model.pair_nearer_m[pair]


def _is_wider(gap: tuple[float, float], than_m: float) -> bool:
    between2_m2, balls_m = gap
    least_m = balls_m + than_m
    return between2_m2 >= least_m * least_m


def _look_at_pair(
    config: Config, places: Places, travel: _StopTravel, pair: int, ticks: float, stop: StopCertificate
) -> tuple[bool, float]:
    model = config.geometry
    first, second = model.pairs[pair]
    seen_from = model.pair_root[pair] + 1
    still = travel.still[first][seen_from] + travel.still[second][seen_from]
    pace = travel.pace[first][seen_from] + travel.pace[second][seen_from]
    gap = _gap_of(model, places, pair)
    needed_m = config.clearance_min_m + smaller(still, pace * ticks)
    stop.looked += 1
    if _is_wider(gap, larger(stop.margin_m, needed_m)):
        return not _is_wider(gap, config.clearance_min_m + still), ticks
    clear_m = pair_m(model, places, pair)
    stop.measured += 1
    stop.margin_m = smaller(stop.margin_m, clear_m)
    room_m = clear_m - config.clearance_min_m
    return still > room_m, smaller(ticks, _free_ticks(room_m, still, pace))


def _look_at_distances(
    config: Config, pose: Pose, moment: _StopMoment, watched: list[int], stop: StopCertificate
) -> float:
    model = config.geometry
    tick = float(config.tick_ns) * 1e-9
    places = places_at(model, pose)
    travel = _StopTravel([], [])
    ticks = math.inf
    left = []
    for c in range(model.n_capsules):
        clear_m = world_m(model, places, c)
        _travel_of(model, moment, tick, c, travel)
        stop.margin_m = smaller(stop.margin_m, clear_m)
        ticks = smaller(ticks, _free_ticks(clear_m - config.clearance_min_m, travel.still[c][0], travel.pace[c][0]))
    for pair in watched:
        again, ticks = _look_at_pair(config, places, travel, pair, ticks, stop)
        if again:
            left.append(pair)
    watched[:] = left
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
        gain += longest * config.ddq_max[i] + outer * moment.peak[i]
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
    watched = list(range(config.geometry.n_pairs))
    while poses > 0:
        poses -= 1
        moment = _moment_at(profiles, at, tick)
        pose = pose_at(config.geometry, moment.q)
        clear = _look_at_distances(config, pose, moment, watched, stop)
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


def posture_speed_scale(config: Config, q: Sequence[float]) -> float:
    """`posture_speed_scale` of `motion.h`."""
    if config.manipulability_slow_below == 0.0:
        return 1.0
    pose = pose_at(config.geometry, q)
    above = manipulability(config.geometry, pose) - config.manipulability_stop_below
    return clamp(above / (config.manipulability_slow_below - config.manipulability_stop_below), 0.1, 1.0)
