"""How long a robot that is jogged goes on when nobody holds the key any more, until all joints are commanded to rest.

    python -m benchmarks.jog [--times N]

The simulated arm and the real processes; `edge-runtime jog` on a terminal of its own. From the release where the
terminal tells it, from the last repetition of the key where it does not, and from the instant at which the process is
killed or stopped.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.record import record
from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.messages import Asker
from edge_runtime.ipc.port import DriverPort
from edge_runtime.processes import HOLDING, port_name
from edge_runtime.testing.jog_typist import LEFT, RIGHT, Typist, WatchedRobot

_HELD_S = 0.5
_TOLD = {
    RIGHT: (b"\x1b[1;1:1C", b"\x1b[1;1:2C", b"\x1b[1;1:3C"),
    LEFT: (b"\x1b[1;1:1D", b"\x1b[1;1:2D", b"\x1b[1;1:3D"),
}
"""Pressed, repeated, released."""


def _sit_down(run_dir: Path, *, tells_release: bool) -> Typist:
    person = Typist(run_dir, tells_release=tells_release)
    person.see(b"this terminal")
    person.type(b"\x1b[97u" if tells_release else b"a")
    person.see(b"armed, jogged by a person")
    return person


def _way(robot: WatchedRobot) -> bytes:
    return RIGHT if robot.position()[0] < 0.0 else LEFT


def released(run_dir: Path, robot: WatchedRobot, times: int, *, tells_release: bool) -> list[float]:
    """Seconds to rest after a key was let go, again and again."""
    person = _sit_down(run_dir, tells_release=tells_release)
    try:
        taken_s = []
        for _ in range(times):
            way = _way(robot)
            press, repeat, release = _TOLD[way] if tells_release else (way, way, b"")
            since_s = person.hold([press, repeat], _HELD_S)
            if tells_release:
                since_s = time.monotonic()
                person.type(release)
            taken_s.append(robot.rest_after_s(since_s))
        return taken_s
    finally:
        person.close()


def lost(run_dir: Path, robot: WatchedRobot, times: int, number: signal.Signals) -> list[float]:
    """Seconds to rest after the process was killed or stopped with the key down."""
    taken_s = []
    for _ in range(times):
        person = _sit_down(run_dir, tells_release=False)
        try:
            way = _way(robot)
            person.hold([way], _HELD_S)
            since_s = time.monotonic()
            os.kill(person.pid, number)
            taken_s.append(robot.rest_after_s(since_s))
        finally:
            person.close()
    return taken_s


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, metavar="N", help="how often each (default: 50)")
    times = parser.parse_args().times
    run_dir = Path(tempfile.mkdtemp(prefix="edge-"))
    with (
        Operator(run_dir, asker=Asker.PERSON) as operator,
        ProcessTable(load_config(SIM_CONFIG), run_dir, processes=HOLDING, hold=True) as table,
    ):
        table.start()
        operator.on_wait = table.tend
        operator.wait_until(lambda: operator.watcher.control_state.may_be_armed, 60.0)
        with DriverPort.attach(port_name(run_dir)) as port:
            robot = WatchedRobot(port)
            taken_s = {
                "release_told": released(run_dir, robot, times, tells_release=True),
                "release_not_told": released(run_dir, robot, times, tells_release=False),
                "killed": lost(run_dir, robot, times, signal.SIGKILL),
                "stopped": lost(run_dir, robot, times, signal.SIGSTOP),
            }
    figures = {}
    for name, values in taken_s.items():
        p50, p99, worst = (1e3 * np.percentile(values, (50, 99, 100))).tolist()
        figures[f"{name}_to_rest_ms"] = {"p50": round(p50, 1), "p99": round(p99, 1), "max": round(worst, 1)}
        print(f"{name:20}{p50:8.1f}{p99:8.1f}{worst:8.1f}   ms to rest, p50 p99 max of {times}")
    record("jog", {"times": times, **figures}, Console())


if __name__ == "__main__":
    main()
