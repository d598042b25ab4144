"""`edge-export check`: the robot's own check of a bundle, on any machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command, add_json, say, say_json
from export_tools.cli import shipped

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "check",
        _run,
        summary="does a bundle do here what it was trained to? the robot's own check",
        description="Verifies the digests of a bundle, that it does not contradict itself and fits a robot type, loads "
        "it as a robot would and runs its golden pairs. The exit code is 0 where they match.",
        examples="edge-export check\nedge-export check my_policy --embodiment embodiment.toml --json",
    )
    parser.add_argument(
        "bundle", type=Path, nargs="?", default=shipped.BUNDLE, help="folder of the bundle (default: the shipped one)"
    )
    parser.add_argument(
        "--embodiment",
        type=Path,
        default=shipped.EMBODIMENT,
        metavar="FILE",
        help="embodiment.toml of the robot type that it is for (default: the simulated arm's)",
    )
    add_json(parser)


def _run(arguments: argparse.Namespace) -> None:
    from export_tools.check import read_embodiment, report_on, require_matched

    report = report_on(arguments.bundle, read_embodiment(arguments.embodiment))
    if arguments.json:
        say_json(report)
    require_matched(report, arguments.bundle)
    if not arguments.json:
        say(f"{arguments.bundle}: digests hold; {report.worst}")
