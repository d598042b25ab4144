"""`edge-runtime monitor`: looks at a running robot. Listens only, so any number of them can run at once."""

from __future__ import annotations

import argparse
import time

from rich.console import Console

from edge_runtime.cli.display import Called, live_display
from edge_runtime.client.status import Watcher


def monitor(options: argparse.Namespace, console: Console) -> int:
    """Show the robot until Ctrl-C, or for `options.seconds`; 1 if no message was received."""
    heard = False
    end_s = None if options.seconds is None else time.monotonic() + options.seconds
    console.print(f"listening in {options.run_dir}; Ctrl-C stops", highlight=False, markup=False)
    called = Called(run_dir=options.run_dir)
    with (
        Watcher(options.run_dir) as watcher,
        live_display(console, str(options.run_dir), called, line_s=1.0) as display,
    ):
        try:
            while end_s is None or time.monotonic() < end_s:
                heard = bool(watcher.receive(0.1)) or heard
                if heard:
                    display.show(watcher.status())
        except KeyboardInterrupt:
            pass
    if not heard:
        problem = f"no message was received in {options.run_dir}: is a robot running with that --run-dir?"
        console.print(problem, highlight=False, markup=False)
    return 0 if heard else 1
