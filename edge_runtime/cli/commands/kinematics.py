"""`edge-runtime kinematics`: the robot's body for the safety layer, from URDF, xacro or MJCF."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_description, names
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
        summary="make kinematics.toml from URDF, xacro or MJCF",
        description="Compiles joints, and capsules around every link, into the file that the safety layer keeps the "
        "robot off things and off itself with. Says what it decided by itself, and which limits the description holds.",
        examples="edge-runtime kinematics arm.urdf --tool tool0 --embodiment embodiment.toml\n"
        "edge-runtime kinematics arm.xml --tool attachment_site -o kinematics.toml\n"
        "edge-runtime kinematics ur.urdf.xacro --arg ur_type:=ur5e --arg name:=ur --tool tool0\n"
        "edge-runtime kinematics pair.xml --joints l1,l2,r1,r2 --tool left=left_tip "
        "--tool right=right_tip",
    )
    parser.set_defaults(needs=("sim", "descriptions"))
    parser.add_argument("file", type=Path, metavar="FILE", help="URDF, xacro or MJCF, as the maker publishes it")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--embodiment",
        type=Path,
        metavar="FILE",
        help="axes in order, and home posture (default: all joints that "
        "turn, and those that slide and carry one that turns)",
    )
    which.add_argument(
        "--joints",
        type=names,
        metavar="NAME,NAME",
        help="joints to control, turning or sliding, in the order of the robot's vectors, where there is no embodiment "
        "yet",
    )
    parser.add_argument(
        "--limits-in-rad",
        action="store_true",
        help="the description's limits are radians although they look like degrees",
    )
    parser.add_argument(
        "--limits-in-m",
        action="store_true",
        help="the description's limits are metres although they look like millimetres",
    )
    parser.add_argument(
        "--sizes-in-m", action="store_true", help="shapes are in metres although no link seems to be that long"
    )
    add_description(parser)
    parser.add_argument(
        "--tool",
        type=_tool,
        action="append",
        default=[],
        metavar="[TOOL=]NAME",
        help="link, body or site whose speed is limited; of several tools, each with what it is called "
        "(default: the robot's ends)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("kinematics.toml"), metavar="OUT", help="(default: kinematics.toml)"
    )


def _tool(text: str) -> tuple[str, str]:
    """What a tool is called, and where it is; a name alone is where the only tool is."""
    called, found, name = text.rpartition("=")
    if not name or (found and not called):
        raise argparse.ArgumentTypeError(f"a link, or a tool's name, = and a link, got {text!r}")
    return called or "tool", name


def _run(options: argparse.Namespace) -> int:
    with loading():
        from rich.console import Console

        from edge_runtime.cli.kinematics import kinematics
    return kinematics(options, Console())
