"""The life of a robot: silent at boot, armed on purpose, latched after a fault, and never moving by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edge_runtime.contracts.states import ControlState, KernelReason, PolicyState, RequestResult
from edge_runtime.native import lib
from edge_runtime.safety import Kernel, Policy, Reason, Request, Result, State, said
from edge_runtime.safety.reference import ReferenceKernel
from edge_runtime.safety.states import TRANSITIONS, Event
from tests.safety.robot import TICK_NS, Robot, make_config


@pytest.fixture
def robot() -> Robot:
    return Robot(Kernel(make_config()))


def moving(robot: Robot) -> Robot:
    """In ACTIVE, at speed."""
    robot.arm()
    for k in range(200):
        robot.step([k * 1e-3, 0.0])
    assert robot.kernel.state is State.ACTIVE
    assert robot.verdict is not None
    assert abs(robot.verdict.dq[0]) > 0.5
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
        assert verdict.q == (0.0, 0.0)
    assert robot.step(present=False).state is State.SILENT


def test_arming_starts_from_the_measurement(robot: Robot) -> None:
    robot.q = [0.3, -0.7]
    robot.arm()
    verdict = robot.step()
    assert verdict.state is State.HOLDING
    assert verdict.q == (0.3, -0.7)
    assert verdict.dq == (0.0, 0.0)
    assert robot.step([0.3, -0.7]).state is State.ACTIVE


def test_a_driver_that_stops_by_itself_within_a_second_may_be_armed() -> None:
    robot = Robot(Kernel(make_config()), [0.0, 0.0])
    robot.step()
    assert robot.request(Request.ARM, watchdog_ns=1_000_000_000) is Result.DONE


@pytest.mark.parametrize(
    ("feedback", "result"),
    [
        ({"dq": (0.0, 0.2)}, Result.REFUSED_MOVING),
        ({"q": (0.0, 2.51)}, Result.REFUSED_OUTSIDE_LIMITS),
        ({"q": (-2.51, 0.0)}, Result.REFUSED_OUTSIDE_LIMITS),
        ({"watchdog_ns": 0}, Result.REFUSED_NO_WATCHDOG),
        ({"watchdog_ns": 1_000_000_001}, Result.REFUSED_NO_WATCHDOG),
        ({"stop_line": True}, Result.REFUSED_STOP_LINE),
        ({"driver_fault": True}, Result.REFUSED_STOP_LINE),
        ({"present": False}, Result.REFUSED_FEEDBACK),
        ({"n": 3}, Result.REFUSED_FEEDBACK),
        ({"q": (math.nan, 0.0)}, Result.REFUSED_FEEDBACK),
        ({"dq": (math.inf, 0.0)}, Result.REFUSED_FEEDBACK),
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
    assert verdict.dq == (0.0, 0.0)
    assert robot.step(robot.q).state is State.ACTIVE


def test_holding_too_long_disarms() -> None:
    robot = Robot(Kernel(make_config(hold_timeout_ns=50_000_000)))
    robot.arm()
    seen = Reason(0)
    for _ in range(60):
        seen |= robot.step().reasons
    assert Reason.HOLD_TIMEOUT in seen
    assert robot.kernel.state is State.READY
    assert robot.step([0.1, 0.1]).state is State.READY


RETRACT_RAD = (-0.3, 0.4)


def retracting(**changes: Any) -> Robot:
    """Moved, then held for too long."""
    config = make_config(retract=RETRACT_RAD, hold_timeout_ns=200_000_000, **changes)
    robot = moving(Robot(Kernel(config)))
    robot.step()
    ticks = robot.run_until(State.RETRACTING)
    assert ticks == 201
    assert robot.verdict is not None
    assert Reason.HOLD_TIMEOUT in robot.verdict.reasons
    return robot


def test_retraction_arrives_slowly_and_disarms() -> None:
    robot = retracting()
    states, fastest, before = set(), 0.0, robot.verdict
    assert before is not None
    for _ in range(6000):
        verdict = robot.step([2.0, 2.0])
        states.add(verdict.state)
        fastest = max(fastest, *(abs(v) for v in verdict.dq))
        jerk = [abs(a - b) for a, b in zip(verdict.ddq, before.ddq, strict=True)]
        assert max(jerk) <= 1.0 + 1e-9
        before = verdict
        if verdict.state is State.READY:
            break
    assert states == {State.RETRACTING, State.READY}
    assert verdict.faults == Reason(0)
    assert fastest == pytest.approx(0.2)
    assert robot.q == pytest.approx(RETRACT_RAD, abs=1e-9)


def test_retraction_keeps_the_tighter_of_both_speeds() -> None:
    robot = retracting(retract_speed_scale=0.5)
    assert robot.kernel.tighten(speed_scale=0.2) is Result.DONE
    verdicts = [robot.step() for _ in range(400)]
    assert max(abs(verdict.dq[0]) for verdict in verdicts) == pytest.approx(0.4)
    assert verdicts[-1].speed_scale == 0.2


def test_retraction_has_a_time_to_end() -> None:
    robot = retracting(retract_timeout_ns=300_000_000)
    seen = Reason(0)
    for _ in range(350):
        seen |= robot.step().reasons
    assert Reason.RETRACT_TIMEOUT in seen
    assert robot.run_until(State.READY) < 100
    assert robot.q[0] > RETRACT_RAD[0] + 0.1
    assert robot.verdict is not None
    assert robot.verdict.faults == Reason(0)


@pytest.mark.parametrize(("request_", "end"), [(Request.DISARM, State.READY), (Request.STOP, State.FAULT)])
def test_retraction_can_be_ended(request_: Request, end: State) -> None:
    robot = retracting()
    for _ in range(100):
        robot.step()
    assert robot.request(request_) is Result.DONE
    assert robot.kernel.state is State.STOPPING
    robot.run_until(end)


@pytest.mark.parametrize("armed", [False, True])
def test_the_stop_line_latches_from_any_state(robot: Robot, armed: bool) -> None:
    if armed:
        robot.arm()
    robot.step(stop_line=True)
    robot.run_until(State.FAULT)
    assert robot.request(Request.RESET, stop_line=True) is Result.REFUSED_STOP_LINE
    assert robot.request(Request.RESET) is Result.DONE


def test_a_reset_leaves_arming_to_a_request(robot: Robot) -> None:
    moving(robot)
    robot.request(Request.STOP)
    robot.run_until(State.FAULT)
    assert robot.request(Request.RESET) is Result.DONE
    for _ in range(100):
        assert robot.step([1.0, 1.0]).state is State.READY


def test_a_reset_accepts_a_driver_that_counts_anew(robot: Robot) -> None:
    moving(robot)
    robot.step(stop_line=True)
    robot.run_until(State.FAULT)
    robot.seq = 0
    assert robot.request(Request.RESET) is Result.DONE
    assert robot.step().state is State.READY


def test_a_reset_needs_the_robot_within_its_tolerance(robot: Robot) -> None:
    robot.arm()
    robot.request(Request.STOP)
    robot.run_until(State.FAULT)
    assert robot.request(Request.RESET, q=(0.0, -0.0501)) is Result.REFUSED_MISMATCH
    assert robot.request(Request.RESET, q=(0.05, -0.05)) is Result.DONE


def test_operator_stop_before_any_feedback_can_be_reset() -> None:
    robot = Robot(Kernel(make_config()), [1.0, 1.0])
    assert robot.request(Request.STOP) is Result.DONE
    assert robot.kernel.state is State.FAULT
    assert robot.request(Request.RESET) is Result.DONE
    assert robot.step().q == (1.0, 1.0)


@pytest.mark.parametrize(
    ("feedback", "result"),
    [
        ({"q": (1.0, 0.0)}, Result.REFUSED_MISMATCH),
        ({"stop_line": True}, Result.REFUSED_STOP_LINE),
        ({"dq": (1.0, 0.0)}, Result.REFUSED_MOVING),
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


def test_a_state_that_cannot_be_is_a_fault(robot: Robot) -> None:
    """Broken memory, not a fault of an input: no table has a line for it."""
    for answer in (lambda: robot.request(Request.STOP), lambda: robot.step(stop_line=True)):
        kernel = Kernel(make_config())
        robot.kernel = kernel
        robot.step()
        kernel._state.state = 99
        answer()
        assert kernel.state is State.FAULT
        assert Reason.INTERNAL in robot.step().faults


@pytest.mark.parametrize("kernel_type", [Kernel, ReferenceKernel])
def test_nothing_without_reset_and_arm_moves_a_tripped_robot(kernel_type: type[Kernel]) -> None:
    robot = Robot(kernel_type(make_config()))
    moving(robot)
    robot.step(stop_line=True)
    robot.run_until(State.FAULT)
    rest = tuple(robot.q)
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
        assert verdict.q == rest


def test_what_travels_has_the_names_of_the_kernel_and_nothing_else() -> None:
    assert [state.said for state in State] == [state for state in ControlState if state.is_known]
    assert [reason.said for reason in Policy] == [
        state for state in PolicyState if state.value not in ("unknown", "none")
    ]
    assert {result.said for result in Result} < set(RequestResult)
    assert said(Reason(2**64 - 1) & ~Reason(0)) == tuple(KernelReason)
    assert said(Reason.FORCE | Reason.SETPOINT_NONE) == (KernelReason.SETPOINT_NONE, KernelReason.FORCE)
    assert said(Reason(0)) == ()


def test_what_is_asked_of_a_state_agrees_with_what_the_kernel_does_in_it() -> None:
    """Against the table of transitions, which the kernel in C is tested against."""
    for state in State:
        to = {event: after for event, after in TRANSITIONS[state].items() if after is not state}
        assert state.said.may_be_armed == (Event.ARM in to)
        assert state.said.is_latched == (Event.RESET in to)
        assert state.said.is_armed == (to.get(Event.DISARM) is State.STOPPING or state is State.STOPPING)
        assert state.said.follows == (Event.SETPOINT in TRANSITIONS[state])
        assert state.said.is_at_rest != state.said.is_armed
    unknown = ControlState.UNKNOWN
    asked = (unknown.is_armed, unknown.may_be_armed, unknown.is_latched, unknown.is_at_rest, unknown.follows)
    assert not any(asked), "of what is silent nothing is known"
