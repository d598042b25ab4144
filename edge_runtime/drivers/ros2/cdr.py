"""Messages as bytes, in the CDR that ROS 2 speaks: XCDR version 1, plain, either byte order (OMG DDSI-RTPS 10,
DDS-XTypes 7.4.1). Refuses what is cut off, or of another encoding; trusts no length that it reads.
"""

from __future__ import annotations

import struct
from typing import Any, TypeVar

import numpy as np

from edge_runtime.drivers.ros2.layout import Field, layout_of
from edge_runtime.drivers.ros2.messages import Message

M = TypeVar("M", bound=Message)

_HEADER_BYTES = 4
_BIG, _LITTLE = b"\x00\x00", b"\x00\x01"
_CODES = {"int32": "i", "uint32": "I", "uint8": "B", "float64": "d"}
_SIZES = {"int32": 4, "uint32": 4, "uint8": 1, "float64": 8}


class CdrError(ValueError):
    """These bytes are not such a message."""


def encode(message: Message) -> bytes:
    """`message`, little-endian, with the header that says so."""
    out = bytearray()
    _write(message, out)
    return _LITTLE + b"\0\0" + bytes(out)


def decode(kind: type[M], data: bytes) -> M:
    """A message of `kind`.

    Raises:
        CdrError: it is not one.
    """
    if data[:2] not in (_BIG, _LITTLE):
        raise CdrError(f"{kind.ros_type}: encapsulation {data[:2].hex()!r}, expected plain CDR, 0000 or 0001")
    reader = _Reader(memoryview(data)[_HEADER_BYTES:], "<" if data[:2] == _LITTLE else ">")
    try:
        return reader.message(kind)
    except (struct.error, UnicodeDecodeError) as error:
        raise CdrError(f"{kind.ros_type}: {error}") from error


def _pad(out: bytearray, size: int) -> None:
    out += b"\0" * (-len(out) % size)


def _write(message: Message, out: bytearray) -> None:
    for field in layout_of(type(message)):
        value = getattr(message, field.name)
        if field.count is None:
            _write_one(field.base, value, out)
        else:
            _write_many(field, value, out)


def _write_one(base: str | type[Message], value: Any, out: bytearray) -> None:
    if isinstance(base, type):
        _write(value, out)
    elif base == "string":
        raw = value.encode() + b"\0"
        _pad(out, 4)
        out += struct.pack("<I", len(raw)) + raw
    else:
        _pad(out, _SIZES[base])
        out += struct.pack("<" + _CODES[base], value)


def _write_many(field: Field, values: Any, out: bytearray) -> None:
    if field.count == 0:
        _pad(out, 4)
        out += struct.pack("<I", len(values))
    elif len(values) != field.count:
        raise CdrError(f"{field.name} has {len(values)} values, expected {field.count}")
    if isinstance(field.base, str) and field.base in _CODES:
        if len(values):
            _pad(out, _SIZES[field.base])
            out += np.asarray(values, dtype="<" + np.dtype(field.base).str[1:]).tobytes()
        return
    for value in values:
        _write_one(field.base, value, out)


class _Reader:
    def __init__(self, data: memoryview, order: str) -> None:
        self._data, self._order, self._at = data, order, 0

    def message(self, kind: type[M]) -> M:
        values = {}
        for field in layout_of(kind):
            values[field.name] = self._one(field.base) if field.count is None else self._many(field)
        return kind(**values)

    def _one(self, base: str | type[Message]) -> Any:
        if isinstance(base, type):
            return self.message(base)
        if base == "string":
            length = self._one("uint32")
            raw = self._take(length)
            if not length or raw[-1] != 0:
                raise struct.error("a string has no end")
            return bytes(raw[:-1]).decode()
        self._align(_SIZES[base])
        return struct.unpack(self._order + _CODES[base], self._take(_SIZES[base]))[0]

    def _many(self, field: Field) -> Any:
        count = field.count or self._one("uint32")
        if isinstance(field.base, str) and field.base in _CODES:
            size = _SIZES[field.base]
            if count:
                self._align(size)
            kind = np.dtype(field.base).newbyteorder(self._order)  # type: ignore[arg-type]
            return np.frombuffer(self._take(count * size), kind).astype(field.base)
        # Each has a byte at least: more of them than bytes are not there.
        if count > len(self._data) - self._at:
            raise struct.error(f"{field.name}: {count} values in {len(self._data) - self._at} bytes")
        return tuple(self._one(field.base) for _ in range(count))

    def _align(self, size: int) -> None:
        self._at += -self._at % size

    def _take(self, count: int) -> memoryview:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise struct.error(f"cut off after {len(self._data)} bytes")
        self._at += count
        return taken
