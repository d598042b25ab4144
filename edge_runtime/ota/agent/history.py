"""What the agent did and why, for people: the newest entry, and those before it that said something else.

Guarantees: bounded, whole after a power cut, and never in the way: what cannot be written is not written. Nothing is
decided by it; what an update goes on from is the journal.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import msgspec

from edge_runtime.contracts.errors import StorageError
from edge_runtime.ota.lifecycle.journal import Journal
from edge_runtime.storage.durable import replace_file

MAX_ENTRIES = 200
MAX_DETAIL_CHARACTERS = 500
_MAX_FILE_BYTES = 1_000_000


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One turn of the agent. `at_s` is Unix time; `refusal` is empty where nothing was refused.

    `state`, `release` and `release_counter` are those of the journal afterwards.
    """

    at_s: float
    state: str
    release: str
    release_counter: int
    refusal: str = ""
    detail: str = ""

    def says_the_same(self, other: Entry) -> bool:
        """Apart from when, and from details that differ each time."""
        return (self.state, self.release, self.release_counter, self.refusal) == (
            other.state,
            other.release,
            other.release_counter,
            other.refusal,
        )


def entry_of(journal: Journal, at_s: float, refusal: str = "", detail: str = "") -> Entry:
    """What there is to say now."""
    return Entry(
        at_s=at_s,
        state=str(journal.state),
        release=journal.update.release,
        release_counter=journal.update.release_counter,
        refusal=refusal,
        detail=detail[:MAX_DETAIL_CHARACTERS],
    )


class History:
    """The history in `folder`; one writing object, on any of its process's threads, and any number of readers."""

    def __init__(self, folder: Path) -> None:
        self.newest: Entry | None = None
        self._path = folder / "diary.json"
        self._entries: list[Entry] | None = None
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """Oldest first; none where there is nothing that can be read."""
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(_MAX_FILE_BYTES), type=list[Entry])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return []

    def write(self, entry: Entry) -> None:
        """Add `entry`; one that says the same as the newest takes its place."""
        with self._lock, contextlib.suppress(StorageError):
            if self._entries is None:
                self._entries = self.entries()
            if self._entries and self._entries[-1].says_the_same(entry):
                self._entries[-1] = entry
            else:
                self._entries = [*self._entries, entry][-MAX_ENTRIES:]
            self.newest = entry
            replace_file(self._path, msgspec.json.encode(self._entries))
