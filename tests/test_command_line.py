"""What a command says where it failed: one line, an exit code, and a file where it is a bug."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.contracts.command_line import exit_code, explained
from edge_runtime.contracts.console import BUG, DONE, FAILED, WRONG_SETTING
from edge_runtime.contracts.errors import BundleError, ConfigError
from edge_runtime.contracts.installation import version

ROOT = Path(__file__).parents[1]


def raising(error: Exception) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("robot.driver", "there is none"), WRONG_SETTING, "error: robot.driver: there is none"),
        (BundleError("altered"), FAILED, "error: altered"),
        (PermissionError(13, "Permission denied", "/a/file"), FAILED, "error: /a/file: Permission denied"),
        (OSError(18, "Invalid cross-device link", "a", None, "b"), FAILED, "error: a, b: Invalid cross-device link"),
        (OSError("no number"), FAILED, "error: no number"),
        (ImportError("libEGL.so.1: no such file"), FAILED, "error: libEGL.so.1: no such file"),
    ],
)
def test_what_failed_is_one_line(error: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("edge-runtime", lambda: raising(error)) == code
    assert capsys.readouterr().err == f"{line}\n"


def test_a_command_that_worked_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("edge-runtime", lambda: None) == DONE
    assert exit_code("edge-runtime", lambda: 3) == 3
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("error", [BrokenPipeError(), KeyboardInterrupt()])
def test_a_closed_pipe_and_an_interrupt_pass_through(error: BaseException) -> None:
    def body() -> int:
        raise error

    with pytest.raises(type(error)):
        exit_code("edge-runtime", body)


def test_a_bug_is_called_one_and_its_details_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    try:
        {}["a key\nof two lines"]
    except KeyError as error:
        line, code = explained("edge-hub", error)
    assert code == BUG
    assert "\n" not in line
    found = re.fullmatch(
        r"this is a bug in edge-hub (\S+), not a mistake of yours: (.*); the details are in (\S+): .*", line
    )
    assert found is not None
    assert found[1] == version()
    assert found[2].startswith("KeyError: ")
    details = Path(found[3])
    assert details.parent == tmp_path
    assert details.stat().st_mode & 0o077 == 0
    assert "Traceback (most recent call last)" in details.read_text("utf-8")
    assert "test_command_line.py" in details.read_text("utf-8")


def test_a_bug_is_one_line_also_where_no_file_can_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    line, code = explained("edge-runtime", ValueError("x"))
    assert code == BUG
    assert line.endswith("the details could not be written (No such file or directory)")


@pytest.mark.parametrize("module", ["edge_runtime.cli", "hub.cli", "export_tools.cli"])
def test_a_bug_anywhere_in_a_command_has_an_exit_code_of_its_own(module: str, tmp_path: Path) -> None:
    program = (
        f"import sys; sys.argv = ['x']; import {module} as command;"
        "command.main = lambda: {}['bug'];"
        f"from edge_runtime.contracts.console import run_command; run_command('{module}', 'the command')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (BUG, "")
    assert done.stderr.count("\n") == 1
    assert "this is a bug in the command" in done.stderr
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "command",
    [
        ("edge_runtime.entry", "check", "--json"),
        ("edge_runtime.entry", "run", "--episodes", "1", "--no-page"),
        ("edge_runtime.entry", "evaluate", "--episodes", "1", "--run-dir", "relative"),
        ("hub.entry", "show", "nowhere"),
        ("export_tools.entry", "check", "nowhere"),
    ],
    ids=" ".join,
)
def test_no_traceback_without_a_home_and_in_a_folder_that_is_gone(command: tuple[str, ...], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = f"import os, sys; os.rmdir(os.getcwd()); sys.argv[0] = 'x'; from {command[0]} import main; main()"
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", program, *command[1:]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=gone,
        env=kept | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode in (0, 1, 2), done.stderr
    assert done.stderr.count("\n") <= 1
