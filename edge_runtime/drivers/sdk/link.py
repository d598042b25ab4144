"""All that lies between a driver and the rest of the robot: the port, frame rings, observations and heartbeats.

Guarantees that a command is handed out only while it may be followed: after a lapse of the watchdog not before control
has been seen not to drive the robot. What breaks a rule of the port raises `DriverError`, which names the rule.
Refuses to know what hardware there is. Trusts the driver that a sample is what was measured at its stamp.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import ConfigError, DriverError
from edge_runtime.drivers.sdk.sample import History, Sample, Vector
from edge_runtime.drivers.sdk.telemetry import Telemetry
from edge_runtime.ipc.frames import FrameRing, ring_name
from edge_runtime.ipc.port import MAX_TOOLS, Command, DriverPort, FeedbackFlag
from edge_runtime.processes import port_name

_FUTURE_MAX_NS = 1_000_000


def _by_tool(wrench: Vector | Sequence[Vector | None] | None) -> Sequence[Vector | None]:
    """One wrench for each tool.

    Raises:
        DriverError: not that many values.
    """
    if wrench is None:
        return ()
    first = wrench[0] if len(wrench) else 0.0
    rows: list[Any] = [wrench] if isinstance(first, (int, float, np.floating)) else list(wrench)
    for row in rows:
        if row is not None and len(row) != 6:
            raise DriverError("wrench", f"has {len(row)} values, expected 3 of force and 3 of moment")
    if len(rows) > MAX_TOOLS:
        raise DriverError("wrench", f"is of {len(rows)} tools, a robot has at most {MAX_TOOLS}")
    return rows


class CommandGate:
    """Which command may be followed. Pure.

    Args:
        watchdog_ns: an older command is not followed.

    Attributes:
        lapsed: commands ceased while they were followed, and control has not let go of the robot since.
        lapses: how often that happened.
    """

    def __init__(self, watchdog_ns: int) -> None:
        self._watchdog_ns = watchdog_ns
        self._follows = False
        self.lapsed = False
        self.lapses = 0

    def admit(self, command: Command | None, now_ns: int) -> bool:
        """Whether `command`, the newest one, is to be followed at `now_ns`. A command that is not finite is none."""
        if command is None or not command.state.follows:
            self._follows = self.lapsed = False
            return False
        is_fresh = now_ns - command.stamp_ns <= self._watchdog_ns and bool(
            np.isfinite(command.q).all() and np.isfinite(command.dq).all()
        )
        if self._follows and not is_fresh:
            self.lapsed = True
            self.lapses += 1
        self._follows = is_fresh and not self.lapsed
        return self._follows


def require_calibrated(config: RobotConfig, calibrated: bool) -> None:
    """Refuse to drive a robot whose calibration would go unheeded.

    Raises:
        ConfigError: it has one, and this driver does not apply it.
    """
    if config.calibration is not None and not calibrated:
        problem = (
            f"{config.robot.driver} keeps its own loop, and does not apply a calibration: a driver that is a `Driver` "
            "of the SDK does. Leave the key out, and let the driver count from the robot's own zeros"
        )
        raise ConfigError("robot.calibration", problem)


class DriverLink:
    """One driver's end of everything. A context manager: leaving it removes what it made in shared memory.

    Feedback is written and commands are read by one thread; the telemetry may be used by another one.

    Args:
        config: of the robot.
        run_dir: folder of the run's sockets.
        watchdog_ns: the driver stops the robot by itself after so long without a command, above 0, at most 1 s.
        virtual_clock: the driver is a plant that moves time (lockstep).
        calibrated: samples and commands pass through the robot's calibration on their way.

    Attributes:
        port: the driver port.
        rings: by camera; a picture is written into `slot()` and then committed.
        telemetry: what is said on the bus; used by one thread at a time.
        history: what was measured when.
        gate: which commands are followed.

    Raises:
        ConfigError: the robot has a calibration, and nobody applies it.
        PortError: another live process drives this robot, or the system refuses.
        ProcessError, FrameError: a socket or a ring can't be made.
    """

    def __init__(
        self,
        config: RobotConfig,
        run_dir: Path,
        *,
        watchdog_ns: int,
        virtual_clock: bool = False,
        calibrated: bool = False,
    ) -> None:
        require_calibrated(config, calibrated)
        embodiment = config.embodiment
        self._n_axes = len(embodiment.axes)
        self._virtual = virtual_clock
        self._stamp_ns = -1
        self._command: Command | None = None
        self.history = History(embodiment)
        self.gate = CommandGate(watchdog_ns)
        self.rings: dict[str, FrameRing] = {}
        with ExitStack() as stack:
            # First: whoever else drives this robot has it, and nothing of it is touched.
            self.port = stack.enter_context(
                DriverPort.create(port_name(run_dir), self._n_axes, embodiment.joint_digest, watchdog_ns, virtual_clock)
            )
            self.telemetry = stack.enter_context(Telemetry(run_dir, embodiment, self.port.now_ns))
            for camera in embodiment.cameras:
                ring = FrameRing.create(ring_name(run_dir, camera.name), camera.name, camera.width_px, camera.height_px)
                self.rings[camera.name] = stack.enter_context(ring)
            self._resources = stack.pop_all()

    def __enter__(self) -> DriverLink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close everything, and remove the port and the rings."""
        self._resources.close()

    def now_ns(self) -> int:
        """Now, on the clock of all stamps."""
        return self.port.now_ns()

    def write(self, sample: Sample) -> None:
        """Publish what was measured.

        Raises:
            DriverError: a vector of another length, or a stamp that is not after the last one, or after now.
        """
        for name, values in (("q", sample.q), ("dq", sample.dq), ("tau", sample.tau)):
            if values is not None and len(values) != self._n_axes:
                counted = "axes, grippers and a base among them"
                raise DriverError(name, f"has {len(values)} values, this robot has {self._n_axes} {counted}")
        wrenches = _by_tool(sample.wrench)
        if sample.odometry is not None and len(sample.odometry) != 3:
            raise DriverError("odometry", f"has {len(sample.odometry)} values, expected x, y and yaw")
        self._require_stamp(sample.stamp_ns)
        flags = FeedbackFlag(0)
        if sample.stop_line:
            flags |= FeedbackFlag.STOP_LINE
        if sample.fault or self.gate.lapsed:
            flags |= FeedbackFlag.DRIVER_FAULT
        self.port.write_feedback(sample.stamp_ns, sample.q, sample.dq, sample.tau, wrenches, sample.odometry, flags)
        self._stamp_ns = sample.stamp_ns
        self.history.add(sample)

    def _require_stamp(self, stamp_ns: int) -> None:
        if stamp_ns <= self._stamp_ns:
            raise DriverError("stamp_ns", f"{stamp_ns} is not after the last one, {self._stamp_ns}: measure anew")
        self.require_past(stamp_ns, "stamp_ns")

    def require_past(self, stamp_ns: int, name: str) -> None:
        """Check that a stamp is of this robot's clock.

        Raises:
            DriverError: it is after now.
        """
        ahead_ns = 0 if self._virtual else stamp_ns - time.monotonic_ns()
        if ahead_ns > _FUTURE_MAX_NS:
            raise DriverError(name, f"is {ahead_ns / 1e6:.1f} ms after now: stamps are of time.monotonic_ns()")

    def newest_command(self) -> Command | None:
        """What control said last, whether it may be followed or not; None before the first."""
        # One that is being written at this instant counts from the next time on.
        self._command = self.port.read_command() or self._command
        return self._command

    def command(self) -> Command | None:
        """What the robot is to follow now, or None: hold where it is, by its own means. Ask in every cycle."""
        command = self.newest_command()
        return command if self.gate.admit(command, self.now_ns()) else None
