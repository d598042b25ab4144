"""`profile.c` once more, line for line; see `profile.h`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_runtime.safety.reference.number import ceil, clamp, floor, larger, magnitude, smaller

_REST = 1e-12


class ProfileState(NamedTuple):
    """`profile_state`."""

    q: float
    v: float
    a: float


class ProfileLimits(NamedTuple):
    """`profile_limits`."""

    accel_max: float
    jerk_max: float
    tick: float


@dataclass(slots=True)
class ProfileSegment:
    """`profile_segment`."""

    state: ProfileState
    accel: float
    step: float
    ticks: int


@dataclass(slots=True)
class StopProfile:
    """`stop_profile`; its segments are as many as there are."""

    q_low: float
    q_high: float
    speed_max: float
    segments: list[ProfileSegment] = field(default_factory=list)
    ticks: int = 0
    peak_tick: int = 0
    turns: bool = False
    q_end: float = 0.0


def _landing_ticks(distance: float, slope: float, tick: float) -> float:
    return floor((math.sqrt(1.0 + 8.0 * (distance / (slope * tick * tick))) - 1.0) * 0.5)


def landing_rate(distance: float, slope: float, tick: float) -> float:
    """`landing_rate` of `profile.h`."""
    way = larger(0.0, distance)
    n = _landing_ticks(way, slope, tick)
    return (way / tick + slope * tick * (n * (n + 1.0) * 0.5)) / (n + 1.0)


def _braking_rate(speed: float, limits: ProfileLimits) -> float:
    return smaller(limits.accel_max, landing_rate(speed, limits.jerk_max, limits.tick))


def stop_accel(v: float, a: float, limits: ProfileLimits) -> float:
    """`stop_accel` of `profile.h`."""
    step = limits.jerk_max * limits.tick
    rate = _braking_rate(magnitude(v), limits)
    return clamp(-rate if v > 0.0 else rate, a - step, a + step)


def profile_tick(state: ProfileState, a: float, limits: ProfileLimits) -> ProfileState:
    """`profile_tick` of `profile.h`."""
    v = state.v + limits.tick * a
    rounding = _REST * limits.jerk_max * limits.tick * limits.tick
    following = 0.0 if magnitude(v) <= rounding else v
    return ProfileState(state.q + limits.tick * following, following, a)


def _segment_speed(segment: ProfileSegment, k: float, tick: float) -> float:
    return segment.state.v + tick * (k * segment.accel + segment.step * (k * (k - 1.0) * 0.5))


def _segment_position(segment: ProfileSegment, k: float, tick: float) -> float:
    bends = segment.accel * (k * (k + 1.0) * 0.5) + segment.step * ((k - 1.0) * k * (k + 1.0) / 6.0)
    return segment.state.q + tick * (k * segment.state.v + tick * bends)


def _reach(profile: StopProfile, q: float) -> None:
    profile.q_low = smaller(profile.q_low, q)
    profile.q_high = larger(profile.q_high, q)


def _append(profile: StopProfile, segment: ProfileSegment, tick: float) -> ProfileState:
    k = float(segment.ticks)
    end = ProfileState(
        _segment_position(segment, k, tick),
        _segment_speed(segment, k, tick),
        segment.accel + (k - 1.0) * segment.step,
    )
    profile.segments.append(segment)
    profile.ticks += segment.ticks
    _reach(profile, end.q)
    return end


def _swing_through(state: ProfileState, side: float, limits: ProfileLimits, profile: StopProfile) -> ProfileState:
    step = limits.jerk_max * limits.tick
    twice = -2.0 * (side * state.a) / step - 1.0
    y = side * state.v / (step * limits.tick)
    ticks = ceil((twice - math.sqrt(twice * twice - 8.0 * y)) * 0.5)
    segment = ProfileSegment(state, state.a + side * step, side * step, int(ticks))
    _reach(profile, _segment_position(segment, ticks - 1.0, limits.tick))
    end = _append(profile, segment, limits.tick)
    profile.turns = True
    profile.peak_tick = segment.ticks
    return end


def _build_up(state: ProfileState, side: float, limits: ProfileLimits, profile: StopProfile) -> ProfileState:
    step = limits.jerk_max * limits.tick
    b = side * state.a / step
    y = side * state.v / (step * limits.tick)
    m = floor(1.0 - b)
    f = 1.0 - b - m
    square = f * f - f + y + m * (m - 1.0) * 0.5 + m * f
    must_land = ceil(math.sqrt(larger(0.0, square)) - f) - m
    may_not = ceil(limits.accel_max / step + b - 1.0)
    ticks = larger(0.0, smaller(must_land, may_not))
    segment = ProfileSegment(state, state.a - side * step, -side * step, int(ticks))
    peak = clamp(floor(b), 0.0, ticks)
    profile.peak_tick += int(peak)
    profile.speed_max = larger(profile.speed_max, side * _segment_speed(segment, peak, limits.tick))
    return _append(profile, segment, limits.tick)


def _hold_braking(state: ProfileState, side: float, limits: ProfileLimits, profile: StopProfile) -> ProfileState:
    step = limits.jerk_max * limits.tick
    n = floor(limits.accel_max / step)
    landing = limits.tick * ((n + 1.0) * limits.accel_max - step * (n * (n + 1.0) * 0.5))
    ticks = floor((side * state.v - landing) / (limits.accel_max * limits.tick)) + 1.0
    segment = ProfileSegment(state, -side * limits.accel_max, 0.0, int(larger(0.0, ticks)))
    return _append(profile, segment, limits.tick)


def _land(state: ProfileState, side: float, limits: ProfileLimits, profile: StopProfile) -> None:
    speed = side * state.v
    ticks = _landing_ticks(speed, limits.jerk_max, limits.tick) + 1.0
    segment = ProfileSegment(
        state,
        -side * landing_rate(speed, limits.jerk_max, limits.tick),
        side * limits.jerk_max * limits.tick,
        int(ticks),
    )
    profile.q_end = _append(profile, segment, limits.tick).q
    profile.ticks += 1


def stop_profile_of(state: ProfileState, limits: ProfileLimits) -> StopProfile:
    """`stop_profile_of` of `profile.h`."""
    step = limits.jerk_max * limits.tick
    side = 1.0 if state.v > 0.0 or (state.v == 0.0 and state.a > 0.0) else -1.0
    profile = StopProfile(q_low=state.q, q_high=state.q, speed_max=magnitude(state.v))
    if side * state.a * (1.0 - _REST) + step < -_braking_rate(magnitude(state.v), limits):
        state = _swing_through(state, side, limits, profile)
        side = -side
    state = _build_up(state, side, limits, profile)
    state = _hold_braking(state, side, limits, profile)
    _land(state, side, limits, profile)
    return profile


def stop_profile_at(profile: StopProfile, ticks: int, tick_s: float) -> tuple[float, float]:
    """`stop_profile_at` of `profile.h`: position and speed."""
    for segment in profile.segments:
        if ticks < segment.ticks:
            k = float(ticks)
            return _segment_position(segment, k, tick_s), _segment_speed(segment, k, tick_s)
        ticks -= segment.ticks
    return profile.q_end, 0.0
