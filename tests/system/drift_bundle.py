"""A real bundle with a policy of one idea: turn the last joint, slowly and steadily, whatever it sees and is told.

Two ONNX graphs, a vocabulary and a manifest; the last joint is the one that touches nothing when it turns. The sampler
ends on the target from any noise, so what moves the arm is known exactly.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
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

HORIZON = 16
DT_S = 0.05
SPEED_RAD_S = 0.2
GRIPPER_M = 0.04
_SIDE_PX = 32
_MAX_TOKENS = 8


def write_robot(folder: Path) -> Path:
    """The shipped settings of the simulated arm with this policy; returns the path of `robot.toml`."""
    folder.mkdir(parents=True)
    for source in SIM_CONFIG.parent.glob("*.toml"):
        lines = source.read_text(encoding="utf-8").splitlines()
        lines = ['bundle = "bundle"' if line.startswith("bundle = ") else line for line in lines]
        (folder / source.name).write_text("\n".join(lines), encoding="utf-8")
    embodiment = msgspec.toml.decode((folder / "embodiment.toml").read_bytes(), type=Embodiment)
    _write_bundle(folder / "bundle", embodiment)
    return folder / "robot.toml"


def _write_bundle(folder: Path, embodiment: Embodiment) -> None:
    folder.mkdir()
    width = len(embodiment.joints) + 1
    onnx.save(_encode(width), str(folder / "encode.onnx"))
    onnx.save(_denoise(width), str(folder / "denoise.onnx"))
    write_tokenizer(folder / "words.json", WordTokenizer(words={"touch": 2}, pad=0, unknown=1))
    manifest = Manifest(
        format_version=1,
        name="drift",
        version="1",
        precision="fp32",
        parameters=0,
        policy=PolicyContract(
            family="drift",
            embodiment=embodiment.name,
            joint_names=embodiment.joint_names,
            joint_digest=embodiment.joint_digest,
            images=tuple(
                ImageInput(camera=camera, tensor=camera, width_px=_SIDE_PX, height_px=_SIDE_PX)
                for camera in ("scene", "wrist")
            ),
            state_normalization=Normalization(mean=(0.0,) * width, std=(1.0,) * width),
            action_normalization=Normalization(mean=(0.0,) * width, std=(1.0,) * width),
            action_representation="delta_to_observed",
            action_dt_ns=round(DT_S * 1e9),
            horizon=HORIZON,
            sampler=FlowSampler(steps=4, noise_seed=1, fixed_noise=False),
            graphs=Graphs(
                encode="encode.onnx",
                denoise="denoise.onnx",
                tokens="tokens",
                state="state",
                x="x",
                time="time",
                velocity="velocity",
            ),
            tokenizer=Tokenizer(path="words.json", max_tokens=_MAX_TOKENS),
        ),
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


def _encode(width: int) -> onnx.ModelProto:
    """target = the drift, plus nothing of every input."""
    drift = np.zeros((1, HORIZON, width), np.float32)
    drift[0, :, width - 2] = SPEED_RAD_S * DT_S * np.arange(1, HORIZON + 1)
    drift[0, :, width - 1] = GRIPPER_M
    nodes = []
    for name in ("scene", "wrist", "tokens", "state"):
        nodes += [
            helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", [f"{name}_float"], [f"{name}_sum"], keepdims=0),
            helper.make_node("Mul", [f"{name}_sum", "zero"], [f"{name}_nothing"]),
        ]
    nothing = [f"{name}_nothing" for name in ("scene", "wrist", "tokens", "state")]
    nodes.append(helper.make_node("Sum", ["drift", *nothing], ["target"]))
    pictures = [_tensor(name, TensorProto.UINT8, 1, _SIDE_PX, _SIDE_PX, 3) for name in ("scene", "wrist")]
    others = [_tensor("tokens", TensorProto.INT64, 1, _MAX_TOKENS), _tensor("state", TensorProto.FLOAT, 1, width)]
    output = _tensor("target", TensorProto.FLOAT, 1, HORIZON, width)
    return _model(nodes, [*pictures, *others], [output], drift=drift, zero=np.array(0.0, np.float32))


def _denoise(width: int) -> onnx.ModelProto:
    """velocity = (target - x) / (1 - t)."""
    nodes = [
        helper.make_node("Sub", ["target", "x"], ["way"]),
        helper.make_node("Sub", ["one", "time"], ["time_left"]),
        helper.make_node("Div", ["way", "time_left"], ["velocity"]),
    ]
    shape = (1, HORIZON, width)
    inputs = [
        _tensor("target", TensorProto.FLOAT, *shape),
        _tensor("x", TensorProto.FLOAT, *shape),
        _tensor("time", TensorProto.FLOAT, 1),
    ]
    return _model(nodes, inputs, [_tensor("velocity", TensorProto.FLOAT, *shape)], one=np.array(1.0, np.float32))


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    **constants: np.ndarray,
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "drift", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def _tensor(name: str, kind: int, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)
