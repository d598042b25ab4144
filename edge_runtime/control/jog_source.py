"""Motion that a person asks for, by axis or by tool: her commands become short plans from where the robot is commanded.

Guarantees that no plan reaches further than her command is valid, so that the loop lets the robot decelerate by itself
when she is not heard; that commands of anybody but the session in force are refused; that no axis is asked to be faster
than `JOG_SPEED_MAX` of its limit. Knows no clock, no loop and no limits of motion beyond that: those are the kernel's,
which looks at each tick.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import (
    JOG_SPEED_MAX,
    MAX_AXIS_NAME_CHARS,
    AxisSpeeds,
    AxisTargets,
    AxisUnit,
    JogAxis,
    JogCommand,
    JogFrame,
    JogTool,
    Matrix3,
    ToolSpeed,
    ToolTarget,
)
from edge_runtime.control.chunk_buffer import Refused
from edge_runtime.control.tool_motion import ToolMotion, ToolPose, rotation_vector
from edge_runtime.safety import KernelConfig
from edge_runtime.safety.kinematics import GeometryModel

_STEP_S = 0.01
_STEP_NS = 10_000_000
_ACCELERATION = 0.3
"""Share of an axis's limit. What is left is for the kernel, which follows closely while nothing acts."""
_RAMP_S = 0.01
"""An axis of little jerk gets no more acceleration than the kernel reaches in this time: it would lag behind."""
_GRIPPER_RAMP_S = 0.1
_ROUNDING = 1e-9

TOOL_SPEED_MAX_M_S = 1.0
"""Of which a quarter, as for an axis, is the 250 mm/s of a robot that people are near to."""
TOOL_TURN_MAX_RAD_S = 2.0
_TOOL_ACCELERATION_M_S2 = 0.5
_TOOL_ACCELERATION_RAD_S2 = 2.0

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Motion:
    """What each axis is commanded, and how fast that changes: (axes,). Of a base's axis both are its speed."""

    position: Array
    speed: Array


