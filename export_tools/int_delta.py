"""Codes a blob for its pack: plain, compressed, or as the integer difference from a blob of the release before.

What comes out here is decoded by `edge_runtime/ota/delta.py`, whose first lines describe the format.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import zstandard

from contracts.release import DELTA_BLOCK_BYTES

ZSTD_LEVEL = 3


def compressed(data: bytes) -> tuple[Literal["none", "zstd"], bytes]:
    """`data` as one zstd frame, or as it is where that is no longer."""
    frame = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(data)
    return ("zstd", frame) if len(frame) < len(data) else ("none", data)


def encode_delta(data: bytes, base: bytes, element_bytes: Literal[1, 2, 4]) -> bytes:
    """What leads from `base` to `data`, both of the same size and of whole elements."""
    if len(data) != len(base) or len(data) % element_bytes:
        raise ValueError(f"no delta of {element_bytes}-byte elements from {len(base)} to {len(data)} bytes")
    unsigned = np.dtype(f"<u{element_bytes}")
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj(size=len(data))
    frame = []
    for start in range(0, len(data), DELTA_BLOCK_BYTES):
        count = min(DELTA_BLOCK_BYTES, len(data) - start) // element_bytes
        new = np.frombuffer(data, dtype=unsigned, count=count, offset=start)
        old = np.frombuffer(base, dtype=unsigned, count=count, offset=start)
        difference = new - old
        sign = np.negative(difference >> unsigned.type(8 * element_bytes - 1))
        zigzag = ((difference << unsigned.type(1)) ^ sign).astype(unsigned)
        planes = zigzag.view(np.uint8).reshape(count, element_bytes).T
        frame.append(compressor.compress(planes.tobytes()))
    frame.append(compressor.flush())
    return b"".join(frame)
