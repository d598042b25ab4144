"""Denoising diffusion on the host: DDIM steps from noise to an action, without noise between. Pure.

Source: Song, Meng, Ermon, Denoising Diffusion Implicit Models, 2021, equation 12 with sigma 0; schedules as of Nichol,
Dhariwal, Improved Denoising Diffusion Probabilistic Models, 2021, and Ho, Jain, Abbeel, 2020.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import DiffusionDecoder
from edge_runtime.policies.decoders.noise import Float32, initial_noise
from edge_runtime.policies.decoders.seam import Progress, Step, Tensors, column

_BETA_FIRST, _BETA_LAST, _BETA_MAX = 1e-4, 0.02, 0.999


class DiffusionDecoding:
    """See `decoders.seam.Decoding`."""

    def __init__(self, decoder: DiffusionDecoder, step: Step, chunk_shape: tuple[int, ...]) -> None:
        self._decoder, self._step, self._chunk_shape = decoder, step, chunk_shape
        self._kept = signal_kept(decoder.schedule, decoder.training_steps)
        spacing = decoder.training_steps // decoder.steps
        self._times = [spacing * step for step in reversed(range(decoder.steps))]
        self._spacing = spacing
        self.steps = decoder.steps

    def decode(
        self,
        pool: Tensors,
        chunk_sequence: int,
        progress: Progress,
        begins_with: Float32 | None = None,  # noqa: ARG002
    ) -> Float32:
        """See `Decoding.decode`."""
        x = initial_noise(self._decoder, chunk_sequence, self._chunk_shape).astype(np.float64)
        for done, time in enumerate(self._times):
            progress(done / self.steps)
            kept = self._kept[time]
            # Before the first training step there is no noise left.
            kept_next = self._kept[time - self._spacing] if time >= self._spacing else 1.0
            action, noise = self._parts(x, self._predict(pool, x.astype(np.float32), time).astype(np.float64), kept)
            if self._decoder.clip is not None:
                action = np.clip(action, -self._decoder.clip, self._decoder.clip)
                noise = (x - np.sqrt(kept) * action) / np.sqrt(1.0 - kept)
            x = np.sqrt(kept_next) * action + np.sqrt(1.0 - kept_next) * noise
        return x.astype(np.float32)

    def try_step(self, pool: Tensors) -> None:
        """See `Decoding.try_step`."""
        self._predict(pool, initial_noise(self._decoder, 0, self._chunk_shape), self._times[0])

    def _predict(self, pool: Tensors, x: Float32, time: int) -> Float32:
        decoder = self._decoder
        return self._step({**pool, decoder.x: x, decoder.time: column(time)})[decoder.output]

    def _parts(
        self, x: NDArray[np.float64], predicted: NDArray[np.float64], kept: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Action and noise that `x` is made of, by what the graph predicted."""
        signal, rest = np.sqrt(kept), np.sqrt(1.0 - kept)
        if self._decoder.predicts == "noise":
            return (x - rest * predicted) / signal, predicted
        if self._decoder.predicts == "action":
            return predicted, (x - signal * predicted) / rest
        return signal * x - rest * predicted, signal * predicted + rest * x


def signal_kept(schedule: str, training_steps: int) -> NDArray[np.float64]:
    """(training_steps,) how much of the signal's variance is left after each training step."""
    if schedule == "linear":
        betas = np.linspace(_BETA_FIRST, _BETA_LAST, training_steps)
    else:
        at = np.arange(training_steps + 1) / training_steps
        left = np.cos((at + 0.008) / 1.008 * np.pi / 2.0) ** 2
        betas = np.minimum(1.0 - left[1:] / left[:-1], _BETA_MAX)
    return np.asarray(np.cumprod(1.0 - betas))
