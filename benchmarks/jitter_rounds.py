"""One measurement of the 1 kHz loop, one of cyclictest, and the load that both are put under.

The loop is the real one on a real driver port, armed, following plans for the simulated arm, with its black box and
with a policy's process to watch by its pidfd and its lifeline. `thread_watch.c`, preloaded, counts the allocations of
its thread and takes the time of all of a tick; reports only have the time until the command.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.setpoints import Rows, robot
from edge_runtime.control.native_loop import ControlLoop, Granted
from edge_runtime.control.plan import Plan
from edge_runtime.ipc.lifeline import lifeline_path
from edge_runtime.ipc.port import DriverPort
from edge_runtime.safety import KernelConfig, Policy, Result, State

WATCH_SOURCE = Path(__file__).parent / "thread_watch.c"
PRIORITY = 80
PLAN_PERIOD_S = 0.1
KNOT_S = 0.05
TASKS = Path("/proc/self/task")
BUSY = "while True: pass"
MATRICES = "import numpy as np\na = np.ones((512, 512))\nwhile True: a @ a"


def build_thread_watch(folder: Path) -> Path:
    """The library to preload.

    Raises:
        SystemExit: no C compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        sys.exit("no C compiler: sudo apt-get install gcc")
    library = folder / "thread_watch.so"
    flags = (
        "-std=c11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Wshadow",
        "-Werror",
        "-shared",
        "-fPIC",
        "-ftls-model=initial-exec",
    )
    subprocess.run([compiler, *flags, str(WATCH_SOURCE), "-o", str(library)], check=True)
    return library


def thread_watch() -> ctypes.CDLL | None:
    """The preloaded library; None in a process that was started without it."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "thread_watch_start"):
        return None
    library.thread_watch_allocations.restype = ctypes.c_uint64
    library.thread_watch_ticks.restype = ctypes.c_uint32
    library.thread_watch_costs_ns.restype = ctypes.POINTER(ctypes.c_uint32)
    return library


@dataclass(frozen=True, slots=True)
class LoopRound:
    """What the loop did in one measurement; durations in microseconds, one value per tick."""

    lateness_us: NDArray[np.float64]
    command_us: NDArray[np.float64]
    tick_us: NDArray[np.float64]
    overruns: int
    page_faults: int
    allocations: int
    system_calls_per_tick: float | None
    granted: Granted


def arm_limits() -> tuple[KernelConfig, Rows]:
    """The simulated arm's, with ages and tolerances for a driver that stands still and speaks ten times a second: the
    loop is to be alone on the machine, and nothing is to trip when the host takes the processor away."""
    _, config, home_rad = robot()
    n, long_ns = home_rad.size, 10_000_000_000
    return replace(
        config,
        tracking_max=(1e3,) * n,
        frozen_travel=(1e3,) * n,
        feedback_max_age_ns=long_ns,
        setpoint_max_age_ns=long_ns,
        observation_max_age_ns=long_ns,
        future_tolerance_ns=long_ns,
    ), home_rad


def make_plan(seq: int, now_ns: int, home_rad: Rows) -> Plan:
    """Sixteen knots, the first of them past, as control splices a chunk, on slow waves about home."""
    t_ns = now_ns + (np.arange(16) - 1) * round(KNOT_S * 1e9)
    swing = np.append(np.full(home_rad.size - 1, 0.15), 0.0)  # the last axis, the gripper, stays
    q = home_rad + swing * np.sin(2.0 * t_ns[:, None] * 1e-9 + np.arange(home_rad.size))
    return Plan(seq=seq, chunk_seq=seq, observation_ns=now_ns, t_ns=t_ns, q=q)


def measure_loop(
    port: DriverPort, watch: ctypes.CDLL, seconds: float, *, count_system_calls: bool = False
) -> LoopRound:
    """The loop, armed and following plans for `seconds`.

    Raises:
        SystemExit: it could not be armed, or did not stay so.
    """
    config, home_rad = arm_limits()
    rest = np.zeros(home_rad.size)
    with DriverPort.attach(port.name) as control, _policy(port.name) as policy:
        port.write_feedback(time.monotonic_ns(), home_rad, rest, rest)
        loop = ControlLoop(control, config, priority=PRIORITY, stall_timeout_s=10.0, progress_timeout_s=10.0)
        before = _threads()
        with loop:
            (thread_id,) = _threads() - before
            for _ in range(1000):
                if loop.watch(*policy):
                    break
                time.sleep(0.001)
            else:
                raise SystemExit("the process to be watched has no lifeline")
            while loop.counters().state is not State.READY:
                time.sleep(0.001)
            answer = loop.arm()
            if answer is not Result.DONE:
                raise SystemExit(f"the loop could not be armed: {answer.name}")
            loop.drain_reports()
            overruns, parts = loop.counters().overruns, []
            watch.thread_watch_start(thread_id)
            calls = _SystemCalls(thread_id) if count_system_calls else None
            for k in range(round(seconds / PLAN_PERIOD_S)):
                loop.beat()
                loop.set_plan(make_plan(k + 1, time.monotonic_ns(), home_rad))
                time.sleep(PLAN_PERIOD_S)
                port.write_feedback(time.monotonic_ns(), home_rad, rest, rest)
                parts.append(loop.drain_reports())
            per_tick = calls.per_tick() if calls is not None else None
            counters = loop.counters()
            if counters.state is not State.ACTIVE or counters.policy is not Policy.ALIVE:
                raise SystemExit(f"the loop did not stay active: {counters.state.name}, {counters.faults!r}")
            overruns = counters.overruns - overruns
            allocations, ticks = watch.thread_watch_allocations(), watch.thread_watch_ticks()
            costs_ns = np.ctypeslib.as_array(watch.thread_watch_costs_ns(), (ticks,)).copy()
            watch.thread_watch_start(0)
        counters = loop.counters()
    reports = np.concatenate(parts)
    return LoopRound(
        lateness_us=reports["wake_lateness_ns"] * 1e-3,
        command_us=reports["cost_ns"] * 1e-3,
        tick_us=costs_ns * 1e-3,
        overruns=overruns,
        page_faults=counters.page_faults,
        allocations=allocations,
        system_calls_per_tick=per_tick,
        granted=counters.granted,
    )


def _threads() -> set[int]:
    return {int(task.name) for task in TASKS.iterdir()}


@contextmanager
def _policy(port: str) -> Iterator[tuple[int, int, int]]:
    """A process that stands for the policy's: its pidfd, its lifeline and its number."""
    program = f"import time\nfrom edge_runtime.ipc.lifeline import lifeline\nwith lifeline({port!r}): time.sleep(1000)"
    path = lifeline_path(port)
    with _running(program) as processes:
        until_s = time.monotonic() + 10.0
        while not path.exists():
            if time.monotonic() > until_s:
                raise SystemExit("the process to be watched does not come up")
            time.sleep(0.01)
        pidfd, line = os.pidfd_open(processes[0].pid), os.open(path, os.O_RDONLY)
        try:
            yield pidfd, line, processes[0].pid
        finally:
            os.close(pidfd)
            os.close(line)
    path.unlink(missing_ok=True)


