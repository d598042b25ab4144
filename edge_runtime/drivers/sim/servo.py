"""What the simulated joints are told, millisecond by millisecond: a fresh command, a ramp to rest, or the brakes.

Guarantees what control relies on in every driver: when commands cease in motion, the arm decelerates inside its
limits and stays put until control has let go of it once. Opens nothing and reads no clock.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

from edge_runtime.ipc.port import Command

Array = npt.NDArray[np.float64]

_REST_SPEED_RAD_S = 1e-3


class Mode(Enum):
    """How the arm is held."""

    BRAKED = "braked"
    """Control does not drive it."""
    FOLLOWING = "following"
    """It follows fresh commands."""
    RUNNING_DOWN = "running down"
    """Commands ceased: it decelerates on its own."""
    LATCHED = "latched"
    """Commands ceased, and it rests; it follows again once control has been seen not to drive it."""


class Servo:
    """Target of the position servo, and the driver's own watchdog.

    Args:
        acceleration_max_rad_s2: (n,) limits of the ramp to rest, of the joints; the gripper is the axis after them.
        watchdog_ns: age at which a command no longer counts.
    """

    def __init__(self, acceleration_max_rad_s2: Array, watchdog_ns: int) -> None:
        self._acceleration_max_rad_s2 = acceleration_max_rad_s2
        self._watchdog_ns = watchdog_ns
        self._q = np.zeros_like(acceleration_max_rad_s2)
        self._dq = np.zeros_like(acceleration_max_rad_s2)
        self._gripper_m = 0.0
        self._powered = False
        self.mode = Mode.BRAKED
        self.watchdog_stops = 0

    @property
    def moves(self) -> bool:
        """Whether the arm is off its brakes."""
        return self.mode in (Mode.FOLLOWING, Mode.RUNNING_DOWN)

    @property
    def faulted(self) -> bool:
        """Whether commands that say "follow" are not being followed."""
        return self._powered and self.mode in (Mode.RUNNING_DOWN, Mode.LATCHED)

    @property
    def gripper_m(self) -> float:
        """Opening that the fingers are told."""
        return self._gripper_m

    def update(self, command: Command | None, now_ns: int) -> Mode:
        """Take the newest command at `now_ns`; a command that is not finite counts as none."""
        powered = command is not None and command.state.follows
        fresh = (
            command is not None
            and powered
            and now_ns - command.stamp_ns <= self._watchdog_ns
            and bool(np.isfinite(command.q).all())
        )
        self._powered = powered
        if self.mode is Mode.LATCHED and not powered:
            self.mode = Mode.BRAKED
        elif self.mode is Mode.BRAKED and fresh:
            self.mode = Mode.FOLLOWING
        elif self.mode is Mode.FOLLOWING and not fresh:
            self.watchdog_stops += powered
            at_rest = bool(np.all(np.abs(self._dq) < _REST_SPEED_RAD_S))
            self.mode = Mode.BRAKED if at_rest and not powered else Mode.RUNNING_DOWN
        elif self.mode is Mode.RUNNING_DOWN and not np.any(self._dq):
            self.mode = Mode.LATCHED if powered else Mode.BRAKED
        if self.mode is Mode.FOLLOWING and command is not None:
            n = len(self._q)
            self._q, self._dq, self._gripper_m = command.q[:n], command.dq[:n], float(command.q[n])
        return self.mode

    def target_rad(self, step_s: float) -> Array:
        """(n,) servo target of the next `step_s` seconds; moves on along the ramp while running down."""
        if self.mode is Mode.RUNNING_DOWN:
            most_rad_s = self._acceleration_max_rad_s2 * step_s
            self._dq = self._dq - np.clip(self._dq, -most_rad_s, most_rad_s)
            self._q = self._q + self._dq * step_s
        return self._q
