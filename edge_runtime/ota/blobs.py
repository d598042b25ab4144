"""The bytes of bundles on the robot's disk, found by the SHA-256 of the pieces that they are made of.

Guarantees: disk for a whole release is allocated before its first byte, or nothing has changed; a piece counts as there
only if its bytes on the disk hash to its name; a bundle appears in its place in one rename, when every file of it and
its manifest have been verified; collecting touches nothing that it was told to keep.
Refuses to know where pieces come from, and which bundle runs. Trusts the release it is given to have been verified, and
the lock of its owner to keep other writers out.

Pieces have no files of their own: they are written to where they belong in the bundle (`staging.py`), and found there
again when the next release has the same ones. So a bundle takes its own size on disk, and not twice that.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

import msgspec

from contracts.errors import OtaError, OtaRefusal
from contracts.release import ReleaseFile, ReleaseManifest, load
from edge_runtime.durable import make_folder, refusal_of, sync_folder, write_all
from edge_runtime.installed import FILES_NAME, bundle_folder

RELEASE_NAME = "release.json"
READ_BYTES = 1 << 20
_BLOCK_BYTES = 4096
NOTHING = hashlib.sha256(b"").hexdigest()
"""The piece without bytes. Faulty where a file is gone or has another size; to heal it needs nothing to be fetched."""


class Place(msgspec.Struct, frozen=True):
    """Where a piece lies."""

    path: Path
    offset_bytes: int
    size_bytes: int


class Fault(msgspec.Struct, frozen=True):
    """A piece that the disk has altered, in the file `path` of `bundle`."""

    bundle: str
    path: str
    piece: str


class Slice(msgspec.Struct, frozen=True):
    """Outcome of a part of a scrub; `next_piece` is where the next part goes on, None at the end of the bundle."""

    faults: tuple[Fault, ...]
    next_piece: int | None


def pieces_of(release: ReleaseManifest, file: ReleaseFile) -> Iterator[tuple[str, int, int]]:
    """Digest, offset in the file and size of each piece of `file`, in order."""
    offset_bytes = 0
    for piece in file.pieces:
        size_bytes = release.blobs[piece].size_bytes
        yield piece, offset_bytes, size_bytes
        offset_bytes += size_bytes


def read_place(place: Place) -> bytes | None:
    """The bytes at `place`, None where the file is gone, short or unreadable."""
    try:
        descriptor = os.open(place.path, os.O_RDONLY)
    except OSError:
        return None
    try:
        data = os.pread(descriptor, place.size_bytes, place.offset_bytes)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return data if len(data) == place.size_bytes else None


def has_size(path: Path, size_bytes: int) -> bool:
    """Whether a file is there and has `size_bytes`."""
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in constant memory."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while part := file.read(READ_BYTES):
            digest.update(part)
    return digest.hexdigest()


class BlobStore:
    """Folders below `root`: `bundles/<digest>` are whole, `staging/<digest>` are being filled, `trash` goes away.

    Each of the former has the `release.json` it was made from, and the bundle's own files in `bundle/`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.bundles = root / "bundles"
        self.staging = root / "staging"
        self.trash = root / "trash"

    def create(self) -> None:
        """Make the folders of the store.

        Raises:
            OtaError: `NO_SPACE`, `STORAGE_FAULT`.
        """
        try:
            for folder in (self.bundles, self.staging, self.trash):
                make_folder(folder)
        except OSError as error:
            raise refusal_of(error, f"store {self.bundles.parent}") from error

    def folder(self, bundle: str) -> Path:
        """Where the files of an installed bundle lie, for the engine."""
        return bundle_folder(self._root, bundle)

    def installed(self) -> dict[str, ReleaseManifest]:
        """Releases of the bundles that are whole; one whose `release.json` is altered is left out."""
        found = {name: release_in(self.bundles / name) for name in _names(self.bundles)}
        return {name: release for name, release in found.items() if release is not None}

    def places(self) -> dict[str, list[Place]]:
        """Where each piece of the installed bundles, and of what was staged, should lie."""
        found: dict[str, list[Place]] = {}
        folders = [above / name for above in (self.bundles, self.staging) for name in _names(above)]
        for folder in folders:
            release = release_in(folder)
            if release is None:
                continue
            for file in release.files:
                path = folder / FILES_NAME / file.path
                for piece, offset_bytes, size_bytes in pieces_of(release, file):
                    found.setdefault(piece, []).append(Place(path, offset_bytes, size_bytes))
        return found

    def read(self, piece: str, places: dict[str, list[Place]]) -> bytes | None:
        """A piece, verified, from the first of its `places` that still has it; None if none has."""
        for place in places.get(piece, ()):
            data = read_place(place)
            if data is not None and hashlib.sha256(data).hexdigest() == piece:
                return data
        return None

    def collect(self, keep: AbstractSet[str]) -> tuple[str, ...]:
        """Remove every bundle, whole or not, that `keep` does not name; returns their digests.

        A folder is moved away before it is emptied, so that none is ever seen half empty in its place.

        Raises:
            OtaError: `STORAGE_FAULT`; the next call goes on.
        """
        removed: list[str] = []
        try:
            for above in (self.bundles, self.staging):
                names = [name for name in _names(above) if name not in keep]
                for name in names:
                    _empty(self.trash / name)
                    (above / name).rename(self.trash / name)
                if names:
                    sync_folder(above)
                removed += names
            for name in _names(self.trash):
                _empty(self.trash / name)
        except OSError as error:
            raise refusal_of(error, "collecting bundles") from error
        return tuple(removed)

    def scrub(self, bundle: str, first_piece: int, budget_bytes: int) -> Slice:
        """Verify the pieces of an installed bundle from number `first_piece` on, at least one, at most `budget_bytes`.

        Raises:
            OtaError: `BUNDLE_ALTERED`: the bundle's own list of pieces is unreadable; only a new install heals that.
        """
        release = release_in(self.bundles / bundle)
        if release is None:
            raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"{bundle}: {RELEASE_NAME} is altered or gone")
        faults: list[Fault] = []
        number = 0
        read_bytes = 0
        for file in release.files:
            path = self.folder(bundle) / file.path
            if number >= first_piece and not has_size(path, file.size_bytes):
                faults.append(Fault(bundle, file.path, NOTHING))
            for piece, offset_bytes, size_bytes in pieces_of(release, file):
                if number >= first_piece:
                    if read_bytes and read_bytes + size_bytes > budget_bytes:
                        return Slice(tuple(faults), number)
                    read_bytes += size_bytes
                    _forget_cached(path, offset_bytes, size_bytes)
                    data = read_place(Place(path, offset_bytes, size_bytes))
                    if data is None or hashlib.sha256(data).hexdigest() != piece:
                        faults.append(Fault(bundle, file.path, piece))
                number += 1
        return Slice(tuple(faults), None)

    def heal(self, fault: Fault, data: bytes | memoryview) -> None:
        """Put `data` where `fault` was found: a corrected copy of the file takes its place in one rename.

        Raises:
            OtaError: `BLOB_ALTERED`: `data` is not that piece. `NO_SPACE`, `STORAGE_FAULT`: the file is as it was.
        """
        if hashlib.sha256(data).hexdigest() != fault.piece:
            raise OtaError(OtaRefusal.BLOB_ALTERED, f"these {len(data)} bytes are not {fault.piece}")
        release = release_in(self.bundles / fault.bundle)
        file = next((file for file in release.files if file.path == fault.path), None) if release else None
        if release is None or file is None:
            raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"{fault.bundle}: {RELEASE_NAME} has no {fault.path}")
        path = self.folder(fault.bundle) / fault.path
        beside = self.trash / f"{fault.piece}.healing"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _copy(path, beside, file.size_bytes)
            descriptor = os.open(beside, os.O_WRONLY)
            try:
                for piece, offset_bytes, _ in pieces_of(release, file):
                    if piece == fault.piece:
                        write_all(descriptor, data, offset_bytes)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            beside.rename(path)
            sync_folder(path.parent)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise refusal_of(error, f"healing {path}") from error


