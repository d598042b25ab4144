"""Motion that a person asks for, axis by axis: her commands become short plans from where the robot is commanded to be.

Guarantees that no plan reaches further than her command is valid, so that the loop lets the robot decelerate by itself
when she is not heard; that commands of anybody but the session in force are refused; that no axis is asked to be faster
than `JOG_SPEED_MAX` of its limit. Knows no clock, no loop and no limits of motion beyond that: those are the kernel's,
which looks at each tick.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import (
    JOG_SPEED_MAX,
    MAX_AXIS_NAME_CHARS,
    AxisSpeeds,
    AxisUnit,
    JogAxis,
    JogCommand,
)
from edge_runtime.control.chunk_buffer import Refused
from edge_runtime.safety import KernelConfig

_STEP_S = 0.01
_STEP_NS = 10_000_000
_ACCELERATION = 0.3
"""Share of an axis's limit. What is left is for the kernel, which follows closely while nothing acts."""
_GRIPPER_RAMP_S = 0.1
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Motion:
    """Where every axis is commanded to be, and how fast: (axes,), joints in order, the gripper's opening last."""

    position: NDArray[np.float64]
    speed: NDArray[np.float64]


class JogSource:
    """The axes of one robot, and whose commands move them.

    Args:
        config: the robot's limits.

    Attributes:
        refused_sequence, refused: the last command of the session that was refused, and why.
    """

    def __init__(self, config: KernelConfig) -> None:
        self._names = _axis_names(config.joint_names)
        self._joint_digest = config.joint_digest
        self._low = np.array([*config.q_min, config.gripper_min_m])
        self._high = np.array([*config.q_max, config.gripper_max_m])
        self._speed_max = np.array([*config.dq_max, config.gripper_rate_m_s])
        gripper_acceleration = config.gripper_rate_m_s / _GRIPPER_RAMP_S / _ACCELERATION
        self._acceleration = _ACCELERATION * np.array([*config.ddq_max, gripper_acceleration])
        self._session = 0
        self._sequence = -1
        self.refused_sequence = 0
        self.refused: Refused | None = None

    @property
    def session(self) -> int:
        """Whose commands are followed; 0: nobody's."""
        return self._session

    @property
    def joint_digest(self) -> str:
        """What a command has to carry."""
        return self._joint_digest

    def begin(self, session: int) -> None:
        """From now on commands of `session` are followed, and those of no other."""
        self._session, self._sequence = session, -1
        self.refused_sequence, self.refused = 0, None

    def end(self) -> None:
        """Nobody jogs."""
        self._session = 0

    def take(self, command: JogCommand, now_ns: int) -> Refused | None:
        """Whether `command` is one to follow at `now_ns`; None if it is."""
        refused = self._why_not(command, now_ns)
        if refused is None:
            self._sequence = command.sequence
        elif command.session == self._session and self._session:
            self.refused_sequence, self.refused = command.sequence, refused
        return refused

    def _why_not(self, command: JogCommand, now_ns: int) -> Refused | None:
        if not self._session:
            return Refused(Refusal.NOT_JOGGING, "the robot is not armed for jogging")
        if command.session != self._session:
            return Refused(Refusal.OTHER_SESSION, f"session {command.session}, in force is {self._session}")
        if command.joint_digest != self._joint_digest:
            return Refused(Refusal.JOINT_ORDER, f"made for other joints: {command.joint_digest[:12]}…")
        if command.sequence == self._sequence:
            return Refused(Refusal.DUPLICATE, "it was followed already")
        if command.sequence < self._sequence:
            return Refused(Refusal.OUT_OF_ORDER, "a later one was followed already")
        if command.stamp_ns > now_ns:
            return Refused(Refusal.FUTURE, f"stamped {(command.stamp_ns - now_ns) / 1e6:.1f} ms from now")
        if now_ns - command.stamp_ns >= command.valid_ns:
            return Refused(Refusal.STALE, f"it is {(now_ns - command.stamp_ns) / 1e6:.1f} ms old")
        return self._why_not_axes(command)

    def _why_not_axes(self, command: JogCommand) -> Refused | None:
        motion = command.motion
        wanted = motion.speeds if isinstance(motion, AxisSpeeds) else motion.targets
        for name, value in wanted.items():
            if name not in self._names:
                known = ", ".join(self._names)
                return Refused(Refusal.UNKNOWN_AXIS, f"this robot has no axis {name!r}; it has: {known}")
            i = self._names.index(name)
            if isinstance(motion, AxisSpeeds):
                fastest = JOG_SPEED_MAX * float(self._speed_max[i])
                if abs(value) > fastest * (1.0 + _ROUNDING):
                    return Refused(Refusal.OUT_OF_RANGE, f"{name}: {value:g} is faster than anybody jogs, {fastest:g}")
            elif not self._low[i] - _ROUNDING <= value <= self._high[i] + _ROUNDING:
                ends = f"{self._low[i]:.4f} to {self._high[i]:.4f}"
                return Refused(Refusal.OUT_OF_RANGE, f"{name}: {value:.4f} is outside of its range, {ends}")
        return None

    def plan(self, command: JogCommand, start: Motion, start_ns: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Instants and knots, (k,) and (k, axes), of what `command` asks for from `start` on, while it is valid.

        Args:
            command: one that was taken.
            start: where the robot is commanded to be at `start_ns`.
        """
        steps = max(0, command.stamp_ns + command.valid_ns - start_ns) // _STEP_NS
        # A knot before the start gives the plan the slope that the motion has.
        rows = [start.position - _STEP_S * start.speed, start.position]
        position, speed = start.position.copy(), start.speed.copy()
        for _ in range(steps):
            position, speed = self._after_step(command, position, speed)
            rows.append(position)
        t_ns = start_ns + _STEP_NS * np.arange(-1, steps + 1, dtype=np.int64)
        return t_ns, np.array(rows)

    def _after_step(
        self, command: JogCommand, position: NDArray[np.float64], speed: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        motion = command.motion
        wanted = np.zeros(len(self._names))
        arrives: dict[int, float] = {}
        if isinstance(motion, AxisSpeeds):
            for name, value in motion.speeds.items():
                wanted[self._names.index(name)] = value
        else:
            for name, value in motion.targets.items():
                i = self._names.index(name)
                fastest = motion.speed_scale * float(self._speed_max[i])
                distance = value - float(position[i])
                wanted[i] = _speed_towards(distance, float(speed[i]), fastest, float(self._acceleration[i]))
                if abs(distance) <= self._acceleration[i] * _STEP_S * _STEP_S:
                    arrives[i] = value
        change = self._acceleration * _STEP_S
        after = np.clip(wanted, speed - change, speed + change)
        moved = position + 0.5 * _STEP_S * (speed + after)
        for i, value in arrives.items():
            if abs(after[i]) <= change[i]:
                moved[i], after[i] = value, 0.0
        return moved, after

    def axes(self, commanded: Sequence[float], measured: Sequence[float]) -> tuple[JogAxis, ...]:
        """All axes, where they are."""
        return tuple(
            JogAxis(
                name=name,
                unit=AxisUnit.RAD if i < len(self._names) - 1 else AxisUnit.M,
                position_min=float(self._low[i]),
                position_max=float(self._high[i]),
                speed_max=float(self._speed_max[i]),
                commanded=float(commanded[i]),
                measured=float(measured[i]),
            )
            for i, name in enumerate(self._names)
        )


def _axis_names(joint_names: tuple[str, ...]) -> tuple[str, ...]:
    """What joints and gripper are called; joints by number where a name is longer than what travels."""
    if any(len(name) > MAX_AXIS_NAME_CHARS for name in joint_names):
        joint_names = tuple(f"joint{i + 1}" for i in range(len(joint_names)))
    gripper = "gripper"
    while gripper in joint_names:
        gripper = f"{gripper}_opening"
    return (*joint_names, gripper)


def _speed_towards(distance: float, speed: float, fastest: float, acceleration: float) -> float:
    """The largest speed at the end of a step from which braking still ends in front of what was `distance` away.

    A step's way is its mean speed times its time: v²/(2a) = d - (speed + v) t / 2.
    """
    half = acceleration * _STEP_S / 2.0
    along = math.copysign(speed, speed * distance)
    room = half * half + 2.0 * acceleration * abs(distance) - 2.0 * half * along
    return math.copysign(min(fastest, max(0.0, math.sqrt(max(0.0, room)) - half)), distance)
