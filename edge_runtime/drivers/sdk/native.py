"""A driver in another language: starts its program, and says on the bus what its port and its rings show.

Guarantees that the program does not outlive this process, nor this process the program. Nothing of what moves the robot
passes through here: feedback and commands are between the program and control.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError, EdgeError, ProcessError
from edge_runtime.contracts.topics import OBSERVATION
from edge_runtime.drivers.sdk.declaration import DriverDeclaration, fits_any
from edge_runtime.drivers.sdk.driver import require_watchdog
from edge_runtime.drivers.sdk.link import require_calibrated
from edge_runtime.drivers.sdk.pacing import Pacer, driver_priority
from edge_runtime.drivers.sdk.sample import History, Sample
from edge_runtime.drivers.sdk.telemetry import Telemetry
from edge_runtime.ipc.frames import RingWatch, ring_name
from edge_runtime.ipc.port import DriverPort
from edge_runtime.processes import port_name
from edge_runtime.service import Arguments, StopSignal

_LOOK_NS = 4_000_000
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 5.0
_BOTH_ENDED_S = 0.1


def native_driver(
    program: Path,
    *,
    watchdog_s: float,
    arguments: Sequence[str] = (),
    require_fit: Callable[[Embodiment], None] = fits_any,
) -> DriverDeclaration:
    """What a module's `DRIVER` is for a program that was made with `driver_sdk.h`.

    Args:
        program: path of the executable.
        watchdog_s: how long a command stays good, above 0, at most 1; the program is told.
        arguments: of its own, before those that `ds_open` reads.
        require_fit: raises `ConfigError` for an embodiment whose axes or cameras it has not.

    Raises:
        ValueError: a watchdog out of its range.
    """
    require_watchdog(watchdog_s)
    watchdog_ns = round(watchdog_s * 1e9)

    def start(given: Arguments, stop: StopSignal) -> None:
        if given.lockstep:
            raise ConfigError("--lockstep", "this driver runs in real time only; virtual time is for simulators")
        if not program.is_file():
            raise ConfigError("robot.driver", f"{program} does not exist: build it first, with make in its folder")
        _accompany([str(program), *arguments], given, stop, watchdog_ns)

    return DriverDeclaration(start, watchdog_ns, require_fit=require_fit)


def _accompany(command: list[str], given: Arguments, stop: StopSignal, watchdog_ns: int) -> None:
    config, run_dir = given.config, given.run_dir
    require_calibrated(config, False)
    cameras = config.embodiment.cameras
    command += ["--run-dir", str(run_dir), "--watchdog-ns", str(watchdog_ns)]
    command += ["--realtime-priority", str(driver_priority(config.control.realtime_priority))]
    for camera in cameras:
        command += ["--camera", f"{camera.name}:{camera.width_px}x{camera.height_px}:{camera.rate_hz:g}"]
    with (
        Telemetry(run_dir, config.embodiment, time.monotonic_ns) as telemetry,
        _running(command) as program,
        _attached(port_name(run_dir), program, stop) as port,
    ):
        if port is None:
            return
        watch = _Watch(port, telemetry, config.embodiment, run_dir)
        pacer = Pacer(_LOOK_NS)
        while not stop:
            _require_alive(program, stop)
            watch.look()
            pacer.wait()


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise ProcessError(f"{command[0]}: {error.strerror}") from error
    try:
        yield program
    finally:
        program.terminate()
        try:
            code = program.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
            problem = f"{command[0]} did not end within {_STOP_TIMEOUT_S:g} s of SIGTERM, and was killed"
            raise ProcessError(problem) from None
    if code not in (0, -signal.SIGTERM):
        raise _ended(program)


def _require_alive(program: subprocess.Popen[bytes], stop: StopSignal) -> None:
    if program.poll() is None:
        return
    # Whoever ends both at once may have reached the program first.
    time.sleep(_BOTH_ENDED_S)
    if not stop:
        raise _ended(program)


def _ended(program: subprocess.Popen[bytes]) -> ProcessError:
    code = program.returncode
    cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    name = program.args[0] if isinstance(program.args, list) else program.args
    return ProcessError(f"{name!s} has ended: {cause}; its own words stand above")


@contextlib.contextmanager
def _attached(name: str, program: subprocess.Popen[bytes], stop: StopSignal) -> Iterator[DriverPort | None]:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while not stop:
        _require_alive(program, stop)
        try:
            port = DriverPort.attach(name)
        except EdgeError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)
            continue
        try:
            yield port
        finally:
            port.close()
        return
    yield None


class _Watch:
    """Follows the program's port and rings, and sends what comes of them."""

    def __init__(self, port: DriverPort, telemetry: Telemetry, embodiment: Embodiment, run_dir: Path) -> None:
        cameras = embodiment.cameras
        self._port = port
        self._telemetry = telemetry
        self._history = History(embodiment)
        self._rings = {camera.name: RingWatch(ring_name(run_dir, camera.name)) for camera in cameras}
        self._pace_maker = min(cameras, key=lambda camera: camera.rate_hz).name if cameras else None
        self._seen_ns = self._stamp_ns = -1
        self._samples = 0

    def look(self) -> None:
        """Once around."""
        feedback = self._port.read_feedback()
        if feedback is not None and feedback.stamp_ns > self._stamp_ns:
            self._stamp_ns, self._samples = feedback.stamp_ns, feedback.seq
            self._history.add(Sample(feedback.stamp_ns, feedback.q, feedback.dq))
        if self._pace_maker is None:
            self._observe_blind()
        else:
            self._observe(self._pace_maker)
        if self._telemetry.beat_is_due():
            counters = {
                "samples": self._samples,
                "observations": self._telemetry.observations,
                "observations_withheld": self._telemetry.withheld,
            }
            self._telemetry.beat(counters, {})

    def _observe_blind(self) -> None:
        state = self._history.at(self._stamp_ns)
        if state is not None and self._stamp_ns - self._seen_ns >= round(1e9 / OBSERVATION.rate_hz):
            self._seen_ns = self._stamp_ns
            self._telemetry.observe(self._stamp_ns, state)

    def _observe(self, pace_maker: str) -> None:
        newest = self._rings[pace_maker].newest()
        if newest is None or newest.exposure_ns <= self._seen_ns:
            return
        self._seen_ns = newest.exposure_ns
        frames = [newest if name == pace_maker else ring.newest() for name, ring in self._rings.items()]
        self._telemetry.observe_whole(newest.exposure_ns, self._history.at(newest.exposure_ns), frames)
