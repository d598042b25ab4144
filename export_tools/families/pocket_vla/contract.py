"""What a robot must know to feed the graphs of this family and to read what they return."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.contracts.embodiment import Embodiment, joint_order_digest
from edge_runtime.contracts.manifest import (
    FlowSampler,
    Graphs,
    ImageInput,
    Normalization,
    PictureRange,
    PolicyContract,
    Tokenizer,
)
from edge_runtime.drivers.sim import declaration
from edge_runtime.drivers.sim.declaration import JOINT_NAMES
from export_tools.check import read_embodiment
from export_tools.families.pocket_vla.demonstrations import CAMERA_ORDER, IMAGE_PX
from export_tools.families.pocket_vla.expert import ACTION_DIM, ACTION_DT_S, HORIZON
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
    return PolicyContract(
        family=NAME,
        embodiment=EMBODIMENT,
        joint_names=JOINT_NAMES,
        joint_digest=joint_order_digest(JOINT_NAMES),
        images=tuple(
            ImageInput(
                camera=camera,
                tensor=f"image_{camera}",
                width_px=IMAGE_PX,
                height_px=IMAGE_PX,
                trained_on=trained_on.get(camera),
            )
            for camera in CAMERA_ORDER
        ),
        state_normalization=Normalization(mean=_floats(scaling.state_mean), std=_floats(scaling.state_std)),
        action_normalization=Normalization(mean=_floats(scaling.action_mean), std=_floats(scaling.action_std)),
        action_representation="delta_to_observed",
        action_dt_ns=round(ACTION_DT_S * 1e9),
        horizon=HORIZON,
        sampler=FlowSampler(steps=SAMPLER_STEPS, noise_seed=NOISE_SEED, fixed_noise=True),
        graphs=Graphs(
            encode=ENCODE, denoise=DENOISE, tokens="tokens", state="state", x="x", time="time", velocity="velocity"
        ),
        tokenizer=Tokenizer(path="tokenizer.json", max_tokens=MAX_TOKENS),
    )


def _floats(values: np.ndarray[Any, Any]) -> tuple[float, ...]:
    assert values.shape == (ACTION_DIM,)
    return tuple(float(v) for v in values)
