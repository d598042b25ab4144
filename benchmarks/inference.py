"""Latency of the shipped INT8 bundle on this CPU against the same policy in torch eager, by turns in one run.

Beside them the bundle as it runs on a processor whose INT8 products saturate, with its weights made UINT8: what exact
products cost there is measured where both ways are exact.

``python -m benchmarks.inference``: both run through `BundlePolicy`, with real frames in shared memory; only the
sessions behind it differ. The torch model has the trained weights that the bundle was exported from; that both give the
same actions is checked before anything is timed. Needs the extras `robot`, `sim` and `export`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.manifest import Manifest, verify_bundle
from edge_runtime.contracts.messages import FrameRef, Observation
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.ipc.frames import FrameRing, ring_name
from edge_runtime.policies import session
from edge_runtime.policies.runner import PolicyRunner
from edge_runtime.policies.tokenizers.seam import open_tokenizer
from export_tools.families.pocket_vla.build import load_weights
from export_tools.families.pocket_vla.sessions import torch_sessions

INSTRUCTION = "touch the red cube"
_WEIGHTS = Path(__file__).parents[1] / "assets" / "pocket_vla_train" / "weights_fp16.safetensors"
SAME_WITHIN_RAD = 0.05
"""Quantization moves an action by some mrad, on pictures of no meaning by more; another policy by tenths of a rad."""
WARM_UP_TURNS = 5
EAGER = "torch eager"
UINT8 = "bundle, weights as UINT8"


@dataclass(frozen=True)
class Result:
    """Latency of one policy at one thread count, in milliseconds. `overhead` is all but the sessions."""

    policy: str
    threads: int
    turns: int
    p50_ms: float
    p99_ms: float
    model_p50_ms: float
    overhead_p50_ms: float
    overhead_p99_ms: float
    speed_up: float


def _torch_policy(folder: Path, weights: Path, manifest: Manifest, embodiment: Embodiment) -> BundlePolicy:
    model = load_weights(weights).model
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if parameters != manifest.parameters:
        raise SystemExit(f"{folder} has {manifest.parameters} parameters, {weights} {parameters}: not the same policy")
    sessions = torch_sessions(model, manifest.policy)
    text = manifest.policy.inputs.text
    tokenizer = None if text is None else open_tokenizer(text, folder)
    runner = PolicyRunner(manifest.name, manifest.policy, sessions, tokenizer, embodiment, time.monotonic_ns)
    return BundlePolicy(manifest, runner, {})


def _require_same_actions(eager: BundlePolicy, quantized: BundlePolicy, observation: Observation) -> None:
    difference_rad = np.abs(
        eager.infer(observation, INSTRUCTION, 0).position - quantized.infer(observation, INSTRUCTION, 0).position
    ).max()
    if not difference_rad < SAME_WITHIN_RAD:
        raise SystemExit(f"the two policies differ by {difference_rad:.3f} rad: not the same policy")


def _observe(embodiment: Embodiment, rings: list[FrameRing], sequence: int) -> Observation:
    exposure_ns = time.monotonic_ns()
    frames: list[FrameRef] = []
    for ring in rings:
        ring.slot()[:] = (sequence * 7) % 256
        frames.append(ring.commit(exposure_ns))
    return Observation(
        sequence=sequence,
        exposure_ns=exposure_ns,
        published_ns=exposure_ns,
        joint_digest=embodiment.joint_digest,
        position=embodiment.home,
        velocity=(0.0,) * len(embodiment.home),
        frames=tuple(frames),
    )


def _measure(folder: Path, weights: Path, embodiment: Embodiment, thread_counts: list[int], turns: int) -> list[Result]:
    manifest = verify_bundle(folder)
    eager = _torch_policy(folder, weights, manifest, embodiment)
    shipped = f"bundle {manifest.precision}"
    quantized = {(shipped, count): BundlePolicy.load(folder, embodiment, threads=count) for count in thread_counts}
    with patch.object(session, "int8_saturates", return_value=True):
        for count in thread_counts:
            quantized[UINT8, count] = BundlePolicy.load(folder, embodiment, threads=count)
    taken_ns: dict[tuple[str, int], list[tuple[int, int]]] = {}
    with tempfile.TemporaryDirectory(prefix="edge-inference-") as run_dir:
        rings = [
            FrameRing.create(ring_name(Path(run_dir), camera.name), camera.name, camera.width_px, camera.height_px)
            for camera in embodiment.cameras
        ]
        try:
            for turn in range(WARM_UP_TURNS + turns):
                observation = _observe(embodiment, rings, turn)
                if turn == 0:
                    _require_same_actions(eager, quantized[shipped, thread_counts[0]], observation)
                for count in thread_counts:
                    torch.set_num_threads(count)
                    for name in (EAGER, shipped, UINT8):
                        policy = eager if name == EAGER else quantized[name, count]
                        started_ns = time.perf_counter_ns()
                        actions = policy.infer(observation, INSTRUCTION, turn)
                        total_ns = time.perf_counter_ns() - started_ns
                        if turn >= WARM_UP_TURNS:
                            taken_ns.setdefault((name, count), []).append((total_ns, actions.model_ns))
        finally:
            for ring in rings:
                ring.close()
    results = []
    for (name, count), pairs in taken_ns.items():
        total_ms, model_ms = (np.array(column) / 1e6 for column in zip(*pairs, strict=True))
        base_ms = np.median([total for total, _ in taken_ns[EAGER, count]]) / 1e6
        results.append(
            Result(
                policy=name,
                threads=count,
                turns=turns,
                p50_ms=_percentile(total_ms, 50),
                p99_ms=_percentile(total_ms, 99),
                model_p50_ms=_percentile(model_ms, 50),
                overhead_p50_ms=_percentile(total_ms - model_ms, 50),
                overhead_p99_ms=_percentile(total_ms - model_ms, 99),
                speed_up=round(float(base_ms / np.median(total_ms)), 2),
            )
        )
    return results


def _p50_ms(results: list[Result], policy: str, threads: int) -> float:
    return next(result.p50_ms for result in results if (result.policy, result.threads) == (policy, threads))


def _percentile(values: NDArray[np.float64], percent: float) -> float:
    return round(float(np.percentile(values, percent)), 3)


def main() -> None:
    """Measure, print the table, write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    parser.add_argument("--config", type=Path, default=SIM_CONFIG, help="robot.toml that names the bundle")
    parser.add_argument("--bundle", type=Path, help="another bundle than the one of the robot")
    parser.add_argument("--weights", type=Path, default=_WEIGHTS, help="the trained weights of the bundle")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=int, default=100)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    config = load_config(arguments.config)
    folder = arguments.bundle or config.bundle_dir
    results = _measure(folder, arguments.weights, config.embodiment, arguments.threads, arguments.turns)
    manifest = verify_bundle(folder)
    table = Table(title=f"{manifest.name} {manifest.version}: one chunk, ms")
    for column in ("policy", "threads", "p50 / p99", "model p50", "rest p50 / p99", "speed-up"):
        table.add_column(column, justify="left" if column == "policy" else "right")
    for result in results:
        table.add_row(
            result.policy,
            str(result.threads),
            f"{result.p50_ms:.2f} / {result.p99_ms:.2f}",
            f"{result.model_p50_ms:.2f}",
            f"{result.overhead_p50_ms:.2f} / {result.overhead_p99_ms:.2f}",
            f"{result.speed_up:.2f} x",
        )
    console = Console()
    console.print(table)
    figures = {
        "bundle": {"name": manifest.name, "digest": manifest.digest, "parameters": manifest.parameters},
        "int8_over_torch_eager_time_ratio": max(
            1 / result.speed_up for result in results if result.policy not in (EAGER, UINT8)
        ),
        "weights_as_uint8_over_int8_time_ratio": {
            str(threads): round(
                _p50_ms(results, UINT8, threads) / _p50_ms(results, f"bundle {manifest.precision}", threads), 3
            )
            for threads in arguments.threads
        },
        "policies": [asdict(result) for result in results],
    }
    record("inference", figures, console)


if __name__ == "__main__":
    main()
