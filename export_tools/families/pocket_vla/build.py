"""Demonstrations, training, export, quantization, parity, closed-loop check: all up to what the pipeline seals."""

from __future__ import annotations

import ctypes
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.golden import picture_key
from edge_runtime.policies.tokenizers.words import WordTokenizer, write_tokenizer
from export_tools.families.pocket_vla.closed_loop import Tally, evaluate
from export_tools.families.pocket_vla.contract import NAME, embodiment, policy_contract
from export_tools.families.pocket_vla.demonstrations import CAMERA_ORDER, Demonstrations, record
from export_tools.families.pocket_vla.export import (
    Sample,
    export_int8,
    parity_report,
    samples_of,
)
from export_tools.families.pocket_vla.language import MAX_TOKENS, SentenceTable, build_tokenizer
from export_tools.families.pocket_vla.model import PocketConfig, PocketVla
from export_tools.families.pocket_vla.plans import Plans
from export_tools.families.pocket_vla.sessions import torch_sessions
from export_tools.families.pocket_vla.train import BatchMaker, Scaling, TrainingLog, horizon_scale_of, scaling_of, train
from export_tools.families.seam import Draft, Say
from export_tools.parity import INT8, require_parity
from export_tools.pictures import range_of
from export_tools.sessions import exported_sessions

RELEASE = "0.1.0"
LIMIT_BYTES = 15_000_000
GOLDEN_PAIRS = 8
PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy", "mujoco")


@dataclass(frozen=True)
class Recipe:
    """Everything a build depends on, besides the code."""

    seed: int = 0
    observations: int = 50_000
    steps: int = 2_200
    pictures: int = 64
    peak_rate: float = 1.0e-3
    training_limit_minutes: float = 27.0
    calibration: int = 64
    held_out: int = 128
    looked_at: int = 2_000
    closed_loop_episodes: int = 100


@dataclass
class Trained:
    """A policy in floating point with all that is needed to run it."""

    model: PocketVla
    tokenizer: WordTokenizer
    scaling: Scaling


def keep_freed_memory() -> None:
    """Tell glibc to reuse freed memory instead of returning it: training allocates the same blocks at every step, and
    page faults cost it a fifth of its speed. Does nothing where there is no glibc."""
    m_trim_threshold, m_mmap_max = -1, -4
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    libc.mallopt(m_mmap_max, 0)
    libc.mallopt(m_trim_threshold, 2**31 - 1)


def train_from_nothing(recipe: Recipe, say: Say) -> tuple[Trained, dict[str, Any]]:
    """Record demonstrations and train on them; returns the policy and the figures of the run."""
    keep_freed_memory()
    started = time.monotonic()
    say(f"recording {recipe.observations} observations of scripted demonstrations")
    data = record(recipe.observations, recipe.seed)
    recorded_minutes = (time.monotonic() - started) / 60.0
    say(f"recorded in {recorded_minutes:.1f} min ({len(data) / (60 * recorded_minutes):.0f} a second)")
    tokenizer = build_tokenizer()
    scaling = scaling_of(data)
    torch.manual_seed(recipe.seed)
    model = PocketVla(PocketConfig(vocabulary=tokenizer.size, max_tokens=MAX_TOKENS))
    model.horizon_scale.copy_(horizon_scale_of(data, scaling))
    batches = BatchMaker(data, scaling, SentenceTable(tokenizer), recipe.seed)

    def report(log: TrainingLog, share: float) -> None:
        step, flow, heads = log.curve[-1]
        say(
            f"training {share:4.0%}  step {step}  flow loss {flow:.4f}  grounding loss {heads:.4f}  "
            f"{log.samples_per_s:.0f} pictures/s  {log.minutes:.1f} min"
        )

    log = train(
        model,
        batches,
        observations=len(data),
        steps=recipe.steps,
        limit_minutes=recipe.training_limit_minutes,
        pictures=recipe.pictures,
        peak_rate=recipe.peak_rate,
        seed=recipe.seed,
        report=report,
    )
    figures = {
        "recipe": asdict(recipe),
        "recording_minutes": round(recorded_minutes, 2),
        "training": {
            **asdict(log),
            "curve": [[s, round(f, 5), round(h, 5)] for s, f, h in log.curve[::4] + log.curve[-1:]],
        },
    }
    return Trained(model, tokenizer, scaling), figures


