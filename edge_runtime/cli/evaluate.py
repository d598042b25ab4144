"""`edge-runtime evaluate`: how often the whole runtime gets the task done, and how sure that number is."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from edge_runtime.bundles.installed import Installed, verified
from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.contracts.errors import ConfigError, EdgeError, StorageError
from edge_runtime.contracts.manifest import Manifest
from edge_runtime.drivers.registry import declaration_of
from edge_runtime.evaluation.episodes import EpisodeResult, EpisodeRunner
from edge_runtime.evaluation.figures import summarize
from edge_runtime.evaluation.measured import MeasuredEpisodes
from edge_runtime.ipc.bus import claim
from edge_runtime.storage.durable import replace_file


def evaluate(options: argparse.Namespace, console: Console) -> int:
    """Run the episodes, print the table, write the JSON after each of them.

    Returns 0 if each episode has a result, 1 if it ended before that or the success rate is below
    `options.min_success`, 130 if it was interrupted. Whatever ended it, what it had until then is printed and kept.
    """
    config = load_config(options.config)
    if not declaration_of(config).has_scenes:
        raise ConfigError(
            "robot.driver",
            f"{config.robot.driver!r} lays out no scenes, and judges no episodes, as the simulated arm does: "
            f"nothing can be evaluated with it",
        )
    manifest, _ = Installed.of(config).boot_first(partial(verified, config=config))
    file = None if options.json is None else _ResultFile(options.json)
    if file is not None:
        console.print(f"results go to {file.path}", highlight=False, markup=False)
    evaluation = _Evaluation(config, manifest, options, console, file)
    code, fault = 0, None
    try:
        evaluation.run()
    except KeyboardInterrupt:
        evaluation.ended_early, code = "interrupted", 130
    except Exception as error:
        if not evaluation.results:
            raise
        evaluation.ended_early, code = str(error) or type(error).__name__, 1
        fault = None if isinstance(error, EdgeError) else error
    if not evaluation.results:
        return code
    report = evaluation.report()
    console.print(_table(report, config, options))
    if file is not None:
        file.write(report)
        console.print(f"written to {file.path}", highlight=False, markup=False)
    if evaluation.ended_early:
        words = f"ended after {len(evaluation.results)} of {options.episodes} episodes: {evaluation.ended_early}"
        console.print(words, highlight=False, markup=False, style="red")
    elif options.min_success is not None and report["success_rate"] < options.min_success:
        console.print(f"[red]below the asked {options.min_success:.0%}[/red]")
        code = 1
    if fault is not None:
        raise fault
    return code


class _ResultFile:
    """Where the figures go: a whole, valid file after every episode, which replaces the one before it.

    Raises:
        ConfigError: its folder is not there, or may not be written to. Nothing was made or changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        # What is no file of its own can't be replaced, only written to, once.
        self._is_stream = path.parts[:2] in (("/", "dev"), ("/", "proc")) or path.is_fifo()
        folder = self.path.parent
        if not folder.is_dir():
            raise ConfigError("--json", f"{folder} is no folder: make it first, or name another file")
        if self.path.is_dir():
            raise ConfigError("--json", f"{self.path} is a folder: name a file in it")
        if not os.access(self.path if self._is_stream else folder, os.W_OK):
            raise ConfigError("--json", f"{folder} may not be written to by this user: name a file elsewhere")

    def write(self, report: dict[str, Any], *, more_follow: bool = False) -> None:
        """Replace it.

        Raises:
            ConfigError: it can't be written; the one before is as it was.
        """
        if self._is_stream and more_follow:
            return
        data = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
        try:
            if self._is_stream:
                self.path.write_bytes(data)
            else:
                replace_file(self.path.resolve(), data)
        except StorageError as error:
            raise ConfigError("--json", str(error)) from error
        except OSError as error:
            raise ConfigError("--json", f"{self.path}: {error.strerror}") from error


