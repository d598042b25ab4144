"""From an observation to the tensors a bundle wants, and from its output back to physical units.

All that differs between policies (sizes, statistics, vocabulary, representation) comes out of the manifest; nothing
here knows a policy by name.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import ImageInput, Normalization, PolicyContract, SentenceContract
from edge_runtime.contracts.messages import Observation
from edge_runtime.policies.sentences import Reading, read_sentence
from edge_runtime.policies.tokenizers import WordTokenizer

Pixels = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


class ImageTransform:
    """Brings frames of one camera to the size a bundle wants, straight into the tensor that is fed.

    Attributes:
        tensor: (1, height_px, width_px, 3) uint8, reused for every frame.
    """

    def __init__(self, image: ImageInput) -> None:
        self.tensor: Pixels = np.zeros((1, image.height_px, image.width_px, 3), dtype=np.uint8)
        self._size_px = (image.width_px, image.height_px)

    def fill(self, pixels: Pixels) -> None:
        """Resize `pixels`, (height, width, 3) uint8, into `tensor`: the only copy a frame sees in this process."""
        height_px, width_px, _ = pixels.shape
        if (width_px, height_px) == self._size_px:
            np.copyto(self.tensor[0], pixels)
            return
        is_shrinking = width_px >= self._size_px[0] and height_px >= self._size_px[1]
        # Area averaging looks at every source pixel, so that small objects don't flicker between frames.
        cv2.resize(
            pixels,
            self._size_px,
            dst=self.tensor[0],
            interpolation=cv2.INTER_AREA if is_shrinking else cv2.INTER_LINEAR,
        )


class Normalizer:
    """``normalized = (physical - mean) / std`` over the last axis, and back."""

    def __init__(self, statistics: Normalization) -> None:
        self._mean: Float64 = np.array(statistics.mean, dtype=np.float64)
        self._std: Float64 = np.array(statistics.std, dtype=np.float64)

    def normalize(self, physical: Float64) -> Float32:
        """Physical units to what the policy was trained on."""
        return ((physical - self._mean) / self._std).astype(np.float32)

    def denormalize(self, normalized: Float32) -> Float64:
        """The inverse of `normalize`."""
        return normalized.astype(np.float64) * self._std + self._mean


class InstructionTransform:
    """Turns an instruction into token ids, and keeps those of the last one.

    Attributes:
        unknown_words, truncated_words: summed over all different instructions in a row.
    """

    def __init__(self, tokenizer: WordTokenizer, max_tokens: int, contract: SentenceContract | None = None) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._contract = contract
        self._instruction: str | None = None
        self._ids: NDArray[np.int64] = np.zeros((1, max_tokens), dtype=np.int64)
        self.unknown_words = 0
        self.truncated_words = 0

    def read(self, instruction: str) -> Reading:
        """What the policy can make of `instruction`."""
        return read_sentence(instruction, self._tokenizer, self._max_tokens, self._contract)

    def token_ids(self, instruction: str) -> NDArray[np.int64]:
        """Token ids, (1, max_tokens), padded or cut."""
        if instruction != self._instruction:
            tokens = self._tokenizer.encode(instruction, self._max_tokens)
            self._instruction, self._ids = instruction, np.array([tokens.ids], dtype=np.int64)
            self.unknown_words += tokens.unknown_words
            self.truncated_words += tokens.truncated_words
        return self._ids


def state_of(observation: Observation) -> Float64:
    """Joint positions (rad) and gripper opening (m) of `observation`, (joints + 1,)."""
    return np.array((*observation.position_rad, observation.gripper_opening_m), dtype=np.float64)


class ActionTransform:
    """From the sampler's output to absolute joint positions and gripper openings."""

    def __init__(self, contract: PolicyContract, gripper_opening_max_m: float) -> None:
        self._normalizer = Normalizer(contract.action_normalization)
        self._is_delta = contract.action_representation == "delta_to_observed"
        self._gripper_opening_max_m = gripper_opening_max_m

    def to_physical(self, normalized: Float32, observed_position_rad: Sequence[float]) -> tuple[Float64, Float64]:
        """Positions (horizon, joints) in rad and openings (horizon,) in m, the latter kept in range.

        Args:
            normalized: (horizon, joints + 1).
            observed_position_rad: joint positions at exposure, the base of a delta.
        """
        actions = self._normalizer.denormalize(normalized)
        position_rad, gripper_opening_m = actions[:, :-1], actions[:, -1]
        if self._is_delta:
            position_rad = position_rad + np.asarray(observed_position_rad, dtype=np.float64)
        return position_rad, np.clip(gripper_opening_m, 0.0, self._gripper_opening_max_m)
