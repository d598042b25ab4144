"""Reads a run of a pack forwards, over as many connections as it takes.

Guarantees that what it returns is the pack from an offset on without a byte twice or missing, whatever breaks in
between, as long as the object stays the same: the entity tag of the first answer is asked for in every later one.
Failures of the network are met here; answers that contradict what was asked are for the caller, who starts the blob
anew. Refuses to know blobs. Trusts its gate to end what does not get better.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.transfer.retry import BUDGETS, Budget
from edge_runtime.ota.transfer.transport import Span, TransferError, Transport


class Gate(Protocol):
    """What every request and every received byte passes."""

    def admit(self) -> None:
        """Before a request; raises `OtaError` where none may be made now."""

    def flowed(self, size_bytes: int) -> None:
        """After bytes came; waits or raises as the owner of the robot wants it."""

    def failed(self, error: OtaError) -> None:
        """After a failure; returns when it is time to try again, raises where it is not worth it."""


class PackReader:
    """The bytes of `url` up to `end`. `offset` is where the next read starts."""

    def __init__(self, transport: Transport, url: str, end: int, object_bytes: int, gate: Gate) -> None:
        self.offset = 0
        self._transport = transport
        self._url = url
        self._end = end
        self._object_bytes = object_bytes
        self._gate = gate
        self._entity_tag: str | None = None
        self._open = contextlib.ExitStack()
        self._parts: Iterator[bytes] | None = None
        self._rest = memoryview(b"")

    @property
    def reached(self) -> int:
        """What came so far lies before this offset; the part of it from `offset` on was not read yet."""
        return self.offset + len(self._rest)

    def seek(self, offset: int) -> None:
        """Read on from `offset`. Forwards on an open connection what lies between is read, else it is not."""
        if not 0 <= offset < self._end:
            raise ValueError(f"{offset} is not in a run that ends at {self._end}")
        if self._parts is not None and offset >= self.offset:
            while self.offset < offset:
                self.read(offset - self.offset)
        else:
            self.drop()
            self.offset = offset

    def read(self, count: int) -> bytes:
        """At most `count` bytes, at least one before the end of the run.

        Raises:
            OtaError: what the caller has to judge, or what the gate says.
        """
        while not self._rest:
            if self.offset >= self._end:
                return b""
            try:
                part = self._next()
            except TransferError as error:
                self.drop()
                if BUDGETS.get(error.refusal) is not Budget.MANY:
                    if error.refusal is OtaRefusal.OBJECT_CHANGED:
                        self._entity_tag = None
                    raise
                self._gate.failed(error)
                continue
            self._gate.flowed(len(part))
            if len(part) <= count:
                self.offset += len(part)
                return part
            self._rest = memoryview(part)
        taken = self._rest[:count]
        self._rest = self._rest[count:]
        self.offset += len(taken)
        return taken.tobytes()

    def fill(self, target: memoryview) -> None:
        """As many bytes as `target` has, into it; the run must have that many left."""
        filled = 0
        while filled < len(target):
            part = self.read(len(target) - filled)
            if not part:
                raise ValueError(f"the run ends {len(target) - filled} bytes too early")
            target[filled : filled + len(part)] = part
            filled += len(part)

    def limited(self, end: int) -> Limited:
        """What is left up to `end`, as a file for a decoder, which may read ahead."""
        return Limited(self, end)

    def drop(self) -> None:
        """Let the connection go, and what it brought beyond `offset`."""
        self._rest = memoryview(b"")
        self._parts = None
        self._open.close()

    def close(self) -> None:
        """End the run. A connection that was read to its end is kept for the next one."""
        if self._parts is not None and self.offset >= self._end:
            with contextlib.suppress(TransferError):
                next(self._parts, None)
        self.drop()

    def _next(self) -> bytes:
        if self._parts is None:
            self._gate.admit()
            span = Span(self._url, self.offset, self._end, self._object_bytes, self._entity_tag)
            reply = self._open.enter_context(self._transport.open(span, ceiling_bytes=self._end - self.offset))
            self._entity_tag = reply.entity_tag
            self._parts = iter(reply)
        part = next(self._parts, b"")
        if not part:
            raise TransferError(OtaRefusal.DISCONNECTED, f"{self._url}: nothing after {self.offset}")
        return part


class Limited:
    """A stretch of a `PackReader` that ends."""

    def __init__(self, reader: PackReader, end: int) -> None:
        self._reader = reader
        self._end = end

    def read(self, count: int = -1) -> bytes:
        """At most `count` bytes, none at the end of the stretch."""
        left = self._end - self._reader.offset
        wanted = left if count < 0 else min(count, left)
        return self._reader.read(wanted) if wanted > 0 else b""
