"""`walk.c` once more, line for line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_runtime.safety.reference.number import divide, floor, larger, magnitude, smaller
from edge_runtime.safety.reference.profile import (
    ProfileLimits,
    ProfileState,
    StopProfile,
    stop_profile_at,
    stop_profile_of,
)
from edge_runtime.safety.reference.structs import (
    NO_MARGIN_M,
    NONE,
    Base,
    Config,
    StopCertificate,
    is_gripper,
    is_joint,
    is_velocity,
    needs_odometry,
)
from edge_runtime.safety.reference_geometry import (
    Geometry,
    Places,
    Pose,
    manipulability,
    moved_by,
    pair_m,
    places_at,
    pose_at,
    sine_cosine,
    tool_at,
    tool_columns,
    world_m,
)
from edge_runtime.safety.states import Reason

_SLACK = 1e-11
_SLACK_M = 1e-12
_INTERVALS = 96


@dataclass(slots=True)
class _StopMoment:
    q: list[float]
    v: list[float]
    peak: list[float]
    still: list[float]


def axis_limits(config: Config, i: int) -> ProfileLimits:
    """`axis_limits` of `motion.h`."""
    return ProfileLimits(config.ddq_max[i], config.dddq_max[i], float(config.tick_ns) * 1e-9)


def _tick_s(config: Config) -> float:
    return float(config.tick_ns) * 1e-9


def end_speed(config: Config, end: int, i: int, q: float) -> float:
    """`end_speed` of `motion.h`."""
    slope = config.end_speed_slope[end][i]
    zero = config.end_speed_zero[end][i]
    room = q - zero if end == 0 else zero - q
    return larger(0.0, math.sqrt(larger(0.0, slope * room)) - config.end_speed_offset[end][i])


def _is_slow_enough(config: Config, end: int, i: int, v: float, q: float) -> bool:
    return v <= end_speed(config, end, i, q) * (1.0 + _SLACK) + _SLACK * config.dq_max[i]


def _peak_from(profile: StopProfile, ticks: int, v: float) -> float:
    return profile.speed_max if ticks < profile.peak_tick else magnitude(v)


def _keeps_between(config: Config, end: int, i: int, profile: StopProfile, start: int, to: int) -> bool:
    side = -1.0 if end == 0 else 1.0
    q, v = stop_profile_at(profile, start, _tick_s(config))
    if start == to:
        return _is_slow_enough(config, end, i, side * v, q)
    fastest = _peak_from(profile, start, v)
    q, v = stop_profile_at(profile, to, _tick_s(config))
    if profile.turns:
        q = profile.q_low if end == 0 else profile.q_high
    return _is_slow_enough(config, end, i, fastest, q)


def _keeps_end_speed(config: Config, end: int, i: int, profile: StopProfile) -> bool:
    start = profile.segments[0].state.q
    way = start - profile.q_low if end == 0 else profile.q_high - start
    at = 0
    length = profile.ticks
    if way == 0.0 and not profile.turns:
        return _keeps_between(config, end, i, profile, 0, 0)
    for _ in range(_INTERVALS):
        if _keeps_between(config, end, i, profile, at, at + length):
            at += length + 1
            if at == profile.ticks + 1:
                return True
            length = 2 * length + 1
        elif length == 0:
            return False
        else:
            length //= 2
        length = min(length, profile.ticks - at)
    return False


def _take_margin(config: Config, i: int, low: float, high: float, stop: StopCertificate) -> float:
    margin = smaller(config.q_max[i] - high, low - config.q_min[i])
    if margin < stop.margin:
        stop.margin = margin
        stop.margin_axis = i
    return margin


def rest_margin(config: Config, q: Sequence[float], stop: StopCertificate) -> None:
    """`rest_margin` of `motion.h`."""
    for i in range(config.n_axes):
        if is_joint(config, i):
            _take_margin(config, i, q[i], q[i], stop)


def _stays_inside(config: Config, i: int, profile: StopProfile, stop: StopCertificate) -> bool:
    margin = _take_margin(config, i, profile.q_low, profile.q_high, stop)
    return (
        margin >= -_SLACK * (config.q_max[i] - config.q_min[i])
        and (config.end_speed_slope[0][i] == 0.0 or _keeps_end_speed(config, 0, i, profile))
        and (config.end_speed_slope[1][i] == 0.0 or _keeps_end_speed(config, 1, i, profile))
    )


def _verify_axis(config: Config, i: int, profile: StopProfile, stop: StopCertificate) -> Reason:
    inside = is_velocity(config, i) or _stays_inside(config, i, profile, stop)
    stop.ticks = larger(stop.ticks, float(profile.ticks))
    return NONE if inside and profile.speed_max <= config.dq_max[i] * (1.0 + _SLACK) else Reason.LIMIT_BRAKING


def _moment_at(config: Config, profiles: Sequence[StopProfile | None], ticks: int) -> _StopMoment:
    """Of a gripper, which has no profile, it means nothing."""
    moment = _StopMoment([], [], [], [])
    for profile in profiles:
        if profile is None:
            for values in (moment.q, moment.v, moment.peak, moment.still):
                values.append(0.0)
            continue
        q, v = stop_profile_at(profile, ticks, _tick_s(config))
        moment.q.append(q)
        moment.v.append(v)
        moment.peak.append(_peak_from(profile, ticks, v))
        moment.still.append(2.0 * (profile.q_high - profile.q_low) if profile.turns else magnitude(profile.q_end - q))
    return moment


@dataclass(slots=True)
class _JointMoment:
    v: list[float]
    peak: list[float]
    still: list[float]


def _joints_at(model: Geometry, moment: _StopMoment) -> _JointMoment:
    joints = _JointMoment([], [], [])
    for j in range(model.n_joints):
        axis = model.joints[j].axis
        ratio = model.joints[j].ratio
        joints.v.append(ratio * moment.v[axis])
        joints.peak.append(magnitude(ratio) * moment.peak[axis])
        joints.still.append(magnitude(ratio) * moment.still[axis])
    return joints


@dataclass(slots=True)
class _BaseMoment:
    pose: list[float]
    off_m: float = 0.0
    off_rad: float = 0.0
    still_m: float = 0.0
    still_rad: float = 0.0
    peak_m_s: float = 0.0
    peak_rad_s: float = 0.0


def _base_at(config: Config, base: Base, moment: _StopMoment) -> _BaseMoment:
    at = _BaseMoment(list(base.pose))
    way = [0.0, 0.0, 0.0]
    for k in range(3):
        i = config.base_axis[k]
        if i < 0:
            continue
        way[k] = moment.q[i] - base.told[k]
        if k == 2:
            at.still_rad += moment.still[i]
            at.peak_rad_s += moment.peak[i]
        else:
            at.still_m += moment.still[i]
            at.peak_m_s += moment.peak[i]
    sine, cosine = sine_cosine(base.pose[2])
    at.pose[0] += cosine * way[0] - sine * way[1]
    at.pose[1] += sine * way[0] + cosine * way[1]
    at.pose[2] += way[2]
    at.off_m = base.lag_m
    at.off_rad = base.lag_rad
    return at


@dataclass(slots=True)
class _StopTravel:
    still: list[dict[int, float]]
    pace: list[dict[int, float]]


def _travel_of(model: Geometry, joints: _JointMoment, tick: float, capsule: int, travel: _StopTravel) -> None:
    reach_m = model.reach_m[capsule]
    still: dict[int, float] = {}
    pace: dict[int, float] = {}
    way = 0.0
    speed = 0.0
    for i in moved_by(model, model.capsules[capsule].link):
        still[i + 1] = way
        pace[i + 1] = speed * tick
        way += reach_m[i] * joints.still[i]
        speed += reach_m[i] * joints.peak[i]
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
    config: Config,
    base: _BaseMoment,
    pose: Pose,
    joints: _JointMoment,
    watched: list[int],
    stop: StopCertificate,
) -> float:
    model = config.geometry
    tick = _tick_s(config)
    places = places_at(model, pose)
    travel = _StopTravel([], [])
    ticks = math.inf
    left = []
    for c in range(model.n_capsules):
        reach_m = model.base_reach_m[c]
        clear_m = world_m(model, places, c)
        if clear_m < NO_MARGIN_M:
            clear_m -= base.off_m + reach_m * base.off_rad
        _travel_of(model, joints, tick, c, travel)
        stop.margin_m = smaller(stop.margin_m, clear_m)
        free = _free_ticks(
            clear_m - config.clearance_min_m,
            travel.still[c][0] + (base.still_m + reach_m * base.still_rad),
            travel.pace[c][0] + (base.peak_m_s + reach_m * base.peak_rad_s) * tick,
        )
        ticks = smaller(ticks, free)
    for pair in watched:
        again, ticks = _look_at_pair(config, places, travel, pair, ticks, stop)
        if again:
            left.append(pair)
    watched[:] = left
    return ticks


def _length_of(vector: Sequence[float]) -> float:
    return math.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])


@dataclass(slots=True)
class _ToolSpeed:
    velocity: list[float]
    bound: float = 0.0
    gain: float = 0.0
    spin: float = 0.0
    swing: float = 0.0
    outer: float = 0.0


def _add_joint(
    tool: _ToolSpeed,
    column: Sequence[float],
    slides: bool,
    reach_m: float,
    v: float,
    peak: float,
    still: float,
    accel_max: float,
) -> None:
    longest = _length_of(column) + (0.0 if slides else tool.swing)
    for k in range(3):
        tool.velocity[k] = column[k] * v + tool.velocity[k]
    tool.bound += longest * peak
    tool.gain += longest * accel_max + (0.0 if slides else tool.outer * peak)
    tool.spin += 0.0 if slides else peak
    tool.swing += reach_m * still
    tool.outer += reach_m * peak


def _add_base(config: Config, pose: Pose, t: int, moment: _StopMoment, tool: _ToolSpeed) -> None:
    turn = pose.base_rotation
    axis_m = pose.base_origin_m
    tool_m = tool_at(config.geometry, pose, t)
    columns = ((turn[0], turn[3], 0.0), (turn[1], turn[4], 0.0), (axis_m[1] - tool_m[1], tool_m[0] - axis_m[0], 0.0))
    for k in (2, 1, 0):
        i = config.base_axis[k]
        if i < 0:
            continue
        _add_joint(tool, columns[k], k != 2, 0.0, moment.v[i], moment.peak[i], moment.still[i], config.ddq_max[i])


def _look_at_tool(
    config: Config, speed_max_m_s: float, pose: Pose, t: int, moment: _StopMoment, joints: _JointMoment
) -> float:
    model = config.geometry
    reach_m = model.tool_reach_m[t]
    tool = _ToolSpeed([0.0, 0.0, 0.0])
    columns = tool_columns(model, pose, t)
    for i in reversed(range(model.n_joints)):
        joint = model.joints[i]
        if reach_m[i] == 0.0:
            continue
        accel_max = magnitude(joint.ratio) * config.ddq_max[joint.axis]
        _add_joint(
            tool,
            columns[i],
            bool(joint.slides),
            reach_m[i],
            joints.v[i],
            joints.peak[i],
            joints.still[i],
            accel_max,
        )
    _add_base(config, pose, t, moment, tool)
    if tool.bound <= speed_max_m_s:
        return math.inf
    speed_m_s = _length_of(tool.velocity)
    if speed_m_s > speed_max_m_s * (1.0 + _SLACK):
        return -1.0
    return divide(larger(0.0, speed_max_m_s - speed_m_s), (tool.gain + tool.bound * tool.spin) * _tick_s(config))


def _look_at_tools(
    config: Config, speed_max_m_s: float, pose: Pose, moment: _StopMoment, joints: _JointMoment
) -> float:
    ticks = math.inf
    for t in range(config.geometry.n_tools):
        most_m_s = smaller(config.tool_speed_max_m_s[t], speed_max_m_s)
        ticks = smaller(ticks, _look_at_tool(config, most_m_s, pose, t, moment, joints))
    return ticks


def _bend_of(base: _BaseMoment, tick: float) -> float:
    return (base.still_m + base.peak_m_s * tick) * (base.still_rad + base.peak_rad_s * tick + base.off_rad)


def _walk(
    config: Config,
    tool_speed_max_m_s: float,
    base: Base,
    profiles: Sequence[StopProfile | None],
    poses: int,
    stop: StopCertificate,
) -> tuple[Reason, int]:
    narrowest = Reason.LIMIT_GEOMETRY
    at = 0
    tick = _tick_s(config)
    drives = needs_odometry(config)
    there = _BaseMoment([0.0, 0.0, 0.0])
    bend_m = 0.0
    watched = list(range(config.geometry.n_pairs))
    while poses > 0:
        poses -= 1
        moment = _moment_at(config, profiles, at)
        joints = _joints_at(config.geometry, moment)
        if drives:
            there = _base_at(config, base, moment)
            if at == 0:
                bend_m = _bend_of(there, tick)
            there.off_m += bend_m
        pose = pose_at(config.geometry, there.pose, moment.q)
        clear = _look_at_distances(config, there, pose, joints, watched, stop)
        if stop.margin_m < config.clearance_min_m - _SLACK_M:
            return Reason.LIMIT_GEOMETRY, poses
        slow = _look_at_tools(config, tool_speed_max_m_s, pose, moment, joints)
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
    config: Config, tool_speed_max_m_s: float, base: Base, axes: Sequence[ProfileState], poses: int
) -> tuple[Reason, int, StopCertificate]:
    """`verify_stop` of `motion.h`: the reasons, what is left of the poses, and the certificate."""
    profiles: list[StopProfile | None] = []
    reasons = NONE
    stop = StopCertificate()
    for i in range(config.n_axes):
        if is_gripper(config, i):
            profiles.append(None)
            continue
        profile = stop_profile_of(axes[i], axis_limits(config, i))
        profiles.append(profile)
        reasons |= _verify_axis(config, i, profile, stop)
    if reasons or config.geometry.n_capsules == 0:
        return reasons, poses, stop
    reasons, poses = _walk(config, tool_speed_max_m_s, base, profiles, poses, stop)
    return reasons, poses, stop


def posture_speed_scale(config: Config, q: Sequence[float]) -> float:
    """`posture_speed_scale` of `motion.h`."""
    stop_below = config.manipulability_stop_below
    scale = 1.0
    if config.manipulability_slow_below == 0.0:
        return scale
    pose = pose_at(config.geometry, (0.0, 0.0, 0.0), q)
    for t in range(config.geometry.n_tools):
        above = manipulability(config.geometry, pose, t) - stop_below
        scale = smaller(scale, larger(0.1, above / (config.manipulability_slow_below - stop_below)))
    return scale
