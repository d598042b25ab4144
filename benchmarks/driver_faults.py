"""How soon a robot stands still when control, its driver or its bus fails in motion: drivers for LeRobot and Gymnasium.

``python -m benchmarks.driver_faults [--lerobot-python PATH] [--rounds 100]``. The real driver process drives six servos
on a pseudo-terminal (LeRobot), or an environment in real time; the real loop and kernel swing its axis to and fro,
half a period in a second. Then one of them is killed, stopped, or its bus falls silent or is gone, at a random moment.
When the servos moved last is what the servos say, whose process no fault touches.
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
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.record import RESULTS, record
from edge_runtime.contracts.errors import EdgeError
from edge_runtime.ipc.port import DriverPort
from edge_runtime.processes import port_name
from edge_runtime.testing.feetech_servos import FeetechServos
from edge_runtime.testing.sliding_robot import write_robot
from edge_runtime.testing.so101 import write_so101

PEER_S = 8.0
"""What users of another runtime report from a crash to its robot's safe state (OpenRAL, issue 290)."""

_RESULT = RESULTS / "driver_faults.json"
_START_S = 120.0
_STARTS = 5
"""On a busy machine LeRobot gives up where an answer takes 50 ms, as systemd would start it again."""

_RESTS_S = 1.6
_SWING = {"lerobot": 0.35, "gym": 0.06}
_STILL, _MOVES = 1e-4, 0.02
_TURNS_S = 0.5


class Robot:
    """One driver and what it drives; a context manager. Started again where a fault has ended it."""

    def __init__(self, config: Path, run_dir: Path, servos: FeetechServos | None) -> None:
        self.config, self.run_dir, self.servos = config, run_dir, servos
        self.driver: subprocess.Popen[bytes] | None = None
        self._attached: DriverPort | None = None

    def start(self) -> None:
        """Start the driver where it does not run, and wait for its feedback.

        Raises:
            RuntimeError: it does not come up.
        """
        for _ in range(_STARTS - 1):
            with contextlib.suppress(RuntimeError):
                return self._start()
        return self._start()

    def _start(self) -> None:
        if self.driver is None or self.driver.poll() is not None:
            command = [sys.executable, "-m", "edge_runtime.drivers", "--config", str(self.config)]
            with (self.run_dir / "driver.log").open("ab") as log:
                self.driver = subprocess.Popen([*command, f"--run-dir={self.run_dir}"], stdout=log, stderr=log)
        end_s = time.monotonic() + _START_S
        while time.monotonic() < end_s:
            with contextlib.suppress(EdgeError), DriverPort.attach(port_name(self.run_dir)) as port:
                feedback = port.read_feedback()
                if feedback is not None and time.monotonic_ns() - feedback.stamp_ns < 100_000_000:
                    return
            if self.driver.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError((self.run_dir / "driver.log").read_text(errors="replace")[-2000:])

    def end(self) -> None:
        """End the driver."""
        if self._attached is not None:
            self._attached.close()
            self._attached = None
        if self.driver is not None and self.driver.poll() is None:
            self.driver.send_signal(signal.SIGCONT)
            self.driver.kill()
            self.driver.wait()

    def moves(self) -> bool:
        """Whether it is in motion; a swing that turns at this moment is waited for."""
        end_s = time.monotonic() + _TURNS_S
        while time.monotonic() < end_s:
            if self.servos is not None:
                self.servos.tell("look")
                moved_ns = self.servos.moved_ns
            else:
                feedback = self._port().read_feedback()
                moved_ns = feedback.stamp_ns if feedback and np.max(np.abs(feedback.dq)) > _MOVES else 0
            if time.monotonic_ns() - moved_ns < 30_000_000:
                return True
            time.sleep(0.005)
        return False

    def _port(self) -> DriverPort:
        """Attached before a fault: afterwards this machine may be too busy to look in time."""
        if self._attached is None:
            self._attached = DriverPort.attach(port_name(self.run_dir))
        return self._attached

    def moved_ns(self, since_ns: int) -> int:
        """Wait until it has rested for a while; when it moved last."""
        if self.servos is not None:
            time.sleep(_RESTS_S)
            self.servos.tell("look")
            return self.servos.moved_ns
        moved_ns, end_s = since_ns, time.monotonic() + _RESTS_S
        while time.monotonic() < end_s:
            feedback = self._port().read_feedback()
            if feedback is not None and np.max(np.abs(feedback.dq)) > _STILL:
                moved_ns = max(moved_ns, feedback.stamp_ns)
            time.sleep(0.001)
        return moved_ns


