"""Flow matching on the host: Euler steps from noise (t = 0) to an action (t = 1). Pure.

The step count stays a choice of the bundle instead of being baked into a graph, and one step is one call of the
velocity graph.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import FlowSampler

Float32 = NDArray[np.float32]


def initial_noise(sampler: FlowSampler, chunk_sequence: int, shape: tuple[int, ...]) -> Float32:
    """Standard normal noise for chunk `chunk_sequence` (counted from 0), read-only; the same for the same chunk."""
    return _noise(sampler.noise_seed if sampler.fixed_noise else sampler.noise_seed + chunk_sequence, shape)


@lru_cache(maxsize=1)
def _noise(seed: int, shape: tuple[int, ...]) -> Float32:
    noise = np.random.Generator(np.random.Philox(seed)).standard_normal(shape, dtype=np.float32)
    noise.flags.writeable = False
    return noise


def integrate_flow(velocity: Callable[[Float32, float], Float32], noise: Float32, steps: int) -> Float32:
    """``x += velocity(x, k / steps) / steps`` for k = 0 … steps - 1, from `noise`, which is not altered.

    Source: Lipman et al., Flow Matching for Generative Modeling, 2022, with t running from noise to data.
    """
    x: Float32 = noise.copy()
    for step in range(steps):
        x += velocity(x, step / steps) * np.float32(1.0 / steps)
    return x
