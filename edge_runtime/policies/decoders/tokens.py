"""Actions as tokens: each dimension of each action is the likeliest of equal bins over -1 … 1.

One after the other with a cache, or all at once. Nothing is drawn, so that a chunk can be repeated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import CacheTensor, TokensDecoder
from edge_runtime.policies.decoders.seam import Float32, Progress, Step, Tensors


class TokensDecoding:
    """See `decoders.seam.Decoding`.

    Args:
        step: None: all tokens come at once.
        cache: what a step hands to the next one.
    """

    def __init__(
        self, decoder: TokensDecoder, step: Step | None, cache: tuple[CacheTensor, ...], chunk_shape: tuple[int, ...]
    ) -> None:
        self._decoder, self._step, self._cache, self._chunk_shape = decoder, step, cache, chunk_shape
        self._count = int(np.prod(chunk_shape))
        self.steps = 0 if step is None else self._count - 1

    def decode(
        self,
        pool: Tensors,
        chunk_sequence: int,  # noqa: ARG002
        progress: Progress,
        begins_with: Float32 | None = None,  # noqa: ARG002
    ) -> Float32:
        """See `Decoding.decode`."""
        decoder = self._decoder
        if self._step is None:
            bins = self._bins(pool[decoder.logits][0, -self._count :])
        else:
            bins, fed = self._bins(pool[decoder.logits][0, -1:]), dict(pool)
            for done in range(1, self._count):
                progress(done / self._count)
                bins = np.append(bins, self._bins(self._next(fed, int(bins[-1]))[0, -1:]))
        return self._values(bins).reshape(self._chunk_shape)

    def try_step(self, pool: Tensors) -> None:
        """See `Decoding.try_step`."""
        if self._step is not None:
            self._next(dict(pool), 0)

    def _next(self, fed: Tensors, bin_number: int) -> NDArray[Any]:
        """Logits of the token after that of `bin_number`; what `fed` has of the cache becomes the step's own."""
        decoder, step = self._decoder, self._step
        assert step is not None
        assert decoder.token is not None
        fed[decoder.token] = np.array([[decoder.first_token + self._place(bin_number)]], dtype=np.int64)
        outputs = step(fed)
        for tensor in self._cache:
            fed[tensor.input] = outputs[tensor.output]
        return outputs[decoder.logits]

    def _bins(self, logits: NDArray[Any]) -> NDArray[np.int64]:
        """The likeliest bin of each row, 0 the lowest value."""
        first = self._decoder.first_token
        places: NDArray[np.int64] = np.argmax(logits[:, first : first + self._decoder.bins], axis=1)
        return self._decoder.bins - 1 - places if self._decoder.highest_first else places

    def _place(self, bin_number: int) -> int:
        return self._decoder.bins - 1 - bin_number if self._decoder.highest_first else bin_number

    def _values(self, bins: NDArray[np.int64]) -> Float32:
        """The middle of each bin."""
        return ((bins + 0.5) * (2.0 / self._decoder.bins) - 1.0).astype(np.float32)
