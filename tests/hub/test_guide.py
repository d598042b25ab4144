"""The guide to keys says what the commands take and what robots answer."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from edge_runtime.contracts.errors import OtaRefusal
from export_tools.cli import main as edge_export
from hub.cli import build_parser

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "keys.md"


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


def test_every_command_of_edge_hub_is_one() -> None:
    ours = [command[1:] for command in commands() if command[0] == "edge-hub"]
    assert len(ours) >= 18
    for arguments in ours:
        build_parser().parse_args(arguments)


def test_every_command_of_edge_export_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [command[1:] for command in commands() if command[0] == "edge-export"]
    assert {arguments[0] for arguments in ours} == {"pack", "sign"}
    # Nothing they name is there: they fail, and not for their words, which would be SystemExit.
    monkeypatch.chdir(tmp_path)
    assert [edge_export(arguments) for arguments in ours] == [1] * len(ours)


def test_every_reason_in_the_guide_is_one() -> None:
    table = GUIDE.read_text().split("## What robots refuse")[1]
    reasons = {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert len(reasons) == 13
    assert reasons <= {refusal.value for refusal in OtaRefusal}
