"""The drift robot with a policy that really needs long: its graph multiplies matrices until the time is up.

How often is found out where the test runs, so that a chunk takes about as long as was asked, on an idle machine. An
instruction with `HANG_WORD` in it lets the graph go on for hours: an inference that hangs.
"""

from __future__ import annotations

import shutil
import time
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from edge_runtime.config.embodiment_file import read_embodiment
from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.policies.session import OrtSession
from tests import onnx_bundle
from tests.system.drift_bundle import GRIPPER_M, SPEED_RAD_S, WORDS, write_robot

HANG_WORD = "purple"
MAX_TOKENS = 16
_SIDE = 192
_TRIAL_PASSES = 60
_FOREVER = 100_000_000


def write_slow_robot(folder: Path, took_s: float, *, horizon: int, dt_s: float) -> Path:
    """Settings of the simulated arm with such a policy; the path of `robot.toml`."""
    path = write_robot(folder)
    embodiment = read_embodiment(SIM_CONFIG.parent / "embodiment.toml")
    width = len(embodiment.axes)
    passes = _passes_for(took_s, width, horizon, dt_s)
    shutil.rmtree(folder / "bundle")
    onnx_bundle.write(
        folder / "bundle",
        embodiment,
        _encode(width, horizon, dt_s, passes),
        horizon=horizon,
        words={word: number for number, word in enumerate(WORDS, 2)},
        max_tokens=MAX_TOKENS,
        changes={"action_dt_ns": round(dt_s * 1e9)},
    )
    return path


@cache
def _passes_for(took_s: float, width: int, horizon: int, dt_s: float) -> int:
    passes = _TRIAL_PASSES
    for runs in (5, 1, 1):
        passes = max(1, round(passes * took_s / _seconds_of(_encode(width, horizon, dt_s, passes), runs)))
    return passes


def _seconds_of(encode: onnx.ModelProto, runs: int) -> float:
    """The quickest of some runs: what the machine did in between does not count."""
    session = OrtSession("encode", encode.SerializeToString(), threads=1)
    inputs = {name: np.zeros(spec.shape, spec.dtype) for name, spec in session.inputs.items()}
    took_s = []
    for _ in range(runs):
        started_s = time.perf_counter()
        session.run(inputs)
        took_s.append(time.perf_counter() - started_s)
    return min(took_s)


def _encode(width: int, horizon: int, dt_s: float, passes: int) -> onnx.ModelProto:
    """target = the drift, plus nothing of every input and of what `passes` multiplications give."""
    drift = np.zeros((1, horizon, width), np.float32)
    drift[0, :, width - 2] = SPEED_RAD_S * dt_s * np.arange(1, horizon + 1)
    drift[0, :, width - 1] = GRIPPER_M
    node = helper.make_node
    nodes = []
    for name in ("scene", "wrist", "tokens", "state"):
        nodes += [
            node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT),
            node("ReduceSum", [f"{name}_float"], [f"{name}_sum"], keepdims=0),
            node("Mul", [f"{name}_sum", "zero"], [f"{name}_nothing"]),
        ]
    body = helper.make_graph(
        [node("MatMul", ["x_in", "turn"], ["x_out"]), node("Identity", ["go_in"], ["go_out"])],
        "work",
        [
            onnx_bundle.tensor("i", TensorProto.INT64),
            onnx_bundle.tensor("go_in", TensorProto.BOOL),
            onnx_bundle.tensor("x_in", TensorProto.FLOAT, _SIDE, _SIDE),
        ],
        [
            onnx_bundle.tensor("go_out", TensorProto.BOOL),
            onnx_bundle.tensor("x_out", TensorProto.FLOAT, _SIDE, _SIDE),
        ],
    )
    nodes += [
        node("Equal", ["tokens", "hang_id"], ["hangs"]),
        node("Cast", ["hangs"], ["hangs_number"], to=TensorProto.INT64),
        node("ReduceMax", ["hangs_number"], ["hang"], keepdims=0),
        node("Mul", ["hang", "forever"], ["more"]),
        node("Add", ["passes", "more"], ["count"]),
        node("Add", ["turn", "state_nothing"], ["start"]),
        node("Loop", ["count", "go", "start"], ["worked"], body=body),
        node("ReduceSum", ["worked"], ["work_sum"], keepdims=0),
        node("Mul", ["work_sum", "zero"], ["work_nothing"]),
    ]
    nothing = [f"{name}_nothing" for name in ("scene", "wrist", "tokens", "state", "work")]
    nodes.append(node("Sum", ["drift", *nothing], ["target"]))
    return onnx_bundle.model(
        nodes,
        onnx_bundle.observation_inputs(width, MAX_TOKENS),
        [onnx_bundle.tensor("target", TensorProto.FLOAT, 1, horizon, width)],
        drift=drift,
        zero=np.array(0.0, np.float32),
        turn=np.roll(np.eye(_SIDE, dtype=np.float32), 1, axis=0),
        go=np.array(True),
        passes=np.array(passes, np.int64),
        forever=np.array(_FOREVER, np.int64),
        hang_id=np.array(2 + WORDS.index(HANG_WORD), np.int64),
    )
