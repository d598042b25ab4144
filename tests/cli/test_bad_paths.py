"""A path that is not what a command needs is one line for a person, for every command that takes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import edge_runtime.cli
import export_tools.cli
import hub.cli
from edge_runtime.config.robot_file import SIM_BUNDLE
from edge_runtime.contracts.console import BUG


def _below_a_file(path: Path) -> Path:
    path.touch()
    return path / "below"


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _file(path: Path) -> Path:
    path.write_bytes(bytes(range(256)))
    return path


def _broken_link(path: Path) -> Path:
    path.symlink_to(path.parent / "nowhere" / "at all")
    return path


def _link_to_itself(path: Path) -> Path:
    path.symlink_to(path)
    return path


BAD: dict[str, Callable[[Path], Path]] = {
    "missing": lambda path: path / "nowhere",
    "a folder": _folder,
    "not what it should be": _file,
    "below a file": _below_a_file,
    "a broken link": _broken_link,
    "a link to itself": _link_to_itself,
    "in brackets": lambda path: path.parent / "[/red] is no markup",
}

# {} is the bad path.
READ = (
    ("edge-runtime", "check", "--config", "{}"),
    ("edge-runtime", "claims", "--config", "{}"),
    ("edge-runtime", "run", "--config", "{}", "--no-page"),
    ("edge-runtime", "evaluate", "--config", "{}"),
    ("edge-runtime", "ota", "status", "--config", "{}"),
    ("edge-runtime", "replay", "{}"),
    ("edge-runtime", "kinematics", "{}"),
    ("edge-runtime", "kinematics", "edge_runtime/drivers/sim/world.xml", "--embodiment", "{}"),
    ("edge-runtime", "operator", "status", "--run-dir", "{}"),
    ("edge-export", "check", "{}"),
    ("edge-export", "export", "--weights", "{}", "--out", "/dev/full/out"),
    ("edge-export", "pack", "{}", "-o", "/dev/full/out"),
    ("edge-export", "pack", str(SIM_BUNDLE), "--base", "{}", "--base-store", "{}", "-o", "/dev/full/out"),
    ("edge-export", "sign", "{}", "--key", "{}", "--metadata", "{}", "--hardware", "x", "-o", "/dev/full/out"),
    ("edge-hub", "show", "{}"),
    ("edge-hub", "status", "{}"),
    ("edge-hub", "serve", "{}", "--port", "0"),
    ("edge-hub", "refresh", "{}"),
    ("edge-hub", "approve", "{}", "--key", "{}"),
    ("edge-hub", "publish", "{}", "{}", "{}"),
    ("edge-hub", "keys", "sign", "{}", "--key", "{}"),
    ("edge-hub", "robots", "enrol", "{}", "arm-1", "{}"),
)
MAINS: dict[str, Callable[[Sequence[str]], int | None]] = {
    "edge-runtime": edge_runtime.cli.main,
    "edge-export": export_tools.cli.main,
    "edge-hub": hub.cli.main,
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("command", READ, ids=lambda command: " ".join(command[:3]))
def test_a_bad_path_is_one_line(
    command: tuple[str, ...], kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = str(BAD[kind](tmp_path / "path"))
    code: int | str | None
    try:
        code = MAINS[command[0]]([part.replace("{}", path) for part in command[1:]])
    except SystemExit as ended:
        code = ended.code
    out, err = capfd.readouterr()
    assert code in (1, 2), (code, out, err)
    assert code != BUG
    assert "Traceback" not in out + err
    lines = [line for line in err.splitlines() if not line.startswith("usage: ")]
    assert len(lines) == 1, err
    assert len(lines[0]) > 10
