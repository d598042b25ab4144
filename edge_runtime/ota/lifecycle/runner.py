"""Carries updates out: persists each step of the life cycle, does its effects, and persists what came of them.

Events come in as calls, and each returns soon: what the engine is ordered to do has its end in an event of its own.
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

from edge_runtime.bundles.engine_cache import collect_engines
from edge_runtime.bundles.installed import Installed
from edge_runtime.bundles.slots import SHIPPED, Boot, Slot, SlotFile, Slots, boot
from edge_runtime.contracts.errors import EdgeError, OtaError, OtaRefusal, StorageError, StorageFault
from edge_runtime.contracts.release import ReleaseManifest, load
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.disk import disk_refusals
from edge_runtime.ota.lifecycle.journal import Journal, JournalFile, Update
from edge_runtime.ota.lifecycle.lifecycle import DONE, TABLE, Effect, Event, Step, advance
from edge_runtime.ota.lifecycle.robot import Robot
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.transfer.staging import Staging, begin
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.storage.durable import make_folder, replace_file

_PASSES = frozenset({OtaRefusal.NO_SPACE, OtaRefusal.STORAGE_FAULT, OtaRefusal.NOT_NOW, OtaRefusal.AT_WORK})
"""What says nothing about the bundle."""


class Runner:
    """The one writer of store, slots and journal below `root`. Use as a context manager; call `recover` first.

    What happens to an update is told by a call, which returns what came of it in words, for a person: what a check has
    shown, or what a step has failed at. Empty where there is nothing to say.

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
        self._left: tuple[Effect, ...] | None = None
        self._lock = -1
        self._effects: dict[Effect, Callable[[], str | None]] = {
            Effect.FETCH: self._fetch,
            Effect.VERIFY: self._verify,
            Effect.BUILD: lambda: robot.build(self.store.folder(self.journal.update.bundle)),
            Effect.GOLDEN_CHECK: lambda: robot.golden_check(self.store.folder(self.journal.update.bundle)),
            Effect.POINT: lambda: self._point(self.slots.on_trial()),
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
        with disk_refusals(self._root):
            make_folder(self._root)
            self._lock = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(self._lock)
                raise OtaError(OtaRefusal.BUSY, f"another process updates {self._root}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    @property
    def awaits_engine(self) -> bool:
        """Whether a step waits for the engine to do what it was ordered to: `hear_engine` goes on with it."""
        return self._left is not None

    def boot(self) -> Boot:
        """What to run now."""
        return boot(self._slot_file, self.store.folder, self._shipped)

    def recover(self) -> None:
        """Read what was going on and go on with it. Call once, before anything else.

        Raises:
            OtaError: the state could not be written; what ran goes on running.
        """
        self.store.create()
        with disk_refusals(self._root):
            make_folder(self._releases)
            self.journal = self._read_state()
            self._slot_file.mend()
        self._run(Event.RESTARTED)

    def assign(self, release: ReleaseManifest, release_counter: int, probation_s: int = 0) -> str:
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
            return ""
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

    def resume(self) -> str:
        """Go on after a pause: what was missing (network, hours, space) may be there now."""
        return self._run(Event.RESUMED) if (self.journal.state, Event.RESUMED) in TABLE else ""

    def admit(self) -> str:
        """The staged bundle may be built and tried now."""
        return self._run(Event.ADMITTED)

    def clear(self) -> str:
        """The bundle that is ready may be put on trial now."""
        return self._run(Event.CLEARED)

    def steady(self) -> str:
        """The bundle on trial has run for a while since this process came back: it is not what ends it."""
        return self._run(Event.STEADY)

    def prove(self) -> str:
        """The bundle on trial has done well: commit it."""
        return self._run(Event.PROVEN)

    def fail(self, reason: str) -> str:
        """The bundle on trial has not done well: go back. One that only waits is given up."""
        return self._run(Event.FAILED, reason)

    def withdraw(self) -> str:
        """The update is no longer wanted and not yet on trial: forget it. It may be assigned again."""
        return self._run(Event.WITHDRAWN, OtaRefusal.WITHDRAWN)

    def roll_back(self) -> str:
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
        return self._run(Event.ROLLBACK_ASKED, OtaRefusal.ROLLBACK_ASKED, back_to=slots.before.bundle, update=update)

    def hear_engine(self, fault: OtaError | None = None) -> str:
        """The engine has done what the step that waits for it has ordered, or `fault` says why not: go on from there.

        Raises:
            OtaError: `NOT_NOW`: no step waits.
        """
        if self._left is None:
            raise OtaError(OtaRefusal.NOT_NOW, f"nothing waits for the engine in {self.journal.state}")
        left, self._left = self._left, None
        return self._follow(*self._perform(left, fault))

    def _require(self, event: Event) -> None:
        if (self.journal.state, event) not in TABLE:
            raise OtaError(OtaRefusal.NOT_NOW, f"{event} cannot happen in {self.journal.state}")

    def _run(self, event: Event, reason: str = "", *, back_to: str = "", update: Update | None = None) -> str:
        self._require(event)
        return self._follow(event, str(reason), back_to=back_to, update=update)

    def _follow(
        self, event: Event | None, reason: str, words: str = "", *, back_to: str = "", update: Update | None = None
    ) -> str:
        """Go from event to event until nothing follows by itself; the last words that were said."""
        while event is not None:
            step = advance(
                self.journal,
                event,
                reason=reason,
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
            self._left = None
            event, reason, said = self._perform(step.effects) if step.effects else (None, "", "")
            words = said or words
        return words

    def _persist(self, step: Step) -> None:
        """Write the journal. Going back is not held up by a disk that does not take it."""
        if step.journal != self.journal:
            try:
                self._journal_file.write(step.journal)
            except OtaError:
                if step.journal.state is not UpdateState.ROLLING_BACK:
                    raise
        self.journal = step.journal

    def _perform(self, effects: tuple[Effect, ...], fault: EdgeError | None = None) -> tuple[Event | None, str, str]:
        """Do the effects, as far as none has to wait for the engine; what came of them, why, and in words."""
        said = ""
        for number, effect in enumerate(effects, 1):
            if fault is not None and self.journal.state is not UpdateState.ROLLING_BACK:
                break
            try:
                if effect is not Effect.SERVE:
                    said = self._effects[effect]() or said
                elif not self._serve():
                    self._left = effects[number:]
                    return None, "", ""
            except EdgeError as error:
                fault = fault or error
        if fault is None:
            self.held_up_by = ""
            return DONE.get(self.journal.state), "", said
        self.held_up_by = fault.detail if isinstance(fault, OtaError) else str(fault)
        reason = str(fault.refusal if isinstance(fault, OtaError) else fault)[:200]
        return self._event_of(fault), reason, self.held_up_by

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
        except StorageError as error:
            if error.fault is not StorageFault.DAMAGED:
                # It may be whole: what can't be looked at now is not given up.
                raise
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
            with disk_refusals(self._root):
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

    def _serve(self) -> bool:
        if self.journal.back_to:
            return self._robot.return_to(self._folder(self.journal.back_to))
        standby = self._folder(self.slots.committed.bundle)
        return self._robot.serve(self.store.folder(self.journal.update.bundle), standby)

    def _folder(self, bundle: str) -> Path:
        return self._shipped if bundle == SHIPPED else self.store.folder(bundle)

    def _commit(self) -> None:
        update = self.journal.update
        self._point(self.slots.with_committed(update.bundle))
        self._floor.raise_release(update.release_counter, update.release)

    def _collect(self) -> None:
        wanted = {self.journal.update.bundle} if self.journal.state is UpdateState.DOWNLOADING else set()
        self.store.collect(self.slots.bundles | wanted)
        with disk_refusals(self._root):
            for path in self._releases.iterdir():
                if path.stem != self.journal.update.release_digest or self.journal.state is not UpdateState.DOWNLOADING:
                    path.unlink()
            collect_engines(self._root, self.slots.bundles | wanted | {Installed(self._shipped, None).shipped_digest})

    def _keep(self, release: ReleaseManifest) -> None:
        with disk_refusals(self._releases):
            replace_file(self._releases / f"{release.digest}.json", release.canonical_json())

    def _release(self) -> ReleaseManifest:
        digest = self.journal.update.release_digest
        path = self._releases / f"{digest}.json"
        with disk_refusals(path):
            release = load(path.read_bytes())
        if release.digest != digest:
            raise OtaError(OtaRefusal.TORN_STATE, f"{path} is another release")
        return release
