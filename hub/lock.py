"""One process writes to a hub's folder at a time: commands of people and the server take turns. Readers need none."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from edge_runtime.contracts.errors import HubError, HubRefusal, SigningError
from edge_runtime.contracts.text import printable
from edge_runtime.storage.faults import storage_errors

PATIENCE_S = 60.0
_LOOK_EVERY_S = 0.05
_NOTE_BYTES_MAX = 200


@contextmanager
def writing(folder: Path, who: str, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the hub in `folder`, which exists, for the block; `who` is what others are told meanwhile.

    Raises:
        HubError: IN_USE: another process held it for longer than `patience_s`; says who.
        StorageError: the folder takes no lock.
    """
    descriptor = _opened(folder / ".lock")
    try:
        if not _acquire(descriptor, patience_s):
            holder = _read_note(descriptor)
            problem = f"is in use by {holder}; waited for {patience_s:.0f} s"
            raise HubError(HubRefusal.IN_USE, str(folder), problem)
        _write_note(descriptor, who)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def serving(folder: Path) -> Iterator[None]:
    """Be the one process that serves the hub in `folder`, for the block.

    Raises:
        HubError: IN_USE: another one does; says which.
        StorageError: the folder takes no lock.
    """
    descriptor = _opened(folder / ".serving")
    try:
        if not _is_acquired(descriptor):
            raise HubError(HubRefusal.IN_USE, str(folder), f"is served already, by {_read_note(descriptor)}")
        _write_note(descriptor, "edge-hub serve")
        yield
    finally:
        os.close(descriptor)


@contextmanager
def signing(draft: Path, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the folder of a draft, so that of two people who sign at once neither loses a signature.

    Raises:
        SigningError: another process held it for longer than `patience_s`.
    """
    try:
        descriptor = os.open(draft.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SigningError(str(draft), f"{error.strerror}") from error
    try:
        if not _acquire(descriptor, patience_s):
            raise SigningError(str(draft), f"another process signs in its folder; waited for {patience_s:.0f} s")
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    with storage_errors(path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _read_note(descriptor: int) -> str:
    return printable(os.pread(descriptor, _NOTE_BYTES_MAX, 0).decode(errors="replace")) or "another process"


def _write_note(descriptor: int, who: str) -> None:
    with contextlib.suppress(OSError):  # the lock holds without a note, also on a full disk
        os.ftruncate(descriptor, 0)
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        os.pwrite(descriptor, f"{who} (process {os.getpid()}, since {now})".encode()[:_NOTE_BYTES_MAX], 0)


def _acquire(descriptor: int, patience_s: float) -> bool:
    deadline_s = time.monotonic() + patience_s
    while not _is_acquired(descriptor):
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(_LOOK_EVERY_S)
    return True


def _is_acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
