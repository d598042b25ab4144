"""`edge-runtime evaluate`: the success rate, through all the real processes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_config, add_new_run_dir, fraction, natural, positive
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "evaluate",
        _run,
        summary="success rate over many episodes, through all the real processes",
        description="Runs episodes with unseen scenes and sentences through driver, control and engine. In virtual "
        "time (the default) the result does not depend on how busy the machine is: same seeds, same episodes.",
        examples="edge-runtime evaluate --episodes 100 --json result.json --min-success 0.85\n"
        "edge-runtime evaluate --episodes 20 --real-time",
    )
    parser.set_defaults(needs=("robot", "sim"))
    add_config(parser)
    add_new_run_dir(parser, None)
    parser.add_argument("--episodes", type=positive, default=100, metavar="N", help="how many (default: 100)")
    parser.add_argument("--seed0", type=natural, default=0, metavar="S", help="scene of the first (default: 0)")
    parser.add_argument("--split", choices=("eval", "train"), default="eval", help="whose scenes and sentences (eval)")
    parser.add_argument("--swapped", action="store_true", help="instruct for another object than the one that counts")
    parser.add_argument("--real-time", action="store_true", help="against the real clock instead of virtual time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.add_argument(
        "--min-success", type=fraction, metavar="R", help="exit with 1 below this success rate (0 to 1)"
    )


def _run(options: argparse.Namespace) -> int:
    with loading():
        from rich.console import Console

        from edge_runtime.cli.evaluate import evaluate
    return evaluate(options, Console())
