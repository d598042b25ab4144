"""`edge-runtime export-mcap`: a recording of the black box as an MCAP file, for Foxglove and what else reads those."""

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
        "export-mcap",
        _run,
        summary="a recording of the black box as an MCAP file, for Foxglove",
        description="Writes every tick of a recording as JSON with a schema: what was asked for, what the kernel let "
        "through, what was measured, its verdict, and the events. Times are those of this robot's day. Needs the "
        "package mcap (the extra [mcap]).",
        examples="edge-runtime export-mcap .run/black_box/FILE.bin\nedge-runtime export-mcap FILE.bin -o trip.mcap",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a recording")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="where to (default: beside it, ending in .mcap)"
    )


def _run(options: argparse.Namespace) -> int:
    with loading():
        from edge_runtime.cli.export_mcap import export_mcap
    return export_mcap(options)
