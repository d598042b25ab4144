"""Position, velocity and acceleration hold for any input; good motion passes unchanged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.safety import Kernel, KernelConfig, Reason, State, Verdict
from tests.safety.robot import Robot, make_config

TICK_S = 1e-3


def assert_inside(config: KernelConfig, before: Sequence[Verdict | None], verdict: Verdict) -> None:
    previous = before[-1]
    for i, (q, v) in enumerate(zip(verdict.q_rad, verdict.dq_rad_s, strict=True)):
        assert config.q_min_rad[i] <= q <= config.q_max_rad[i]
        assert abs(v) <= config.dq_max_rad_s[i] * (1 + 1e-9)
        if previous is not None:
            acceleration = (v - previous.dq_rad_s[i]) / TICK_S
            assert abs(acceleration) <= config.ddq_max_rad_s2[i] * (1 + 1e-9)
            assert q == pytest.approx(previous.q_rad[i] + TICK_S * v, abs=1e-12)
    assert config.gripper_min_m <= verdict.gripper_m <= config.gripper_max_m
    if previous is not None:
        assert abs(verdict.gripper_m - previous.gripper_m) <= config.gripper_rate_m_s * TICK_S * (1 + 1e-9)
    # The stop that starts here ends inside the range: margins are never negative (but for rounding).
    assert verdict.stop_margin_rad >= -1e-9


@st.composite
def configs(draw: st.DrawFn) -> KernelConfig:
    middle = draw(st.floats(-3.0, 3.0))
    half = draw(st.floats(1e-3, 3.0))
    return make_config(
        1,
        q_min_rad=(middle - half,),
        q_max_rad=(middle + half,),
        dq_max_rad_s=(draw(st.floats(0.01, 20.0)),),
        ddq_max_rad_s2=(draw(st.floats(0.1, 200.0)),),
        tracking_max_rad=(100.0,),
    )


wild = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True),
    st.floats(-6.0, 6.0),
    st.sampled_from([math.nan, math.inf, -math.inf, 5e-324, -5e-324, 1.7e308, -1.7e308, 0.0, -0.0]),
)


@settings(max_examples=60, deadline=None)
@given(config=configs(), setpoints=st.lists(st.tuples(wild, wild, st.integers(1, 40)), min_size=1, max_size=25))
def test_no_setpoint_leaves_the_limits(config: KernelConfig, setpoints: list[tuple[float, float, int]]) -> None:
    robot = Robot(Kernel(config), [(config.q_min_rad[0] + config.q_max_rad[0]) / 2])
    robot.arm()
    seen: list[Verdict | None] = [None]
    for q_rad, gripper_m, ticks in setpoints:
        for _ in range(ticks):
            verdict = robot.step(robot.target([q_rad], gripper_m=gripper_m))
            assert_inside(config, seen, verdict)
            seen.append(verdict)
            if not math.isfinite(q_rad) or not math.isfinite(gripper_m):
                assert verdict.state is State.HOLDING
                assert Reason.SETPOINT_NOT_FINITE in verdict.reasons


@settings(max_examples=40, deadline=None)
@given(start=st.floats(-2.4, 2.4), goal=st.floats(-2.5, 2.5))
def test_a_far_setpoint_is_reached_without_overshoot(start: float, goal: float) -> None:
    robot = Robot(Kernel(make_config(1)), [start])
    robot.arm()
    # At 2 rad/s, and with half of 10 rad/s² on arrival, 5 rad take less than 3.5 s; near the end of the range the
    # braking bound s(d) closes the last micrometres slowly.
    for _ in range(4000):
        q_rad = robot.step([goal]).q_rad[0]
        assert min(start, goal) - 1e-12 <= q_rad <= max(start, goal) + 1e-12
    assert robot.q_rad[0] == pytest.approx(goal, abs=5e-6)


def min_jerk(start: float, goal: float, share: float) -> float:
    return start + (goal - start) * share**3 * (10 - 15 * share + 6 * share**2)


@pytest.mark.parametrize(("start", "goal", "ticks"), [(0.0, 1.2, 1500), (-2.4, 2.4, 5000), (1.0, 1.0, 100)])
def test_good_motion_passes_unchanged(start: float, goal: float, ticks: int) -> None:
    robot = Robot(Kernel(make_config()), [start, -start])
    robot.arm()
    worst = 0.0
    for k in range(ticks):
        wanted = min_jerk(start, goal, (k + 1) / ticks)
        verdict = robot.step([wanted, -wanted])
        worst = max(worst, abs(verdict.q_rad[0] - wanted), abs(verdict.q_rad[1] + wanted))
        # The opening starts closed and travels; it is no part of this.
        assert not verdict.reasons & ~Reason.LIMIT_GRIPPER
    assert worst <= 1e-12


def test_nearly_full_acceleration_and_speed_pass_unchanged() -> None:
    """A hair below the limits: at them, a setpoint's own rounding is outside, and the limits are strict."""
    share = 1.0 - 1e-9
    robot = Robot(Kernel(make_config(1)), [-2.0])
    robot.arm()
    q, worst = -2.0, 0.0
    for k in range(1800):
        v = min(2.0, (k + 1) * 0.01) if k < 1500 else max(0.0, 2.0 - (k - 1499) * 0.01)
        q += share * v * TICK_S
        verdict = robot.step([q])
        worst = max(worst, abs(verdict.q_rad[0] - q))
    assert worst <= 1e-12


