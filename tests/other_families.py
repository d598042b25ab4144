"""Policies of other kinds than the shipped one, as bundles: tiny ONNX graphs whose answers are known, on a robot of
their own. Each is a manifest, its graphs and its golden pairs, and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edge_runtime.contracts.embodiment import (
    Camera,
    Embodiment,
    EmbodimentOfVersion1,
    GripperOfVersion1,
    JointOfVersion1,
)
from edge_runtime.contracts.golden import GOLDEN_FORMAT, GOLDEN_NAME, picture_key
from edge_runtime.contracts.manifest import (
    CacheTensor,
    CameraInput,
    EmbodimentInput,
    EndEffectorMotion,
    Graph,
    GraphRole,
    GripperOpening,
    GripperState,
    GripperSwitch,
    Held,
    HuggingFaceTokenizer,
    Inputs,
    JointPositions,
    JointPositionState,
    Manifest,
    MeanStd,
    Outputs,
    Pad,
    ParityReport,
    PolicyContract,
    Provenance,
    Quantiles,
    RawPixels,
    RegressionDecoder,
    ScaledPixels,
    StateInPrompt,
    StateInput,
    Stretch,
    TextInput,
    TokensDecoder,
    Unscaled,
    blob_of,
    write_manifest,
)
from tests import onnx_bundle

Float64 = NDArray[np.float64]

# Two arms, of which the right one has the gripper; the left one's single finger is a joint as any other.
LEFT = tuple(f"left_joint{number}" for number in range(1, 7))
RIGHT = tuple(f"right_joint{number}" for number in range(1, 7))
FINGER = "left_finger"
JOINTS = (*RIGHT, *LEFT, FINGER)
CAMERAS = ("high", "left_wrist", "right_wrist")
WIDTH_PX, HEIGHT_PX = 32, 24
CAMERA_PX = (64, 48)
HORIZON, DT_NS = 100, 20_000_000
OPENING_MAX_M = 0.1
IMAGENET = ScaledPixels(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
WEIGHTS = (0.01, 0.02, 0.04)
"""Of the cameras' mean: which one is which can be told from the answer."""

CASES = 3


def two_armed() -> Embodiment:
    """13 joints, one gripper, three cameras."""
    joints = tuple(
        JointOfVersion1(
            name=name,
            position_min_rad=-3.0,
            position_max_rad=3.0,
            velocity_max_rad_s=3.0,
            acceleration_max_rad_s2=15.0,
            jerk_max_rad_s3=8000.0,
            torque_max_nm=40.0,
        )
        for name in JOINTS
    )
    return EmbodimentOfVersion1(
        name="two_armed",
        joints=joints,
        gripper=GripperOfVersion1(opening_max_m=OPENING_MAX_M, speed_max_m_s=0.2),
        cameras=tuple(
            Camera(name=name, width_px=CAMERA_PX[0], height_px=CAMERA_PX[1], rate_hz=30.0) for name in CAMERAS
        ),
        home_rad=tuple(0.01 * number for number in range(len(JOINTS))),
    ).newest()


# The policy has its own order: left arm, finger, right arm, gripper.
STATE_MEAN = tuple(0.02 * number for number in range(13))
STATE_STD = tuple(0.5 + 0.01 * number for number in range(13))
ACTION_MEAN = tuple(0.03 * number for number in range(13))
ACTION_STD = tuple(0.2 + 0.01 * number for number in range(13))
ORDER = (*LEFT, FINGER, *RIGHT)
GRIPPER = MeanStd(mean=(0.5,), std=(0.25,))


def camera_input(camera: str | None, **changes: Any) -> CameraInput:
    """A picture as torchvision's models take it."""
    fields: dict[str, Any] = {
        "camera": camera,
        "tensor": f"observation.images.{camera}",
        "width_px": WIDTH_PX,
        "height_px": HEIGHT_PX,
        "resize": Stretch(),
        "interpolation": "bilinear",
        "antialias": "triangle",
        "colours": "rgb",
        "layout": "chw",
        "scale": IMAGENET,
    }
    return CameraInput(**{**fields, **changes})