def release_in(folder: Path) -> ReleaseManifest | None:
    """The release that `folder` was made from, None if its list is gone or altered."""
    try:
        return load((folder / RELEASE_NAME).read_bytes())
    except (OSError, OtaError):
        return None


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder))
    except FileNotFoundError:
        return []


def _empty(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _copy(source: Path, target: Path, size_bytes: int) -> None:
    """Copy what can be read of `source`; the rest of the `size_bytes` of `target` is zero."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        if size_bytes:
            os.posix_fallocate(descriptor, 0, size_bytes)
        for offset_bytes, data in _readable(source, size_bytes):
            write_all(descriptor, data, offset_bytes)
    finally:
        os.close(descriptor)


def _readable(path: Path, size_bytes: int) -> Iterator[tuple[int, bytes]]:
    """What the first `size_bytes` of a file still have, with offsets; bad blocks and a missing end are passed over."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        for start in range(0, size_bytes, READ_BYTES):
            end = min(start + READ_BYTES, size_bytes)
            try:
                yield start, os.pread(descriptor, end - start, start)
            except OSError:
                for block in range(start, end, _BLOCK_BYTES):
                    with suppress(OSError):
                        yield block, os.pread(descriptor, min(_BLOCK_BYTES, end - block), block)
    finally:
        os.close(descriptor)


def _forget_cached(path: Path, offset_bytes: int, size_bytes: int) -> None:
    """Have the next read come from the disk, as far as nobody has these bytes mapped."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.posix_fadvise(descriptor, offset_bytes, size_bytes, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
