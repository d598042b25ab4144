"""Position, velocity, acceleration and jerk hold for any input; good motion passes unchanged."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.safety import AxisKind, Kernel, KernelConfig, Reason, Result, State, Verdict
from edge_runtime.safety.reference.profile import ProfileLimits, stop_accel
from tests.safety.robot import TICK_NS, Robot, make_config

TICK_S = 1e-3
HAIR = 1.0 - 1e-6
"""Of a limit: nearer to it, the rounding of a setpoint is outside, and the limits are strict."""


def assert_inside(config: KernelConfig, before: Verdict | None, verdict: Verdict) -> None:
    """Every limit, against the tick before."""
    for i, (kind, q, v, a) in enumerate(zip(config.axis_kinds, verdict.q, verdict.dq, verdict.ddq, strict=True)):
        if kind is AxisKind.GRIPPER:
            assert config.q_min[i] <= q <= config.q_max[i]
            assert before is None or abs(q - before.q[i]) <= config.dq_max[i] * TICK_S * (1 + 1e-9)
            continue
        assert config.q_min[i] <= q <= config.q_max[i]
        assert abs(v) <= config.dq_max[i] * (1 + 1e-9)
        assert abs(a) <= config.ddq_max[i] * (1 + 1e-9)
        if before is not None:
            step = config.dddq_max[i] * TICK_S
            assert abs(a - before.ddq[i]) <= step * (1 + 1e-9)
            assert v == pytest.approx(before.dq[i] + TICK_S * a, abs=1e-12 * step * TICK_S + 1e-15)
            assert q == pytest.approx(before.q[i] + TICK_S * v, abs=1e-12)
    # The stop that starts here ends inside the range: margins are never negative (but for rounding).
    assert verdict.stop_margin >= -1e-9


@st.composite
def configs(draw: st.DrawFn) -> KernelConfig:
    middle = draw(st.floats(-3.0, 3.0))
    half = draw(st.floats(1e-3, 3.0))
    speed = draw(st.floats(0.01, 20.0))
    accel = speed * draw(st.floats(0.1, 100.0))
    return make_config(
        1,
        AxisKind.GRIPPER,
        q_min=(middle - half, 0.0),
        q_max=(middle + half, 0.08),
        dq_max=(speed, 0.2),
        ddq_max=(accel, 1.0),
        dddq_max=(max(0.01, accel * draw(st.floats(0.1, 2000.0))), 1.0),
        tracking_max=(100.0, 1.0),
    )


wild = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True),
    st.floats(-6.0, 6.0),
    st.sampled_from([math.nan, math.inf, -math.inf, 5e-324, -5e-324, 1.7e308, -1.7e308, 0.0, -0.0]),
)


@settings(max_examples=60, deadline=None)
@given(config=configs(), setpoints=st.lists(st.tuples(wild, wild, st.integers(1, 40)), min_size=1, max_size=25))
def test_no_setpoint_leaves_the_limits(config: KernelConfig, setpoints: list[tuple[float, float, int]]) -> None:
    robot = Robot(Kernel(config), [(config.q_min[0] + config.q_max[0]) / 2, 0.0])
    robot.arm()
    before = None
    for q, gripper_m, ticks in setpoints:
        for _ in range(ticks):
            verdict = robot.step([q, gripper_m])
            assert_inside(config, before, verdict)
            before = verdict
            if not math.isfinite(q) or not math.isfinite(gripper_m):
                assert verdict.state is State.HOLDING
                assert Reason.SETPOINT_NOT_FINITE in verdict.reasons


def test_random_robots_and_random_walks() -> None:
    generator = np.random.default_rng(5)
    for _ in range(20):
        n = int(generator.integers(1, 8))
        half = generator.uniform(0.05, 3.0, n)
        accel = generator.uniform(1.0, 40.0, n)
        config = make_config(
            n,
            q_min=tuple(-half),
            q_max=tuple(half),
            dq_max=tuple(generator.uniform(0.1, 5.0, n)),
            ddq_max=tuple(accel),
            dddq_max=tuple(accel * 10.0 ** generator.uniform(0.0, 3.5, n)),
            tracking_max=(10.0,) * n,
        )
        robot = Robot(Kernel(config))
        robot.arm()
        before = None
        for _ in range(300):
            verdict = robot.step(list(generator.normal(0.0, 3.0, n)))
            assert_inside(config, before, verdict)
            before = verdict


@settings(max_examples=40, deadline=None)
@given(start=st.floats(-2.4, 2.4), goal=st.floats(-2.5, 2.5))
def test_a_far_setpoint_is_reached_without_overshoot(start: float, goal: float) -> None:
    config = make_config(1)
    robot = Robot(Kernel(config), [start])
    robot.arm()
    # A jump that could be one tick of a motion is followed as one: what a step of jerk makes of it.
    slack = 1e-12 if abs(goal - start) > 2.0 * TICK_S else 2.0 * config.dddq_max[0] * TICK_S**3
    # At 2 rad/s, 10 rad/s² and 1000 rad/s³ 5 rad take 2.71 s.
    low, high = min(start, goal) - slack, max(start, goal) + slack
    for _ in range(2750):
        verdict = robot.step([goal])
        assert low <= verdict.q[0] <= high
        if verdict.q[0] == goal and verdict.ddq[0] == 0.0:
            break
    assert abs(robot.q[0] - goal) <= 1e-12


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
        worst = max(worst, abs(verdict.q[0] - wanted), abs(verdict.q[1] + wanted))
        # The opening starts closed and travels; it is no part of this.
        assert not verdict.reasons & ~Reason.LIMIT_GRIPPER
        assert verdict.accepted == 1.0
    assert worst <= 1e-12


def full_speed(start: float, accel: float, step: float, ramp: int, hold: int, cruise: int) -> list[float]:
    """Rest to rest at three limits: jerk for `ramp` ticks, acceleration for `hold`, speed for `cruise`."""
    q, v, a, path = start, 0.0, 0.0, []
    ups = [1] * ramp + [0] * hold + [-1] * ramp
    for up in (*ups, *([0] * cruise), *(-up for up in ups)):
        a += up * step
        v += a * TICK_S
        q += v * TICK_S
        path.append(q)
    assert abs(a) < 1e-9 * accel
    return path


def test_motion_at_the_limits_passes_unchanged() -> None:
    generator = random.Random(4)
    for _ in range(40):
        ramp, hold, cruise = generator.randint(1, 60), generator.randint(0, 200), generator.randint(0, 300)
        accel = 10.0 ** generator.uniform(-0.5, 1.2)
        config = make_config(
            1,
            q_min=(-1e3,),
            q_max=(1e3,),
            dq_max=(accel * (ramp + hold) * TICK_S,),
            ddq_max=(accel,),
            dddq_max=(accel / ramp / TICK_S,),
        )
        robot = Robot(Kernel(config), [-2.0])
        robot.arm()
        path = full_speed(-2.0, accel * HAIR, accel * HAIR / ramp, ramp, hold, cruise)
        for wanted in path:
            verdict = robot.step([wanted])
            assert abs(verdict.q[0] - wanted) <= 1e-12
            assert not verdict.reasons & ~Reason.LIMIT_GRIPPER


def test_resumes_smoothly_behind_a_moving_target() -> None:
    """A plan that comes back half a radian ahead is caught up with, inside every limit, and then met exactly."""
    config = make_config(1)
    robot = Robot(Kernel(config), [0.0])
    robot.arm()
    before, gap = None, math.inf
    for k in range(1500):
        wanted = 0.5 + 0.4 * math.sin(k * TICK_S)
        verdict = robot.step([wanted])
        assert_inside(config, before, verdict)
        before = verdict
        gap = abs(verdict.q[0] - wanted)
    assert gap <= 1e-12


def test_a_motion_into_the_end_of_the_range_is_stopped_inside() -> None:
    """At full speed, and at the last moment: less than one tick of motion is left of the range."""
    config = make_config(1)
    robot = Robot(Kernel(config), [0.0])
    robot.arm()
    path = full_speed(0.0, 10.0 * HAIR, HAIR, 10, 190, 2000)
    before, fastest, end = None, 0.0, None
    for wanted in path[:2000]:
        verdict = robot.step([wanted])
        assert_inside(config, before, verdict)
        before, fastest = verdict, max(fastest, verdict.dq[0])
        if wanted <= 2.5:
            assert Reason.LIMIT_POSITION not in verdict.reasons
        if Reason.LIMIT_BRAKING in verdict.reasons and end is None:
            end = verdict.q[0]
            # Deceleration from 2 rad/s with 10 rad/s² and 1000 rad/s³ takes 0.21 m.
            assert 2.5 - 0.25 < end < 2.5 - 0.2
    assert end is not None
    assert fastest == pytest.approx(2.0, rel=1e-5)
    assert config.q_max[0] - 1e-9 <= robot.q[0] <= config.q_max[0]


@pytest.mark.parametrize("start", [3e-4, 8e-4, 1.3e-3])
def test_a_refused_motion_is_shortened_by_one_factor_for_all_joints(start: float) -> None:
    """The second joint moves well inside its limits; with the first one's stop in danger, it gives way by the same part
    between what was wanted of it and its own stop."""
    robot = Robot(Kernel(make_config()), [start, -1.0])
    robot.arm()
    ahead = full_speed(start, 10.0 * HAIR, HAIR, 10, 190, 2000)
    beside = full_speed(-1.0, 5.0, 0.5, 10, 190, 2000)
    limits = ProfileLimits(10.0, 1000.0, TICK_S)
    before = robot.step([start, -1.0])
    for first, second in zip(ahead, beside, strict=True):
        verdict = robot.step([first, second])
        if verdict.accepted < 1.0:
            break
        before = verdict
    assert 0.0 < verdict.accepted < 1.0
    assert Reason.LIMIT_BRAKING in verdict.reasons
    for i, target in enumerate((first, second)):
        wanted = ((target - before.q[i]) / TICK_S - before.dq[i]) / TICK_S
        stop = stop_accel(before.dq[i], before.ddq[i], limits)
        expected = verdict.accepted * wanted + (1.0 - verdict.accepted) * stop
        assert verdict.ddq[i] == pytest.approx(expected, abs=1e-8)


def test_limits_that_acted_are_named() -> None:
    config = make_config(1)
    robot = Robot(Kernel(config), [0.0])
    robot.arm()
    seen = Reason(0)
    for k in range(2500):
        # A jump, then a motion that runs into the end of the range at full speed.
        seen |= robot.step([99.0 if k < 2 else k * 1.9e-3]).reasons
    assert seen == (
        Reason.LIMIT_POSITION
        | Reason.LIMIT_VELOCITY
        | Reason.LIMIT_ACCELERATION
        | Reason.LIMIT_JERK
        | Reason.LIMIT_BRAKING
    )
    assert robot.q[0] <= config.q_max[0]


def test_a_limit_is_named_while_the_command_runs_at_it() -> None:
    """A jump to a far goal: more and more acceleration, then all of it, less and less, then all of the speed."""
    robot = Robot(Kernel(make_config(1)), [-2.4])
    robot.arm()
    phases = []
    for _ in range(600):
        named = robot.step([2.0]).reasons
        if not phases or phases[-1] != named:
            phases.append(named)
    harder, hardest, fastest = Reason.LIMIT_JERK, Reason.LIMIT_ACCELERATION, Reason.LIMIT_VELOCITY
    assert phases == [harder, harder | hardest, hardest, harder, fastest | harder, fastest]


def test_the_worst_joint_gives_the_margin() -> None:
    robot = Robot(Kernel(make_config()), [0.0, 2.0])
    robot.arm()
    verdict = robot.step()
    assert verdict.stop_margin_axis == 1
    assert verdict.stop_margin == pytest.approx(0.5)
    assert verdict.stop_margin_m == 1e9
    assert verdict.time_to_rest_s <= 2 * TICK_S


def test_watchdog_stop_decelerates_at_the_limits_and_rests_where_the_verdict_said() -> None:
    config = make_config(1)
    robot = Robot(Kernel(config), [0.5])
    robot.arm()
    for wanted in full_speed(0.5, 10.0 * HAIR, HAIR, 10, 140, 500)[:400]:
        verdict = robot.step([wanted])
    speed = verdict.dq[0]
    assert speed == pytest.approx(1.5, rel=1e-5)
    rest = config.q_max[0] - verdict.stop_margin
    promised_s = verdict.time_to_rest_s
    ticks, before = 1, verdict
    while (verdict := robot.step()).dq[0] != 0.0:
        assert_inside(config, before, verdict)
        before, ticks = verdict, ticks + 1
    assert robot.kernel.state is State.HOLDING
    # V/A + A/J + 2T
    assert ticks * TICK_S <= speed / 10.0 + 10.0 / 1000.0 + 2 * TICK_S
    assert ticks * TICK_S <= promised_s <= (ticks + 2) * TICK_S
    assert robot.q[0] == pytest.approx(rest, abs=1e-12)


def cruise(robot: Robot, ticks: int, **changes: object) -> tuple[float, Reason]:
    """Chases a far goal; the speed reached, and what acted."""
    seen = Reason(0)
    for _ in range(ticks):
        verdict = robot.step(robot.target([2.4], **changes))
        seen |= verdict.reasons
    return verdict.dq[0], seen


def test_the_smallest_speed_scale_counts() -> None:
    robot = Robot(Kernel(make_config(1)), [-2.4])
    robot.arm()
    assert cruise(robot, 400, speed_scale=0.25)[0] == pytest.approx(0.5)
    assert robot.kernel.tighten(speed_scale=0.5) is Result.DONE
    speed, seen = cruise(robot, 400)
    assert speed == pytest.approx(1.0)
    assert Reason.LIMIT_SPEED_SCALE in seen
    assert robot.verdict is not None
    assert robot.verdict.speed_scale == 0.5
    assert Reason.LIMIT_VELOCITY not in robot.verdict.reasons
    assert cruise(robot, 400, speed_scale=0.3)[0] == pytest.approx(0.6)


def test_a_motion_in_progress_is_slowed_down_without_a_jump() -> None:
    config = make_config(1)
    robot = Robot(Kernel(config), [-2.4])
    robot.arm()
    cruise(robot, 400)
    before = robot.verdict
    for _ in range(300):
        verdict = robot.step(robot.target([2.4], speed_scale=0.1))
        assert_inside(config, before, verdict)
        before = verdict
    assert verdict.dq[0] == pytest.approx(0.2)


def test_limits_are_only_tightened_while_armed() -> None:
    kernel = Kernel(make_config(1, tool_speed_max_m_s=(0.5,)))
    robot = Robot(kernel)
    for refused in ({"speed_scale": 0.0}, {"speed_scale": 1.01}, {"speed_scale": math.nan}):
        assert kernel.tighten(**refused) is Result.REFUSED_VALUE
    for tool_m_s in (0.0, -1.0, 0.501, math.nan, math.inf):
        assert kernel.tighten(tool_speed_max_m_s=tool_m_s) is Result.REFUSED_VALUE
    assert kernel.tighten(speed_scale=0.5, tool_speed_max_m_s=0.25) is Result.DONE
    assert kernel.tighten(speed_scale=0.8, tool_speed_max_m_s=0.4) is Result.DONE
    robot.arm()
    assert kernel.tighten(speed_scale=0.9, tool_speed_max_m_s=0.4) is Result.REFUSED_LOOSER
    assert kernel.tighten(speed_scale=0.8, tool_speed_max_m_s=0.41) is Result.REFUSED_LOOSER
    assert kernel.tighten(speed_scale=0.5, tool_speed_max_m_s=0.5) is Result.REFUSED_LOOSER
    assert kernel.tighten(speed_scale=0.8, tool_speed_max_m_s=0.4) is Result.DONE
    assert robot.step().speed_scale == 0.8
    assert kernel.tighten(speed_scale=0.3, tool_speed_max_m_s=0.1) is Result.DONE
    assert robot.step().speed_scale == 0.3


def test_a_rehearsal_is_what_happens_then_and_changes_nothing() -> None:
    generator = random.Random(6)
    for _ in range(20):
        robot = Robot(Kernel(make_config(2)))
        robot.arm()
        for k in range(generator.randint(1, 200)):
            robot.step([1e-6 * k * k, 0.0])
        chunk: list[Sequence[float]] = [
            [robot.q[0] + generator.uniform(-0.1, 0.1), generator.choice((0.001 * k, math.nan))] for k in range(30)
        ]
        state = robot.kernel.state
        rehearsed = robot.kernel.rehearse([robot.target(q) for q in chunk])
        assert robot.kernel.state is state
        robot.setpoint_seq -= len(chunk)
        for q, expected in zip(chunk, rehearsed, strict=True):
            verdict = robot.step(q)
            assert (verdict.q, verdict.dq, verdict.ddq) == (*(expected.q, expected.dq, expected.ddq),)
            assert (verdict.reasons, verdict.accepted, verdict.speed_scale) == (
                *(expected.reasons, expected.accepted, expected.speed_scale),
            )


def test_a_setpoint_that_is_no_motion_is_refused() -> None:
    robot = Robot(Kernel(make_config(step_max=(0.1, 0.2))))
    robot.arm()
    assert not robot.step([0.1, -0.2]).reasons & Reason.SETPOINT_STEP
    verdict = robot.step([0.0, robot.q[1] + 0.201])
    assert verdict.reasons == Reason.SETPOINT_STEP
    assert verdict.state is State.HOLDING
    assert robot.step([0.05, 0.0], after_ns=TICK_NS).state is State.ACTIVE
