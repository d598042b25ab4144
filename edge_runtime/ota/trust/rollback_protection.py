"""What this robot never goes below again, kept apart from the metadata that it guards.

Guarantees: a floor that was raised stays raised after a power cut, a full disk or one spoilt copy, and what both copies
lost is a refusal (TORN_STATE), never a fresh start; `floor_recovery.py` is the way back. It refuses to know what the
numbers mean; `versions.py` compares. Lives in a folder of its own, so that a metadata folder that is torn, emptied or
deleted takes no floor with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from edge_runtime.bundles.slots import SlotFile
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.disk import disk_refusals
from edge_runtime.ota.trust.versions import Seen, Versions, first_below, raised
from edge_runtime.storage.durable import make_folder
from edge_runtime.storage.twin_record import TwinRecord

Kept = TypeVar("Kept", bound=msgspec.Struct)


class ReleaseFloor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The release counter that was committed last, and the release it stood for."""

    release_counter: int = 0
    path: str = ""


class Floor:
    """The floors of one robot, in `folder`. One writer: whoever holds the lock of the store.

    Args:
        folder: of the floors.
        slots: the pointer. Where it names a release, this robot has kept floors: that there are none is no first time.
    """

    def __init__(self, folder: Path, slots: SlotFile | None = None) -> None:
        self._folder = folder
        self._slots = slots

    def versions(self, repository: str) -> Versions:
        """What was accepted of a metadata repository; all zero at first.

        Raises:
            OtaError: TORN_STATE: it was kept, and no copy is whole.
        """
        return self._kept(self._versions(repository), Versions())

    def raise_versions(self, repository: str, seen: Seen) -> None:
        """Keep what was accepted.

        Raises:
            OtaError: TORN_STATE as `versions`; ROLLBACK if `seen` lies below the floor; METADATA_MALFORMED if the
                repository has more roles than a record holds; NO_SPACE, STORAGE_FAULT.
        """
        floor = self.versions(repository)
        below = first_below(floor, seen)
        if below is not None:
            raise OtaError(OtaRefusal.ROLLBACK, f"{repository} repository: {below}")
        fresh = raised(floor, seen)
        if fresh == floor:
            return
        try:
            self._keep(self._versions(repository), fresh)
        except ValueError as error:
            raise OtaError(
                OtaRefusal.METADATA_MALFORMED, f"{repository} repository: too many roles to keep a floor for"
            ) from error

    def release(self) -> ReleaseFloor:
        """The counter that was committed last; zero at first.

        Raises:
            OtaError: TORN_STATE: it was kept, and no copy is whole.
        """
        return self._kept(self._release(), ReleaseFloor())

    def raise_release(self, release_counter: int, path: str) -> None:
        """Keep the counter of what was just committed. The same counter for the same release changes nothing.

        Raises:
            OtaError: TORN_STATE as `release`; ROLLBACK if the counter was passed, or spent on another release;
                NO_SPACE, STORAGE_FAULT.
        """
        # The pointer names a release an instant before its floor is kept for the first time.
        with disk_refusals(self._folder):
            floor = self._release().read() or ReleaseFloor()
        if (release_counter, path) == (floor.release_counter, floor.path):
            return
        if release_counter <= floor.release_counter:
            raise OtaError(
                OtaRefusal.ROLLBACK, f"release counter {release_counter} of {path} after {floor.release_counter}"
            )
        self._keep(self._release(), ReleaseFloor(release_counter=release_counter, path=path))

    def restore_versions(self, repository: str, versions: Versions) -> None:
        """Put `versions` in place of a floor that is lost."""
        self._keep(self._versions(repository), versions)

    def restore_release(self, release: ReleaseFloor) -> None:
        """Put `release` in place of a floor that is lost."""
        self._keep(self._release(), release)

    def _kept(self, record: TwinRecord[Kept], first: Kept) -> Kept:
        with disk_refusals(self._folder):
            found = record.read()
            was_kept = found is None and self._slots is not None and self._slots.read().newest.release_counter
        if was_kept:
            raise OtaError(OtaRefusal.TORN_STATE, f"a floor of {self._folder} is gone")
        return first if found is None else found

    def _keep(self, record: TwinRecord[Kept], floor: Kept) -> None:
        with disk_refusals(self._folder):
            make_folder(self._folder)
            record.write(floor)

    def _versions(self, repository: str) -> TwinRecord[Versions]:
        return TwinRecord(self._folder / repository, Versions)

    def _release(self) -> TwinRecord[ReleaseFloor]:
        return TwinRecord(self._folder / "release", ReleaseFloor)
