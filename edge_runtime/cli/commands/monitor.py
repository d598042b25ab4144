"""`edge-runtime monitor`: what a robot that runs says of itself."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_run_dir, seconds
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "monitor",
        _run,
        summary="live view of a running robot",
        description="Shows what a running robot says about itself. Only listens; several can run at once.",
        examples="edge-runtime monitor\nedge-runtime monitor --run-dir /run/edge-runtime --seconds 10",
    )
    add_run_dir(parser)
    parser.add_argument("--seconds", type=seconds, metavar="T", help="end after so long (default: Ctrl-C)")


def _run(options: argparse.Namespace) -> int:
    with loading():
        from rich.console import Console

        from edge_runtime.cli.monitor import monitor
    return monitor(options, Console())
