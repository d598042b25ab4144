"""Without a command it shows its help; a wrong command line is told by its exit code."""

from __future__ import annotations

import pytest

from edge_runtime.contracts.console import EXIT_CODES
from export_tools.cli import main


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
