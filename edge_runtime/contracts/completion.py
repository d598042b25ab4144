"""`completion`, of all three commands: the file with which a shell completes what is typed behind the command.

A fixed text, made from the command line as it is parsed: while somebody presses Tab, none of this software runs. shtab
writes it, and is imported for that alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands

SHELLS = ("bash", "zsh", "fish")


def add_completion(parser: argparse.ArgumentParser, commands: Subcommands) -> None:
    """Add the subcommand `completion` to `commands` of `parser`; its `run` takes what the others' take."""
    name = parser.prog
    own = add_command(
        commands,
        "completion",
        partial(_run, parser),
        summary="complete what is typed behind this command with the Tab key",
        description=f"Prints the file with which a shell completes subcommands, options and file names of {name}. Put "
        "it where the shell looks, as below, and open a new terminal. It stays as it is: print it again after an "
        "update of this software.",
        examples=f"mkdir -p ~/.local/share/bash-completion/completions && \\\n"
        f"    {name} completion bash > ~/.local/share/bash-completion/completions/{name}\n"
        f"mkdir -p ~/.zfunc && {name} completion zsh > ~/.zfunc/_{name}\n"
        "    and in ~/.zshrc: fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit\n"
        "mkdir -p ~/.config/fish/completions && \\\n"
        f"    {name} completion fish > ~/.config/fish/completions/{name}.fish",
    )
    own.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"{', '.join(SHELLS)}")


def walk(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """`parser`, its subcommands and theirs, in the order of the help; each with its line in the list that it is in."""
    yield parser, ""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, inner in action.choices.items():
                (_, _), *deeper = walk(inner)
                yield inner, summaries[name]
                yield from deeper


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace, *_: object) -> None:
    import shtab

    for one, summary in walk(parser):
        # Where there are many to choose from, each is shown with its one line.
        one.description = summary or one.description
        for action in one._actions:
            if action.metavar == "DIR":
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
            elif action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, options.shell))
