"""The decoder seam: from what the encoding graphs gave to normalized actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Tensors = dict[str, NDArray[Any]]
Step = Callable[[Tensors], Tensors]
"""Runs the step graph: takes what it asks for out of the tensors that it is given."""

Progress = Callable[[float], None]
"""Told before each step how much is done, 0 to 1; raises an `EngineError` if there is no time for more."""


class Decoding(Protocol):
    """One decoder of one policy.

    Attributes:
        steps: how often it runs the step graph for a chunk; 0: never.
    """

    steps: int

    def decode(
        self, pool: Tensors, chunk_sequence: int, progress: Progress, begins_with: Float32 | None = None
    ) -> Float32:
        """Normalized actions, (1, horizon, width), out of `pool`: all that was fed, and that the graphs gave, by name.

        Args:
            begins_with: (actions, width) normalized, that the chunk has to begin with where the contract says that the
                decoder is told of actions under way (`InDecoder`).

        Raises:
            EngineError: the inference library failed, or `progress` raised it.
        """

    def try_step(self, pool: Tensors) -> None:
        """Run the step graph once, as `decode` would first."""


def column(value: float) -> NDArray[np.float32]:
    """One number as a tensor (1,)."""
    return np.array([value], dtype=np.float32)
