"""What all subcommands of `edge-hub` share: how they explain themselves, how they find the hub, how they print.

Answers go to stdout, warnings to stderr, so that what a program reads is the answer alone. Words from elsewhere are
shown and do nothing.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.contracts.console import EXIT_CODES
from edge_runtime.contracts.text import printable_json, printable_lines
from hub.hub import Hub
from hub.services.unit_of_work import UnitOfWork, unit_of_work

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

Run = Callable[[argparse.Namespace, float], None]
"""What a subcommand does with its arguments at a time (Unix time, s)."""

_WIDTH = 100


def add_command(
    commands: Subcommands, name: str, run: Run, *, summary: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """A subcommand whose help says what it does, shows it, and says how it ends."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, _WIDTH),
        epilog=explained(examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, who=parser.prog)
    return parser


def explained(examples: str) -> str:
    """The end of a help: examples, and the exit codes."""
    return f"examples:\n{textwrap.indent(examples.strip(), '  ')}\n\n{EXIT_CODES}"


def add_hub(parser: argparse.ArgumentParser) -> None:
    """The argument that every subcommand has which knows a hub."""
    parser.add_argument("hub", type=Path, metavar="HUB", help="the hub's folder")


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`, for programs."""
    parser.add_argument("--json", action="store_true", help="the same for programs, as one JSON object")


def changing(arguments: argparse.Namespace, now_s: float) -> AbstractContextManager[UnitOfWork]:
    """The hub that a command changes, for this command alone; raises as `unit_of_work`."""
    return unit_of_work(Hub(arguments.hub), arguments.who, now_s)


def say(words: str) -> None:
    """Print what came of it."""
    print(printable_lines(words), flush=True)


def say_json(value: object) -> None:
    """Print what came of it, for programs."""
    print(printable_json(msgspec.json.format(msgspec.json.encode(value))).decode())


def warn(words: str) -> None:
    """Print what a person should know, and a program has no use for."""
    print(f"warning: {printable_lines(words)}", file=sys.stderr)


def warn_of_development_keys(hub: Hub) -> None:
    """Warn of a hub whose keys are for development alone."""
    if hub.has_development_keys:
        warn("development keys; do not use with real robots")


def in_days(days: int) -> str:
    """ "expires in 3 days", "expired 2 days ago"."""
    count = days if days >= 0 else -days
    number = f"{count} day{'' if count == 1 else 's'}"
    return f"expires in {number}" if days >= 0 else f"expired {number} ago"
