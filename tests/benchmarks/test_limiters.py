"""The benchmark finds the violations that are there, and none where there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.limiters import clip, ours, run, step_clip
from benchmarks.setpoints import ADVERSARIAL, robot, smooth, without_geometry
from benchmarks.violations import violations

_, SHIPPED, HOME = robot()
LIMITS = replace(SHIPPED, step_max=(1e3,) * HOME.size)
LIMIT_NAMES = ("position", "velocity", "acceleration", "jerk", "clearance")
TICKS = 600


def ticks_beyond(commands: np.ndarray) -> dict[str, float]:
    return {limit: found["ticks"] for limit, found in violations(LIMITS, HOME, commands).items()}


def test_rest_breaks_no_limit() -> None:
    assert set(ticks_beyond(np.repeat(HOME[None], 10, axis=0)).values()) == {0}


@pytest.mark.parametrize(
    ("share", "broken"),
    [(0.99, set()), (1.01, {"velocity"})],
)
def test_a_speed_is_held_against_its_limit(share: float, broken: set[str]) -> None:
    rates = np.zeros(HOME.size)
    rates[3] = share * LIMITS.dq_max[3] * 1e-3
    # Gathers speed for so long that neither acceleration nor jerk comes near its limit.
    parts = np.minimum(np.arange(1, 2000) / 1500.0, 1.0) ** 2
    commands = HOME + np.cumsum(parts[:, None] * rates, axis=0)
    assert {limit for limit in LIMIT_NAMES[1:4] if ticks_beyond(commands)[limit]} == broken


def test_a_jump_is_counted_with_the_factor_of_the_worst_joint() -> None:
    commands = np.repeat(HOME[None], 10, axis=0)
    commands[4:, 2] += 0.01
    found = violations(LIMITS, HOME, commands)
    assert found["velocity"] == {"ticks": 1, "worst_times": pytest.approx(10.0 / LIMITS.dq_max[2])}
    assert found["acceleration"]["ticks"] == 2
    assert found["jerk"]["ticks"] == 3


def test_a_place_outside_the_range_is_counted() -> None:
    commands = np.repeat(HOME[None], 10, axis=0)
    commands[5, 0] = LIMITS.q_max[0] + 0.25
    assert violations(LIMITS, HOME, commands)["position"] == {"ticks": 1, "worst_rad": pytest.approx(0.25)}


def test_a_posture_in_which_the_arm_reaches_into_the_table_is_counted() -> None:
    commands = np.repeat(HOME[None], 10, axis=0)
    commands[6:, 1] += 1.4
    found = violations(LIMITS, HOME, commands)["clearance"]
    assert found["ticks"] == 4
    assert found["worst_m"] > 0.05


def test_a_command_that_is_no_number_is_counted_once_and_moves_nothing() -> None:
    commands = np.repeat(HOME[None], 10, axis=0)
    commands[3, 1], commands[7, 5] = np.nan, np.inf
    assert ticks_beyond(commands) == dict.fromkeys(LIMIT_NAMES, 0) | {"no_number": 2}


@pytest.mark.parametrize("kind", ADVERSARIAL)
def test_clips_break_limits_that_the_kernel_keeps(kind: str) -> None:
    rows = ADVERSARIAL[kind](LIMITS, HOME, TICKS, 1)
    for limiter in (clip, step_clip):
        assert ticks_beyond(run(limiter(LIMITS, HOME), rows)[0])["jerk"] > 0
    assert set(ticks_beyond(run(ours(LIMITS, HOME), rows)[0]).values()) == {0}
    bare = ticks_beyond(run(ours(without_geometry(LIMITS), HOME), rows)[0])
    del bare["clearance"]
    assert set(bare.values()) == {0}


def test_motion_inside_the_limits_passes_unchanged() -> None:
    rows = smooth(LIMITS, HOME, TICKS, 1)
    for limiter in (clip, step_clip, ours):
        assert np.abs(run(limiter(LIMITS, HOME), rows)[0] - rows).max() <= 1e-12
