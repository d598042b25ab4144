"""Codes a blob for its pack: plain, compressed, or as the integer difference from a blob of the release before.

What comes out here is decoded by `edge_runtime/releases/delta.py`, whose first lines describe the format.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import zstandard

from edge_runtime.contracts.release import DELTA_BLOCK_BYTES

ZSTD_LEVEL = 3


def compressed(data: bytes) -> tuple[Literal["none", "zstd"], bytes]:
    """`data` as one zstd frame, or as it is where that is no longer."""
    frame = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(data)
    return ("zstd", frame) if len(frame) < len(data) else ("none", data)


def encode_delta(data: bytes, base: bytes, element_bytes: Literal[1, 2, 4]) -> bytes:
    """What leads from `base` to `data`, both of the same size."""
    if len(data) != len(base):
        raise ValueError(f"no delta leads from {len(base)} to {len(data)} bytes")
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj(size=len(data))
    over = len(data) % element_bytes
    frame = [compressor.compress(_planes(data[:over], base[:over], 1))]
    for start in range(over, len(data), DELTA_BLOCK_BYTES):
        block = slice(start, start + DELTA_BLOCK_BYTES)
        frame.append(compressor.compress(_planes(data[block], base[block], element_bytes)))
    frame.append(compressor.flush())
    return b"".join(frame)


def _planes(data: bytes, base: bytes, element_bytes: int) -> bytes:
    unsigned = np.dtype(f"<u{element_bytes}")
    difference = np.frombuffer(data, dtype=unsigned) - np.frombuffer(base, dtype=unsigned)
    sign = np.negative(difference >> unsigned.type(8 * element_bytes - 1))
    zigzag = ((difference << unsigned.type(1)) ^ sign).astype(unsigned)
    planes: bytes = zigzag.view(np.uint8).reshape(-1, element_bytes).T.tobytes()
    return planes
