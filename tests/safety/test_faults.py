"""Whatever is wrong with what comes in has a name and a reaction of its own, and never ends in motion by itself."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from edge_runtime.safety import Kernel, Policy, Reason, Request, Result, State, Target
from tests.safety.robot import TICK_NS, Robot, make_config


@pytest.fixture
def robot() -> Robot:
    return Robot(Kernel(make_config()))


def moving(robot: Robot) -> Robot:
    """In ACTIVE, with the first joint at 1 rad/s and on its way on."""
    robot.arm()
    q, v = robot.q[0], 0.0
    for k in range(250):
        v = min(1.0, v + 0.009 * min(1.0, k / 20))
        q += v * 1e-3
        robot.step([q, *robot.q[1:]])
    assert robot.kernel.state is State.ACTIVE
    assert robot.verdict is not None
    assert robot.verdict.dq[0] == pytest.approx(1.0)
    return robot


def onward(robot: Robot, **changes: object) -> Target:
    """The setpoint that keeps the speed."""
    return robot.target([robot.q[0] + 1e-3, *robot.q[1:]], **changes)


OFFSETS = {"stamp_ns", "observation_ns", "seq"}  # these are added to what a good setpoint has
REFUSED: list[tuple[dict[str, object], Reason]] = [
    ({"n": 3}, Reason.SETPOINT_SHAPE),
    ({"n": 1}, Reason.SETPOINT_SHAPE),
    ({"speed_scale": 0.0}, Reason.SETPOINT_SHAPE),
    ({"speed_scale": 1.01}, Reason.SETPOINT_SHAPE),
    ({"speed_scale": math.nan}, Reason.SETPOINT_SHAPE),
    ({"q": (math.nan, 0.0)}, Reason.SETPOINT_NOT_FINITE),
    ({"q": (0.0, -math.inf)}, Reason.SETPOINT_NOT_FINITE),
    ({"stamp_ns": -50_000_000}, Reason.SETPOINT_STALE),
    ({"stamp_ns": 50_000_000}, Reason.SETPOINT_FUTURE),
    ({"observation_ns": 50_000_000}, Reason.SETPOINT_FUTURE),
    ({"observation_ns": -3_000_000_000}, Reason.OBSERVATION_STALE),
    ({"seq": -1}, Reason.SETPOINT_SEQUENCE),
    ({"seq": -100}, Reason.SETPOINT_SEQUENCE),
    ({"seq": 1}, Reason.SETPOINT_SKIPPED),
    ({"q": (0.0, 1001.0)}, Reason.SETPOINT_STEP),
    ({"q": (-1001.0, 0.0)}, Reason.SETPOINT_STEP),
    ({"present": False}, Reason.SETPOINT_NONE),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED)
def test_a_malformed_setpoint_decelerates_and_is_named(robot: Robot, change: dict[str, Any], reason: Reason) -> None:
    moving(robot)
    good = onward(robot)
    bad = replace(good, **{k: getattr(good, k) + v if k in OFFSETS else v for k, v in change.items()})
    verdict = robot.step(bad)
    assert verdict.reasons == reason
    assert verdict.state is State.HOLDING
    assert verdict.accepted == 0.0
    assert verdict.ddq[0] == pytest.approx(-1.0)
    for _ in range(150):
        verdict = robot.step()
    assert verdict.dq == (0.0, 0.0)


def test_the_bounds_themselves_are_allowed(robot: Robot) -> None:
    moving(robot)
    now_ns = robot.now_ns + TICK_NS
    for change in (
        {"stamp_ns": -20_000_000},
        {"stamp_ns": 5_000_000},
        {"observation_ns": -2_000_000_000},
        {"observation_ns": 5_000_000},
        {"q": (robot.q[0] + 1000.0, 0.0)},
    ):
        good = onward(robot)
        offset = {k: now_ns + v if k in OFFSETS and isinstance(v, int) else v for k, v in change.items()}
        assert robot.step(replace(good, **offset)).state is State.ACTIVE, change  # type: ignore[arg-type]
        now_ns += TICK_NS


def test_several_faults_of_a_setpoint_are_all_named(robot: Robot) -> None:
    moving(robot)
    bad = onward(robot, stamp_ns=robot.now_ns - 10**9, observation_ns=robot.now_ns - 10**10, n=7)
    robot.setpoint_seq += 1
    bad = replace(bad, seq=bad.seq + 1)
    assert robot.step(bad).reasons == (
        Reason.SETPOINT_SHAPE | Reason.SETPOINT_STALE | Reason.OBSERVATION_STALE | Reason.SETPOINT_SKIPPED
    )


def test_a_skipped_setpoint_costs_one_tick(robot: Robot) -> None:
    moving(robot)
    robot.setpoint_seq += 5
    assert robot.step(onward(robot)).reasons == Reason.SETPOINT_SKIPPED
    assert robot.kernel.state is State.HOLDING
    assert robot.step(onward(robot)).state is State.ACTIVE


def test_a_repeated_setpoint_is_refused_until_the_numbers_go_on(robot: Robot) -> None:
    moving(robot)
    same = onward(robot)
    assert robot.step(same).state is State.ACTIVE
    for _ in range(3):
        assert Reason.SETPOINT_SEQUENCE in robot.step(same).reasons
    assert robot.step(onward(robot)).state is State.ACTIVE


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (Policy.DEAD, Reason.POLICY_DEAD),
        (Policy.STALLED, Reason.POLICY_STALLED),
        (Policy.STUCK, Reason.POLICY_STUCK),
    ],
)
def test_the_plan_of_a_lost_policy_is_played_for_so_long(policy: Policy, reason: Reason) -> None:
    robot = moving(Robot(Kernel(make_config(play_max_ns=20_000_000))))
    lost_ns = robot.now_ns
    for _ in range(20):
        verdict = robot.step(onward(robot, policy=policy, policy_lost_ns=lost_ns))
        assert verdict.state is State.ACTIVE
        assert verdict.reasons & ~Reason.LIMIT_GRIPPER == reason
        assert verdict.dq[0] == pytest.approx(1.0)
    verdict = robot.step(onward(robot, policy=policy, policy_lost_ns=lost_ns))
    assert verdict.state is State.HOLDING
    assert verdict.reasons == reason | Reason.POLICY_LOST
    assert robot.step(onward(robot)).state is State.ACTIVE


def test_a_policy_of_an_unknown_kind_is_lost(robot: Robot) -> None:
    moving(robot)
    verdict = robot.step(onward(robot, policy=4, policy_lost_ns=robot.now_ns))
    assert verdict.reasons == Reason.POLICY_LOST
    assert verdict.state is State.HOLDING


def test_a_lost_policy_is_named_even_when_there_is_no_setpoint(robot: Robot) -> None:
    moving(robot)
    verdict = robot.step(onward(robot, policy=Policy.DEAD, policy_lost_ns=robot.now_ns, present=False))
    assert verdict.reasons == Reason.POLICY_DEAD | Reason.SETPOINT_NONE


TRIPS: list[tuple[dict[str, object], Reason]] = [
    ({"present": False}, Reason.FEEDBACK_STALE),
    ({"stamp_ns": 0}, Reason.FEEDBACK_STALE | Reason.FEEDBACK_SEQUENCE),
    ({"stamp_ns": 10**15}, Reason.FEEDBACK_FUTURE),
    ({"seq": 0}, Reason.FEEDBACK_SEQUENCE),
    ({"n": 1}, Reason.FEEDBACK_SHAPE),
    ({"n": 3}, Reason.FEEDBACK_SHAPE),
    ({"q": (math.nan, 0.0)}, Reason.FEEDBACK_NOT_FINITE),
    ({"dq": (0.0, math.inf)}, Reason.FEEDBACK_NOT_FINITE),
    ({"odometry": (0.0, -math.inf, 0.0)}, Reason.FEEDBACK_NOT_FINITE),
    ({"tau": (0.0, math.nan)}, Reason.FEEDBACK_NOT_FINITE),
    ({"wrenches": ((0.0, 0.0, 0.0, 0.0, 0.0, math.inf),)}, Reason.FEEDBACK_NOT_FINITE),
    ({"q": (0.0, 0.3)}, Reason.TRACKING_ERROR),
    ({"q": (0.0, -0.3)}, Reason.TRACKING_ERROR),
    ({"stop_line": True}, Reason.STOP_LINE),
    ({"driver_fault": True}, Reason.DRIVER_FAULT),
    ({"after_ns": -5, "stamp_ns": 1_251_000_000}, Reason.CLOCK_BACKWARD),
    ({"after_ns": 0}, Reason.CLOCK_BACKWARD),
    ({"after_ns": 101_000_000}, Reason.CLOCK_GAP),
]


def assert_latched(robot: Robot, reason: Reason) -> None:
    """Stopping for that reason; then at rest until reset and arm, whatever the policy says."""
    assert robot.verdict is not None
    assert robot.verdict.state is State.STOPPING
    assert robot.verdict.faults == reason
    assert robot.verdict.ddq[0] == pytest.approx(-1.0)
    robot.seq += 10
    robot.run_until(State.FAULT)
    rest = robot.q
    for _ in range(200):
        verdict = robot.step([1.0] * len(rest))
        assert verdict.state is State.FAULT
        assert verdict.faults == reason
        assert list(verdict.q) == rest
        assert robot.request(Request.ARM) is Result.REFUSED_STATE
        assert robot.request(Request.DISARM) is Result.REFUSED_STATE
    assert robot.request(Request.RESET) is Result.DONE
    verdict = robot.step([1.0] * len(rest))
    assert (verdict.state, verdict.faults) == (State.READY, Reason(0))
    assert robot.request(Request.ARM) is Result.DONE


@pytest.mark.parametrize(("feedback", "reason"), TRIPS)
def test_a_fault_stops_and_latches(robot: Robot, feedback: dict[str, Any], reason: Reason) -> None:
    moving(robot)
    if "q" in feedback:
        feedback = feedback | {"q": (robot.q[0] + feedback["q"][0], feedback["q"][1])}
    robot.step(onward(robot), **feedback)
    assert_latched(robot, reason)


@pytest.mark.parametrize("feedback", [feedback for feedback, _ in TRIPS if "after_ns" not in feedback])
@pytest.mark.parametrize("state", [State.HOLDING, State.STOPPING, State.RETRACTING])
def test_a_fault_latches_in_every_armed_state(state: State, feedback: dict[str, Any]) -> None:
    robot = Robot(Kernel(make_config(retract=(0.5, 0.5), hold_timeout_ns=200_000_000)), [0.0, 0.0])
    moving(robot)
    robot.step()
    if state is State.STOPPING:
        robot.request(Request.DISARM)
    elif state is State.RETRACTING:
        robot.run_until(State.RETRACTING)
    assert robot.kernel.state is state
    if "q" in feedback:
        feedback = feedback | {"q": tuple(q + error for q, error in zip(robot.q, feedback["q"], strict=True))}
    verdict = robot.step(**feedback)
    assert verdict.faults
    assert verdict.state in (State.STOPPING, State.FAULT)
    robot.run_until(State.FAULT)


def test_a_gap_as_long_as_the_watchdog_is_none(robot: Robot) -> None:
    moving(robot)
    assert not robot.step(onward(robot), after_ns=100_000_000).faults


def test_torn_feedback_is_survived_until_it_is_stale(robot: Robot) -> None:
    moving(robot)
    stamp_ns, seq = robot.now_ns, robot.seq
    verdicts = [robot.step(onward(robot), torn=True, stamp_ns=stamp_ns, seq=seq) for _ in range(30)]
    assert [verdict.state for verdict in verdicts[:20]] == [State.ACTIVE] * 20
    assert all(verdict.reasons & Reason.FEEDBACK_TORN for verdict in verdicts)
    assert verdicts[20].state is State.STOPPING
    assert verdicts[20].faults == Reason.FEEDBACK_STALE


def test_a_frozen_encoder_is_found_by_its_bits() -> None:
    """The measurement repeats itself while the command moves away: well before the tracking error."""
    robot = moving(Robot(Kernel(make_config(frozen_travel=(0.02, 0.02)))))
    stuck = tuple(robot.q)
    # A tick at 1 rad/s goes 1 mrad: the travel and a little, a tick for which a command is kept, and a sample.
    for _ in range(22):
        assert not robot.step(onward(robot), q=stuck).faults
    assert robot.step(onward(robot), q=stuck).faults == Reason.ENCODER_FROZEN
    assert robot.request(Request.RESET) is Result.REFUSED_STATE
    robot.run_until(State.FAULT)


def test_a_living_encoder_of_a_slow_joint_is_not_frozen() -> None:
    robot = moving(Robot(Kernel(make_config(frozen_travel=(0.02, 0.02)))))
    for k in range(400):
        held = robot.q[0]
        reported = held - 1e-3 + 1e-9 * (k // 15 % 2)
        assert not robot.step(onward(robot), q=(reported, 0.0)).faults
    assert robot.q[0] > 0.4


LOADS: list[tuple[dict[str, object], Reason]] = [
    ({"tau": (0.0, 20.1)}, Reason.TORQUE),
    ({"tau": (-20.1, 0.0)}, Reason.TORQUE),
    ({"wrenches": ((0.0, 18.1, 24.1, 0.0, 0.0, 0.0),)}, Reason.FORCE),
    ({"wrenches": ((30.1, 0.0, 0.0, 0.0, 0.0, 0.0),)}, Reason.FORCE),
    ({"wrenches": ((0.0, 0.0, 0.0, 6.1, 0.0, -8.1),)}, Reason.FORCE),
    ({"wrenches": ((0.0, 0.0, 0.0, 0.0, -10.1, 0.0),)}, Reason.FORCE),
]
AT_THE_BOUND: dict[str, Any] = {"tau": (20.0, -20.0), "wrenches": ((0.0, 18.0, 24.0, 6.0, 0.0, -8.0),)}


def loaded_robot() -> Robot:
    return Robot(
        Kernel(make_config(tau_max=(20.0, 20.0), force_max_n=(30.0,), moment_max_nm=(10.0,), debounce_ticks=4))
    )


@pytest.mark.parametrize(("feedback", "reason"), LOADS)
def test_a_load_trips_after_so_many_ticks_in_a_row(feedback: dict[str, Any], reason: Reason) -> None:
    robot = moving(loaded_robot())
    for _ in range(5):
        for _ in range(3):
            assert not robot.step(onward(robot), **feedback).faults
        assert not robot.step(onward(robot), **AT_THE_BOUND).faults
    for _ in range(3):
        assert not robot.step(onward(robot), **feedback).faults
    assert robot.step(onward(robot), **feedback).faults == reason
    assert_latched(robot, reason)


def test_a_load_counts_anew_after_arming() -> None:
    robot = moving(loaded_robot())
    for _ in range(3):
        robot.step(onward(robot), tau=(30.0, 0.0), wrenches=((99.0, 0.0, 0.0, 0.0, 0.0, 0.0),))
    robot.request(Request.STOP)
    robot.run_until(State.FAULT)
    assert robot.request(Request.RESET) is Result.DONE
    robot.arm()
    for _ in range(3):
        assert not robot.step(tau=(30.0, 0.0), wrenches=((99.0, 0.0, 0.0, 0.0, 0.0, 0.0),)).faults


def test_no_load_is_looked_at_that_nobody_measures() -> None:
    robot = Robot(
        Kernel(make_config(tau_max=(1e-9, 1e-9), force_max_n=(1e-9,), moment_max_nm=(1e-9,), debounce_ticks=1))
    )
    moving(robot)
