"""Flow matching on the host: Euler steps from noise to an action, along whichever way the policy's time runs. Pure.

The step count stays a choice of the bundle instead of being baked into a graph, and one step is one call of the
velocity graph.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_runtime.contracts.manifest import FlowDecoder
from edge_runtime.policies.decoders.noise import Float32, initial_noise
from edge_runtime.policies.decoders.seam import Progress, Step, Tensors, column


class FlowDecoding:
    """See `decoders.seam.Decoding`.

    Args:
        time_each: the step graph takes a time for each action, and not one for all.
    """

    def __init__(
        self, decoder: FlowDecoder, step: Step, chunk_shape: tuple[int, ...], *, time_each: bool = False
    ) -> None:
        self._decoder, self._step, self._chunk_shape = decoder, step, chunk_shape
        self._time_each = time_each
        self.steps = decoder.steps

    def decode(
        self, pool: Tensors, chunk_sequence: int, progress: Progress, begins_with: Float32 | None = None
    ) -> Float32:
        """See `Decoding.decode`."""
        decoder = self._decoder

        def velocity(x: Float32, time: float) -> Float32:
            progress((time - decoder.time_from) / (decoder.time_to - decoder.time_from))
            times = self._times(time, 0 if begins_with is None else len(begins_with))
            return self._step({**pool, decoder.x: x, decoder.time: times})[decoder.velocity]

        noise = initial_noise(decoder, chunk_sequence, self._chunk_shape)
        return integrate_flow(velocity, noise, decoder.steps, decoder.time_from, decoder.time_to, begins_with)

    def try_step(self, pool: Tensors) -> None:
        """See `Decoding.try_step`."""
        decoder = self._decoder
        noise = initial_noise(decoder, 0, self._chunk_shape)
        self._step({**pool, decoder.x: noise, decoder.time: self._times(decoder.time_from, 0)})

    def _times(self, time: float, done: int) -> Float32:
        """What the step graph is told of time, where the first `done` actions are what they shall be."""
        if not self._time_each:
            return column(time)
        times = np.full((1, self._chunk_shape[1]), time, dtype=np.float32)
        times[0, :done] = self._decoder.time_to
        return times


def integrate_flow(
    velocity: Callable[[Float32, float], Float32],
    noise: Float32,
    steps: int,
    time_from: float = 0.0,
    time_to: float = 1.0,
    begins_with: Float32 | None = None,
) -> Float32:
    """``x += velocity(x, t) * dt`` in `steps` equal steps of t from `time_from`, where x is `noise`, to `time_to`.

    `noise` is not altered. The first actions of x, (1, horizon, width), are `begins_with`, (actions, width), before
    each step and at the end. Source: Lipman et al., Flow Matching for Generative Modeling, 2022.
    """
    x: Float32 = noise.copy()
    span = time_to - time_from
    for step in range(steps):
        if begins_with is not None:
            x[0, : len(begins_with)] = begins_with
        x += velocity(x, time_from + span * (step / steps)) * x.dtype.type(span / steps)
    if begins_with is not None:
        x[0, : len(begins_with)] = begins_with
    return x
