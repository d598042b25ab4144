"""`edge-runtime page`: the robot in a browser, and the token that opens its requests."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_config, add_run_dir
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "page",
        _run,
        summary="show a running robot in a browser, with a stop button",
        description="Serves the page of a robot that runs, to this machine alone unless --listen says otherwise. "
        "`edge-runtime page token` makes a token and prints it once: whoever opens the page with it may stop, reset, "
        "slow down and instruct the robot; without one the page is for looking alone. `edge-runtime run` starts a page "
        "by itself, systemd the unit edge-runtime-page.",
        examples="edge-runtime page\n"
        "edge-runtime page token\n"
        "edge-runtime page --listen 0.0.0.0 --config /etc/edge-runtime/robot.toml\n"
        "sudo -u edge edge-runtime page token --run-dir /run/edge-runtime",
    )
    parser.add_argument(
        "action",
        nargs="?",
        choices=("serve", "token"),
        default="serve",
        help="serve: the page, until Ctrl-C (default); token: make a new token, which ends the one before",
    )
    add_config(parser)
    add_run_dir(parser)
    # The page's own options are those of its process, and are read with it.
    from edge_runtime.page.options import add_options

    add_options(parser)


def _run(options: argparse.Namespace) -> int:
    with loading():
        from edge_runtime.cli.page import page
    return page(options)
