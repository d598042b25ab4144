"""A whole driver from a few methods: subclass `Driver`, publish it with `declare`. The loop around it is here.

Guarantees, whatever the methods do: `follow` is called only with a command of the safety kernel that is in force and
fresh, and `hold` in every other cycle, also when control has died; the driver's end, however it comes about, is a
`hold` and a `close`. It can't guarantee that `hold` holds: that is what `edge_runtime.testing` looks at.
"""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError, DriverError
from edge_runtime.contracts.topics import OBSERVATION
from edge_runtime.drivers.sdk.calibrated import CalibratedDriver
from edge_runtime.drivers.sdk.cameras import CameraThreads
from edge_runtime.drivers.sdk.declaration import DriverDeclaration, fits_any, has_no_settings
from edge_runtime.drivers.sdk.link import DriverLink
from edge_runtime.drivers.sdk.pacing import Pacer, become_realtime
from edge_runtime.drivers.sdk.sample import Sample
from edge_runtime.ipc.frames import Pixels
from edge_runtime.service import Arguments, StopSignal

WATCHDOG_MAX_S = 1.0
"""No robot is armed whose driver waits longer than this for a command."""


class Driver(ABC):
    """A robot's hardware, as this project needs it. Made with the robot's settings once the port is its own.

    `read`, `follow` and `hold` are called by one thread, once a cycle; `picture` by one thread for each camera.
    An exception ends the driver, after a `hold` and a `close`; it is started again by whoever started it.

    Attributes:
        rate_hz: cycles a second, of a driver that has measured when it was made how many its hardware takes; None: as
            many as it declares.
        note: for people, in its heartbeats: what it is waiting for, or can't do; empty while all is well.
    """

    rate_hz: float | None = None
    note: str = ""

    @abstractmethod
    def read(self) -> Sample:
        """Measure: once a cycle, before anything is commanded. Every sample has a later stamp than the one before."""

    @abstractmethod
    def follow(self, q: NDArray[np.float64], dq: NDArray[np.float64]) -> None:
        """Drive each joint and each gripper to its value of `q`, and a base at those of `dq`; don't wait.

        What comes is smooth already: one step per cycle inside all limits, to be passed on as it is.

        Args:
            q: (axes,) in the embodiment's order, absolute, rad or m; of a gripper as far as it is to be open.
            dq: (axes,) how fast `q` moves, which a joint's servo may use as it likes; of a base's axis what to drive
                at, m/s or rad/s.
        """

    @abstractmethod
    def hold(self) -> None:
        """Stay, or come to rest and stay, by the robot's own means: brakes, or a position servo on its place.

        Called in every cycle in which nothing is to be followed; often while it holds already.
        """

    def picture(self, camera: str, pixels: Pixels) -> int | None:
        """Fill `pixels`, (height_px, width_px, 3) uint8 RGB, with what `camera` sees; may wait for the next picture.

        Returns when it was exposed, in nanoseconds of `time.monotonic_ns()`; None where the camera had none in time.
        Left out by a driver whose embodiment has no cameras.
        """
        raise NotImplementedError(f"no picture() for {camera!r} of {pixels.shape[1]} x {pixels.shape[0]} px")

    def close(self) -> None:  # noqa: B027 - most hardware needs nothing
        """Let go of the hardware, which holds."""


def declare(
    driver: Callable[[RobotConfig], Driver],
    *,
    rate_hz: float,
    watchdog_s: float,
    packages: tuple[str, ...] = (),
    require_fit: Callable[[Embodiment], None] = fits_any,
    require_settings: Callable[[RobotConfig], None] = has_no_settings,
) -> DriverDeclaration:
    """What a module's `DRIVER` is: how the driver is made, and what can be known of it without its hardware.

    Args:
        driver: the subclass, or a function that makes one from the robot's settings.
        rate_hz: cycles a second, 1 to 2000: as many as the hardware takes.
        watchdog_s: how long a command stays good, above 0, at most 1: then `hold` is called. Twenty cycles are usual.
        packages: import names of what it can't run without, for `edge-runtime check`.
        require_fit: raises `ConfigError` for an embodiment whose axes or cameras it has not.
        require_settings: raises `ConfigError` for a table [driver] that it can't be started with.

    Raises:
        ValueError: a rate or a watchdog out of its range.
    """
    if not 1.0 <= rate_hz <= 2000.0:
        raise ValueError(f"rate_hz must lie between 1 and 2000, got {rate_hz!r}")
    require_watchdog(watchdog_s)
    if watchdog_s * rate_hz < 2.0:
        raise ValueError(f"watchdog_s must be two cycles of {1.0 / rate_hz:g} s at least, got {watchdog_s!r}")
    watchdog_ns = round(watchdog_s * 1e9)

    def start(arguments: Arguments, stop: StopSignal) -> None:
        if arguments.lockstep:
            raise ConfigError("--lockstep", "this driver runs in real time only; virtual time is for simulators")
        serve(driver, arguments, stop, rate_hz=rate_hz, watchdog_ns=watchdog_ns)

    return DriverDeclaration(start, watchdog_ns, packages, require_fit=require_fit, require_settings=require_settings)


