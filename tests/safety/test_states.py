"""The life of a robot: silent at boot, armed on purpose, latched after a fault, and never moving by itself."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_runtime.native import lib
from edge_runtime.safety import Kernel, Reason, Request, Result, State
from edge_runtime.safety.reference import ReferenceKernel
from edge_runtime.safety.states import TRANSITIONS, Event
from tests.safety.robot import TICK_NS, Robot, make_config


@pytest.fixture
def robot() -> Robot:
    return Robot(Kernel(make_config()))


def moving(robot: Robot) -> Robot:
    robot.arm()
    for k in range(200):
        robot.step([k * 1e-3, 0.0])
    assert robot.kernel.state is State.ACTIVE
    assert robot.verdict is not None
    assert abs(robot.verdict.dq_rad_s[0]) > 0.5
    return robot


def test_the_table_is_the_references_table() -> None:
    for state in State:
        for event in Event:
            expected = TRANSITIONS[state].get(event, lib.KERNEL_STATE_COUNT)
            assert lib.kernel_transition(state, event) == expected, (state, event)
    assert lib.kernel_transition(99, 0) == lib.KERNEL_STATE_COUNT
    assert lib.kernel_transition(0, 99) == lib.KERNEL_STATE_COUNT


def test_silent_until_feedback_then_ready_never_further_by_itself(robot: Robot) -> None:
    assert robot.kernel.state is State.SILENT
    for _ in range(5):
        assert robot.step([1.0, 1.0], present=False).state is State.SILENT
    for _ in range(500):
        verdict = robot.step([1.0, 1.0])
        assert verdict.state is State.READY
        assert verdict.q_rad == (0.0, 0.0)
    assert robot.step(present=False).state is State.SILENT


def test_arming_starts_from_the_measurement(robot: Robot) -> None:
    robot.q_rad = [0.3, -0.7]
    robot.arm()
    verdict = robot.step()
    assert verdict.state is State.HOLDING
    assert verdict.q_rad == (0.3, -0.7)
    assert verdict.dq_rad_s == (0.0, 0.0)
    assert robot.step([0.3, -0.7]).state is State.ACTIVE


@pytest.mark.parametrize(
    ("feedback", "result"),
    [
        ({"dq_rad_s": (0.0, 0.2)}, Result.REFUSED_MOVING),
        ({"q_rad": (0.0, 2.51)}, Result.REFUSED_OUTSIDE_LIMITS),
        ({"q_rad": (-2.51, 0.0)}, Result.REFUSED_OUTSIDE_LIMITS),
        ({"watchdog_ns": 0}, Result.REFUSED_NO_WATCHDOG),
        ({"stop_line": True}, Result.REFUSED_STOP_LINE),
        ({"driver_fault": True}, Result.REFUSED_STOP_LINE),
        ({"present": False}, Result.REFUSED_FEEDBACK),
        ({"torn": True}, Result.REFUSED_FEEDBACK),
        ({"n": 3}, Result.REFUSED_FEEDBACK),
        ({"q_rad": (math.nan, 0.0)}, Result.REFUSED_FEEDBACK),
        ({"dq_rad_s": (math.inf, 0.0)}, Result.REFUSED_FEEDBACK),
        ({"stamp_ns": 1_000_000_000 - 50_000_000}, Result.REFUSED_FEEDBACK),
        ({"stamp_ns": 2_000_000_000}, Result.REFUSED_FEEDBACK),
    ],
)
def test_arming_is_refused(robot: Robot, feedback: dict[str, object], result: Result) -> None:
    robot.step()
    assert robot.request(Request.ARM, **feedback) is result
    assert robot.kernel.state is State.READY


def test_requests_from_the_wrong_state_change_nothing(robot: Robot) -> None:
    assert robot.request(Request.ARM) is Result.REFUSED_STATE
    assert robot.request(Request.RESET) is Result.REFUSED_STATE
    assert robot.request(Request.DISARM) is Result.DONE
    assert robot.kernel.request(77, robot.measurement(), robot.now_ns) is Result.REFUSED_UNKNOWN
    moving(robot)
    assert robot.request(Request.ARM) is Result.REFUSED_STATE
    assert robot.request(Request.RESET) is Result.REFUSED_STATE
    robot.request(Request.STOP)
    robot.run_until(State.FAULT)
    assert robot.request(Request.DISARM) is Result.REFUSED_STATE
    assert robot.kernel.state is State.FAULT


def test_disarming_decelerates_to_ready(robot: Robot) -> None:
    moving(robot)
    assert robot.request(Request.DISARM) is Result.DONE
    assert robot.run_until(State.READY) > 10
    assert robot.step([1.0, 1.0]).state is State.READY


def test_holding_resumes_with_a_valid_setpoint(robot: Robot) -> None:
    moving(robot)
    for _ in range(300):
        verdict = robot.step()
    assert verdict.state is State.HOLDING
    assert verdict.reasons == Reason.SETPOINT_NONE
    assert verdict.dq_rad_s == (0.0, 0.0)
    assert robot.step(robot.q_rad).state is State.ACTIVE


def test_holding_too_long_disarms() -> None:
    robot = Robot(Kernel(make_config(hold_timeout_ns=50_000_000)))
    robot.arm()
    seen = Reason(0)
    for _ in range(60):
        seen |= robot.step().reasons
    assert Reason.HOLD_TIMEOUT in seen
    assert robot.kernel.state is State.READY
    assert robot.step([0.1, 0.1]).state is State.READY


OFFSETS = {"stamp_ns", "observation_ns", "seq"}  # these are added to what a good setpoint has
REFUSED: list[tuple[dict[str, object], Reason]] = [
    ({"n": 3}, Reason.SETPOINT_SHAPE),
    ({"q_rad": (math.nan, 0.0)}, Reason.SETPOINT_NOT_FINITE),
    ({"q_rad": (0.0, -math.inf)}, Reason.SETPOINT_NOT_FINITE),
    ({"gripper_m": math.nan}, Reason.SETPOINT_NOT_FINITE),
    ({"stamp_ns": -50_000_000}, Reason.SETPOINT_STALE),
    ({"stamp_ns": 50_000_000}, Reason.SETPOINT_FUTURE),
    ({"observation_ns": 50_000_000}, Reason.SETPOINT_FUTURE),
    ({"observation_ns": -3_000_000_000}, Reason.OBSERVATION_STALE),
    ({"seq": -1}, Reason.SETPOINT_SEQUENCE),
    ({"seq": -100}, Reason.SETPOINT_SEQUENCE),
    ({"present": False}, Reason.SETPOINT_NONE),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED)
def test_a_malformed_setpoint_decelerates_and_is_named(robot: Robot, change: dict[str, Any], reason: Reason) -> None:
    moving(robot)
    assert robot.verdict is not None
    before = robot.verdict.dq_rad_s[0]
    good = robot.target([0.2, 0.0])
    bad = replace(good, **{k: getattr(good, k) + v if k in OFFSETS else v for k, v in change.items()})
    verdict = robot.step(bad)
    assert verdict.reasons == reason
    assert verdict.state is State.HOLDING
    assert 0.0 < before - verdict.dq_rad_s[0] <= 10.0 * 1e-3 * (1 + 1e-9)


def test_a_skipped_setpoint_costs_one_tick(robot: Robot) -> None:
    moving(robot)
    robot.setpoint_seq += 5
    assert robot.step([0.2, 0.0]).reasons == Reason.SETPOINT_SKIPPED
    assert robot.kernel.state is State.HOLDING
    assert robot.step([0.2, 0.0]).state is State.ACTIVE


TRIPS: list[tuple[dict[str, object], Reason]] = [
    ({"present": False}, Reason.FEEDBACK_STALE),
    ({"stamp_ns": 0}, Reason.FEEDBACK_STALE | Reason.FEEDBACK_SEQUENCE),
    ({"stamp_ns": 10**15}, Reason.FEEDBACK_FUTURE),
    ({"seq": 0}, Reason.FEEDBACK_SEQUENCE),
    ({"n": 1}, Reason.FEEDBACK_SHAPE),
    ({"q_rad": (math.nan, 0.0)}, Reason.FEEDBACK_NOT_FINITE),
    ({"dq_rad_s": (0.0, math.inf)}, Reason.FEEDBACK_NOT_FINITE),
    ({"gripper_m": -math.inf}, Reason.FEEDBACK_NOT_FINITE),
    ({"q_rad": (0.0, 0.3)}, Reason.TRACKING_ERROR),
    ({"stop_line": True}, Reason.STOP_LINE),
    ({"driver_fault": True}, Reason.DRIVER_FAULT),
    ({"after_ns": -5, "stamp_ns": 1_201_000_000}, Reason.CLOCK_BACKWARD),
    ({"after_ns": 0}, Reason.CLOCK_BACKWARD),
    ({"after_ns": 101_000_000}, Reason.CLOCK_GAP),
]


@pytest.mark.parametrize(("feedback", "reason"), TRIPS)
def test_a_fault_stops_and_latches(robot: Robot, feedback: dict[str, object], reason: Reason) -> None:
    moving(robot)
    verdict = robot.step([0.2, 0.0], **feedback)  # type: ignore[arg-type]
    assert verdict.state is State.STOPPING
    assert verdict.faults == reason
    robot.seq += 10
    robot.run_until(State.FAULT)
    rest = robot.q_rad
    for _ in range(200):
        verdict = robot.step([1.0, 1.0])
        assert verdict.state is State.FAULT
        assert list(verdict.q_rad) == rest
        assert robot.request(Request.ARM) is Result.REFUSED_STATE
    assert robot.request(Request.RESET) is Result.DONE
    assert robot.step([1.0, 1.0]).state is State.READY
    assert robot.request(Request.ARM) is Result.DONE


@pytest.mark.parametrize("armed", [False, True])
def test_the_stop_line_latches_from_any_state(robot: Robot, armed: bool) -> None:
    if armed:
        robot.arm()
    robot.step(stop_line=True)
    robot.run_until(State.FAULT)
    assert robot.request(Request.RESET, stop_line=True) is Result.REFUSED_STOP_LINE
    assert robot.request(Request.RESET) is Result.DONE


def test_operator_stop_before_any_feedback_can_be_reset() -> None:
    robot = Robot(Kernel(make_config()), [1.0, 1.0])
    assert robot.request(Request.STOP) is Result.DONE
    assert robot.kernel.state is State.FAULT
    assert robot.request(Request.RESET) is Result.DONE
    assert robot.step().q_rad == (1.0, 1.0)


@pytest.mark.parametrize(
    ("feedback", "result"),
    [
        ({"q_rad": (1.0, 0.0)}, Result.REFUSED_MISMATCH),
        ({"dq_rad_s": (1.0, 0.0)}, Result.REFUSED_MOVING),
        ({"present": False}, Result.REFUSED_FEEDBACK),
        ({"driver_fault": True}, Result.REFUSED_STOP_LINE),
    ],
)
def test_reset_is_refused(robot: Robot, feedback: dict[str, object], result: Result) -> None:
    robot.arm()
    robot.request(Request.STOP)
    robot.run_until(State.FAULT)
    assert robot.request(Request.RESET, **feedback) is result
    assert robot.kernel.state is State.FAULT
    assert robot.step().faults == Reason.OPERATOR_STOP


def test_torn_feedback_is_survived_until_it_is_stale(robot: Robot) -> None:
    moving(robot)
    stamp_ns, seq = robot.now_ns, robot.seq
    states = [robot.step(robot.q_rad, torn=True, stamp_ns=stamp_ns, seq=seq).state for _ in range(30)]
    assert states[:19] == [State.ACTIVE] * 19
    assert states[-1] is State.STOPPING


@pytest.mark.parametrize("kernel_type", [Kernel, ReferenceKernel])
def test_nothing_without_reset_and_arm_moves_a_tripped_robot(kernel_type: type[Kernel]) -> None:
    robot = Robot(kernel_type(make_config()))
    moving(robot)
    robot.step(stop_line=True)
    robot.run_until(State.FAULT)
    rest = tuple(robot.q_rad)
    generator = np.random.default_rng(1)
    for _ in range(5000 if kernel_type is Kernel else 500):
        action = generator.integers(0, 4)
        if action == 0:
            robot.request(Request.DISARM)
        elif action == 1:
            robot.request(Request.ARM)
        elif action == 2:
            robot.request(Request.STOP)
        verdict = robot.step(list(generator.normal(0.0, 2.0, 2)), after_ns=int(generator.integers(1, 3)) * TICK_NS)
        assert verdict.state is State.FAULT
        assert verdict.q_rad == rest
