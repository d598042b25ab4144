"""Flow matching on the host: Euler steps from noise to an action, along whichever way the policy's time runs. Pure.

The step count stays a choice of the bundle instead of being baked into a graph, and one step is one call of the
velocity graph.
"""

from __future__ import annotations

from collections.abc import Callable

from edge_runtime.contracts.manifest import FlowDecoder
from edge_runtime.policies.decoders.noise import Float32, initial_noise
from edge_runtime.policies.decoders.seam import Progress, Step, Tensors, column


class FlowDecoding:
    """See `decoders.seam.Decoding`."""

    def __init__(self, decoder: FlowDecoder, step: Step, chunk_shape: tuple[int, ...]) -> None:
        self._decoder, self._step, self._chunk_shape = decoder, step, chunk_shape
        self.steps = decoder.steps

    def decode(self, pool: Tensors, chunk_sequence: int, progress: Progress) -> Float32:
        """See `Decoding.decode`."""
        decoder = self._decoder

        def velocity(x: Float32, time: float) -> Float32:
            progress((time - decoder.time_from) / (decoder.time_to - decoder.time_from))
            return self._step({**pool, decoder.x: x, decoder.time: column(time)})[decoder.velocity]

        noise = initial_noise(decoder, chunk_sequence, self._chunk_shape)
        return integrate_flow(velocity, noise, decoder.steps, decoder.time_from, decoder.time_to)

    def try_step(self, pool: Tensors) -> None:
        """See `Decoding.try_step`."""
        decoder = self._decoder
        noise = initial_noise(decoder, 0, self._chunk_shape)
        self._step({**pool, decoder.x: noise, decoder.time: column(decoder.time_from)})


def integrate_flow(
    velocity: Callable[[Float32, float], Float32],
    noise: Float32,
    steps: int,
    time_from: float = 0.0,
    time_to: float = 1.0,
) -> Float32:
    """``x += velocity(x, t) * dt`` in `steps` equal steps of t from `time_from`, where x is `noise`, to `time_to`.

    `noise` is not altered. Source: Lipman et al., Flow Matching for Generative Modeling, 2022.
    """
    x: Float32 = noise.copy()
    span = time_to - time_from
    for step in range(steps):
        x += velocity(x, time_from + span * (step / steps)) * x.dtype.type(span / steps)
    return x
