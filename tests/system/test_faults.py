"""Faults of the running system, a few of every kind on every run; `python -m benchmarks.faults` injects a thousand.

What is a matter of logic or of a limit is required to the last bit. Milliseconds are the machine's, which may be busy:
they are measured by the benchmark.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest

from benchmarks.faults.recorder import build_driver
from benchmarks.faults.robot import FaultRobot
from benchmarks.faults.rounds import Kind, Round, run_round, set_moving
from benchmarks.faults.storm import storm
from benchmarks.faults.whole import WATCHDOG_S, kill_control
from edge_runtime.ipc.port import CommandState
from edge_runtime.native import ffi, lib
from edge_runtime.processes import CONTROL
from edge_runtime.safety import Kernel, Measurement, Request, Result, State, Target
from tests.control.control_process import make_config

ROUNDS = {
    Kind.KILL: 5,
    Kind.KILL_LARGE: 1,
    Kind.STOP: 4,
    Kind.BUSY: 3,
    Kind.MEMORY_LIMIT: 2,
    Kind.MEMORY_KILL: 2,
    Kind.STUCK: 3,
}
CONTROL_KILLS = 2
MESSAGES = 30_000
KERNEL_CALLS = 1_000_000
PATIENCE_S = 1.0
THE_MACHINE = {"feedback_stale", "clock_gap", "driver_fault"}
"""What trips where the processor is withheld for a fifth of a second. No policy has a part in that."""


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultRobot]:
    driver = build_driver(tmp_path_factory.mktemp("driver"))
    with FaultRobot(driver, seed=int.from_bytes(np.random.default_rng().bytes(4), "little")) as robot:
        set_moving(robot, None)
        yield robot


@pytest.fixture
def one_motion(robot: FaultRobot) -> Iterator[None]:
    """All commands of the test are one motion inside the limits, and nobody but the operator has armed."""
    yield
    motion = robot.continuity
    assert motion.jumps == 0
    assert max(motion.worst.values()) <= 1.0 + 1e-9, motion.worst
    assert motion.armings == robot.armings


def assert_sound(one: Round) -> None:
    if one.interrupted:
        assert set(one.interrupted) <= THE_MACHINE
        return
    assert one.detected_s is not None
    assert one.stop is None or one.stop.of_bound <= 1.0
    assert one.resumed_s is not None, "motion goes on without an operator"
    if one.kind.is_crash:
        assert one.detected_s < PATIENCE_S
    if one.kind.is_stall:
        assert one.after_timeout_s is not None
        assert one.tick_s is not None
        assert one.after_timeout_s <= one.tick_s + 1e-6, "the first tick after the timeout knows"


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("one_motion")
def test_a_policy_that_fails_in_motion(robot: FaultRobot) -> None:
    kinds = [kind for kind, count in ROUNDS.items() for _ in range(count)]
    robot.random.shuffle(kinds)
    set_moving(robot, kinds[0])
    rounds = [run_round(robot, kind, after) for kind, after in zip(kinds, [*kinds[1:], None], strict=True)]
    for one in rounds:
        assert_sound(one)
    # A policy that gets no time of the processor loses its motion before the fault does.
    assert sum(one.stop is not None for one in rounds) > len(rounds) // 2


@pytest.mark.usefixtures("one_motion")
def test_control_is_killed_and_its_successor_moves_nothing(robot: FaultRobot) -> None:
    for _ in range(CONTROL_KILLS):
        armings = robot.armings
        kill = kill_control(robot)
        assert WATCHDOG_S <= kill.stopped_s < WATCHDOG_S + PATIENCE_S
        assert kill.moved_by_itself == 0
        assert robot.armings == armings + 1, "it took an operator"


@pytest.mark.usefixtures("one_motion")
def test_no_message_moves_a_robot_that_has_tripped(robot: FaultRobot) -> None:
    after_trip = storm(robot, MESSAGES, seed=robot.random.randrange(2**32))
    assert after_trip.states == ("fault",)
    assert after_trip.moved == 0
    assert after_trip.refused > MESSAGES // 3
    assert after_trip.chunks_taken > MESSAGES // 100, "good ones were among them"
    assert robot.state is CommandState.FAULT
    armings = robot.armings
    # A message that was altered may have used up the numbers of requests; control counts them from its start.
    robot.kill(CONTROL)
    robot.start(CONTROL)
    robot.start_anew()
    set_moving(robot, None)
    assert robot.armings == armings + 1, "it moves again once it was reset and armed"


def tripped_kernel() -> tuple[Kernel, int]:
    """A kernel that was stopped in motion, and its last instant."""
    kernel = Kernel(make_config())
    q, now_ns = [0.0] * 4, 0

    def tick(target: Target | None) -> None:
        nonlocal q, now_ns
        now_ns += 1_000_000
        measurement = Measurement(stamp_ns=now_ns, seq=now_ns, q=q, dq=[0.0] * 4)
        q = list(kernel.step(measurement, target, now_ns).q)

    tick(None)
    measured = Measurement(stamp_ns=now_ns, seq=now_ns, q=q, dq=[0.0] * 4)
    assert kernel.request(Request.ARM, measured, now_ns) is Result.DONE
    for k in range(1, 300):
        ahead = [*(0.001 * k,) * 3, 0.04]
        tick(Target(stamp_ns=now_ns + 1_000_000, observation_ns=now_ns, seq=k, q=ahead))
    assert q[0] > 0.1
    assert kernel.request(Request.STOP, measured, now_ns) is Result.DONE
    while kernel.state is not State.FAULT:
        tick(None)
    return kernel, now_ns


def test_no_call_moves_a_kernel_that_has_tripped() -> None:
    """A million calls with bits at random, among them good feedback, good setpoints and requests to arm."""
    kernel, now_ns = tripped_kernel()
    state, config, verdict = kernel._state, kernel._config, ffi.new("kernel_verdict *")
    random = Random(7)
    bits = np.random.default_rng(7)
    room = 512

    arrays = []

    def pointers(struct: str, good: object) -> list[Any]:
        """To random bits mostly, to a good one every third time."""
        array = ffi.new(f"{struct}[]", room)
        arrays.append(array)
        ffi.memmove(array, bits.bytes(ffi.sizeof(array)), ffi.sizeof(array))
        for k in range(0, room, 3):
            array[k] = good[0]  # type: ignore[index]
        return [array + k for k in range(room)]

    feedbacks = pointers("kernel_feedback", kernel._feedback)
    setpoints = pointers("kernel_setpoint", kernel._setpoint)
    tightenings = pointers("kernel_tightening", ffi.new("kernel_tightening *", [0.5, 1.0]))
    held_q, rest = bytes(ffi.buffer(state.q)), bytes(ffi.sizeof(state.dq))
    q, dq, commanded = (ffi.buffer(part) for part in (state.q, state.dq, verdict.q))
    requests = (int(Request.ARM), int(Request.DISARM), int(Request.STOP), 0, max(Request) + 1, 2**32 - 1)
    pick = bits.integers(0, room, (KERNEL_CALLS, 2)).tolist()
    fault = int(State.FAULT)
    for k, (i, j) in enumerate(pick):
        feedback = feedbacks[i]
        if k % 8 == 0:
            lib.kernel_request(state, config, feedback, random.choice(requests), now_ns)
        elif k % 8 == 1:
            lib.kernel_tighten(state, config, tightenings[j])
        else:
            now_ns += 1_000_000 if random.random() < 0.99 else random.randrange(-(2**61), 2**61) - now_ns
            if i % 3 == 0:
                feedback.stamp_ns = now_ns
                feedback.seq += 1
            lib.kernel_step(state, config, feedback, setpoints[j], now_ns, verdict)
            assert verdict.state == fault
            assert commanded[:] == held_q
        assert state.state == fault
        assert q[:] == held_q
        assert dq[:] == rest
