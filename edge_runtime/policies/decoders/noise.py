"""Where flow and diffusion begin."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import DiffusionDecoder, FlowDecoder

Float32 = NDArray[np.float32]


def initial_noise(decoder: FlowDecoder | DiffusionDecoder, chunk_sequence: int, shape: tuple[int, ...]) -> Float32:
    """Standard normal noise for chunk `chunk_sequence` (counted from 0), read-only; the same for the same chunk."""
    return _noise(decoder.noise_seed if decoder.fixed_noise else decoder.noise_seed + chunk_sequence, shape)


@lru_cache(maxsize=1)
def _noise(seed: int, shape: tuple[int, ...]) -> Float32:
    noise = np.random.Generator(np.random.Philox(seed)).standard_normal(shape, dtype=np.float32)
    noise.flags.writeable = False
    return noise
