"""What the hub can say of releases and robots: files that are signed, put beside reports that are signed."""

from __future__ import annotations

import msgspec
from tuf.api.metadata import TargetFile

from contracts.assignment import Assignment, ReleaseTerms, read_terms
from contracts.release import load
from contracts.report import StatusReport
from hub.house import Hub
from hub.reports import Reports
from hub.robots import Robots
from hub.standing import Standing, standing


class RobotStatus(msgspec.Struct, frozen=True):
    """One robot: what it was told, what it said last, and what that amounts to."""

    robot_id: str
    enrolled: bool
    standing: Standing
    assignment: Assignment | None
    reported_s: float | None
    report: StatusReport | None


class ReleaseView(msgspec.Struct, frozen=True):
    """A release that exporter and approver signed."""

    path: str
    terms: ReleaseTerms
    length_bytes: int


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
    bundles: dict[str, str] = {}
    statuses = []
    for robot_id in sorted({*enrolled, *hub.director.robots()}):
        assigned = hub.director.assignment(robot_id)
        stored = reports.newest(robot_id)
        if assigned is not None and assigned.path not in bundles:
            bundles[assigned.path] = load(hub.image.manifest(assigned.path)).bundle_digest
        report = None if stored is None else stored.report
        counter = None if assigned is None else assigned.terms.release_counter
        bundle = None if assigned is None else bundles[assigned.path]
        statuses.append(
            RobotStatus(
                robot_id=robot_id,
                enrolled=robot_id in enrolled and enrolled[robot_id].public_key is not None,
                standing=standing(counter, bundle, report),
                assignment=assigned,
                reported_s=None if stored is None else stored.received_s,
                report=report,
            )
        )
    return statuses
