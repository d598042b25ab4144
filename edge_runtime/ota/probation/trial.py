"""A bundle on trial: its record beside that of the committed one, the time it has had, and what follows.

Guarantees: records and time last over restarts of the agent and of the robot; time counts only while the robot's
processes are there; what cannot be written is kept in memory and holds up nothing. Decides without a network. Refuses
to know how bundles are changed over. Trusts `probation.judge`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_runtime.contracts.errors import BundleError, StorageError
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.messages import Message
from edge_runtime.ota.lifecycle.journal import Update
from edge_runtime.ota.probation.bundle_stats import RecordBook
from edge_runtime.ota.probation.observer import Observer
from edge_runtime.ota.probation.probation import Decision, Terms, judge, latency_budget_s
from edge_runtime.storage.durable import make_folder
from edge_runtime.storage.twin_record import TwinRecord

_KEEP_EVERY_S = 30.0
_UNKNOWN_BUDGET_S = 1.0
_LONGEST_STEP_S = 2.0
"""A look that comes later was held up, and nobody watched the robot in between."""


class Elapsed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a bundle has been on trial under a release counter."""

    bundle: str = ""
    release_counter: int = 0
    elapsed_s: float = 0.0


class Trial:
    """Watches whatever acts, and judges what is on trial. Use from one thread; `now_s` is monotonic.

    Args:
        folder: of the agent.
        known: digests of the bundles whose records count.
    """

    def __init__(self, folder: Path, known: Callable[[], frozenset[str]]) -> None:
        self._book = RecordBook(folder / "records")
        self._known = known
        self.observer = Observer(self._book.read(bundle) for bundle in known())
        self._folder = folder
        self._file = TwinRecord(folder / "trial", Elapsed)
        try:
            self._elapsed = self._file.read() or Elapsed()
        except StorageError:
            # A trial that nobody knows the age of is a new one.
            self._elapsed = Elapsed()
        self._looked_s: float | None = None
        self._kept_s = 0.0

    def take(self, message: Message, now_s: float) -> None:
        """One message of the bus."""
        self.observer.take(message, now_s)

    def begin(self, update: Update, committed: str) -> None:
        """The bundle of `update` goes on trial; once more for the trial that is under way changes nothing.

        Its record begins anew, unless it is the committed one under another counter.
        """
        if (self._elapsed.bundle, self._elapsed.release_counter) != (update.bundle, update.release_counter):
            self._elapsed = Elapsed(update.bundle, update.release_counter)
            if update.bundle != committed:
                self.observer.begin(update.bundle)
            self.keep(self._kept_s)

    def look(self, now_s: float, *, counts: bool) -> None:
        """Let time pass; it `counts` for the trial while one is under way and the robot's processes are there."""
        self.observer.look(now_s)
        passed_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        if counts and passed_s < _LONGEST_STEP_S:
            self._elapsed = msgspec.structs.replace(self._elapsed, elapsed_s=self._elapsed.elapsed_s + passed_s)
        if now_s - self._kept_s >= _KEEP_EVERY_S:
            self.keep(now_s)

    def judge(self, bundle: str, committed: str, terms: Terms) -> Decision:
        """The verdict by now; `committed` is empty where the shipped bundle cannot be read."""
        record = self.observer.record
        # Held against itself a bundle has no record to go by.
        return judge(record(bundle), record(committed or bundle), terms, self._elapsed.elapsed_s)

    def keep(self, now_s: float) -> None:
        """Write down what is known, and forget the bundles that are gone."""
        self._kept_s = now_s
        known = self._known()
        records = [record for bundle, record in self.observer.records().items() if bundle in known]
        try:
            make_folder(self._folder)
            self._book.save(records, now_s)
            self._book.forget(known)
            if self._file.read() != self._elapsed:
                self._file.write(self._elapsed)
        except StorageError:
            # The next time will do: a full disk must not keep anybody from judging.
            return


def latency_budget_of(folder: Path, replan_interval_s: float) -> float:
    """How old chunks of the bundle in `folder` may be."""
    try:
        policy = read_manifest(folder).policy
    except BundleError:
        # Whether it can be run at all is for others to find out.
        return _UNKNOWN_BUDGET_S
    return latency_budget_s(policy.rows, policy.action_dt_ns, replan_interval_s)
