"""A real bundle with a policy of one idea: turn the last joint, slowly and steadily, whatever it sees and is told.

Two ONNX graphs, a vocabulary and a manifest; the last joint is the one that touches nothing when it turns. The sampler
ends on the target from any noise, so what moves the arm is known exactly.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from edge_runtime.config.embodiment_file import read_embodiment
from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.drivers.sim.task import all_phrases
from tests import onnx_bundle

HORIZON = 16
DT_S = 0.05
SPEED_RAD_S = 0.2
GRIPPER_M = 0.04
_MAX_TOKENS = 16
WORDS = sorted({word for split in ("train", "eval") for sentence in all_phrases(split) for word in sentence.split()})


def write_robot(folder: Path) -> Path:
    """The shipped settings of the simulated arm with this policy; returns the path of `robot.toml`."""
    folder.mkdir(parents=True)
    for source in SIM_CONFIG.parent.glob("*.toml"):
        lines = source.read_text(encoding="utf-8").splitlines()
        lines = ['bundle = "bundle"' if line.startswith("bundle = ") else line for line in lines]
        (folder / source.name).write_text("\n".join(lines), encoding="utf-8")
    embodiment = read_embodiment(folder / "embodiment.toml")
    onnx_bundle.write(
        folder / "bundle",
        embodiment,
        _encode(len(embodiment.axes)),
        horizon=HORIZON,
        words={word: number for number, word in enumerate(WORDS, 2)},
        max_tokens=_MAX_TOKENS,
        changes={"action_dt_ns": round(DT_S * 1e9)},
    )
    return folder / "robot.toml"


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
    return onnx_bundle.model(
        nodes,
        onnx_bundle.observation_inputs(width, _MAX_TOKENS),
        [onnx_bundle.tensor("target", TensorProto.FLOAT, 1, HORIZON, width)],
        drift=drift,
        zero=np.array(0.0, np.float32),
    )
