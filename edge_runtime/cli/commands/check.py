"""`edge-runtime check`: is this machine, and this bundle on it, fit?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_config
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command, add_json

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "check",
        _run,
        summary="is this machine, and this bundle on it, fit?",
        description="Looks at permissions, memory, driver, cameras, limits, the bundle, inference time and the timing "
        "of the control loop, and says what to do where something is missing. `fit` means that the robot can be armed "
        "here and runs its bundle; `fit, but: ...` names what works worse than it could. Exit code 1 if not fit.",
        examples="edge-runtime check\nedge-runtime check --config /etc/edge-runtime/robot.toml --json",
    )
    add_config(parser)
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    with loading():
        from rich.console import Console

        from edge_runtime.cli.check import check
    return check(options, Console())
