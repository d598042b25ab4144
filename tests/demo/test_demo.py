"""`make demo` with its real processes: the whole story, without anybody who helps it along, and what cuts it short."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from edge_runtime.bundles.installed import Installed
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.control.standing_orders import StandingOrders
from edge_runtime.ipc.bus import claim
from edge_runtime.safety import Reason
from scripts.demo import show, stage
from scripts.demo.show import main
from tests.cli.conftest import traces
from tests.cli.test_interactive import Typist
from tests.system.conftest import run_dir

__all__ = ["run_dir"]

ROOT = Path(__file__).parents[2]

Demo = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def demo(run_dir: Path) -> Iterator[Demo]:
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.demo", "--run-dir", str(run_dir), *(options or ("--no-page",))],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "120", "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    pytest.fail(f"{words!r} was never said: {process.communicate()[1]}")


@pytest.mark.timeout(600)
def test_an_update_goes_through_and_a_broken_one_rolls_itself_back(demo: Demo, run_dir: Path) -> None:
    # On the leavings of one that was interrupted: it begins anew.
    first = demo()
    read_until(first, "$ edge-hub robots enrol")
    first.send_signal(signal.SIGINT)
    assert first.wait(30) == 130
    assert traces(run_dir, SIM_CONFIG) == []

    out, err = demo().communicate(timeout=580)
    said = [line for line in out.splitlines() if line.startswith(("update: ", "$ ", "error", "✓   1 "))]
    assert err == "", said
    assert said[0].startswith("✓   1 "), "the arm moves before there is any word of a hub"
    assert said[1].startswith("$ edge-hub init")
    good, bad = (read_manifest(run_dir / "demo" / f"pocket_vla-{version}") for version in ("0.2.0", "0.3.0"))
    proven = f"update: pocket_vla 0.2.0 ({good.digest[:8]}) has proven itself: committed"
    tried = f"update: pocket_vla 0.3.0 ({bad.digest[:8]}) acts from now on"
    back = f"update: rolled back to pocket_vla 0.2.0 ({good.digest[:8]}): probation_episodes"
    assert said.index(proven) < said.index(tried) < said.index(back), said
    assert re.search(r"with 0\.3\.0 +0 of [1-9]", out)
    # What the robot's disk and the hub say, who were not told that this is a demo.
    assert Installed.of(load_config(run_dir / "demo" / "robot.toml")).boot().bundle == good.digest
    assert "arm-1: failed" in out
    assert f"{good.digest[:8]}…, idle (probation_episodes)" in out
    assert not re.search(r"[0-9a-f]{40}", out), "nobody reads 64 digits"
    assert "What is normal here: interventions" in out
    assert traces(run_dir, SIM_CONFIG) == []


def test_a_story_that_does_not_go_on_is_a_failure_in_one_line(demo: Demo, run_dir: Path) -> None:
    process = demo()
    read_until(process, "   serving ")
    (hub,) = (
        one
        for one in psutil.process_iter(["cmdline"])
        if (one.info["cmdline"] or [])[-3:-2] == [str(run_dir / "demo" / "hub")]
    )
    hub.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("error: edge-hub serve has ended")
    assert err.count("\n") == 1
    assert traces(run_dir, SIM_CONFIG) == []


def test_too_little_space_is_said_before_anything_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stage, "_NEEDED_MB", 10**9)
    assert main(["--run-dir", str(tmp_path)]) == 1
    assert re.fullmatch(r"error: .*demo has \d+ MB left, the demo needs 1000000000; .*\n", capsys.readouterr().err)


def test_a_port_or_a_robot_that_is_taken_is_said_before_an_earlier_hub_is_removed(demo: Demo, run_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _, err = demo("--page-port", str(port)).communicate(timeout=60)
        assert err.startswith(f"error: page: port {port}: Address already in use; choose another: --page-port 0 ")
        assert 'with make: ARGS="--page-port 0"' in err
        assert err.count("\n") == 1
    with claim(run_dir, "run", "runs this robot"):
        _, err = demo().communicate(timeout=60)
    assert err.startswith(f"error: another process already runs this robot in {run_dir}; stop that run first")
    assert 'make demo ARGS="--run-dir DIR"' in err
    assert not (run_dir / "demo").exists()


def test_of_ports_that_nobody_asked_for_the_next_free_one_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        other = show._free_port(port, Console(width=200), may_choose_port=True)
    assert port < other <= port + 20
    assert capsys.readouterr().out == f"port {port} is in use, so the page is at port {other}\n"


def test_a_person_types_a_sentence_of_her_own_and_goes_on_by_enter(run_dir: Path) -> None:
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.demo", "--run-dir", str(run_dir), "--no-page"],
        cwd=ROOT,
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "COLUMNS": "100", "LINES": "40", "TERM": "xterm"},
        start_new_session=True,
    )
    try:
        person = Typist(process, ours, ours)
        person.hears("A simulated arm with seven joints.", 60.0)
        person.hears("The demo types the first two sentences", 60.0)
        person.hears("✓ ", 40.0)
        person.hears("Your turn: ", 40.0)
        person.type("fly to the moon", end="\r")
        person.hears("the policy does not know: fly, moon")
        person.type("touch the purple cylinder", end="\r")
        person.hears("armed: the robot moves")
        person.hears("what the arm did: touched the purple cylinder", 40.0)
        person.type("", end="\r")
        person.hears("Part 2: a hub sends this robot two updates", 40.0)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
        assert traces(run_dir, SIM_CONFIG) == []
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(its)


def test_without_a_terminal_a_stop_of_before_ends_the_demo_in_one_line(demo: Demo, run_dir: Path) -> None:
    run_dir.mkdir(exist_ok=True)
    StandingOrders(run_dir).follow(Reason.OPERATOR_STOP)
    out, err = demo().communicate(timeout=60)
    assert err.startswith("error: the robot is stopped by an operator, and only a person lets it move again. "), out
    assert f"`edge-runtime operator reset --run-dir {run_dir}`" in err


def test_what_is_in_its_way_is_said_in_one_line(demo: Demo, run_dir: Path) -> None:
    with claim(run_dir, "demo", "is in the way"):
        _, err = demo().communicate(timeout=60)
    assert err.startswith("error: demo: another process already shows the demo in ")
    (run_dir / "demo").mkdir()
    (run_dir / "demo" / "thesis.txt").write_text("years of work")
    _, err = demo().communicate(timeout=60)
    assert err == f"error: {run_dir / 'demo'} is there, and no demo has made it; use another --run-dir\n"
    assert (run_dir / "demo" / "thesis.txt").read_text() == "years of work"
