"""Virtual time through the real processes: the same seeds are the same motion, to the last bit."""

from __future__ import annotations

from collections.abc import Callable

from tests.system.conftest import Robot


def test_two_runs_of_new_processes_are_equal(start_robot: Callable[..., Robot]) -> None:
    digests = []
    for _ in range(2):
        robot = start_robot(lockstep=True, restart=False)
        # The second episode starts where the first one left the processes.
        results = [robot.run_episode(seed, "eval", lockstep=True) for seed in (5, 6)]
        robot.table.stop()
        robot.operator.close()
        for result in results:
            assert (result.outcome, result.reason) == ("failed", "out of time")
            assert {receipt.refusal for receipt in result.receipts} == {None}
            latencies = {r.first_command_ns - r.exposure_ns for r in result.receipts if r.first_command_ns is not None}
            assert latencies == {100_000_000}
        digests.append([result.trace_digest for result in results])
    assert digests[0] == digests[1]
    assert digests[0][0] != digests[0][1]


def test_swapped_instructions_reach_the_policy(start_robot: Callable[..., Robot]) -> None:
    robot = start_robot(lockstep=True, restart=False)
    robot.operator.lay_out(9, "eval")
    scene = robot.operator.watcher.scene
    assert scene is not None
    result = robot.run_episode(9, "eval", swapped=True, timeout_s=0.5, lockstep=True)
    assert result.instruction == scene.swapped_instruction != scene.instruction
    assert robot.operator.watcher.status().instruction == result.instruction