class _Evaluation:
    """One after the other, on a robot that is started again when it can't go on.

    Attributes:
        results: one for each episode so far.
        ended_early: why there is not one for each episode that was wanted; empty if there is, or it goes on.
    """

    def __init__(
        self,
        config: RobotConfig,
        manifest: Manifest,
        options: argparse.Namespace,
        console: Console,
        file: _ResultFile | None,
    ) -> None:
        self._config, self._manifest, self._options = config, manifest, options
        self._console, self._file = console, file
        self._started_s = time.monotonic()
        self._refusals: dict[str, int] = {}
        self.results: list[EpisodeResult] = []
        self.ended_early = ""

    def run(self) -> None:
        """All episodes.

        Raises:
            EdgeError: no further episode is possible; those before it are in `results`.
        """
        options = self._options
        with contextlib.ExitStack() as stack:
            if options.run_dir is None:
                # Short, because the names of Unix sockets are.
                run_dir = Path(tempfile.mkdtemp(prefix="edge-"))
                stack.callback(shutil.rmtree, run_dir, ignore_errors=True)
            else:
                run_dir = options.run_dir
            stack.enter_context(claim(run_dir, "run", "runs this robot"))
            operator = stack.enter_context(Operator(run_dir))
            runner = stack.enter_context(EpisodeRunner(operator, lockstep=not options.real_time))
            table = stack.enter_context(
                ProcessTable(self._config, run_dir, lockstep=not options.real_time, restart=options.real_time)
            )
            table.start()
            operator.on_wait = table.tend
            measured = MeasuredEpisodes(
                operator, runner, table, split=options.split, swapped=options.swapped, tell=self._tell
            )
            self.results = measured.results
            try:
                self._run_all(operator, measured)
            finally:
                operator.on_wait = None

    def report(self) -> dict[str, Any]:
        """Figures of the episodes so far."""
        report = summarize(self.results, self._refusals)
        wall_s = time.monotonic() - self._started_s
        report["run"] = {
            **_circumstances(self._config, self._manifest, self._options, wall_s),
            "episodes_wanted": self._options.episodes,
            "ended_early": self.ended_early,
        }
        return report

    def _tell(self, words: str) -> None:
        self._console.print(words, highlight=False, markup=False, soft_wrap=True)

    def _run_all(self, operator: Operator, measured: MeasuredEpisodes) -> None:
        options, console = self._options, self._console
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
                result = measured.run(seed)
                self._refusals = operator.watcher.refusals
                if self._file is not None:
                    self._file.write(self.report(), more_follow=True)
                successes = sum(r.success for r in self.results)
                progress.update(task, advance=1, rate=f"{successes} successes")
                if not result.outcome.is_of_the_scene:
                    note = f"episode {len(self.results)} (seed {seed}) {result.outcome}: {result.reason}"
                    console.print(note, highlight=False, markup=False)
                if not console.is_terminal and (len(self.results) % 10 == 0 or len(self.results) == options.episodes):
                    line = f"{len(self.results)} of {options.episodes} episodes, {successes} successes"
                    console.print(line, highlight=False)
                if len(self.results) < options.episodes:
                    measured.require_some_run()


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
    for name, key in (("model", "model_ms"), ("camera exposure to first command", "exposure_to_first_command_ms")):
        figures = report[key]
        text = f"{figures['p50']:.1f} / {figures['p99']:.1f} ms" if figures is not None else "–"
        virtual = " (virtual)" if key != "model_ms" and not options.real_time else ""
        table.add_row(f"{name} p50 / p99{virtual}", text)
    table.add_row("kernel interventions", f"{report['interventions']} ticks")
    deviation = f"{report['predicted_deviation_max_rad'] * 1e3:.0f} mrad at most"
    table.add_row("chunks clipped, declined", f"{report['chunks_clipped']}, {report['chunks_declined']}; {deviation}")
    table.add_row("refused messages", str(sum(report["refusals"].values())))
    return table
