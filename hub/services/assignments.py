"""Assigning a release to robots: which robots are meant, on which terms, and the result."""

from __future__ import annotations

import msgspec

from edge_runtime.contracts.assignment import Assignment, AssignmentTerms
from edge_runtime.contracts.errors import HubError, HubRefusal
from hub.fleet.selection import select
from hub.hub import Hub
from hub.robot_names import require_robot_names
from hub.services.unit_of_work import UnitOfWork

MANUAL_ROLLOUT = "manual"
DEFAULT_PROBATION_S = 600


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An assignment that was asked for.

    Attributes:
        release: path of a release, bundles/NAME/DIGEST.json.
        robots: names of enrolled robots, and patterns (`*`, `?`, `[…]`) for those that match.
        hardware: what the robots are, as the release was signed for.
        counter: release counter; None for the newest approved for the release.
        not_before_s: earliest install, Unix time; None for now.
        rollout_id: name under which this is counted.
        probation_s: seconds in which the release has to prove itself.
        not_enrolled: also accept names that are not enrolled: robots that don't report, or whose key comes later.
    """

    release: str
    robots: tuple[str, ...]
    hardware: str
    counter: int | None = None
    not_before_s: int | None = None
    rollout_id: str = MANUAL_ROLLOUT
    probation_s: int = DEFAULT_PROBATION_S
    not_enrolled: bool = False


class Assigned(msgspec.Struct, frozen=True):
    """What came of an order. Each robot learns it when it asks next.

    Attributes:
        release: path of the release.
        counter: release counter that the robots were given.
        robots: to whom it is assigned, in the order asked.
        failed: robots whose files are damaged and could not be made anew, and why.
    """

    release: str
    counter: int
    robots: tuple[str, ...]
    failed: dict[str, str]


def assign(work: UnitOfWork, order: Order) -> Assigned:
    """Assign a release to robots. If one of them may not be assigned, none is.

    Raises:
        HubError: NOBODY_NAMED; NOT_ENROLLED: names and patterns that stand for no robot; NEVER_RELEASED; NO_ROBOT_NAME;
            OTHER_HARDWARE, COUNTER_NOT_APPROVED, COUNTER_GOES_BACK. Nobody was told anything.
        OtaError: METADATA_MALFORMED: no robot would read these terms. Nobody was told anything.
        SigningError: an online key is missing. Nobody was told anything.
        StorageError: some were assigned, each of them whole; the same again assigns the others.
    """
    if not order.robots:
        raise HubError(HubRefusal.NOBODY_NAMED, "robots", "name at least one, or a pattern")
    hub = work.hub
    names = select(order.robots, work.enrolled(), also_unknown=order.not_enrolled)
    require_robot_names(names)
    counter = hub.image.newest(order.release) if order.counter is None else order.counter
    told = [
        AssignmentTerms(
            robot_id=robot_id,
            release_counter=counter,
            hardware=order.hardware,
            not_before_s=int(work.now_s) if order.not_before_s is None else order.not_before_s,
            rollout_id=order.rollout_id,
            probation_s=order.probation_s,
        )
        for robot_id in names
    ]
    failed = hub.director.assign_all(order.release, told, hub.image, work.online(), work.now_s)
    assigned = tuple(name for name in names if name not in failed)
    return Assigned(release=order.release, counter=counter, robots=assigned, failed=failed)


def assignments(hub: Hub) -> list[Assignment]:
    """What every robot is assigned, by name, as far as its files can be read."""
    return [known for robot_id in hub.director.robots() if (known := hub.director.known(robot_id)) is not None]
