"""What a person gets who presses Tab behind one of the three commands, in real shells."""

from __future__ import annotations

import argparse
import os
import pty
import select
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import edge_runtime.cli
import export_tools.cli
import hub.cli
from edge_runtime.contracts.completion import SHELLS

COMMANDS: dict[str, tuple[Callable[[list[str]], int | None], Callable[[], argparse.ArgumentParser]]] = {
    "edge-runtime": (edge_runtime.cli.main, edge_runtime.cli.build_parser),
    "edge-hub": (hub.cli.main, hub.cli.build_parser),
    "edge-export": (export_tools.cli.main, export_tools.cli.build_parser),
}
START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
READY = "ready-to-type"


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str, str], Path]:
    """The file that `command completion shell` prints."""

    def write(command: str, shell: str) -> Path:
        code: int | str | None
        try:
            code = COMMANDS[command][0](["completion", shell])
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        assert (code or 0, said.err) == (0, "")
        # As zsh wants it named, which finds it by that.
        path = tmp_path / f"_{command}"
        path.write_text(said.out, encoding="utf-8")
        return path

    return write


def typed(shell: str, script: Path, keys: str, until: str, folder: Path) -> str:
    """What an interactive `shell` shows in which `keys` are typed, once it has shown `until`."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update({"TERM": "dumb", "PS1": "$ ", "HOME": str(folder), "LC_ALL": "C.UTF-8"})
        os.execvp(START[shell][0], START[shell])
    try:
        load = f"source {shlex.quote(str(script))}"
        if shell == "zsh":
            load = f"fpath=({shlex.quote(str(script.parent))} $fpath); autoload -Uz compinit; compinit -u -D"
        os.write(terminal, f"{load}; echo {READY[:5]}''{READY[5:]}\n".encode())
        read_until(terminal, READY)
        os.write(terminal, keys.encode())
        return read_until(terminal, until)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)


def read_until(terminal: int, words: str) -> str:
    shown, deadline_s = "", time.monotonic() + 20.0
    while words not in shown:
        left_s = deadline_s - time.monotonic()
        assert left_s > 0.0, f"{words!r} was not shown: {shown!r}"
        if select.select([terminal], [], [], left_s)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


def offered(shell: str, script: Path, line: str, expected: str, folder: Path) -> None:
    """One Tab behind `line` completes it to `expected`, the only one that fits."""
    if shell == "fish":
        ask = f"source {shlex.quote(str(script))}; complete -C {shlex.quote(line)}"
        done = subprocess.run(
            ["fish", "--no-config", "-c", ask], capture_output=True, text=True, cwd=folder, timeout=60, check=True
        )
        assert [found.split("\t")[0] for found in done.stdout.splitlines()] == [expected]
    else:
        begun = line.rpartition(" ")[2]
        assert expected.startswith(begun)
        typed(shell, script, f"{line}\t", f"{line}{expected[len(begun) :]}", folder)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("edge-runtime oper", "operator"),
        ("edge-runtime operator sta", "status"),
        ("edge-runtime operator outcome fai", "failure"),
        ("edge-runtime evaluate --min", "--min-success"),
        ("edge-runtime evaluate --split tr", "train"),
        ("edge-runtime check --config ro", "robot.toml"),
        ("edge-runtime operator stop --run-dir my", "my_run/"),
        ("edge-hub rob", "robots"),
        ("edge-hub robots reti", "retire"),
        ("edge-export sig", "sign"),
    ],
)
def test_tab_completes(
    shell: str, line: str, expected: str, script: Callable[[str, str], Path], tmp_path: Path
) -> None:
    file = script(line.split()[0], shell)
    folder = tmp_path / "here"
    (folder / "my_run").mkdir(parents=True)
    (folder / "robot.toml").touch()
    offered(shell, file, line, expected, folder)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("command", COMMANDS)
def test_the_file_is_sound_to_its_shell_and_names_every_subcommand(
    command: str, shell: str, script: Callable[[str, str], Path]
) -> None:
    file = script(command, shell)
    subprocess.run([shell, "-n", str(file)], check=True, timeout=60)
    text = file.read_text(encoding="utf-8")
    (names,) = (a.choices for a in COMMANDS[command][1]()._actions if isinstance(a, argparse._SubParsersAction))
    assert names
    for name in names:
        assert name in text


def test_a_shell_that_is_not_known_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        edge_runtime.cli.main(["completion", "tcsh"])
    assert ended.value.code == 2
    assert "bash, zsh, fish" in capsys.readouterr().err.replace("'", "")
