"""Making damaged files of a hub anew."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from edge_runtime.contracts.errors import HubError, HubRefusal
from edge_runtime.contracts.text import printable
from hub.fleet.selection import did_you_mean
from hub.services.unit_of_work import UnitOfWork
from hub.trouble import Trouble


class Repaired(msgspec.Struct, frozen=True):
    """What was made anew, by name, and what could not be."""

    mended: tuple[str, ...]
    left: tuple[Trouble, ...]


def repair(work: UnitOfWork, robot_ids: Collection[str] = ()) -> Repaired:
    """Make anew what is damaged, of these robots, or of the whole hub where none is named.

    Raises:
        HubError: NOT_ENROLLED: names that are neither enrolled nor assigned anything.
        StorageError: the disk takes no writes.
    """
    robots = work.robots_so_far()
    known = {*work.hub.director.robots(), *(() if robots is None else (robot.robot_id for robot in robots.all()))}
    unknown = sorted(set(robot_ids) - known)
    if unknown:
        named = "; ".join(f"{printable(name, 80)}{did_you_mean(name, sorted(known))}" for name in unknown)
        raise HubError(HubRefusal.NOT_ENROLLED, "robots", f"there is none of that name: {named}")
    mended, left = work.hub.repair(work.now_s, set(robot_ids) or None)
    return Repaired(tuple(mended), left)
