"""What a service is given instead of a request or a command line: a hub that it alone changes, and the time.

Guarantees: while one unit of work is entered, nothing else writes to that hub, in this process or another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from edge_runtime.contracts.errors import HubError, HubRefusal
from hub.db.connection import open_database, open_to_read
from hub.fleet.robots import Robots
from hub.hub import Hub
from hub.lock import PATIENCE_S, writing
from hub.tuf.online_keys import Online


class UnitOfWork:
    """A hub as of `now_s`, Unix time. `engine`: its database, where the caller has it open already."""

    def __init__(self, hub: Hub, now_s: float, engine: Engine | None = None) -> None:
        self.hub = hub
        self.now_s = now_s
        self._engine = engine

    def online(self) -> Online:
        """The keys that the hub signs with by itself."""
        return self.hub.online()

    def robots(self) -> Robots:
        """The robots in the database, which is made or brought up to date first."""
        if self._engine is None:
            self._engine = open_database(self.hub.folder)
        return Robots(self._engine)

    def robots_so_far(self) -> Robots | None:
        """The same without a write; None where there is no database yet."""
        engine = self._engine or open_to_read(self.hub.folder)
        return None if engine is None else Robots(engine)

    def enrolled(self) -> list[str]:
        """Robots whose reports count, by name; writes nothing."""
        robots = self.robots_so_far()
        return [] if robots is None else robots.enrolled()


def hub_in(folder: Path) -> Hub:
    """The hub in `folder`.

    Raises:
        HubError: NO_HUB.
    """
    hub = Hub(folder)
    _require_set_up(hub)
    return hub


@contextmanager
def unit_of_work(
    hub: Hub, who: str, now_s: float, *, engine: Engine | None = None, patience_s: float = PATIENCE_S
) -> Iterator[UnitOfWork]:
    """Hold `hub` for the block; `who` is what others are told meanwhile.

    Raises:
        HubError: NO_HUB; or IN_USE: another process held it for longer than `patience_s`.
    """
    if not hub.folder.is_dir():
        _require_set_up(hub)
    with writing(hub.folder, who, patience_s):
        _require_set_up(hub)
        yield UnitOfWork(hub, now_s, engine)


def database_of(hub: Hub, who: str) -> Engine:
    """The hub's database, to be read: nobody is waited for, unless `who` has to make it or bring it up to date.

    Raises:
        HubError: IN_USE: it has to be made, and another process holds the hub.
    """
    engine = open_to_read(hub.folder)
    if engine is None:
        with writing(hub.folder, who):
            engine = open_database(hub.folder)
    return engine


def _require_set_up(hub: Hub) -> None:
    if not hub.image.metadata.exists:
        problem = "holds no hub: `edge-hub init` makes one for development"
        raise HubError(HubRefusal.NO_HUB, str(hub.folder), problem)
