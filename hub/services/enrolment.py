"""Whose reports count: robots are enrolled with their keys, and retired."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from securesystemslib.signer import SSlibKey

from edge_runtime.contracts.errors import HubError, HubRefusal
from edge_runtime.contracts.text import printable
from hub.fleet.selection import did_you_mean
from hub.services.unit_of_work import UnitOfWork


class Retired(str, Enum):
    """What retiring a name came to."""

    REPORTS_END = "reports_end"
    ASSIGNMENT_WITHDRAWN = "assignment_withdrawn"

    def __str__(self) -> str:
        return self.value


def enrol(work: UnitOfWork, keys: Mapping[str, SSlibKey]) -> None:
    """Take the reports of robots from now on if they are signed with these keys; older keys of theirs end.

    All of them are enrolled, or none.

    Raises:
        HubError: NO_ROBOT_NAME, or KEY_TAKEN by another robot.
        SigningError: not an Ed25519 key.
    """
    work.robots().enrol_all(keys, work.now_s)


def retire(work: UnitOfWork, robot_id: str) -> Retired:
    """Take no more reports of a robot. A name that was assigned something and never enrolled loses its assignment.

    Raises:
        HubError: NOT_ENROLLED: neither enrolled nor assigned anything; names what it may have been meant to be.
    """
    robots, director = work.robots(), work.hub.director
    if robots.get(robot_id) is not None:
        robots.retire(robot_id)
        return Retired.REPORTS_END
    told = set(director.robots())
    if robot_id not in told:
        known = sorted({robot.robot_id for robot in robots.all()} | told)
        problem = f"was never enrolled{did_you_mean(robot_id, known)}"
        raise HubError(HubRefusal.NOT_ENROLLED, printable(robot_id, 80), problem)
    director.withdraw(robot_id)
    return Retired.ASSIGNMENT_WITHDRAWN
