"""The policy as a function from what the robot saw to where it should go, run by torch or from exported graphs.

Both give plans in physical units and take the same noise, so that they can be compared action by action.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from edge_runtime.contracts.tokenizer import WordTokenizer
from edge_runtime.policies.session import OrtSession
from export_tools.families.pocket_vla.language import MAX_TOKENS
from export_tools.families.pocket_vla.model import PocketVla
from export_tools.families.pocket_vla.train import Scaling

FloatArray = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Feed = dict[str, npt.NDArray[np.generic]]

SAMPLER_STEPS = 5
NOISE_SEED = 7


def chunk_noise(shape: tuple[int, ...]) -> Float32:
    """The noise every chunk starts from: the same draw as the robot's sampler makes for a fixed seed."""
    return np.random.Generator(np.random.Philox(NOISE_SEED)).standard_normal(shape, dtype=np.float32)


class Engine(Protocol):
    """Runs the two graphs, whatever they are made of."""

    def encode(self, inputs: Feed) -> Feed: ...

    def denoise(self, inputs: Feed) -> Float32: ...


class TorchEngine:
    """The trained model in torch eager, in floating point: the reference."""

    def __init__(self, model: PocketVla) -> None:
        self._model = model.eval()

    @torch.no_grad()
    def encode(self, inputs: Feed) -> Feed:
        scene, wrist, tokens, state = (torch.from_numpy(inputs[n]) for n in ENCODE_INPUTS)
        prefix = self._model.encode(scene, wrist, tokens, state)
        return {f"prefix_{i}": p.numpy() for i, p in enumerate(prefix)}

    @torch.no_grad()
    def denoise(self, inputs: Feed) -> Float32:
        prefix = tuple(torch.from_numpy(inputs[f"prefix_{i}"]) for i in range(self._model.config.expert_layers))
        x, time = torch.from_numpy(inputs["x"]), torch.from_numpy(inputs["time"])
        return np.asarray(self._model.denoise(x, time, prefix).numpy())


class OnnxEngine:
    """Exported graphs in the sessions that the robot runs them in."""

    def __init__(self, encode: Path, denoise: Path, threads: int = 2) -> None:
        self._encode = OrtSession(encode.name, encode.read_bytes(), threads=threads)
        self._denoise = OrtSession(denoise.name, denoise.read_bytes(), threads=threads)

    def encode(self, inputs: Feed) -> Feed:
        return self._encode.run(inputs)

    def denoise(self, inputs: Feed) -> Float32:
        (velocity,) = self._denoise.run(inputs).values()
        return velocity


ENCODE_INPUTS = ("image_scene", "image_wrist", "tokens", "state")


class Runner:
    """Callable as `closed_loop.Chooser`. Keeps the inputs of `denoise` if asked, for calibration."""

    def __init__(self, engine: Engine, tokenizer: WordTokenizer, scaling: Scaling, steps: int = SAMPLER_STEPS) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._scaling = scaling
        self._steps = steps
        self.denoise_feeds: list[Feed] | None = None

    def __call__(self, scene: Pixels, wrist: Pixels, words: str, state: FloatArray, _chunk: int = 0) -> FloatArray:
        return self.physical(self.normalized(self.inputs(scene, wrist, words, state)), state)

    def inputs(self, scene: Pixels, wrist: Pixels, words: str, state: FloatArray) -> Feed:
        """Inputs of `encode` for pictures (1, 128, 128, 3), an instruction and a state (8,) in rad and m."""
        s = self._scaling
        return {
            "image_scene": scene,
            "image_wrist": wrist,
            "tokens": np.array([self._tokenizer.encode(words, MAX_TOKENS).ids], np.int64),
            "state": ((state - s.state_mean) / s.state_std).astype(np.float32)[None],
        }

    def normalized(self, inputs: Feed) -> Float32:
        """Normalized actions (16, 8)."""
        prefix = self._engine.encode(inputs)
        x = chunk_noise((1, 16, len(self._scaling.action_mean)))
        for i in range(self._steps):
            feed: Feed = {"x": x, "time": np.array([i / self._steps], np.float32), **prefix}
            if self.denoise_feeds is not None:
                self.denoise_feeds.append(feed)
            x = (x + self._engine.denoise(feed) / self._steps).astype(np.float32)
        return np.asarray(x[0])

    def physical(self, normalized: Float32, state: FloatArray) -> FloatArray:
        """Absolute plan (16, 8) in rad and m."""
        actions = normalized.astype(np.float64) * self._scaling.action_std + self._scaling.action_mean
        actions[:, :7] += state[:7]
        actions[:, 7] = np.clip(actions[:, 7], 0.0, 0.08)
        return actions
