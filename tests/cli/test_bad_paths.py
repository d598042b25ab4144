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
    ("edge-export", "sign", "--renew", "--key", "k", "--passphrase-file", "{}", "--metadata", "m", "-o", "/dev/full/o"),
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


def test_a_folder_in_brackets_is_written_to_and_named_as_it_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "[/red] is no markup"
    assert export_tools.cli.main(["pack", str(SIM_BUNDLE), "-o", str(folder)]) == 0
    out, err = capfd.readouterr()
    assert f"to sign: {folder}/bundles/pocket_vla/" in out
    assert err == ""


@pytest.mark.parametrize("figures", [b"{", b"\xff", b'{"recipe": {"unheard_of": 1}}', b"[1]", b'{"recipe": 5}'])
def test_figures_of_a_training_that_are_none_are_named(
    figures: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "training.json").write_bytes(figures)
    assert export_tools.cli.main(["export", "--out", str(tmp_path), "--weights", str(tmp_path / "w")]) == 1
    assert "training.json: not the figures of a training" in capfd.readouterr().err.replace("\n", "")


def test_a_port_that_is_none_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Taken as it was typed it would be another one: 99999999 is 57599."""
    for port in ("99999999", "65536", "-1", "x"):
        with pytest.raises(SystemExit) as ended:
            hub.cli.main(["serve", "nowhere", f"--port={port}"])
        assert ended.value.code == 2
        assert "between 0 and 65535" in capsys.readouterr().err