@dataclass
class Figures:
    """Of one fault, in seconds from it: until nothing moved, and until the kernel had stopped; what it said."""

    still_s: list[float] = field(default_factory=list)
    seen_s: list[float] = field(default_factory=list)
    reasons: set[str] = field(default_factory=set)

    def recorded(self) -> dict[str, Any]:
        """For the file."""
        return {
            "rounds": max(len(self.still_s), len(self.seen_s)),
            "still_ms": _ms(self.still_s),
            "seen_ms": _ms(self.seen_s),
            "reasons": sorted(self.reasons),
        }


def _ms(values_s: list[float]) -> dict[str, float] | None:
    if not values_s:
        return None
    return {
        name: round(1e3 * float(np.percentile(values_s, q)), 1) for name, q in (("p50", 50), ("p99", 99), ("max", 100))
    }


Fault = Callable[[Robot, "subprocess.Popen[bytes]"], None]


def _signal_control(number: int) -> Fault:
    return lambda _robot, control: control.send_signal(number)


def _signal_driver(number: int) -> Fault:
    def fault(robot: Robot, _control: subprocess.Popen[bytes]) -> None:
        assert robot.driver is not None
        robot.driver.send_signal(number)

    return fault


def _tell(word: str) -> Fault:
    def fault(robot: Robot, _control: subprocess.Popen[bytes]) -> None:
        assert robot.servos is not None
        robot.servos.tell(word)

    return fault


CONTROL: dict[str, Fault] = {
    "control killed": _signal_control(signal.SIGKILL),
    "control stopped": _signal_control(signal.SIGSTOP),
}
DRIVER: dict[str, Fault] = {
    "driver stopped": _signal_driver(signal.SIGSTOP),
    "driver killed": _signal_driver(signal.SIGKILL),
}
BUS: dict[str, Fault] = {"bus silent": _tell("silent"), "bus gone": _tell("gone")}
COSTLY = ("driver killed", "bus gone", "bus silent")
"""After these a driver has to be started again, with all that LeRobot imports."""


def one_round(robot: Robot, name: str, fault: Fault, travel: float, random: Random, figures: Figures) -> None:
    """Move, fail, look, and mend.

    Raises:
        RuntimeError: it does not move.
    """
    robot.start()
    command = [sys.executable, "-m", "benchmarks.driver_faults_control", str(robot.config), port_name(robot.run_dir)]
    with subprocess.Popen([*command, str(travel)], stdout=subprocess.PIPE) as control:
        assert control.stdout is not None
        said = control.stdout.readline()
        if said != b"moving\n":
            # This machine was too busy to arm it, or to move it: no fault of ours, and no round.
            control.kill()
            return
        time.sleep(random.uniform(0.0, 1.0))
        if not robot.moves():
            # Tripped meanwhile, for the same reason.
            control.kill()
            return
        fault_ns = time.monotonic_ns()
        fault(robot, control)
        is_simulated_away = robot.servos is None and name not in CONTROL
        if not is_simulated_away:
            figures.still_s.append(max(0, robot.moved_ns(fault_ns) - fault_ns) / 1e9)
        if name not in CONTROL:
            words = control.stdout.readline().decode().split()
            figures.seen_s.append((int(words[1]) - fault_ns) / 1e9)
            figures.reasons.add(words[2])
        control.kill()
    if robot.servos is not None:
        robot.servos.tell("well")
        if name == "bus gone":
            robot.servos.tell("back")
    if name in DRIVER or name in BUS:
        if name == "driver stopped":
            assert robot.driver is not None
            robot.driver.send_signal(signal.SIGCONT)
        else:
            robot.end()
    time.sleep(0.3)


