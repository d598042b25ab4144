"""Pieces on disk: what is there is asked of the disk, what is altered is found and healed, what is kept stays."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.manifest import verify_bundle
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.transfer.staging import begin
from edge_runtime.testing.small_bundles import release_of, small_bundle
from tests.storage.test_durable import files_no_larger_than


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    store = BlobStore(tmp_path / "store")
    store.create()
    return store


def listing(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


def installed(store: BlobStore, tmp_path: Path, version: str) -> str:
    """Install a bundle; returns its digest."""
    release, pieces = release_of(small_bundle(tmp_path / version, version))
    staging = begin(store, release)
    for piece in staging.missing:
        staging.put(piece, pieces[piece])
    staging.finish()
    return release.bundle_digest


def test_a_bundle_is_in_its_place_only_when_whole(store: BlobStore, tmp_path: Path) -> None:
    release, pieces = release_of(small_bundle(tmp_path / "1", "1"))
    staging = begin(store, release)
    assert set(staging.missing) == set(pieces)
    with pytest.raises(OtaError, match="pieces are missing"):
        staging.finish()
    for piece in staging.missing:
        assert store.installed() == {}
        staging.put(piece, pieces[piece])
    folder = staging.finish()
    assert verify_bundle(folder).digest == release.bundle_digest
    assert store.installed() == {release.bundle_digest: release}
    assert not list(store.staging.iterdir())


def test_all_disk_is_allocated_before_the_first_piece(store: BlobStore, tmp_path: Path) -> None:
    release, _ = release_of(small_bundle(tmp_path / "1", "1"))
    begin(store, release)
    folder = store.staging / release.bundle_digest / "bundle"
    for file in release.files:
        status = (folder / file.path).stat()
        assert status.st_size == file.size_bytes
        assert status.st_blocks * 512 >= file.size_bytes


def test_without_space_nothing_is_left_of_what_was_begun(store: BlobStore, tmp_path: Path) -> None:
    installed(store, tmp_path, "1")
    before = listing(store.bundles.parent)
    release, _ = release_of(small_bundle(tmp_path / "2", "2"))
    for limit_bytes in (0, 100, 1000, 3300):
        with files_no_larger_than(limit_bytes), pytest.raises(OtaError) as caught:
            begin(store, release)
        assert caught.value.refusal is OtaRefusal.NO_SPACE
        assert listing(store.bundles.parent) == before


def test_what_was_begun_stays_where_something_else_comes_first(store: BlobStore, tmp_path: Path) -> None:
    installed(store, tmp_path, "1")
    release, _ = release_of(small_bundle(tmp_path / "2", "2"))

    def something_else() -> None:
        raise OtaError(OtaRefusal.NOT_NOW, "something else comes first")

    with pytest.raises(OtaError) as caught:
        begin(store, release, heed=something_else)
    assert caught.value.refusal is OtaRefusal.NOT_NOW
    assert (store.staging / release.bundle_digest / "release.json").is_file()


def test_bytes_that_are_not_the_piece_are_refused(store: BlobStore, tmp_path: Path) -> None:
    release, pieces = release_of(small_bundle(tmp_path / "1", "1"))
    staging = begin(store, release)
    piece, data = next(iter(pieces.items()))
    for wrong in (b"", data[:-1], data + b"\0", bytes([data[0] ^ 1]) + data[1:]):
        with pytest.raises(OtaError) as caught:
            staging.put(piece, wrong)
        assert caught.value.refusal is OtaRefusal.BLOB_ALTERED
    assert piece in staging.missing


def test_what_the_disk_has_is_not_missing_again(store: BlobStore, tmp_path: Path) -> None:
    release, pieces = release_of(small_bundle(tmp_path / "1", "1"))
    staging = begin(store, release)
    stored = staging.missing[::2]
    for piece in stored:
        staging.put(piece, pieces[piece])
    assert set(begin(store, release).missing) == set(pieces) - set(stored)
    first = release.files[0]
    path = store.staging / release.bundle_digest / "bundle" / first.path
    path.write_bytes(bytes(first.size_bytes))
    assert set(first.pieces) & set(begin(store, release).missing)


def test_pieces_of_other_bundles_are_taken_over_and_same_files_linked(store: BlobStore, tmp_path: Path) -> None:
    first = installed(store, tmp_path, "1")
    release, pieces = release_of(small_bundle(tmp_path / "2", "2"))
    staging = begin(store, release)
    assert 0 < len(staging.missing) < len(pieces)
    for piece in staging.missing:
        staging.put(piece, pieces[piece])
    second = staging.finish()
    assert (second / "notes" / "card.md").samefile(store.folder(first) / "notes" / "card.md")
    assert not (second / "encode.onnx").samefile(store.folder(first) / "encode.onnx")
    verify_bundle(store.folder(first))
    verify_bundle(second)


def test_what_the_shipped_bundle_has_is_taken_over_and_the_bundle_left_alone(tmp_path: Path) -> None:
    shipped = small_bundle(tmp_path / "shipped", "1")
    (shipped / "notes" / "card.md").write_bytes(b"altered" * 200)
    before = listing(shipped)
    store = BlobStore(tmp_path / "store", shipped)
    store.create()
    release, pieces = release_of(small_bundle(tmp_path / "2", "2"))
    staging = begin(store, release)
    words = next(file for file in release.files if file.path == "words.json")
    assert set(staging.missing) < set(pieces)
    assert not set(words.pieces) & set(staging.missing)
    card = next(file for file in release.files if file.path == "notes/card.md")
    assert set(card.pieces) & set(staging.missing), "what was altered has to come from the hub"
    for piece in staging.missing:
        staging.put(piece, pieces[piece])
    assert verify_bundle(staging.finish()).digest == release.bundle_digest
    assert not (store.folder(release.bundle_digest) / "words.json").samefile(shipped / "words.json")
    assert listing(shipped) == before


def test_an_altered_file_of_another_bundle_is_not_taken_over(store: BlobStore, tmp_path: Path) -> None:
    first = installed(store, tmp_path, "1")
    card = store.folder(first) / "notes" / "card.md"
    card.write_bytes(b"\0" + card.read_bytes()[1:])
    release, pieces = release_of(small_bundle(tmp_path / "2", "2"))
    staging = begin(store, release)
    for piece in staging.missing:
        staging.put(piece, pieces[piece])
    second = staging.finish()
    verify_bundle(second)
    assert not (second / "notes" / "card.md").samefile(card)
    assert card.read_bytes()[0] == 0


def test_what_was_altered_while_staged_is_missing_again(store: BlobStore, tmp_path: Path) -> None:
    release, pieces = release_of(small_bundle(tmp_path / "1", "1"))
    staging = begin(store, release)
    for piece in staging.missing:
        staging.put(piece, pieces[piece])
    file = next(file for file in release.files if file.path == "denoise.onnx")
    path = store.staging / release.bundle_digest / "bundle" / file.path
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(OtaError) as caught:
        staging.finish()
    assert caught.value.refusal is OtaRefusal.BUNDLE_ALTERED
    assert staging.missing == (file.pieces[-1],)
    staging.put(file.pieces[-1], pieces[file.pieces[-1]])
    verify_bundle(staging.finish())


def test_a_release_that_contradicts_its_bundle_never_gets_a_place(store: BlobStore, tmp_path: Path) -> None:
    folder = small_bundle(tmp_path / "1", "1")
    (folder / "words.json").write_bytes(b"other words")
    release, pieces = release_of(folder)
    staging = begin(store, release)
    for piece in staging.missing:
        staging.put(piece, pieces[piece])
    with pytest.raises(OtaError, match=r"disagree about words\.json") as caught:
        staging.finish()
    assert caught.value.refusal is OtaRefusal.BUNDLE_ALTERED
    assert staging.missing == ()
    assert store.installed() == {}


def test_collecting_keeps_what_it_is_told(store: BlobStore, tmp_path: Path) -> None:
    first, second = installed(store, tmp_path, "1"), installed(store, tmp_path, "2")
    release, _ = release_of(small_bundle(tmp_path / "3", "3"))
    begin(store, release)
    assert store.collect({first, second, release.bundle_digest}) == ()
    assert set(store.collect({second})) == {first, release.bundle_digest}
    verify_bundle(store.folder(second))
    assert [path.name for path in store.bundles.iterdir()] == [second]
    assert not list(store.staging.iterdir())
    assert not list(store.trash.iterdir())


def test_looking_part_by_part_names_every_altered_file_and_begins_where_it_is_told(
    store: BlobStore, tmp_path: Path
) -> None:
    bundle = installed(store, tmp_path, "1")
    release, _ = release_of(tmp_path / "1")
    assert all(part.whole for part in store.check(release))
    assert sum(part.size_bytes for part in store.check(release)) == release.size_bytes
    folder = store.folder(bundle)
    card = (folder / "notes" / "card.md").read_bytes()
    (folder / "notes" / "card.md").write_bytes(card[:800] + bytes([card[800] ^ 4]) + card[801:])
    (folder / "denoise.onnx").write_bytes((folder / "denoise.onnx").read_bytes()[:-1])
    (folder / "empty.bin").unlink()
    parts = list(store.check(release))
    assert [part.path for part in parts if not part.whole] == [
        "denoise.onnx",  # its size
        "denoise.onnx",  # its last piece
        "empty.bin",
        "notes/card.md",
    ]
    for first in range(len(parts) + 1):
        assert list(store.check(release, first)) == parts[first:]


def test_a_bundle_whose_list_is_altered_can_be_installed_again(store: BlobStore, tmp_path: Path) -> None:
    bundle = installed(store, tmp_path, "1")
    (store.bundles / bundle / "release.json").write_bytes(b"{}")
    assert store.installed() == {}
    release, _ = release_of(tmp_path / "1")
    staging = begin(store, release)
    assert staging.missing == ()
    staging.finish()
    assert store.installed() == {bundle: release}
    assert all(part.whole for part in store.check(release))
    assert not list(store.staging.iterdir())


def test_an_installed_bundle_is_healed_by_replacing_files_and_never_written_to(
    store: BlobStore, tmp_path: Path
) -> None:
    bundle = installed(store, tmp_path, "1")
    release, pieces = release_of(tmp_path / "1")
    path = store.folder(bundle) / "denoise.onnx"
    path.write_bytes(bytes(path.stat().st_size))
    with path.open("rb") as running:
        staging = begin(store, release)
        assert staging.missing
        for piece in staging.missing:
            staging.put(piece, pieces[piece])
        staging.finish()
        assert set(running.read()) == {0}
    verify_bundle(store.folder(bundle))


def test_a_release_of_other_files_than_it_says_never_gets_a_place(store: BlobStore, tmp_path: Path) -> None:
    release, pieces = release_of(small_bundle(tmp_path / "1", "1"))
    staging = begin(store, msgspec.structs.replace(release, bundle_digest="a" * 64))
    for piece in staging.missing:
        staging.put(piece, pieces[piece])
    with pytest.raises(OtaError, match="the files are those of the bundle"):
        staging.finish()
    assert store.installed() == {}


def test_a_linked_file_that_is_altered_later_is_not_written_to(store: BlobStore, tmp_path: Path) -> None:
    first = installed(store, tmp_path, "1")
    release, pieces = release_of(small_bundle(tmp_path / "2", "2"))
    begin(store, release)
    card = store.folder(first) / "notes" / "card.md"
    card.write_bytes(bytes(card.stat().st_size))
    staging = begin(store, release)
    for piece in staging.missing:
        staging.put(piece, pieces[piece])
    verify_bundle(staging.finish())
    assert set(card.read_bytes()) == {0}


def test_a_download_that_cannot_go_on_for_want_of_space_keeps_what_it_has(store: BlobStore, tmp_path: Path) -> None:
    release, pieces = release_of(small_bundle(tmp_path / "1", "1"))
    staging = begin(store, release)
    stored = staging.missing[:5]
    for piece in stored:
        staging.put(piece, pieces[piece])
    (store.staging / release.bundle_digest / "bundle" / "notes" / "card.md").unlink()
    with files_no_larger_than(100), pytest.raises(OtaError):
        begin(store, release)
    assert not set(stored) & set(begin(store, release).missing)
