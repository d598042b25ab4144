"""A process's lifeline is cut when its main thread ends, in whatever way, and long before its memory is given back."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_runtime.ipc.lifeline import lifeline, lifeline_path
from edge_runtime.safety import Policy
from tests.control.stepped import SteppedLoop

HOLDER = """
import os, sys, time
from edge_runtime.ipc.lifeline import lifeline
memory = bytearray(b"x") * (int(sys.argv[2]) << 20)
with lifeline(sys.argv[1]) as problem:
    print(problem, flush=True)
    exec(sys.stdin.readline())
    time.sleep(60)
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def port() -> Iterator[str]:
    name = f"test-lifeline-{os.getpid()}"
    yield name
    lifeline_path(name).unlink(missing_ok=True)


@pytest.fixture
def start(port: str) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def hold(ballast_mib: int = 0) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLDER, port, str(ballast_mib)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def watch(stepped: SteppedLoop, port: str, pid: int) -> bool:
    """By its lifeline alone."""
    descriptor = os.open(lifeline_path(port), os.O_RDONLY)
    try:
        return stepped.loop.watch(None, descriptor, pid)
    finally:
        os.close(descriptor)


def tick_until(stepped: SteppedLoop, policy: Policy, timeout_s: float = 10.0) -> None:
    end_s = time.monotonic() + timeout_s
    while stepped.loop.counters().policy is not policy:
        assert time.monotonic() < end_s
        stepped.tick()
        time.sleep(0.001)


@pytest.mark.parametrize(
    "last_words",
    ["os.kill(os.getpid(), 9)", "os.abort()", "os._exit(0)", "sys.exit()", "os.execl('/bin/sleep', 'sleep', '60')"],
)
def test_however_it_ends(start: Start, port: str, last_words: str) -> None:
    process = start()
    with SteppedLoop() as stepped:
        stepped.tick(2)
        assert watch(stepped, port, process.pid)
        stepped.tick(3)
        assert stepped.loop.counters().policy is Policy.ALIVE
        assert process.stdin is not None
        process.stdin.write(last_words + "\n")
        process.stdin.flush()
        tick_until(stepped, Policy.DEAD)
        successor = start()
        assert watch(stepped, port, successor.pid)
        stepped.tick(2)
        assert stepped.loop.counters().policy is Policy.ALIVE


def test_a_frozen_process_lives(start: Start, port: str) -> None:
    process = start()
    with SteppedLoop() as stepped:
        stepped.tick(2)
        assert watch(stepped, port, process.pid)
        process.send_signal(signal.SIGSTOP)
        stepped.tick(20)
        assert stepped.loop.counters().policy is Policy.ALIVE
        process.kill()
        tick_until(stepped, Policy.DEAD)


def test_it_is_cut_before_the_memory_is_given_back(start: Start, port: str) -> None:
    process = start(ballast_mib=512)
    pidfd = os.pidfd_open(process.pid)
    with SteppedLoop() as stepped:
        stepped.tick(2)
        assert watch(stepped, port, process.pid)
        process.kill()
        tick_until(stepped, Policy.DEAD)
        assert not select.select([pidfd], [], [], 0)[0], "its pidfd does not know yet"
        assert select.select([pidfd], [], [], 10.0)[0]
    os.close(pidfd)


def test_another_process_or_something_else_is_no_lifeline(start: Start, port: str) -> None:
    process = start()
    path = lifeline_path(port)
    with SteppedLoop() as stepped:
        stepped.tick(2)
        for pid in (process.pid + 1, 0, -process.pid):
            assert not watch(stepped, port, pid)
        for junk in (b"", bytes(100), bytes(4096), os.urandom(8192)):
            path.unlink()
            path.write_bytes(junk)
            assert not watch(stepped, port, process.pid)
        stepped.tick(3)
        assert stepped.loop.counters().policy is Policy.ALIVE
        descriptor = os.open("/dev/shm", os.O_RDONLY)
        assert not stepped.loop.watch(None, descriptor, process.pid)
        os.close(descriptor)


def test_one_that_is_dead_already_is_none(start: Start, port: str) -> None:
    process = start()
    process.kill()
    process.wait()
    with SteppedLoop() as stepped:
        stepped.tick(2)
        assert not watch(stepped, port, process.pid)


def test_without_room_there_is_none_and_it_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("edge_runtime.ipc.lifeline._SHM", tmp_path / "missing")
    with lifeline("nowhere") as problem:
        assert "No such file" in problem
    assert not (tmp_path / "missing").exists()


def test_it_leaves_nothing(port: str, start: Start) -> None:
    process = start()
    assert process.stdin is not None
    process.stdin.write("sys.exit()\n")
    process.stdin.flush()
    process.wait()
    assert not lifeline_path(port).exists()
    assert not list(lifeline_path(port).parent.glob(f"{port}*"))
