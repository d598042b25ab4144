"""Splits files into the pieces that travel: one per tensor, parts of big tensors, content-defined chunks of the rest.

Guarantees: the pieces of a file, one after the other, are the file; no piece has more than `MAX_BLOB_BYTES`; the same
content is cut the same way wherever it lies, so that what did not change is not sent again. Memory does not grow with
the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.release import MAX_BLOB_BYTES
from edge_runtime.releases.tensor_files import ElementBytes, Reader, TensorRange

# Chunks of 64 KiB on average; of 1 MiB in files whose small chunks would be too many for one release.
_SMALL_CUTS, _LARGE_CUTS = 16, 20
_LARGE_FILE_BYTES = 512 << 20
# The rolling hash sees this many bytes: as many as the hash has bits, older ones are shifted out.
_HASH_BYTES = 32
# Fewer bytes than this before a tensor are no blob of their own: its entry in the release would cost as much.
_LEAD_BYTES = 4 << 10
_HASH_STEP_BYTES = 256 << 10
_WINDOW_BYTES = 16 << 20


@dataclass(frozen=True)
class Piece:
    """`data` lies at `offset` of its file; `tensor` and `part` name it across releases, if it is of a tensor.

    Elements are counted from its end.
    """

    offset: int
    data: bytes
    tensor: str = ""
    part: int = 0
    element_bytes: ElementBytes = 1


def split(reader: Reader, tensors: Sequence[TensorRange]) -> Iterator[Piece]:
    """All pieces of the file in order. `tensors` are sorted, inside the file and do not overlap."""
    cuts = _SMALL_CUTS if reader.size_bytes <= _LARGE_FILE_BYTES else _LARGE_CUTS
    done = 0
    for part in tensor_parts(tensors):
        yield from _chunks(reader, done, part.offset, cuts)
        data = _exactly(reader, part.offset, part.size_bytes)
        yield Piece(part.offset, data, part.tensor.name, part.number, part.tensor.element_bytes)
        done = part.offset + part.size_bytes
    yield from _chunks(reader, done, reader.size_bytes, cuts)


class TensorPart(NamedTuple):
    """A piece that ends where `tensor`, or its part `number`, ends."""

    tensor: TensorRange
    number: int
    offset: int
    size_bytes: int


def tensor_parts(tensors: Sequence[TensorRange]) -> Iterator[TensorPart]:
    """Where the pieces of tensors lie: cut at fixed offsets inside a tensor that is too large for one.

    The few bytes between a tensor and the one before it (its name, its shape) belong to its piece.
    """
    done = 0
    for tensor in tensors:
        end = tensor.offset + tensor.size_bytes
        if tensor.offset - done <= _LEAD_BYTES and end - done <= MAX_BLOB_BYTES:
            yield TensorPart(tensor, 0, done, end - done)
        else:
            for number, offset in enumerate(range(tensor.offset, end, MAX_BLOB_BYTES)):
                yield TensorPart(tensor, number, offset, min(MAX_BLOB_BYTES, end - offset))
        done = end


def _chunks(reader: Reader, start: int, end: int, cuts: int) -> Iterator[Piece]:
    shortest, longest = 1 << (cuts - 2), 1 << (cuts + 2)
    while start < end:
        window = _exactly(reader, start, min(_WINDOW_BYTES, end - start))
        ends = _hash_ends(window, cuts)
        last_window = start + len(window) == end
        done = 0
        # A chunk is cut only where its whole reach is in view, so that windows leave no trace in the result.
        while done < len(window) and (last_window or len(window) - done >= longest):
            at = int(np.searchsorted(ends, done + shortest))
            cut = min(done + longest, len(window))
            if at < len(ends):
                cut = min(cut, int(ends[at]))
            yield Piece(start + done, window[done:cut])
            done = cut
        start += done


def _gear() -> NDArray[np.uint32]:
    numbers = [int.from_bytes(hashlib.sha256(bytes([value])).digest()[:4], "little") for value in range(256)]
    return np.array(numbers, dtype=np.uint32)


_GEAR = _gear()


def _hash_ends(data: bytes, cuts: int) -> NDArray[np.int64]:
    """Where a chunk may end: after each byte at which the top `cuts` bits of the rolling hash are zero."""
    values = np.frombuffer(data, dtype=np.uint8)
    limit = np.uint32(1 << (32 - cuts))
    found = []
    for first in range(0, len(values), _HASH_STEP_BYTES):
        before = max(0, first - _HASH_BYTES + 1)
        rolled = _GEAR[values[before : first + _HASH_STEP_BYTES]]
        # Sum of gear << age over the last 32 bytes, by doubling the span five times.
        span = 1
        while span < _HASH_BYTES:
            rolled[span:] += rolled[:-span] << np.uint32(span)
            span *= 2
        ends = np.flatnonzero(rolled < limit) + before + 1
        found.append(ends[ends > first])
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _exactly(reader: Reader, offset: int, count: int) -> bytes:
    data = reader.read_at(offset, count)
    while len(data) < count:
        part = reader.read_at(offset + len(data), count - len(data))
        if not part:
            raise EOFError(f"the file ended {count - len(data)} bytes early: it changed while it was read")
        data += part
    return data
