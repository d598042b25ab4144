"""Each subcommand explains itself: what it does, what its arguments are, and how it ends."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from edge_runtime.contracts.console import EXIT_CODES
from hub.cli import build_parser


def subcommands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every parser below `parser`, groups of steps among them."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield below
                yield from subcommands(below)


ALL = {parser.prog: parser for parser in subcommands(build_parser())}


def test_they_are_all_here() -> None:
    assert {"edge-hub assign", "edge-hub keys", "edge-hub keys sign", "edge-hub robots enrol"} <= set(ALL)
    assert len(ALL) == 24


@pytest.mark.parametrize("name", ALL)
def test_what_it_does_what_it_takes_and_how_it_ends(name: str) -> None:
    parser = ALL[name]
    assert parser.description is not None
    assert len(parser.description.split()) >= 5
    assert EXIT_CODES in parser.format_help()
    steps = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    unexplained = [action.dest for action in parser._actions if not action.help and action not in steps]
    assert unexplained == []
    for action in steps:
        assert all(choice.help for choice in action._choices_actions)
