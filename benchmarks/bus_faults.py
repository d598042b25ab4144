"""Faults around each driver while it moves its robot: how long until the robot stands still.

``python -m benchmarks.bus_faults [ur] [ros2_dds] [ros2_zenoh] [--rounds 100]``. The robots are the simulated peers
of `edge_runtime.testing.peers`, which speak the real protocols and say when they came to rest; driver and control are
the real processes. In each round one axis moves under the kernel, and then control is killed, the driver is killed or
frozen, or nothing more of the robot comes over the bus.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.faults.__main__ import ms
from benchmarks.record import record
from edge_runtime.ipc.port import FeedbackFlag
from edge_runtime.testing.driven_robot import DrivenRobot
from edge_runtime.testing.peers.process import Peer
from edge_runtime.testing.peers.robots import loopback_address, ros2_peer, ros2_setup, write_ros2, write_ur

PEER_S = 8.0
"""From the crash of a process to the safe state, as users of OpenRAL report it (its issue 290)."""

_REST_MAX_S = 10.0
_MOVING_MAX_S = 20.0
FAULTS = ("control killed", "driver killed", "driver frozen", "bus silent")


class Side:
    """A simulated robot, and how one axis of it is moved.

    Attributes:
        peer: the other side's process.
        config: path of robot.toml.
        travel_rad: of the first axis in four seconds.
        silence: what the other side is told, so that nothing more of it comes.
    """

    def __init__(self, peer: Peer, config: Path, travel_rad: float, silence: str) -> None:
        self.peer, self.config, self.travel_rad, self.silence = peer, config, travel_rad, silence


@contextlib.contextmanager
def ur(folder: Path) -> Iterator[Side]:
    """A UR arm, by ur_rtde."""
    address = loopback_address()
    config = write_ur(folder, address)
    with Peer("ur_controller", address) as peer:
        yield Side(peer, config, 2.0, "silent 60")


def ros2(transport: str) -> Callable[[Path], contextlib.AbstractContextManager[Side]]:
    """A robot behind ros2_control with a controller of positions."""

    @contextlib.contextmanager
    def side(folder: Path) -> Iterator[Side]:
        setup = ros2_setup(transport)
        config = write_ros2(folder, setup)
        with ros2_peer(setup) as peer:
            yield Side(peer, config, 1.5, "silent 60")

    return side


SIDES = {"ur": ur, "ros2_dds": ros2("dds"), "ros2_zenoh": ros2("zenoh")}


def run_round(side: Side, fault: str, random: Random) -> float | None:
    """One fault; seconds until the robot stands, None where it was not in motion before."""
    side.peer.tell("well")
    with DrivenRobot(side.config) as robot, contextlib.ExitStack() as stack:
        _await(lambda: not robot.feedback().flags & FeedbackFlag.DRIVER_FAULT, "the driver follows commands")
        travel_rad = side.travel_rad if robot.feedback().q[0] < 0.0 else -side.travel_rad
        command = [sys.executable, "-m", "edge_runtime.testing.moving_control", str(side.config)]
        arguments = [robot.port.name, "0", str(travel_rad)]
        control = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE)
        stack.callback(control.wait)
        stack.callback(control.kill)
        assert control.stdout is not None
        if control.stdout.readline() != b"moving\n":
            return None
        time.sleep(0.6 + random.uniform(0.0, 0.5))
        if side.peer.tell("state")["still_ns"] is not None:
            return None
        start_ns = time.monotonic_ns()
        if fault == "control killed":
            control.kill()
        elif fault == "bus silent":
            side.peer.tell(*side.silence.split())
        else:
            os.kill(robot.process.pid, signal.SIGKILL if fault == "driver killed" else signal.SIGSTOP)
        rested_ns = _rested_ns(side.peer)
        if fault == "driver frozen":
            os.kill(robot.process.pid, signal.SIGCONT)
        return (rested_ns - start_ns) / 1e9


def _rested_ns(peer: Peer) -> int:
    found: list[int] = []

    def rests() -> bool:
        still_ns = peer.tell("state")["still_ns"]
        found[:] = [] if still_ns is None else [still_ns]
        return bool(found)

    _await(rests, "the robot stands", _REST_MAX_S)
    return found[0]


def _await(done: Callable[[], bool], what: str, seconds: float = _MOVING_MAX_S) -> None:
    end_s = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end_s:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)


def measure(name: str, rounds: int, seed: int, console: Console) -> dict[str, Any]:
    """All faults of one driver, taking turns."""
    random, rested_s, skipped = Random(seed), {fault: list[float]() for fault in FAULTS}, 0
    with tempfile.TemporaryDirectory() as folder, SIDES[name](Path(folder)) as side:
        for _ in track(range(rounds), name, console=console):
            for fault in FAULTS:
                try:
                    seconds = run_round(side, fault, random)
                except AssertionError:
                    seconds = None
                if seconds is None:
                    skipped += 1
                else:
                    rested_s[fault].append(seconds)
    figures: dict[str, Any] = {
        fault: {"rounds": len(values), "rest_ms": ms(values)} for fault, values in rested_s.items() if values
    }
    return {**figures, "not_in_motion": skipped}


def table_of(figures: dict[str, Any]) -> Table:
    """A row for each fault of each driver."""
    title = f"From a fault to a robot at rest; users of a peer report {PEER_S:g} s after a crash"
    table = Table(title=title, title_justify="left")
    for column in ("driver", "fault", "rounds", "p50 ms", "p99 ms", "max ms", f"{PEER_S:g} s are"):
        table.add_column(column, justify="left" if column in ("driver", "fault") else "right")
    for driver, by_fault in figures.items():
        for fault in FAULTS:
            if fault in by_fault:
                rest = by_fault[fault]["rest_ms"]
                times = f"{1e3 * PEER_S / rest['p99']:.0f} x p99"
                cells = [f"{rest[q]:.0f}" for q in ("p50", "p99", "max")]
                table.add_row(driver, fault, str(by_fault[fault]["rounds"]), *cells, times)
    return table


def main() -> None:
    """Inject, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drivers", nargs="*", metavar="DRIVER", help=f"of {', '.join(SIDES)}; all of them by default")
    parser.add_argument("--rounds", type=int, default=100, help="of each fault (100)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (1)")
    options = parser.parse_args()
    console = Console()
    names = options.drivers or list(SIDES)
    if unknown := set(names) - set(SIDES):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    figures = {name: measure(name, options.rounds, options.seed, console) for name in names}
    console.print(table_of(figures))
    record("bus_faults", figures, console)


if __name__ == "__main__":
    main()
