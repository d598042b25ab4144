"""Virtual time through the real processes: the same seeds are the same motion, to the last bit."""

from __future__ import annotations

from collections.abc import Callable

from edge_runtime.operator import EpisodeResult
from tests.system.conftest import Robot


def episodes(robot: Robot) -> list[EpisodeResult]:
    return [robot.operator.run_episode(seed, "eval") for seed in (5, 6)]


def test_two_runs_command_the_same_motion(start_robot: Callable[..., Robot]) -> None:
    robot = start_robot(lockstep=True, restart=False)
    first = episodes(robot)
    # Once more in the same processes, whose counters and noise have moved on, but not in the same state.
    again = episodes(robot)
    assert [result.instruction for result in first] == [result.instruction for result in again]
    for result in (*first, *again):
        assert result.outcome == "failed"
        assert result.reason == "out of time"
        assert result.interventions < 1000
        assert {receipt.refusal for receipt in result.receipts} == {None}
        latencies = {r.first_command_ns - r.exposure_ns for r in result.receipts if r.first_command_ns is not None}
        assert latencies == {100_000_000}
    assert first[0].trace_digest != first[1].trace_digest


def test_two_runs_of_new_processes_are_equal(start_robot: Callable[..., Robot]) -> None:
    digests = []
    for _ in range(2):
        robot = start_robot(lockstep=True, restart=False)
        digests.append([result.trace_digest for result in episodes(robot)])
        robot.table.stop()
        robot.operator.close()
    assert digests[0] == digests[1]


def test_swapped_instructions_reach_the_policy(start_robot: Callable[..., Robot]) -> None:
    robot = start_robot(lockstep=True, restart=False)
    robot.operator.lay_out(9, "eval")
    scene = robot.operator.watcher.scene
    assert scene is not None
    result = robot.operator.run_episode(9, "eval", swapped=True, timeout_s=0.5)
    assert result.instruction == scene.swapped_instruction != scene.instruction
    assert robot.operator.watcher.status().instruction == result.instruction