def regression_contract(embodiment: Embodiment) -> PolicyContract:
    """A regression head on three cameras and 14 numbers, without a word: a chunk of 100 absolute actions."""
    return PolicyContract(
        family="chunk_regression",
        embodiment=embodiment.name,
        joint_names=embodiment.joint_names,
        joint_digest=embodiment.joint_digest,
        inputs=Inputs(
            cameras=tuple(map(camera_input, CAMERAS)),
            state=StateInput(
                tensor="observation.state",
                groups=(
                    JointPositionState(joints=ORDER, statistics=MeanStd(mean=STATE_MEAN, std=STATE_STD)),
                    GripperState(unit="fraction_open", statistics=GRIPPER),
                ),
            ),
        ),
        graphs=(Graph(role=GraphRole.ENCODE, path="policy.onnx"),),
        decoder=RegressionDecoder(actions="action"),
        outputs=Outputs(
            horizon=HORIZON,
            action_dt_ns=DT_NS,
            trained_delay=0,
            groups=(
                JointPositions(joints=ORDER, relative_to="zero", statistics=MeanStd(mean=ACTION_MEAN, std=ACTION_STD)),
                GripperOpening(unit="fraction_open", statistics=GRIPPER),
            ),
        ),
    )


def regression_graph() -> onnx.ModelProto:
    """action[k] = state + 0.001 k + the weighted means of the pictures, all normalized."""
    node = helper.make_node
    nodes, parts = [], []
    for camera in CAMERAS:
        nodes += [
            node("ReduceMean", [f"observation.images.{camera}"], [f"mean_{camera}"], keepdims=0),
            node("Mul", [f"mean_{camera}", f"weight_{camera}"], [f"part_{camera}"]),
        ]
        parts.append(f"part_{camera}")
    nodes += [
        node("Sum", parts, ["pictures"]),
        node("Unsqueeze", ["observation.state", "axis"], ["row"]),
        node("Add", ["row", "ramp"], ["rows"]),
        node("Add", ["rows", "pictures"], ["action"]),
    ]
    pictures = [
        onnx_bundle.tensor(f"observation.images.{camera}", TensorProto.FLOAT, 1, 3, HEIGHT_PX, WIDTH_PX)
        for camera in CAMERAS
    ]
    ramp = np.repeat(0.001 * np.arange(HORIZON, dtype=np.float32)[None, :, None], 14, axis=2)
    return onnx_bundle.model(
        nodes,
        [*pictures, onnx_bundle.tensor("observation.state", TensorProto.FLOAT, 1, 14)],
        [onnx_bundle.tensor("action", TensorProto.FLOAT, 1, HORIZON, 14)],
        axis=np.array([1], np.int64),
        ramp=ramp,
        **{f"weight_{camera}": np.array(weight, np.float32) for camera, weight in zip(CAMERAS, WEIGHTS, strict=True)},
    )


def regression_plan(greys: tuple[int, int, int], state: Float64) -> Float64:
    """What the trained policy answers to pictures of one grey each, in physical units and the robot's order.

    Args:
        state: (14,) the robot's joints in its own order, rad, and the gripper's opening, m.
    """
    index = {name: number for number, name in enumerate(JOINTS)}
    own = np.array([state[index[name]] for name in ORDER])
    normalized = np.append((own - STATE_MEAN) / STATE_STD, (state[-1] / OPENING_MAX_M - 0.5) / 0.25)
    seen = sum(
        weight * float(np.mean((grey / 255.0 - np.array(IMAGENET.mean)) / np.array(IMAGENET.std)))
        for grey, weight in zip(greys, WEIGHTS, strict=True)
    )
    rows = normalized + 0.001 * np.arange(HORIZON)[:, None] + seen
    plan = np.empty_like(rows)
    for number, name in enumerate(ORDER):
        plan[:, index[name]] = rows[:, number] * ACTION_STD[number] + ACTION_MEAN[number]
    plan[:, -1] = np.clip((rows[:, -1] * 0.25 + 0.5) * OPENING_MAX_M, 0.0, OPENING_MAX_M)
    return plan


def write(
    folder: Path,
    contract: PolicyContract,
    graphs: dict[str, onnx.ModelProto],
    golden: dict[str, Any] | None = None,
    files: dict[str, bytes] | None = None,
) -> Path:
    """Write a bundle of format version 2 to the new `folder`, and return it."""
    folder.mkdir(parents=True)
    for path, graph in graphs.items():
        onnx.save(graph, str(folder / path))
    for path, data in (files or {}).items():
        (folder / path).write_bytes(data)
    if golden is not None:
        dt_ns = np.array(contract.action_dt_ns)
        np.savez_compressed(folder / GOLDEN_NAME, format=np.array(GOLDEN_FORMAT), action_dt_ns=dt_ns, **golden)
    joints = len(contract.joints)
    manifest = Manifest(
        format_version=2,
        name=contract.family,
        version="1",
        precision="fp32",
        parameters=0,
        policy=contract,
        blobs=tuple(blob_of(folder, path.name) for path in sorted(folder.iterdir())),
        provenance=Provenance(command="none", seed=0, versions={}),
        parity=ParityReport(
            samples=CASES,
            error_max_rad=(1e-5,) * joints,
            error_p99_rad=(1e-5,) * joints,
            bound_p99_rad=0.001,
            gripper_flips=0,
            quantized_weight_fraction=0.0,
            inert_inputs=(),
        ),
    )
    write_manifest(folder, manifest)
    return folder


