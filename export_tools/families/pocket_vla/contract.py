"""What a robot must know to feed the graphs of this family and to read what they return."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.contracts.embodiment import Embodiment, joint_order_digest
from edge_runtime.contracts.manifest import (
    CameraInput,
    FlowDecoder,
    Graph,
    GraphRole,
    GripperOpening,
    GripperState,
    Inputs,
    JointPositions,
    JointPositionState,
    MeanStd,
    Outputs,
    PictureRange,
    PolicyContract,
    RawPixels,
    StateInput,
    Stretch,
    TextInput,
    WordList,
)
from edge_runtime.contracts.manifest.inputs import INSTRUCTION
from edge_runtime.drivers.sim import declaration
from edge_runtime.drivers.sim.declaration import JOINT_NAMES
from export_tools.check import read_embodiment
from export_tools.families.pocket_vla.demonstrations import CAMERA_ORDER, IMAGE_PX
from export_tools.families.pocket_vla.expert import ACTION_DT_S, HORIZON
from export_tools.families.pocket_vla.language import MAX_TOKENS
from export_tools.families.pocket_vla.train import Scaling

NAME = "pocket_vla"
EMBODIMENT = "pocket_arm"
SAMPLER_STEPS = 5
NOISE_SEED = 7
ENCODE, DENOISE = "encode.onnx", "denoise.onnx"


def embodiment() -> Embodiment:
    """The simulated arm that it is trained on."""
    return read_embodiment(Path(declaration.__file__).parent / "config" / "embodiment.toml")


def policy_contract(scaling: Scaling, trained_on: Mapping[str, PictureRange]) -> PolicyContract:
    """The contract of a policy with these statistics, which saw such pictures."""
    state, action = (
        (_statistics(mean[:-1], std[:-1]), _statistics(mean[-1:], std[-1:]))
        for mean, std in ((scaling.state_mean, scaling.state_std), (scaling.action_mean, scaling.action_std))
    )
    return PolicyContract(
        family=NAME,
        embodiment=EMBODIMENT,
        joint_names=JOINT_NAMES,
        joint_digest=joint_order_digest(JOINT_NAMES),
        inputs=Inputs(
            cameras=tuple(
                CameraInput(
                    camera=camera,
                    tensor=f"image_{camera}",
                    width_px=IMAGE_PX,
                    height_px=IMAGE_PX,
                    resize=Stretch(),
                    interpolation="bilinear",
                    antialias="area",
                    colours="rgb",
                    layout="hwc",
                    scale=RawPixels(),
                    trained_on=trained_on.get(camera),
                )
                for camera in CAMERA_ORDER
            ),
            state=StateInput(
                tensor="state",
                groups=(
                    JointPositionState(joints=JOINT_NAMES, statistics=state[0]),
                    GripperState(unit="m", statistics=state[1]),
                ),
            ),
            text=TextInput(
                tensor="tokens",
                max_tokens=MAX_TOKENS,
                template=INSTRUCTION,
                tokenizer=WordList(path="tokenizer.json"),
            ),
        ),
        graphs=(Graph(role=GraphRole.ENCODE, path=ENCODE), Graph(role=GraphRole.STEP, path=DENOISE)),
        decoder=FlowDecoder(
            x="x",
            time="time",
            velocity="velocity",
            steps=SAMPLER_STEPS,
            time_from=0.0,
            time_to=1.0,
            noise_seed=NOISE_SEED,
            fixed_noise=True,
        ),
        outputs=Outputs(
            horizon=HORIZON,
            action_dt_ns=round(ACTION_DT_S * 1e9),
            trained_delay=0,
            groups=(
                JointPositions(joints=JOINT_NAMES, relative_to="observed", statistics=action[0]),
                GripperOpening(unit="m", statistics=action[1]),
            ),
        ),
    )


def _statistics(mean: np.ndarray[Any, Any], std: np.ndarray[Any, Any]) -> MeanStd:
    return MeanStd(mean=tuple(float(value) for value in mean), std=tuple(float(value) for value in std))
