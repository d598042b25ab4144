"""Finds where the tensors lie in an ONNX or safetensors file, without reading their values.

Guarantees: ranges that come back lie inside their file, in order, and never overlap, whatever the bytes say; a file
that is not what its name says has no tensors here. What is packed is exact with any ranges: good ones make updates
small, nothing more.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Protocol

import msgspec

# Below this a tensor stays with the bytes around it: an entry in the release would cost more than it saves.
MIN_TENSOR_BYTES = 16 << 10
_MAX_SAFETENSORS_HEADER_BYTES = 100_000_000
_READ_BYTES = 4096
# A name or a number that is longer than this is none.
_MAX_TEXT_BYTES = 4096


ElementBytes = Literal[1, 2, 4]


class Reader(Protocol):
    """A file read by ranges."""

    @property
    def size_bytes(self) -> int: ...

    def read_at(self, offset: int, count: int) -> bytes:
        """From one byte up to `count` of them from `offset`; nothing only at the end of the file."""
        ...


class FileReader:
    """A file of this machine."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self.size_bytes = os.fstat(self._file.fileno()).st_size

    def read_at(self, offset: int, count: int) -> bytes:
        return os.pread(self._file.fileno(), count, offset)

    def __enter__(self) -> FileReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


@dataclass(frozen=True)
class TensorRange:
    """The values of tensor `name`: `size_bytes` from `offset`, in elements of `element_bytes` (1, 2 or 4)."""

    name: str
    offset: int
    size_bytes: int
    element_bytes: ElementBytes


class _MalformedError(Exception):
    pass


def find_tensors(
    sizes_bytes: Mapping[str, int], open_file: Callable[[str], AbstractContextManager[Reader]]
) -> dict[str, list[TensorRange]]:
    """The tensors in each file of a bundle, by path; files without any are left out."""
    found: dict[str, list[TensorRange]] = {}
    for path in sizes_bytes:
        if path.endswith(".safetensors"):
            with open_file(path) as reader:
                found.setdefault(path, []).extend(safetensors_ranges(reader))
        elif path.endswith(".onnx"):
            with open_file(path) as reader:
                inside, beside = onnx_ranges(reader)
            found.setdefault(path, []).extend(inside)
            for location, ranges in beside.items():
                found.setdefault(posixpath.normpath(posixpath.join(posixpath.dirname(path), location)), []).extend(
                    ranges
                )
    return {path: usable(found[path], sizes_bytes[path]) for path in sizes_bytes if found.get(path)}


def usable(ranges: list[TensorRange], size_bytes: int) -> list[TensorRange]:
    """Of `ranges`, those that lie inside a file of `size_bytes` and are worth an entry; in order, none overlapping."""
    kept: list[TensorRange] = []
    done = 0
    for found in sorted(ranges, key=lambda r: (r.offset, r.size_bytes)):
        if found.size_bytes >= MIN_TENSOR_BYTES and done <= found.offset <= size_bytes - found.size_bytes:
            kept.append(found)
            done = found.offset + found.size_bytes
    return kept


