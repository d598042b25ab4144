"""`edge-hub robots`: whose reports count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_group
from hub.cli.repair import add_for_robots
from hub.cli.robots import enrol, retire

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    steps = add_group(
        commands,
        "robots",
        dest="step",
        metavar="STEP",
        summary="whose reports count: enrol, retire",
        description="Which robots the hub knows, by their keys; and their damaged files.",
        examples="edge-hub robots enrol hub arm-1 arm-1.pub\nedge-hub robots retire hub arm-1",
    )
    enrol.add(steps)
    add_for_robots(steps)
    retire.add(steps)
