"""How late the 1 kHz loop wakes and what a tick costs, by turns with cyclictest on the same machine in one run.

``python -m benchmarks.jitter``: an armed loop follows a plan for seven joints on a real driver port. Each round
measures the loop, then cyclictest (Debian package rt-tests) if it is installed: rows are to be compared with each
other, for other work on the machine moves both. ``--load`` adds two busy processes and a Python thread beside the
loop that never lets go of the interpreter.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from edge_runtime.control.native_loop import ControlLoop, Granted
from edge_runtime.control.plan import Plan
from edge_runtime.robots.port import DriverPort
from edge_runtime.safety import KernelConfig, Result, State

JOINTS = tuple(f"joint{i}" for i in range(1, 8))
PERIOD_NS = 1_000_000
QUANTILES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}
# Generous ages: the benchmark's driver speaks ten times a second, so that the loop is alone on the machine.
FEEDBACK_PERIOD_S = 0.1


def make_config() -> KernelConfig:
    """Limits of a Franka-like arm that never trips here."""
    n = len(JOINTS)
    return KernelConfig(
        joint_names=JOINTS,
        q_min_rad=(-2.7,) * n,
        q_max_rad=(2.7,) * n,
        dq_max_rad_s=(2.0,) * n,
        ddq_max_rad_s2=(10.0,) * n,
        tracking_max_rad=(100.0,) * n,
        gripper_min_m=0.0,
        gripper_max_m=0.08,
        gripper_rate_m_s=0.2,
        feedback_max_age_ns=10_000_000_000,
        future_tolerance_ns=10_000_000_000,
    )


def make_plan(seq: int, now_ns: int) -> Plan:
    """Sixteen knots 50 ms apart, as a chunk gives them, on a slow wave."""
    t_ns = now_ns + (np.arange(16) + 1) * 50_000_000
    q_rad = 0.3 * np.sin(2.0 * t_ns[:, None] * 1e-9 + np.arange(len(JOINTS)))
    return Plan(seq=seq, chunk_seq=seq, observation_ns=now_ns, t_ns=t_ns, q_rad=q_rad, gripper_m=np.full(16, 0.04))


def measure_loop(port: DriverPort, seconds: float) -> tuple[NDArray[np.void], int, int, Granted]:
    """Reports of an armed loop over `seconds`, its overruns, its page faults, and what the machine granted it."""
    zeros = np.zeros(len(JOINTS))
    port.write_feedback(time.monotonic_ns(), zeros, zeros, zeros, 0.04)
    with DriverPort.attach(port.name) as control:
        loop = ControlLoop(control, make_config())
        with loop:
            while loop.counters().state is not State.READY:
                time.sleep(0.001)
            answer = loop.arm()
            if answer is not Result.DONE:
                raise SystemExit(f"the loop could not be armed: {answer.name}")
            loop.drain_reports()
            before, parts = loop.counters().overruns, []
            for k in range(round(seconds / FEEDBACK_PERIOD_S)):
                loop.set_plan(make_plan(k + 1, time.monotonic_ns()))
                time.sleep(FEEDBACK_PERIOD_S)
                port.write_feedback(time.monotonic_ns(), zeros, zeros, zeros, 0.04)
                parts.append(loop.drain_reports())
            overruns = loop.counters().overruns - before
        counters = loop.counters()
    return np.concatenate(parts), overruns, counters.page_faults, counters.granted


def measure_cyclictest(seconds: float, range_us: int = 50_000) -> NDArray[np.float64] | None:
    """Wake latencies of cyclictest at priority 90, in microseconds; None where it is not installed or not allowed."""
    program = shutil.which("cyclictest")
    if program is None:
        return None
    count = round(seconds * 1000)
    arguments = [program, "-q", "-m", "-p", "90", "-i", "1000", "-l", str(count), "-h", str(range_us)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds * 3 + 30, check=False)
    if done.returncode != 0:
        return None
    rows = re.findall(r"^(\d{6}) (\d{6,})$", done.stdout, flags=re.MULTILINE)
    latencies_us = np.repeat([float(value) for value, _ in rows], [int(times) for _, times in rows])
    worst = re.search(r"Max Latencies: (\d+)", done.stdout)
    beyond = re.search(r"Histogram Overflows: (\d+)", done.stdout)
    if worst and beyond and int(beyond[1]):
        latencies_us = np.concatenate([latencies_us, np.full(int(beyond[1]), float(worst[1]))])
    return latencies_us


def _spin() -> None:
    while True:
        pass


@contextmanager
def load(wanted: bool) -> Iterator[None]:
    """Two busy processes, and a thread of this process that holds the interpreter as long as it can."""
    if not wanted:
        yield
        return
    processes = [multiprocessing.get_context("spawn").Process(target=_spin, daemon=True) for _ in range(2)]
    stop = threading.Event()

    def hog() -> None:
        while not stop.is_set():
            sum(range(1000))

    thread = threading.Thread(target=hog, daemon=True)
    for process in processes:
        process.start()
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for process in processes:
            process.kill()
            process.join()


def quantiles(rounds: list[NDArray[np.float64]]) -> dict[str, float]:
    """The tail, in the unit of the values: medians over the rounds, so that one round in which the host took the
    processor away does not decide; the maximum is that of all rounds."""
    medians = {name: float(np.median([np.percentile(one, q) for one in rounds])) for name, q in QUANTILES.items()}
    return {**medians, "max": max(float(one.max()) for one in rounds)}


def p99_by_round(rounds: list[NDArray[np.float64]]) -> list[float]:
    """How far the rounds lie apart."""
    return [round(float(np.percentile(one, 99)), 1) for one in rounds]


def histogram(title: str, values_us: NDArray[np.float64], console: Console, width: int = 40) -> None:
    """Draw shares over doubling bins; the bar's length is logarithmic, so that one in a million still shows."""
    console.print(f"\n[bold]{title}[/]")
    edges = [0.0, *(2.0**k for k in range(-2, 17))]
    counts, _ = np.histogram(values_us, bins=edges)
    used = np.flatnonzero(counts)
    for i in range(used[0], used[-1] + 1):
        share = counts[i] / values_us.size
        length = 0 if counts[i] == 0 else max(1, round(width * (1.0 + np.log10(share) / np.log10(values_us.size + 1))))
        console.print(f"{edges[i]:>9.2f} to {edges[i + 1]:>8.2f} µs {counts[i]:>8} {'█' * length}", highlight=False)