def regression_bundle(folder: Path, **changes: Any) -> Path:
    """The second family's bundle, with the trained policy's answers; `changes` replace fields of its contract."""
    embodiment = two_armed()
    draw = np.random.default_rng(3)
    greys = draw.integers(40, 200, (CASES, len(CAMERAS)))
    state = np.column_stack((draw.uniform(-0.3, 0.3, (CASES, len(JOINTS))), draw.uniform(0.02, 0.08, CASES)))
    golden = {
        picture_key(camera): np.stack(
            [np.full((CAMERA_PX[1], CAMERA_PX[0], 3), grey, dtype=np.uint8) for grey in greys[:, number]]
        )
        for number, camera in enumerate(CAMERAS)
    }
    plans = [regression_plan(tuple(map(int, greys[case])), state[case]) for case in range(CASES)]  # type: ignore[arg-type]
    golden |= {"state": state, "plan": np.stack(plans)}
    contract = msgspec.structs.replace(regression_contract(embodiment), **changes)
    return write(folder, contract, {"policy.onnx": regression_graph()}, golden)


# The third family: a token for each dimension of each action, one after the other, end-effector deltas, quantiles.
TOKEN_HORIZON, BINS, FIRST_TOKEN, VOCABULARY, MAX_TOKENS = 2, 16, 8, 32, 160
PROMPT = "In: {instruction}, State: {state};\nOut:"
PALM_PX = 8


