"""`edge-runtime view`: a robot's body in motion in Rerun, live or from a recording of the black box."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_config, add_run_dir, seconds
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "view",
        _run,
        summary="the robot's body in motion in Rerun, live or from a recording",
        description="Shows the capsules that the safety kernel watches where they are measured, what each axis was "
        "asked for, commanded and measured, the planes and zones, margins and events; live also the cameras and the "
        "plans. Needs the package rerun-sdk (the extra [rerun]).",
        examples="edge-runtime view --rerun\n"
        "edge-runtime view --rerun .run/black_box/FILE.bin\n"
        "edge-runtime view --rerun FILE.bin --save trip.rrd",
    )
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="a recording (default: the robot that runs, live)"
    )
    parser.add_argument("--rerun", action="store_true", required=True, help="in Rerun, the one viewer that there is")
    parser.add_argument("--save", type=Path, metavar="OUT", help="write OUT (.rrd) instead of opening the viewer")
    parser.add_argument("--seconds", type=seconds, metavar="T", help="live: end after so long (default: at Ctrl-C)")
    add_config(parser)
    add_run_dir(parser)


def _run(options: argparse.Namespace) -> int:
    with loading():
        from edge_runtime.cli.view import view
    return view(options)
