"""`edge-runtime run`: the whole robot in one terminal."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_config, add_new_run_dir, natural, port, positive
from edge_runtime.client.run_dir import LOCAL_RUN_DIR
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "run",
        _run,
        summary="start the robot's processes in this terminal and run episodes",
        description="Starts driver, control and engine, and runs episodes one after the other. Shows instruction, "
        "state, speed and timing live, here and on a page on localhost. After `operator stop` or `operator disarm` it "
        "waits until a person has typed `operator arm`. A robot whose driver lays out no scenes is left to a person, "
        "as with --manual. With a section [ota] in robot.toml the update agent runs beside them. Ctrl-C disarms and "
        "ends everything.",
        examples="edge-runtime run --episodes 5\n"
        "edge-runtime run --page-port 0 --seed 100\n"
        "edge-runtime run --interactive\n"
        "edge-runtime run --manual\n"
        "edge-runtime run --hold --config robot.toml",
    )
    parser.set_defaults(needs=("robot", "sim"))
    add_config(parser)
    add_new_run_dir(parser, LOCAL_RUN_DIR)
    parser.add_argument(
        "--episodes", type=positive, metavar="N", help="end after so many (default: go on until Ctrl-C)"
    )
    parser.add_argument("--seed", type=natural, default=0, metavar="S", help="scene of the first episode (default: 0)")
    parser.add_argument(
        "--page-port", type=port, default=8600, metavar="P", help="port of the page, 0 for any (default: 8600)"
    )
    parser.add_argument("--no-page", action="store_true", help="no page")
    parser.add_argument(
        "--manual",
        action="store_true",
        help="run no episodes: `edge-runtime operator instruct` and `arm` from another terminal say what to do",
    )
    parser.add_argument(
        "--interactive",
        action="store_true",
        help="run no episodes: type sentences here, one a line, and `help` for the rest; also from a pipe",
    )
    parser.add_argument(
        "--hold",
        action="store_true",
        help="run no policy, and need none: armed by `edge-runtime operator arm`, the robot holds its posture",
    )


def _run(options: argparse.Namespace) -> int:
    with loading():
        from rich.console import Console

        from edge_runtime.cli.run import run
    return run(options, Console())
