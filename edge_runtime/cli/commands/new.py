"""`edge-runtime new`: a package to begin with."""

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
        "new",
        _run,
        summary="write a package to begin with: a driver for your robot",
        description="Writes a package of its own that works as it is: a driver for a made-up arm, its settings, and a "
        "test that every driver has to pass (docs/guides/drivers.md).",
        examples="edge-runtime new driver my_arm\nedge-runtime new driver my_arm robots/my_arm --language c",
    )
    parser.add_argument("kind", choices=("driver",), metavar="KIND", help="what to write: driver")
    parser.add_argument("name", metavar="NAME", help="of the package and the driver, such as my_arm")
    parser.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="where to (default: NAME here)")
    parser.add_argument("--language", choices=("python", "c"), default="python", help="of the driver (default: python)")


def _run(options: argparse.Namespace) -> int:
    with loading():
        from rich.console import Console

        from edge_runtime.cli.new import new
    return new(options, Console())
