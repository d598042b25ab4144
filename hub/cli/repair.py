"""`edge-hub repair` and `edge-hub robots repair`: damaged metadata is made anew."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command, say
from hub.cli.subcommand import add_hub, changing
from hub.services import repairing
from hub.trouble import troubled

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands

_DESCRIPTION = (
    "Makes damaged metadata anew from what is left of it, numbered above all that robots have seen. `status`, "
    "`refresh` and /health name what is damaged. What people signed can't be made anew: it is named, and has to be put "
    "back from a copy."
)


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "repair",
        _run,
        summary="make anew what is damaged of the hub's files, of robots or of everything",
        description=_DESCRIPTION,
        examples="edge-hub repair hub\nedge-hub repair hub arm-2",
    )
    add_hub(parser)
    parser.add_argument("robot", nargs="*", metavar="ROBOT", help="only these (default: all that is damaged)")


def add_for_robots(commands: Subcommands) -> None:
    """Add the one that is for robots alone."""
    parser = add_command(
        commands,
        "repair",
        _run,
        summary="make a robot's damaged files anew, with the assignment that it had",
        description=_DESCRIPTION,
        examples="edge-hub robots repair hub arm-2",
    )
    add_hub(parser)
    parser.add_argument("robot", nargs="+", metavar="ROBOT", help="names of robots that the hub knows")


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    with changing(arguments, now_s) as work:
        repaired = repairing.repair(work, arguments.robot)
    for what in repaired.mended:
        say(f"{what}: made anew")
    if not repaired.mended and not repaired.left:
        say("nothing is damaged")
    if repaired.left:
        raise troubled("not made anew", repaired.left)
