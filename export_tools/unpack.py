"""Reads a release back from its packs: single files by ranges, or the whole bundle.

Guarantees: what it returns has the SHA-256 that the release states, or it raises `BundleError`. Memory does not grow
with the bundle. Trusts the release, which `contracts.release.load` has checked.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

import zstandard

from contracts.errors import BundleError
from contracts.release import ReleaseFile, ReleaseManifest

# Decoded pieces kept at hand: a walk through a file's structure comes back to the same few.
_KEPT_PIECES = 2


class PackReader:
    """The blobs of one release, out of `folder`/packs."""

    def __init__(self, release: ReleaseManifest, folder: Path) -> None:
        self.release = release
        self._folder = folder
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def blob(self, digest: str) -> bytes:
        """The raw bytes of a blob of the release.

        Raises:
            BundleError: its pack is missing, cut short or altered.
        """
        if digest not in self._kept:
            self._kept[digest] = self._decoded(digest)
            if len(self._kept) > _KEPT_PIECES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(digest)
        return self._kept[digest]

    def _decoded(self, digest: str) -> bytes:
        blob = self.release.blobs[digest]
        path = self._folder / self.release.packs[blob.pack].path
        try:
            with path.open("rb") as pack:
                data = os.pread(pack.fileno(), blob.stored_bytes, blob.offset)
        except OSError as error:
            raise BundleError(f"{path}: {error.strerror}") from error
        if blob.codec == "zstd":
            try:
                data = zstandard.ZstdDecompressor().stream_reader(data).read(blob.size_bytes)
            except zstandard.ZstdError as error:
                raise BundleError(f"{path}: the blob at {blob.offset} is altered: {error}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise BundleError(f"{path}: the blob at {blob.offset} is altered")
        return data


class PackedFile:
    """One file of a release, read by ranges: only the pieces that are touched are decoded."""

    def __init__(self, packs: PackReader, file: ReleaseFile) -> None:
        self._packs = packs
        self._pieces = file.pieces
        self._ends = list(accumulate(packs.release.blobs[piece].size_bytes for piece in file.pieces))
        self.size_bytes = file.size_bytes

    def read_at(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset`, never beyond the end of the piece there."""
        index = bisect_right(self._ends, offset)
        if index == len(self._pieces):
            return b""
        piece = self._packs.blob(self._pieces[index])
        start = offset - (self._ends[index] - len(piece))
        return piece[start : start + count]

    def offsets(self) -> Iterator[tuple[int, str]]:
        """Where each piece begins, and its digest."""
        return zip([0, *self._ends], self._pieces, strict=False)


@contextmanager
def packed_file(packs: PackReader, path: str) -> Iterator[PackedFile]:
    """The file `path` of the release, which must have one of that name."""
    yield PackedFile(packs, next(file for file in packs.release.files if file.path == path))


def verify(release: ReleaseManifest, packs_folder: Path) -> None:
    """Whether every file of the release, and each of its blobs, comes out of its packs as the release says.

    Raises:
        BundleError: names the pack or the file that does not.
    """
    for pack in release.packs:
        path = packs_folder / pack.path
        size_bytes = path.stat().st_size if path.is_file() else 0
        if size_bytes != pack.size_bytes:
            raise BundleError(f"{path}: {size_bytes} bytes, the release says {pack.size_bytes}")
    packs = PackReader(release, packs_folder)
    for file in release.files:
        digest = hashlib.sha256()
        for piece in file.pieces:
            digest.update(packs.blob(piece))
        if digest.hexdigest() != file.sha256:
            raise BundleError(f"{file.path}: its pieces are right and the whole is not: the release contradicts itself")


def assemble(release: ReleaseManifest, packs_folder: Path, place: Path) -> None:
    """Write every file of the release below the new folder `place`.

    Raises:
        BundleError: a pack or a file is not what the release says; what was written stays behind for a look.
    """
    packs = PackReader(release, packs_folder)
    for file in release.files:
        path = place / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with path.open("xb") as written:
            for piece in file.pieces:
                data = packs.blob(piece)
                digest.update(data)
                written.write(data)
        if digest.hexdigest() != file.sha256:
            raise BundleError(f"{path}: its pieces are right and the whole is not: the release contradicts itself")
