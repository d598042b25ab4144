"""A toy policy with a known answer, as a real bundle: two ONNX graphs, a vocabulary and a manifest.

encode: target = state + 0.1 * mean brightness of the scene (0 to 1) + 0.01 * sum of token ids, and not a number where
the scene is brighter than half. denoise: velocity = (target - x) / (1 - t), whose Euler integration ends on the target
exactly, from any noise, in any number of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_runtime.config.embodiment_file import read_embodiment
from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.manifest.version_1 import Normalization
from tests import onnx_bundle

HORIZON = 4
MAX_TOKENS = 6
WORDS = {"touch": 2, "the": 3, "red": 4, "blue": 5, "cube": 6}

BundleWriter = Callable[..., Path]


@pytest.fixture(scope="session")
def embodiment() -> Embodiment:
    return read_embodiment(SIM_CONFIG.parent / "embodiment.toml")


@pytest.fixture
def write_bundle(tmp_path: Path, embodiment: Embodiment) -> BundleWriter:
    """Writes the toy bundle to a folder and returns it; keywords replace fields of the policy contract."""

    def write(**changes: object) -> Path:
        statistics = {
            "state_normalization": Normalization(mean=(*embodiment.home[:-1], 0.04), std=(0.5,) * 7 + (0.02,)),
            "action_normalization": Normalization(mean=(0.0,) * 7 + (0.04,), std=(0.1,) * 7 + (0.04,)),
        }
        return onnx_bundle.write(
            tmp_path / "bundle",
            embodiment,
            _encode(len(embodiment.axes)),
            horizon=HORIZON,
            words=WORDS,
            max_tokens=MAX_TOKENS,
            changes=statistics | changes,
        )

    return write


def _encode(width: int) -> onnx.ModelProto:
    node = helper.make_node
    return onnx_bundle.model(
        [
            node("Cast", ["scene"], ["scene_float"], to=TensorProto.FLOAT),
            node("ReduceMean", ["scene_float"], ["scene_mean"], keepdims=0),
            node("Div", ["scene_mean", "white"], ["brightness"]),
            node("Cast", ["wrist"], ["wrist_float"], to=TensorProto.FLOAT),
            node("ReduceMean", ["wrist_float"], ["wrist_mean"], keepdims=0),
            node("Mul", ["wrist_mean", "zero"], ["nothing_of_wrist"]),
            node("Cast", ["tokens"], ["tokens_float"], to=TensorProto.FLOAT),
            node("ReduceSum", ["tokens_float"], ["token_sum"], keepdims=0),
            node("Mul", ["brightness", "tenth"], ["of_scene"]),
            node("Mul", ["token_sum", "hundredth"], ["of_tokens"]),
            node("Sub", ["half", "brightness"], ["darkness"]),
            node("Log", ["darkness"], ["finite_if_dark"]),
            node("Mul", ["finite_if_dark", "zero"], ["zero_if_dark"]),
            node("Sum", ["of_scene", "of_tokens", "zero_if_dark", "nothing_of_wrist"], ["offset"]),
            node("Add", ["state", "offset"], ["target"]),
        ],
        onnx_bundle.observation_inputs(width, MAX_TOKENS),
        [onnx_bundle.tensor("target", TensorProto.FLOAT, 1, width)],
        white=np.array(255.0, np.float32),
        tenth=np.array(0.1, np.float32),
        hundredth=np.array(0.01, np.float32),
        half=np.array(0.5, np.float32),
        zero=np.array(0.0, np.float32),
    )
