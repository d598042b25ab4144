"""Axes of every kind under one kernel: what turns without end, what slides, a base that drives, grippers; and velocity
limits that fall towards the end of a range. Judged from the commands alone."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edge_runtime.safety import AxisKind, BaseAxes, EndSpeed, Kernel, Reason, Request, Result, State, Verdict
from tests.safety.robot import Robot, make_config

TICK_S = 1e-3
CONTINUOUS, VELOCITY, GRIPPER = AxisKind.CONTINUOUS, AxisKind.VELOCITY, AxisKind.GRIPPER


class Wrapped(Robot):
    """A robot whose driver tells every angle within one turn."""

    def measurement(self, **changes: object) -> Any:
        q = tuple(math.remainder(value, math.tau) for value in self.q)
        return super().measurement(**{"q": q, **changes})


def continuous(**changes: Any) -> Wrapped:
    robot = Wrapped(Kernel(make_config(0, CONTINUOUS, **changes)))
    robot.arm()
    return robot


# ---- without end ----


def test_what_turns_without_end_turns_on_and_on_however_it_is_measured_and_asked_for() -> None:
    robot = continuous()
    way = 0.0
    for k in range(20_000):
        way += 0.75 * (1.0 - math.cos(min(math.pi, 2e-3 * k))) * TICK_S
        verdict = robot.step([math.remainder(way, math.tau)])
        assert (verdict.state, verdict.reasons, verdict.faults) == (State.ACTIVE, Reason(0), Reason(0)), k
        assert verdict.q[0] == pytest.approx(way, abs=1e-9)
    assert robot.q[0] > 4.0 * math.tau


@pytest.mark.parametrize("turns", [-3, 0, 2])
def test_it_goes_the_nearest_way_to_an_angle(turns: int) -> None:
    robot = continuous()
    for _ in range(3000):
        verdict = robot.step([3.0 + turns * math.tau])
    assert verdict.q[0] == pytest.approx(3.0, abs=1e-6)
    for _ in range(3000):
        verdict = robot.step([-3.0 + turns * math.tau])
    assert verdict.q[0] == pytest.approx(math.tau - 3.0, abs=1e-6), "through half a turn, not back"


def test_a_leap_that_is_no_turn_stops_it() -> None:
    robot = continuous()
    assert not robot.step([0.0], q=(math.tau,)).faults
    assert not robot.step([0.0], q=(-5 * math.tau + 0.19,)).faults
    assert robot.step([0.0], q=(0.21,)).faults == Reason.TRACKING_ERROR


def test_a_step_is_told_after_unwrapping() -> None:
    robot = continuous(step_max=(0.1,))
    assert robot.step([math.tau + 0.05]).state is State.ACTIVE
    assert Reason.SETPOINT_STEP in robot.step([robot.q[0] + 0.2]).reasons
    assert Reason.SETPOINT_STEP in robot.step([1e300]).reasons


def test_it_starts_from_the_angle_that_is_measured() -> None:
    robot = continuous()
    for k in range(6000):
        robot.step([2e-3 * k * min(1.0, k / 2000)])
    assert robot.q[0] > math.tau
    robot.request(Request.DISARM)
    robot.run_until(State.READY)
    robot.q[0] = math.remainder(robot.q[0], math.tau)
    robot.arm()
    assert robot.step().q[0] == pytest.approx(robot.q[0], abs=1e-9)
    assert abs(robot.q[0]) <= math.pi


def test_a_reset_counts_no_turns() -> None:
    robot = continuous()
    robot.request(Request.STOP)
    robot.run_until(State.FAULT)
    assert robot.request(Request.RESET, q=(0.2,)) is Result.REFUSED_MISMATCH
    assert robot.request(Request.RESET, q=(7 * math.tau + 0.01,)) is Result.DONE


def test_it_retracts_the_nearest_way() -> None:
    robot = continuous(retract=(1.0,), hold_timeout_ns=50_000_000, retract_speed_scale=1.0)
    for k in range(9000):
        robot.step([2e-3 * k * min(1.0, k / 2000)])
    assert robot.q[0] > 2 * math.tau
    from_turn = round((robot.q[0] - 1.0) / math.tau)
    robot.run_until(State.READY, 9000)
    assert robot.q[0] == pytest.approx(1.0 + from_turn * math.tau, abs=1e-6)


# ---- a base ----


def base(**changes: Any) -> Robot:
    robot = Robot(Kernel(make_config(0, VELOCITY, base_axes=BaseAxes(x=0), **changes)))
    robot.arm()
    return robot


def assert_driven(before: Verdict, verdict: Verdict, robot: Robot) -> None:
    config = robot.kernel.config
    v, v_before = verdict.dq[0], before.dq[0]
    a, a_before = verdict.ddq[0], before.ddq[0]
    assert abs(v) <= config.dq_max[0] * (1 + 1e-9)
    assert abs(v - v_before) <= config.ddq_max[0] * TICK_S * (1 + 1e-9)
    assert abs(a - a_before) <= config.dddq_max[0] * TICK_S * (1 + 1e-9)
    assert v - v_before == pytest.approx(a * TICK_S, abs=1e-12)


@pytest.mark.parametrize("wanted", [0.5, -0.9, 5.0, -1.0])
def test_a_base_comes_to_the_speed_that_is_asked_for_and_no_further(wanted: float) -> None:
    robot = base()
    goal = max(-1.0, min(1.0, wanted))
    before = robot.step([0.0])
    for _ in range(2500):
        verdict = robot.step([wanted])
        assert_driven(before, verdict, robot)
        assert abs(verdict.dq[0]) <= abs(goal) * (1 + 1e-12), "it does not overshoot"
        before = verdict
    assert verdict.dq[0] == pytest.approx(goal, abs=1e-12)
    assert (verdict.reasons == Reason(0)) == (abs(wanted) <= 1.0)
    assert Reason.LIMIT_VELOCITY in verdict.reasons or abs(wanted) <= 1.0


def test_speeds_inside_the_limits_pass_unchanged() -> None:
    robot = base()
    for k in range(6000):
        wanted = 0.3 * (1.0 - math.cos(1.2 * k * TICK_S))
        verdict = robot.step([wanted])
        assert verdict.dq[0] == pytest.approx(wanted, abs=1e-12)
        assert verdict.reasons == Reason(0), k


def test_any_speed_at_all_keeps_it_inside() -> None:
    robot = base()
    before = robot.step([0.0])
    for k in range(4000):
        wanted = (math.inf, math.nan, 99.0, -99.0, 0.3, -0.2)[k // 7 % 6]
        verdict = robot.step([wanted])
        assert_driven(before, verdict, robot)
        before = verdict


def test_held_it_brakes_and_a_lower_speed_scale_slows_it() -> None:
    robot = base()
    for _ in range(2500):
        robot.step([0.8])
    for _ in range(2500):
        verdict = robot.step(robot.target([0.8], speed_scale=0.25))
    assert verdict.dq[0] == pytest.approx(0.25)
    assert Reason.LIMIT_SPEED_SCALE in verdict.reasons
    before = verdict
    for _ in range(2000):
        verdict = robot.step()
        assert_driven(before, verdict, robot)
        assert verdict.state is State.HOLDING
        before = verdict
    assert verdict.dq[0] == 0.0


def test_q_of_a_base_is_the_sum_of_its_speeds_since_arming() -> None:
    robot = base()
    way = sum(robot.step([0.5]).dq[0] for _ in range(1500)) * TICK_S
    assert robot.q[0] == pytest.approx(way, abs=1e-9)
    robot.request(Request.DISARM)
    robot.run_until(State.READY)
    robot.step()
    assert robot.kernel.step(robot.measurement(), None, robot.now_ns + 1).q == (0.0,)


def test_speeds_are_what_is_compared_of_a_base() -> None:
    lagging = base(tracking_max=(0.1,))
    for _ in range(1000):
        lagging.step([0.2])
    assert not lagging.step([0.2], dq=(lagging.dq[0] - 0.099,), q=(77.0,)).faults
    assert lagging.step([0.2], dq=(lagging.dq[0] - 0.101,)).faults == Reason.TRACKING_ERROR
    frozen = base(tracking_max=(1.0,), frozen_travel=(0.05,))
    verdict = frozen.step([0.0])
    for _ in range(1000):
        verdict = frozen.step([0.5], dq=(0.0,))
        if verdict.faults:
            break
    assert verdict.faults == Reason.ENCODER_FROZEN
    assert verdict.dq[0] < 0.15


def test_a_base_that_is_not_commanded_may_be_pushed_but_not_armed_while_it_rolls() -> None:
    robot = Robot(Kernel(make_config(0, VELOCITY)))
    robot.step(dq=(0.2,))
    assert robot.request(Request.ARM, dq=(0.2,)) is Result.REFUSED_MOVING
    assert robot.request(Request.ARM, q=(55.0,)) is Result.DONE


def test_a_retraction_leaves_the_base_standing() -> None:
    robot = Robot(
        Kernel(make_config(1, VELOCITY, retract=(0.5, 99.0), hold_timeout_ns=100_000_000, retract_speed_scale=1.0))
    )
    robot.arm()
    for _ in range(1500):
        robot.step([0.0, 0.4])
    robot.run_until(State.RETRACTING)
    robot.run_until(State.READY, 9000)
    assert robot.q[0] == pytest.approx(0.5, abs=1e-6)


# ---- grippers ----


def gripper(**changes: Any) -> Robot:
    robot = Robot(Kernel(make_config(1, GRIPPER, **changes)), [0.0, 0.04])
    robot.arm()
    return robot


def test_a_jam_is_told_and_changes_nothing() -> None:
    robot = gripper(jam_ticks=50)
    jammed = []
    for k in range(400):
        verdict = robot.step([0.0, 0.0], q=(0.0, 0.04))
        assert not verdict.faults
        if Reason.GRIPPER_JAMMED in verdict.reasons:
            jammed.append(k)
    # 0.01 m away after 50 ticks at 0.2 m/s, and 50 more until it counts.
    assert jammed[0] in range(99, 103)
    assert jammed[-1] == 399
    assert robot.q[1] == 0.0
    assert Reason.GRIPPER_JAMMED not in robot.step([0.0, 0.0], q=(0.0, 0.005)).reasons


def test_a_hand_that_holds_nothing_has_no_jam() -> None:
    robot = gripper(jam_ticks=1)
    for k in range(1000):
        assert Reason.GRIPPER_JAMMED not in robot.step([0.0, 0.08 if k // 300 % 2 else 0.0]).reasons


@pytest.mark.parametrize("closes_up", [False, True])
def test_too_large_a_force_closes_no_further_and_opens(closes_up: bool) -> None:
    robot = gripper(tau_max=(50.0, 20.0), closes_up=(False, closes_up))
    closed, opened = (0.08, 0.0) if closes_up else (0.0, 0.08)
    for _ in range(20):
        robot.step([0.0, closed], tau=(0.0, 10.0))
    held = robot.q[1]
    for _ in range(20):
        verdict = robot.step([0.0, closed], tau=(0.0, -20.1))
        assert verdict.reasons & Reason.GRIPPER_FORCE
        assert not verdict.faults
        assert verdict.q[1] == held
    verdict = robot.step([0.0, opened], tau=(0.0, 20.1))
    assert abs(verdict.q[1] - opened) < abs(held - opened)
    assert robot.step([0.0, closed], tau=(0.0, 20.0)).q[1] != verdict.q[1]


def test_a_gripper_is_no_part_of_what_trips() -> None:
    robot = gripper(tau_max=(50.0, 20.0))
    for _ in range(100):
        verdict = robot.step([0.0, 0.0], q=(0.0, 0.5), dq=(0.0, 9.0), tau=(0.0, 1e5))
    assert not verdict.faults
    robot.request(Request.STOP)
    robot.run_until(State.FAULT)
    assert robot.request(Request.RESET, q=(0.0, 0.5), dq=(0.0, 9.0)) is Result.DONE


# ---- moved while it was stopped ----


def test_a_robot_that_was_moved_by_hand_is_reset_by_who_says_so() -> None:
    robot = Robot(Kernel(make_config(2)))
    robot.arm()
    robot.request(Request.STOP)
    robot.run_until(State.FAULT)
    robot.q = [0.7, -0.4]
    assert robot.request(Request.RESET) is Result.REFUSED_MISMATCH
    assert robot.request(Request.RESET_MOVED, dq=(0.0, 0.06)) is Result.REFUSED_MOVING
    assert robot.request(Request.RESET_MOVED, stop_line=True) is Result.REFUSED_STOP_LINE
    assert robot.request(Request.RESET_MOVED) is Result.DONE
    assert robot.kernel.state is State.READY
    robot.arm()
    assert robot.step().q == (0.7, -0.4)
    assert robot.request(Request.RESET_MOVED) is Result.REFUSED_STATE


# ---- limits that fall towards an end ----

FR3_JOINT1 = EndSpeed(12.0, 0.30, 2.75010)


def allowed(limit: EndSpeed, room: float) -> float:
    return max(0.0, math.sqrt(max(0.0, limit.slope * room)) - limit.offset)


@pytest.mark.parametrize("upwards", [True, False])
@pytest.mark.parametrize("jump", [True, False])
def test_it_keeps_a_limit_that_falls_and_brakes_smoothly(upwards: bool, jump: bool) -> None:
    sign = 1.0 if upwards else -1.0
    limit = FR3_JOINT1._replace(zero=sign * FR3_JOINT1.zero)
    ends = {"end_speed_max" if upwards else "end_speed_min": (limit,)}
    config = make_config(
        1, q_min=(-2.7437,), q_max=(2.7437,), dq_max=(2.62,), ddq_max=(10.0,), dddq_max=(5000.0,), **ends
    )
    robot = Robot(Kernel(config), [0.0])
    robot.arm()
    before = robot.step([0.0])
    turns, ridden = 0, 0
    for k in range(6000):
        verdict = robot.step([sign * (2.7 if jump else min(2.7, 2.5e-3 * k))])
        v, q = sign * verdict.dq[0], sign * verdict.q[0]
        assert v <= allowed(FR3_JOINT1, FR3_JOINT1.zero - q) * (1 + 1e-9)
        assert abs(verdict.ddq[0] - before.ddq[0]) <= 5000.0 * TICK_S * (1 + 1e-9)
        # Rides along the limit without the brakes going on and off.
        turns += (verdict.ddq[0] - before.ddq[0]) * sign > 1.0 and v > 0.1 and q > 1.5
        ridden += v > 0.95 * allowed(FR3_JOINT1, FR3_JOINT1.zero - q) > 0.2 and v < 2.4
        before = verdict
    assert verdict.q[0] == pytest.approx(sign * 2.7, abs=1e-3)
    assert turns <= 2
    assert ridden > 50
    # Away from the end it may be as fast as anywhere.
    fastest = 0.0
    for _ in range(1500):
        fastest = max(fastest, -sign * robot.step([-sign * 2.0]).dq[0])
    assert fastest > 2.61


def test_no_setpoint_makes_it_faster_than_the_falling_limit() -> None:
    lower, upper = EndSpeed(15.0, 0.1, -1.01), EndSpeed(3.0, 0.0, 1.0)
    config = make_config(
        *(1,),
        q_min=(-1.0,),
        q_max=(1.0,),
        dq_max=(5.0,),
        dddq_max=(300.0,),
        end_speed_min=(lower,),
        end_speed_max=(upper,),
    )
    robot = Robot(Kernel(config), [0.0])
    robot.arm()
    fastest = 0.0
    for k in range(12_000):
        wanted = (2.0, -2.0, 0.9, -0.99, math.sin(7e-3 * k))[k // 311 % 5]
        verdict = robot.step([wanted])
        q, v = verdict.q[0], verdict.dq[0]
        assert v <= allowed(upper, upper.zero - q) * (1 + 1e-9) + 1e-9
        assert -v <= allowed(lower, q - lower.zero) * (1 + 1e-9) + 1e-9
        fastest = max(fastest, abs(v))
    assert fastest > 1.0
