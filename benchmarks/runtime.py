"""What the runtime adds to the model, in real time: from exposure to first command, memory, and time to first command.

``python -m benchmarks.runtime [--seconds 60]``: the real processes with the shipped bundle, episode after episode. The
runtime's own share of one chunk is everything between the published observation and the first command that follows the
chunk, less the time inside the inference library: two hops on the bus, resizing and tokenizing, splicing the plan, and
the wait for the next tick of the loop.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import ChunkReceipt
from edge_runtime.evaluation.episodes import EpisodeRunner

QUANTILES = {"p50": 50.0, "p99": 99.0}
STRETCHES = {
    "exposure_to_first_command": "exposure to first command",
    "camera": "  drawing the simulated pictures",
    "model": "  inside the inference library",
    "own_share": "  the runtime's own share",
    "engine_side": "    bus to the engine, transforms",
    "to_control": "    bus to control",
    "to_first_tick": "    splice, next tick",
}


_NOT_RUN_MAX = 3


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=SIM_CONFIG, help="robot.toml")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure (60)")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="edge-") as folder:
        receipts, figures = measure(options.config, Path(folder), options.seconds)
    figures.update(latencies(receipts))
    console.print(latency_table(figures))
    console.print(memory_table(figures["memory_mb"]))
    console.print(f"start to first command: {figures['start_to_first_command_s']:.2f} s")
    record("runtime", figures, console)


def measure(config_file: Path, run_dir: Path, seconds: float) -> tuple[list[ChunkReceipt], dict[str, Any]]:
    """Run for `seconds`; receipts of the chunks that were followed, and everything but their latencies."""
    config = load_config(config_file)
    receipts: list[ChunkReceipt] = []
    with Operator(run_dir) as operator, EpisodeRunner(operator) as runner, ProcessTable(config, run_dir) as table:
        started_ns = time.monotonic_ns()
        table.start()
        operator.on_wait = table.tend
        end_s = time.monotonic() + seconds
        seed = 0
        not_run = 0
        while time.monotonic() < end_s:
            seed += 1
            try:
                result = runner.run(seed, "eval")
            except OperatorError as error:
                # One of them costs its own chunks, not those before it; that there was one is in the figures.
                not_run += 1
                if not receipts or not_run > _NOT_RUN_MAX:
                    raise
                print(f"episode {seed} could not be run: {error}")
                continue
            receipts += [receipt for receipt in result.receipts if receipt.first_command_ns is not None]
        memory_mb = {}
        for name, pid in table.pids().items():
            info = psutil.Process(pid).memory_full_info()
            memory_mb[name] = {"rss": round(info.rss / 1e6, 1), "pss": round(info.pss / 1e6, 1)}
        status = operator.watcher.status()
        operator.on_wait = None
    first_ns = min(receipt.first_command_ns or 0 for receipt in receipts)
    return receipts, {
        "seconds": seconds,
        "episodes": seed - not_run,
        "episodes_not_run": not_run,
        "chunks": len(receipts),
        "start_to_first_command_s": round((first_ns - started_ns) / 1e9, 3),
        "memory_mb": memory_mb,
        "loop_overruns": status.overruns,
        "loop_ticks": status.ticks,
        "realtime_priority": status.realtime_priority,
        "restarts": sum(table.restarts().values()),
    }


def latencies(receipts: Sequence[ChunkReceipt]) -> dict[str, float]:
    """Percentiles in ms of each stretch of the way of a chunk."""
    stretches: dict[str, list[float]] = {name: [] for name in STRETCHES}
    for receipt in receipts:
        if receipt.observation_published_ns is None or receipt.first_command_ns is None:
            continue
        since_published_ns = receipt.first_command_ns - receipt.observation_published_ns
        stretches["exposure_to_first_command"].append(receipt.first_command_ns - receipt.exposure_ns)
        stretches["camera"].append(receipt.observation_published_ns - receipt.exposure_ns)
        stretches["model"].append(receipt.model_ns)
        stretches["own_share"].append(since_published_ns - receipt.model_ns)
        in_engine_ns = receipt.chunk_published_ns - receipt.observation_published_ns
        stretches["engine_side"].append(in_engine_ns - receipt.model_ns)
        stretches["to_control"].append(receipt.received_ns - receipt.chunk_published_ns)
        stretches["to_first_tick"].append(receipt.first_command_ns - receipt.received_ns)
    figures = {}
    for name, values_ns in stretches.items():
        for label, value in zip(QUANTILES, np.percentile(values_ns, list(QUANTILES.values())), strict=True):
            figures[f"{name}_{label}_ms"] = round(float(value) / 1e6, 3)
    return figures


def latency_table(figures: dict[str, Any]) -> Table:
    """The way of a chunk, stretch by stretch."""
    table = Table(
        title=f"{figures['chunks']} chunks in {figures['episodes']} episodes, real time", title_justify="left"
    )
    for column in ("", "p50 ms", "p99 ms"):
        table.add_column(column, justify="left" if column == "" else "right")
    for key, name in STRETCHES.items():
        table.add_row(name, *(f"{figures[f'{key}_{label}_ms']:.2f}" for label in QUANTILES))
    return table


def memory_table(memory_mb: dict[str, dict[str, float]]) -> Table:
    """Resident and proportional size of each process."""
    table = Table(title="memory", title_justify="left")
    for column in ("process", "RSS MB", "PSS MB"):
        table.add_column(column, justify="left" if column == "process" else "right")
    for name, sizes in memory_mb.items():
        table.add_row(name, f"{sizes['rss']:.0f}", f"{sizes['pss']:.0f}")
    return table


if __name__ == "__main__":
    main()
