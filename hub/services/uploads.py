"""What operators upload before it is released: below `incoming` of the hub's folder, never public.

Guarantees: an upload is kept only if its bytes have the hash that it was announced with; one that ends half leaves
nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from types import TracebackType

from edge_runtime.contracts.errors import HubError, HubRefusal, SigningError
from edge_runtime.contracts.release import MAX_BUNDLE_BYTES
from edge_runtime.storage.durable import make_folder, put_in_place
from edge_runtime.storage.faults import storage_errors

UPLOADS = "incoming"
UPLOADS_KEPT_S = 24 * 3600.0


class Upload:
    """One file on its way to `path` below the uploads of the hub in `folder`. While entered it may be written to.

    Raises:
        HubError: UPLOADS_FULL: with `most_bytes` more, too much would lie there.
        StorageError: by every method: it is not kept.
    """

    def __init__(self, folder: Path, path: Path, sha256: str, most_bytes: int) -> None:
        uploads = folder / UPLOADS
        if _held_bytes(uploads) + most_bytes > MAX_BUNDLE_BYTES:
            problem = "too much is uploaded and not released; publish it or remove incoming/"
            raise HubError(HubRefusal.UPLOADS_FULL, UPLOADS, problem)
        self._path = path
        self._place = uploads / path
        self._sha256 = sha256
        self._found = hashlib.sha256()
        make_folder(self._place.parent)
        self._beside = self._place.with_name(f".{self._place.name}.{time.monotonic_ns()}.new")
        with storage_errors(self._beside):
            self._file = self._beside.open("xb")

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._beside.unlink(missing_ok=True)

    def write(self, part: bytes) -> None:
        """Add bytes."""
        self._found.update(part)
        with storage_errors(self._beside):
            self._file.write(part)

    def keep(self) -> None:
        """Put the file in place, for good.

        Raises:
            SigningError: the bytes that came have another hash; they are not kept.
        """
        with storage_errors(self._beside):
            self._file.close()
        if self._found.hexdigest() != self._sha256:
            problem = f"the bytes that came have the SHA-256 {self._found.hexdigest()}"
            raise SigningError(str(self._path), problem)
        put_in_place(self._beside, self._place)


def clear_uploads(folder: Path, *, older_than_s: float | None) -> None:
    """Remove uploads that were not released in that time; None: those that are half, whose server is no more."""
    before_s = time.time() - (older_than_s or 0.0)
    for path in folder.rglob(".*.new" if older_than_s is None else "*"):
        with contextlib.suppress(OSError):  # it may have been released or replaced meanwhile
            if path.is_file() and (older_than_s is None or path.stat().st_mtime < before_s):
                path.unlink()


def _held_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
