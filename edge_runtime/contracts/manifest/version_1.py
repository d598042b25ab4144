"""The policy contract of format version 1: two graphs with a flow, words, two statistics, joints and a gripper.

Guarantees that what `upgraded` returns is written again by `written` byte for byte: a bundle of this version keeps its
digest. It is read for good, and no longer the form of new bundles.
"""

from __future__ import annotations

import re
from typing import Literal

from edge_runtime.contracts.manifest import policy as newest
from edge_runtime.contracts.manifest.decoding import FlowDecoder, Graph, GraphRole
from edge_runtime.contracts.manifest.inputs import (
    INSTRUCTION,
    CameraInput,
    GripperState,
    Inputs,
    JointPositionState,
    RawPixels,
    StateInput,
    Stretch,
    TextInput,
    WordList,
)
from edge_runtime.contracts.manifest.outputs import GripperOpening, JointPositions, Outputs
from edge_runtime.contracts.manifest.parts import Part, PictureRange, SentenceContract
from edge_runtime.contracts.manifest.statistics import MeanStd


class ImageInput(Part, frozen=True, omit_defaults=True):
    """One camera as the encode graph wants it: uint8 RGB of shape (1, height_px, width_px, 3) under `tensor`."""

    camera: str
    tensor: str
    width_px: int
    height_px: int
    trained_on: PictureRange | None = None


