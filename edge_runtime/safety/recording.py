"""Recordings of the black box as files: written, read, and refused when they are not what they say.

Guarantees: whatever the bytes are, reading ends in a `Recording` or in a `RecordingError` that names the fault; no size
is believed before it is bounded; a file that was cut off is read up to the cut, and says so. A recording of another
build, whose structs lie differently in memory, is refused by name instead of being misread. Refuses to know: loops,
trips, folders, the kernel's arithmetic. Trusts nothing in a file: the limits in it pass `kernel_config_check` again.

Layout: magic, length and CRC-32 of the header, the header in MessagePack, then blocks: magic, number of records, length
and CRC-32, then the records as they lay in memory, compressed with zlib. All numbers are little-endian.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.errors import RecordingError
from edge_runtime.native import ffi, lib

FORMAT = 2
MAX_RECORDS: int = lib.BLACK_BOX_RECORDS
KIND_TICK: int = lib.BLACK_BOX_TICK
KIND_REQUEST: int = lib.BLACK_BOX_REQUEST
KIND_TIGHTEN: int = lib.BLACK_BOX_TIGHTEN

_MAGIC = b"EDGE-BBX"
_BLOCK_MAGIC = b"BLCK"
_HEADER_PREFIX = struct.Struct("<8sII")
_BLOCK_PREFIX = struct.Struct("<4sIII")
_BLOCK_RECORDS = 256
_MAX_HEADER_BYTES = 256 << 10
_MAX_FILE_BYTES = 64 << 20
_MAX_TEXT_CHARS = 256
_NUMPY_TYPES = {
    "int64_t": "i8",
    "uint64_t": "u8",
    "int32_t": "i4",
    "uint32_t": "u4",
    "uint8_t": "u1",
    "double": "f8",
}


def _numpy_type(ctype: Any) -> Any:
    if ctype.kind == "array":
        return (_numpy_type(ctype.item), ctype.length)
    if ctype.kind == "struct":
        names, formats, offsets = zip(*((n, _numpy_type(f.type), f.offset) for n, f in ctype.fields), strict=True)
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": ffi.sizeof(ctype)})
    return _NUMPY_TYPES[ctype.cname]


RECORD_DTYPE: np.dtype[np.void] = _numpy_type(ffi.typeof("black_box_record"))
"""One record, with the fields of `black_box_record` in `black_box.h`, nested as there."""


def layout_digest() -> str:
    """SHA-256 (64 hex digits) of how records and limits lie in memory: names, types, offsets, sizes, byte order."""
    lines: list[str] = [sys.byteorder]

    def describe(prefix: str, ctype: Any) -> None:
        lines.append(f"{prefix} {ctype.cname} {ffi.sizeof(ctype)}")
        if ctype.kind == "array":
            describe(f"{prefix}[]", ctype.item)
        elif ctype.kind == "struct":
            for name, field in ctype.fields:
                describe(f"{prefix}.{name}@{field.offset}", field.type)

    for root in ("black_box_record", "kernel_config"):
        describe(root, ffi.typeof(root))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a recording says about itself.

    Attributes:
        layout: `layout_digest()` of the build that wrote it.
        runtime_version: of that build, for people.
        cause: "trip", "operator", or "error": control ended with one.
        reasons: names of the faults that tripped, or of the error.
        trigger_seq: record of the tick that tripped, or the newest one when the recording was asked for.
        n_records: how many a whole file has.
        safety_digest, bundle_digest: of the robot's limits and of the policy's bundle.
        units: of the axes' values; empty where nobody said.
        limits: the scalars and vectors of `kernel_config`, for people; what counts is `kernel_config`.
        kernel_config: the C struct as it lay in memory.
    """

    format: int
    layout: str
    runtime_version: str
    robot: str
    axis_names: tuple[str, ...]
    written_utc: str
    cause: str
    reasons: tuple[str, ...]
    trigger_seq: int
    n_records: int
    safety_digest: str
    bundle_digest: str | None
    limits: dict[str, float | tuple[float, ...]]
    kernel_config: bytes
    units: tuple[str, ...] = ()


