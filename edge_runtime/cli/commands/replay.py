"""`edge-runtime replay`: a recording of the black box, through the safety kernel again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.options import natural
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "replay",
        _run,
        summary="run a recording of the black box through the safety kernel again",
        description="Executes every tick of a recording again and compares verdict and next state bit for bit. Shows "
        "what led to the trip. Recordings lie in the folder black_box of the run. Exit code 1 if anything differs.",
        examples="edge-runtime replay .run/black_box/FILE --plot trip.png\nedge-runtime replay FILE --tick 4711",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a recording")
    parser.add_argument("--tick", type=natural, metavar="K", help="show record K whole instead of the summary")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write one row a tick to OUT")
    parser.add_argument(
        "--plot", type=Path, metavar="OUT", help="draw joints, range and verdicts to OUT (.png, .svg or .pdf)"
    )


def _run(options: argparse.Namespace) -> int:
    with loading():
        from rich.console import Console

        from edge_runtime.cli.replay import replay_command
    return replay_command(options, Console())
