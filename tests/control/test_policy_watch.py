"""The watch follows the engine's heartbeats from one process to the next, and does without where it must."""

from __future__ import annotations

import select
import subprocess
from collections.abc import Iterator
from os import close, pidfd_open

import pytest
from msgspec.structs import replace

from edge_runtime.contracts.messages import Heartbeat
from edge_runtime.control.policy_watch import PolicyWatch
from edge_runtime.safety import Policy
from tests.control.stepped import SteppedLoop


@pytest.fixture
def stepped() -> Iterator[SteppedLoop]:
    with SteppedLoop(stall_timeout_s=0.05) as stepped:
        stepped.tick(2)
        yield stepped


@pytest.fixture
def engine() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def beat(stepped: SteppedLoop, pid: int) -> Heartbeat:
    return Heartbeat(
        process="engine", pid=pid, stamp_ns=stepped.now_ns, sequence=1, counters={}, refusals={}, gauges={}
    )


def end(process: subprocess.Popen[bytes]) -> None:
    pidfd = pidfd_open(process.pid)
    process.kill()
    assert select.select([pidfd], [], [], 5.0)[0]
    close(pidfd)


def test_the_process_named_by_a_heartbeat_is_watched(stepped: SteppedLoop, engine: subprocess.Popen[bytes]) -> None:
    watch = PolicyWatch(stepped.loop)
    assert (watch.how, watch.state(Policy.ALIVE)) == ("none", "unknown")
    watch.take(beat(stepped, engine.pid))
    stepped.tick()
    assert (watch.how, watch.state(stepped.loop.counters().policy)) == ("pidfd", "alive")
    end(engine)
    stepped.tick()
    assert watch.state(stepped.loop.counters().policy) == "dead"
    with subprocess.Popen(["sleep", "60"]) as successor:
        watch.take(beat(stepped, successor.pid))
        stepped.tick()
        assert watch.state(stepped.loop.counters().policy) == "alive"
        successor.kill()


def test_a_process_that_cannot_be_watched_still_has_its_heartbeat(stepped: SteppedLoop) -> None:
    watch = PolicyWatch(stepped.loop)
    for pid in (2**22 + 1, 0):  # above any number the kernel gives; none at all
        watch.take(beat(stepped, pid))
        stepped.tick()
        assert (watch.how, stepped.loop.counters().policy) == ("heartbeat", Policy.ALIVE)
    stepped.tick(51)
    assert stepped.loop.counters().policy is Policy.STALLED


def test_an_engine_that_speaks_after_its_death_was_another_process(
    stepped: SteppedLoop, engine: subprocess.Popen[bytes]
) -> None:
    """As from a container, where its number is its own."""
    watch = PolicyWatch(stepped.loop)
    last_words = beat(stepped, engine.pid)
    watch.take(last_words)
    end(engine)
    stepped.tick()
    watch.take(last_words)
    assert watch.how == "pidfd", "it was sent before the end"
    stepped.tick()
    watch.take(beat(stepped, engine.pid))
    stepped.tick()
    assert (watch.how, stepped.loop.counters().policy) == ("heartbeat", Policy.ALIVE)


def test_the_death_of_its_predecessor_is_not_its_own(stepped: SteppedLoop, engine: subprocess.Popen[bytes]) -> None:
    watch = PolicyWatch(stepped.loop)
    watch.take(beat(stepped, engine.pid))
    stepped.tick()
    end(engine)
    stepped.tick(2)
    with subprocess.Popen(["sleep", "60"]) as successor:
        for _ in range(3):
            watch.take(replace(beat(stepped, successor.pid), stamp_ns=stepped.now_ns + 1))
        assert watch.how == "pidfd", "no tick has looked at it yet"
        stepped.tick(3)
        watch.take(beat(stepped, successor.pid))
        assert (watch.how, stepped.loop.counters().policy) == ("pidfd", Policy.ALIVE)
        end(successor)
        stepped.tick()
        assert stepped.loop.counters().policy is Policy.DEAD
