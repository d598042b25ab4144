"""`edge-runtime operator`: a person's requests from another terminal, with and without `edge-runtime run` beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.cli.status_report import RobotReport
from edge_runtime.client.operator import Operator
from edge_runtime.client.status import Watcher
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import StopCause
from edge_runtime.safety.recording import read_recording
from tests.cli.conftest import Command
from tests.cli.test_run import wait_for_state

Ask = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def ask(edge_runtime: Command, run_dir: Path) -> Ask:
    """Runs the command; its exit code, and what it printed."""

    def run(*arguments: object) -> tuple[int, str, str]:
        process = edge_runtime("operator", *arguments, "--run-dir", run_dir)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    return run


@pytest.fixture
def robot(robot_toml: Path, run_dir: Path) -> Iterator[ProcessTable]:
    """The processes as systemd starts them: nobody has armed anything."""
    with ProcessTable(load_config(robot_toml), run_dir) as table, Watcher(run_dir) as watcher:
        table.start()
        deadline_s = time.monotonic() + 30.0
        while not (watcher.control_state == "ready" and watcher.alive("engine")):
            assert time.monotonic() < deadline_s, watcher.status()
            watcher.receive(0.05)
            table.tend()
        yield table


def test_a_robot_is_operated_from_the_command_line_alone(robot: ProcessTable, ask: Ask, run_dir: Path) -> None:
    code, out, err = ask("status")
    assert (code, err) == (0, "")
    assert "state       ready: not armed: follows no commands\n" in out
    assert f"next step   To start: `edge-runtime operator arm --run-dir {run_dir}`.\n" in out
    assert "alive       driver, control, engine\n" in out

    code, out, err = ask("status", "--json")
    assert (code, err) == (0, "")
    report = msgspec.json.decode(out, type=RobotReport)
    assert (report.status.state, report.run_dir) == ("ready", str(run_dir))
    assert report.next_step.startswith("To start: ")
    assert report.safety_digest in ask("status")[1]

    code, _, err = ask("reset")
    assert code == 1
    assert err.startswith("error: reset: control refused: refused_state")
    assert f"There is nothing to reset. To start: `edge-runtime operator arm --run-dir {run_dir}`." in err

    code, out, err = ask("arm")
    assert code == 0, err
    assert "the robot follows its policy once it has an instruction: `edge-runtime operator instruct" in out
    assert "state       holding: armed, standing still without an instruction\n" in ask("status")[1]
    assert ask("disarm")[0] == 0

    assert ask("instruct", "touch the red cube")[0] == 0
    code, out, err = ask("arm")
    assert code == 0, err
    assert out.startswith(("armed: control is holding", "armed: control is active"))
    assert "the robot follows its policy: 'touch the red cube'\n" in out
    with Watcher(run_dir) as watcher:
        deadline_s = time.monotonic() + 10.0
        while watcher.control_state != "active":
            assert time.monotonic() < deadline_s, watcher.status()
            watcher.receive(0.05)
    assert "instruction touch the red cube\n" in ask("status")[1]
    code, _, err = ask("arm")
    assert code == 1
    assert "It is armed already" in err
    assert "reduced" not in ask("status")[1]
    code, out, err = ask("reduce")
    assert (code, "reduced to 0.25 m/s at the tool by an operator" in out) == (0, True), err
    assert "reduced to 0.25 m/s at the tool by an operator, timing grade" in ask("status")[1]
    code, _, err = ask("restore")
    assert (code, "only while the robot is not armed. First: `edge-runtime operator disarm" in err) == (1, True), err

    assert not list((run_dir / "black_box").glob("*.bin"))
    code, out, err = ask("record")
    assert code == 0, err
    (path,) = (run_dir / "black_box").glob("*.bin")
    assert out.startswith(f"recorded: {path.resolve()}\n")
    assert read_recording(path).header.cause == "operator"

    code, out, err = ask("stop")
    assert code == 0, err
    assert out.startswith("stopped: control is fault (operator_stop: stopped by an operator); accepted after ")
    go_on = f"To continue: `edge-runtime operator reset --run-dir {run_dir}`, then `edge-runtime operator arm"
    assert go_on in out
    out = ask("status")[1]
    assert "state       fault (operator_stop: stopped by an operator)\n" in out
    assert f"next step   {go_on}" in out
    code, _, err = ask("arm")
    assert code == 1
    assert f"A fault is latched. {go_on}" in err
    code, out, err = ask("reset")
    assert (code, out.startswith("reset: control is ready; nothing moves before a person types ")) == (0, True), err
    assert ask("restore")[0] == 0
    assert "reduced" not in ask("status")[1]
    assert ask("arm")[0] == 0
    assert ask("disarm")[1].startswith("disarmed: control is ready; nothing moves before a person types ")
    assert robot.restarts() == {"driver": 0, "control": 0, "engine": 0}


def assert_nothing_moves(run_dir: Path, for_s: float) -> None:
    with Watcher(run_dir) as watcher:
        assert_heard(watcher)
        until_s = time.monotonic() + for_s
        states, postures = set(), []
        while time.monotonic() < until_s:
            watcher.receive(0.05)
            states.add(watcher.control_state)
            if watcher.report is not None:
                postures.append(watcher.report.position_measured)
    assert states <= {"unknown", "silent", "ready", "fault"}
    spread_rad = max(max(joint) - min(joint) for joint in zip(*postures, strict=True))
    assert spread_rad < 2e-3, "the arm may sag, and does not move"


def assert_heard(watcher: Watcher) -> None:
    deadline_s = time.monotonic() + 20.0
    while watcher.control_state == "unknown":
        assert time.monotonic() < deadline_s
        watcher.receive(0.05)


def control_of(run_dir: Path) -> int:
    with Watcher(run_dir) as watcher:
        deadline_s = time.monotonic() + 20.0
        while not watcher.alive("control"):
            assert time.monotonic() < deadline_s
            watcher.receive(0.05)
        return watcher.heartbeats["control"].pid


@pytest.mark.parametrize("request_", ["stop", "disarm"])
@pytest.mark.parametrize("restarts", [False, True])
def test_after_a_persons_stop_a_run_moves_nothing_before_she_arms(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, ask: Ask, request_: str, restarts: bool
) -> None:
    run = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--no-page")
    wait_for_state(run_dir, "active", run)
    code, out, err = ask(request_)
    assert code == 0, err
    assert_nothing_moves(run_dir, 3.0)
    if restarts:
        os.kill(control_of(run_dir), signal.SIGKILL)
        assert_nothing_moves(run_dir, 6.0)
    if request_ == "stop" or "fault" in ask("status")[1]:
        # A control that died has found the arm stopped by its driver: a fault, to be reset by the same person.
        code, out, err = ask("reset")
        assert code == 0, err
        assert "nothing moves before a person types `edge-runtime operator arm" in out
        assert "also where a run is on" in out
    assert_nothing_moves(run_dir, 10.0)
    out = ask("status")[1]
    assert f"state       ready (operator_{request_}: " in out
    assert "next step   To continue: `edge-runtime operator arm" in out
    code, out, err = ask("arm")
    assert code == 0, err
    assert "A run is on" in out
    assert "it goes on now, with its next episode" in out
    wait_for_state(run_dir, "active", run)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    by = {"stop": "stopped by an operator. To continue: ", "disarm": "disarmed by an operator. To continue: "}
    assert by[request_] in out
    assert "armed by an operator: the run goes on with its next episode" in out


def test_an_evaluation_waits_for_the_person_and_repeats_what_she_cut_short(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, ask: Ask
) -> None:
    options = ("--config", robot_toml, "--run-dir", run_dir, "--episodes", 1, "--real-time")
    evaluation = edge_runtime("evaluate", *options)
    wait_for_state(run_dir, "active", evaluation)
    assert ask("stop")[0] == 0
    assert ask("reset")[0] == 0
    assert_nothing_moves(run_dir, 5.0)
    assert evaluation.poll() is None
    assert ask("arm")[0] == 0
    out, err = evaluation.communicate(timeout=120)
    assert evaluation.returncode == 0, err
    assert "stopped by an operator. To continue: " in out
    assert "1 of 1 episodes, 0 successes" in out
    assert "interrupted" not in out


def test_a_run_that_is_started_anew_does_not_end_a_stop_either(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, ask: Ask
) -> None:
    for is_new in (False, True):
        run = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--no-page")
        with Watcher(run_dir) as watcher:
            assert_heard(watcher)
        if not is_new:
            wait_for_state(run_dir, "active", run)
            assert ask("stop")[0] == 0
        else:
            wait_for_state(run_dir, "fault", run)
            assert_nothing_moves(run_dir, 6.0)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)


def test_an_instruction_beside_a_run_is_refused_and_a_manual_run_takes_it(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, ask: Ask
) -> None:
    run = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--no-page")
    wait_for_state(run_dir, "active", run)
    code, _, err = ask("instruct", "make me a sandwich")
    assert code == 1
    assert "gives the instructions itself" in err
    assert "edge-runtime run --manual" in err
    assert "sandwich" not in ask("status")[1]
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)

    manual = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--no-page", "--manual")
    wait_for_state(run_dir, "ready", manual)
    assert ask("instruct", "touch the red cube")[0] == 0
    assert_nothing_moves(run_dir, 2.0)
    code, out, err = ask("arm")
    assert (code, "A run is on" in out) == (0, False), err
    wait_for_state(run_dir, "active", manual)
    assert "instruction touch the red cube\n" in ask("status")[1]
    manual.send_signal(signal.SIGINT)
    out, err = manual.communicate(timeout=60)
    assert manual.returncode == 0, err
    assert "no episodes are run. From another terminal: " in out


UNREADABLE = (
    ("触碰红色方块", "the policy does not know: 触碰红色方块; it knows: and, ball, block, blue, can"),
    ("do not touch the red cube", "was not trained to understand negation (not)"),
    ("pick up the mug and put it on the shelf", "the policy does not know: pick, up, mug, shelf"),
    ("please " * 70 + "touch the red cube", "it reads 16 words and would not see: please, touch, the, red, cube"),
)


def test_a_sentence_that_the_policy_cannot_read_moves_no_robot(robot: ProcessTable, run_dir: Path, ask: Ask) -> None:
    for text, words in UNREADABLE:
        code, out, err = ask("instruct", text)
        assert (code, out) == (1, "")
        assert err.startswith(f"error: instruct {text!r}: engine refused: refused_unreadable: ")
        assert words in err
        assert "the robot follows no instruction now" in err
        _, out, _ = ask("status")
        assert f"instruction none: {text.strip()!r} was refused: " in out
        assert ask("arm")[0] == 0
        with Watcher(run_dir) as watcher:
            at_rest = None
            end_s = time.monotonic() + 3.0
            while time.monotonic() < end_s:
                watcher.receive(0.05)
                robot.tend()
                assert watcher.control_state in ("holding", "unknown")
                if watcher.report is not None:
                    at_rest = at_rest or watcher.report.position_commanded
                    assert watcher.report.position_commanded == at_rest
        assert at_rest is not None
        assert ask("disarm")[0] == 0


def test_an_unreadable_sentence_ends_the_task_under_way_and_a_readable_one_goes_on(
    robot: ProcessTable, run_dir: Path, ask: Ask
) -> None:
    assert ask("instruct", "touch the red cube")[0] == 0
    assert ask("arm")[0] == 0
    with Operator(run_dir) as person:
        person.on_wait = robot.tend
        assert person.wait_until(lambda: person.watcher.control_state == "active", 15.0)
        with pytest.raises(OperatorError, match="refused_unreadable"):
            person.instruct("do not touch the red cube")
        told_s = time.monotonic()
        assert person.wait_until(lambda: person.watcher.control_state == "holding", 5.0)
        assert time.monotonic() - told_s < 0.6, "its plan reached 0.8 s beyond its observation, and is not played out"
        assert not person.wait_until(lambda: person.watcher.control_state != "holding", 1.5)
        person.instruct("touch the blue ball")
        assert person.wait_until(lambda: person.watcher.control_state == "active", 5.0)


def test_many_operators_at_once_and_the_stop_of_one_wins(robot: ProcessTable, run_dir: Path, ask: Ask) -> None:
    with Operator(run_dir) as first, Operator(run_dir) as second:
        first.instruct("touch the red cube")
        first.arm()
        second.instruct("touch the blue ball")
        first.watcher.receive(0.3)
        assert ask("stop")[0] == 0
        assert first.wait_until(lambda: first.watcher.control_state == "fault", 5.0)
        assert first.stopped_by is StopCause.OPERATOR_STOP
        for ask_it in (second.reset, first.arm):
            with pytest.raises(OperatorError, match="refused_after_stop: a person stopped or disarmed the robot"):
                ask_it()
        assert ask("reset")[0] == 0
        with pytest.raises(OperatorError, match="refused_after_stop"):
            first.arm()
        assert ask("arm")[0] == 0
        first.disarm()
        first.wait_until(lambda: first.watcher.control_state == "ready", 5.0)
        first.arm()
    assert robot.restarts()["control"] == 0


def test_a_monitor_for_programs_gives_an_object_a_line(
    robot: ProcessTable, run_dir: Path, edge_runtime: Command
) -> None:
    process = edge_runtime("monitor", "--json", "--run-dir", run_dir)
    time.sleep(3.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    reports = [msgspec.json.decode(line, type=RobotReport) for line in out.splitlines()]
    assert 2 <= len(reports) <= 4
    assert reports[-1].status.state == "ready"
    assert reports[-1].status.alive == {"driver": True, "control": True, "engine": True}
    assert robot.restarts() == {"driver": 0, "control": 0, "engine": 0}


def test_a_reader_that_leaves_is_no_error_of_a_command_that_looks_at_a_robot(
    robot: ProcessTable, run_dir: Path
) -> None:
    robot.tend()
    for command in ("operator status", "operator status --json", "monitor", "monitor --json"):
        reading, writing = os.pipe()
        os.close(reading)
        program = [sys.executable, "-c", "from edge_runtime.entry import main; main()", *command.split()]
        process = subprocess.Popen(
            [*program, "--run-dir", str(run_dir)], stdout=writing, stderr=subprocess.PIPE, text=True
        )
        os.close(writing)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (1, ""), command


def test_silence_is_told_and_what_it_means_for_a_stop(ask: Ask, run_dir: Path) -> None:
    code, _, err = ask("stop")
    assert code == 1
    assert f"error: stop: control did not answer within 5 s; is a robot running in {run_dir}?" in err
    assert err.endswith("IT MAY STILL BE MOVING: use the robot's own stop\n")
    code, _, err = ask("status")
    assert code == 1
    assert "control has sent no message" in err


def test_without_a_folder_the_local_run_comes_first_then_that_of_the_services(
    edge_runtime: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, err = edge_runtime("operator", "status").communicate(timeout=30)
    assert "in /run/edge-runtime?" in err
    (tmp_path / ".run").mkdir()
    _, err = edge_runtime("operator", "status").communicate(timeout=30)
    assert "in .run?" in err


def test_an_outcome_that_nobody_keeps_is_an_error(ask: Ask) -> None:
    code, out, err = ask("outcome", "success")
    assert (code, out) == (1, "")
    assert err == (
        "error: outcome: the update agent has sent no message for 1.5 s, and nothing else keeps outcomes: it "
        "runs where robot.toml has a section [ota] (systemctl status edge-runtime-ota)\n"
    )