class Normalization(Part, frozen=True):
    """``normalized = (physical - mean) / std``, per dimension; physical is rad for joints, m for the gripper."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        MeanStd(mean=self.mean, std=self.std)


class FlowSampler(Part, frozen=True):
    """Euler integration of the flow from noise (t = 0) to action (t = 1), see `FlowDecoder`."""

    steps: int
    noise_seed: int
    fixed_noise: bool


class Graphs(Part, frozen=True):
    """Paths of the two graphs, and names of their tensors."""

    encode: str
    denoise: str
    tokens: str
    state: str
    x: str
    time: str
    velocity: str


class Tokenizer(Part, frozen=True):
    """Word-level tokenizer, see `WordList`."""

    path: str
    max_tokens: int


class PolicyContract(Part, frozen=True, omit_defaults=True):
    """With `delta_to_observed` a normalized action is the offset from the position at exposure (gripper: absolute)."""

    family: str
    embodiment: str
    joint_names: tuple[str, ...]
    joint_digest: str
    images: tuple[ImageInput, ...]
    state_normalization: Normalization
    action_normalization: Normalization
    action_representation: Literal["absolute", "delta_to_observed"]
    action_dt_ns: int
    horizon: int
    sampler: FlowSampler
    graphs: Graphs
    tokenizer: Tokenizer
    sentences: SentenceContract | None = None

    def __post_init__(self) -> None:
        width = len(self.joint_names) + 1
        if len(self.action_normalization.mean) != width or len(self.state_normalization.mean) != width:
            raise ValueError(f"normalization needs {width} dimensions: every joint and the gripper")


_REFERENCES: dict[str, Literal["zero", "observed"]] = {"absolute": "zero", "delta_to_observed": "observed"}


def upgraded(policy: PolicyContract) -> newest.PolicyContract:
    """The same policy in the newest contract.

    Raises:
        ValueError: it can't be: a horizon or a time between actions that no chunk can have.
    """
    joints, graphs, sampler = policy.joint_names, policy.graphs, policy.sampler
    state, action = _divided(policy.state_normalization), _divided(policy.action_normalization)
    return newest.PolicyContract(
        family=policy.family,
        embodiment=policy.embodiment,
        joint_names=joints,
        joint_digest=policy.joint_digest,
        inputs=Inputs(
            cameras=tuple(_camera(image) for image in policy.images),
            state=StateInput(
                tensor=graphs.state,
                groups=(
                    JointPositionState(joints=joints, statistics=state[0]),
                    GripperState(unit="m", statistics=state[1]),
                ),
            ),
            text=TextInput(
                tensor=graphs.tokens,
                max_tokens=policy.tokenizer.max_tokens,
                template=INSTRUCTION,
                tokenizer=WordList(path=policy.tokenizer.path),
                sentences=policy.sentences,
            ),
        ),
        graphs=(Graph(role=GraphRole.ENCODE, path=graphs.encode), Graph(role=GraphRole.STEP, path=graphs.denoise)),
        decoder=FlowDecoder(
            x=graphs.x,
            time=graphs.time,
            velocity=graphs.velocity,
            steps=sampler.steps,
            time_from=0.0,
            time_to=1.0,
            noise_seed=sampler.noise_seed,
            fixed_noise=sampler.fixed_noise,
        ),
        outputs=Outputs(
            horizon=policy.horizon,
            action_dt_ns=policy.action_dt_ns,
            trained_delay=0,
            groups=(
                JointPositions(
                    joints=joints, relative_to=_REFERENCES[policy.action_representation], statistics=action[0]
                ),
                GripperOpening(unit="m", statistics=action[1]),
            ),
        ),
    )


def written(policy: newest.PolicyContract) -> PolicyContract:
    """What `upgraded` made `policy` of.

    Raises:
        ValueError: version 1 has no words for this policy.
    """
    problem = ValueError("format_version 1 can't say this of a policy: write it with format_version 2")
    state, text, outputs, decoder = policy.inputs.state, policy.inputs.text, policy.outputs, policy.decoder
    images = [camera for camera in policy.inputs.cameras if camera.camera is not None]
    if state is None or text is None or not isinstance(decoder, FlowDecoder):
        raise problem
    if len(state.groups) != 2 or len(outputs.groups) != 2 or len(policy.graphs) != 2:
        raise problem
    (of_joints, of_gripper), (positions, opening) = state.groups, outputs.groups
    if not isinstance(positions, JointPositions) or not isinstance(opening, GripperOpening):
        raise problem
    measures = [group.statistics for group in (of_joints, of_gripper, positions, opening)]
    plain = [measure for measure in measures if isinstance(measure, MeanStd)]
    if len(plain) != len(measures):
        raise problem
    encode, denoise = policy.graphs
    old = PolicyContract(
        family=policy.family,
        embodiment=policy.embodiment,
        joint_names=policy.joint_names,
        joint_digest=policy.joint_digest,
        images=tuple(
            ImageInput(
                camera=policy.cameras[number],
                tensor=camera.tensor,
                width_px=camera.width_px,
                height_px=camera.height_px,
                trained_on=camera.trained_on,
            )
            for number, camera in enumerate(images)
        ),
        state_normalization=_joined(plain[0], plain[1]),
        action_normalization=_joined(plain[2], plain[3]),
        action_representation="absolute" if positions.relative_to == "zero" else "delta_to_observed",
        action_dt_ns=outputs.action_dt_ns,
        horizon=outputs.horizon,
        sampler=FlowSampler(steps=decoder.steps, noise_seed=decoder.noise_seed, fixed_noise=decoder.fixed_noise),
        graphs=Graphs(
            encode=encode.path,
            denoise=denoise.path,
            tokens=text.tensor,
            state=state.tensor,
            x=decoder.x,
            time=decoder.time,
            velocity=decoder.velocity,
        ),
        tokenizer=Tokenizer(path=text.tokenizer.path, max_tokens=text.max_tokens),
        sentences=text.sentences,
    )
    if upgraded(old) != policy:
        raise problem
    return old


_NAMES = (
    (r"policy\.inputs\.cameras", "policy.images"),
    (r"policy\.inputs\.state\.groups\[\d+\]\.statistics", "policy.state_normalization"),
    (r"policy\.inputs\.state\b", "policy.graphs.state"),
    (r"policy\.inputs\.text\.max_tokens", "policy.tokenizer.max_tokens"),
    (r"policy\.outputs\.groups\[\d+\]\.statistics", "policy.action_normalization"),
    (r"policy\.outputs\.", "policy."),
    (r"policy\.decoder\.(steps|noise_seed|fixed_noise)", r"policy.sampler.\1"),
)


def name_of(field: str) -> str:
    """What a field of the newest contract, or a sentence that begins with one, is called in this version."""
    for pattern, old in _NAMES:
        field, count = re.subn(f"^{pattern}", old, field)
        if count:
            break
    return field


def _camera(image: ImageInput) -> CameraInput:
    return CameraInput(
        camera=image.camera,
        tensor=image.tensor,
        width_px=image.width_px,
        height_px=image.height_px,
        resize=Stretch(),
        interpolation="bilinear",
        antialias="area",
        colours="rgb",
        layout="hwc",
        scale=RawPixels(),
        trained_on=image.trained_on,
    )


def _divided(normalization: Normalization) -> tuple[MeanStd, MeanStd]:
    """Of the joints, and of the gripper, which is last."""
    mean, std = normalization.mean, normalization.std
    return MeanStd(mean=mean[:-1], std=std[:-1]), MeanStd(mean=mean[-1:], std=std[-1:])


def _joined(joints: MeanStd, gripper: MeanStd) -> Normalization:
    return Normalization(mean=joints.mean + gripper.mean, std=joints.std + gripper.std)
