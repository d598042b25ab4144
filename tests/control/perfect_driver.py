"""A driver whose robot is at once where it is told to be: the smallest real thing on the other side of the port.

python -m tests.control.perfect_driver NAME [--watchdog-ns N]     real time, 1 kHz, until its input closes
"""

from __future__ import annotations

import argparse
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

import numpy as np

from edge_runtime.ipc.port import Command, DriverPort

JOINTS = ("a", "b", "c")
TICK_NS = 1_000_000


class PerfectRobot:
    """The robot's place, and one cycle of its driver."""

    def __init__(self, port: DriverPort) -> None:
        self.port = port
        self.q = np.zeros(len(JOINTS))
        self.dq = np.zeros(len(JOINTS))
        self.gripper_m = 0.0
        self.zero = np.zeros(len(JOINTS))

    def measure(self, stamp_ns: int) -> None:
        """Publish where the robot is."""
        self.port.write_feedback(stamp_ns, self.q, self.dq, self.zero, self.gripper_m)

    def obey(self, command: Command | None, now_ns: int) -> None:
        """Be where a fresh command says, or stay."""
        watchdog_ns = self.port.watchdog_ns
        if command is not None and command.state.follows and now_ns - command.stamp_ns <= watchdog_ns:
            self.q, self.dq, self.gripper_m = command.q, command.dq, command.gripper_m
        else:
            self.dq = self.zero


class DriverProcess:
    """The driver above as a process of its own."""

    def __init__(self, name: str, watchdog_ns: int = 500_000_000) -> None:
        arguments = [sys.executable, "-m", "tests.control.perfect_driver", name, "--watchdog-ns", str(watchdog_ns)]
        self.name = name
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE)

    def __enter__(self) -> DriverProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        Path("/dev/shm", self.name).unlink(missing_ok=True)


class LockstepPlant(threading.Thread):
    """The same robot as a plant that moves time: `ticks` steps of 1 ms, freezing at every observation.

    Every `observe_every` ticks the clock stands still until that instant is acknowledged.
    """

    def __init__(self, name: str, ticks: int, observe_every: int = 0, watchdog_ns: int = 100_000_000) -> None:
        super().__init__(daemon=True)
        self.port = DriverPort.create(name, JOINTS, watchdog_ns, virtual_clock=True)
        self.ticks = ticks
        self.observe_every = observe_every
        self.error: Exception | None = None
        self.path: list[bytes] = []
        self.elapsed_s = 0.0

    def run(self) -> None:
        try:
            self._run()
        except Exception as error:
            self.error = error

    def _run(self) -> None:
        robot = PerfectRobot(self.port)
        start_s = time.monotonic()
        for k in range(1, self.ticks + 1):
            now_ns = k * TICK_NS
            robot.measure(now_ns)
            self.port.advance_clock(now_ns)
            command = self.port.wait_command(now_ns, timeout_s=10.0)
            robot.obey(command, now_ns)
            self.path.append(robot.q.tobytes() + bytes([command.state]))
            if self.observe_every and k % self.observe_every == 0:
                self.port.wait_observation_ack(now_ns, timeout_s=10.0)
        self.elapsed_s = time.monotonic() - start_s


def main() -> None:
    """Run in real time until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--watchdog-ns", type=int, default=500_000_000)
    arguments = parser.parse_args()
    with DriverPort.create(arguments.name, JOINTS, arguments.watchdog_ns) as port:
        robot = PerfectRobot(port)
        deadline_s = time.monotonic()
        while not select.select([sys.stdin], [], [], 0)[0]:
            robot.obey(port.read_command(), port.now_ns())
            robot.measure(port.now_ns())
            deadline_s = max(deadline_s + 1e-3, time.monotonic() - 5e-3)
            time.sleep(max(0.0, deadline_s - time.monotonic()))


if __name__ == "__main__":
    main()
