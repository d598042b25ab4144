"""Turns stored bytes back into a blob: plain, compressed, or as a difference from a blob that the robot holds.

Guarantees: never more bytes than the release says the blob has, memory that does not grow with it, and an `OtaError`
for whatever cannot be decoded. Refuses to know whether the result is right: a decoder can be led to any bytes, so the
caller compares them with the blob's SHA-256 and, after a delta, fetches the plain blob when they differ.

A delta is a zstd frame of as many bytes as the blob: blob and base are seen as little-endian integers of
`element_bytes`, each difference (modulo the integer's range) is zigzag-coded, small ones of either sign to small
numbers, and the bytes of the numbers are sorted by significance within blocks of `DELTA_BLOCK_BYTES`. Integers are
counted from the end; the bytes left over at the beginning are a first block, of integers of one byte.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, Literal

import numpy as np
import zstandard

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.release import DELTA_BLOCK_BYTES, MAX_BLOB_BYTES

# Level 3 needs 2 MiB. A frame that asks for more memory than this is refused by the decoder.
_MAX_WINDOW_BYTES = 8 << 20


def decode(stored: bytes | BinaryIO, codec: Literal["none", "zstd"], size_bytes: int) -> Iterator[bytes]:
    """The blob, in parts of at most `DELTA_BLOCK_BYTES`. `stored` has what the pack holds of it and nothing after.

    Raises:
        OtaError: BLOB_MALFORMED if `stored` is no such blob or has another size, BLOB_OVERSIZED if it holds more.
    """
    _require_size(size_bytes)
    source = io.BytesIO(stored) if isinstance(stored, bytes) else stored
    blocks = _blocks(size_bytes, 0)
    return _bounded(source, blocks) if codec == "none" else _inflated(source, blocks)


def decode_delta(
    stored: bytes | BinaryIO, base: BinaryIO, element_bytes: Literal[1, 2, 4], size_bytes: int
) -> Iterator[bytes]:
    """The blob that differs from `base` (of the same size) by `stored`, in parts of at most `DELTA_BLOCK_BYTES`.

    Raises:
        OtaError: as for `decode`, and BLOB_MALFORMED if `base` has too few bytes.
    """
    _require_size(size_bytes)
    source = io.BytesIO(stored) if isinstance(stored, bytes) else stored
    over = size_bytes % element_bytes
    for planes in _inflated(source, _blocks(size_bytes, over)):
        held = _read(base, len(planes))
        if len(held) != len(planes):
            raise OtaError(OtaRefusal.BLOB_MALFORMED, "the base of a delta is shorter than its blob")
        yield _moved(held, planes, 1 if over else element_bytes)
        over = 0


def _moved(held: bytes, planes: bytes, element_bytes: int) -> bytes:
    unsigned = np.dtype(f"<u{element_bytes}")
    by_significance = np.frombuffer(planes, dtype=np.uint8).reshape(element_bytes, -1)
    zigzag = np.ascontiguousarray(by_significance.T).view(unsigned).ravel()
    sign = np.negative(zigzag & unsigned.type(1))
    difference = (zigzag >> unsigned.type(1)) ^ sign
    moved: bytes = (np.frombuffer(held, dtype=unsigned) + difference).astype(unsigned).tobytes()
    return moved


def _require_size(size_bytes: int) -> None:
    if not 1 <= size_bytes <= MAX_BLOB_BYTES:
        raise ValueError(f"a blob has 1 to {MAX_BLOB_BYTES} bytes, not {size_bytes}")


def _blocks(size_bytes: int, first: int) -> Iterator[int]:
    """Sizes of the blocks of a blob, of which the first may be a short one."""
    if first:
        yield first
    for start in range(first, size_bytes, DELTA_BLOCK_BYTES):
        yield min(DELTA_BLOCK_BYTES, size_bytes - start)


def _inflated(source: BinaryIO, blocks: Iterator[int]) -> Iterator[bytes]:
    try:
        with zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).stream_reader(
            source, closefd=False
        ) as reader:
            yield from _bounded(reader, blocks)
    except zstandard.ZstdError as error:
        raise OtaError(OtaRefusal.BLOB_MALFORMED, str(error)) from error


def _bounded(source: BinaryIO, blocks: Iterator[int]) -> Iterator[bytes]:
    done = 0
    for count in blocks:
        part = _read(source, count)
        done += len(part)
        if len(part) < count:
            raise OtaError(OtaRefusal.BLOB_MALFORMED, f"ends after {done} bytes, fewer than were announced")
        yield part
    if source.read(1):
        raise OtaError(OtaRefusal.BLOB_OVERSIZED, f"more than the {done} bytes that were announced")


def _read(source: BinaryIO, count: int) -> bytes:
    parts = []
    while count > 0:
        part = source.read(count)
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
