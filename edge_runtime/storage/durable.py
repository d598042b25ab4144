"""Files that are whole after a power cut: the old bytes or the new ones, and the new ones once a call has returned.

Guarantees: a write that fails leaves what was there, and nothing half beside it; whatever the system refuses is a
`StorageError`. Refuses to know what the bytes mean. Trusts the disk to lose and tear only what was not fsynced.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from edge_runtime.storage.faults import storage_errors


def make_folder(folder: Path) -> None:
    """Create `folder` with those above it, to last.

    Raises:
        StorageError: it is not there.
    """
    with storage_errors(folder):
        _make_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make creations, renames and removals in `folder` last.

    Raises:
        StorageError: they may not.
    """
    with storage_errors(folder):
        _sync(folder, os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make what was written to `path` last.

    Raises:
        StorageError: it may not.
    """
    with storage_errors(path):
        _sync(path)


def replace_file(path: Path, data: bytes, *, mode: int = 0o644, to_last: bool = True) -> None:
    """Replace the file at `path` as a whole: make its folder, write beside it, fsync, rename, fsync the folder.

    Without `to_last` nothing is fsynced, and the folder has to be there: a power cut may leave the old file, the new
    one, or neither.

    Raises:
        StorageError: the old file is as it was; if only the last fsync failed, either may be there after a power cut.
    """
    with storage_errors(path):
        if to_last:
            _make_folder(path.parent)
        replace_in_place(path, data, mode, to_last=to_last)


def put_in_place(beside: Path, path: Path) -> None:
    """Make what was written to `beside`, on the same disk, last as `path`.

    Raises:
        StorageError: as `replace_file`; `beside` may still be there.
    """
    with storage_errors(path):
        _sync(beside)
        beside.replace(path)
        _sync(path.parent, os.O_DIRECTORY)


def make_file(path: Path, data: bytes, mode: int) -> None:
    """Make a file that must not be there yet, in a folder that is.

    Raises:
        StorageError: `IN_THE_WAY`: it is there already; or nothing of it is.
    """
    with storage_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            write_all(descriptor, data, 0)
            os.fsync(descriptor)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(descriptor)
        _sync(path.parent, os.O_DIRECTORY)


def write_at(path: Path, data: bytes | memoryview, offset_bytes: int) -> None:
    """Write all of `data` into a file that is there; it need not last yet.

    Raises:
        StorageError: part of it may be there.
    """
    with storage_errors(path):
        descriptor = os.open(path, os.O_WRONLY)
        try:
            write_all(descriptor, data, offset_bytes)
        finally:
            os.close(descriptor)


def read_own(path: Path, *, at_most_bytes: int) -> bytes | None:
    """A file that this user alone may have written or read; None if it is not there, not like that, or larger."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            return None
        if found.st_size > at_most_bytes:
            return None
        try:
            return file.read()
        except OSError:
            return None


def write_all(descriptor: int, data: bytes | memoryview, offset_bytes: int) -> None:
    """Write all of `data` at `offset_bytes`, for this room; a disk may take a part at a time.

    Raises:
        OSError: a part of it may be there.
    """
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset_bytes)
        view = view[written:]
        offset_bytes += written


def replace_in_place(path: Path, data: bytes, mode: int = 0o644, *, to_last: bool = True) -> None:
    """As `replace_file`, in a folder that is there, for this room.

    Raises:
        OSError: as `replace_file`.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            write_all(descriptor, data, 0)
            if to_last:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        error.filename = str(path)  # which is the one that a person knows
        raise
    if to_last:
        _sync(path.parent, os.O_DIRECTORY)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent, os.O_DIRECTORY)


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
