"""Writes packs: files of stored blobs, named by the SHA-256 of their bytes, none above `MAX_PACK_BYTES`.

Guarantees: a file under a pack's name is complete and has that digest; an interrupted run leaves only a hidden file,
which the next one over the same folder removes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from edge_runtime.contracts.release import MAX_PACK_BYTES, Pack
from edge_runtime.storage.durable import make_folder, put_in_place
from edge_runtime.storage.faults import storage_errors

_UNFINISHED = ".unfinished-"


class PackWriter:
    """Appends to packs below `folder`/packs; `kind` keeps two writers over one folder from writing to one file.

    Raises:
        StorageError: by every method: the pack that is being written is not kept.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.finished: list[Pack] = []
        self._unfinished = folder / "packs" / (_UNFINISHED + kind)
        make_folder(self._unfinished.parent)
        with storage_errors(self._unfinished):
            self._file = self._unfinished.open("wb")
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    def add(self, data: bytes) -> tuple[int, int]:
        """Append `data`; returns the number of its pack among those of this writer, and its offset there."""
        if self._size_bytes + len(data) > MAX_PACK_BYTES:
            self.finish()
        offset = self._size_bytes
        with storage_errors(self._unfinished):
            self._file.write(data)
        self._digest.update(data)
        self._size_bytes += len(data)
        return len(self.finished), offset

    def close(self) -> None:
        """Let go of the file; what is in no finished pack is gone."""
        self._file.close()
        self._unfinished.unlink()

    def finish(self) -> None:
        """Complete the pack that is being written, if it has anything in it."""
        if not self._size_bytes:
            return
        pack = Pack(sha256=self._digest.hexdigest(), size_bytes=self._size_bytes)
        with storage_errors(self._unfinished):
            self._file.close()
            put_in_place(self._unfinished, self.folder / pack.path)
            self.finished.append(pack)
            self._file = self._unfinished.open("wb")
        self._digest = hashlib.sha256()
        self._size_bytes = 0


def bring_pack(pack: Pack, store: Path, folder: Path) -> None:
    """Have `folder` hold a pack of `store` too: under a second name where the file system can, else as a copy.

    Raises:
        StorageError: it has not.
    """
    source, place = store / pack.path, folder / pack.path
    if place.exists():
        return
    make_folder(place.parent)
    try:
        os.link(source, place)
    except OSError:
        beside = place.with_name(_UNFINISHED + place.name)
        with storage_errors(beside):
            shutil.copyfile(source, beside)
        put_in_place(beside, place)
