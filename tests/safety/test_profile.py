"""A stop in closed form is the same stop tick by tick, whatever state it starts from.

The functions are the reference's; `test_reference.py` holds the C ones to them bit for bit."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from edge_runtime.safety.reference.number import magnitude
from edge_runtime.safety.reference.profile import (
    ProfileLimits,
    ProfileState,
    landing_rate,
    profile_tick,
    stop_accel,
    stop_profile_at,
    stop_profile_of,
)

Start = Callable[[random.Random], tuple[ProfileState, ProfileLimits]]


def random_start(generator: random.Random) -> tuple[ProfileState, ProfileLimits]:
    """Any joint in motion, corners included: at rest, coasting, at full acceleration."""
    tick = generator.choice((5e-4, 1e-3, 2e-3))
    accel_max = 10.0 ** generator.uniform(-1, 2)
    step = accel_max * 10.0 ** generator.uniform(-2.5, 0.5)
    v_max = accel_max * 10.0 ** generator.uniform(-2, 0)
    v, a = generator.uniform(-v_max, v_max), generator.uniform(-accel_max, accel_max)
    corner = generator.randrange(6)
    if corner == 0:
        v = 0.0
    elif corner == 1:
        a = 0.0
    elif corner == 2:
        v = generator.uniform(-3.0, 3.0) * step * tick
    elif corner == 3:
        a = generator.choice((-accel_max, accel_max))
    return ProfileState(0.3, v, a), ProfileLimits(accel_max, step / tick, tick)


def landing_start(generator: random.Random) -> tuple[ProfileState, ProfileLimits]:
    """A joint whose braking, released by one step per tick, ends at a speed of zero but for rounding."""
    tick, step = 1e-3, 10.0 ** generator.uniform(-1, 1)
    a = step * generator.uniform(1.0, 30.0)
    n = int(a / step)
    v = (n * a - step * (n * (n + 1) / 2)) * tick
    side = generator.choice((-1.0, 1.0))
    return ProfileState(0.3, side * v, -side * a), ProfileLimits(a * generator.uniform(1.0, 2.0), step / tick, tick)


@pytest.mark.parametrize(("random_state", "count"), [(random_start, 2000), (landing_start, 3000)])
def test_closed_form_is_the_stop_tick_by_tick(random_state: Start, count: int) -> None:
    generator = random.Random(1)
    for _ in range(count):
        start, limits = random_state(generator)
        step = limits.jerk_max * limits.tick
        profile = stop_profile_of(start, limits)
        near = 1e-11 * (profile.speed_max + step * limits.tick)
        state, ticks, last_rise = start, 0, 0
        low = high = start.q
        fastest = magnitude(start.v)
        while True:
            q, v = stop_profile_at(profile, ticks, limits.tick)
            assert magnitude(q - state.q) <= near + 1e-15
            assert magnitude(v - state.v) <= near
            if state.v == 0.0 and state.a == 0.0:
                break
            accel = stop_accel(state.v, state.a, limits)
            assert magnitude(accel) <= limits.accel_max
            assert magnitude(accel - state.a) <= step * (1.0 + 1e-12)
            after = profile_tick(state, accel, limits)
            ticks += 1
            if magnitude(after.v) > magnitude(state.v) + near:
                last_rise = ticks
            state = after
            low, high, fastest = min(low, state.q), max(high, state.q), max(fastest, magnitude(state.v))
        assert profile.q_end == pytest.approx(state.q, abs=near + 1e-15)
        assert (profile.q_low, profile.q_high) == pytest.approx((low, high), abs=near + 1e-15)
        assert profile.speed_max == pytest.approx(fastest, abs=near)
        assert abs(profile.ticks - ticks) <= 1
        assert profile.peak_tick >= last_rise
        assert profile.turns or not low < start.q < high


def test_landing_uses_all_of_the_distance_and_no_more() -> None:
    """Steps of `slope * tick` from the rate lead to zero, and cover exactly the distance (safety reference 2A)."""
    generator = random.Random(2)
    for _ in range(2000):
        slope, tick = 10.0 ** generator.uniform(-1, 2), 1e-3
        distance = 10.0 ** generator.uniform(-9, 0.5)
        rate, covered = landing_rate(distance, slope, tick), 0.0
        while rate > 0.0:
            covered += rate * tick
            rate -= slope * tick
        assert covered == pytest.approx(distance, rel=1e-9, abs=1e-12)
    assert landing_rate(0.0, 1.0, 1e-3) == landing_rate(-1.0, 1.0, 1e-3) == 0.0
