"""Bundles for tests: real ONNX graphs written node by node, a vocabulary and a manifest, in a real folder.

Every policy here has the same *denoise* graph, velocity = (target - x) / (1 - t): Euler integration ends on the target
exactly, from any noise, in any number of steps. What a policy does is what its *encode* graph makes of its inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.manifest import Manifest, ParityReport, Provenance, blob_of, write_manifest
from edge_runtime.contracts.manifest.version_1 import (
    FlowSampler,
    Graphs,
    ImageInput,
    Normalization,
    PolicyContract,
    Tokenizer,
    upgraded,
)
from edge_runtime.policies.tokenizers.words import WordTokenizer, write_tokenizer

SIDE_PX = 32
CAMERAS = ("scene", "wrist")


def tensor(name: str, kind: int, *shape: int) -> onnx.ValueInfoProto:
    """One input or output of a graph."""
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    **constants: np.ndarray,
) -> onnx.ModelProto:
    """A checked graph."""
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    # Without names, ONNX Runtime 1.21 gives what it fuses one and the same, and refuses its own graph.
    for number, node in enumerate(nodes):
        node.name = node.name or f"{node.op_type}_{number}"
    graph = helper.make_graph(nodes, "test", inputs, outputs, initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(made)
    return made


def observation_inputs(width: int, max_tokens: int) -> list[onnx.ValueInfoProto]:
    """Inputs of every encode graph, for `width` joints and gripper."""
    return [
        *(tensor(camera, TensorProto.UINT8, 1, SIDE_PX, SIDE_PX, 3) for camera in CAMERAS),
        tensor("tokens", TensorProto.INT64, 1, max_tokens),
        tensor("state", TensorProto.FLOAT, 1, width),
    ]


def denoise(target_shape: tuple[int, ...], horizon: int, width: int) -> onnx.ModelProto:
    """velocity = (target - x) / (1 - t)."""
    return model(
        [
            helper.make_node("Sub", ["target", "x"], ["way"]),
            helper.make_node("Sub", ["one", "time"], ["time_left"]),
            helper.make_node("Div", ["way", "time_left"], ["velocity"]),
        ],
        [
            tensor("target", TensorProto.FLOAT, *target_shape),
            tensor("x", TensorProto.FLOAT, 1, horizon, width),
            tensor("time", TensorProto.FLOAT, 1),
        ],
        [tensor("velocity", TensorProto.FLOAT, 1, horizon, width)],
        one=np.array(1.0, np.float32),
    )


def write(
    folder: Path,
    embodiment: Embodiment,
    encode: onnx.ModelProto,
    *,
    horizon: int,
    words: dict[str, int],
    max_tokens: int,
    changes: Mapping[str, object],
) -> Path:
    """Write the bundle to the new folder and return it; `changes` replace fields of the policy contract."""
    folder.mkdir()
    width = len(embodiment.axes)
    target_shape = tuple(size.dim_value for size in encode.graph.output[0].type.tensor_type.shape.dim)
    onnx.save(encode, str(folder / "encode.onnx"))
    onnx.save(denoise(target_shape, horizon, width), str(folder / "denoise.onnx"))
    write_tokenizer(folder / "words.json", WordTokenizer(words=words, pad=0, unknown=1))
    contract = {
        "family": "test",
        "embodiment": embodiment.name,
        "joint_names": embodiment.joint_names,
        "joint_digest": embodiment.joint_digest,
        "images": tuple(
            ImageInput(camera=camera, tensor=camera, width_px=SIDE_PX, height_px=SIDE_PX) for camera in CAMERAS
        ),
        "state_normalization": Normalization(mean=(0.0,) * width, std=(1.0,) * width),
        "action_normalization": Normalization(mean=(0.0,) * width, std=(1.0,) * width),
        "action_representation": "delta_to_observed",
        "action_dt_ns": 50_000_000,
        "horizon": horizon,
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
        "tokenizer": Tokenizer(path="words.json", max_tokens=max_tokens),
        **changes,
    }
    manifest = Manifest(
        format_version=1,
        name="test",
        version="1",
        precision="fp32",
        parameters=0,
        policy=upgraded(PolicyContract(**contract)),  # type: ignore[arg-type]
        blobs=tuple(blob_of(folder, path) for path in ("denoise.onnx", "encode.onnx", "words.json")),
        provenance=Provenance(command="none", seed=0, versions={}),
        parity=ParityReport(
            samples=0,
            error_max_rad=(0.0,) * (width - 1),
            error_p99_rad=(0.0,) * (width - 1),
            bound_p99_rad=0.0,
            gripper_flips=0,
            quantized_weight_fraction=0.0,
            inert_inputs=(),
        ),
    )
    write_manifest(folder, manifest)
    return folder
