"""`edge-runtime calibrate`: offsets and signs of a robot's axes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_config, add_run_dir, names
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "calibrate",
        _run,
        summary="where the zero of each axis is, and which way it turns",
        description="Guides through the axes of a robot that runs and is not armed (`edge-runtime run --hold` in "
        "another terminal), one at a time: you put an axis to a known place and move it the way that counts as "
        "positive, or put it to both ends of its range. Nothing moves by itself. Writes calibration.toml beside "
        "robot.toml, and names it there (docs/guides/calibration.md).",
        examples="edge-runtime calibrate --config my_arm/robot.toml\n"
        "edge-runtime calibrate --config my_arm/robot.toml --axes elbow,wrist --by Ada\n"
        "edge-runtime calibrate --config my_arm/robot.toml --moved",
    )
    add_config(parser)
    add_run_dir(parser)
    parser.add_argument("--axes", type=names, metavar="NAME,NAME", help="these alone (default: all)")
    parser.add_argument("--by", metavar="NAME", help="who calibrates (default: the user's name)")
    parser.add_argument(
        "--moved",
        action="store_true",
        help="calibrate nothing: the robot was moved while it was off, forget where it stood when it stopped",
    )


def _run(options: argparse.Namespace) -> int:
    with loading():
        from edge_runtime.cli.calibrate import calibrate
    return calibrate(options)
