"""Reads a release back from its packs: single files by ranges, or the whole bundle.

Guarantees: what it returns has the SHA-256 that the release states, or it raises; it is decoded as the robot decodes
it, within the same limits. Memory does not grow with the bundle. Trusts the release, which `contracts.release.load` has
checked.
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

from edge_runtime.contracts.errors import BundleError, OtaError
from edge_runtime.contracts.release import ReleaseFile, ReleaseManifest, StoredBlob, StoredDelta
from edge_runtime.releases.delta import decode

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
            BundleError: its pack can't be read, or a robot would refuse the blob: with the reason that it has.
        """
        if digest not in self._kept:
            self._kept[digest] = self._decoded(digest)
            if len(self._kept) > _KEPT_PIECES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(digest)
        return self._kept[digest]

    def stored(self, entry: StoredBlob | StoredDelta) -> bytes:
        """What its pack holds of a blob or a delta, as it lies there.

        Raises:
            BundleError: the pack can't be read.
        """
        path = self._folder / self.release.packs[entry.pack].path
        try:
            with path.open("rb") as pack:
                return os.pread(pack.fileno(), entry.stored_bytes, entry.offset)
        except OSError as error:
            raise BundleError(f"{path}: {error.strerror}") from error

    def require_sizes(self) -> None:
        """Whether all packs are there, each as long as the release says.

        Raises:
            BundleError: names the first that is not.
        """
        for pack in self.release.packs:
            path = self._folder / pack.path
            size_bytes = path.stat().st_size if path.is_file() else 0
            if size_bytes != pack.size_bytes:
                raise BundleError(f"{path}: {size_bytes} bytes, the release says {pack.size_bytes}")

    def _decoded(self, digest: str) -> bytes:
        blob = self.release.blobs[digest]
        where = f"{self._folder / self.release.packs[blob.pack].path}: the blob at {blob.offset}"
        try:
            data = b"".join(decode(self.stored(blob), blob.codec, blob.size_bytes))
        except OtaError as error:
            raise BundleError(f"{where} is altered: {error}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise BundleError(f"{where} is altered")
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