def test_resumes_smoothly_behind_a_moving_target() -> None:
    """A plan that comes back half a radian ahead is caught up with, inside every limit, and then met exactly."""
    config = make_config(1)
    robot = Robot(Kernel(config), [0.0])
    robot.arm()
    seen: list[Verdict | None] = [None]
    gap = math.inf
    for k in range(3000):
        wanted = 0.5 + 0.4 * math.sin(k * TICK_S)
        verdict = robot.step([wanted])
        assert_inside(config, seen, verdict)
        seen.append(verdict)
        gap = abs(verdict.q_rad[0] - wanted)
    assert gap <= 1e-12


def test_limits_that_acted_are_named() -> None:
    config = make_config(1)
    robot = Robot(Kernel(config), [0.0])
    robot.arm()
    reasons = Reason(0)
    for k in range(2500):
        # A jump, then a motion that runs into the end of the range at full speed.
        reasons |= robot.step([99.0 if k < 2 else k * 1.9e-3]).reasons
    assert reasons == (
        Reason.LIMIT_POSITION
        | Reason.LIMIT_VELOCITY
        | Reason.LIMIT_ACCELERATION
        | Reason.LIMIT_BRAKING
        | Reason.LIMIT_GRIPPER
    )
    assert robot.q_rad[0] <= config.q_max_rad[0]


def test_the_worst_joint_gives_the_margin() -> None:
    robot = Robot(Kernel(make_config()), [0.0, 2.0])
    robot.arm()
    verdict = robot.step()
    assert verdict.stop_margin_joint == 1
    assert verdict.stop_margin_rad == pytest.approx(0.5)
    assert verdict.time_to_rest_s == 0.0


def test_watchdog_stop_decelerates_at_the_limit_and_rests() -> None:
    config = make_config(1)
    robot = Robot(Kernel(config), [-2.0])
    robot.arm()
    for k in range(600):
        robot.step([-2.0 + min(1.5, k * 0.0015)])
    assert robot.verdict is not None
    speed = robot.verdict.dq_rad_s[0]
    assert speed > 1.0
    before = robot.q_rad[0]
    ticks = 0
    while robot.step().dq_rad_s[0] != 0.0:
        ticks += 1
    assert robot.kernel.state is State.HOLDING
    assert ticks * TICK_S <= speed / config.ddq_max_rad_s2[0] + 2 * TICK_S
    assert robot.q_rad[0] - before == pytest.approx(speed**2 / (2 * config.ddq_max_rad_s2[0]), abs=2e-3)


def test_random_robots_and_random_walks() -> None:
    generator = np.random.default_rng(5)
    for _ in range(20):
        n = int(generator.integers(1, 8))
        half = generator.uniform(0.05, 3.0, n)
        config = make_config(
            n,
            q_min_rad=tuple(-half),
            q_max_rad=tuple(half),
            dq_max_rad_s=tuple(generator.uniform(0.1, 5.0, n)),
            ddq_max_rad_s2=tuple(generator.uniform(1.0, 40.0, n)),
            tracking_max_rad=(10.0,) * n,
        )
        robot = Robot(Kernel(config))
        robot.arm()
        seen: list[Verdict | None] = [None]
        for _ in range(300):
            verdict = robot.step(list(generator.normal(0.0, 3.0, n)))
            assert_inside(config, seen, verdict)
            seen.append(verdict)