class JogSource:
    """The axes and tools of one robot, and whose commands move them.

    Args:
        embodiment: of the robot.
        config: its limits.

    Attributes:
        refused_sequence, refused: the last command of the session that was refused, and why.
    """

    def __init__(self, embodiment: Embodiment, config: KernelConfig) -> None:
        axes = embodiment.axes
        self._names = _names(embodiment)
        self._groups = [group.name for group in embodiment.groups for _ in group.axes]
        self._units = [AxisUnit(axis.unit) for axis in axes]
        self._joint_digest = embodiment.joint_digest
        self._drives = np.array([axis.is_velocity for axis in axes])
        has_range = [axis.has_range and not axis.is_velocity for axis in axes]
        self._low = np.where(has_range, config.q_min, -np.inf)
        self._high = np.where(has_range, config.q_max, np.inf)
        self._speed_max = np.array(config.dq_max)
        self._acceleration = np.array(
            [
                rate / _GRIPPER_RAMP_S if axis.is_gripper else min(_ACCELERATION * limit, _RAMP_S * jerk)
                for axis, rate, limit, jerk in zip(axes, config.dq_max, config.ddq_max, config.dddq_max, strict=True)
            ]
        )
        body = config.geometry
        self._tools = ToolMotion(body, embodiment) if isinstance(body, GeometryModel) else None
        self._tool_names = () if self._tools is None else self._tools.names
        self._tool_speed_m_s = [min(TOOL_SPEED_MAX_M_S, speed) for speed in config.of_tools("tool_speed_max_m_s")]
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
            return Refused(Refusal.JOINT_ORDER, f"made for other axes: {command.joint_digest[:12]}…")
        if command.sequence == self._sequence:
            return Refused(Refusal.DUPLICATE, "it was followed already")
        if command.sequence < self._sequence:
            return Refused(Refusal.OUT_OF_ORDER, "a later one was followed already")
        if command.stamp_ns > now_ns:
            return Refused(Refusal.FUTURE, f"stamped {(command.stamp_ns - now_ns) / 1e6:.1f} ms from now")
        if now_ns - command.stamp_ns >= command.valid_ns:
            return Refused(Refusal.STALE, f"it is {(now_ns - command.stamp_ns) / 1e6:.1f} ms old")
        motion = command.motion
        if isinstance(motion, AxisSpeeds):
            return self._why_not_speeds(motion.speeds)
        if isinstance(motion, AxisTargets):
            return self._why_not_targets(motion.targets)
        return self._why_not_tool(motion)

    def _unknown(self, names: Mapping[str, float]) -> Refused | None:
        for name in names:
            if name not in self._names:
                known = ", ".join(self._names)
                return Refused(Refusal.UNKNOWN_AXIS, f"this robot has no axis {name!r}; it has: {known}")
        return None

    def _why_not_speeds(self, speeds: Mapping[str, float]) -> Refused | None:
        if unknown := self._unknown(speeds):
            return unknown
        for name, value in speeds.items():
            fastest = JOG_SPEED_MAX * float(self._speed_max[self._names.index(name)])
            if abs(value) > fastest * (1.0 + _ROUNDING):
                return Refused(Refusal.OUT_OF_RANGE, f"{name}: {value:g} is faster than anybody jogs, {fastest:g}")
        return None

    def _why_not_targets(self, targets: Mapping[str, float]) -> Refused | None:
        if unknown := self._unknown(targets):
            return unknown
        for name, value in targets.items():
            i = self._names.index(name)
            if self._drives[i]:
                return Refused(Refusal.OUT_OF_RANGE, f"{name} is of a base, which is jogged by its speed alone")
            if not self._low[i] - _ROUNDING <= value <= self._high[i] + _ROUNDING:
                ends = f"{self._low[i]:.4f} to {self._high[i]:.4f}"
                return Refused(Refusal.OUT_OF_RANGE, f"{name}: {value:.4f} is outside of its range, {ends}")
        return None

    def _why_not_tool(self, motion: ToolSpeed | ToolTarget) -> Refused | None:
        if self._tools is None:
            return Refused(Refusal.UNKNOWN_AXIS, "the robot has no kinematics file, and so no tool: jog its axes")
        if motion.tool not in self._tool_names:
            known = ", ".join(self._tool_names) or "none"
            return Refused(Refusal.UNKNOWN_AXIS, f"this robot has no tool {motion.tool!r}; it has: {known}")
        tool = self._tool_names.index(motion.tool)
        if not self._tools.is_moved(tool):
            return Refused(Refusal.UNKNOWN_AXIS, f"no axis of this robot moves the tool {motion.tool!r}")
        if isinstance(motion, ToolTarget):
            rotation = np.array(motion.rotation)
            is_rotation = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6) and np.linalg.det(rotation) > 0.0
            return None if is_rotation else Refused(Refusal.OUT_OF_RANGE, f"{motion.tool}: not a rotation matrix")
        for values, limit, unit in (
            (motion.linear_m_s, self._tool_speed_m_s[tool], "m/s"),
            (motion.angular_rad_s, TOOL_TURN_MAX_RAD_S, "rad/s"),
        ):
            speed, fastest = float(np.linalg.norm(values)), JOG_SPEED_MAX * limit
            if speed > fastest * (1.0 + _ROUNDING):
                problem = f"{motion.tool}: {speed:g} {unit} is faster than anybody jogs, {fastest:g}"
                return Refused(Refusal.OUT_OF_RANGE, problem)
        return None

    def plan(self, command: JogCommand, start: Motion, start_ns: int) -> tuple[NDArray[np.int64], Array]:
        """Instants and knots, (k,) and (k, axes), of what `command` asks for from `start` on, while it is valid.

        Args:
            command: one that was taken.
            start: what the robot is commanded at `start_ns`.
        """
        steps = max(0, command.stamp_ns + command.valid_ns - start_ns) // _STEP_NS
        # A knot before the start gives the plan the slope that the motion has.
        rows = [np.where(self._drives, start.position, start.position - _STEP_S * start.speed), start.position]
        position, speed = start.position.copy(), start.speed.copy()
        for _ in range(steps):
            position, speed = self._after_step(command, position, speed)
            rows.append(position)
        t_ns = start_ns + _STEP_NS * np.arange(-1, steps + 1, dtype=np.int64)
        return t_ns, np.array(rows)

    def _after_step(self, command: JogCommand, position: Array, speed: Array) -> tuple[Array, Array]:
        motion = command.motion
        change = self._acceleration * _STEP_S
        arrives: dict[int, float] = {}
        if isinstance(motion, (ToolSpeed, ToolTarget)):
            wanted = self._tool_speeds(motion, position)
            # By one factor for all axes, so that the tool keeps its line.
            away = np.abs(wanted - speed)
            share = float(np.min(np.where(away > change, change / np.maximum(away, 1e-12), 1.0)))
            after = speed + share * (wanted - speed)
        else:
            wanted, arrives = self._axis_speeds(motion, position, speed)
            after = np.clip(wanted, speed - change, speed + change)
        moved = np.where(self._drives, after, position + 0.5 * _STEP_S * (speed + after))
        for i, value in arrives.items():
            if abs(after[i]) <= change[i]:
                moved[i], after[i] = value, 0.0
        return moved, after

    def _axis_speeds(
        self, motion: AxisSpeeds | AxisTargets, position: Array, speed: Array
    ) -> tuple[Array, dict[int, float]]:
        """(axes,) speeds to go for, and the targets of those axes that arrive in this step."""
        wanted = np.zeros(len(self._names))
        arrives: dict[int, float] = {}
        if isinstance(motion, AxisSpeeds):
            for name, value in motion.speeds.items():
                wanted[self._names.index(name)] = value
            return wanted, arrives
        for name, value in motion.targets.items():
            i = self._names.index(name)
            fastest = motion.speed_scale * float(self._speed_max[i])
            distance = value - float(position[i])
            acceleration = float(self._acceleration[i])
            wanted[i] = _speed_towards(distance, float(speed[i]), fastest, acceleration)
            if abs(distance) <= acceleration * _STEP_S * _STEP_S:
                arrives[i] = value
        return wanted, arrives

    def _tool_speeds(self, motion: ToolSpeed | ToolTarget, position: Array) -> Array:
        """(axes,) speeds to go for, all slowed by one factor where an axis would be faster than anybody jogs."""
        assert self._tools is not None, "a command for a tool was taken"
        tool = self._tool_names.index(motion.tool)
        pose = self._tools.pose(tool, position)
        if isinstance(motion, ToolSpeed):
            turn = pose.rotation if motion.frame is JogFrame.TOOL else np.eye(3)
            linear_m_s, angular_rad_s = turn @ motion.linear_m_s, turn @ motion.angular_rad_s
        else:
            linear_m_s, angular_rad_s = self._towards(motion, pose, self._tool_speed_m_s[tool])
        speeds = self._tools.axis_speeds(tool, position, linear_m_s, angular_rad_s)
        over = np.max(np.abs(speeds) / (JOG_SPEED_MAX * self._speed_max))
        return speeds / max(1.0, float(over))

    @staticmethod
    def _towards(motion: ToolTarget, pose: ToolPose, speed_max_m_s: float) -> tuple[Array, Array]:
        """How fast to go straight to a pose, and to turn to it, so that both end there at rest."""
        wanted = []
        for away, fastest, acceleration in (
            (np.array(motion.position_m) - pose.position_m, speed_max_m_s, _TOOL_ACCELERATION_M_S2),
            (
                rotation_vector(np.array(motion.rotation) @ pose.rotation.T),
                TOOL_TURN_MAX_RAD_S,
                _TOOL_ACCELERATION_RAD_S2,
            ),
        ):
            distance = float(np.linalg.norm(away))
            # Half of what braking needs in the end: the axes follow a little later.
            speed = min(motion.speed_scale * fastest, math.sqrt(acceleration * distance), distance / (3.0 * _STEP_S))
            wanted.append(away * (speed / distance) if distance > 0.0 else np.zeros(3))
        return wanted[0], wanted[1]

    def axes(self, commanded: Array, measured: Array) -> tuple[JogAxis, ...]:
        """All axes, with their values as commanded and as measured, (axes,) each."""
        return tuple(
            JogAxis(
                name=name,
                unit=self._units[i],
                position_min=_end(self._low[i]),
                position_max=_end(self._high[i]),
                speed_max=float(self._speed_max[i]),
                commanded=float(commanded[i]),
                measured=float(measured[i]),
                group=self._groups[i],
            )
            for i, name in enumerate(self._names)
        )

    def tools(self, commanded: Array, measured: Array) -> tuple[JogTool, ...]:
        """All tools that an axis moves, where they are with such values of the axes, (axes,) each."""
        if self._tools is None or not (np.isfinite(commanded).all() and np.isfinite(measured).all()):
            return ()
        found = []
        for tool, name in enumerate(self._tool_names):
            if not self._tools.is_moved(tool):
                continue
            there, here = self._tools.pose(tool, commanded), self._tools.pose(tool, measured)
            found.append(
                JogTool(
                    name=name,
                    linear_max_m_s=self._tool_speed_m_s[tool],
                    angular_max_rad_s=TOOL_TURN_MAX_RAD_S,
                    position_m=tuple(there.position_m.tolist()),
                    rotation=_rows(there.rotation),
                    measured_m=tuple(here.position_m.tolist()),
                    measured_rotation=_rows(here.rotation),
                )
            )
        return tuple(found)


def _names(embodiment: Embodiment) -> tuple[str, ...]:
    """What the axes are called: by number where a name is longer than what travels."""
    names = embodiment.axis_names
    if any(len(name) > MAX_AXIS_NAME_CHARS for name in names):
        return tuple(f"axis{i + 1}" for i in range(len(names)))
    return names


def _rows(matrix: Array) -> Matrix3:
    first, second, third = matrix.tolist()
    return tuple(first), tuple(second), tuple(third)


def _end(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _speed_towards(distance: float, speed: float, fastest: float, acceleration: float) -> float:
    """The largest speed at the end of a step from which braking still ends in front of what was `distance` away.

    A step's way is its mean speed times its time: v²/(2a) = d - (speed + v) t / 2.
    """
    half = acceleration * _STEP_S / 2.0
    along = math.copysign(speed, speed * distance)
    room = half * half + 2.0 * acceleration * abs(distance) - 2.0 * half * along
    return math.copysign(min(fastest, max(0.0, math.sqrt(max(0.0, room)) - half)), distance)
