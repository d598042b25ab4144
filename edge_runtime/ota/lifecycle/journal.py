"""What the update agent was doing, on disk: enough to go on after a power cut at any instant.

Guarantees: states and fields are stored under strings that never change their meaning; the newest whole copy is read.
Refuses to know what follows from a state. Trusts its one writer, the runner.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.disk import disk_refusals
from edge_runtime.storage.twin_record import TwinRecord


class Update(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One update. Empty and 0: none.

    Attributes:
        release: path of the release among the targets of the image repository; ends with its digest and `.json`.
        bundle: digest of the bundle that it makes.
        release_counter: the counter under which it was assigned to this robot.
        probation_s: how long it is on trial.
    """

    release: str = ""
    bundle: str = ""
    release_counter: int = 0
    probation_s: int = 0

    @property
    def release_digest(self) -> str:
        """SHA-256 of the release."""
        return self.release.rpartition("/")[2].removesuffix(".json")


class Journal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record of the journal.

    Attributes:
        state: what is being done.
        update: to which update it is done.
        back_to: digest (or "shipped") that a rollback returns to; empty outside of one.
        reason: why the last update failed, is going back or waits; empty if all is well.
        restarts: how often the process came back in this very state, where that has a limit.
        steps: transitions since idle.
        refused: the last update that failed or was left; it is not tried again under the same counter.
    """

    state: UpdateState = UpdateState.IDLE
    update: Update = Update()
    back_to: str = ""
    reason: str = ""
    restarts: int = 0
    steps: int = 0
    refused: Update = Update()


class JournalFile:
    """The journal on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._record = TwinRecord(path, Journal)

    def read(self) -> Journal | None:
        """The newest record; None before the first update.

        Raises:
            OtaError: `TORN_STATE`.
        """
        with disk_refusals(self._path):
            return self._record.read()

    def write(self, journal: Journal) -> None:
        """Replace the record; it has lasted when this returns.

        Raises:
            OtaError: `NO_SPACE`, `STORAGE_FAULT`: either the old or the new record is there.
        """
        with disk_refusals(self._path):
            self._record.write(journal)
