"""Policies that look back, and policies that were trained for actions being under way: tiny graphs with known answers.

The robot is any with joints, a gripper and the camera that is named; what they say of the gripper is to hold it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.golden import before_key, picture_key
from edge_runtime.contracts.manifest import (
    ActionSteps,
    AsTensor,
    CameraInput,
    Delay,
    DiffusionDecoder,
    FlowDecoder,
    Graph,
    GraphRole,
    Held,
    History,
    InDecoder,
    Inputs,
    JointPositions,
    JointPositionState,
    MeanStd,
    Outputs,
    PolicyContract,
    RegressionDecoder,
    ScaledPixels,
    StateInput,
    Stretch,
    Unscaled,
)
from tests import onnx_bundle
from tests.other_families import write

Float64 = NDArray[np.float64]
Axis = Literal["time", "features"]

SIDE_PX = 8
HORIZON, DT_NS = 16, 100_000_000
MEAN, STD = 0.1, 0.5
OF_GREY = 0.2
"""How far a normalized action moves for a picture that turned from black to white."""

RAMP = 0.01
"""rad that each action of a delayed policy lies after the one before."""

OF_CLEAN = 0.1


def _contract(embodiment: Embodiment, family: str, **fields: Any) -> PolicyContract:
    return PolicyContract(
        family=family,
        embodiment=embodiment.name,
        joint_names=embodiment.joint_names,
        joint_digest=embodiment.joint_digest,
        **fields,
    )


def _outputs(joints: tuple[str, ...], statistics: Any, **changes: Any) -> Outputs:
    fields: dict[str, Any] = {
        "horizon": HORIZON,
        "action_dt_ns": DT_NS,
        "trained_delay": 0,
        "groups": (
            JointPositions(joints=joints, relative_to="zero", statistics=statistics),
            Held(joints=(), gripper=True),
        ),
    }
    return Outputs(**{**fields, **changes})


def history(**changes: Any) -> History:
    """Two observations, one action apart."""
    fields: dict[str, Any] = {
        "tensors": ("image", "agent_pos"),
        "instants": ActionSteps(observations=2, every=1),
        "tolerance_ns": 30_000_000,
        "axis": "time",
        "at_start": "repeat_first",
    }
    return History(**{**fields, **changes})


def diffusion_contract(embodiment: Embodiment, camera: str, looks_back: History) -> PolicyContract:
    """As diffusion policies are: some steps of DDIM, from what was seen and where the robot was at several instants."""
    joints = embodiment.joint_names
    count = len(joints)
    statistics = MeanStd(mean=(MEAN,) * count, std=(STD,) * count)
    return _contract(
        embodiment,
        "diffusion",
        inputs=Inputs(
            cameras=(
                CameraInput(
                    camera=camera,
                    tensor="image",
                    width_px=SIDE_PX,
                    height_px=SIDE_PX,
                    resize=Stretch(),
                    interpolation="bilinear",
                    antialias="triangle",
                    colours="rgb",
                    layout="chw",
                    scale=ScaledPixels(mean=(0.0,) * 3, std=(1.0,) * 3),
                ),
            ),
            state=StateInput(tensor="agent_pos", groups=(JointPositionState(joints=joints, statistics=statistics),)),
            history=looks_back,
        ),
        graphs=(Graph(role=GraphRole.ENCODE, path="encode.onnx"), Graph(role=GraphRole.STEP, path="unet.onnx")),
        decoder=DiffusionDecoder(
            x="sample",
            time="timestep",
            output="action",
            predicts="action",
            schedule="squared_cosine",
            training_steps=100,
            steps=4,
            clip=None,
            noise_seed=3,
            fixed_noise=True,
        ),
        outputs=_outputs(joints, statistics),
    )


def diffusion_graphs(count: int, observations: int, axis: Axis) -> dict[str, onnx.ModelProto]:
    """action[k] = newest + (k + 1) * (newest - oldest) + OF_GREY * (newest picture - oldest picture)."""
    node, tensor, many = helper.make_node, onnx_bundle.tensor, observations
    encode = onnx_bundle.model(
        [
            node("Reshape", ["agent_pos", "each_state"], ["states"]),
            node("Gather", ["states", "newest"], ["state"], axis=0),
            node("Gather", ["states", "oldest"], ["state_before"], axis=0),
            node("Sub", ["state", "state_before"], ["moved"]),
            node("Mul", ["moved", "ramp"], ["moving"]),
            node("Reshape", ["image", "each_picture"], ["pictures"]),
            node("ReduceMean", ["pictures", "of_pixels"], ["greys"], keepdims=0),
            node("Gather", ["greys", "newest"], ["grey"], axis=0),
            node("Gather", ["greys", "oldest"], ["grey_before"], axis=0),
            node("Sub", ["grey", "grey_before"], ["brighter"]),
            node("Mul", ["brighter", "of_grey"], ["of_pictures"]),
            node("Add", ["state", "moving"], ["rows"]),
            node("Add", ["rows", "of_pictures"], ["target"]),
        ],
        [
            tensor("image", TensorProto.FLOAT, *((1, many, 3) if axis == "time" else (1, 3 * many)), SIDE_PX, SIDE_PX),
            tensor("agent_pos", TensorProto.FLOAT, *((1, many, count) if axis == "time" else (1, many * count))),
        ],
        [tensor("target", TensorProto.FLOAT, 1, HORIZON, count)],
        each_state=np.array([many, count], np.int64),
        each_picture=np.array([many, 3 * SIDE_PX * SIDE_PX], np.int64),
        of_pixels=np.array([1], np.int64),
        newest=np.array(many - 1, np.int64),
        oldest=np.array(0, np.int64),
        ramp=np.arange(1, HORIZON + 1, dtype=np.float32)[None, :, None],
        of_grey=np.array(OF_GREY, np.float32),
    )
    step = onnx_bundle.model(
        [
            node("Mul", ["sample", "zero"], ["no_sample"]),
            node("Mul", ["timestep", "zero"], ["no_time"]),
            node("Sum", ["target", "no_sample", "no_time"], ["action"]),
        ],
        [
            tensor("target", TensorProto.FLOAT, 1, HORIZON, count),
            tensor("sample", TensorProto.FLOAT, 1, HORIZON, count),
            tensor("timestep", TensorProto.FLOAT, 1),
        ],
        [tensor("action", TensorProto.FLOAT, 1, HORIZON, count)],
        zero=np.array(0.0, np.float32),
    )
    return {"encode.onnx": encode, "unet.onnx": step}


def diffusion_plan(states: Float64, greys: tuple[int, int]) -> Float64:
    """What the trained policy answers: (HORIZON, joints + 1), rad and m.

    Args:
        states: (2, joints + 1) the oldest and the newest, rad and m.
        greys: of the oldest and the newest picture.
    """
    oldest, newest = states[:, :-1]
    rows = newest + np.arange(1, HORIZON + 1)[:, None] * (newest - oldest)
    rows = rows + OF_GREY * STD * (greys[1] - greys[0]) / 255.0
    return np.column_stack((rows, np.full(HORIZON, states[1, -1])))


def diffusion_bundle(folder: Path, embodiment: Embodiment, camera: str, *, cases: int = 3, **changes: Any) -> Path:
    """Its bundle, with the trained policy's answers; `changes` replace fields of its history."""
    looks_back = history(**changes)
    count, many = len(embodiment.joint_names), looks_back.observations
    size = next((c.height_px, c.width_px) for c in embodiment.cameras if c.name == camera)
    draw = np.random.default_rng(4)
    states = draw.uniform(-0.02, 0.02, (cases, many, count + 1)) + np.array((*embodiment.home[:-1], 0.04))
    states[..., -1] = 0.04
    greys = draw.integers(30, 220, (cases, many))
    pictures = np.broadcast_to(greys[..., None, None, None], (cases, many, *size, 3)).astype(np.uint8)
    ends = [(states[case][[0, -1]], (int(greys[case, 0]), int(greys[case, -1]))) for case in range(cases)]
    contract = diffusion_contract(embodiment, camera, looks_back)
    golden = {
        picture_key(camera): pictures[:, -1],
        before_key(camera): pictures[:, :-1],
        "state": states[:, -1],
        "state_before": states[:, :-1],
        "before_ns": np.array(contract.before_ns),
        "plan": np.stack([diffusion_plan(*each) for each in ends]),
    }
    return write(folder, contract, diffusion_graphs(count, many, looks_back.axis), golden)