class _Identity(msgspec.Struct, frozen=True):
    """The part of every header, of whatever format, that says whether the rest can be read."""

    format: int
    layout: str
    runtime_version: str = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording that can be replayed.

    Attributes:
        records: `RECORD_DTYPE`, oldest first, `seq` strictly rising, read-only.
        torn: why records are missing at the end; empty for a whole file.
    """

    header: Header
    records: NDArray[np.void]
    torn: str = ""

    def native_config(self) -> Any:
        """A new `kernel_config *`, owned by the caller."""
        config = ffi.new("kernel_config *")
        ffi.memmove(config, self.header.kernel_config, ffi.sizeof("kernel_config"))
        return config


def readable_limits(config: Any) -> dict[str, float | tuple[float, ...]]:
    """The scalars of a `kernel_config *`, and its vectors: those of axes cut to the robot's, those of tools whole."""
    limits: dict[str, float | tuple[float, ...]] = {}
    for name, field in ffi.typeof("kernel_config").fields:
        value = getattr(config, name)
        if field.type.kind == "primitive":
            limits[name] = value
        elif field.type.kind == "array" and field.type.item.cname == "double":
            is_of_axes = field.type.length == lib.KERNEL_MAX_AXES
            limits[name] = tuple(value[0 : config.n_axes] if is_of_axes else value)
    return limits


def encode(header: Header, records: NDArray[np.void]) -> Iterator[bytes]:
    """The file, in pieces of at most a few hundred kilobytes."""
    packed = msgspec.msgpack.encode(header)
    yield _HEADER_PREFIX.pack(_MAGIC, len(packed), zlib.crc32(packed)) + packed
    for first in range(0, len(records), _BLOCK_RECORDS):
        block = records[first : first + _BLOCK_RECORDS]
        payload = zlib.compress(block.tobytes(), 1)
        yield _BLOCK_PREFIX.pack(_BLOCK_MAGIC, len(block), len(payload), zlib.crc32(payload)) + payload


