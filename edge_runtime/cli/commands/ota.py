"""`edge-runtime ota`: the robot's updates, for a person at its terminal."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_config, add_run_dir, words
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command, add_group

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands

_CONFIG = "--config /etc/edge-runtime/robot.toml"


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    actions = add_group(
        commands,
        "ota",
        dest="action",
        metavar="WHAT",
        summary="updates of the bundle over the network",
        description="The updates of this robot, which its update agent brings (section [ota] of robot.toml; "
        "docs/guides/ota_robot.md). Exit code 1 if something was refused.",
        examples=f"edge-runtime ota status {_CONFIG}\n"
        f"sudo -u edge edge-runtime ota rollback {_CONFIG} --reason 'drops it'",
    )
    _action(actions, "status", "which bundle runs, which one is staged or on its way, and what the update agent says")
    _action(actions, "check", "ask the hub now: may something be installed, and does it fit?")
    rollback = _action(
        actions,
        "rollback",
        "go back: from a bundle on trial to the committed one, else to the one before; needs no network",
    )
    rollback.add_argument("--reason", type=words, default="", help="why, for the history")
    _action(actions, "history", "what the update agent did, and what was refused and why")
    restore = _action(
        actions,
        "restore-floor",
        "what to do when nothing is installed because the record of what was installed is lost",
    )
    restore.add_argument("--accept", action="store_true", help="do it; without it, only say what would be done")


def _action(actions: Subcommands, name: str, summary: str) -> argparse.ArgumentParser:
    sentence = f"{summary[0].upper()}{summary[1:]}"
    parser = add_command(
        actions,
        name,
        _run,
        summary=summary,
        description=sentence if sentence.endswith("?") else f"{sentence}.",
        examples=f"edge-runtime ota {name} {_CONFIG}",
    )
    parser.set_defaults(needs=("ota",))
    add_config(parser)
    add_run_dir(parser)
    return parser


def _run(options: argparse.Namespace) -> int:
    with loading():
        from rich.console import Console

        from edge_runtime.cli.ota import ota
    return ota(options, Console())