def _row(table: Table, name: str, rounds: list[NDArray[np.float64]], missed: str) -> None:
    p99 = p99_by_round(rounds)
    cells = (f"{value:.1f}" for value in quantiles(rounds).values())
    table.add_row(name, *cells, f"{min(p99):.0f} to {max(p99):.0f}", missed)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement in a round (default 5)")
    parser.add_argument(
        "--load", action="store_true", help="two busy processes and a thread that holds the interpreter"
    )
    arguments = parser.parse_args()
    console = Console()
    name = f"jitter-{os.getpid()}"
    lateness: list[NDArray[np.float64]] = []
    costs: list[NDArray[np.float64]] = []
    reference: list[NDArray[np.float64]] = []
    overruns = page_faults = 0
    granted = Granted(0)
    # A watchdog of ten seconds: on a virtual machine the host may take the processor away for tens of milliseconds.
    with DriverPort.create(name, JOINTS, 10_000_000_000) as port, load(arguments.load):
        for _ in range(arguments.rounds):
            reports, missed, faults, granted = measure_loop(port, arguments.seconds)
            lateness.append(reports["wake_lateness_ns"] * 1e-3)
            costs.append(reports["cost_ns"] * 1e-3)
            overruns += missed
            page_faults += faults
            other = measure_cyclictest(arguments.seconds)
            if other is not None:
                reference.append(other)
    title = f"1 kHz in µs: medians over {arguments.rounds} rounds of {arguments.seconds:g} s, maximum of all"
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for column in ("p50", "p99", "p99.9", "max", "p99s", "missed"):
        table.add_column(column, justify="right", no_wrap=True)
    _row(table, "loop: lateness", lateness, str(overruns))
    _row(table, "loop: cost", costs, "")
    if reference:
        _row(table, "cyclictest -p90", reference, "")
    console.print(table)
    missing = [flag.name for flag in Granted if flag not in granted and flag is not Granted.CPU]
    console.print(f"page faults in the loop: {page_faults}; not granted: {', '.join(map(str, missing)) or 'nothing'}")
    if not reference:
        console.print("no cyclictest to compare with: sudo apt-get install rt-tests")
    histogram("wake lateness", np.concatenate(lateness), console)
    histogram("cost of a tick", np.concatenate(costs), console)
    figures = {
        "load": arguments.load,
        "rounds": arguments.rounds,
        "wake_lateness_us": quantiles(lateness),
        "wake_lateness_p99_us_by_round": p99_by_round(lateness),
        "tick_cost_us": quantiles(costs),
        "cyclictest_us": quantiles(reference) if reference else None,
        "cyclictest_p99_us_by_round": p99_by_round(reference),
        "slots_missed": overruns,
        "ticks": sum(one.size for one in lateness),
        "page_faults": page_faults,
        "granted": [flag.name for flag in Granted if flag in granted],
    }
    record("jitter_load" if arguments.load else "jitter", figures, console)


if __name__ == "__main__":
    main()
