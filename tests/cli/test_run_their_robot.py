"""`edge-runtime run` with a driver from outside: without scenes, and, with `--hold`, without a policy."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from edge_runtime.client.operator import Operator
from edge_runtime.client.status import Watcher
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import Asker
from tests.cli.conftest import Command, traces
from tests.cli.test_run import wait_for_state
from tests.drivers.sdk.robots import c_robot, robot_of, skeleton_driver
from tests.settings import replace


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A robot without a policy."""
    return robot_of(tmp_path / "bare", "./driver.py", skeleton_driver())


@pytest.fixture
def whole(tmp_path: Path, robot_toml: Path) -> Path:
    """A robot with a policy, whose driver lays out no scenes."""
    shutil.copytree(robot_toml.parent, tmp_path / "whole")
    (tmp_path / "whole" / "driver.py").write_text(skeleton_driver())
    replace(tmp_path / "whole" / "robot.toml", r'driver = ".*"', 'driver = "./driver.py"')
    return tmp_path / "whole" / "robot.toml"


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.realtime
@pytest.mark.in_company
@pytest.mark.parametrize("language", ["python", "c"])
def test_a_robot_without_a_policy_is_held_for_a_person(
    edge_runtime: Command, tmp_path: Path, run_dir: Path, language: str
) -> None:
    bare = c_robot(tmp_path) if language == "c" else robot_of(tmp_path, "./driver.py", skeleton_driver())
    process = edge_runtime("run", "--hold", "--config", bare, "--run-dir", run_dir, "--no-page")
    wait_for_state(run_dir, "ready", process)
    with Operator(run_dir) as program, pytest.raises(OperatorError, match="refused_program") as caught:
        program.arm()
    assert caught.value.answered
    code, out, err = ended(edge_runtime("operator", "arm", "--run-dir", run_dir))
    assert code == 0, err
    assert "it holds its posture, and follows no policy" in out
    assert "follows its policy" not in out
    wait_for_state(run_dir, "holding", process)
    with Watcher(run_dir) as watcher:
        end_s = time.monotonic() + 1.5
        while time.monotonic() < end_s:
            watcher.receive(0.05)
        report, status = watcher.report, watcher.status()
        assert report is not None
        assert report.state.value == "holding"
        assert report.position_commanded == pytest.approx(report.position_measured, abs=1e-3)
        assert status.alive == {"driver": True, "control": True}, "no engine is missed"
    code, out, _ = ended(edge_runtime("operator", "status", "--run-dir", run_dir))
    assert "holding: armed, holding its posture; no policy is run" in out
    assert ended(edge_runtime("operator", "disarm", "--run-dir", run_dir))[0] == 0
    process.send_signal(signal.SIGINT)
    code, out, err = ended(process)
    assert code == 0, out + err
    assert "no policy is run: once armed, the robot holds its posture." in out
    assert not (run_dir / "logs" / "engine.log").exists(), "no engine was started"
    assert traces(run_dir, bare) == []


@pytest.mark.realtime
@pytest.mark.in_company
def test_a_robot_that_knows_no_scenes_is_left_to_a_person(edge_runtime: Command, whole: Path, run_dir: Path) -> None:
    process = edge_runtime("run", "--config", whole, "--run-dir", run_dir, "--no-page")
    wait_for_state(run_dir, "ready", process)
    with Operator(run_dir, asker=Asker.PERSON) as operator:
        operator.instruct("touch the red cube")
        operator.arm()
    wait_for_state(run_dir, "active", process)
    process.send_signal(signal.SIGINT)
    code, out, err = ended(process)
    assert code == 0, out + err
    assert "the driver './driver.py' lays out no scenes, so no episodes are run" in out
    assert traces(run_dir, whole) == []


def test_what_needs_scenes_or_a_policy_says_so(edge_runtime: Command, bare: Path, whole: Path, run_dir: Path) -> None:
    common = ("--config", bare, "--run-dir", run_dir)
    code, _, err = ended(edge_runtime("run", *common))
    assert (code, err) == (
        2,
        f"error: robot.bundle: robot.toml names no policy. Name the folder of one, or bring the robot up without: "
        f"edge-runtime run --hold --config {bare}\n",
    )
    code, _, err = ended(edge_runtime("run", "--hold", "--episodes", 3, *common))
    assert (code, err) == (2, "error: --episodes: no policy is run, so there are no episodes: leave it out\n")
    code, _, err = ended(edge_runtime("run", "--episodes", 3, "--config", whole, "--run-dir", run_dir))
    assert code == 2
    assert err.startswith("error: --episodes: the driver './driver.py' lays out no scenes")
    code, _, err = ended(edge_runtime("evaluate", "--config", whole))
    assert code == 2
    assert err.startswith("error: robot.driver: './driver.py' lays out no scenes, and judges no episodes")
    assert err.count("\n") == 1


@pytest.mark.realtime
@pytest.mark.in_company
def test_check_says_that_a_policy_is_missing_and_nothing_else(edge_runtime: Command, bare: Path) -> None:
    code, out, _ = ended(edge_runtime("check", "--config", bare))
    assert "none: it can be armed, and stands still" in " ".join(out.split())
    assert "bundle in [robot], a policy made for this robot; until then: edge-runtime run --hold" in out
    assert "golden pairs" not in out
    assert "inference" not in out
    assert "./driver.py, 3 joints, 1 gripper, cameras: scene 64 x 48 px; stops by itself 100 ms" in " ".join(
        out.split()
    )
    assert code == 0 or "loop, 2 s at 1 kHz" in out.splitlines()[-1], out


def test_claims_can_be_made_for_a_robot_without_a_policy(edge_runtime: Command, bare: Path) -> None:
    code, out, err = ended(edge_runtime("claims", "--config", bare))
    assert code == 0, err
    assert "with the driver `./driver.py`" in out
