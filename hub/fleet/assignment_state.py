"""How a robot stands to what it was assigned: from its own signed report, and from nothing else.

Pure. A robot that was not heard of since, that downloaded all files, or that a timer gave up on, did not succeed: only
`RUNS` is success, and only a report says it.
"""

from __future__ import annotations

from enum import Enum

from edge_runtime.contracts.report import StatusReport


class AssignmentState(str, Enum):
    """Where a robot is on the way to its assignment."""

    UNASSIGNED = "unassigned"
    SILENT = "silent"
    WAITING = "waiting"
    UNDER_WAY = "under_way"
    RUNS = "runs"
    FAILED = "failed"
    DAMAGED = "damaged"

    def __str__(self) -> str:
        return self.value


BEHIND = frozenset(AssignmentState) - {AssignmentState.UNASSIGNED, AssignmentState.RUNS}
"""Assigned something, and does not report that it runs it."""


def assignment_state(counter: int | None, bundle_digest: str | None, report: StatusReport | None) -> AssignmentState:
    """Judge the newest report of a robot that was assigned `bundle_digest` under `counter` (None: nothing yet)."""
    if counter is None:
        return AssignmentState.UNASSIGNED
    if report is None:
        return AssignmentState.SILENT
    if report.refused_counter == counter or (report.update_counter == counter and report.state.is_given_up):
        return AssignmentState.FAILED
    if report.state.is_settled and (report.running_counter, report.running_bundle) == (counter, bundle_digest):
        return AssignmentState.RUNS
    if report.update_counter == counter and not report.state.is_settled:
        return AssignmentState.UNDER_WAY
    return AssignmentState.WAITING
