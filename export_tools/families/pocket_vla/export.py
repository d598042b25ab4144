"""From trained weights to the two INT8 graphs, with calibration on real observations and real flow trajectories."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edge_runtime.contracts.manifest import ParityReport, PolicyContract
from edge_runtime.drivers.sim.task import COLOURS, SHAPES, VERBS, SceneObject, phrase
from edge_runtime.policies.tokenizers.words import WordTokenizer
from export_tools.families.pocket_vla.contract import DENOISE, ENCODE, embodiment
from export_tools.families.pocket_vla.demonstrations import Demonstrations
from export_tools.families.pocket_vla.model import ConvNorm, PocketVla
from export_tools.families.pocket_vla.plans import Plans
from export_tools.graphs import export_graph
from export_tools.parity import compare, inert_inputs
from export_tools.quantize import Coverage, Scheme, quantize
from export_tools.sessions import RecordedSession, exported_sessions

# The first and last projections of the flow see tiny weights and set the error of every action: they stay in float.
KEEP_FLOAT = ("action_in", "action_out")
ENCODE_INPUTS = ("image_scene", "image_wrist", "tokens", "state")


@dataclass(frozen=True)
class Sample:
    """One observation with an instruction, as the policy gets it."""

    scene: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    wrist: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    words: str
    state: np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class _Encode(nn.Module):
    def __init__(self, model: PocketVla) -> None:
        super().__init__()
        self.model = model

    def forward(self, scene: Tensor, wrist: Tensor, tokens: Tensor, state: Tensor) -> tuple[Tensor, ...]:
        return self.model.encode(scene, wrist, tokens, state)


class _Denoise(nn.Module):
    def __init__(self, model: PocketVla) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, time: Tensor, *prefix: Tensor) -> Tensor:
        return self.model.denoise(x, time, prefix)


def samples_of(data: Demonstrations, count: int, seed: int) -> list[Sample]:
    """Random observations of `data` with evaluation-style sentences for one of their labelled instructions."""
    rng = np.random.default_rng([13, seed])
    out = []
    for row in rng.choice(len(data), size=min(count, len(data)), replace=False):
        item, verb = data.asked[row, 0]
        colour, shape = data.kinds[row, item]
        words = phrase(VERBS[verb], SceneObject(COLOURS[colour], SHAPES[shape]), "eval", rng)
        scene, wrist = data.images[row]
        out.append(Sample(scene[None].copy(), wrist[None].copy(), words, data.state[row].astype(np.float64)))
    return out


def fold_batch_norm(model: PocketVla) -> PocketVla:
    """A copy in which every convolution has swallowed its batch normalization: one rounding less in INT8."""
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, ConvNorm):
            convolution, norm = module[0], module[1]
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            module[0] = fuse_conv_bn_eval(convolution, norm)
            module[1] = nn.Identity()
    return model


def export_float(model: PocketVla, folder: Path) -> tuple[Path, Path]:
    """Write `encode.onnx` and `denoise.onnx` in floating point to `folder`; returns their paths."""
    model = fold_batch_norm(model)
    c = model.config
    px = c.image_px
    image = torch.zeros(1, px, px, 3, dtype=torch.uint8)
    tokens = torch.zeros(1, c.max_tokens, dtype=torch.int64)
    state = torch.zeros(1, c.action_dim)
    names = [f"prefix_{i}" for i in range(c.expert_layers)]
    encode, denoise = folder / ENCODE, folder / DENOISE
    export_graph(_Encode(model), (image, image.clone(), tokens, state), ENCODE_INPUTS, names, encode)
    with torch.no_grad():
        prefix = model.encode(image, image, tokens, state)
    x = torch.zeros(1, c.horizon, c.action_dim)
    export_graph(_Denoise(model), (x, torch.zeros(1), *prefix), ["x", "time", *names], ["velocity"], denoise)
    return encode, denoise


def export_int8(
    model: PocketVla,
    tokenizer: WordTokenizer,
    contract: PolicyContract,
    calibration: list[Sample],
    work: Path,
    target: Path,
    scheme: Scheme = Scheme.DYNAMIC,
) -> Coverage:
    """Write the INT8 `encode.onnx` and `denoise.onnx` to `target`; `work` keeps the floating-point ones."""
    encode, denoise = export_float(model, work)
    recorded = {name: RecordedSession(session) for name, session in exported_sessions(work, contract.graphs).items()}
    run = Plans(contract, recorded, tokenizer)
    for s in calibration:
        run(s.scene, s.wrist, s.words, s.state)
    done = quantize(encode, target / ENCODE, recorded[ENCODE].feeds, matmul=scheme)
    return done + quantize(denoise, target / DENOISE, recorded[DENOISE].feeds, matmul=scheme, keep_float=KEEP_FLOAT)


def parity_report(reference: Plans, exported: Plans, held_out: list[Sample], covered: Coverage) -> ParityReport:
    """Compare torch and exported graphs on held-out observations, in rad and m, and look for inputs without effect."""
    plans = [
        (reference(s.scene, s.wrist, s.words, s.state), exported(s.scene, s.wrist, s.words, s.state)) for s in held_out
    ]
    first, other = held_out[0], held_out[1]
    rng = np.random.default_rng(5)
    inputs = exported.inputs(first.scene, first.wrist, first.words, first.state)
    changed = {
        "image_scene": other.scene,
        "image_wrist": rng.permutation(first.wrist.reshape(-1)).reshape(first.wrist.shape),
        "tokens": np.roll(inputs["tokens"], 1),
        "state": np.asarray(inputs["state"], np.float32) + np.float32(0.5),
    }
    inert = inert_inputs(exported.normalized, inputs, changed)
    pair = np.stack([a for a, _ in plans]), np.stack([b for _, b in plans])
    return compare(*pair, embodiment(), covered.fraction, inert)
