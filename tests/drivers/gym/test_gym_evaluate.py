"""Episodes in an environment through the whole runtime: engine, control, kernel and the driver, in virtual time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.manifest import (
    Graph,
    GraphRole,
    Held,
    Inputs,
    JointPositions,
    JointPositionState,
    Outputs,
    PolicyContract,
    RegressionDecoder,
    StateInput,
    Unscaled,
)
from edge_runtime.testing.sliding_robot import write_robot
from tests import onnx_bundle
from tests.cli.conftest import Command, edge_runtime, run_dir, traces
from tests.other_families import write

__all__ = ["edge_runtime", "run_dir"]

pytest.importorskip("gymnasium")

STEP_M = 0.004


def going_right(folder: Path, embodiment: Embodiment) -> Path:
    """A policy that sees nothing and moves the first axis on, by the same for each action."""
    names, horizon = embodiment.joint_names, 20
    held = (Held(joints=(), gripper=False, grippers=tuple(one.name for one in embodiment.grippers)),)
    on = np.zeros((1, horizon, len(names)), np.float32)
    on[0, :, 0] = STEP_M * np.arange(1, horizon + 1)
    node = helper.make_node
    graph = onnx_bundle.model(
        [
            node("Mul", ["state", "zero"], ["still"]),
            node("Unsqueeze", ["still", "axis"], ["row"]),
            node("Add", ["row", "on"], ["action"]),
        ],
        [onnx_bundle.tensor("state", TensorProto.FLOAT, 1, len(names))],
        [onnx_bundle.tensor("action", TensorProto.FLOAT, 1, horizon, len(names))],
        zero=np.array(0.0, np.float32),
        axis=np.array([1], np.int64),
        on=on,
    )
    contract = PolicyContract(
        family="going_right",
        embodiment=embodiment.name,
        joint_names=embodiment.axis_names if len(embodiment.grippers) > 1 else names,
        joint_digest=embodiment.joint_digest,
        inputs=Inputs(
            state=StateInput(tensor="state", groups=(JointPositionState(joints=names, statistics=Unscaled()),))
        ),
        graphs=(Graph(role=GraphRole.ENCODE, path="on.onnx"),),
        decoder=RegressionDecoder(actions="action"),
        outputs=Outputs(
            horizon=horizon,
            action_dt_ns=50_000_000,
            trained_delay=0,
            groups=(
                JointPositions(joints=names, relative_to="observed", statistics=Unscaled()),
                *(held if embodiment.grippers else ()),
            ),
        ),
    )
    return write(folder, contract, {"on.onnx": graph})


@pytest.fixture
def robot(tmp_path: Path) -> Path:
    path = write_robot(tmp_path)
    going_right(tmp_path / "bundle", load_config(path).embodiment)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("[robot]\n", '[robot]\nbundle = "bundle"\n'), encoding="utf-8")
    return path


def figures(edge_runtime: Command, robot: Path, run_dir: Path, file: Path, *more: object) -> dict[str, object]:
    process = edge_runtime("evaluate", "--config", robot, "--run-dir", run_dir, "--episodes", 3, "--json", file, *more)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, ""), out + err
    return dict(json.loads(file.read_bytes()))


def test_a_policy_succeeds_in_virtual_time_and_twice_with_the_same_motion(
    edge_runtime: Command, robot: Path, run_dir: Path, tmp_path: Path
) -> None:
    reports = [figures(edge_runtime, robot, run_dir, tmp_path / f"{number}.json") for number in range(2)]
    for report in reports:
        assert report["outcomes"] == {"success": 3}
    first, second = ([one["trace_digest"] for one in report["per_episode"]] for report in reports)  # type: ignore[attr-defined]
    assert first == second
    assert len(set(first)) == 3
    assert traces(run_dir, robot) == []


def test_an_instruction_that_means_another_object_is_asked_of_no_scene_without_one(
    edge_runtime: Command, robot: Path, run_dir: Path
) -> None:
    process = edge_runtime("evaluate", "--config", robot, "--run-dir", run_dir, "--episodes", 1, "--swapped")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "scenes of this robot have no instruction that means another object" in err
