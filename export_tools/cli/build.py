"""`edge-export build`: a policy from nothing."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command
from export_tools.cli.making import add_arguments, command_line, order_of
from export_tools.families.seam import Family

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands, family: Family) -> None:
    """Add it to the command line, with the options of `family`."""
    parser = add_command(
        commands,
        "build",
        _run,
        summary="train a policy from nothing and write its bundle",
        description="Trains a policy of a family, exports it, holds its graphs against the trained model and writes "
        "the bundle once a robot's own check of it holds. A gate that fails leaves the bundle that lies there. The "
        f"options below are those of {family.name}; each family has its own: edge-export build FAMILY --help",
        examples="edge-export build\nedge-export build pocket_vla --out my_policy --seed 1\nedge-export families",
    )
    add_arguments(parser, family, training=True)


def _run(arguments: argparse.Namespace) -> None:
    from export_tools import pipeline

    order = order_of(arguments)
    pipeline.build(arguments.chosen, order, command_line())
    order.say(f"bundle in {order.place}, weights in {order.checkpoint}")
