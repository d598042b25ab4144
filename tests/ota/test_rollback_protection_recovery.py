"""A floor that is gone is told from one that never was, by the pointer; what is left to go by is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.bundles.slots import Slot, SlotFile, Slots
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.trust.rollback_protection import Floor, ReleaseFloor
from edge_runtime.ota.trust.rollback_protection_recovery import lost_floors, restore
from edge_runtime.ota.trust.versions import Versions

BUNDLE = Slot("a" * 64, 3)


def robot(folder: Path, slots: Slots | None) -> tuple[Floor, SlotFile]:
    file = SlotFile(folder / "slots")
    if slots is not None:
        file.write(slots)
    return Floor(folder / "floor", file), file


@pytest.mark.parametrize(
    "slots",
    [None, Slots(), Slots(staged=BUNDLE), Slots(active=BUNDLE, staged=BUNDLE)],
    ids=["new", "", "staged", "trial"],
)
def test_where_nothing_was_committed_there_is_a_first_time(tmp_path: Path, slots: Slots | None) -> None:
    floor, file = robot(tmp_path, slots)
    assert floor.versions("image") == Versions()
    assert floor.release() == ReleaseFloor()
    assert lost_floors(floor, tmp_path / "metadata", BlobStore(tmp_path), file) == ()


@pytest.mark.parametrize(
    "slots", [Slots(active=BUNDLE, committed=BUNDLE), Slots(previous=BUNDLE)], ids=["committed", "gone back to shipped"]
)
def test_where_something_was_there_is_none(tmp_path: Path, slots: Slots) -> None:
    floor, file = robot(tmp_path, slots)
    for read in (floor.release, lambda: floor.versions("image"), lambda: floor.versions("director")):
        with pytest.raises(OtaError) as caught:
            read()
        assert caught.value.refusal is OtaRefusal.TORN_STATE
    lost = lost_floors(floor, tmp_path / "metadata", BlobStore(tmp_path), file)
    assert [found.name for found in lost] == ["image", "director", "release"]
    for found in lost:
        restore(floor, found)
    assert floor.release() == ReleaseFloor(release_counter=3)
    with pytest.raises(OtaError):
        floor.raise_release(2, "bundles/a/2.json")


def test_the_first_commit_of_all_is_no_loss(tmp_path: Path) -> None:
    floor, _ = robot(tmp_path, Slots(active=BUNDLE, committed=BUNDLE))
    floor.raise_release(3, "bundles/a/3.json")
    assert floor.release() == ReleaseFloor(release_counter=3, path="bundles/a/3.json")


def test_the_higher_counter_counts_whichever_slot_has_it() -> None:
    lower, higher = Slot("b" * 64, 2), BUNDLE
    assert Slots(active=lower, committed=lower, previous=higher).newest == higher
    assert Slots(active=higher, committed=higher, previous=lower).newest == higher
    assert Slots(active=higher, committed=higher).newest == higher


def test_a_floor_that_the_disk_does_not_show_is_not_lost(tmp_path: Path) -> None:
    # A name that no file system takes: to look for it fails, and not because it is gone.
    floor = Floor(tmp_path / ("x" * 300), SlotFile(tmp_path / "slots"))
    with pytest.raises(OtaError) as caught:
        lost_floors(floor, tmp_path / "metadata", BlobStore(tmp_path), SlotFile(tmp_path / "slots"))
    assert caught.value.refusal is OtaRefusal.STORAGE_FAULT