@contextmanager
def _running(*programs: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes = [subprocess.Popen([sys.executable, "-c", program], env=_plain()) for program in programs]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _plain() -> dict[str, str]:
    """The environment without what is preloaded here."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


class _SystemCalls:
    """strace on one thread: it slows the ticks down, so that only its counts are worth something."""

    def __init__(self, thread_id: int) -> None:
        self._program = shutil.which("strace")
        if self._program is None:
            return
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "counts"
        arguments = [self._program, "-c", "-o", str(self._path), "-p", str(thread_id)]
        self._process = subprocess.Popen(arguments, env=_plain(), stderr=subprocess.DEVNULL)

    def per_tick(self) -> float | None:
        """System calls for each sleep until the next tick; None where strace is missing or not allowed."""
        if self._program is None:
            return None
        self._process.terminate()
        self._process.wait(timeout=10)
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        self._folder.cleanup()
        # % time, seconds, usecs/call, calls, errors (may be empty), name
        rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", text, flags=re.MULTILINE)
        calls = {name: int(number) for number, name in rows if name != "total"}
        return sum(calls.values()) / calls["clock_nanosleep"] if "clock_nanosleep" in calls else None


def measure_cyclictest(seconds: float, range_us: int = 50_000) -> NDArray[np.float64] | None:
    """Wake latencies of cyclictest at the loop's priority, in µs; None where it is not installed or not allowed."""
    program = shutil.which("cyclictest")
    if program is None:
        return None
    count = round(seconds * 1000)
    arguments = [program, "-q", "-m", "-p", str(PRIORITY), "-i", "1000", "-l", str(count), "-h", str(range_us)]
    limit_s = seconds * 3 + 30
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=limit_s, check=False, env=_plain())
    if done.returncode != 0:
        return None
    rows = re.findall(r"^(\d{6}) (\d{6,})$", done.stdout, flags=re.MULTILINE)
    latencies_us = np.repeat([float(value) for value, _ in rows], [int(times) for _, times in rows])
    worst = re.search(r"Max Latencies: (\d+)", done.stdout)
    beyond = re.search(r"Histogram Overflows: (\d+)", done.stdout)
    if worst and beyond and int(beyond[1]):
        latencies_us = np.concatenate([latencies_us, np.full(int(beyond[1]), float(worst[1]))])
    return latencies_us


@contextmanager
def load() -> Iterator[None]:
    """Two busy processes, one that multiplies matrices, and a thread of this process that holds the interpreter as
    long as it can."""
    stop = threading.Event()

    def hog() -> None:
        while not stop.is_set():
            sum(range(1000))

    thread = threading.Thread(target=hog, daemon=True)
    thread.start()
    try:
        with _running(BUSY, BUSY, MATRICES):
            yield
    finally:
        stop.set()
        thread.join()
