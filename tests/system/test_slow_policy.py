"""Policies that need long for a chunk: a normal case, as long as their plans reach until the next one."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.client.status_lines import next_step
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import Heartbeat, SafetyReport
from edge_runtime.pace import PaceProblem, pace_of
from edge_runtime.processes import ENGINE
from tests.cli.conftest import Command, edge_runtime
from tests.system.conftest import Robot
from tests.system.slow_bundle import HANG_WORD, write_slow_robot

__all__ = ["edge_runtime"]

pytestmark = pytest.mark.realtime

SPEED_RAD_S = 0.2
ENGINE_TIMEOUT_S = 0.5
_SHARE = 0.5
"""Of the time that a chunk was made to take: other programs share the processor, then and now."""


class Listened:
    """What a robot says while a test listens."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self.reports: list[SafetyReport] = []
        self.beats_s: list[float] = []

    def follow(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._robot.table.tend()
            for message in self._robot.operator.watcher.receive(0.02):
                if isinstance(message, SafetyReport):
                    self.reports.append(message)
                elif isinstance(message, Heartbeat) and message.process == "engine":
                    self.beats_s.append(time.monotonic())

    def policy(self) -> list[str]:
        return [state for state, _ in itertools.groupby(report.policy for report in self.reports)]


def latency_s(robot: Robot) -> float:
    engine = robot.operator.watcher.engine
    assert engine is not None
    return engine.latency_ns * 1e-9


def until_active(robot: Robot) -> None:
    robot.until(lambda: robot.operator.watcher.control_state == "active", 20.0)


@pytest.mark.parametrize(("took_s", "dt_s"), [(0.45, 0.05), (1.5, 0.1)])
class TestASlowPolicy:
    @pytest.fixture
    def robot_toml(self, tmp_path: Path, took_s: float, dt_s: float) -> Path:
        return write_slow_robot(tmp_path / "config", took_s, horizon=64, dt_s=dt_s)

    def test_it_arms_with_the_usual_settings_and_its_chunks_are_followed(
        self, start_robot: Callable[..., Robot], took_s: float
    ) -> None:
        robot = start_robot()
        operator, watcher = robot.operator, robot.operator.watcher
        operator.lay_out(3, "eval")
        operator.instruct("touch the red cube")
        robot.until(lambda: watcher.engine is not None)
        assert latency_s(robot) > _SHARE * took_s, "it really is slow"
        operator.arm()
        until_active(robot)
        begun_rad = watcher.report.position_measured[6] if watcher.report is not None else 0.0
        watcher.receipts.clear()
        listened = Listened(robot)
        listened.follow(4.0 * took_s + 1.0)
        assert listened.policy() == ["alive"]
        active = [report.state.value == "active" for report in listened.reports]
        assert sum(active) > 0.8 * len(active), "but for a chunk that the machine made late"
        assert max(b - a for a, b in itertools.pairwise(listened.beats_s)) < ENGINE_TIMEOUT_S
        taken = [receipt for receipt in watcher.receipts if receipt.refusal is None]
        assert len(taken) >= 2
        refused = {receipt.refusal for receipt in watcher.receipts}
        # It drifts on and on, and in the end leaves the range of its joint.
        assert refused <= {None, "stale", "out_of_range"}, refused
        assert all(receipt.received_ns - receipt.exposure_ns > _SHARE * 1e9 * took_s for receipt in taken)
        moved_rad = listened.reports[-1].position_measured[6] - begun_rad
        assert moved_rad == pytest.approx(SPEED_RAD_S * (4.0 * took_s + 1.0), rel=0.35)

        started_s = time.monotonic()
        operator.instruct("touch the blue cube")
        assert time.monotonic() - started_s < _SHARE * took_s, "it hears while it thinks"

    def test_its_death_is_seen_at_once_all_the_same(self, start_robot: Callable[..., Robot]) -> None:
        robot = start_robot()
        robot.operator.lay_out(3, "eval")
        robot.operator.instruct("touch the red cube")
        robot.operator.arm()
        until_active(robot)
        listened = Listened(robot)
        listened.follow(0.3)
        killed_ns = time.monotonic_ns()
        os.kill(robot.table.pids()["engine"], signal.SIGKILL)
        listened.follow(1.8)
        dead = next(report for report in listened.reports if report.policy == "dead")
        assert dead.stamp_ns - killed_ns < 200_000_000
        assert dead.policy_watch == "lifeline"
        held = next(report for report in listened.reports if report.state.value == "holding")
        # Its plan reaches for seconds; the robot's own play_max_s of one second does not wait for that.
        assert held.stamp_ns - killed_ns < 1.6e9


def test_one_that_hangs_is_found_in_bounded_time_goes_on_hearing_and_is_replaced(
    start_robot: Callable[..., Robot], robot_toml: Path
) -> None:
    robot = start_robot()
    operator, watcher = robot.operator, robot.operator.watcher
    operator.lay_out(3, "eval")
    operator.instruct("touch the red cube")
    operator.arm()
    until_active(robot)
    engine = watcher.engine
    assert engine is not None
    pace = pace_of(engine.latency_ns * 1e-9, engine.horizon_ns * 1e-9, load_config(robot_toml))
    operator.instruct(f"touch the {HANG_WORD} cube")
    hung_ns = time.monotonic_ns()
    listened = Listened(robot)
    listened.follow(pace.progress_timeout_s + 2.5)
    stuck = next(report for report in listened.reports if report.policy == "stuck")
    assert stuck.stamp_ns - hung_ns < (pace.progress_timeout_s + 1.0) * 1e9
    assert listened.policy() == ["alive", "stuck"], "never silent"
    assert listened.reports[-1].state.value == "holding"
    operator.instruct("touch the red cube")
    with pytest.raises(OperatorError, match="refused_unreadable"):
        operator.instruct("touch the mug")
    robot.until(lambda: robot.table.restarts()["engine"] == 1, 20.0)
    assert "an inference has hung for 10 s" in robot.table.last_words(ENGINE, 20)
    robot.until(lambda: watcher.engine is not None and watcher.engine.pid == robot.table.pids().get("engine"), 20.0)
    operator.instruct("touch the red cube")
    until_active(robot)


@pytest.fixture
def robot_toml(tmp_path: Path) -> Path:
    return write_slow_robot(tmp_path / "config", 0.3, horizon=64, dt_s=0.05)


class TestOneThatCannotAct:
    """Its plan reaches 0.8 s; the next chunk is there after more than twice as long."""

    @pytest.fixture
    def robot_toml(self, tmp_path: Path) -> Path:
        return write_slow_robot(tmp_path / "config", 1.2, horizon=16, dt_s=0.05)

    def test_it_is_refused_by_name_at_arming(self, start_robot: Callable[..., Robot]) -> None:
        robot = start_robot()
        robot.operator.instruct("touch the red cube")
        robot.until(lambda: robot.operator.watcher.engine is not None)
        with pytest.raises(OperatorError, match=r"a chunk takes .*; it reaches 0\.80 s") as caught:
            robot.operator.arm()
        assert caught.value.answer == "refused_pace"
        assert robot.operator.watcher.control_state == "ready"
        # Nobody has to try in order to know.
        robot.until(lambda: robot.operator.watcher.status().cannot_act != "")
        assert "it reaches 0.80 s" in next_step(robot.operator.watcher.status())

    @pytest.mark.in_company
    def test_check_says_that_it_cannot_act_and_what_to_do(self, edge_runtime: Command, robot_toml: Path) -> None:
        process = edge_runtime("check", "--config", robot_toml)
        out, err = process.communicate(timeout=100)
        assert (process.returncode, err) == (1, ""), out
        words = " ".join(out.replace("│", " ").split())
        assert "it can't act" in words
        assert "longer horizon" in words
        assert PaceProblem.HORIZON is pace_of(1.2, 0.8, load_config(robot_toml)).problem
