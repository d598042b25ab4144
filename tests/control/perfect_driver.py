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

from edge_runtime.contracts.axes import BaseLinear, ParallelGripper, Revolute
from edge_runtime.contracts.embodiment import Camera, Embodiment, Group
from edge_runtime.ipc.port import Command, DriverPort
from edge_runtime.testing.other_robots import OTHER_ROBOTS

JOINTS = ("a", "b", "c")
AXES = (*JOINTS, "gripper")
ROBOT = Embodiment(
    name="perfect",
    groups=(
        Group(
            name="arm",
            kind="arm",
            axes=(
                *(
                    Revolute(
                        name=name,
                        position_min_rad=-2.5,
                        position_max_rad=2.5,
                        velocity_max_rad_s=2.0,
                        acceleration_max_rad_s2=10.0,
                        jerk_max_rad_s3=5000.0,
                        torque_max_nm=10.0,
                        home_rad=0.0,
                    )
                    for name in JOINTS
                ),
                ParallelGripper(name="gripper", opening_max_m=0.08, speed_max_m_s=0.2),
            ),
        ),
    ),
    cameras=(Camera(name="scene", width_px=64, height_px=48, rate_hz=20.0),),
)
ROBOTS = {robot.name: robot for robot in (ROBOT, *OTHER_ROBOTS.values())}
"""By name, as the process below is told which one it is."""
TICK_NS = 1_000_000


class PerfectRobot:
    """The robot's place, and one cycle of its driver.

    Attributes:
        q, dq: (axes,) as it measures them: of a base's axis 0, and what it drives at.
        base: where its base is in the world, x m, y m and yaw rad.
    """

    def __init__(self, port: DriverPort, embodiment: Embodiment = ROBOT) -> None:
        self.port = port
        self.axes = embodiment.axes
        self._drives = np.array([axis.is_velocity for axis in self.axes])
        self.zero = np.zeros(len(self.axes))
        at_home = embodiment is not ROBOT
        self.q = np.array(embodiment.home) if at_home else self.zero
        self.dq = self.zero
        self.base = np.zeros(3)
        self._now_ns = 0

    @property
    def joints(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Where the axes are that are no gripper."""
        return self.q[[not axis.is_gripper for axis in self.axes]]

    @property
    def gripper_m(self) -> float:
        """How far the lone gripper is open."""
        return float(self.q[-1])

    def measure(self, stamp_ns: int) -> None:
        """Publish where the robot is."""
        odometry = self.base if self._drives.any() else None
        self.port.write_feedback(stamp_ns, self.q, self.dq, odometry=odometry)

    def obey(self, command: Command | None, now_ns: int) -> None:
        """Be where a fresh command says, or stay."""
        watchdog_ns = self.port.watchdog_ns
        if command is not None and command.state.follows and now_ns - command.stamp_ns <= watchdog_ns:
            self.q, self.dq = np.where(self._drives, 0.0, command.q), command.dq
        else:
            self.dq = self.zero
        self._drive((now_ns - self._now_ns) * 1e-9 if self._now_ns else 0.0)
        self._now_ns = now_ns

    def _drive(self, seconds: float) -> None:
        """Let the base go on at its speed."""
        along = {"x": 0.0, "y": 0.0, "yaw": 0.0}
        for axis, speed in zip(self.axes, self.dq, strict=True):
            if axis.is_velocity:
                along[axis.along if isinstance(axis, BaseLinear) else "yaw"] = float(speed)
        cosine, sine = np.cos(self.base[2]), np.sin(self.base[2])
        x, y = along["x"] * cosine - along["y"] * sine, along["x"] * sine + along["y"] * cosine
        self.base = self.base + seconds * np.array([x, y, along["yaw"]])


def port_of(name: str, watchdog_ns: int, *, virtual_clock: bool = False, embodiment: Embodiment = ROBOT) -> DriverPort:
    """The port of a perfect robot's driver."""
    return DriverPort.create(name, len(embodiment.axes), embodiment.joint_digest, watchdog_ns, virtual_clock)


class DriverProcess:
    """The driver above as a process of its own."""

    def __init__(self, name: str, watchdog_ns: int = 500_000_000, robot: str = ROBOT.name) -> None:
        module = "tests.control.perfect_driver"
        arguments = [sys.executable, "-m", module, name, "--watchdog-ns", str(watchdog_ns), "--robot", robot]
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

    def __init__(
        self,
        name: str,
        ticks: int,
        observe_every: int = 0,
        watchdog_ns: int = 100_000_000,
        embodiment: Embodiment = ROBOT,
    ) -> None:
        super().__init__(daemon=True)
        self._embodiment = embodiment
        self.port = port_of(name, watchdog_ns, virtual_clock=True, embodiment=embodiment)
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
        robot = PerfectRobot(self.port, self._embodiment)
        start_s = time.monotonic()
        for k in range(1, self.ticks + 1):
            now_ns = k * TICK_NS
            robot.measure(now_ns)
            self.port.advance_clock(now_ns)
            command = self.port.wait_command(now_ns, timeout_s=10.0)
            robot.obey(command, now_ns)
            self.path.append(robot.q.tobytes() + robot.dq.tobytes() + bytes([command.state]))
            if self.observe_every and k % self.observe_every == 0:
                self.port.wait_observation_ack(now_ns, timeout_s=10.0)
        self.elapsed_s = time.monotonic() - start_s


def main() -> None:
    """Run in real time until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--watchdog-ns", type=int, default=500_000_000)
    parser.add_argument("--robot", choices=tuple(ROBOTS), default=ROBOT.name)
    arguments = parser.parse_args()
    embodiment = ROBOTS[arguments.robot]
    with port_of(arguments.name, arguments.watchdog_ns, embodiment=embodiment) as port:
        robot = PerfectRobot(port, embodiment)
        deadline_s = time.monotonic()
        while not select.select([sys.stdin], [], [], 0)[0]:
            robot.obey(port.read_command(), port.now_ns())
            robot.measure(port.now_ns())
            deadline_s = max(deadline_s + 1e-3, time.monotonic() - 5e-3)
            time.sleep(max(0.0, deadline_s - time.monotonic()))


if __name__ == "__main__":
    main()
