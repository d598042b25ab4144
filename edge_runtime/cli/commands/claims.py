"""`edge-runtime claims`: what this robot's settings let anyone claim about its safety."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_config
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "claims",
        _run,
        summary="what this robot's settings let anyone claim",
        description="Prints a sheet in Markdown: the limits that are in force, with their digests, what may be said of "
        "them, what may not, and what is off.",
        examples="edge-runtime claims --config robot.toml > claims.md",
    )
    add_config(parser)


def _run(options: argparse.Namespace) -> int:
    with loading():
        from rich.console import Console

        from edge_runtime.cli.claims import claims
    return claims(options, Console())
