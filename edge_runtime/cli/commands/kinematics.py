"""`edge-runtime kinematics`: the robot's body for the safety layer, from URDF or MJCF."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "kinematics",
        _run,
        summary="make kinematics.toml from URDF or MJCF",
        description="Compiles joints, and capsules around every link, into the file that the safety layer keeps the "
        "robot off things and off itself with. Says what it decided by itself, and which limits the description holds.",
        examples="edge-runtime kinematics arm.urdf --tool tool0 --embodiment embodiment.toml\n"
        "edge-runtime kinematics arm.xml --tool attachment_site -o kinematics.toml",
    )
    parser.set_defaults(needs=("sim",))
    parser.add_argument("file", type=Path, metavar="FILE", help="URDF, or MJCF (which needs MuJoCo)")
    parser.add_argument(
        "--embodiment", type=Path, metavar="FILE", help="joints in order, and home posture (default: all that turn)"
    )
    parser.add_argument(
        "--limits-in-rad",
        action="store_true",
        help="the description's limits are radians although they look like degrees",
    )
    parser.add_argument("--tool", metavar="NAME", help="link, body or site whose speed is limited (default: far end)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("kinematics.toml"), metavar="OUT", help="(default: kinematics.toml)"
    )


def _run(options: argparse.Namespace) -> int:
    with loading():
        from rich.console import Console

        from edge_runtime.cli.kinematics import kinematics
    return kinematics(options, Console())
