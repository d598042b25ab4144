"""Each subcommand explains itself: what it does, what its arguments are, an example that is one, how it ends."""

from __future__ import annotations

import argparse
import re
import shlex

import pytest

from edge_runtime.contracts.console import EXIT_CODES
from export_tools.cli import build_parser, main

(COMMANDS,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))


def test_they_are_all_here() -> None:
    assert list(COMMANDS.choices) == ["build", "export", "check", "families", "pack", "sign"]
    assert all(choice.help for choice in COMMANDS._choices_actions)


@pytest.mark.parametrize("name", COMMANDS.choices)
def test_what_it_does_what_it_takes_how_it_ends_and_examples_that_are_some(name: str) -> None:
    parser = COMMANDS.choices[name]
    assert parser.prog == f"edge-export {name}"
    assert parser.description is not None
    assert len(parser.description.split()) >= 5
    shown = parser.format_help()
    assert EXIT_CODES in shown
    assert [action.dest for action in parser._actions if not action.help] == []
    examples = re.findall(r"^  (edge-export .*)$", shown.replace("\\\n", " "), re.MULTILINE)
    assert any(line.startswith(parser.prog) for line in examples)
    for line in examples:
        arguments = shlex.split(line)[1:]
        build_parser(arguments).parse_args(arguments)


def test_without_a_command_it_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: edge-export")
    assert EXIT_CODES in shown


@pytest.mark.parametrize("arguments", [["nothing"], ["check", "--unheard-of"], ["pack"], ["build", "pocket_vla", "b"]])
def test_a_wrong_command_line_is_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
