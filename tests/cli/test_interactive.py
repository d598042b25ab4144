"""`edge-runtime run --interactive`: sentences and commands that are typed in the run's own terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.cli.prompt import COMMANDS, command_in
from edge_runtime.cli.typed import TypedLines
from edge_runtime.client.explanations import NO_TASK, as_typed_here, in_full
from edge_runtime.client.status import Watcher
from edge_runtime.contracts.messages import StopCause
from tests.cli.conftest import Command, traces
from tests.cli.test_run import wait_for_state

COMMAND = (sys.executable, "-c", "from edge_runtime.cli import main; main()", "run", "--interactive", "--no-page")


class Typist:
    """Types to a run, and reads what it says."""

    def __init__(self, process: subprocess.Popen[bytes], write_to: int, read_from: int) -> None:
        self.process, self._write_to, self._read_from = process, write_to, read_from
        self.heard = ""

    def type(self, line: str, end: str = "\n") -> None:
        os.write(self._write_to, (line + end).encode())

    def hears(self, words: str, timeout_s: float = 20.0) -> None:
        """Until it has said `words`; what it said up to there is forgotten."""
        deadline_s = time.monotonic() + timeout_s
        while words not in self.heard:
            assert time.monotonic() < deadline_s, f"{words!r} is not in {self.heard!r}"
            if select.select([self._read_from], [], [], 0.1)[0]:
                try:
                    data = os.read(self._read_from, 65536)
                except OSError:
                    data = b""
                assert data, f"ended without {words!r}: {self.heard!r}"
                self.heard += data.decode(errors="replace")
        self.heard = self.heard.partition(words)[2]


@pytest.fixture
def robot(robot_toml: Path, run_dir: Path) -> Iterator[Typist]:
    """A run whose input is a pipe, once it can be typed to."""
    process = subprocess.Popen(
        [*COMMAND, "--config", robot_toml, "--run-dir", run_dir],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        typist = Typist(process, process.stdin.fileno(), process.stdout.fileno())
        typist.hears("Type a sentence", 60.0)
        typist.hears("for this scene: '")
        yield typist
    finally:
        process.kill()
        process.wait(20)
        process.stdin.close()
        process.stdout.close()


def test_a_sentence_instructs_and_arms_and_a_stop_ends_that_until_a_person_says_so(
    robot: Typist, run_dir: Path, robot_toml: Path
) -> None:
    robot.type("touch the red cube")
    robot.hears("> touch the red cube\n")
    robot.hears("the policy follows it; armed: the robot moves\n")
    with Watcher(run_dir) as watcher:

        def until(state: str) -> None:
            deadline_s = time.monotonic() + 10.0
            while watcher.control_state != state:
                assert time.monotonic() < deadline_s, watcher.status()
                watcher.receive(0.05)

        until("active")
        robot.type("Stop!")
        robot.hears("stopped: ")
        until("fault")
        assert watcher.status().stopped_by is StopCause.OPERATOR_STOP
        robot.type("push the blue ball to the left")
        robot.hears("the policy follows it; the robot is fault (operator_stop")
        robot.hears("To continue: `reset`, then `arm`.\n")
        assert watcher.control_state == "fault", "a sentence ends no stop"
        robot.type("reset")
        robot.hears("reset: it does not move before `arm`\n")
        until("ready")
        robot.type("touch the red cube")
        robot.hears("the policy follows it; the robot is ready")
        assert watcher.control_state == "ready"
        robot.type("arm")
        robot.hears("armed: ")
        until("active")
        robot.type("scene")
        robot.hears("for this scene: '")
        robot.type("touch the red cube")
        robot.hears("the policy follows it; armed: the robot moves\n")
    robot.type("quit")
    robot.hears("disarming, then ending\n")
    assert robot.process.wait(20) == 0
    assert traces(run_dir, robot_toml) == []


def test_what_can_not_be_done_is_said_in_words_that_are_typed_here(robot: Typist) -> None:
    for typed, said in (
        ("reset", "not done: reset: control refused: refused_state"),
        ("/fly", "there is no such command; stop, disarm"),
        ("touch " * 200, "not done: a sentence has at most 512 characters\n"),
        ("touch \x1b[31m the red cube", "> touch \\x1b[31m the red cube\n"),
        ("help", f"  {'stop':13} brake to rest"),
        ("status", "To start: `arm`."),
    ):
        robot.type(typed)
        robot.hears(said)


def test_the_end_of_the_input_ends_the_run_after_what_was_typed(robot: Typist, run_dir: Path, robot_toml: Path) -> None:
    robot.type("touch the red cube")
    assert robot.process.stdin is not None
    robot.process.stdin.close()
    robot.hears("armed: the robot moves\n")
    robot.hears("summary")
    assert robot.process.wait(20) == 0
    assert traces(run_dir, robot_toml) == []
    with Watcher(run_dir) as watcher:
        assert watcher.control_state == "unknown"


def test_a_stop_overtakes_what_waits_for_its_answer(robot: Typist, run_dir: Path) -> None:
    robot.type("touch the red cube")
    robot.hears("armed: the robot moves\n")
    with Watcher(run_dir) as watcher:
        while "engine" not in watcher.heartbeats:
            watcher.receive(0.1)
        engine = watcher.heartbeats["engine"].pid
        os.kill(engine, signal.SIGSTOP)
        try:
            robot.type("push the blue ball to the left")
            robot.hears("> push the blue ball to the left\n")
            asked_s = time.monotonic()
            robot.type("touch the green ball")
            robot.type("stop")
            robot.hears("dropped: touch the green ball\n")
            robot.hears("stopped: ")
            # An engine that is silent is waited for over 5 s.
            assert time.monotonic() - asked_s < 3.0
        finally:
            os.kill(engine, signal.SIGCONT)


def test_another_scene_clears_a_fault_that_no_person_meant(robot: Typist, run_dir: Path) -> None:
    robot.type("touch the red cube")
    robot.hears("armed: the robot moves\n")
    with Watcher(run_dir) as watcher:
        until_s = time.monotonic() + 2.0
        while time.monotonic() < until_s or "driver" not in watcher.heartbeats:
            watcher.receive(0.1)
        driver = watcher.heartbeats["driver"].pid
        os.kill(driver, signal.SIGSTOP)
        try:
            while not watcher.control_state.is_latched:
                watcher.receive(0.1)
        finally:
            os.kill(driver, signal.SIGCONT)
    # With the arm put home, control may not go on from where it left it.
    for _ in range(2):
        robot.type("scene")
        robot.hears("for this scene: '")
    robot.type("touch the red cube")
    robot.hears("armed: the robot moves\n")


def test_in_a_terminal_it_is_typed_beside_the_live_display(run_dir: Path, robot_toml: Path) -> None:
    ours, its = pty.openpty()
    before = termios.tcgetattr(its)
    process = subprocess.Popen(
        [*COMMAND, "--config", robot_toml, "--run-dir", run_dir],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "COLUMNS": "120", "LINES": "50", "TERM": "xterm"},
        start_new_session=True,
    )
    try:
        typist = Typist(process, ours, ours)
        typist.hears("for this scene: ", 60.0)
        typist.type("toucj", end="")
        typist.hears("> toucj▌")
        typist.type("\x7fh the red cube", end="")
        typist.hears("> touch the red cube▌")
        typist.type("", end="\r")
        typist.hears("armed: the robot moves")
        wait_for_state(run_dir, "active", process)  # type: ignore[arg-type]
        typist.type("\x04", end="")
        typist.hears("summary")
        assert process.wait(20) == 0
        assert termios.tcgetattr(its) == before
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(its)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--hold",), "no policy is run: leave out --hold, or this"),
        (("--episodes", "3"), "it is a person who says what is done, not an episode: leave out --episodes, or this"),
    ],
)
def test_what_goes_not_together_is_refused(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, more: tuple[str, ...], said: str
) -> None:
    process = edge_runtime("run", "--interactive", *more, "--config", robot_toml, "--run-dir", run_dir)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 2, out
    assert f"--interactive: {said}" in err


def test_commands_are_words_alone() -> None:
    for name in COMMANDS:
        for line in (name, f"/{name}", f"  {name.upper()}. ", f"/{name}!"):
            assert command_in(line) == name
        assert command_in(f"{name} the red cube") is None
    assert command_in("/stop now") == ""
    assert command_in("stopp") is None


def test_advice_names_what_is_typed_here() -> None:
    assert as_typed_here("To continue: `edge-runtime operator arm --run-dir /a b`.") == "To continue: `arm`."
    assert as_typed_here(in_full(NO_TASK.next_step)) == "To let it move: type a sentence. To end this: `disarm`."
    assert as_typed_here("`edge-runtime check` says why.") == "`edge-runtime check` says why."


def test_lines_come_whole_from_a_pipe_and_bytes_that_are_no_text_do_no_harm() -> None:
    read_from, write_to = os.pipe()
    with TypedLines(read_from, draws=True) as typed:
        assert typed.pending is None, "a pipe shows nothing"
        assert typed.lines() == []
        os.write(write_to, b"touch the \xc3")
        assert typed.lines() == []
        os.write(write_to, b"\xa4 cube\n\xff\nrest")
        assert typed.lines() == ["touch the ä cube", "\ufffd"]
        os.write(write_to, b"x" * 4000)
        os.close(write_to)
        assert typed.lines() == []
        assert not typed.is_over
        (rest,) = typed.lines()
        assert rest.startswith("restxxx")
        assert len(rest) == 2048
        assert typed.is_over
        assert typed.lines() == []
    os.close(read_from)


def test_keys_of_a_terminal_edit_the_line() -> None:
    ours, its = pty.openpty()
    with TypedLines(its, draws=True) as typed:
        for keys, pending in (
            ("touch the read", "touch the read"),
            ("\x7f\x7fd", "touch the red"),
            ("\x1b[A\x1b[D\x1bOP", "touch the red"),
            ("\x17\x04", "touch the"),
            ("\x15push it", "push it"),
        ):
            os.write(ours, keys.encode())
            assert typed.lines() == []
            assert typed.pending == pending
        os.write(ours, b"\r")
        assert typed.lines() == ["push it"]
        assert not typed.is_over
        os.write(ours, b"\x04")
        assert typed.lines() == []
        assert typed.is_over
    os.close(ours)
    os.close(its)
