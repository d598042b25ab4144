"""What an engine that was built ahead saves at load, that it costs nothing when it runs, and what its proof costs.

``python -m benchmarks.engine_load``: the shipped bundle is loaded by turns from engines in a cache and from its own
graphs, in ONNX Runtime. Loading verifies the bundle and warms the policy up, as in the engine process; sessions alone
are timed beside it, and the whole start with its golden pairs run, and with the proof that was kept of them.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from edge_runtime.bundles.engine_cache import EngineCache
from edge_runtime.bundles.kept_proofs import KeptProofs
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.engines import Engines
from edge_runtime.engine.proof import load_proved
from edge_runtime.policies.session import Session

ROUNDS = 25
RUNS = 20
BUILT, PLAIN = "built", "plain"
_COLUMNS = ("sessions", "load", "pairs_run", "proof_kept", "encode")


def measure(folder: Path) -> dict[str, Any]:
    """Milliseconds: medians over all rounds, each of which has both ways in it."""
    config = load_config(SIM_CONFIG)
    manifest = read_manifest(folder)
    graphs = [graph.path for graph in manifest.policy.graphs]
    taken_ms: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="edge-engines-") as work:
        built = Engines(cache=EngineCache(Path(work) / "engines"))
        proofs = {way: KeptProofs(Path(work) / way) for way in (PLAIN, BUILT)}
        build_s = sum(built.build(manifest.digest, folder, graph, lambda _: None).seconds for graph in graphs)
        for _ in range(ROUNDS):
            for way, engines in ((PLAIN, Engines()), (BUILT, built)):
                started_ns = time.perf_counter_ns()
                sessions = [engines.session(manifest.digest, folder, graph, threads=1) for graph in graphs]
                _note(taken_ms, f"{way}_sessions_p50_ms", started_ns)
                started_ns = time.perf_counter_ns()
                BundlePolicy.load(folder, config.embodiment, threads=1, engines=engines)
                _note(taken_ms, f"{way}_load_p50_ms", started_ns)
                for proof, anew in (("pairs_run", True), ("proof_kept", False)):
                    started_ns = time.perf_counter_ns()
                    load_proved(folder, config, engines, proofs[way], anew=anew)
                    _note(taken_ms, f"{way}_{proof}_p50_ms", started_ns)
                tensors = _zeros(sessions[0])
                for _ in range(RUNS):
                    started_ns = time.perf_counter_ns()
                    sessions[0].run(tensors)
                    _note(taken_ms, f"{way}_encode_p50_ms", started_ns)
    return {"build_s": round(build_s, 3), **{name: round(float(np.median(ms)), 2) for name, ms in taken_ms.items()}}


def _note(taken_ms: dict[str, list[float]], name: str, started_ns: int) -> None:
    taken_ms.setdefault(name, []).append((time.perf_counter_ns() - started_ns) / 1e6)


def _zeros(session: Session) -> dict[str, Any]:
    return {name: np.zeros(spec.shape, spec.dtype) for name, spec in session.inputs.items()}


def main() -> None:
    """Measure, print the table, write the results."""
    figures = measure(load_config(SIM_CONFIG).bundle_dir)
    console = Console()
    table = Table(title=f"shipped bundle, medians of {ROUNDS} rounds, ms")
    for title in ("", "sessions", "whole load", "with its golden pairs run", "with the kept proof", "encode"):
        table.add_column(title, justify="right" if title else "left")
    for way in (PLAIN, BUILT):
        table.add_row(way, *(str(figures[f"{way}_{what}_p50_ms"]) for what in _COLUMNS))
    console.print(table)
    record("engine_load", figures, console)


if __name__ == "__main__":
    main()
