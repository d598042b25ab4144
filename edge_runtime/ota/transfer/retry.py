"""What to do after a transfer failed: wait how long and try again, or give up and say why.

Guarantees an end: failures of the network are counted until bytes come again, contradictions of the server until a
blob is stored, and both within a time without progress. Refuses to know sockets and clocks: it takes values, the
instant and a random draw. Trusts nobody: a server's Retry-After is believed only up to a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from edge_runtime.contracts.errors import OtaRefusal


class Budget(Enum):
    """How often a kind of failure may be met again."""

    NONE = "none"  # trying again would change nothing, or is what an attacker wants
    FEW = "few"  # the server contradicts what was signed; a cache may still catch up
    MANY = "many"  # the network, or a server that asks for patience


BUDGETS: Mapping[OtaRefusal, Budget] = {
    OtaRefusal.UNREACHABLE: Budget.MANY,
    OtaRefusal.DISCONNECTED: Budget.MANY,
    OtaRefusal.SLOW_RETRIEVAL: Budget.MANY,
    OtaRefusal.SERVER_BUSY: Budget.MANY,
    OtaRefusal.SERVER_ERROR: Budget.MANY,
    OtaRefusal.FORBIDDEN: Budget.FEW,
    OtaRefusal.NOT_FOUND: Budget.FEW,
    OtaRefusal.RANGE_IGNORED: Budget.FEW,
    OtaRefusal.WRONG_RANGE: Budget.FEW,
    OtaRefusal.WRONG_LENGTH: Budget.FEW,
    OtaRefusal.WRONG_ENCODING: Budget.FEW,
    OtaRefusal.OBJECT_CHANGED: Budget.FEW,
    OtaRefusal.BLOB_ALTERED: Budget.FEW,
    OtaRefusal.BLOB_MALFORMED: Budget.FEW,
    OtaRefusal.BLOB_OVERSIZED: Budget.FEW,
    OtaRefusal.UNTRUSTED_SERVER: Budget.NONE,
    OtaRefusal.REDIRECT_REFUSED: Budget.NONE,
    OtaRefusal.CAPTIVE_PORTAL: Budget.NONE,
    OtaRefusal.ENDLESS_DATA: Budget.NONE,
    OtaRefusal.UNEXPECTED_STATUS: Budget.NONE,
    OtaRefusal.OUTSIDE_HOURS: Budget.NONE,
}
"""Whatever is not listed, a full disk for example, is not tried again."""


@dataclass(frozen=True)
class Patience:
    """How much is endured. `many` and `few` are failures in a row that end it.

    The n-th wait in a row is drawn between half and all of `first_wait_s` doubled n times, at most `longest_wait_s`; a
    Retry-After comes on top, and ends it when it is above `longest_retry_after_s`. `progress_bytes` received, over any
    number of connections, are progress. So is a stored blob. `without_progress_s` counts from the first failure after
    progress.
    """

    many: int = 8
    few: int = 3
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0
    longest_retry_after_s: float = 600.0
    without_progress_s: float = 900.0
    progress_bytes: int = 256 * 1024

    def __post_init__(self) -> None:
        if self.many < 1 or self.few < 1 or self.progress_bytes < 1:
            raise ValueError("many, few and progress_bytes must be at least 1")
        if not 0.0 < self.first_wait_s <= self.longest_wait_s or self.longest_retry_after_s < 0.0:
            raise ValueError("waits must be positive, the first no longer than the longest")


USUAL_PATIENCE = Patience()


@dataclass(frozen=True)
class Wait:
    """Try again after `wait_s`."""

    wait_s: float


@dataclass(frozen=True)
class GiveUp:
    """End it for the reason that was last met; `why` says which budget is spent."""

    why: str


class Retries:
    """The failures of one download so far."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._many = 0
        self._few = 0
        self._bytes = 0
        self._trouble_since_ns: int | None = None

    def received(self, size_bytes: int) -> None:
        """Bytes came. Enough of them, and the failures of the network are forgotten."""
        self._bytes += size_bytes
        if self._bytes >= self._patience.progress_bytes:
            self._bytes = self._many = 0
            if not self._few:
                self._trouble_since_ns = None

    def stored(self) -> None:
        """A blob came whole and right: every failure is forgotten."""
        self._many = self._few = self._bytes = 0
        self._trouble_since_ns = None

    def after(
        self, failure: OtaRefusal, now_ns: int, *, draw: float, retry_after_s: float | None = None
    ) -> Wait | GiveUp:
        """What to do after `failure` at `now_ns`; `draw` is random, evenly from 0 to 1."""
        patience = self._patience
        budget = BUDGETS.get(failure, Budget.NONE)
        if budget is Budget.NONE:
            return GiveUp("trying again is no use")
        if self._trouble_since_ns is None:
            self._trouble_since_ns = now_ns
        if budget is Budget.MANY:
            self._many += 1
            if self._many >= patience.many:
                return GiveUp(f"{self._many} failures in a row")
        else:
            self._few += 1
            if self._few >= patience.few:
                return GiveUp(f"{self._few} wrong answers without a whole blob between them")
        asked_s = retry_after_s or 0.0
        if asked_s > patience.longest_retry_after_s:
            return GiveUp(f"asked to wait {asked_s:.0f} s, the limit is {patience.longest_retry_after_s:.0f} s")
        doublings = min(max(self._many, self._few) - 1, 32)
        backoff_s = min(patience.longest_wait_s, patience.first_wait_s * 2.0**doublings)
        wait_s = asked_s + backoff_s * (0.5 + 0.5 * draw)
        troubled_s = (now_ns - self._trouble_since_ns) / 1e9
        if troubled_s + wait_s > patience.without_progress_s:
            return GiveUp(f"no progress for {troubled_s:.0f} s, the limit is {patience.without_progress_s:.0f} s")
        return Wait(wait_s)