@contextlib.contextmanager
def robots(python: Path | None) -> Iterator[dict[str, Robot]]:
    """Those that can be had here."""
    with contextlib.ExitStack() as stack:
        found = {}
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-"))) for _ in range(2)]
        if python is not None:
            servos = stack.enter_context(FeetechServos())
            for number in range(1, 7):
                servos.tell(f"move {number} 2050")
            found["lerobot"] = Robot(write_so101(folders[0], servos, python=python), folders[0], servos)
        with contextlib.suppress(ImportError):
            import gymnasium as gymnasium

            found["gym"] = Robot(write_robot(folders[1]), folders[1], None)
        for robot in found.values():
            stack.callback(robot.end)
        yield found


def main() -> None:
    """Fail, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("EDGE_LEROBOT_PYTHON", ".venv-lerobot/bin/python")
    parser.add_argument("--lerobot-python", type=Path, default=Path(default), help=f"that has LeRobot ({default})")
    parser.add_argument("--rounds", type=int, default=100, help="of each fault (100)")
    parser.add_argument("--costly-rounds", type=int, default=100, help="of those that end a driver (100)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (1)")
    parser.add_argument("--only", nargs="*", metavar="DRIVER:FAULT", help="these alone; the others' figures are kept")
    options = parser.parse_args()
    console, random = Console(), Random(options.seed)
    python = options.lerobot_python.absolute() if options.lerobot_python.exists() else None
    if python is None:
        console.print(f"{options.lerobot_python} is not there, and LeRobot is left out: make lerobot makes it")
    figures: dict[str, dict[str, Any]] = {}
    with robots(python) as found:
        for kind, robot in found.items():
            for name, fault in {**CONTROL, **DRIVER, **(BUS if robot.servos is not None else {})}.items():
                if options.only and f"{kind}:{name}" not in options.only:
                    continue
                one = Figures()
                count = options.costly_rounds if name in COSTLY and kind == "lerobot" else options.rounds
                for _ in track(range(count), f"{kind}: {name}", console=console):
                    one_round(robot, name, fault, _SWING[kind], random, one)
                # Each as it is done: another run may be at the other faults, and this one may be cut short.
                figures = _kept() if options.only else figures
                figures.setdefault(kind, {})[name] = one.recorded()
                record("driver_faults", {**figures, "peer_reported_s": PEER_S}, Console(quiet=True))
    console.print(table_of(figures))
    console.print(f"users of a peer report {PEER_S:g} s from a crash to the safe state (OpenRAL, issue 290)")


def _kept() -> dict[str, dict[str, Any]]:
    """The figures that are there, by driver."""
    if not _RESULT.exists():
        return {}
    figures = msgspec.json.decode(_RESULT.read_bytes())["figures"]
    return {kind: figures[kind] for kind in _SWING if kind in figures}


def table_of(figures: dict[str, dict[str, Any]]) -> Table:
    """A row for each fault."""
    table = Table(title="from a fault in motion, ms", title_justify="left")
    for column in ("driver", "fault", "rounds", "still p50", "p99", "max", "kernel stops p50", "p99", "max"):
        table.add_column(column, justify="left" if column in ("driver", "fault") else "right")
    for kind, faults in figures.items():
        for name, one in faults.items():
            cells = [
                "" if one[what] is None else f"{one[what][q]:.0f}"
                for what in ("still_ms", "seen_ms")
                for q in ("p50", "p99", "max")
            ]
            table.add_row(kind, name, str(one["rounds"]), *cells)
    return table


if __name__ == "__main__":
    main()