def read_recording(path: Path) -> Recording:
    """Read a file of the black box.

    Raises:
        RecordingError: it cannot be read, is none, is of another build, or contradicts itself.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise RecordingError(str(path), error.strerror or str(error)) from error
    return decode(data)


def decode(data: bytes) -> Recording:
    """A file's bytes as a recording.

    Raises:
        RecordingError: names the part at fault.
    """
    if len(data) > _MAX_FILE_BYTES:
        raise RecordingError("file", f"larger than {_MAX_FILE_BYTES >> 20} MiB")
    header, offset = _decode_header(data)
    records, torn = _decode_blocks(data, offset, header.n_records)
    recording = Recording(header, records, torn)
    _require_sane(recording)
    return recording


def _decode_header(data: bytes) -> tuple[Header, int]:
    if data[: len(_MAGIC)] != _MAGIC:
        raise RecordingError("file", "not a recording of the black box")
    if len(data) < _HEADER_PREFIX.size:
        raise RecordingError("header", "cut off")
    _, size, crc = _HEADER_PREFIX.unpack_from(data)
    if size > _MAX_HEADER_BYTES:
        raise RecordingError("header", f"larger than {_MAX_HEADER_BYTES >> 10} KiB")
    end = _HEADER_PREFIX.size + size
    packed = data[_HEADER_PREFIX.size : end]
    if len(packed) < size:
        raise RecordingError("header", "cut off")
    if zlib.crc32(packed) != crc:
        raise RecordingError("header", "altered: its checksum does not fit")
    try:
        identity = msgspec.msgpack.decode(packed, type=_Identity)
        if identity.format != FORMAT:
            raise RecordingError("format", f"{identity.format} is not {FORMAT}, the one that this version reads")
        if identity.layout != layout_digest():
            problem = (
                f"written by another build ({identity.runtime_version}), whose records lie differently in memory: "
                f"{identity.layout[:12]} instead of {layout_digest()[:12]}; replay it with that build"
            )
            raise RecordingError("layout", problem)
        return msgspec.msgpack.decode(packed, type=Header), end
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordingError("header", str(error)) from error


def _decode_blocks(data: bytes, offset: int, expected: int) -> tuple[NDArray[np.void], str]:
    if not 1 <= expected <= MAX_RECORDS:
        raise RecordingError("n_records", f"must lie between 1 and {MAX_RECORDS}, is {expected}")
    parts: list[bytes] = []
    n_read, torn = 0, ""
    while n_read < expected:
        block, offset, problem = _decode_block(data, offset, expected - n_read)
        if problem:
            torn = f"{problem}; {n_read} of {expected} records can be read"
            break
        parts.append(block)
        n_read += len(block) // RECORD_DTYPE.itemsize
    if not torn and offset != len(data):
        raise RecordingError("file", f"{len(data) - offset} bytes follow the last block")
    if n_read == 0:
        raise RecordingError("records", torn)
    return np.frombuffer(b"".join(parts), dtype=RECORD_DTYPE), torn


def _decode_block(data: bytes, offset: int, left: int) -> tuple[bytes, int, str]:
    """The raw records, where the next block starts, and what is wrong with this one."""
    start = offset + _BLOCK_PREFIX.size
    if start > len(data):
        return b"", offset, "the file ends too early"
    magic, n_records, size, crc = _BLOCK_PREFIX.unpack_from(data, offset)
    payload = data[start : start + size]
    if len(payload) < size:
        return b"", offset, "the file ends too early"
    if magic != _BLOCK_MAGIC or zlib.crc32(payload) != crc:
        return b"", offset, "a block is altered: its checksum does not fit"
    if not 1 <= n_records <= min(left, _BLOCK_RECORDS):
        raise RecordingError("block", f"claims {n_records} records where 1 to {min(left, _BLOCK_RECORDS)} may follow")
    wanted = n_records * RECORD_DTYPE.itemsize
    inflate = zlib.decompressobj()
    try:
        block = inflate.decompress(payload, wanted)
    except zlib.error as error:
        raise RecordingError("block", f"cannot be decompressed: {error}") from error
    if len(block) != wanted or inflate.unconsumed_tail or inflate.unused_data:
        raise RecordingError("block", f"holds something other than {n_records} records")
    return block, start + size, ""


def _require_sane(recording: Recording) -> None:
    """The kernel trusts its config and its own state: neither may come from a file unseen."""
    header, records = recording.header, recording.records
    if len(header.kernel_config) != ffi.sizeof("kernel_config"):
        raise RecordingError("kernel_config", f"{len(header.kernel_config)} bytes")
    config = recording.native_config()
    error = lib.kernel_config_check(config, ffi.new("uint32_t *"))
    if error != lib.KERNEL_CONFIG_OK:
        name = ffi.typeof("kernel_config_error").elements[error]
        raise RecordingError("kernel_config", f"{name.removeprefix('KERNEL_CONFIG_').lower()} is not possible")
    texts = (header.robot, header.runtime_version, header.written_utc, header.cause, header.safety_digest)
    for text in (*texts, header.bundle_digest or "", *header.reasons, *header.axis_names):
        if len(text) > _MAX_TEXT_CHARS or not text.isprintable():
            raise RecordingError("header", f"holds text that cannot be shown: {text[:20]!r}")
    if len(header.axis_names) != config.n_axes:
        raise RecordingError("axis_names", f"{len(header.axis_names)} names for {config.n_axes} axes")
    seq = records["seq"]
    if seq[0] == 0 or not (seq[1:] > seq[:-1]).all():
        raise RecordingError("records", "their numbers do not rise")
    if not np.isin(records["kind"], (KIND_TICK, KIND_REQUEST, KIND_TIGHTEN)).all():
        raise RecordingError("records", "one is neither tick nor request nor tightening")
    before = records["before"]
    if (before["state"] >= lib.KERNEL_STATE_COUNT).any():
        raise RecordingError("records", "one starts from a state that does not exist")
    for name in before.dtype.names or ():
        values = before[name]
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise RecordingError("records", f"{name} of a kernel state is not finite")
    if (records["verdict"]["state"] >= lib.KERNEL_STATE_COUNT).any():
        raise RecordingError("records", "one ends in a state that does not exist")
