"""What the engine should have, as the pointer says, and how far it is from that: a core of values.

Guarantees: an order names bundles by their digests, its id grows with each change of mind, and an engine that has not
heard the newest order is not taken for one that obeys it. Refuses to know the bus, the disk and what an engine is.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from edge_runtime.bundles.slots import Slot, Slots
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.updates import PolicyOrder, PolicyStatus
from edge_runtime.ota.lifecycle.journal import Journal

ALIVE_NS = 1_000_000_000
"""An engine that says nothing for as long, ten times its interval, is not there."""
FATAL_LOADS = 2
"""So many engines in a row that ended while they loaded the same standby have ended because of it."""
ASK_AGAIN_NS = 60_000_000_000
"""After which an engine that could not load what should act is asked again: what was in its way may be gone."""
ASK_AGAIN_BESIDE_NS = 10 * ASK_AGAIN_NS
"""The same for the one that waits: to find out what a disk has altered takes reading all of it."""


def wanted(slots: Slots, journal: Journal, digest_of: Callable[[Slot], str]) -> tuple[str, str]:
    """Digests of the bundle that acts and of the one that stays warm beside it; empty: none.

    Beside a bundle on trial waits the one to go back to, beside the committed one the one that is about to be tried,
    or else the previous one: whatever comes next, nothing has to be loaded for it.
    """
    if journal.state is UpdateState.ROLLING_BACK:
        back = (slots.committed, slots.previous)
        serve = next((slot for slot in back if slot is not None and slot.bundle == journal.back_to), slots.committed)
        return digest_of(serve), ""
    if slots.active != slots.committed:
        beside: Slot | None = slots.committed
    elif journal.state is UpdateState.READY:
        beside = slots.staged
    else:
        beside = slots.previous
    serves, waits = digest_of(slots.active), "" if beside is None else digest_of(beside)
    return serves, waits if waits != serves else ""


def acting(slots: Slots, engine: PolicyStatus | None, digest_of: Callable[[Slot], str]) -> Slot:
    """The slot whose bundle acts: as the engine says, or without one as the pointer says what the next one will."""
    if engine is None:
        return slots.active
    return next((slot for slot in _named(slots) if digest_of(slot) == engine.serving), Slot(engine.serving))


def known(slots: Slots, digest_of: Callable[[Slot], str]) -> frozenset[str]:
    """Digests of the bundles in slots, as far as they can be read."""
    return frozenset(digest_of(slot) for slot in _named(slots)) - {""}


def _named(slots: Slots) -> list[Slot]:
    named = (slots.active, slots.committed, slots.previous, slots.staged)
    return [slot for slot in named if slot is not None]


class Standing(Enum):
    """How far an engine is with an order."""

    ABSENT = "absent"
    UNDER_WAY = "under_way"
    REFUSED = "refused"
    OBEYED = "obeyed"


class DesiredPolicy:
    """The newest order to the engine, and the last that was heard from it. Instants are nanoseconds that only grow."""

    def __init__(self) -> None:
        self.order: PolicyOrder | None = None
        self._status: PolicyStatus | None = None
        self._heard_ns = -ALIVE_NS
        self._fatal, self._fatal_loads = "", 0
        self._is_withheld = False

    def want(self, serve: str, standby: str, now_ns: int) -> None:
        """From now on this is what the engine should have; without a `serve` nothing is ordered.

        A standby that no engine survives loading is not ordered: there may be no memory for both.
        """
        self._is_withheld = standby != "" and standby == self._fatal and self._fatal_loads >= FATAL_LOADS
        standby = "" if self._is_withheld else standby
        order = self.order
        if not serve:
            self.order = None
        elif order is None or (order.serve, order.standby) != (serve, standby) or self._is_due_again(now_ns):
            self.order = PolicyOrder(id=now_ns, serve=serve, standby=standby)

    def take(self, status: PolicyStatus, now_ns: int) -> None:
        """What an engine has said."""
        last = self._status
        if last is not None and last.pid != status.pid and last.loading not in ("", last.serving):
            self._fatal_loads = 1 + (self._fatal_loads if last.loading == self._fatal else 0)
            self._fatal = last.loading
        elif status.standby == self._fatal:
            self._fatal_loads = 0
        self._status, self._heard_ns = status, now_ns

    def engine(self, now_ns: int) -> PolicyStatus | None:
        """What the engine said last; None if there is none."""
        return self._status if now_ns - self._heard_ns < ALIVE_NS else None

    def standing(self, now_ns: int) -> Standing:
        """Whether the bundle that was ordered acts."""
        return self._standing(now_ns, lambda order, status: (order.serve, status.serving))

    def standing_beside(self, now_ns: int) -> Standing:
        """Whether the bundle that should stay warm is."""
        if self._is_withheld:
            return Standing.REFUSED
        return self._standing(now_ns, lambda order, status: (order.standby, status.standby))

    def problem(self) -> str:
        """Why the engine could not load what it should."""
        if self._status is not None and self._status.problem:
            return self._status.problem
        return f"{self._fatal_loads} engines ended while they loaded it" if self._is_withheld else ""

    def _standing(self, now_ns: int, compare: Callable[[PolicyOrder, PolicyStatus], tuple[str, str]]) -> Standing:
        status = self.engine(now_ns)
        if status is None:
            return Standing.ABSENT
        if self.order is None or status.order_id != self.order.id:
            return Standing.UNDER_WAY
        ordered, has = compare(self.order, status)
        if has == ordered:
            return Standing.OBEYED
        return Standing.REFUSED if ordered and status.failed == ordered else Standing.UNDER_WAY

    def _is_due_again(self, now_ns: int) -> bool:
        assert self.order is not None
        status = self.engine(now_ns)
        if status is None or status.failed not in (self.order.serve, self.order.standby) or not status.failed:
            return False
        patience_ns = ASK_AGAIN_NS if status.failed == self.order.serve else ASK_AGAIN_BESIDE_NS
        return now_ns - self.order.id >= patience_ns
