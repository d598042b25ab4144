"""A policy for any robot, as a bundle: it sees nothing but the robot's axes, and swings them around home for ever."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edge_runtime.contracts.axes import AnyAxis, BaseYaw
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.manifest import (
    BaseVelocity,
    Graph,
    GraphRole,
    GripperOpening,
    GripperState,
    Inputs,
    JointPositions,
    JointPositionState,
    MeanStd,
    OutputGroup,
    Outputs,
    PolicyContract,
    RegressionDecoder,
    StateGroup,
    StateInput,
)
from tests import onnx_bundle, other_families

Float64 = NDArray[np.float64]

HORIZON, DT_NS = 16, 50_000_000
PERIOD_S = 3.0
CASES = 4
_STEP_RAD = 2.0 * np.pi / PERIOD_S * DT_NS * 1e-9


def middle_and_reach(axis: AnyAxis) -> tuple[float, float]:
    """Around where an axis is swung, and how far: at less than half of its speed."""
    if axis.is_velocity:
        return 0.0, 0.3 * axis.speed_max
    half = (axis.high - axis.low) / 2.0
    if axis.is_gripper:
        return axis.low + half, 0.4 * half
    return axis.home, min(0.2 * half, 0.4 * axis.speed_max * PERIOD_S / (2.0 * np.pi))


def _runs(embodiment: Embodiment) -> list[list[AnyAxis]]:
    """Axes of one kind side by side, in order; each gripper is alone."""
    named = (
        (("gripper", axis.name) if axis.is_gripper else ("base" if axis.is_velocity else "joint", ""), axis)
        for axis in embodiment.axes
    )
    return [[axis for _, axis in run] for _, run in groupby(named, key=lambda pair: pair[0])]


def contract(embodiment: Embodiment) -> PolicyContract:
    """All axes in, all axes out, in the robot's own order."""
    state: list[StateGroup] = []
    outputs: list[OutputGroup] = []
    for axes in _runs(embodiment):
        means, stds = zip(*map(middle_and_reach, axes), strict=True)
        statistics = MeanStd(mean=means, std=stds)
        names = tuple(axis.name for axis in axes)
        if axes[0].is_gripper:
            gripper = names[0] if names[0] in embodiment.order_names else None
            unit = axes[0].unit if axes[0].unit in ("m", "rad") else "fraction_open"
            state.append(GripperState(unit=unit, statistics=statistics, gripper=gripper))  # type: ignore[arg-type]
            outputs.append(GripperOpening(unit=unit, statistics=statistics, gripper=gripper))  # type: ignore[arg-type]
        else:
            state.append(JointPositionState(joints=names, statistics=statistics))
            if axes[0].is_velocity:
                along = tuple("yaw" if isinstance(axis, BaseYaw) else axis.along for axis in axes)  # type: ignore[union-attr]
                outputs.append(BaseVelocity(axes=along, statistics=statistics))  # type: ignore[arg-type]
            else:
                outputs.append(JointPositions(joints=names, relative_to="zero", statistics=statistics))
    return PolicyContract(
        family="swing",
        embodiment=embodiment.name,
        joint_names=embodiment.order_names,
        joint_digest=embodiment.joint_digest,
        inputs=Inputs(cameras=(), state=StateInput(tensor="state", groups=tuple(state))),
        graphs=(Graph(role=GraphRole.ENCODE, path="policy.onnx"),),
        decoder=RegressionDecoder(actions="action"),
        outputs=Outputs(horizon=HORIZON, action_dt_ns=DT_NS, trained_delay=0, groups=tuple(outputs)),
    )


def _turns(axes: int) -> NDArray[np.float32]:
    """(axes, HORIZON * axes): each pair of axes goes round a circle, a last one without a partner comes to rest."""
    turns = np.zeros((axes, HORIZON, axes))
    for k in range(HORIZON):
        cosine, sine = np.cos((k + 1) * _STEP_RAD), np.sin((k + 1) * _STEP_RAD)
        for first in range(0, axes - 1, 2):
            turns[first : first + 2, k, first : first + 2] = ((cosine, sine), (-sine, cosine))
        if axes % 2:
            turns[-1, k, -1] = 0.98 ** (k + 1)
    return turns.reshape(axes, HORIZON * axes).astype(np.float32)


def graph(axes: int) -> onnx.ModelProto:
    """action = the direction of (state + 0.1), turned a little further with each row."""
    node = helper.make_node
    return onnx_bundle.model(
        [
            node("Add", ["state", "bias"], ["off"], name="off"),
            node("ReduceL2", ["off", "last"], ["length"], name="length", keepdims=1),
            node("Mul", ["length", "per_axis"], ["mean"], name="mean"),
            node("Add", ["mean", "bias"], ["size"], name="size"),
            node("Div", ["off", "size"], ["direction"], name="direction"),
            node("MatMul", ["direction", "turns"], ["flat"], name="flat"),
            node("Reshape", ["flat", "shape"], ["action"], name="action"),
        ],
        [onnx_bundle.tensor("state", TensorProto.FLOAT, 1, axes)],
        [onnx_bundle.tensor("action", TensorProto.FLOAT, 1, HORIZON, axes)],
        bias=np.array(0.1, np.float32),
        last=np.array([1], np.int64),
        per_axis=np.array(axes**-0.5, np.float32),
        turns=_turns(axes),
        shape=np.array([1, HORIZON, axes], np.int64),
    )


def plan(embodiment: Embodiment, state: Float64) -> Float64:
    """What the trained policy answers, (HORIZON, axes): worked out in double precision."""
    middle, reach = (np.array(values) for values in zip(*map(middle_and_reach, embodiment.axes), strict=True))
    off = (state - middle) / reach + 0.1
    direction = off / (np.linalg.norm(off) * len(off) ** -0.5 + 0.1)
    asked = (direction @ _turns(len(state)).astype(np.float64)).reshape(HORIZON, -1) * reach + middle
    for place in embodiment.gripper_indices:
        asked[:, place] = np.clip(asked[:, place], embodiment.axes[place].low, embodiment.axes[place].high)
    return asked


def bundle(folder: Path, embodiment: Embodiment) -> Path:
    """Write it to the new `folder`, with golden pairs, and return it."""
    draw = np.random.default_rng(7)
    middle, reach = (np.array(values) for values in zip(*map(middle_and_reach, embodiment.axes), strict=True))
    state = middle + reach * draw.uniform(-1.0, 1.0, (CASES, len(middle)))
    golden = {"state": state, "plan": np.stack([plan(embodiment, each) for each in state])}
    return other_families.write(folder, contract(embodiment), {"policy.onnx": graph(len(middle))}, golden)
