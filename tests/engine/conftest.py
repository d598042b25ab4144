"""A toy policy with a known answer, as a real bundle: two ONNX graphs, a vocabulary and a manifest.

encode: target = state + 0.1 * mean brightness of the scene (0 to 1) + 0.01 * sum of token ids, and not a number where
the scene is brighter than half. denoise: velocity = (target - x) / (1 - t), whose Euler integration ends on the target
exactly, from any noise, in any number of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from contracts.embodiment import Embodiment
from contracts.manifest import (
    FlowSampler,
    Graphs,
    ImageInput,
    Manifest,
    Normalization,
    ParityReport,
    PolicyContract,
    Provenance,
    Tokenizer,
    blob_of,
    write_manifest,
)
from contracts.tokenizer import WordTokenizer, write_tokenizer
from edge_runtime.config import SIM_CONFIG

HORIZON = 4
MAX_TOKENS = 6
SIDE_PX = 32
WORDS = {"touch": 2, "the": 3, "red": 4, "blue": 5, "cube": 6}

BundleWriter = Callable[..., Path]


@pytest.fixture(scope="session")
def embodiment() -> Embodiment:
    return msgspec.toml.decode((SIM_CONFIG.parent / "embodiment.toml").read_bytes(), type=Embodiment)


@pytest.fixture
def write_bundle(tmp_path: Path, embodiment: Embodiment) -> BundleWriter:
    """Writes the toy bundle to a folder and returns it; keywords replace fields of the policy contract."""

    def write(**changes: object) -> Path:
        folder = tmp_path / "bundle"
        folder.mkdir()
        width = len(embodiment.joints) + 1
        onnx.save(_encode(width), str(folder / "encode.onnx"))
        onnx.save(_denoise(width), str(folder / "denoise.onnx"))
        write_tokenizer(folder / "words.json", WordTokenizer(words=WORDS, pad=0, unknown=1))
        contract = {
            "family": "toy",
            "embodiment": embodiment.name,
            "joint_names": embodiment.joint_names,
            "joint_digest": embodiment.joint_digest,
            "images": tuple(
                ImageInput(camera=camera, tensor=camera, width_px=SIDE_PX, height_px=SIDE_PX)
                for camera in ("scene", "wrist")
            ),
            "state_normalization": Normalization(mean=(*embodiment.home_rad, 0.04), std=(0.5,) * 7 + (0.02,)),
            "action_normalization": Normalization(mean=(0.0,) * 7 + (0.04,), std=(0.1,) * 7 + (0.04,)),
            "action_representation": "delta_to_observed",
            "action_dt_ns": 50_000_000,
            "horizon": HORIZON,
            "sampler": FlowSampler(steps=5, noise_seed=1, fixed_noise=False),
            "graphs": Graphs(
                encode="encode.onnx",
                denoise="denoise.onnx",
                tokens="tokens",
                state="state",
                x="x",
                time="time",
                velocity="velocity",
            ),
            "tokenizer": Tokenizer(path="words.json", max_tokens=MAX_TOKENS),
            **changes,
        }
        manifest = Manifest(
            format_version=1,
            name="toy",
            version="1",
            precision="fp32",
            parameters=0,
            policy=PolicyContract(**contract),  # type: ignore[arg-type]
            blobs=tuple(blob_of(folder, path) for path in ("denoise.onnx", "encode.onnx", "words.json")),
            provenance=Provenance(command="none", seed=0, versions={}),
            parity=ParityReport(
                samples=0,
                error_max_rad=(0.0,) * 7,
                error_p99_rad=(0.0,) * 7,
                bound_p99_rad=0.0,
                gripper_flips=0,
                quantized_weight_fraction=0.0,
                inert_inputs=(),
            ),
        )
        write_manifest(folder, manifest)
        return folder

    return write


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    **constants: np.ndarray,
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "toy", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def _tensor(name: str, kind: int, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _encode(width: int) -> onnx.ModelProto:
    node = helper.make_node
    return _model(
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
        [
            _tensor("scene", TensorProto.UINT8, 1, SIDE_PX, SIDE_PX, 3),
            _tensor("wrist", TensorProto.UINT8, 1, SIDE_PX, SIDE_PX, 3),
            _tensor("tokens", TensorProto.INT64, 1, MAX_TOKENS),
            _tensor("state", TensorProto.FLOAT, 1, width),
        ],
        [_tensor("target", TensorProto.FLOAT, 1, width)],
        white=np.array(255.0, np.float32),
        tenth=np.array(0.1, np.float32),
        hundredth=np.array(0.01, np.float32),
        half=np.array(0.5, np.float32),
        zero=np.array(0.0, np.float32),
    )


def _denoise(width: int) -> onnx.ModelProto:
    node = helper.make_node
    return _model(
        [
            node("Sub", ["target", "x"], ["way"]),
            node("Sub", ["one", "time"], ["time_left"]),
            node("Div", ["way", "time_left"], ["velocity"]),
        ],
        [
            _tensor("target", TensorProto.FLOAT, 1, width),
            _tensor("x", TensorProto.FLOAT, 1, HORIZON, width),
            _tensor("time", TensorProto.FLOAT, 1),
        ],
        [_tensor("velocity", TensorProto.FLOAT, 1, HORIZON, width)],
        one=np.array(1.0, np.float32),
    )
