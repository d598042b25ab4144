"""Which bundle runs, which one is safe to go back to, and which one waits: one pointer, flipped as a whole.

Guarantees: at any instant, also during a power cut, the pointer names exactly one bundle to run, and the committed one
is known beside it. `boot` always answers: no state of the disk keeps a robot from the bundle that it was shipped with.
Refuses to know how a bundle got here and why it is changed. Trusts folders of the blob store to hold what was verified.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from edge_runtime.contracts.errors import BundleError, OtaError, OtaRefusal, StorageError
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.storage.twin_record import TwinRecord

SHIPPED = "shipped"
"""Stands for the bundle that came with the software, in place of a digest."""


class Slot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One installed bundle: its digest or `SHIPPED`, and the counter under which it was released."""

    bundle: str = SHIPPED
    release_counter: int = 0


class Slots(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All slots. `active` runs; it differs from `committed` only while a staged bundle is on trial."""

    active: Slot = Slot()
    committed: Slot = Slot()
    previous: Slot | None = None
    staged: Slot | None = None

    def with_staged(self, slot: Slot) -> Slots:
        """`slot` waits; what runs does not change."""
        return Slots(active=self.committed, committed=self.committed, previous=self.previous, staged=slot)

    def on_trial(self) -> Slots:
        """The staged bundle runs; the committed one stays what a rollback returns to.

        Raises:
            OtaError: `TORN_STATE`: none is staged.
        """
        if self.staged is None:
            raise OtaError(OtaRefusal.TORN_STATE, "no bundle is staged")
        return Slots(active=self.staged, committed=self.committed, previous=self.previous, staged=self.staged)

    def with_committed(self, bundle: str) -> Slots:
        """The staged `bundle` becomes the committed one; a second time changes nothing.

        Raises:
            OtaError: `TORN_STATE`: `bundle` is neither staged nor committed.
        """
        if self.committed.bundle == bundle and self.staged is None:
            return self
        if self.staged is None or self.staged.bundle != bundle:
            raise OtaError(OtaRefusal.TORN_STATE, f"{bundle} is not staged")
        previous = self.previous if self.committed.bundle == bundle else self.committed
        return Slots(active=self.staged, committed=self.staged, previous=previous)

    def back_to(self, bundle: str) -> Slots:
        """`bundle`, the committed or the previous one, runs and is committed; a second time changes nothing.

        Raises:
            OtaError: `TORN_STATE`: `bundle` is neither of them.
        """
        if self.committed.bundle == bundle:
            return Slots(active=self.committed, committed=self.committed, previous=self.previous)
        if self.previous is None or self.previous.bundle != bundle:
            raise OtaError(OtaRefusal.TORN_STATE, f"{bundle} is neither committed nor previous")
        return Slots(active=self.previous, committed=self.previous, previous=self.committed)

    @property
    def before(self) -> Slot | None:
        """What a rollback leads to: from a bundle on trial to the committed one, from that to the previous one."""
        return self.committed if self.active != self.committed else self.previous

    @property
    def newest(self) -> Slot:
        """The committed or the previous one, whichever was released under the higher counter."""
        return max(self.committed, self.previous or self.committed, key=lambda slot: slot.release_counter)

    @property
    def bundles(self) -> frozenset[str]:
        """Digests that must not be collected."""
        slots = (self.active, self.committed, self.previous, self.staged)
        return frozenset(slot.bundle for slot in slots if slot is not None) - {SHIPPED}


class SlotFile:
    """The pointer on disk; its one writer is the life cycle."""

    def __init__(self, path: Path) -> None:
        self._record = TwinRecord(path, Slots)

    def read(self) -> Slots:
        """The slots; before the first update, the shipped bundle in all.

        Raises:
            StorageError: `DAMAGED`.
        """
        return self._record.read() or Slots()

    def written(self) -> tuple[int, ...]:
        """When each copy was last written to, in ns of its file system; empty while there is none."""
        return self._record.written()

    def write(self, slots: Slots) -> None:
        """Flip the pointer; it has lasted when this returns.

        Raises:
            StorageError: either the old or the new slots are there.
        """
        self._record.write(slots)

    def mend(self) -> None:
        """Rewrite a copy that is torn or behind.

        Raises:
            StorageError: as `read` and `write`.
        """
        self._record.mend()


class Boot(msgspec.Struct, frozen=True):
    """What to run. `passed_over` says, for each better choice, why it was not taken; empty when all is well."""

    bundle: str
    folder: Path
    passed_over: tuple[str, ...] = ()


def boot(
    slots: SlotFile, folder_of: Callable[[str], Path], shipped: Path, without: Collection[str] = frozenset()
) -> Boot:
    """The bundle to run: active, else committed, else previous, else shipped. Reads only.

    Those in `without` are left out, because they were tried and could not be run; the shipped one is the last in any
    case.

    Looked at are the manifest's digest and the sizes of its files, which takes milliseconds; their content is verified
    when a bundle is staged, and again by the scrub.
    """
    passed_over: list[str] = []
    try:
        known = slots.read()
    except StorageError as error:
        known = Slots()
        passed_over.append(str(error))
    for slot in (known.active, known.committed, known.previous):
        if slot is None or slot.bundle in without:
            continue
        if slot.bundle == SHIPPED:
            break
        fault = fault_of(folder_of(slot.bundle), slot.bundle)
        if fault is None:
            return Boot(slot.bundle, folder_of(slot.bundle), tuple(passed_over))
        passed_over.append(fault)
    return Boot(SHIPPED, shipped, tuple(passed_over))


def fault_of(folder: Path, digest: str) -> str | None:
    """What keeps the bundle in `folder` from being run as `digest`, seen from its manifest and its files' sizes."""
    try:
        manifest = read_manifest(folder)
        if manifest.digest != digest:
            return f"{folder} holds the bundle {manifest.digest}"
        for blob in manifest.blobs:
            if (folder / blob.path).stat().st_size != blob.size_bytes:
                return f"{folder / blob.path} is not as large as the manifest says"
    except BundleError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return None
