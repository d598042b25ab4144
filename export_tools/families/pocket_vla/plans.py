"""The policy as the simulated arm would run it, over torch or exported graphs: plans in physical units.

Both take the same noise, transforms and decoder, the robot's own, so that they can be compared action by action.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_runtime.contracts.manifest import PolicyContract
from edge_runtime.policies.golden import observation_of
from edge_runtime.policies.runner import PolicyRunner
from edge_runtime.policies.session import Session, Tensors
from edge_runtime.policies.tokenizers.seam import Words
from edge_runtime.policies.tokenizers.words import WordTokenizer
from export_tools.families.pocket_vla.contract import NAME, embodiment
from export_tools.families.pocket_vla.demonstrations import CAMERA_ORDER

FloatArray = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]


class Plans:
    """Callable as `closed_loop.Chooser`.

    Args:
        sessions: of the contract's graphs, by path.
    """

    def __init__(self, contract: PolicyContract, sessions: Mapping[str, Session], tokenizer: WordTokenizer) -> None:
        self._embodiment = embodiment()
        self._runner = PolicyRunner(NAME, contract, sessions, Words(tokenizer), self._embodiment, time.monotonic_ns)

    def __call__(self, scene: Pixels, wrist: Pixels, words: str, state: FloatArray, _chunk: int = 0) -> FloatArray:
        """Absolute plan (16, 8) in rad and m, for pictures (1, 128, 128, 3) and a state (8,) in rad and m."""
        observation = observation_of(self._embodiment, state)
        pictures = dict(zip(CAMERA_ORDER, (scene[0], wrist[0]), strict=True))
        return self._runner.answer_pictures(observation, pictures, words)

    def inputs(self, scene: Pixels, wrist: Pixels, words: str, state: FloatArray) -> Tensors:
        """What the first graph is fed for these."""
        for camera, picture in zip(CAMERA_ORDER, (scene, wrist), strict=True):
            self._runner.look(camera, picture[0])
        inputs = self._runner.inputs(observation_of(self._embodiment, state), words)
        return {name: value.copy() for name, value in inputs.items()}

    def normalized(self, inputs: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        """Normalized actions (16, 8) of the first graph's `inputs`."""
        return self._runner.run(inputs, 0)[0]
