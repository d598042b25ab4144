"""What the hub can say of releases and robots: files that are signed, put beside reports that are signed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec
from tuf.api.metadata import TargetFile

from edge_runtime.contracts.assignment import Assignment, ReleaseTerms, read_terms
from edge_runtime.contracts.errors import EdgeError
from edge_runtime.contracts.release import load
from edge_runtime.contracts.report import StatusReport
from hub.fleet.assignment_state import AssignmentState, assignment_state
from hub.fleet.reports import Reports
from hub.fleet.robots import Robots
from hub.hub import Hub
from hub.trouble import looked

Thing = TypeVar("Thing", AssignmentState, str)


class RobotStatus(msgspec.Struct, frozen=True):
    """One robot: its assignment, its newest report, and what that amounts to.

    `trouble`: what is damaged of what the hub has of it; `edge-hub repair` makes it anew.
    """

    robot_id: str
    enrolled: bool
    standing: AssignmentState
    assignment: Assignment | None
    reported_s: float | None
    report: StatusReport | None
    trouble: str = ""


class Progress(msgspec.Struct, frozen=True):
    """One update over all robots that it is assigned to.

    Attributes:
        standings: how many robots stand how; `runs` is what is done.
        states: of those under way, what they do, and what they wait for, if they do.
        waits: of those that wait, why, as far as they say.
        reasons: of those that failed, why.
    """

    release: str
    counter: int
    robots: int
    standings: dict[AssignmentState, int]
    states: dict[str, int]
    waits: dict[str, int]
    reasons: dict[str, int]


class ReleaseView(msgspec.Struct, frozen=True):
    """A release that exporter and approver signed."""

    path: str
    terms: ReleaseTerms
    length_bytes: int


def progress(statuses: Iterable[RobotStatus]) -> list[Progress]:
    """How far each update is, the newest counter first."""
    groups: dict[tuple[int, str], list[RobotStatus]] = {}
    for status in statuses:
        if status.assignment is not None:
            key = (status.assignment.terms.release_counter, status.assignment.path)
            groups.setdefault(key, []).append(status)
    return [
        Progress(
            release=path,
            counter=counter,
            robots=len(group),
            standings=_counted(status.standing for status in group),
            states=_counted(_doing(said) for said in _reports(group, AssignmentState.UNDER_WAY)),
            waits=_counted(_cause(said) for said in _reports(group, AssignmentState.WAITING) if said.reason),
            reasons=_counted(_cause(said) or "unsaid" for said in _reports(group, AssignmentState.FAILED)),
        )
        for (counter, path), group in sorted(groups.items(), reverse=True)
    ]


def _reports(group: Iterable[RobotStatus], standing: AssignmentState) -> Iterator[StatusReport]:
    return (status.report for status in group if status.standing is standing and status.report is not None)


def _doing(report: StatusReport) -> str:
    return f"{report.state} ({_cause(report)})" if report.reason else str(report.state)


def _cause(report: StatusReport) -> str:
    """The name that a reason begins with."""
    return report.reason.partition(":")[0]


def _counted(things: Iterable[Thing]) -> dict[Thing, int]:
    """Each with how often it comes, the most frequent first."""
    return dict(Counter(things).most_common())


def releases(hub: Hub) -> list[ReleaseView]:
    """Every release, by path."""
    signed = hub.image.releases()
    listed: dict[str, TargetFile] = {} if signed is None else signed.signed.targets
    return [
        ReleaseView(path, read_terms(target.custom, ReleaseTerms), target.length)
        for path, target in sorted(listed.items())
    ]


def robots(hub: Hub, robots: Robots, reports: Reports) -> list[RobotStatus]:
    """Every robot that is enrolled or assigned something, by name."""
    enrolled = {robot.robot_id: robot for robot in robots.all()}
    newest = reports.newest_of_all()
    bundles: dict[str, str] = {}
    statuses = []
    told = set(hub.director.robots())
    for robot_id in sorted({*enrolled, *told}):
        stored = newest.get(robot_id)
        assigned, bundle, trouble = _told(hub, robot_id, bundles) if robot_id in told else (None, None, "")
        report = None if stored is None else stored.report
        counter = None if assigned is None else assigned.terms.release_counter
        problems = [trouble, "" if stored is None else stored.problem]
        statuses.append(
            RobotStatus(
                robot_id=robot_id,
                enrolled=robot_id in enrolled and enrolled[robot_id].public_key is not None,
                standing=AssignmentState.DAMAGED if trouble else assignment_state(counter, bundle, report),
                assignment=assigned,
                reported_s=None if stored is None else stored.received_s,
                report=report,
                trouble="; ".join(filter(None, problems)),
            )
        )
    return statuses


def _told(hub: Hub, robot_id: str, bundles: dict[str, str]) -> tuple[Assignment | None, str | None, str]:
    """What a robot is assigned, the digest of that bundle, and what is damaged of it."""
    files, problem = looked(lambda: hub.director.look(robot_id))
    del files
    if problem is not None:
        return hub.director.known(robot_id), None, problem
    assigned = hub.director.assignment(robot_id)
    if assigned is None:
        return None, None, ""
    try:
        if assigned.path not in bundles:
            bundles[assigned.path] = load(hub.image.manifest(assigned.path)).bundle_digest
    except EdgeError as error:
        return assigned, None, str(error)
    return assigned, bundles[assigned.path], ""