def safetensors_ranges(reader: Reader) -> list[TensorRange]:
    """The tensors that a safetensors file says it has."""
    prefix = _read(reader, 0, 8) if reader.size_bytes >= 8 else b""
    header_bytes = int.from_bytes(prefix, "little")
    if not 2 <= header_bytes <= min(_MAX_SAFETENSORS_HEADER_BYTES, reader.size_bytes - 8):
        return []
    try:
        header = msgspec.json.decode(_read(reader, 8, header_bytes), type=dict[str, dict[str, object]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
    ranges = []
    for name, entry in header.items():
        match entry.get("data_offsets"), entry.get("dtype"):
            case [int(start), int(end)], str(dtype):
                width = _SAFETENSORS_WIDTHS.get(dtype, 1)
                ranges.append(TensorRange(name, 8 + header_bytes + start, end - start, width))
    return ranges


def onnx_ranges(reader: Reader) -> tuple[list[TensorRange], dict[str, list[TensorRange]]]:
    """The tensors that an ONNX file says it has inside, and those in files beside it, by the name of that file."""
    inside: list[TensorRange] = []
    beside: dict[str, list[TensorRange]] = {}
    try:
        for found in _onnx_tensors(_Cursor(reader)):
            if found.location is None:
                inside.append(found.range)
            else:
                beside.setdefault(found.location, []).append(found.range)
    except _MalformedError:
        return [], {}
    return inside, beside


def _read(reader: Reader, offset: int, count: int) -> bytes:
    parts = []
    while count > 0:
        part = reader.read_at(offset, count)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        count -= len(part)
    return b"".join(parts)


# The ONNX format, as far as it is needed: field numbers of onnx.proto3.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_ATTRIBUTE, _ATTRIBUTE_TENSOR = 5, 5
_TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_EXTERNAL = 2, 8, 9, 13
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
# Width in bytes by TensorProto.DataType; eight bytes count as two of four, all that is not listed as bytes.
_ONNX_WIDTHS: dict[int, ElementBytes] = {1: 4, 4: 2, 5: 2, 6: 4, 7: 4, 10: 2, 11: 4, 12: 4, 13: 4, 16: 2}
_SAFETENSORS_WIDTHS: dict[str, ElementBytes] = {
    "F64": 4,
    "I64": 4,
    "U64": 4,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
}


@dataclass(frozen=True)
class _Found:
    range: TensorRange
    location: str | None


class _Field(NamedTuple):
    number: int
    value: int | None
    start: int = 0
    end: int = 0


class _Cursor:
    """Reads protobuf fields of a file, a few bytes at a time; what is skipped is never read."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._start = 0
        self._buffer = b""
        self.size_bytes = reader.size_bytes

    def fields(self, start: int, end: int) -> Iterator[_Field]:
        """The integers and the byte strings between `start` and `end`; other fields are stepped over."""
        while start < end:
            tag, start = self._varint(start, end)
            number, wire = tag >> 3, tag & 7
            if wire == 0:
                value, start = self._varint(start, end)
                yield _Field(number, value)
            elif wire == 2:
                count, start = self._varint(start, end)
                if count > end - start:
                    raise _MalformedError
                yield _Field(number, None, start, start + count)
                start += count
            elif wire in (1, 5):
                start += 8 if wire == 1 else 4
            else:
                raise _MalformedError
        if start != end:
            raise _MalformedError

    def text(self, field: _Field) -> str:
        if field.end - field.start > _MAX_TEXT_BYTES:
            raise _MalformedError
        return _read(self._reader, field.start, field.end - field.start).decode("utf-8", "replace")

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 64:
            byte = self._byte(at)
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += 7
        raise _MalformedError

    def _byte(self, at: int) -> int:
        if not self._start <= at < self._start + len(self._buffer):
            self._start, self._buffer = at, self._reader.read_at(at, _READ_BYTES)
            if not self._buffer:
                raise _MalformedError
        return self._buffer[at - self._start]


def _onnx_tensors(cursor: _Cursor) -> Iterator[_Found]:
    for graph in _each(cursor, 0, cursor.size_bytes, _MODEL_GRAPH):
        for field in cursor.fields(graph.start, graph.end):
            if field.number == _GRAPH_INITIALIZER:
                yield from _onnx_tensor(cursor, field)
            elif field.number == _GRAPH_NODE:
                for attribute in _each(cursor, field.start, field.end, _NODE_ATTRIBUTE):
                    for tensor in _each(cursor, attribute.start, attribute.end, _ATTRIBUTE_TENSOR):
                        yield from _onnx_tensor(cursor, tensor)


def _each(cursor: _Cursor, start: int, end: int, wanted: int) -> Iterator[_Field]:
    return (field for field in cursor.fields(start, end) if field.number == wanted and field.value is None)


def _onnx_tensor(cursor: _Cursor, tensor: _Field) -> Iterator[_Found]:
    name = ""
    width: ElementBytes = 1
    raw: _Field | None = None
    entries: dict[str, str] = {}
    for field in cursor.fields(tensor.start, tensor.end):
        if field.number == _TENSOR_TYPE:
            width = _ONNX_WIDTHS.get(field.value or 0, 1)
        elif field.number == _TENSOR_NAME:
            name = cursor.text(field)
        elif field.number == _TENSOR_RAW:
            raw = field
        elif field.number == _TENSOR_EXTERNAL:
            entry = {part.number: cursor.text(part) for part in cursor.fields(field.start, field.end)}
            entries[entry.get(_ENTRY_KEY, "")] = entry.get(_ENTRY_VALUE, "")
    if "location" in entries:
        offset, length = entries.get("offset", "0"), entries.get("length", "")
        # A number of more digits than any file has bytes is none, and int() has a limit of its own.
        if re.fullmatch("[0-9]{1,15}", offset) and re.fullmatch("[0-9]{1,15}", length):
            yield _Found(TensorRange(name, int(offset), int(length), width), entries["location"])
    elif raw is not None:
        yield _Found(TensorRange(name, raw.start, raw.end - raw.start, width), None)
