"""`edge-runtime operator`: a person's requests from another terminal, with and without `edge-runtime run` beside it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.errors import OperatorError
from edge_runtime.cli.launch import ProcessTable
from edge_runtime.config import load_config
from edge_runtime.operator import Operator
from edge_runtime.safety.recording import read_recording
from edge_runtime.status import Watcher
from tests.cli.conftest import Command
from tests.cli.test_run import wait_for_state

pytestmark = pytest.mark.realtime

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
    assert "state       ready\n" in out
    assert "alive       driver, control, engine\n" in out

    code, _, err = ask("reset")
    assert code == 1
    assert err.startswith("error: reset: control refused: refused_state")
    assert "control is ready: there is nothing to reset: `arm` is next" in err

    assert ask("instruct", "touch the red cube")[0] == 0
    code, out, err = ask("arm")
    assert code == 0, err
    assert out.startswith(("armed: control is holding", "armed: control is active"))
    with Watcher(run_dir) as watcher:
        deadline_s = time.monotonic() + 10.0
        while watcher.control_state != "active":
            assert time.monotonic() < deadline_s, watcher.status()
            watcher.receive(0.05)
    assert "instruction touch the red cube\n" in ask("status")[1]
    code, _, err = ask("arm")
    assert code == 1
    assert "it is armed already" in err
    assert ask("reduce")[0] == 0
    code, _, err = ask("restore")
    assert (code, "disarm first" in err) == (1, True), err

    assert not list((run_dir / "black_box").glob("*.bin"))
    assert ask("record")[0] == 0
    (path,) = (run_dir / "black_box").glob("*.bin")
    assert read_recording(path).header.cause == "operator"

    code, out, err = ask("stop")
    assert code == 0, err
    assert out.startswith("stopped: control is fault, taken after ")
    code, _, err = ask("arm")
    assert code == 1
    assert "control is fault (operator_stop): a fault is latched: see `status`, then `reset`" in err
    assert ask("reset")[0] == 0
    assert ask("restore")[0] == 0
    assert ask("arm")[0] == 0
    assert ask("disarm")[1] == "disarmed: control is ready\n"
    assert robot.restarts() == {"driver": 0, "control": 0, "engine": 0}


def test_a_stop_during_a_run_stays_until_a_person_resets_it(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, ask: Ask
) -> None:
    run = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--no-page")
    wait_for_state(run_dir, "active", run)
    code, _, err = ask("stop")
    assert code == 0, err
    with Watcher(run_dir) as watcher:
        until_s = time.monotonic() + 3.0
        states = set()
        while time.monotonic() < until_s:
            watcher.receive(0.05)
            states.add(watcher.control_state)
    assert states <= {"unknown", "fault"}, "the run does not clear what somebody else has stopped"
    assert ask("reset")[0] == 0
    wait_for_state(run_dir, "active", run)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert f"stopped (operator_stop); it goes on after: edge-runtime operator reset --run-dir {run_dir}" in out


UNREADABLE = (
    ("触碰红色方块", "the policy does not know: 触碰红色方块; it knows: and, ball, block, blue, can"),
    ("do not touch the red cube", "was not trained to understand negation (not)"),
    ("pick up the mug and put it on the shelf", "the policy does not know: pick, up, mug, shelf"),
    ("please " * 70 + "touch the red cube", "it reads 16 words and would not see: please, touch, the, red, cube"),
)


@pytest.mark.parametrize(("text", "words"), UNREADABLE, ids=["script", "negation", "unknown", "cut"])
def test_a_sentence_that_the_policy_cannot_read_moves_no_robot(
    robot: ProcessTable, run_dir: Path, ask: Ask, text: str, words: str
) -> None:
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
                at_rest = at_rest or watcher.report.position_commanded_rad
                assert watcher.report.position_commanded_rad == at_rest


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
        assert first.stopped_by == ("operator_stop",)
        second.reset()
        first.arm()
        first.disarm()
    assert robot.restarts()["control"] == 0


def test_silence_is_told_and_what_it_means_for_a_stop(ask: Ask, run_dir: Path) -> None:
    code, _, err = ask("stop")
    assert code == 1
    assert f"error: stop: control did not answer within 5 s; is a robot running in {run_dir}?" in err
    assert err.endswith("IT MAY STILL BE MOVING: use the robot's own stop\n")
    code, _, err = ask("status")
    assert code == 1
    assert "control has not been heard" in err


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
    assert err.startswith(
        "error: outcome: ota no update agent has been heard for 1.5 s, and nobody else keeps outcomes"
    )
    assert "systemctl status edge-runtime-ota" in err
