"""Any robot, simulated: each axis follows its command with a first-order lag, inside its rated speed and range.

There is no physics: nothing weighs anything, nothing collides, a gripper closes on nothing. Of a base it measures
velocities and odometry. Joints that turn without end are measured modulo a turn, as the encoders of real ones.
"""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.axes import BaseLinear
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.drivers.sdk import Driver, Pixels, Sample, declare

Array = NDArray[np.float64]

LAG_S = 0.02
"""After this time two thirds of a step are done."""
_STEP_MAX_S = 0.02
_TURN = 2.0 * math.pi


class KinematicPlant:
    """Where the axes are. Time is a parameter.

    Attributes:
        q: (axes,) positions and openings; of an axis of a base 0.
        dq: (axes,) velocities.
        odometry: (3,) x and y in m, yaw in rad, of the base in the world in which it began.
    """

    def __init__(self, embodiment: Embodiment) -> None:
        axes = embodiment.axes
        self._is_velocity = np.array([axis.is_velocity for axis in axes])
        self._is_endless = np.array([not (axis.has_range or axis.is_velocity) for axis in axes])
        self._low = np.array([axis.low for axis in axes])
        self._high = np.array([axis.high for axis in axes])
        self._speed = np.array([axis.speed_max for axis in axes])
        self._acceleration = np.array([axis.acceleration_max for axis in axes])
        self._along: list[tuple[int, str]] = [
            (number, axis.along if isinstance(axis, BaseLinear) else "yaw")
            for number, axis in enumerate(axes)
            if axis.is_velocity
        ]
        self.q = np.where(self._is_velocity, 0.0, np.array(embodiment.home))
        self.dq = np.zeros(len(axes))
        self.odometry = np.zeros(3)
        self._target = self.q.copy()
        self._velocity = np.zeros(len(axes))

    def follow(self, q: Array, dq: Array) -> None:
        """Go to `q`, (axes,); what is an axis of a base drives at its `dq`."""
        self._target = np.where(self._is_endless, self.q + np.mod(q - self.q + math.pi, _TURN) - math.pi, q)
        self._target = np.clip(self._target, self._low, self._high)
        self._velocity = np.clip(np.where(self._is_velocity, dq, 0.0), self._low, self._high)

    def hold(self) -> None:
        """Stay where it is."""
        self._target = self.q.copy()
        self._velocity = np.zeros(len(self.q))

    def step(self, elapsed_s: float) -> None:
        """Let time go by."""
        if elapsed_s <= 0.0:
            return
        share = 1.0 - math.exp(-elapsed_s / LAG_S)
        most = self._speed * elapsed_s
        moved = np.where(self._is_velocity, 0.0, np.clip(share * (self._target - self.q), -most, most))
        before = self.dq
        change = np.clip(
            share * (self._velocity - before), -self._acceleration * elapsed_s, self._acceleration * elapsed_s
        )
        self.q = self.q + moved
        self.dq = np.where(self._is_velocity, before + change, moved / elapsed_s)
        self._drive(elapsed_s)

    def _drive(self, elapsed_s: float) -> None:
        driven = {along: float(self.dq[number]) for number, along in self._along}
        x, y, yaw = driven.get("x", 0.0), driven.get("y", 0.0), driven.get("yaw", 0.0)
        half = self.odometry[2] + 0.5 * yaw * elapsed_s
        self.odometry = self.odometry + elapsed_s * np.array(
            [x * math.cos(half) - y * math.sin(half), x * math.sin(half) + y * math.cos(half), yaw]
        )

    def measured(self) -> Array:
        """(axes,) what encoders would say: modulo a turn where a joint turns without end."""
        return np.where(self._is_endless, np.mod(self.q + math.pi, _TURN) - math.pi, self.q)


class KinematicDriver(Driver):
    """The plant in real time."""

    def __init__(self, config: RobotConfig) -> None:
        self._plant = KinematicPlant(config.embodiment)
        self._has_base = bool(config.embodiment.base_indices)
        low, high = (np.array([getattr(axis, end) for axis in config.embodiment.axes]) for end in ("low", "high"))
        self._low = np.where(np.isfinite(low), low, -math.pi)
        self._span = np.where(np.isfinite(high), high, math.pi) - self._low
        self._read_ns = time.monotonic_ns()

    def read(self) -> Sample:
        """Where the axes are by now."""
        now_ns = time.monotonic_ns()
        remaining_s = (now_ns - self._read_ns) / 1e9
        while remaining_s > 0.0:
            # A process that was held up for longer does not leap: it goes the same way in small steps.
            self._plant.step(min(remaining_s, _STEP_MAX_S))
            remaining_s -= _STEP_MAX_S
        self._read_ns = now_ns
        odometry = self._plant.odometry if self._has_base else None
        return Sample(now_ns, self._plant.measured(), self._plant.dq, odometry=odometry)

    def follow(self, q: Array, dq: Array) -> None:
        """Take the targets over as they are."""
        self._plant.follow(q, dq)

    def hold(self) -> None:
        """Stay."""
        self._plant.hold()

    def picture(self, camera: str, pixels: Pixels) -> int | None:
        """A bar for each axis, as long as its place in its range: there is no scene to see."""
        exposure_ns = time.monotonic_ns()
        measured = self._plant.measured()
        share = np.clip((measured - self._low) / np.maximum(self._span, 1e-9), 0.0, 1.0)
        height_px, width_px = pixels.shape[:2]
        pixels[:] = 32 + sum(camera.encode()) % 64
        edges = np.linspace(0, height_px, len(share) + 1).astype(int)
        for top, bottom, part in zip(edges[:-1], edges[1:], share, strict=True):
            pixels[top : max(top + 1, bottom - 1), : max(1, round(part * width_px))] = (90, 160, 220)
        return exposure_ns


DRIVER = declare(KinematicDriver, rate_hz=500.0, watchdog_s=0.1)
