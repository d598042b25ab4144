"""Carries updates out: persists each step of the life cycle, does its effects, and persists what came of them.

Guarantees: what is on disk says what is being done before it is begun; after a cut `recover` goes on from there.
Whatever fails, the committed bundle stays in place and bootable. The floor is raised when an update is committed, and
only then.
Refuses to know networks, clocks and engines: those are behind `Robot`. Trusts an assigned release to have been verified
against the signed metadata, and its hash to be the one that was signed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol

from edge_runtime.bundles.engine_cache import collect_engines
from edge_runtime.bundles.installed import Installed
from edge_runtime.bundles.slots import SHIPPED, Boot, Slot, SlotFile, Slots, boot
from edge_runtime.contracts.errors import EdgeError, OtaError, OtaRefusal
from edge_runtime.contracts.release import ReleaseManifest, load
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.lifecycle.journal import Journal, JournalFile, Update
from edge_runtime.ota.lifecycle.lifecycle import DONE, TABLE, Effect, Event, Step, advance
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.transfer.staging import Staging, begin
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.storage.durable import make_folder, refusal_of, write_durably

_PASSES = frozenset({OtaRefusal.NO_SPACE, OtaRefusal.STORAGE_FAULT, OtaRefusal.NOT_NOW, OtaRefusal.AT_WORK})
"""What says nothing about the bundle."""


class Robot(Protocol):
    """What an update asks of the rest of the robot. Each call has an end, and may come again after it was done."""

    def fetch(self, staging: Staging) -> None:
        """Put every piece that is missing.

        Raises:
            OtaError: it goes on later.
        """

    def heed(self) -> None:
        """Return at once, if there is time for something that takes long.

        Raises:
            OtaError: `NOT_NOW`: there is not; it goes on later.
        """

    def build(self, folder: Path) -> None:
        """Build what runs on this robot's accelerator from the bundle in `folder`, where that is not done yet.

        Raises:
            EdgeError: this bundle cannot be built here.
        """

    def golden_check(self, folder: Path) -> None:
        """Compare what was built with the bundle's stored observations and actions.

        Raises:
            EdgeError: it differs.
        """

    def serve(self, folder: Path, standby: Path) -> None:
        """Have the engine run the bundle in `folder`, with the one in `standby` loaded beside it.

        Raises:
            EdgeError: it does not.
        """

    def return_to(self, folder: Path) -> None:
        """Have the engine run the bundle in `folder` again; where there is none, the next one will.

        Raises:
            EdgeError: there is an engine, and it does not.
        """


class Runner:
    """The one writer of store, slots and journal below `root`. Use as a context manager; call `recover` first.

    Attributes:
        journal, slots: as they were last written.
        held_up_by: in words, what the last step failed at; empty where it went well.
    """

    def __init__(self, root: Path, shipped: Path, floor: Floor, robot: Robot) -> None:
        self.journal = Journal()
        self.held_up_by = ""
        self.slots = Slots()
        self.store = BlobStore(root, shipped)
        self._floor = floor
        self._root = root
        self._shipped = shipped
        self._robot = robot
        self._releases = root / "releases"
        self._journal_file = JournalFile(root / "journal")
        self._slot_file = SlotFile(root / "slots")
        self._staging: Staging | None = None
        self._lock = -1
        self._effects: dict[Effect, Callable[[], None]] = {
            Effect.FETCH: self._fetch,
            Effect.VERIFY: self._verify,
            Effect.BUILD: lambda: robot.build(self.store.folder(self.journal.update.bundle)),
            Effect.GOLDEN_CHECK: lambda: robot.golden_check(self.store.folder(self.journal.update.bundle)),
            Effect.POINT: lambda: self._point(self.slots.on_trial()),
            Effect.SERVE: self._serve,
            Effect.COMMIT: self._commit,
            Effect.POINT_BACK: lambda: self._point(self.slots.back_to(self.journal.back_to)),
            Effect.DISCARD: lambda: self._point(self.slots.back_to(self.slots.committed.bundle)),
            Effect.COLLECT: self._collect,
        }

    def __enter__(self) -> Runner:
        """Take the lock.

        Raises:
            OtaError: `BUSY`: another process has it. `NO_SPACE`, `STORAGE_FAULT`.
        """
        try:
            make_folder(self._root)
            self._lock = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise OtaError(OtaRefusal.BUSY, f"another process updates {self._root}") from error
        except OSError as error:
            raise refusal_of(error, f"store {self._root}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    def boot(self) -> Boot:
        """What to run now."""
        return boot(self._slot_file, self.store.folder, self._shipped)

    def recover(self) -> None:
        """Read what was going on and go on with it. Call once, before anything else.

        Raises:
            OtaError: the state could not be written; what ran goes on running.
        """
        self.store.create()
        try:
            make_folder(self._releases)
        except OSError as error:
            raise refusal_of(error, f"store {self._root}") from error
        self.journal = self._read_state()
        self._slot_file.mend()
        self._run(Event.RESTARTED)

    def assign(self, release: ReleaseManifest, release_counter: int, probation_s: int = 0) -> None:
        """Begin with `release`, or go on with it; it replaces another one that is not yet on trial.

        Raises:
            OtaError: `ROLLBACK`: the counter is not above the floor. `REFUSED_BEFORE`: it failed here. `NOT_NOW`: an
                update is being tried. `TORN_STATE`: the floor is torn. `NO_SPACE`, `STORAGE_FAULT`.
        """
        update = Update(release.target_path, release.bundle_digest, release_counter, probation_s)
        slot = Slot(update.bundle, update.release_counter)
        known = self.journal.update
        if (update.release, release_counter) == (known.release, known.release_counter):
            if self.journal.state in (UpdateState.DOWNLOADING, UpdateState.VERIFYING):
                self._keep(release)
            return self.resume()
        if slot == self.slots.committed:
            return None
        if slot == Slot(self.journal.refused.bundle, self.journal.refused.release_counter):
            raise OtaError(OtaRefusal.REFUSED_BEFORE, f"release counter {release_counter} failed on this robot")
        # The slots know of a commit even if it was left, or power was cut, before the floor did.
        floor = max(self._floor.release().release_counter, self.slots.newest.release_counter)
        if release_counter <= floor:
            raise OtaError(OtaRefusal.ROLLBACK, f"release counter {release_counter} is not above {floor}")
        self._require(Event.ASSIGNED)
        self._keep(release)
        self._staging = None
        return self._run(Event.ASSIGNED, update=update)

    def resume(self) -> None:
        """Go on after a pause: what was missing (network, hours, space) may be there now."""
        if (self.journal.state, Event.RESUMED) in TABLE:
            self._run(Event.RESUMED)

    def admit(self) -> None:
        """The staged bundle may be built and tried now."""
        self._run(Event.ADMITTED)

    def clear(self) -> None:
        """The bundle that is ready may be put on trial now."""
        self._run(Event.CLEARED)

    def steady(self) -> None:
        """The bundle on trial has run for a while since this process came back: it is not what ends it."""
        self._run(Event.STEADY)

    def prove(self) -> None:
        """The bundle on trial has done well: commit it."""
        self._run(Event.PROVEN)

    def fail(self, reason: str) -> None:
        """The bundle on trial has not done well: go back. One that only waits is given up."""
        self._run(Event.FAILED, reason)

    def withdraw(self) -> None:
        """The update is no longer wanted and not yet on trial: forget it. It may be assigned again."""
        self._run(Event.WITHDRAWN, OtaRefusal.WITHDRAWN)

    def roll_back(self) -> None:
        """Leave the bundle that runs: one on trial for the committed one, the committed one for the previous one.

        An update that is being prepared is forgotten; it may be assigned again.

        Raises:
            OtaError: `NOT_NOW`: there is none to go back to, or this robot is about to.
        """
        slots = self.slots
        if slots.before is None:
            raise OtaError(OtaRefusal.NOT_NOW, "there is no previous bundle")
        update, active = self.journal.update, slots.active
        if Slot(update.bundle, update.release_counter) != active:
            update = Update(bundle=active.bundle, release_counter=active.release_counter)
        self._run(Event.ROLLBACK_ASKED, OtaRefusal.ROLLBACK_ASKED, back_to=slots.before.bundle, update=update)

    def _require(self, event: Event) -> None:
        if (self.journal.state, event) not in TABLE:
            raise OtaError(OtaRefusal.NOT_NOW, f"{event} cannot happen in {self.journal.state}")

    def _run(self, first: Event, reason: str = "", *, back_to: str = "", update: Update | None = None) -> None:
        self._require(first)
        event: Event | None = first
        while event is not None:
            step = advance(
                self.journal,
                event,
                reason=str(reason),
                back_to=back_to or self.slots.committed.bundle,
                update=update,
            )
            back_to, update = "", None
            try:
                self._persist(step)
            except OtaError as error:
                if self.journal.state is not UpdateState.ACTIVATING:
                    raise
                # Who cannot write down that a bundle is on trial must not leave it running.
                event, reason = Event.FAILED, str(error.refusal)
                continue
            event, reason = self._perform(step)

    def _persist(self, step: Step) -> None:
        """Write the journal. Going back is not held up by a disk that does not take it."""
        if step.journal != self.journal:
            try:
                self._journal_file.write(step.journal)
            except OtaError:
                if step.journal.state is not UpdateState.ROLLING_BACK:
                    raise
        self.journal = step.journal

    def _perform(self, step: Step) -> tuple[Event | None, str]:
        """Do the effects; returns what came of them, and why."""
        fault: EdgeError | None = None
        for effect in step.effects:
            if fault is None or self.journal.state is UpdateState.ROLLING_BACK:
                try:
                    self._effects[effect]()
                except EdgeError as error:
                    fault = fault or error
        if step.effects:
            self.held_up_by = "" if fault is None else fault.detail if isinstance(fault, OtaError) else str(fault)
        if fault is None:
            return (DONE.get(self.journal.state) if step.effects else None), ""
        return self._event_of(fault), str(fault.refusal if isinstance(fault, OtaError) else fault)[:200]

    def _event_of(self, fault: EdgeError) -> Event:
        state = self.journal.state
        refusal = fault.refusal if isinstance(fault, OtaError) else None
        if (
            state is UpdateState.VERIFYING
            and refusal is OtaRefusal.BUNDLE_ALTERED
            and self._staging
            and self._staging.missing
        ):
            return Event.ALTERED
        waits = state is UpdateState.DOWNLOADING or refusal in _PASSES or (state, Event.FAILED) not in TABLE
        return Event.PAUSED if waits and (state, Event.PAUSED) in TABLE else Event.FAILED

    def _read_state(self) -> Journal:
        """Journal and slots as far as they are whole and agree; where not, the way back to the committed bundle."""
        torn = str(OtaRefusal.TORN_STATE)
        try:
            self.slots = self._slot_file.read()
        except OtaError:
            self.slots = Slots()
            self._slot_file.write(self.slots)
            return Journal(reason=torn)
        back = Journal(UpdateState.ROLLING_BACK, back_to=self.slots.committed.bundle, reason=torn)
        try:
            journal = self._journal_file.read()
        except OtaError:
            return back
        if journal is None:
            return Journal() if self.slots == Slots() else back
        slots = self.slots
        staged = "" if slots.staged is None else slots.staged.bundle
        needed = {
            UpdateState.STAGED: staged,
            UpdateState.BUILDING: staged,
            UpdateState.GOLDEN_CHECK: staged,
            UpdateState.READY: staged,
            UpdateState.ACTIVATING: staged,
            UpdateState.PROBATION: slots.active.bundle,
            UpdateState.COMMITTED: staged or slots.committed.bundle,
        }
        if needed.get(journal.state, journal.update.bundle) != journal.update.bundle:
            return Journal(UpdateState.ROLLING_BACK, journal.update, self.slots.committed.bundle, torn)
        return journal

    def _point(self, slots: Slots) -> None:
        if slots != self.slots:
            self._slot_file.write(slots)
            self.slots = slots

    def _fetch(self) -> None:
        if self._staging is None:
            self._staging = self._begin()
        if self._staging.missing:
            self._robot.fetch(self._staging)

    def _begin(self) -> Staging:
        release = self._release()
        # An update that gave way is no longer kept, but its pieces are still there for this one.
        self._point(self.slots.back_to(self.slots.committed.bundle))
        try:
            staging = begin(self.store, release, heed=self._robot.heed)
        except OtaError as error:
            if error.refusal is not OtaRefusal.NO_SPACE:
                raise
            self._collect()
            staging = begin(self.store, release, heed=self._robot.heed)
        self._collect()
        return staging

    def _verify(self) -> None:
        update = self.journal.update
        if self._staging is None:
            self._staging = begin(self.store, self._release(), heed=self._robot.heed)
        self._staging.finish()
        self._point(self.slots.with_staged(Slot(update.bundle, update.release_counter)))
        self._staging = None

    def _serve(self) -> None:
        if self.journal.back_to:
            self._robot.return_to(self._folder(self.journal.back_to))
        else:
            standby = self._folder(self.slots.committed.bundle)
            self._robot.serve(self.store.folder(self.journal.update.bundle), standby)

    def _folder(self, bundle: str) -> Path:
        return self._shipped if bundle == SHIPPED else self.store.folder(bundle)

    def _commit(self) -> None:
        update = self.journal.update
        self._point(self.slots.with_committed(update.bundle))
        try:
            self._floor.raise_release(update.release_counter, update.release)
        except OSError as error:
            raise refusal_of(error, "raising the floor") from error

    def _collect(self) -> None:
        wanted = {self.journal.update.bundle} if self.journal.state is UpdateState.DOWNLOADING else set()
        self.store.collect(self.slots.bundles | wanted)
        try:
            for path in self._releases.iterdir():
                if path.stem != self.journal.update.release_digest or self.journal.state is not UpdateState.DOWNLOADING:
                    path.unlink()
        except OSError as error:
            raise refusal_of(error, "collecting releases") from error
        collect_engines(self._root, self.slots.bundles | wanted | {Installed(self._shipped, None).shipped_digest})

    def _keep(self, release: ReleaseManifest) -> None:
        try:
            write_durably(self._releases / f"{release.digest}.json", release.canonical_json())
        except OSError as error:
            raise refusal_of(error, f"release {release.digest}") from error

    def _release(self) -> ReleaseManifest:
        digest = self.journal.update.release_digest
        path = self._releases / f"{digest}.json"
        try:
            release = load(path.read_bytes())
        except OSError as error:
            raise refusal_of(error, f"release {path}") from error
        if release.digest != digest:
            raise OtaError(OtaRefusal.TORN_STATE, f"{path} is another release")
        return release