TOLD: dict[str, Delay] = {
    "tensor": Delay(rows="included", told=AsTensor(tensor="prefix", mask="prefix_mask"), at_start="free"),
    "left out": Delay(rows="left_out", told=AsTensor(tensor="prefix", mask="prefix_mask"), at_start="hold"),
    "decoder": Delay(rows="included", told=InDecoder(), at_start="free"),
}
"""Ways of being trained for a delay."""


def delayed_contract(embodiment: Embodiment, how: str, delay: int) -> PolicyContract:
    """A policy whose first `delay` actions are under way when it is asked."""
    joints, in_decoder = embodiment.joint_names, how == "decoder"
    steps = FlowDecoder(
        x="x",
        time="time",
        velocity="velocity",
        steps=5,
        time_from=0.0,
        time_to=1.0,
        noise_seed=1,
        fixed_noise=False,
    )
    graphs = (Graph(role=GraphRole.ENCODE, path="encode.onnx"), Graph(role=GraphRole.STEP, path="step.onnx"))
    return _contract(
        embodiment,
        "delayed",
        inputs=Inputs(
            state=StateInput(tensor="state", groups=(JointPositionState(joints=joints, statistics=Unscaled()),))
        ),
        graphs=graphs if in_decoder else graphs[:1],
        decoder=steps if in_decoder else RegressionDecoder(actions="action"),
        outputs=_outputs(joints, Unscaled(), trained_delay=delay, delay=TOLD[how]),
    )


