"""What a person reads of a robot's status: why it stands, what to do, why it is slow, and what is ordinary."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge_runtime.client.status import Status, Watcher
from edge_runtime.client.status_lines import (
    interventions_line,
    is_alarmed,
    is_capped,
    next_step,
    policy_line,
    refusals_line,
    speed_line,
    state_line,
    timing_line,
    unexpected_refusals,
    verdicts_line,
    wants_a_person,
    why_interrupted,
)
from edge_runtime.contracts.messages import ControlState, GateState, KernelReason, PolicyState, ReducedSpeed, StopCause


@pytest.fixture
def nothing(tmp_path: Path) -> Status:
    """Of a robot that has not said anything yet."""
    with Watcher(tmp_path) as watcher:
        return watcher.status()


@pytest.fixture
def working(nothing: Status) -> Status:
    return msgspec.structs.replace(
        nothing,
        state=ControlState.ACTIVE,
        ticks=9_000,
        overruns=1_000,
        policy=PolicyState.ALIVE,
        gate=GateState.SURE,
        confidence=0.93,
        grade="A",
    )


def test_a_robot_that_starts_alarms_nobody(nothing: Status) -> None:
    assert state_line(nothing) == "unknown: no message from control yet"
    assert (next_step(nothing), wants_a_person(nothing)) == ("", False)
    lost = msgspec.structs.replace(nothing, ticks=1)
    assert wants_a_person(lost)
    assert next_step(lost)


@pytest.mark.parametrize(
    ("changes", "state", "step"),
    [
        (
            {
                "state": ControlState.FAULT,
                "faults": (KernelReason.OPERATOR_STOP,),
                "stopped_by": StopCause.OPERATOR_STOP,
            },
            "fault (operator_stop: stopped by an operator)",
            "To continue: `edge-runtime operator reset`, then `edge-runtime operator arm`.",
        ),
        (
            {"state": ControlState.READY, "stopped_by": StopCause.OPERATOR_STOP},
            "ready (operator_stop: stopped by an operator)",
            "To continue: `edge-runtime operator arm`.",
        ),
        (
            {"state": ControlState.READY, "stopped_by": StopCause.OPERATOR_DISARM},
            "ready (operator_disarm: disarmed by an operator)",
            "To continue: `edge-runtime operator arm`.",
        ),
        (
            {"state": ControlState.FAULT, "faults": (KernelReason.STOP_LINE,), "stopped_by": StopCause.STOP_LINE},
            "fault (stop_line: the stop line is or was open)",
            "To continue: close the line, then `edge-runtime operator reset`, then `edge-runtime operator arm`.",
        ),
        (
            {
                "state": ControlState.FAULT,
                "faults": (KernelReason.DRIVER_FAULT,),
                "stopped_by": StopCause.OPERATOR_DISARM,
            },
            "fault (driver_fault: the robot's driver reported a fault; its log says which)",
            "Once that is mended: `edge-runtime operator reset`, then `edge-runtime operator arm`.",
        ),
        (
            {"state": ControlState.FAULT, "faults": (KernelReason.TRACKING_ERROR,)},
            "fault (tracking_error: the robot was not where it was commanded to be: something holds or pushes it)",
            "Look for what holds or pushes it, and whether its brakes are off. Once that is mended: `edge-runtime "
            "operator reset`, then `edge-runtime operator arm`.",
        ),
        (
            {"state": ControlState.READY, "gate": GateState.ESCALATED},
            "ready: not armed: follows no commands",
            "To answer: `edge-runtime operator resume`, or another instruction, then `edge-runtime operator arm`; "
            "a run's next episode does both.",
        ),
    ],
)
def test_a_robot_that_waits_for_a_person_says_why_and_what_she_can_do(
    working: Status, changes: dict[str, object], state: str, step: str
) -> None:
    status = msgspec.structs.replace(working, **changes)
    assert state_line(status) == state
    assert next_step(status) == step
    assert wants_a_person(status)
    assert not wants_a_person(working)
    assert next_step(working) == ""


def test_a_robot_that_nobody_has_told_anything_says_so(working: Status) -> None:
    alive = {"driver": True, "control": True, "engine": True}
    idle = msgspec.structs.replace(working, state=ControlState.HOLDING, alive=alive)
    assert state_line(idle) == "holding: armed, standing still without an instruction"
    assert next_step(idle).startswith("To let it move: `edge-runtime operator instruct`, with a sentence.")
    told = msgspec.structs.replace(idle, instruction="touch the red cube")
    assert state_line(told) == "holding: armed, standing still, waiting for a plan of the policy"
    assert next_step(told) == ""
    # What an engine that is not heard was told is not known.
    assert "waiting" in state_line(msgspec.structs.replace(idle, alive={**alive, "engine": False}))


def test_a_robot_whose_policy_may_not_act_does_not_say_that_it_can_be_armed(working: Status) -> None:
    slow = msgspec.structs.replace(working, state=ControlState.READY, cannot_act="a chunk takes 0.96 s here")
    assert next_step(slow) == "It can't be armed: a chunk takes 0.96 s here. `edge-runtime check` says what to change."
    assert wants_a_person(slow)
    assert policy_line(slow) == "can't act here: a chunk takes 0.96 s here; confidence of its newest plan 0.93"
    stopped = msgspec.structs.replace(slow, stopped_by=StopCause.OPERATOR_DISARM)
    assert next_step(stopped).startswith("It can't be armed")


def test_an_interrupted_episode_names_its_cause_and_not_what_the_kernel_smoothed(working: Status) -> None:
    smoothed = (
        KernelReason.SETPOINT_NONE,
        KernelReason.LIMIT_ACCELERATION,
        KernelReason.LIMIT_JERK,
        KernelReason.LIMIT_GRIPPER,
    )
    stopped = {
        "state": ControlState.FAULT,
        "faults": (KernelReason.OPERATOR_STOP,),
        "verdicts": (*smoothed, KernelReason.OPERATOR_STOP),
    }
    status = msgspec.structs.replace(working, **stopped)
    assert why_interrupted(status) == "fault (operator_stop: stopped by an operator)"
    held = msgspec.structs.replace(working, state=ControlState.READY, verdicts=(*smoothed, KernelReason.HOLD_TIMEOUT))
    assert why_interrupted(held) == "ready (hold_timeout: no plan came for a long time, so the robot was disarmed)"
    unsure = msgspec.structs.replace(working, state=ControlState.READY, gate=GateState.ESCALATED, verdicts=smoothed)
    assert why_interrupted(unsure).startswith("ready (policy unsure for too long")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"speed_scale": 1.0}, "100% of the joints' limits, timing grade A"),
        (
            {"speed_scale": 1.0, "reduced": ReducedSpeed(tool_speed_max_m_s=0.25, speed_scale=1.0)},
            "100% of the joints' limits, reduced to 0.25 m/s at the tool by an operator, timing grade A",
        ),
        (
            {"speed_scale": 0.25, "reduced": ReducedSpeed(tool_speed_max_m_s=None, speed_scale=0.25)},
            "25% of the joints' limits, reduced to 25% by an operator, timing grade A",
        ),
        (
            {"speed_scale": 0.5, "grade": "B", "grade_speed_scale": 0.5},
            "50% of the joints' limits, timing grade B allows 50%",
        ),
        (
            {"speed_scale": 0.3, "gate": GateState.CAUTIOUS},
            "30% of the joints' limits, slower while the policy is not sure, timing grade A",
        ),
    ],
)
def test_speed_is_told_with_everything_that_limits_it(working: Status, changes: dict[str, object], line: str) -> None:
    status = msgspec.structs.replace(working, **changes)
    assert speed_line(status) == line
    assert is_capped(status) == (len(changes) > 1)


def test_what_is_ordinary_is_said_in_words_and_alarms_nobody(working: Status) -> None:
    ordinary = msgspec.structs.replace(
        working, verdicts=(KernelReason.LIMIT_ACCELERATION, KernelReason.LIMIT_JERK, KernelReason.LIMIT_GRIPPER)
    )
    assert verdicts_line(ordinary) == "acceleration smoothed, jerk smoothed, gripper smoothed"
    assert not is_alarmed(ordinary)
    assert is_alarmed(
        msgspec.structs.replace(working, verdicts=(KernelReason.LIMIT_JERK, KernelReason.SETPOINT_NOT_FINITE))
    )
    assert not is_alarmed(
        msgspec.structs.replace(working, state=ControlState.READY, verdicts=(KernelReason.FEEDBACK_STALE,))
    )


def test_counts_have_a_scale(working: Status) -> None:
    assert interventions_line(working) == "none yet"
    status = msgspec.structs.replace(working, interventions=500, ticks_watched=10_000, plans_taken=1_204)
    assert interventions_line(status) == "500 of 10,000 ticks smoothed or held (5%)"
    assert "1,000 of 10,000 ticks missed (10.0%)" in timing_line(status)
    assert refusals_line(status) == "none, 1,204 plans taken"
    routine = msgspec.structs.replace(status, refusals={"control.action_chunk.before_arming": 27})
    assert unexpected_refusals(routine) == 0
    assert refusals_line(routine) == ("27 (all routine) beside 1,204 plans taken: made before the robot was armed 27")
    odd = msgspec.structs.replace(status, refusals={"a.b.stale": 90, "a.b.shape": 1, "a.b.of_tomorrow": 1})
    assert unexpected_refusals(odd) == 2
    assert refusals_line(odd).startswith(
        "92 (2 unexpected) beside 1,204 plans taken: a.b.shape (another number of axes or pixels) 1"
    )


def test_a_policy_that_asks_for_help_and_is_sure_again_is_no_contradiction(working: Status) -> None:
    asking = msgspec.structs.replace(working, gate=GateState.ASKING, confidence=1.0)
    line = policy_line(asking)
    assert line.startswith("was unsure: ")
    assert "until it has been sure for a while or is answered" in line
    assert line.endswith("confidence of its newest plan 1.00")
    assert policy_line(msgspec.structs.replace(working, policy=PolicyState.DEAD)).startswith(
        "the policy's process has ended"
    )
