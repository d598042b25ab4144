"""The graphs give the chunk itself."""

from __future__ import annotations

import numpy as np

from edge_runtime.contracts.manifest import RegressionDecoder
from edge_runtime.policies.decoders.seam import Float32, Progress, Tensors


class RegressionDecoding:
    """See `decoders.seam.Decoding`."""

    steps = 0

    def __init__(self, decoder: RegressionDecoder) -> None:
        self._actions = decoder.actions

    def decode(
        self,
        pool: Tensors,
        chunk_sequence: int,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
        begins_with: Float32 | None = None,  # noqa: ARG002
    ) -> Float32:
        """See `Decoding.decode`. Nothing is drawn, and there is no step."""
        return pool[self._actions].astype(np.float32, copy=False)

    def try_step(self, pool: Tensors) -> None:
        """See `Decoding.try_step`: there is none."""
