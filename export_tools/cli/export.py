"""`edge-export export`: a bundle of weights that are trained already."""

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
        "export",
        _run,
        summary="write the bundle of stored weights, without training",
        description="Makes a bundle of a checkpoint, with the gates of `build`. Without the name of a family it is the "
        f"one that recognises the weights. The options below are those of {family.name}; each family has its own: "
        "edge-export export FAMILY --help",
        examples="edge-export export\nedge-export export --weights weights.safetensors --out my_policy",
    )
    add_arguments(parser, family, training=False)


def _run(arguments: argparse.Namespace) -> None:
    from export_tools import pipeline

    order = order_of(arguments)
    pipeline.export(arguments.chosen, order, command_line())
    order.say(f"bundle in {order.place}")
