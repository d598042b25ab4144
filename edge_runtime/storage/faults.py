"""What a failed system call on a file means, as a `StorageError`. Pure."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_runtime.contracts.errors import StorageError, StorageFault

_FAULTS = {
    errno.ENOSPC: StorageFault.NO_SPACE,
    errno.EDQUOT: StorageFault.NO_SPACE,
    errno.EFBIG: StorageFault.NO_SPACE,
    errno.EROFS: StorageFault.READ_ONLY,
    errno.EIO: StorageFault.FAULT,
    errno.ENODEV: StorageFault.FAULT,
    errno.ENXIO: StorageFault.FAULT,
    errno.ESTALE: StorageFault.FAULT,
    errno.EACCES: StorageFault.NOT_PERMITTED,
    errno.EPERM: StorageFault.NOT_PERMITTED,
    errno.ENOENT: StorageFault.MISSING,
    errno.EEXIST: StorageFault.IN_THE_WAY,
    errno.EISDIR: StorageFault.IN_THE_WAY,
    errno.ENOTDIR: StorageFault.IN_THE_WAY,
    errno.ENOTEMPTY: StorageFault.IN_THE_WAY,
    errno.ELOOP: StorageFault.IN_THE_WAY,
}


def fault_of(error: OSError) -> StorageFault | None:
    """What a failed system call says of the storage; None where it is about something else, such as a connection."""
    return _FAULTS.get(error.errno or 0)


def storage_error(error: OSError, path: Path) -> StorageError:
    """The error that stands for a failed system call on `path`, or on what the system names instead."""
    named = error.filename if isinstance(error.filename, str | bytes) else None
    where = path if named is None else Path(os.fsdecode(named))
    return StorageError(fault_of(error) or StorageFault.FAULT, where, error.strerror or str(error))


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Have a system call that fails in the block raised as a `StorageError`, of `path` where it names no other."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error
