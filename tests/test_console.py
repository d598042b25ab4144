"""Every command ends quietly, whatever ends it and whenever, with the exit code of the one rule."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import export_tools.cli
import hub.cli
from edge_runtime.cli import build_parser
from edge_runtime.contracts.command_line import exit_code
from edge_runtime.contracts.console import EXIT_CODES
from edge_runtime.contracts.errors import ConfigError, OperatorError
from tests.system.conftest import run_dir

__all__ = ["run_dir"]

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "edge-runtime": ["-c", "from edge_runtime.entry import main; main()"],
    "edge-hub": ["-m", "hub"],
    "edge-export": ["-m", "export_tools"],
    "demo": ["-m", "scripts.demo"],
}


def start(command: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *COMMANDS[command], *map(str, arguments)],
        stdout=options.pop("stdout", subprocess.PIPE),  # type: ignore[call-overload]
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,
    )


def wait_until_it_heeds(process: subprocess.Popen[str]) -> None:
    """Until the interpreter has come to the first line of ours, which is when SIGTERM gets a handler."""
    deadline_s = time.monotonic() + 20.0
    while time.monotonic() < deadline_s:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt"))
        if caught & 1 << (signal.SIGTERM - 1) or process.poll() is not None:
            return
        time.sleep(0.005)
    raise AssertionError("it does not start")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("command", ["edge-runtime", "edge-export", "edge-hub", "demo"])
def test_an_interrupt_in_the_first_second_is_quiet(
    command: str, after_s: float, how: signal.Signals, run_dir: Path
) -> None:
    arguments = {
        "edge-runtime": ("run", "--run-dir", run_dir, "--no-page"),
        "edge-export": ("check", "nowhere"),
        "edge-hub": ("serve", run_dir),
        "demo": ("--run-dir", run_dir, "--no-page"),
    }[command]
    process = start(command, *arguments)
    wait_until_it_heeds(process)
    time.sleep(after_s)
    process.send_signal(how)
    _, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    assert "KeyboardInterrupt" not in err
    # A run that has begun ends by Ctrl-C as it should; the others may have ended by themselves before.
    assert process.returncode in (0, 1, 130), err


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_leaves_is_no_traceback(lines: int, tmp_path: Path) -> None:
    """Whether that is found while the command prints, or when what it has printed is written out."""
    (tmp_path / "talker.py").write_text(f"def main():\n    print('word\\n' * {lines})\n")
    talk = "from edge_runtime.contracts.console import run_command; run_command('talker')"
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [sys.executable, "-c", talk],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
    )
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")


TALK = "from edge_runtime.contracts.console import run_command; run_command('talker')"


def talk(folder: Path, says: str, shell: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command that prints `says` does in a shell, `shell` standing behind it."""
    (folder / "talker.py").write_text(
        f"from edge_runtime.contracts.command_line import exit_code\ndef main():\n"
        f"    return exit_code('talker', lambda: print({says!r}))\n"
    )
    return subprocess.run(
        ["sh", "-c", f'"$0" -c "{TALK}" {shell}', sys.executable],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("shell", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_an_output_that_is_closed_hears_nothing_and_is_no_traceback(shell: str, tmp_path: Path) -> None:
    done = talk(tmp_path, "word", shell)
    assert (done.returncode, done.stdout, done.stderr) == (0, "" if ">&-" in shell.split() else "word\n", "")


def test_an_output_without_room_is_one_line(tmp_path: Path) -> None:
    """Whether that is found while the command prints, or when what it has printed is written out."""
    full = "No space left on device\n"
    done = talk(tmp_path, "word", "> /dev/full", PYTHONUNBUFFERED="")
    assert (done.returncode, done.stderr) == (1, f"error: what was to be said could not be written: {full}")
    done = talk(tmp_path, "word", "> /dev/full", PYTHONUNBUFFERED="1")
    assert done.returncode == 1
    assert done.stderr.endswith(full)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_a_sign_is_shown_its_escape(encoding: str, tmp_path: Path) -> None:
    done = talk(tmp_path, "3 – 5 rad", "", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 \\u2013 5 rad\n", "")


@pytest.mark.parametrize("module", ["edge_runtime.entry", "hub.entry", "export_tools.entry"])
def test_nothing_that_takes_its_time_is_loaded_before_an_interrupt_is_quiet(module: str) -> None:
    program = (
        "import signal, sys, typing\nbefore = set(sys.modules)\n"
        f"import {module} as entry\nprint(*(name for name in set(sys.modules) - before))\n"
        "import edge_runtime.contracts.console as console\n"
        "console.run_command = lambda *_: print(signal.getsignal(signal.SIGINT) is signal.SIG_DFL)\n"
        "entry.main()\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "console.run_command = lambda *_: print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)\n"
        "entry.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    loaded, *quiet = done.stdout.splitlines()
    room, first = module.partition(".")[0], ("edge_runtime.contracts", "edge_runtime.contracts.first")
    assert set(loaded.split()) == {room, module, "edge_runtime", *first}
    assert quiet == ["True", "True"]


def test_an_interrupt_inside_of_an_import_waits_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.2)\nprint(1)\n"
    )
    (tmp_path / "lazy.py").write_text("import time\n\ndef main():\n    import slow\n    time.sleep(20)\n")
    done = subprocess.run(
        [sys.executable, "-c", "from edge_runtime.contracts.console import run_command; run_command('lazy')"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "1\n", "")


def test_what_is_to_be_ignored_stays_ignored(tmp_path: Path) -> None:
    """As behind `nohup`, or in the background of a shell script."""
    (tmp_path / "sleeper.py").write_text("import os, signal\n\ndef main():\n    os.kill(os.getpid(), signal.SIGINT)\n")
    program = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    program += "from edge_runtime.contracts.console import run_command; run_command('sleeper')"
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    assert subprocess.run([sys.executable, "-c", program], env=env, timeout=60, check=False).returncode == 0


def test_a_view_whose_reader_leaves_is_no_traceback(run_dir: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start("edge-runtime", "monitor", "--run-dir", run_dir, "--seconds", 0.2, stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")


@pytest.mark.parametrize("parser", [build_parser, hub.cli.build_parser, export_tools.cli.build_parser])
def test_the_rule_is_in_every_help(parser: Callable[[], argparse.ArgumentParser]) -> None:
    assert EXIT_CODES in parser().format_help()


@pytest.mark.parametrize(
    "error",
    [
        partial(ConfigError, "robot.toml"),
        OSError,
        RuntimeError,
        lambda words: OperatorError("control", "arm", words, answered=True),
    ],
)
def test_words_from_elsewhere_in_an_error_do_nothing(
    error: Callable[[str], Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fails() -> None:
        raise error("all well\x1b[2J\x9b31m\u202e\u200b")

    assert exit_code("edge-runtime", fails) != 0
    said = capsys.readouterr().err
    assert r"all well\x1b[2J\x9b31m\u202e\u200b" in said
    assert said.count("\n") == 1
    assert said.rstrip("\n").isprintable()
