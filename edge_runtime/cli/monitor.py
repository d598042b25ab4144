"""`edge-runtime monitor`: looks at a running robot. Listens only, so any number of them can run at once."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from edge_runtime.cli.display import Called, live_display
from edge_runtime.cli.status_report import robot_report
from edge_runtime.client.status import Watcher
from edge_runtime.contracts.subcommand import as_json
from edge_runtime.contracts.text import printable

_EVERY_S = 1.0


def monitor(options: argparse.Namespace) -> int:
    """Show the robot until Ctrl-C, or for `options.seconds`; 1 if no message was received."""
    heard = False
    with Watcher(options.run_dir) as watcher:
        show = _lines if options.json else _display
        try:
            for _ in show(watcher, options.run_dir, options.seconds):
                heard = True
        except KeyboardInterrupt:
            pass
    if not heard:
        problem = (
            f"no message was received in {printable(options.run_dir, None)}: is a robot running with that --run-dir?"
        )
        print(f"error: {problem}", file=sys.stderr)
    return 0 if heard else 1


def _display(watcher: Watcher, run_dir: Path, seconds: float | None) -> Iterator[None]:
    console = Console()
    console.print(f"listening in {run_dir}; Ctrl-C stops", highlight=False, markup=False)
    with live_display(console, str(run_dir), Called(run_dir=run_dir)) as display:
        for _ in _looks(watcher, seconds):
            display.show(watcher.status())
            yield


def _lines(watcher: Watcher, run_dir: Path, seconds: float | None) -> Iterator[None]:
    due_s = 0.0
    for _ in _looks(watcher, seconds):
        if time.monotonic() >= due_s:
            due_s = time.monotonic() + _EVERY_S
            print(as_json(robot_report(watcher, run_dir), in_one_line=True), flush=True)
        yield


def _looks(watcher: Watcher, seconds: float | None) -> Iterator[None]:
    """Ten times a second, once something has been heard."""
    end_s = None if seconds is None else time.monotonic() + seconds
    heard = False
    while end_s is None or time.monotonic() < end_s:
        heard = bool(watcher.receive(0.1)) or heard
        if heard:
            yield
