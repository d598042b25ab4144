"""What all subcommands of the three commands share: how they explain themselves, and how they print.

Answers go to stdout, warnings to stderr, so that what a program reads is the answer alone. Words from elsewhere are
shown and do nothing.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from edge_runtime.contracts.command_line import VersionAction
from edge_runtime.contracts.console import EXIT_CODES
from edge_runtime.contracts.text import printable_json, printable_lines

# What encodes an answer for programs is imported when there is one: a stop that an operator asks for is in a hurry.

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

_WIDTH = 100
_Run = TypeVar("_Run", bound=Callable[..., object])


def command(prog: str, *, description: str, epilog: str) -> tuple[argparse.ArgumentParser, Subcommands]:
    """A whole command and what its subcommands are added to.

    Args:
        prog: what a person types.
        description: what it is for.
        epilog: the end of its help, such as `explained` makes it.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description=textwrap.fill(description, _WIDTH),
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=VersionAction)
    return parser, parser.add_subparsers(dest="command", required=True, metavar="COMMAND")


def add_group(
    commands: Subcommands, name: str, *, dest: str, metavar: str, summary: str, description: str, examples: str
) -> Subcommands:
    """A subcommand that has subcommands of its own, and what they are added to.

    Args:
        dest: where the parsed command line holds which of them was typed.
        metavar: what they are called in the help.
        commands, name, summary, description, examples: as of `add_command`.
    """
    parser = _add_parser(commands, name, summary, description, examples)
    return parser.add_subparsers(dest=dest, required=True, metavar=metavar)


def add_command(
    commands: Subcommands, name: str, run: _Run, *, summary: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """A subcommand whose help says what it does, shows it, and says how it ends.

    Args:
        commands: of the command that it belongs to.
        name: what a person types.
        run: what does it; `arguments.run` of the parsed command line.
        summary: one line for the list of subcommands.
        description: what it does, in whole sentences.
        examples: command lines, one a line.
    """
    parser = _add_parser(commands, name, summary, description, examples)
    parser.set_defaults(run=run, who=parser.prog)
    return parser


def _add_parser(
    commands: Subcommands, name: str, summary: str, description: str, examples: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, _WIDTH),
        epilog=explained(examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def explained(examples: str) -> str:
    """The end of a help: examples, and the exit codes."""
    return f"examples:\n{textwrap.indent(examples.strip(), '  ')}\n\n{EXIT_CODES}"


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`, for programs."""
    parser.add_argument("--json", action="store_true", help="the same for programs, as one JSON object")


def say(words: str) -> None:
    """Print what came of it."""
    print(printable_lines(words), flush=True)


def say_json(value: object) -> None:
    """Print what came of it, for programs."""
    import msgspec

    print(printable_json(msgspec.json.format(msgspec.json.encode(value))).decode())


def warn(words: str) -> None:
    """Print what a person should know, and a program has no use for."""
    print(f"warning: {printable_lines(words)}", file=sys.stderr)