def store_weights(trained: Trained, path: Path) -> None:
    """Keep the weights as half-precision safetensors, with the scaling: enough to export again without training."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"model.{name}": value.numpy().astype(np.float16) if value.dtype == torch.float32 else value.numpy()
        for name, value in trained.model.state_dict().items()
    }
    # Running variances reach below what half precision holds; statistics are few, so they stay whole.
    for name, value in trained.model.state_dict().items():
        if "running_" in name:
            tensors[f"model.{name}"] = value.numpy()
    tensors.update({f"scaling.{name}": np.asarray(value) for name, value in asdict(trained.scaling).items()})
    save_file(tensors, str(path))


def load_weights(path: Path) -> Trained:
    """The inverse of `store_weights`; the tokenizer is rebuilt from the grammar.

    Raises:
        BundleError: the file holds no weights, or those of another model.
        OSError: the file can't be read.
    """
    try:
        tensors = load_file(str(path))
    except SafetensorError as error:
        raise BundleError(f"{path}: no file of weights: {error}") from error
    tokenizer = build_tokenizer()
    model = PocketVla(PocketConfig(vocabulary=tokenizer.size, max_tokens=MAX_TOKENS))
    state = {
        name.removeprefix("model."): torch.from_numpy(value).to(torch.float32 if value.dtype == np.float16 else None)
        for name, value in tensors.items()
        if name.startswith("model.")
    }
    try:
        model.load_state_dict(state)
        scaling = Scaling(**{n.removeprefix("scaling."): v for n, v in tensors.items() if n.startswith("scaling.")})
    except (RuntimeError, TypeError) as error:
        raise BundleError(f"{path}: weights of another model than {NAME}") from error
    return Trained(model.eval(), tokenizer, scaling)


def draft_bundle(trained: Trained, recipe: Recipe, figures: dict[str, Any], folder: Path, say: Say) -> Draft:
    """Export and quantize to the empty `folder`, and hold the result against `trained`.

    Raises:
        BundleError: names the gate that failed.
    """
    started = time.monotonic()
    say("recording fresh observations for calibration and for the parity gate")
    data = record(recipe.calibration + recipe.held_out, recipe.seed + 1, workers=1)
    calibration = samples_of(_slice(data, 0, recipe.calibration), recipe.calibration, recipe.seed)
    held_out = samples_of(_slice(data, recipe.calibration, len(data)), recipe.held_out, recipe.seed + 1)
    say("looking at training pictures, so that the robot can tell a strange one")
    looked_at = record(recipe.looked_at, recipe.seed, workers=1).images
    trained_on = {camera: range_of(looked_at[:, i]) for i, camera in enumerate(CAMERA_ORDER)}
    contract = policy_contract(trained.scaling, trained_on)
    with tempfile.TemporaryDirectory(prefix="float-") as work:
        say("exporting two graphs and quantizing them to INT8")
        covered = export_int8(trained.model, trained.tokenizer, contract, calibration, Path(work), folder)
    exported = Plans(contract, exported_sessions(folder, contract.graphs), trained.tokenizer)
    reference = Plans(contract, torch_sessions(trained.model, contract), trained.tokenizer)
    parity = parity_report(reference, exported, held_out, covered)
    # The pipeline asks again; here before an hour of episodes.
    require_parity(parity, INT8)
    say(f"parity holds: p99 {max(parity.error_p99_rad):.4f} rad, {parity.quantized_weight_fraction:.1%} INT8")
    figures = {**figures, "export_minutes": round((time.monotonic() - started) / 60.0, 2)}
    if recipe.closed_loop_episodes:
        figures["closed_loop_int8_in_process"] = closed_loop(exported, recipe.closed_loop_episodes, say)
    write_tokenizer(folder / "tokenizer.json", trained.tokenizer)
    (folder / "training.json").write_text(json.dumps(figures, indent=1) + "\n")
    return Draft(
        name=NAME,
        release=RELEASE,
        precision=INT8,
        parameters=sum(p.numel() for p in trained.model.parameters()),
        contract=contract,
        embodiment=embodiment(),
        parity=parity,
        golden=_golden(held_out[:GOLDEN_PAIRS], reference),
        seed=recipe.seed,
        packages=PACKAGES,
        limit_bytes=LIMIT_BYTES,
    )


def closed_loop(plans: Plans, episodes: int, say: Say) -> dict[str, Any]:
    """Success on evaluation episodes, and with the instruction swapped; no runtime involved."""
    out: dict[str, Any] = {}
    for key, swapped in (("instructed", False), ("swapped", True)):
        tally = evaluate(plans, range(episodes), swapped=swapped)
        out[key] = _tally(tally)
        say(f"closed loop, {key}: {tally.successes}/{tally.episodes} [{tally.low:.2f}, {tally.high:.2f}]")
    return out


def _slice(data: Demonstrations, low: int, high: int) -> Demonstrations:
    return Demonstrations(**{name: value[low:high] for name, value in vars(data).items()})


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "episodes": tally.episodes,
        "successes": tally.successes,
        "interval_95": [round(tally.low, 4), round(tally.high, 4)],
        "mean_seconds": round(tally.mean_seconds, 2),
        "failures": list(tally.failures) if tally.successes * 2 > tally.episodes else len(tally.failures),
    }


def _golden(samples: list[Sample], reference: Plans) -> dict[str, npt.NDArray[Any]]:
    """Observations with the plan of the trained policy, for a check on the device that will run the bundle."""
    return {
        picture_key("scene"): np.concatenate([s.scene for s in samples]),
        picture_key("wrist"): np.concatenate([s.wrist for s in samples]),
        "instruction": np.array([s.words for s in samples]),
        "state": np.stack([s.state for s in samples]),
        "plan": np.stack([reference(s.scene, s.wrist, s.words, s.state) for s in samples]),
    }
