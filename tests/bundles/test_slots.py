"""Slots: which bundle runs after what, and that something always does."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.bundles.slots import SHIPPED, Slot, SlotFile, Slots, boot
from edge_runtime.contracts.errors import OtaError, OtaRefusal, StorageError, StorageFault
from edge_runtime.testing.small_bundles import release_of, small_bundle

A, B, C = (Slot(letter * 64, number) for number, letter in enumerate("abc", 1))


def test_an_update_goes_through_and_back() -> None:
    slots = Slots(active=A, committed=A).with_staged(B)
    assert (slots.active, slots.committed, slots.staged) == (A, A, B)
    trial = slots.on_trial()
    assert (trial.active, trial.committed, trial.staged) == (B, A, B)
    assert trial.back_to(A.bundle) == Slots(active=A, committed=A)
    committed = trial.with_committed(B.bundle)
    assert committed == Slots(active=B, committed=B, previous=A)
    assert committed.back_to(A.bundle) == Slots(active=A, committed=A, previous=B)
    assert committed.bundles == {A.bundle, B.bundle}
    assert Slots().bundles == set()


def test_every_step_may_come_twice() -> None:
    trial = Slots(active=A, committed=A, previous=C).with_staged(B).on_trial()
    assert trial.on_trial() == trial
    committed = trial.with_committed(B.bundle)
    assert committed.with_committed(B.bundle) == committed
    back = committed.back_to(A.bundle)
    assert back.back_to(A.bundle) == back
    again = trial.back_to(A.bundle)
    assert again.back_to(A.bundle) == again == Slots(active=A, committed=A, previous=C)


def test_the_same_bundle_under_a_new_counter_keeps_the_previous_one() -> None:
    newer = Slot(B.bundle, 7)
    slots = Slots(active=B, committed=B, previous=A).with_staged(newer).on_trial().with_committed(B.bundle)
    assert slots == Slots(active=newer, committed=newer, previous=A)


def test_what_is_not_there_cannot_be_pointed_to() -> None:
    slots = Slots(active=B, committed=B, previous=A)
    for wrong in (
        slots.on_trial,
        lambda: slots.with_committed(C.bundle),
        lambda: slots.with_staged(A).with_committed(C.bundle),
        lambda: slots.back_to(C.bundle),
        lambda: Slots(active=B, committed=B).back_to(C.bundle),
    ):
        with pytest.raises(OtaError) as caught:
            wrong()
        assert caught.value.refusal is OtaRefusal.TORN_STATE


def test_a_first_boot_runs_what_was_shipped(tmp_path: Path) -> None:
    found = boot(SlotFile(tmp_path / "slots"), lambda digest: tmp_path / digest, tmp_path / "shipped")
    assert (found.bundle, found.folder, found.passed_over) == (SHIPPED, tmp_path / "shipped", ())


@pytest.mark.parametrize("damage", ["gone", "short", "no manifest", "other manifest"])
def test_a_bundle_that_is_not_whole_is_passed_over_for_the_next_best(tmp_path: Path, damage: str) -> None:
    digests = [release_of(small_bundle(tmp_path / "made" / version, version))[0].bundle_digest for version in "123"]
    for version, digest in zip("123", digests, strict=True):
        (tmp_path / "made" / version).rename(tmp_path / digest)
    active, committed, previous = (Slot(digest, 1) for digest in digests)
    file = SlotFile(tmp_path / "slots")
    file.write(Slots(active=active, committed=committed, previous=previous, staged=active))

    said = {
        "gone": "denoise.onnx: No such file",
        "short": "denoise.onnx is not as large",
        "no manifest": "manifest",
        "other manifest": "holds the bundle",
    }
    for number, (expected, spoilt) in enumerate(zip([*digests, SHIPPED], [*digests, ""], strict=True)):
        found = boot(file, lambda digest: tmp_path / digest, tmp_path / "shipped")
        assert (found.bundle, found.folder.name) == (expected, expected)
        assert len(found.passed_over) == number
        assert all(said[damage] in words for words in found.passed_over), found
        folder = tmp_path / spoilt
        if not spoilt:
            break
        if damage == "gone":
            (folder / "denoise.onnx").unlink()
        elif damage == "short":
            (folder / "denoise.onnx").write_bytes(b"")
        elif damage == "no manifest":
            (folder / "manifest.json").write_bytes(b"{")
        else:
            text = (folder / "manifest.json").read_text()
            (folder / "manifest.json").write_text(text.replace('"seed": 0', '"seed": 1'))


def test_a_torn_pointer_boots_what_was_shipped_and_says_why(tmp_path: Path) -> None:
    file = SlotFile(tmp_path / "slots")
    file.write(Slots(active=A, committed=A))
    for name in ("slots.a", "slots.b"):
        (tmp_path / name).write_bytes(b"")
    found = boot(file, lambda digest: tmp_path / digest, tmp_path / "shipped")
    assert found.bundle == SHIPPED
    assert "neither of its two copies is whole" in found.passed_over[0]
    with pytest.raises(StorageError):
        file.mend()


def test_what_was_tried_and_could_not_be_run_is_left_out(tmp_path: Path) -> None:
    digests = [release_of(small_bundle(tmp_path / "made" / version, version))[0].bundle_digest for version in "12"]
    for version, digest in zip("12", digests, strict=True):
        (tmp_path / "made" / version).rename(tmp_path / digest)
    file = SlotFile(tmp_path / "slots")
    file.write(Slots(active=Slot(digests[0], 2), committed=Slot(digests[1], 1)))

    def booted(*without: str) -> str:
        found = boot(file, lambda digest: tmp_path / digest, tmp_path / "shipped", without)
        assert found.passed_over == (), "nothing is wrong with it on disk"
        return found.bundle

    assert booted() == booted(digests[1]) == digests[0]
    assert booted(digests[0]) == digests[1]
    assert booted(*digests) == booted(*digests, SHIPPED) == SHIPPED


def test_a_disk_that_takes_no_pointer_is_named_and_the_old_one_counts(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere/slots") as caught:
        SlotFile(tmp_path / "nowhere" / "slots").write(Slots(active=A, committed=A))
    assert caught.value.fault is StorageFault.MISSING
    file = SlotFile(tmp_path / "slots")
    file.write(Slots(active=A, committed=A))
    file.write(Slots(active=B, committed=B))
    older = min((tmp_path / "slots.a", tmp_path / "slots.b"), key=lambda path: path.stat().st_mtime_ns)
    older.unlink()
    older.mkdir()
    with pytest.raises(StorageError, match="slots") as caught:
        file.mend()
    assert caught.value.fault is StorageFault.IN_THE_WAY
    assert file.read() == Slots(active=B, committed=B)
