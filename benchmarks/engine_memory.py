"""What loading a large graph takes of memory and time: its weights in itself, or pinned in a file beside it.

``python -m benchmarks.engine_memory``: bundles that differ in nothing else are loaded by turns, each in a process of
its own, as the engine loads them: verified, warmed up, in ONNX Runtime. Memory is counted above what the process had
when it had imported everything: at its peak, with mapped files, and in the end, without them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.manifest import (
    Graph,
    GraphRole,
    Held,
    Inputs,
    JointPositions,
    JointPositionState,
    Manifest,
    Outputs,
    ParityReport,
    PolicyContract,
    Provenance,
    RegressionDecoder,
    StateInput,
    Unscaled,
    blob_of,
    write_manifest,
)
from edge_runtime.engine.bundle_policy import BundlePolicy

ROUNDS = 3
WIDTH, LAYER_MB = 2048, 16
INSIDE, BESIDE = "in the graph", "beside it, pinned"
_WEIGHTS = "policy.data"


def write_bundle(folder: Path, embodiment: Embodiment, size_mb: int, *, beside: bool) -> Path:
    """A policy of `size_mb` of floating-point weights, as layers of 16 MB one behind the other."""
    folder.mkdir(parents=True)
    joints, layers = len(embodiment.joint_indices), max(1, size_mb // LAYER_MB)
    draw = np.random.default_rng(0)
    shapes = [(joints, WIDTH), *([(WIDTH, WIDTH)] * layers), (WIDTH, joints)]
    weights = [draw.standard_normal(shape, dtype=np.float32) / np.float32(shape[0] ** 0.5) for shape in shapes]
    nodes = [helper.make_node("MatMul", [f"x{n}", f"w{n}"], [f"x{n + 1}"]) for n in range(len(weights))]
    nodes.append(helper.make_node("Unsqueeze", [f"x{len(weights)}", "axis"], ["action"]))
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, (1, joints))],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, (1, 1, joints))],
        [
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
            *(numpy_helper.from_array(value, f"w{n}") for n, value in enumerate(weights)),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if beside:
        convert_model_to_external_data(model, location=_WEIGHTS, size_threshold=1024)
    onnx.save(model, str(folder / "policy.onnx"))
    names = embodiment.joint_names
    contract = PolicyContract(
        family="layers",
        embodiment=embodiment.name,
        joint_names=names,
        joint_digest=embodiment.joint_digest,
        inputs=Inputs(state=StateInput(tensor="x0", groups=(JointPositionState(joints=names, statistics=Unscaled()),))),
        graphs=(Graph(role=GraphRole.ENCODE, path="policy.onnx", external_data=(_WEIGHTS,) if beside else ()),),
        decoder=RegressionDecoder(actions="action"),
        outputs=Outputs(
            horizon=1,
            action_dt_ns=50_000_000,
            trained_delay=0,
            groups=(
                JointPositions(joints=names, relative_to="zero", statistics=Unscaled()),
                Held(joints=(), gripper=True),
            ),
        ),
    )
    manifest = Manifest(
        format_version=2,
        name="layers",
        version="1",
        precision="fp32",
        parameters=sum(value.size for value in weights),
        policy=contract,
        blobs=tuple(blob_of(folder, path.name) for path in sorted(folder.iterdir())),
        provenance=Provenance(command="python -m benchmarks.engine_memory", seed=0, versions={}),
        parity=ParityReport(
            samples=0,
            error_max_rad=(0.0,) * joints,
            error_p99_rad=(0.0,) * joints,
            bound_p99_rad=0.0,
            gripper_flips=0,
            quantized_weight_fraction=0.0,
            inert_inputs=(),
        ),
    )
    write_manifest(folder, manifest)
    return folder


def memory_mb() -> dict[str, float]:
    """What the kernel says of this process, by its names."""
    lines = (line.split() for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines())
    return {words[0].rstrip(":"): int(words[1]) / 1e3 for words in lines if words[2:] == ["kB"]}


def load(folder: Path) -> dict[str, float]:
    """Load the bundle here, and say what it took."""
    embodiment = load_config(SIM_CONFIG).embodiment
    before = memory_mb()
    started_s = time.monotonic()
    policy = BundlePolicy.load(folder, embodiment, threads=1)
    took_s = time.monotonic() - started_s
    return {
        "peak_mb": memory_mb()["VmHWM"] - before["VmRSS"],
        "own_mb": memory_mb()["RssAnon"] - before["RssAnon"],
        "load_s": took_s,
        "chunk_ms": policy.trial_ns / 1e6,
    }


def measure(size_mb: int, work: Path) -> dict[str, Any]:
    """Medians over all rounds, each of which has both ways in it."""
    embodiment = load_config(SIM_CONFIG).embodiment
    folders = {
        name: write_bundle(work / str(number), embodiment, size_mb, beside=name == BESIDE)
        for number, name in enumerate((INSIDE, BESIDE))
    }
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in folders}
    for _ in range(ROUNDS):
        for name, folder in folders.items():
            command = [sys.executable, "-m", "benchmarks.engine_memory", "--load", str(folder)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            taken[name].append(msgspec.json.decode(done.stdout))
    return {
        "size_mb": size_mb,
        "rounds": ROUNDS,
        **{
            name: {key: float(np.median([one[key] for one in all_of_it])) for key in all_of_it[0]}
            for name, all_of_it in taken.items()
        },
    }


def main() -> None:
    """Print the table and keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine_memory", description=__doc__)
    parser.add_argument("--size-mb", type=int, default=256, help="of the weights (default 256)")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load is not None:
        print(json.dumps(load(options.load)))
        return
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options.size_mb, Path(folder))
    table = Table(title=f"Loading {options.size_mb} MB of weights, medians of {ROUNDS}", title_justify="left")
    for heading in ("weights", "peak, MB", "times the weights", "own in the end, MB", "load, s", "chunk, ms"):
        table.add_column(heading, justify="left" if heading == "weights" else "right")
    for name in (INSIDE, BESIDE):
        row = figures[name]
        times = row["peak_mb"] / options.size_mb
        shown = (f"{row['own_mb']:.0f}", f"{row['load_s']:.2f}", f"{row['chunk_ms']:.1f}")
        table.add_row(name, f"{row['peak_mb']:.0f}", f"{times:.2f}", *shown)
    console.print(table)
    record("engine_memory", figures, console)


if __name__ == "__main__":
    main()
