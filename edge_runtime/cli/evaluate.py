"""`edge-runtime evaluate`: how often the whole runtime gets the task done, and how sure that number is."""

from __future__ import annotations

import argparse
import contextlib
import math
import shutil
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from contracts.errors import ConfigError, OperatorError
from contracts.manifest import Manifest
from edge_runtime.bus import claim
from edge_runtime.cli.launch import ProcessTable
from edge_runtime.config import RobotConfig, load_config
from edge_runtime.installed import Installed, verified
from edge_runtime.operator import EpisodeResult, Operator
from edge_runtime.robots.sim.task import Split, draw_task, task_rng

_Z_95 = 1.959963984540054
_EPISODE_TIMEOUT_S = 120.0


def evaluate(options: argparse.Namespace, console: Console) -> int:
    """Run the episodes, print the table, write the JSON; 1 if the success rate is below `options.min_success`."""
    config = load_config(options.config)
    manifest, _ = Installed.of(config).boot_first(partial(verified, config=config))
    if options.json is not None:
        # Finds out before the episodes instead of after them; an older result stays until then.
        _write(options.json, "ab", b"")
    started_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        if options.run_dir is None:
            # Short, because the names of Unix sockets are.
            run_dir = Path(tempfile.mkdtemp(prefix="edge-"))
            stack.callback(shutil.rmtree, run_dir, ignore_errors=True)
        else:
            run_dir = options.run_dir
        stack.enter_context(claim(run_dir, "run", "runs this robot"))
        operator = stack.enter_context(Operator(run_dir))
        table = stack.enter_context(
            ProcessTable(config, run_dir, lockstep=not options.real_time, restart=options.real_time)
        )
        table.start()
        operator.on_wait = table.tend
        results = _run_all(operator, options, console)
        operator.on_wait = None
        refusals = operator.watcher.refusals
    report = summarize(results, refusals)
    report["run"] = _circumstances(config, manifest, options, time.monotonic() - started_s)
    console.print(_table(report, config, options))
    if options.json is not None:
        _write(options.json, "wb", msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        console.print(f"written to {options.json}", highlight=False, markup=False)
    if options.min_success is not None and report["success_rate"] < options.min_success:
        console.print(f"[red]below the asked {options.min_success:.0%}[/red]")
        return 1
    return 0


def _write(path: Path, mode: Literal["ab", "wb"], data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode) as file:
            file.write(data)
    except OSError as error:
        raise ConfigError("--json", f"{path}: {error.strerror}") from error


def _run_all(operator: Operator, options: argparse.Namespace, console: Console) -> list[EpisodeResult]:
    results: list[EpisodeResult] = []
    columns = (
        TextColumn("episodes"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("episodes", total=options.episodes, rate="")
        for seed in range(options.seed0, options.seed0 + options.episodes):
            result = _run_one(operator, seed, options, console)
            results.append(result)
            successes = sum(r.success for r in results)
            progress.update(task, advance=1, rate=f"{successes} successes")
            if not console.is_terminal and (len(results) % 10 == 0 or len(results) == options.episodes):
                console.print(f"{len(results)} of {options.episodes} episodes, {successes} successes", highlight=False)
    return results


def _run_one(operator: Operator, seed: int, options: argparse.Namespace, console: Console) -> EpisodeResult:
    """One episode, again from its beginning if a person has cut it short, once she has armed."""
    while True:
        operator.wait_for_a_person(lambda words: console.print(words, highlight=False, markup=False, soft_wrap=True))
        try:
            result = operator.run_episode(seed, options.split, swapped=options.swapped, timeout_s=_EPISODE_TIMEOUT_S)
        except OperatorError:
            if operator.stopped_by is None:
                raise
            continue
        if result.outcome != "interrupted" or operator.stopped_by is None:
            return result


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % score interval of a success rate (Wilson 1927); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    rate = successes / trials
    spread = _Z_95 * math.sqrt(rate * (1.0 - rate) / trials + _Z_95**2 / (4.0 * trials**2))
    scale = 1.0 + _Z_95**2 / trials
    centre = rate + _Z_95**2 / (2.0 * trials)
    # At the ends the formula gives the end itself, but for rounding.
    low = (centre - spread) / scale if successes > 0 else 0.0
    high = (centre + spread) / scale if successes < trials else 1.0
    return low, high


def summarize(results: Sequence[EpisodeResult], refusals: dict[str, int]) -> dict[str, Any]:
    """Figures over all episodes, ready for JSON. Latencies are in ms."""
    successes = sum(result.success for result in results)
    by_verb: dict[str, dict[str, Any]] = {}
    episodes = []
    for result in results:
        split: Split = "eval" if result.split == "eval" else "train"
        verb = draw_task(result.seed, split, task_rng(result.seed, split)).verb
        counts = by_verb.setdefault(verb, {"episodes": 0, "successes": 0})
        counts["episodes"] += 1
        counts["successes"] += result.success
        episodes.append(
            {
                "seed": result.seed,
                "verb": verb,
                "instruction": result.instruction,
                "outcome": result.outcome,
                "reason": result.reason,
                "elapsed_s": round(result.elapsed_s, 3),
                "interventions": result.interventions,
                "chunks": len(result.receipts),
                "trace_digest": result.trace_digest,
            }
        )
    for counts in by_verb.values():
        counts["interval_95"] = wilson_interval(counts["successes"], counts["episodes"])
    receipts = [receipt for result in results for receipt in result.receipts]
    taken = [receipt for receipt in receipts if receipt.refusal is None]
    followed = [(r.first_command_ns - r.exposure_ns) / 1e6 for r in taken if r.first_command_ns is not None]
    return {
        "episodes": len(results),
        "successes": successes,
        "success_rate": successes / len(results) if results else 0.0,
        "interval_95": wilson_interval(successes, len(results)),
        "by_verb": dict(sorted(by_verb.items())),
        "outcomes": {name: sum(r.outcome == name for r in results) for name in sorted({r.outcome for r in results})},
        "model_ms": percentiles([receipt.model_ns / 1e6 for receipt in taken]),
        "exposure_to_first_command_ms": percentiles(followed),
        "interventions": sum(result.interventions for result in results),
        "chunks_clipped": sum(receipt.predicted_interventions > 0 for receipt in taken),
        "chunks_declined": len(receipts) - len(taken),
        "predicted_deviation_max_rad": max((receipt.predicted_deviation_rad for receipt in taken), default=0.0),
        "confidence_min": min((r.confidence for r in receipts if r.confidence is not None), default=None),
        "refusals": refusals,
        "per_episode": episodes,
    }


def percentiles(values: Sequence[float]) -> dict[str, float] | None:
    """Median, 99th percentile and number of values; None without any."""
    if not values:
        return None
    p50, p99 = np.percentile(values, (50, 99)).tolist()
    return {"p50": round(p50, 3), "p99": round(p99, 3), "count": len(values)}


def _circumstances(
    config: RobotConfig, manifest: Manifest, options: argparse.Namespace, wall_s: float
) -> dict[str, Any]:
    return {
        "robot": config.robot.name,
        "bundle_digest": manifest.digest,
        "safety_digest": config.safety.digest,
        "clock": "real" if options.real_time else "lockstep",
        "split": options.split,
        "seed0": options.seed0,
        "instructions": "swapped" if options.swapped else "as laid out",
        "wall_s": round(wall_s, 1),
    }


def _table(report: dict[str, Any], config: RobotConfig, options: argparse.Namespace) -> Table:
    title = f"{config.robot.name}, {report['episodes']} episodes, {report['run']['clock']} clock"
    table = Table(title=title + (", instructions swapped" if options.swapped else ""), title_justify="left")
    for name, justify in (("", "left"), ("success", "right"), ("rate", "right"), ("95 % interval", "right")):
        table.add_column(name, justify="right" if justify == "right" else "left")

    def row(name: str, successes: int, episodes: int, interval: tuple[float, float], end: bool = False) -> None:
        rate = f"{successes / episodes:.1%}" if episodes else "–"
        bounds = f"{interval[0]:.1%} – {interval[1]:.1%}"
        table.add_row(name, f"{successes} of {episodes}", rate, bounds, end_section=end)

    for verb, counts in report["by_verb"].items():
        row(verb, counts["successes"], counts["episodes"], counts["interval_95"])
    row("all", report["successes"], report["episodes"], report["interval_95"], end=True)
    for name, key in (("model", "model_ms"), ("exposure to first command", "exposure_to_first_command_ms")):
        figures = report[key]
        text = f"{figures['p50']:.1f} / {figures['p99']:.1f} ms" if figures is not None else "–"
        virtual = " (virtual)" if key != "model_ms" and not options.real_time else ""
        table.add_row(f"{name} p50 / p99{virtual}", text)
    table.add_row("kernel interventions", f"{report['interventions']} ticks")
    deviation = f"{report['predicted_deviation_max_rad'] * 1e3:.0f} mrad at most"
    table.add_row("chunks clipped, declined", f"{report['chunks_clipped']}, {report['chunks_declined']}; {deviation}")
    table.add_row("refused messages", str(sum(report["refusals"].values())))
    return table
