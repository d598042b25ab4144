"""The loop notices a policy that dies, falls silent or brings nothing new, in the tick it happens; arms nothing."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from edge_runtime.contracts.errors import SafetyError
from edge_runtime.safety import Policy, Reason, State
from tests.control.control_process import wave
from tests.control.perfect_driver import TICK_NS
from tests.control.stepped import SteppedLoop

MS = TICK_NS


@contextlib.contextmanager
def living() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def policy() -> Iterator[subprocess.Popen[bytes]]:
    with living() as process:
        yield process


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill it and wait until its end shows."""
    pidfd = os.pidfd_open(process.pid)
    process.kill()
    assert select.select([pidfd], [], [], 5.0)[0]
    os.close(pidfd)


def watch(stepped: SteppedLoop, pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    stepped.loop.watch(pidfd)
    os.close(pidfd)


def test_silence_is_a_stall_one_tick_after_its_timeout() -> None:
    with SteppedLoop(stall_timeout_s=0.05) as stepped:
        stepped.arm()
        stepped.tick(100)
        assert stepped.loop.counters().policy is Policy.ALIVE, "nothing is missed before the first beat"
        stepped.loop.beat()
        stepped.tick()
        heard_ns = stepped.now_ns
        assert stepped.loop.counters().policy_beat_ns == heard_ns
        stepped.tick(50)
        assert stepped.loop.counters().policy is Policy.ALIVE
        stepped.tick()
        counters = stepped.loop.counters()
        assert counters.policy is Policy.STALLED
        assert counters.policy_lost_ns == heard_ns + 51 * MS == stepped.now_ns
        reports = stepped.loop.drain_reports()
        told = reports["tick_ns"][(reports["reasons"] & np.uint64(Reason.POLICY_STALLED)) != 0]
        assert told.tolist() == [heard_ns + 51 * MS]
        stepped.loop.beat()
        stepped.tick()
        assert stepped.loop.counters().policy is Policy.ALIVE
        assert not stepped.loop.counters().reasons & Reason.POLICY_STALLED


def test_beats_without_plans_are_no_progress_while_plans_are_followed() -> None:
    with SteppedLoop(stall_timeout_s=0.05, progress_timeout_s=0.03) as stepped:
        for _ in range(100):
            stepped.loop.beat()
            stepped.tick()
        assert stepped.loop.counters().policy is Policy.ALIVE, "nobody has to make plans for a robot without power"
        stepped.arm()
        stepped.loop.set_plan(wave(1, stepped.now_ns, 4.0))
        stepped.loop.beat()
        stepped.tick()
        taken_ns = stepped.now_ns
        for _ in range(31):
            stepped.loop.beat()
            stepped.tick()
        counters = stepped.loop.counters()
        assert (counters.policy, counters.policy_lost_ns) == (Policy.STUCK, taken_ns + 31 * MS)
        stepped.loop.set_plan(wave(2, stepped.now_ns, 4.0))
        stepped.loop.beat()
        stepped.tick()
        assert stepped.loop.counters().policy is Policy.ALIVE


def test_the_end_of_its_process_shows_in_the_next_tick(policy: subprocess.Popen[bytes]) -> None:
    with SteppedLoop() as stepped:
        stepped.arm()
        watch(stepped, policy.pid)
        stepped.tick(20)
        assert stepped.loop.counters().policy is Policy.ALIVE
        end(policy)
        stepped.tick()
        counters = stepped.loop.counters()
        assert (counters.policy, counters.policy_lost_ns) == (Policy.DEAD, stepped.now_ns)
        assert counters.reasons & Reason.POLICY_DEAD
        with living() as successor:
            watch(stepped, successor.pid)
            stepped.tick()
            assert stepped.loop.counters().policy is Policy.ALIVE
            end(successor)
        stepped.tick()
        assert stepped.loop.counters().policy is Policy.DEAD
        stepped.loop.watch(None)
        stepped.tick()
        assert stepped.loop.counters().policy is Policy.ALIVE


def test_a_dead_policys_plan_plays_on_for_its_time_then_the_robot_holds(policy: subprocess.Popen[bytes]) -> None:
    with SteppedLoop(limits={"play_max_ns": 100 * MS}) as stepped:
        watch(stepped, policy.pid)
        stepped.arm()
        stepped.loop.set_plan(wave(1, stepped.now_ns, 4.0))
        stepped.tick(20)
        assert stepped.loop.counters().state is State.ACTIVE
        end(policy)
        stepped.tick()
        lost_ns = stepped.now_ns
        stepped.tick(1500)
        reports = stepped.loop.drain_reports()
        held = reports[reports["reasons"] & np.uint64(Reason.POLICY_LOST) != 0]
        assert held["tick_ns"][0] == lost_ns + 101 * MS
        after = reports[reports["tick_ns"] > lost_ns]
        assert set(after["state"][:100]) == {State.ACTIVE}
        assert set(after["state"][100:]) == {State.HOLDING}
        assert (after["dq_command"][-1] == 0.0).all()
        # Life alone moves nothing; the plan of the living does.
        with living() as successor:
            watch(stepped, successor.pid)
            stepped.loop.set_plan(replace(wave(2, stepped.now_ns, 4.0), speed_scale=0.5))
            stepped.tick(5)
            assert stepped.loop.counters().state is State.ACTIVE
            assert stepped.loop.drain_reports()["speed_scale"][-1] == 0.5


def test_the_first_loss_is_the_instant_that_counts(policy: subprocess.Popen[bytes]) -> None:
    with SteppedLoop(stall_timeout_s=0.01) as stepped:
        watch(stepped, policy.pid)
        stepped.loop.beat()
        stepped.tick(12)
        stalled_ns = stepped.now_ns
        assert stepped.loop.counters().policy is Policy.STALLED
        end(policy)
        stepped.tick(5)
        counters = stepped.loop.counters()
        assert (counters.policy, counters.policy_lost_ns) == (Policy.DEAD, stalled_ns)


def test_watching_costs_no_descriptor(policy: subprocess.Popen[bytes]) -> None:
    with SteppedLoop() as stepped:
        watch(stepped, policy.pid)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            watch(stepped, policy.pid)
        assert len(os.listdir("/proc/self/fd")) == before
        with pytest.raises(SafetyError, match="duplicated"):
            stepped.loop.watch(10_000)
    with pytest.raises(SafetyError, match="not running"):
        stepped.loop.watch(None)
    assert len(os.listdir("/proc/self/fd")) < before


def test_the_time_without_progress_can_be_set_while_it_runs() -> None:
    with SteppedLoop(stall_timeout_s=0.05, progress_timeout_s=0.03) as stepped:
        stepped.arm()
        stepped.loop.set_plan(wave(1, stepped.now_ns, 4.0))
        stepped.loop.set_progress_timeout(0.06)
        stepped.loop.beat()
        stepped.tick()
        for _ in range(60):
            stepped.loop.beat()
            stepped.tick()
        assert stepped.loop.counters().policy is Policy.ALIVE
        stepped.loop.beat()
        stepped.tick()
        assert stepped.loop.counters().policy is Policy.STUCK
