"""The adapter itself: a robot of LeRobot as a `Driver`. Knows its interface, and imports nothing of LeRobot.

Guarantees that a bus which fails to answer for a moment ends nothing: no sample is made up meanwhile, so that the
safety kernel sees feedback grow old and stops; that the motors hold at every end; and that what is written is new.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.axes import Continuous
from edge_runtime.contracts.errors import ConfigError, DriverError
from edge_runtime.drivers.lerobot.robots import Bus, Camera, Robot
from edge_runtime.drivers.lerobot.units import AxisMap
from edge_runtime.drivers.sdk.driver import Driver
from edge_runtime.drivers.sdk.rest import RampToRest
from edge_runtime.drivers.sdk.sample import Sample
from edge_runtime.ipc.frames import Pixels

Vector = NDArray[np.float64]

LOST_S = 1.0
"""A robot that has not answered for so long is gone; meanwhile it is asked again and again."""

RATE_MIN_HZ = 10.0
_VELOCITY_WINDOW_NS = 100_000_000
"""Velocity is told over so long: one step of a usual servo between two samples alone would be 0.1 rad/s."""

_SPEED_SPARE, _LEAP = 2.0, 0.02
"""Beyond twice its rated speed, and a fiftieth of its range, no axis has moved."""

_RETRY_S = 0.002
_TRIALS = 20
_SPARE = 0.8
_POWER_INTERVAL_NS = 500_000_000
_CYCLES_IN_TIMEOUT = 5.0


class LeRobotArm(Driver):
    """A connected robot of LeRobot.

    Args:
        config: of the robot.
        robot: connected, without cameras of its own where `cameras` has them.
        maps: of its axes, in the embodiment's order.
        buses: that are asked whether their motors have torque; none of a robot that can't be asked.
        cameras: connected, by the embodiment's names; any other is looked for in the robot's own observations.
        camera_latency_s: how long before its arrival a picture was exposed, by camera.
        rate_max_hz: cycles a second at most.

    Attributes:
        answer_s: how long the robot takes to answer, at the 90th percentile of some trials at the start.

    Raises:
        DriverError: it doesn't answer, or too slowly to be driven.
        ConfigError: it is too slow for its safety file.
    """

    def __init__(
        self,
        config: RobotConfig,
        robot: Robot,
        maps: Sequence[AxisMap],
        *,
        buses: Sequence[Bus] = (),
        cameras: Mapping[str, Camera] | None = None,
        camera_latency_s: Mapping[str, float] | None = None,
        rate_max_hz: float = 60.0,
    ) -> None:
        self._config, self._robot, self._maps = config, robot, tuple(maps)
        self._buses, self._cameras = tuple(buses), dict(cameras or {})
        self._latency_ns = {name: round(value * 1e9) for name, value in (camera_latency_s or {}).items()}
        self._is_velocity = np.array([axis_map.is_velocity for axis_map in self._maps])
        axes = config.embodiment.axes
        self._is_continuous = np.array([isinstance(axis, Continuous) for axis in axes])
        self._speed_max = np.array([axis.speed_max for axis in axes])
        self._slack = np.array([_LEAP * (axis.high - axis.low if axis.has_range else 2.0 * np.pi) for axis in axes])
        self._suspect: tuple[int, Vector] | None = None
        self._past: deque[tuple[int, Vector]] = deque()
        self._sent: dict[str, float] = {}
        self._q: Vector = np.zeros(len(self._maps))
        self._dq: Vector = np.zeros(len(self._maps))
        self._following = False
        self._ramp: RampToRest | None = None
        self._notes: dict[str, str] = {}
        self._newest: tuple[int, Mapping[str, Any]] = (-1, {})
        self._measured = threading.Condition()
        self._power_due_ns = 0
        self._powerless = False
        self._failures = 0
        self.answer_s = self._measure_answer_s()
        self.rate_hz = self._rate_hz(rate_max_hz)

    # ---- what the SDK calls ------------------------------------------------------------------------------------------

    def read(self) -> Sample:
        """Ask until it answers. Raises DriverError once it has been silent for `LOST_S`."""
        stamp_ns, values = self._ask()
        self._look_at_power(stamp_ns)
        q, dq = self._motion(stamp_ns, values)
        return Sample(stamp_ns, q, dq, fault=self._powerless)

    def follow(self, q: Vector, dq: Vector) -> None:
        """Write, where it is anything new."""
        self._following, self._ramp = True, None
        self._q, self._dq = q, dq
        self._send(np.where(self._is_velocity, dq, q))

    def hold(self) -> None:
        """Run down within the rated acceleration from what was followed; then the servos hold their place unasked."""
        now_ns = time.monotonic_ns()
        if self._following:
            self._following = False
            self._ramp = RampToRest(self._config.embodiment, self._q, self._dq, now_ns)
        if self._ramp is not None:
            q, dq = self._ramp.at(now_ns)
            if self._send(np.where(self._is_velocity, dq, q)) and self._ramp.is_over:
                self._ramp = None

    def picture(self, camera: str, pixels: Pixels) -> int | None:
        """The next picture; a camera that fails has none, and the policy acts no more."""
        found = self._from_camera(camera) if camera in self._cameras else self._from_observation(camera, pixels)
        if found is None:
            return None
        exposure_ns, frame = found
        if frame.shape != pixels.shape:
            raise DriverError(
                f"picture of {camera}",
                f"is {frame.shape[1]} x {frame.shape[0]} px, the embodiment says {pixels.shape[1]} x {pixels.shape[0]}",
            )
        pixels[:] = frame
        return exposure_ns

    def close(self) -> None:
        """Let go of the robot, whose motors hold."""
        parts: dict[str, Robot | Camera] = {**self._cameras, "the robot": self._robot}
        for name, part in parts.items():
            try:
                part.disconnect()
            except Exception as error:  # noqa: PERF203 - each by itself; of what may be gone already
                print(f"lerobot: {name} could not be closed: {error}", file=sys.stderr)

    # ---- measuring ---------------------------------------------------------------------------------------------------

    def _ask(self) -> tuple[int, Vector]:
        silent_since_s: float | None = None
        while True:
            stamp_ns = time.monotonic_ns()
            try:
                observed = self._robot.get_observation()
                if any(bus.has_more() for bus in self._buses):
                    raise ValueError("an answer came that belongs to a question before")
                values = np.array([axis_map.value(float(observed[axis_map.key])) for axis_map in self._maps])
                if not np.isfinite(values).all():
                    odd = ", ".join(
                        m.key for m, value in zip(self._maps, values, strict=True) if not np.isfinite(value)
                    )
                    raise ValueError(f"{odd} is no number")
                self._require_no_leap(stamp_ns, values)
            except Exception as error:  # LeRobot raises what its libraries raise, and a plug-in anything
                self._failed(error)
                # From when it was seen: a process that was stopped meanwhile has not asked.
                silent_since_s = silent_since_s or time.monotonic()
                if time.monotonic() - silent_since_s > LOST_S:
                    raise DriverError("robot", f"has not answered for {LOST_S:g} s: {_one_line(error)}") from error
                time.sleep(_RETRY_S)
                continue
            self._say("robot", "")
            with self._measured:
                self._newest = (stamp_ns, observed)
                self._measured.notify_all()
            return stamp_ns, values

    def _require_no_leap(self, stamp_ns: int, values: Vector) -> None:
        """Ask twice where the robot is said to be where it can't have got to: LeRobot takes an answer that comes late
        for that to another question. A leap that is told twice is told on, and the kernel stops the robot."""
        suspect, self._suspect = self._suspect, None
        if not self._past:
            return
        if suspect is not None and not self._leaps(stamp_ns - suspect[0], values - suspect[1]).any():
            return
        then_ns, then = self._past[-1]
        leaps = self._leaps(stamp_ns - then_ns, values - then)
        if leaps.any():
            self._suspect = (stamp_ns, values)
            names = ", ".join(m.name for m, leaps_it in zip(self._maps, leaps, strict=True) if leaps_it)
            raise ValueError(f"{names} can't have moved so far")

    def _leaps(self, elapsed_ns: int, moved: Vector) -> NDArray[np.bool_]:
        """(axes,) which of them moved by more than they can."""
        turns = np.where(self._is_continuous, np.round(moved / (2.0 * np.pi)) * 2.0 * np.pi, 0.0)
        most = _SPEED_SPARE * self._speed_max * elapsed_ns / 1e9 + self._slack
        leaps: NDArray[np.bool_] = ~self._is_velocity & (np.abs(moved - turns) > most)
        return leaps

    def _failed(self, error: BaseException) -> None:
        self._failures += 1
        self._say("robot", f"the robot does not answer: {_one_line(error)}")
        if self._failures == 1 or self._failures % 100 == 0:
            print(f"lerobot: {self._failures} questions without an answer: {_one_line(error)}", file=sys.stderr)
        for bus in self._buses:
            bus.drain()
        # Whatever cut the line may have cut the power.
        self._power_due_ns = 0

    def _say(self, subject: str, words: str) -> None:
        if self._notes.get(subject, "") != words:
            self._notes = {**self._notes, subject: words}
            self.note = "; ".join(words for words in self._notes.values() if words)

    def _look_at_power(self, now_ns: int) -> None:
        """Find out that motors have lost their torque: a robot that was powered up again follows nothing."""
        if now_ns < self._power_due_ns or not self._buses:
            return
        self._power_due_ns = now_ns + _POWER_INTERVAL_NS
        try:
            powerless = not all(bus.holds() for bus in self._buses)
        except Exception as error:
            self._failed(error)
            return
        if powerless and not self._powerless:
            self._say("power", "motors have lost their torque: support the arm, then start the driver again")
            print(f"lerobot: {self._notes['power']}", file=sys.stderr)
        # Only a driver that sets the motors up again gives it back.
        self._powerless = self._powerless or powerless

    def _motion(self, stamp_ns: int, values: Vector) -> tuple[Vector, Vector]:
        """Positions and velocities: those of a base are measured, the others are differences."""
        past = self._past
        while len(past) > 1 and stamp_ns - past[1][0] >= _VELOCITY_WINDOW_NS:
            past.popleft()
        dq = np.zeros_like(values)
        if past:
            then_ns, then = past[0]
            dq = (values - then) / ((stamp_ns - then_ns) / 1e9)
        past.append((stamp_ns, values))
        return np.where(self._is_velocity, 0.0, values), np.where(self._is_velocity, values, dq)

    def _measure_answer_s(self) -> float:
        took_s = []
        for _ in range(_TRIALS):
            begun_s = time.monotonic()
            self._ask()
            took_s.append(time.monotonic() - begun_s)
        return float(np.percentile(took_s, 90))

    def _rate_hz(self, most_hz: float) -> float:
        rate_hz = min(most_hz, _SPARE / max(self.answer_s, 1e-6))
        took = f"takes {self.answer_s * 1e3:.0f} ms to answer: {rate_hz:.0f} cycles a second"
        if rate_hz < RATE_MIN_HZ:
            raise DriverError("robot", f"{took}, and {RATE_MIN_HZ:g} at least are needed")
        timeout_s = self._config.safety.feedback_timeout_s
        if rate_hz * timeout_s < _CYCLES_IN_TIMEOUT:
            needed = f"{_CYCLES_IN_TIMEOUT:g} cycles fit into {_CYCLES_IN_TIMEOUT / rate_hz:.2f} s"
            raise ConfigError("safety.feedback_timeout_s", f"is {timeout_s:g} s, but the robot {took}: {needed}")
        print(f"lerobot: the robot {took}", file=sys.stderr)
        return rate_hz

    # ---- driving -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Tell the motors to stay where they are measured: what they were told last may be of another day."""
        self._send(np.where(self._is_velocity, 0.0, self._ask()[1]))

    def _send(self, values: Vector) -> bool:
        """Whether the robot has been told."""
        action = {m.key: m.feature(float(value)) for m, value in zip(self._maps, values, strict=True)}
        if action == self._sent:
            return True
        try:
            self._robot.send_action(dict(action))
        except Exception as error:  # the next question says whether it is gone
            self._failed(error)
            return False
        self._sent = action
        return True

    # ---- cameras -----------------------------------------------------------------------------------------------------

    def _from_camera(self, name: str) -> tuple[int, Any] | None:
        camera = self._cameras[name]
        rates = {camera.name: camera.rate_hz for camera in self._config.embodiment.cameras}
        try:
            frame = camera.async_read(timeout_ms=2000.0 / rates[name])
        except Exception as error:  # of a camera that is slow, or gone
            self._say(name, f"camera {name}: {_one_line(error)}")
            return None
        self._say(name, "")
        arrived_ns = _arrival_ns(camera)
        return arrived_ns - self._latency_ns.get(name, 0), frame

    def _from_observation(self, name: str, pixels: Pixels) -> tuple[int, Any] | None:
        seen_ns = self._newest[0]
        with self._measured:
            self._measured.wait_for(lambda: self._newest[0] > seen_ns, timeout=LOST_S)
            stamp_ns, observed = self._newest
        frame = observed.get(name)
        if stamp_ns <= seen_ns or frame is None:
            return None
        return stamp_ns - self._latency_ns.get(name, 0), np.asarray(frame, dtype=pixels.dtype)


def _arrival_ns(camera: Any) -> int:
    # LeRobot's cameras say when the picture came, on the clock of all stamps; a plug-in's may not.
    arrived_s = getattr(camera, "latest_timestamp", None)
    return time.monotonic_ns() if arrived_s is None else round(arrived_s * 1e9)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