def require_watchdog(watchdog_s: float) -> None:
    """Check that a robot may be armed whose driver waits so long for a command.

    Raises:
        ValueError: it may not.
    """
    if not 0.0 < watchdog_s <= WATCHDOG_MAX_S:
        raise ValueError(f"watchdog_s must be above 0 and at most {WATCHDOG_MAX_S:g}, got {watchdog_s!r}")


def serve(
    make: Callable[[RobotConfig], Driver], arguments: Arguments, stop: StopSignal, *, rate_hz: float, watchdog_ns: int
) -> None:
    """Be the driver until `stop`: feedback, commands, pictures, observations and heartbeats.

    Raises:
        EdgeError: what can't be had, or a rule of the port that the driver has broken.
    """
    config = arguments.config
    with DriverLink(config, arguments.run_dir, watchdog_ns=watchdog_ns, calibrated=True) as link:
        hardware = make(config)
        driver: Driver | CalibratedDriver = hardware
        try:
            cameras = config.embodiment.cameras
            if cameras and type(hardware).picture is Driver.picture:
                names = ", ".join(camera.name for camera in cameras)
                raise DriverError("picture", f"is missing: the embodiment has the cameras {names}")
            if config.calibration is not None:
                driver = CalibratedDriver(hardware, config.calibration, config.embodiment)
            # A thread that works on a picture gives the interpreter back within this time.
            sys.setswitchinterval(0.0005)
            with CameraThreads(link, cameras, driver.picture) if cameras else nullcontext() as threads:
                become_realtime(config.control.realtime_priority)
                _Loop(link, driver, threads, driver.rate_hz or rate_hz).run(stop)
        finally:
            try:
                driver.hold()
            finally:
                driver.close()


class _Loop:
    """The driver's cycles."""

    def __init__(
        self, link: DriverLink, driver: Driver | CalibratedDriver, cameras: CameraThreads | None, rate_hz: float
    ) -> None:
        self._link, self._driver, self._cameras = link, driver, cameras
        self._pacer = Pacer(round(1e9 / rate_hz))
        self._cycles = 0
        self._observation_due_ns = 0

    def run(self, stop: StopSignal) -> None:
        """One after the other, until `stop`."""
        link, driver = self._link, self._driver
        while not stop:
            sample = driver.read()
            link.write(sample)
            command = link.command()
            if command is None:
                driver.hold()
            else:
                driver.follow(command.q, command.dq)
            self._cycles += 1
            if self._cameras is not None:
                self._cameras.check()
            else:
                self._observe_blind(sample)
            if link.telemetry.beat_is_due():
                self._beat()
            self._pacer.wait()

    def _observe_blind(self, sample: Sample) -> None:
        """Without cameras an observation is the axes alone."""
        now_ns = time.monotonic_ns()
        if now_ns >= self._observation_due_ns:
            self._observation_due_ns = now_ns + round(1e9 / OBSERVATION.rate_hz)
            self._link.telemetry.observe(sample.stamp_ns, sample)

    def _beat(self) -> None:
        cameras = self._cameras
        counters = {
            "cycles": self._cycles,
            "cycles_missed": self._pacer.missed,
            "observations": self._link.telemetry.observations,
            "observations_withheld": self._link.telemetry.withheld,
            "pictures_missed": 0 if cameras is None else cameras.missed,
            "watchdog_stops": self._link.gate.lapses,
        }
        lapsed = "commands ceased: holds until control lets go of the robot" if self._link.gate.lapsed else ""
        note = "; ".join(words for words in (self._driver.note, lapsed) if words)
        self._link.telemetry.beat(counters, {"lateness_max_ms": self._pacer.take_lateness_max_ns() / 1e6}, note)
