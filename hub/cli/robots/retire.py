"""`edge-hub robots retire`: the hub takes no more reports of a robot."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command, say
from hub.cli.subcommand import add_hub, changing
from hub.services import enrolment
from hub.services.enrolment import Retired

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands

_SAID = {
    Retired.REPORTS_END: "no report counts any more",
    Retired.ASSIGNMENT_WITHDRAWN: "was never enrolled; its assignment is taken away",
}


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "retire",
        _run,
        summary="take no more reports of a robot; of a name that was never enrolled, take its assignment away",
        description="Takes no more reports of a robot; those that it made stay, and it can be enrolled again. A name "
        "that was assigned something by mistake and never enrolled loses its assignment.",
        examples="edge-hub robots retire hub arm-1",
    )
    add_hub(parser)
    parser.add_argument("robot", metavar="ROBOT", help="its name, as `edge-hub status` says it")


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    with changing(arguments, now_s) as work:
        retired = enrolment.retire(work, arguments.robot)
    say(f"{arguments.robot}: {_SAID[retired]}")
