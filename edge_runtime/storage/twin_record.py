"""A small record in two copies, of which a power cut spoils one at most.

Guarantees: a record that was written once has at any instant one copy whose checksum is right, and is rewritten in
place: neither a full disk nor a folder that cannot be extended keeps it from changing. Refuses to know what the record
means. Trusts the disk as `durable.py` does.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from edge_runtime.contracts.errors import StorageError, StorageFault
from edge_runtime.storage.durable import replace_in_place, write_all
from edge_runtime.storage.faults import storage_errors

FORMAT_VERSION = 1
COPY_BYTES = 4096
"""Size of each copy of a record: one block of most disks, allocated once and for all."""

Body = TypeVar("Body", bound=msgspec.Struct)


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
        self._path = path
        self._paths = (path.with_name(path.name + ".a"), path.with_name(path.name + ".b"))
        self._kind = kind
        self._name = kind.__name__.lower()

    def read(self) -> Body | None:
        """The newest body, or None if there never was one.

        Raises:
            StorageError: `DAMAGED`: there are copies, and none can be read and is right. Another fault: the disk does
                not say whether there are.
        """
        copies = [self._read_copy(path) for path in self._paths]
        newest = max((copy for copy in copies if copy is not None), key=lambda copy: copy.step, default=None)
        if newest is not None:
            return self._decode(newest)
        with storage_errors(self._path):
            is_there = any(path.exists() for path in self._paths)
        if is_there:
            raise self._damaged("neither of its two copies is whole")
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
            StorageError: no copy could be replaced for sure. What `read` returns is the truth: the old body, or the
                new one where the disk took it and then failed to say so.
            ValueError: the body does not fit a copy.
        """
        copies = [self._read_copy(path) for path in self._paths]
        steps = [-1 if copy is None else copy.step for copy in copies]
        data = self._encode(body, max(steps) + 1)
        first = 0 if steps[0] <= steps[1] else 1
        self._write_copy(self._paths[first], data)
        try:
            self._write_copy(self._paths[1 - first], data)
        except StorageError:
            return

    def mend(self) -> None:
        """Bring both copies to the same state, where one is older, torn or gone.

        Raises:
            StorageError: as `read` and `write`.
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
            raise self._damaged(f"has format {envelope.format_version}, this software reads {FORMAT_VERSION}")
        try:
            return msgspec.json.decode(envelope.body, type=self._kind)
        except msgspec.MsgspecError as error:
            raise self._damaged(f"is no {self._name}: {error}") from error

    def _damaged(self, reason: str) -> StorageError:
        return StorageError(StorageFault.DAMAGED, self._path, reason)

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
        with storage_errors(path):
            try:
                descriptor = os.open(path, os.O_WRONLY)
            except FileNotFoundError:
                replace_in_place(path, data)
                return
            try:
                write_all(descriptor, data, 0)
                if os.fstat(descriptor).st_size > len(data):
                    os.ftruncate(descriptor, len(data))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
