"""Which bundles a robot has, seen by those who only read."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.bundles.installed import Installed, bundle_folder
from edge_runtime.bundles.slots import SHIPPED, Slot, SlotFile, Slots
from edge_runtime.contracts.errors import EngineError, StorageError, StorageFault
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.testing.small_bundles import small_bundle


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    return small_bundle(tmp_path / "shipped", "1")


def install(root: Path, work: Path, seed: int) -> str:
    made = small_bundle(work / str(seed), str(seed))
    digest = read_manifest(made).digest
    target = bundle_folder(root, digest)
    target.parent.mkdir(parents=True)
    made.rename(target)
    return digest


def test_without_updates_there_is_the_shipped_bundle_alone(shipped: Path) -> None:
    installed = Installed(shipped, None)
    digest = read_manifest(shipped).digest
    assert installed.boot().folder == shipped
    assert installed.shipped_digest == digest
    assert installed.may_act() == {digest}
    assert installed.folder(digest) == shipped


def test_what_may_act_is_what_the_pointer_names_but_not_what_waits(shipped: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    first, second, third = (install(root, tmp_path, seed) for seed in (2, 3, 4))
    installed = Installed(shipped, root)
    SlotFile(root / "slots").write(
        Slots(active=Slot(second, 2), committed=Slot(second, 2), previous=Slot(first, 1), staged=Slot(third, 3))
    )
    assert installed.boot().bundle == second
    assert installed.boot().folder == installed.folder(second) == bundle_folder(root, second)
    assert installed.may_act() == {first, second, installed.shipped_digest}
    assert installed.digest_of(Slot(SHIPPED)) == installed.shipped_digest


def test_a_torn_pointer_boots_the_shipped_bundle_and_names_nothing_else(shipped: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    first = install(root, tmp_path, 2)
    SlotFile(root / "slots").write(Slots(active=Slot(first, 1), committed=Slot(first, 1)))
    for copy in root.glob("slots.*"):
        copy.write_bytes(b"\0" * 4096)
    installed = Installed(shipped, root)
    assert installed.boot().bundle == SHIPPED
    with pytest.raises(StorageError) as refused:
        installed.may_act()
    assert refused.value.fault is StorageFault.DAMAGED


def test_a_shipped_bundle_that_cannot_be_read_has_no_digest(tmp_path: Path) -> None:
    assert Installed(tmp_path / "nothing", None).shipped_digest == ""


def test_the_first_that_is_taken_boots_and_what_was_wrong_with_better_ones_is_told(
    shipped: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    first, second, third = (install(root, tmp_path, seed) for seed in (2, 3, 4))
    installed = Installed(shipped, root)
    SlotFile(root / "slots").write(Slots(active=Slot(third, 3), committed=Slot(second, 2), previous=Slot(first, 1)))
    refused: set[Path] = set()

    def take(folder: Path) -> str:
        if folder in refused:
            raise EngineError("not this one")
        return read_manifest(folder).digest

    for digest in (third, second, first):
        taken, choice = installed.boot_first(take)
        assert (taken, choice.bundle) == (digest, digest)
        assert len(choice.passed_over) == len(refused)
        refused.add(installed.folder(digest))
    taken, choice = installed.boot_first(take)
    assert (taken, choice.bundle) == (installed.shipped_digest, SHIPPED)
    assert choice.passed_over[0] == f"{third[:12]}: not this one"
    assert installed.active() == third
    refused.add(shipped)
    with pytest.raises(EngineError):
        installed.boot_first(take)


def test_known_is_what_may_act_and_what_waits(shipped: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    first = install(root, tmp_path, 2)
    installed = Installed(shipped, root)
    SlotFile(root / "slots").write(Slots(staged=Slot(first, 1)))
    assert installed.known() == {first, installed.shipped_digest}
    assert installed.may_act() == {installed.shipped_digest}
    assert installed.active() == installed.shipped_digest
    for copy in root.glob("slots.*"):
        copy.write_bytes(b"\0" * 4096)
    assert installed.active() == installed.shipped_digest