def delayed_graphs(count: int, how: str, delay: int) -> dict[str, onnx.ModelProto]:
    """Told by a tensor, it goes on from the last action under way by RAMP an action, else from where it is.

    In the decoder each action is state + OF_CLEAN for each action whose time says that it is under way.
    """
    node, tensor, real = helper.make_node, onnx_bundle.tensor, TensorProto.FLOAT
    state = tensor("state", real, 1, count)
    if how == "decoder":
        encode = onnx_bundle.model(
            [node("Unsqueeze", ["state", "axis"], ["here"])],
            [state],
            [tensor("here", real, 1, 1, count)],
            axis=np.array([1], np.int64),
        )
        step = onnx_bundle.model(
            [
                node("Floor", ["time"], ["clean"]),
                node("ReduceSum", ["clean"], ["count"], keepdims=0),
                node("Mul", ["count", "of_clean"], ["moved"]),
                node("Add", ["here", "moved"], ["target"]),
                node("Sub", ["target", "x"], ["way"]),
                node("Sub", ["one", "time"], ["left"]),
                node("Max", ["left", "least"], ["time_left"]),
                node("Unsqueeze", ["time_left", "last"], ["each"]),
                node("Div", ["way", "each"], ["velocity"]),
            ],
            [
                tensor("here", real, 1, 1, count),
                tensor("x", real, 1, HORIZON, count),
                tensor("time", real, 1, HORIZON),
            ],
            [tensor("velocity", real, 1, HORIZON, count)],
            of_clean=np.array(OF_CLEAN, np.float32),
            one=np.array(1.0, np.float32),
            least=np.array(0.01, np.float32),
            last=np.array([2], np.int64),
        )
        return {"encode.onnx": encode, "step.onnx": step}
    first = 1 - delay if TOLD[how].rows == "included" else 1
    encode = onnx_bundle.model(
        [
            node("Cast", ["prefix_mask"], ["masks"], to=real),
            node("ReduceMin", ["masks"], ["told"], keepdims=0),
            node("Gather", ["prefix", "last"], ["under_way"], axis=1),
            node("Sub", ["under_way", "state"], ["ahead"]),
            node("Mul", ["ahead", "told"], ["ahead_if_told"]),
            node("Add", ["state", "ahead_if_told"], ["base"]),
            node("Unsqueeze", ["base", "axis"], ["row"]),
            node("Sub", ["one", "told"], ["untold"]),
            node("Mul", ["untold", "later"], ["sooner"]),
            node("Add", ["ramp", "sooner"], ["ramps"]),
            node("Add", ["row", "ramps"], ["action"]),
        ],
        [state, tensor("prefix", real, 1, delay, count), tensor("prefix_mask", TensorProto.BOOL, 1, delay)],
        [tensor("action", real, 1, HORIZON, count)],
        last=np.array(delay - 1, np.int64),
        axis=np.array([1], np.int64),
        one=np.array(1.0, np.float32),
        later=np.array(RAMP * (1 - first), np.float32),
        ramp=np.repeat((RAMP * np.arange(first, first + HORIZON, dtype=np.float32))[None, :, None], count, axis=2),
    )
    return {"encode.onnx": encode}


def delayed_plan(state: Float64, under_way: Float64 | None, how: str, delay: int) -> Float64:
    """What a robot is asked for: (rows, joints + 1), rad and m.

    Args:
        state: (joints + 1,) what was observed.
        under_way: (delay, joints + 1); None: nothing is, and the policy is told so.
    """
    steps = np.arange(1, HORIZON + 1)[:, None]
    opening_m = np.full((HORIZON, 1), state[-1])
    if how == "decoder":
        rows = state[:-1] + OF_CLEAN * (0 if under_way is None else delay) + 0.0 * steps
    elif under_way is None:
        rows = state[:-1] + RAMP * steps
    else:
        rows = under_way[-1, :-1] + RAMP * (steps - (delay if TOLD[how].rows == "included" else 0))
    whole = np.hstack((rows, opening_m))
    if under_way is None:
        return whole
    return np.vstack((under_way, whole[delay:] if TOLD[how].rows == "included" else whole))


def delayed_bundle(folder: Path, embodiment: Embodiment, how: str, *, actions: int = 3, **changes: Any) -> Path:
    """Its bundle, with the trained policy's answers; `changes` replace fields of its outputs."""
    contract = delayed_contract(embodiment, how, actions)
    draw = np.random.default_rng(6)
    home = np.array((*embodiment.home[:-1], 0.04))
    offsets = draw.uniform(-0.05, 0.05, (2, len(home))) * np.append(np.ones(len(home) - 1), 0.0)
    states = home + offsets
    ways = np.stack(
        [
            state + 0.002 * np.arange(1, actions + 1)[:, None] * np.append(np.ones(len(home) - 1), 0.0)
            for state in states
        ]
    )
    golden = {
        "state": states,
        "under_way": ways,
        "plan": np.stack([delayed_plan(*each, how, actions) for each in zip(states, ways, strict=True)]),
    }
    outputs = msgspec.structs.replace(contract.outputs, **changes)
    graphs = delayed_graphs(len(embodiment.joint_names), how, actions)
    return write(folder, msgspec.structs.replace(contract, outputs=outputs), graphs, golden)
