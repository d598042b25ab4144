"""Only a robot's own report makes a success, and only one that says all of it."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.contracts.report import StatusReport
from edge_runtime.contracts.states import UpdateState
from hub.fleet.assignment_state import AssignmentState, assignment_state

TOLD, OLD = "a" * 64, "b" * 64
GOING_ON = ("downloading", "verifying", "staged", "building", "golden_check", "ready", "activating", "probation")


def report(state: str, bundle: str = OLD, counter: int = 1, update: int = 0, refused: int = 0) -> StatusReport:
    return StatusReport(
        format_version=1,
        robot_id="arm-1",
        nonce="0" * 32,
        running_bundle=bundle,
        running_counter=counter,
        state=UpdateState(state),
        update_counter=update,
        refused_counter=refused,
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (report("idle", TOLD, 2), AssignmentState.RUNS),
        (report("committed", TOLD, 2, update=2), AssignmentState.RUNS),
        (report("idle", TOLD, 2, refused=1), AssignmentState.RUNS),
        (report("idle", TOLD, 1), AssignmentState.WAITING),
        (report("idle", OLD, 2), AssignmentState.WAITING),
        (report("idle", "shipped", 0), AssignmentState.WAITING),
        (report("downloading", update=1), AssignmentState.WAITING),
        # It runs, and already goes on to something newer that it was told before: that is no success of this one.
        (report("downloading", TOLD, 2, update=3), AssignmentState.WAITING),
        (report("idle", update=2), AssignmentState.WAITING),
        (report("idle", refused=2), AssignmentState.FAILED),
        (report("idle", TOLD, 2, refused=2), AssignmentState.FAILED),
        (report("rolling_back", TOLD, 2, update=2), AssignmentState.FAILED),
        (report("failed", update=2), AssignmentState.FAILED),
        (report("failed", update=1, refused=1), AssignmentState.WAITING),
    ],
)
def test_what_a_report_amounts_to(said: StatusReport, expected: AssignmentState) -> None:
    assert assignment_state(2, TOLD, said) is expected


def test_no_state_on_the_way_is_a_success() -> None:
    assert set(GOING_ON) | {"idle", "committed", "rolling_back", "failed"} == set(UpdateState)
    for state in GOING_ON:
        said: dict[str, Any] = {"bundle": TOLD, "counter": 2, "update": 2}
        assert assignment_state(2, TOLD, report(state, **said)) is AssignmentState.UNDER_WAY


def test_without_assignment_or_report() -> None:
    assert assignment_state(None, None, report("idle", TOLD, 2)) is AssignmentState.UNASSIGNED
    assert assignment_state(2, TOLD, None) is AssignmentState.SILENT
