"""The engine dies or hangs in mid-motion: control misses no tick, plays out its plan, holds, and motion resumes."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable

import pytest

from edge_runtime.client.operator import Operator
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import SafetyReport
from tests.system.conftest import Robot

HOLD_LIMIT_S = 1.5
"""A plan reaches 0.8 s beyond its observation; the rest is for reports and a busy machine."""


class Record:
    """Every report of control while a test listens."""

    def __init__(self, robot: Robot) -> None:
        self.reports: list[SafetyReport] = []
        self._robot = robot

    def follow(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.reports += [m for m in self._robot.operator.watcher.receive(0.02) if isinstance(m, SafetyReport)]

    def states(self) -> list[str]:
        """Without repeats."""
        states: list[str] = []
        for report in self.reports:
            if not states or states[-1] != report.state.value:
                states.append(report.state.value)
        return states

    def policy(self) -> list[str]:
        """What the loop knew of the policy, without repeats."""
        return [state for state, _ in itertools.groupby(report.policy for report in self.reports)]

    def assert_no_tick_lost(self) -> None:
        """Ticks and missed deadlines together are the time that passed: the loop went on at 1 kHz all the while.

        What the machine itself withheld (another program on the core, a paused guest) shows as overruns, which a test
        can't forbid; that the loop stood still would show as neither.
        """
        first, last = self.reports[0], self.reports[-1]
        passed = (last.stamp_ns - first.stamp_ns) / 1e6
        ticks = last.loop.ticks - first.loop.ticks
        overruns = last.loop.overruns - first.loop.overruns
        assert ticks + overruns == pytest.approx(passed, abs=15)
        assert overruns < 0.05 * passed
        assert max(report.loop.cost_p99_ns for report in self.reports) < 1_000_000


@pytest.mark.realtime
def test_sigkill_in_mid_motion(moving_robot: Robot) -> None:
    robot, record = moving_robot, Record(moving_robot)
    record.follow(0.3)
    moved_from = record.reports[-1].position_measured[6]
    os.kill(robot.table.pids()["engine"], signal.SIGKILL)
    record.follow(HOLD_LIMIT_S)
    held = record.reports[-1]
    assert record.states() == ["active", "holding"]
    assert held.position_measured[6] > moved_from, "it plays out what it has"
    assert not held.engine_alive
    assert record.policy() == ["alive", "dead"], "seen to die, not found silent"
    assert held.policy_watch == "lifeline"

    still = [report.position_commanded for report in record.reports[-5:]]
    assert len(set(still)) == 1, "it holds still"

    robot.table.tend()
    robot.until(lambda: robot.table.restarts()["engine"] == 1)
    robot.until(lambda: robot.operator.watcher.control_state == "active")
    record.follow(0.5)
    assert record.reports[-1].position_measured[6] > held.position_measured[6] + 0.02, "motion resumes"
    assert record.states() == ["active", "holding", "active"]
    assert record.reports[-1].policy == "alive"
    record.assert_no_tick_lost()


@pytest.mark.realtime
def test_sigstop_in_mid_motion(moving_robot: Robot) -> None:
    robot, record = moving_robot, Record(moving_robot)
    pid = robot.table.pids()["engine"]
    record.follow(0.3)
    os.kill(pid, signal.SIGSTOP)
    try:
        record.follow(HOLD_LIMIT_S)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert record.states() == ["active", "holding"]
    assert record.policy() == ["alive", "stalled"]
    held = record.reports[-1]
    robot.until(lambda: robot.operator.watcher.control_state == "active")
    record.follow(0.5)
    assert record.reports[-1].position_measured[6] > held.position_measured[6] + 0.02
    assert robot.table.restarts()["engine"] == 0
    record.assert_no_tick_lost()


@pytest.mark.realtime
def test_an_episode_survives_the_death_of_the_engine(start_robot: Callable[..., Robot]) -> None:
    robot = start_robot()
    operator = robot.operator
    victims: list[int] = []

    def kill_once() -> None:
        robot.table.tend()
        if not victims and operator.watcher.status().elapsed_s > 1.0:
            victims.append(robot.table.pids()["engine"])
            os.kill(victims[0], signal.SIGKILL)

    operator.on_wait = kill_once
    result = robot.run_episode(4, "eval")
    assert victims
    assert result.reason == "out of time"
    assert result.receipts[-1].chunk_sequence < result.receipts[0].chunk_sequence + len(result.receipts)
    assert operator.watcher.heartbeats["engine"].pid != victims[0]
    taken = [receipt for receipt in result.receipts if receipt.first_command_ns is not None]
    gaps_s = [(b.exposure_ns - a.exposure_ns) / 1e9 for a, b in itertools.pairwise(taken)]
    assert max(gaps_s) > 0.8, "nothing came while it was dead"
    assert gaps_s[-1] < 0.5, "and chunks are followed again at the end"


def test_control_killed_in_mid_motion_the_driver_stops_the_arm_and_nobody_arms_it_again(moving_robot: Robot) -> None:
    robot, operator = moving_robot, moving_robot.operator
    os.kill(robot.table.pids()["control"], signal.SIGKILL)
    robot.until(lambda: operator.watcher.heartbeats["driver"].counters["watchdog_stops"] == 1)
    robot.until(lambda: robot.table.restarts()["control"] == 1)
    # The new control learns from the driver that it stopped by itself: a fault to be cleared by somebody.
    robot.until(lambda: operator.watcher.control_state == "fault")
    robot.until(lambda: operator.watcher.heartbeats["driver"].note == "braked")
    assert not operator.wait_until(lambda: operator.watcher.control_state != "fault", 1.0)

    result = robot.run_episode(4, "eval", timeout_s=3.0)
    assert result.outcome in ("timeout", "failed")
    assert result.receipts


def test_what_a_person_stopped_stays_stopped_when_control_is_killed(moving_robot: Robot) -> None:
    robot, operator, watcher = moving_robot, moving_robot.operator, moving_robot.operator.watcher
    operator.stop()
    robot.until(lambda: watcher.control_state == "fault")
    os.kill(robot.table.pids()["control"], signal.SIGKILL)
    robot.until(lambda: robot.table.restarts()["control"] == 1)
    robot.until(lambda: watcher.heartbeats["control"].pid == robot.table.pids().get("control"))
    assert not operator.wait_until(lambda: watcher.control_state != "fault", 1.0)
    assert watcher.report is not None
    assert "operator_stop" in watcher.report.faults
    with (
        Operator(robot.run_dir) as another,
        pytest.raises(OperatorError, match="was stopped by an operator"),
    ):
        another.wait_ready()
    operator.reset()
    robot.until(lambda: watcher.control_state == "ready")


def test_a_driver_that_dies_takes_control_along_and_both_come_back(moving_robot: Robot) -> None:
    robot = moving_robot
    os.kill(robot.table.pids()["driver"], signal.SIGKILL)
    robot.until(lambda: robot.table.restarts() == {"driver": 1, "control": 1, "engine": 0})
    result = robot.run_episode(4, "eval", timeout_s=3.0)
    assert result.receipts
