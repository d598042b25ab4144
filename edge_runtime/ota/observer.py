"""From what is said on the robot's bus to the records of the bundles that were acting."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.messages import Message
from edge_runtime.ota.record import Record


class Observer:
    """Listens; `take` every message of SAFETY_REPORT, CHUNK_RECEIPT, HEARTBEAT_*, POLICY_STATUS, EPISODE.

    Args:
        records: what is known of bundles so far.
        silence_s: an engine that says nothing for so long, while control speaks, has crashed.
    """

    def __init__(self, records: Iterable[Record] = (), *, silence_s: float = 10.0) -> None:
        self._records = {record.bundle: record for record in records}
        self._silence_s = silence_s
        self._boots = ""

    def boots(self, bundle: str) -> None:
        """What an engine that starts will run, as the pointer says: it answers for one that never comes up."""
        self._boots = bundle

    def begin(self, bundle: str) -> None:
        """The record of `bundle` begins anew: it goes on trial."""
        self._records[bundle] = Record(bundle=bundle)

    def take(self, message: Message, now_s: float) -> None:
        """Learn from one message; `now_s` is monotonic time. Never raises for what the message holds."""

    def look(self, now_s: float) -> None:
        """Let time pass: call it at least every second, also when nothing is said."""

    def records(self) -> dict[str, Record]:
        """By bundle, all that is known."""
        return dict(self._records)

    def record(self, bundle: str) -> Record:
        """Of one bundle; empty where nothing is known."""
        return self._records.get(bundle, Record(bundle=bundle))
