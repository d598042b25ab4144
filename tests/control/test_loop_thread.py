"""The loop's thread asks nothing of the system but to sleep and to look at one process, and its end is never waited for
without a bound."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.ipc.port import DriverPort
from tests.control.perfect_driver import DriverProcess

pytestmark = pytest.mark.realtime

CONTROL = (sys.executable, "-m", "tests.control.control_process")


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[DriverPort]:
    name = f"test-thread-{os.getpid()}-{abs(hash(request.node.name)) % 10**6}"
    with DriverProcess(name), DriverPort.attach(name, timeout_s=20.0) as port:
        yield port


def finish(control: subprocess.Popen[str], seconds_of_motion: float) -> dict[str, object]:
    assert control.stdout is not None
    assert control.stdout.readline().strip() == "moving"
    try:
        control.wait(seconds_of_motion)
    except subprocess.TimeoutExpired:
        out, _ = control.communicate("\n", timeout=30.0)
    summary = json.loads(out)
    assert isinstance(summary, dict)
    return summary


def start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_no_page_faults_from_the_first_tick_on(port: DriverPort) -> None:
    summary = finish(start(*CONTROL, port.name), 0.5)
    if not summary["memory_locked"]:
        pytest.skip("memory can't be locked: memlock unlimited in /etc/security/limits.conf")
    assert summary["page_faults"] == 0


def test_at_most_three_system_calls_a_tick_and_none_for_memory(port: DriverPort, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: sudo apt-get install strace")
    trace = tmp_path / "trace"
    finish(start("strace", "-f", "-qq", "-o", str(trace), *CONTROL, port.name), 0.5)
    calls: dict[str, list[str]] = {}
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        thread, _, call = line.partition(" ")
        if "resumed>" not in call:
            calls.setdefault(thread, []).append(call.strip().partition("(")[0])
    of_loop = max(calls.values(), key=lambda names: names.count("clock_nanosleep"))
    wakes = [k for k, name in enumerate(of_loop) if name == "clock_nanosleep"]
    assert len(wakes) > 300
    # The last wakes belong to the way out.
    ticks = [of_loop[a:b] for a, b in itertools.pairwise(wakes[10:-10])]
    assert max(map(len, ticks)) <= 3
    assert set(Counter(name for tick in ticks for name in tick)) <= {"clock_nanosleep", "poll", "ppoll", "futex"}


STUCK = """
import os, sys
from edge_runtime.contracts.errors import SafetyError
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.ipc.port import DriverPort
from tests.control.control_process import make_config

with DriverPort.attach(sys.argv[1], timeout_s=20.0) as port:
    loop = ControlLoop(port, make_config())
    before = set(os.listdir("/proc/self/task"))
    loop.start()
    print((set(os.listdir("/proc/self/task")) - before).pop(), flush=True)
    sys.stdin.readline()
    try:
        loop.stop(timeout_s=0.1)
    except SafetyError as error:
        print(error, flush=True)
    sys.stdin.readline()
    print(loop.stop(), flush=True)
"""
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207


def test_a_thread_that_gets_no_time_is_not_waited_for_for_ever(port: DriverPort) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    control = start(sys.executable, "-c", STUCK, port.name)
    assert control.stdin is not None
    assert control.stdout is not None
    try:
        thread = int(control.stdout.readline())
        if libc.ptrace(PTRACE_SEIZE, thread, None, None) != 0:
            pytest.skip(f"no thread may be stopped here: ptrace, {os.strerror(ctypes.get_errno())}")
        libc.ptrace(PTRACE_INTERRUPT, thread, None, None)
        os.waitpid(thread, 0x40000000)  # __WALL
        control.stdin.write("\n")
        control.stdin.flush()
        assert "does not run" in control.stdout.readline()
        libc.ptrace(PTRACE_DETACH, thread, None, None)
        out, _ = control.communicate("\n", timeout=20.0)
        assert out.strip() == "True", "with time again, it ends"
    finally:
        control.kill()
        control.wait()
