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
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge_runtime.bundles.installed import FILES_NAME, bundle_folder
from edge_runtime.contracts.errors import OtaError
from edge_runtime.contracts.release import ReleaseFile, ReleaseManifest, load
from edge_runtime.ota.disk import disk_refusals
from edge_runtime.storage.durable import make_folder, sync_folder

RELEASE_NAME = "release.json"
READ_BYTES = 1 << 20


def go_on() -> None:
    """What whoever has nobody to listen to does between two reads; others raise to end what is being done."""


class Place(msgspec.Struct, frozen=True):
    """Where a piece lies."""

    path: Path
    offset_bytes: int
    size_bytes: int


class Checked(NamedTuple):
    """A part of an installed bundle that was looked at: one piece of the file `path`, or, of 0 bytes, its size."""

    path: str
    size_bytes: int
    whole: bool


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


def holds(place: Place, sha256: str) -> bool:
    """Whether the bytes at `place` have this hash; not where the file is gone, short or unreadable."""
    digest = hashlib.sha256()
    try:
        with place.path.open("rb", buffering=0) as file:
            file.seek(place.offset_bytes)
            left_bytes = place.size_bytes
            while left_bytes and (part := file.read(min(left_bytes, READ_BYTES))):
                digest.update(part)
                left_bytes -= len(part)
    except OSError:
        return False
    return not left_bytes and digest.hexdigest() == sha256


def has_size(path: Path, size_bytes: int) -> bool:
    """Whether a file is there and has `size_bytes`."""
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False


def sha256_of(path: Path, heed: Callable[[], None] = go_on) -> str:
    """SHA-256 of a file, in constant memory; `heed` is called between reads, and what it raises ends this."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while part := file.read(READ_BYTES):
            digest.update(part)
            heed()
    return digest.hexdigest()


class BlobStore:
    """Folders below `root`: `bundles/<digest>` are whole, `staging/<digest>` are being filled, `trash` goes away.

    `healing/<digest>` has new copies of what the disk has altered of a bundle, on their way. A folder of each of these
    has the `release.json` it was made from, and the bundle's own files in `bundle/`.

    Args:
        root: belongs to the store.
        shipped: the bundle that came with the software, which is only read; None where there is none.
    """

    def __init__(self, root: Path, shipped: Path | None = None) -> None:
        self._root = root
        self._shipped = shipped
        self.bundles = root / "bundles"
        self.staging = root / "staging"
        self.healing = root / "healing"
        self.trash = root / "trash"

    def create(self) -> None:
        """Make the folders of the store.

        Raises:
            OtaError: `NO_SPACE`, `STORAGE_FAULT`.
        """
        with disk_refusals(self._root):
            for folder in (self.bundles, self.staging, self.healing, self.trash):
                make_folder(folder)

    def folder(self, bundle: str) -> Path:
        """Where the files of an installed bundle lie, for the engine."""
        return bundle_folder(self._root, bundle)

    def installed(self) -> dict[str, ReleaseManifest]:
        """Releases of the bundles that are whole; one whose `release.json` is altered is left out."""
        found = {name: release_in(self.bundles / name) for name in names_in(self.bundles)}
        return {name: release for name, release in found.items() if release is not None}

    def places(self, own: ReleaseManifest | None = None) -> dict[str, list[Place]]:
        """Where each piece of the installed bundles, and of what was staged, should lie.

        `own` is the release of one of them that may have lost its list. The shipped bundle has none; what it may have
        of `own` are the same bytes at the same places of files of the same name.
        """
        found: dict[str, list[Place]] = {}
        folders = [above / name for above in (self.bundles, self.staging) for name in names_in(above)]
        known = [(folder, release_in(folder)) for folder in folders]
        if own is not None:
            known.append((self.bundles / own.bundle_digest, own))
        files = [(folder / FILES_NAME, release) for folder, release in known]
        if self._shipped is not None:
            files.append((self._shipped, own))
        for folder, release in files:
            if release is None:
                continue
            for file in release.files:
                path = folder / file.path
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
        with disk_refusals(self._root):
            for above in (self.bundles, self.staging):
                names = [name for name in names_in(above) if name not in keep]
                for name in names:
                    empty(self.trash / name)
                    (above / name).rename(self.trash / name)
                if names:
                    sync_folder(above)
                removed += names
            for name in names_in(self.trash):
                empty(self.trash / name)
        return tuple(removed)

    def check(self, release: ReleaseManifest, first: int = 0) -> Iterator[Checked]:
        """Look at the installed bundle of `release`, part after part from number `first` on.

        The parts of a file are its size, then its pieces, as the disk has them and not the cache.
        """
        for path, piece, offset_bytes, size_bytes in islice(_parts(release), first, None):
            place = Place(self.folder(release.bundle_digest) / path, offset_bytes, size_bytes)
            if piece is None:
                yield Checked(path, 0, whole=has_size(place.path, size_bytes))
            else:
                _forget_cached(place)
                yield Checked(path, size_bytes, whole=holds(place, piece))


def release_in(folder: Path) -> ReleaseManifest | None:
    """The release that `folder` was made from, None if its list is gone or altered."""
    try:
        return load((folder / RELEASE_NAME).read_bytes())
    except (OSError, OtaError):
        return None


def names_in(folder: Path) -> list[str]:
    """What is in `folder`; nothing if that is gone."""
    try:
        return sorted(entry.name for entry in os.scandir(folder))
    except FileNotFoundError:
        return []


def empty(path: Path) -> None:
    """Remove what is at `path`, if anything is.

    Raises:
        OSError: something of it is still there.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _parts(release: ReleaseManifest) -> Iterator[tuple[str, str | None, int, int]]:
    """Path, piece, offset and size of each part that `check` looks at; no piece: the size of the whole file."""
    for file in release.files:
        yield file.path, None, 0, file.size_bytes
        for piece, offset_bytes, size_bytes in pieces_of(release, file):
            yield file.path, piece, offset_bytes, size_bytes


def _forget_cached(place: Place) -> None:
    """Have the next read come from the disk, as far as nobody has these bytes mapped."""
    try:
        descriptor = os.open(place.path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.posix_fadvise(descriptor, place.offset_bytes, place.size_bytes, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
