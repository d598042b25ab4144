"""One graph, its contract and its golden pairs."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_runtime.contracts.manifest import (
    ActionSteps,
    Graph,
    GraphRole,
    Held,
    History,
    Inputs,
    JointPositions,
    JointPositionState,
    Outputs,
    PolicyContract,
    RegressionDecoder,
    StateInput,
    Unscaled,
)
from edge_runtime.policies.golden import observation_of
from edge_runtime.policies.runner import PolicyRunner
from export_tools.check import read_embodiment
from export_tools.families.seam import Draft
from export_tools.parity import compare
from export_tools.sessions import exported_sessions

HORIZON = 8


def draft(folder: Path, gain: float, family: str) -> Draft:
    """Write the graph to `folder`, and say what it is."""
    embodiment = read_embodiment(Path(__file__).parent / "embodiment.toml")
    joints = embodiment.joint_names
    contract = PolicyContract(
        family=family,
        embodiment=embodiment.name,
        joint_names=joints,
        joint_digest=embodiment.joint_digest,
        inputs=Inputs(
            state=StateInput(tensor="state", groups=(JointPositionState(joints=joints, statistics=Unscaled()),)),
            history=History(
                tensors=("state",),
                instants=ActionSteps(observations=2, every=1),
                tolerance_ns=20_000_000,
                axis="time",
                at_start="repeat_first",
            ),
        ),
        graphs=(Graph(role=GraphRole.ENCODE, path="policy.onnx"),),
        decoder=RegressionDecoder(actions="action"),
        outputs=Outputs(
            horizon=HORIZON,
            action_dt_ns=50_000_000,
            trained_delay=0,
            groups=(
                JointPositions(joints=joints, relative_to="observed", statistics=Unscaled()),
                Held(joints=(), gripper=True),
            ),
        ),
    )
    onnx.save(_graph(gain), str(folder / "policy.onnx"))
    draw = np.random.default_rng(0)
    before = np.column_stack((draw.uniform(-0.5, 0.5, (4, 2)), np.full(4, 0.03)))
    state = before + np.array((0.01, -0.02, 0.0))
    steps = np.arange(1, HORIZON + 1)[None, :, None]
    plan = state[:, None, :] + gain * steps * (state - before)[:, None, :]
    run = PolicyRunner(
        family, contract, exported_sessions(folder, contract.graphs), None, embodiment, time.monotonic_ns
    )
    exported = [
        run.answer_pictures(
            observation_of(embodiment, state[case]), {}, "", [(observation_of(embodiment, before[case]), {})]
        )
        for case in range(len(state))
    ]
    return Draft(
        name="coasting",
        release="1.0",
        precision="fp32",
        parameters=1,
        contract=contract,
        embodiment=embodiment,
        parity=compare(plan, np.stack(exported), embodiment, 0.0, ()),
        golden={"state": state, "state_before": before[:, None], "plan": plan},
        packages=("onnx", "numpy"),
    )


def _graph(gain: float) -> onnx.ModelProto:
    """action[k] = gain * (k + 1) * (newest - oldest)."""
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Slice", ["state", "one", "two", "one"], ["newest"]),
            node("Slice", ["state", "zero", "one", "one"], ["oldest"]),
            node("Sub", ["newest", "oldest"], ["moved"]),
            node("Mul", ["moved", "ramp"], ["action"]),
        ],
        "coasting",
        [helper.make_tensor_value_info("state", TensorProto.FLOAT, (1, 2, 2))],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, (1, HORIZON, 2))],
        [
            numpy_helper.from_array(np.array([0], np.int64), "zero"),
            numpy_helper.from_array(np.array([1], np.int64), "one"),
            numpy_helper.from_array(np.array([2], np.int64), "two"),
            numpy_helper.from_array(gain * np.arange(1, HORIZON + 1, dtype=np.float32)[None, :, None], "ramp"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