def byte_tokenizer() -> bytes:
    """A `tokenizer.json` of single bytes, with a token at the beginning of each text: id 1, and 0 for padding."""
    import tokenizers
    from tokenizers import models, pre_tokenizers, processors

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    ids = {"<pad>": 0, "<bos>": 1, **{sign: number for number, sign in enumerate(alphabet, 2)}}
    made = tokenizers.Tokenizer(models.BPE(vocab=ids, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return made.to_str().encode()


def _bounds(width: int, reach: float) -> Quantiles:
    return Quantiles(low=(-reach,) * width, high=(reach,) * width, clip=True)


def token_contract(embodiment: Embodiment, *, is_end_effector: bool) -> PolicyContract:
    """Reads a prompt with the state in it, and answers with tokens; of the tool's motion, or of the joints'."""
    moves: tuple[Any, ...]
    if is_end_effector:
        motion = EndEffectorMotion(
            relative_to="previous", frame="base", rotation="rotation_vector", statistics=_bounds(6, 0.05)
        )
        moves = (motion, Held(joints=embodiment.joint_names, gripper=False))
    else:
        moving = JointPositions(joints=RIGHT, relative_to="previous", statistics=_bounds(6, 0.05))
        moves = (moving, Held(joints=(*LEFT, FINGER), gripper=False))
    return PolicyContract(
        family="token_actions",
        embodiment=embodiment.name,
        joint_names=embodiment.joint_names,
        joint_digest=embodiment.joint_digest,
        inputs=Inputs(
            cameras=(
                camera_input(
                    "high",
                    tensor="pixel_values",
                    width_px=PALM_PX,
                    height_px=PALM_PX,
                    resize=Pad(value=0, anchor="centre"),
                    layout="hwc",
                    scale=RawPixels(),
                ),
            ),
            text=TextInput(
                tensor="input_ids",
                mask="attention_mask",
                max_tokens=MAX_TOKENS,
                template=PROMPT,
                tokenizer=HuggingFaceTokenizer(path="tokenizer.json", pad=0, padding="right"),
                state=StateInPrompt(bins=256, groups=(JointPositionState(joints=RIGHT, statistics=_bounds(6, 3.0)),)),
            ),
            embodiment=EmbodimentInput(tensor="embodiment_id", value=3),
        ),
        graphs=(
            Graph(role=GraphRole.ENCODE, path="prefill.onnx"),
            Graph(
                role=GraphRole.STEP, path="decode.onnx", cache=(CacheTensor(input="past_sum", output="present_sum"),)
            ),
        ),
        decoder=TokensDecoder(
            logits="logits", first_token=FIRST_TOKEN, bins=BINS, highest_first=True, token="next_token"
        ),
        outputs=Outputs(
            horizon=TOKEN_HORIZON,
            action_dt_ns=100_000_000,
            trained_delay=0,
            groups=(*moves, GripperSwitch(open_is="above", threshold=0.0, statistics=Unscaled())),
        ),
    )


def token_graphs() -> dict[str, onnx.ModelProto]:
    """Place p of a bin, from 0: at first (ids that mean something + embodiment + red of one pixel) mod 16, then
    (sum of all before + token) mod 16. The sum before is the cache."""
    node, int64, tensor = helper.make_node, TensorProto.INT64, onnx_bundle.tensor
    one_hot = [
        node("Mod", ["sum", "bins"], ["place"]),
        node("Add", ["place", "first"], ["token"]),
        node("OneHot", ["token", "vocabulary", "values"], ["logits"], axis=-1),
    ]
    constants = {
        "bins": np.array(BINS, np.int64),
        "first": np.array(FIRST_TOKEN, np.int64),
        "vocabulary": np.array([VOCABULARY], np.int64),
        "values": np.array([0.0, 1.0], np.float32),
    }
    logits = tensor("logits", TensorProto.FLOAT, 1, 1, VOCABULARY)
    prefill = onnx_bundle.model(
        [
            node("Cast", ["attention_mask"], ["meant"], to=int64),
            node("Mul", ["input_ids", "meant"], ["ids"]),
            node("ReduceSum", ["ids"], ["of_ids"], keepdims=0),
            node("Cast", ["pixel_values"], ["pixels"], to=int64),
            node("Slice", ["pixels", "from_middle", "to_middle"], ["pixel"]),
            node("ReduceSum", ["pixel"], ["of_pixel"], keepdims=0),
            node("Add", ["of_ids", "of_pixel"], ["of_both"]),
            node("Add", ["of_both", "embodiment_id"], ["of_all"]),
            node("Reshape", ["of_all", "one_row"], ["sum"]),
            node("Identity", ["sum"], ["past_sum"]),
            *one_hot,
        ],
        [
            tensor("pixel_values", TensorProto.UINT8, 1, PALM_PX, PALM_PX, 3),
            tensor("input_ids", int64, 1, MAX_TOKENS),
            tensor("attention_mask", TensorProto.BOOL, 1, MAX_TOKENS),
            tensor("embodiment_id", int64, 1),
        ],
        [logits, tensor("past_sum", int64, 1, 1)],
        from_middle=np.array([0, PALM_PX // 2, PALM_PX // 2, 0], np.int64),
        to_middle=np.array([1, PALM_PX // 2 + 1, PALM_PX // 2 + 1, 1], np.int64),
        one_row=np.array([1, 1], np.int64),
        **constants,
    )
    decode = onnx_bundle.model(
        [
            node("Add", ["past_sum", "next_token"], ["sum"]),
            node("Identity", ["sum"], ["present_sum"]),
            *one_hot,
        ],
        [tensor("next_token", int64, 1, 1), tensor("past_sum", int64, 1, 1)],
        [logits, tensor("present_sum", int64, 1, 1)],
        **constants,
    )
    return {"prefill.onnx": prefill, "decode.onnx": decode}


def token_values(prompt: str, grey: int) -> Float64:
    """(horizon, 7) what the trained policy's tokens mean for a prompt and a picture of one grey, over -1 … 1."""
    import tokenizers

    ids = tokenizers.Tokenizer.from_str(byte_tokenizer().decode()).encode(prompt).ids
    total = sum(ids) + grey + 3
    places = [total % BINS]
    for _ in range(TOKEN_HORIZON * 7 - 1):
        total += FIRST_TOKEN + places[-1]
        places.append(total % BINS)
    centres = [(BINS - 1 - place + 0.5) * 2.0 / BINS - 1.0 for place in places]
    return np.array(centres).reshape(TOKEN_HORIZON, 7)


def token_bundle(folder: Path, *, is_end_effector: bool = False) -> Path:
    """The third family's bundle, without golden pairs."""
    contract = token_contract(two_armed(), is_end_effector=is_end_effector)
    return write(folder, contract, token_graphs(), files={"tokenizer.json": byte_tokenizer()})


def one_eyed_bundle(folder: Path, embodiment: Embodiment) -> Path:
    """Two places for cameras, of which the robot has one.

    Each value of an action is 0.1 where the first is there and the other is not, and 0.001 for a grey level of either.
    """
    joints, horizon = embodiment.joint_names, 2
    node, px = helper.make_node, (1, 4, 4, 3)
    nodes = []
    for place in ("first", "other"):
        nodes += [
            node("Cast", [place], [f"{place}_float"], to=TensorProto.FLOAT),
            node("ReduceMean", [f"{place}_float"], [f"{place}_mean"], keepdims=0),
            node("Cast", [f"{place}_mask"], [f"{place}_there"], to=TensorProto.FLOAT),
        ]
    nodes += [
        node("Sum", ["first_mean", "other_mean"], ["grey"]),
        node("Mul", ["grey", "thousandth"], ["of_grey"]),
        node("Sub", ["first_there", "other_there"], ["there"]),
        node("Mul", ["there", "tenth"], ["of_masks"]),
        node("Add", ["of_grey", "of_masks"], ["all"]),
        node("Expand", ["all", "shape"], ["action"]),
    ]
    graph = onnx_bundle.model(
        nodes,
        [
            *(onnx_bundle.tensor(place, TensorProto.UINT8, *px) for place in ("first", "other")),
            *(onnx_bundle.tensor(f"{place}_mask", TensorProto.BOOL, 1) for place in ("first", "other")),
        ],
        [onnx_bundle.tensor("action", TensorProto.FLOAT, 1, horizon, len(joints))],
        thousandth=np.array(0.001, np.float32),
        tenth=np.array(0.1, np.float32),
        shape=np.array([1, horizon, len(joints)], np.int64),
    )
    raw = {"width_px": 4, "height_px": 4, "layout": "hwc", "scale": RawPixels()}
    cameras = (
        camera_input("high", tensor="first", mask="first_mask", **raw),
        camera_input(None, tensor="other", mask="other_mask", **raw),
    )
    contract = PolicyContract(
        family="one_eyed",
        embodiment=embodiment.name,
        joint_names=joints,
        joint_digest=embodiment.joint_digest,
        inputs=Inputs(cameras=cameras),
        graphs=(Graph(role=GraphRole.ENCODE, path="policy.onnx"),),
        decoder=RegressionDecoder(actions="action"),
        outputs=Outputs(
            horizon=horizon,
            action_dt_ns=DT_NS,
            trained_delay=0,
            groups=(
                JointPositions(joints=joints, relative_to="zero", statistics=Unscaled()),
                Held(joints=(), gripper=True),
            ),
        ),
    )
    return write(folder, contract, {"policy.onnx": graph})


def blind_bundle(folder: Path, embodiment: Embodiment) -> Path:
    """Neither camera nor word: from the joints alone, the first one creeps on by a thousandth of a radian an action."""
    joints, horizon = embodiment.joint_names, 20
    width = len(joints)
    creep = np.zeros((1, horizon, width), np.float32)
    creep[0, :, 0] = 0.001 * np.arange(1, horizon + 1)
    node = helper.make_node
    graph = onnx_bundle.model(
        [
            node("Mul", ["state", "zero"], ["still"]),
            node("Unsqueeze", ["still", "axis"], ["row"]),
            node("Add", ["row", "creep"], ["action"]),
        ],
        [onnx_bundle.tensor("state", TensorProto.FLOAT, 1, width)],
        [onnx_bundle.tensor("action", TensorProto.FLOAT, 1, horizon, width)],
        zero=np.array(0.0, np.float32),
        axis=np.array([1], np.int64),
        creep=creep,
    )
    contract = PolicyContract(
        family="creeper",
        embodiment=embodiment.name,
        joint_names=joints,
        joint_digest=embodiment.joint_digest,
        inputs=Inputs(
            state=StateInput(tensor="state", groups=(JointPositionState(joints=joints, statistics=Unscaled()),))
        ),
        graphs=(Graph(role=GraphRole.ENCODE, path="creep.onnx"),),
        decoder=RegressionDecoder(actions="action"),
        outputs=Outputs(
            horizon=horizon,
            action_dt_ns=50_000_000,
            trained_delay=0,
            groups=(
                JointPositions(joints=joints, relative_to="observed", statistics=Unscaled()),
                Held(joints=(), gripper=True),
            ),
        ),
    )
    return write(folder, contract, {"creep.onnx": graph})
