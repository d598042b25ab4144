"""The way back for a robot whose floor is lost: what else on its disk says how far it had come.

Guarantees: the counter of no release that its pointer names is gone below; a floor that is whole is left as it is.
Nothing here is done by itself: who lost the floor may have lost the rest of the disk's newest writes with it, and only
a person can tell. Refuses to ask. Trusts the metadata on disk as far as it is signed under the newest root there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from edge_runtime.bundles.slots import SHIPPED, SlotFile, Slots
from edge_runtime.contracts.errors import OtaError, OtaRefusal, StorageError
from edge_runtime.ota.transfer.blobs import BlobStore, release_in
from edge_runtime.ota.trust.repository import seen_in
from edge_runtime.ota.trust.rollback_protection import Floor, ReleaseFloor
from edge_runtime.ota.trust.trust import DIRECTOR, IMAGE
from edge_runtime.ota.trust.versions import Versions

RELEASE = "release"


class Found(msgspec.Struct, frozen=True):
    """What a lost floor would be from now on, and in words what that means. One of the two values is there."""

    name: str
    words: str
    versions: Versions | None = None
    release: ReleaseFloor | None = None


def lost_floors(floor: Floor, metadata: Path, store: BlobStore, slots: SlotFile) -> tuple[Found, ...]:
    """What can be found for each floor that is lost; none is where all are well. Changes nothing.

    Args:
        metadata: folder with one folder per repository.
    """
    lost = [name for name in (IMAGE, DIRECTOR) if _is_lost(partial(floor.versions, name))]
    found = [_from_metadata(name, metadata / name) for name in lost]
    if _is_lost(floor.release):
        found.append(_from_slots(store, slots))
    return tuple(found)


def restore(floor: Floor, found: Found) -> None:
    """Go by what was found from now on."""
    if found.versions is not None:
        floor.restore_versions(found.name, found.versions)
    if found.release is not None:
        floor.restore_release(found.release)


def _is_lost(read: Callable[[], object]) -> bool:
    try:
        read()
    except OtaError as error:
        if error.refusal is not OtaRefusal.TORN_STATE:
            # The disk does not say what it has: that is nothing to put something lower in the place of.
            raise
        return True
    return False


def _from_metadata(name: str, folder: Path) -> Found:
    seen = seen_in(folder)
    if seen is None or not seen.versions.timestamp:
        words = (
            "its metadata on this disk is gone or torn as well: whatever it ever signed and has not expired is taken"
        )
        return Found(name, words, versions=Versions())
    versions = seen.versions
    words = (
        f"root {versions.root}, timestamp {versions.timestamp}, snapshot {versions.snapshot}, as the metadata on this "
        "disk says: if this robot had already seen newer, the older is taken once more"
    )
    return Found(name, words, versions=versions)


def _from_slots(store: BlobStore, slots: SlotFile) -> Found:
    try:
        newest = slots.read().newest
    except StorageError:
        newest = Slots().newest
    if newest.bundle == SHIPPED:
        words = "no bundle that is pointed to has a release counter: a release under any counter is taken"
        return Found(RELEASE, words, release=ReleaseFloor())
    release = release_in(store.bundles / newest.bundle)
    path = "" if release is None else release.target_path
    words = f"counter {newest.release_counter}, the highest that a bundle of this robot was committed under"
    return Found(RELEASE, words, release=ReleaseFloor(release_counter=newest.release_counter, path=path))
