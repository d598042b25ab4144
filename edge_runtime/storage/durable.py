"""Bytes that are still there after the power was cut.

Guarantees: a file written by `write_durably` has either its old or its new bytes, whole, and keeps the new ones once
the call has returned. A `TwinRecord` that was written once has at any instant one copy whose checksum is right, and is
rewritten in place: neither a full disk nor a folder that cannot be extended keeps it from changing.
Refuses to know what the bytes mean. Trusts the disk to lose and tear only what was not fsynced.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from edge_runtime.contracts.errors import OtaError, OtaRefusal

FORMAT_VERSION = 1
COPY_BYTES = 4096
"""Size of each copy of a record: one block of most disks, allocated once and for all."""

Body = TypeVar("Body", bound=msgspec.Struct)

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def refusal_of(error: OSError, what: str) -> OtaError:
    """The refusal that stands for a failed system call: no space, or a fault of the storage."""
    refusal = OtaRefusal.NO_SPACE if error.errno in _NO_SPACE else OtaRefusal.STORAGE_FAULT
    return OtaError(refusal, f"{what}: {error.strerror or error}")


def write_all(descriptor: int, data: bytes | memoryview, offset_bytes: int) -> None:
    """Write all of `data` at `offset_bytes`; a disk may take a part at a time."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset_bytes)
        view = view[written:]
        offset_bytes += written


def sync_folder(folder: Path) -> None:
    """Make creations, renames and removals in `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create `folder` with those above it, to last."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def write_durably(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace the file at `path` as a whole: write beside it, fsync, rename, fsync the folder.

    Raises:
        OSError: the old file is as it was; if only the last fsync failed, either may be there after a power cut.
    """
    beside = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            write_all(descriptor, data, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        beside.rename(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


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


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format_version: int
    kind: str
    step: int
    body: msgspec.Raw


class TwinRecord(Generic[Body]):
    """A small record in two checksummed copies, `<path>.a` and `<path>.b`; the higher step counter wins.

    A write first replaces the copy that is older or torn, fsyncs it, then the other: a cut spoils one copy at most, and
    never the only good one. In place, because a rename needs a new file, which a full disk refuses; a rollback must not
    wait for space. There is one writer: whoever holds the lock of the store.
    """

    def __init__(self, path: Path, kind: type[Body]) -> None:
        self._paths = (path.with_name(path.name + ".a"), path.with_name(path.name + ".b"))
        self._kind = kind
        self._name = kind.__name__.lower()

    def read(self) -> Body | None:
        """The newest body, or None if there never was one.

        Raises:
            OtaError: `TORN_STATE`: there are copies, and none can be read and is right.
        """
        copies = [self._read_copy(path) for path in self._paths]
        newest = max((copy for copy in copies if copy is not None), key=lambda copy: copy.step, default=None)
        if newest is not None:
            return self._decode(newest)
        if any(path.exists() for path in self._paths):
            raise OtaError(OtaRefusal.TORN_STATE, f"no copy of {self._paths[0].with_suffix('')} is whole")
        return None

    def written(self) -> tuple[int, ...]:
        """When each copy that is there was last written to, in ns of its file system; reads nothing of them."""
        stamps = []
        for path in self._paths:
            with contextlib.suppress(OSError):
                stamps.append(path.stat().st_mtime_ns)
        return tuple(stamps)

    def write(self, body: Body) -> None:
        """Replace the record.

        A second copy that cannot be written is left for the next write: the record has changed and will last.

        Raises:
            OSError: no copy could be replaced for sure. What `read` returns is the truth: the old body, or the new one
                where the disk took it and then failed to say so.
            ValueError: the body does not fit a copy.
        """
        copies = [self._read_copy(path) for path in self._paths]
        steps = [-1 if copy is None else copy.step for copy in copies]
        data = self._encode(body, max(steps) + 1)
        first = 0 if steps[0] <= steps[1] else 1
        self._write_copy(self._paths[first], data)
        try:
            self._write_copy(self._paths[1 - first], data)
        except OSError:
            return

    def mend(self) -> None:
        """Bring both copies to the same state, where one is older, torn or gone.

        Raises:
            OtaError: as `read`.
            OSError: as `write`.
        """
        body = self.read()
        copies = [self._read_copy(path) for path in self._paths]
        if body is not None and (None in copies or copies[0] != copies[1]):
            self.write(body)

    def _encode(self, body: Body, step: int) -> bytes:
        envelope = _Envelope(FORMAT_VERSION, self._name, step, msgspec.Raw(msgspec.json.encode(body)))
        text = msgspec.json.encode(envelope)
        data = hashlib.sha256(text).hexdigest().encode() + b"\n" + text + b"\n"
        if len(data) > COPY_BYTES:
            raise ValueError(f"{self._name} has {len(data)} bytes, a copy holds {COPY_BYTES}")
        return data.ljust(COPY_BYTES, b"\n")

    def _decode(self, envelope: _Envelope) -> Body:
        if envelope.format_version != FORMAT_VERSION:
            raise OtaError(
                OtaRefusal.TORN_STATE,
                f"{self._name} has format {envelope.format_version}, this software reads {FORMAT_VERSION}",
            )
        try:
            return msgspec.json.decode(envelope.body, type=self._kind)
        except msgspec.MsgspecError as error:
            raise OtaError(OtaRefusal.TORN_STATE, f"{self._name}: {error}") from error

    def _read_copy(self, path: Path) -> _Envelope | None:
        try:
            data = path.read_bytes()
        except OSError:
            return None  # gone, or a bad block: the other copy counts
        checksum, _, rest = data.partition(b"\n")
        text = rest.rstrip(b"\n")
        if len(data) != COPY_BYTES or hashlib.sha256(text).hexdigest().encode() != checksum:
            return None
        try:
            envelope = msgspec.json.decode(text, type=_Envelope)
        except msgspec.MsgspecError:
            return None
        return envelope if envelope.kind == self._name else None

    def _write_copy(self, path: Path, data: bytes) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY)
        except FileNotFoundError:
            write_durably(path, data)
            return
        try:
            write_all(descriptor, data, 0)
            if os.fstat(descriptor).st_size > len(data):
                os.ftruncate(descriptor, len(data))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
