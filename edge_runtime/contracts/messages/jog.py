"""Jogging: a person moves a robot's axes, or a tool, by hand, a little at a time."""

from __future__ import annotations

from enum import Enum

import msgspec

from edge_runtime.contracts.messages.base import MAX_AXES, MAX_DETAIL_CHARS, Message, require_63_bit, require_finite

JOG_VALID_MAX_NS = 250_000_000
"""A robot that is jogged moves for at most so long after the last word of whoever jogs it."""
JOG_SPEED_MAX = 0.25
"""Share of an axis's speed limit that nobody jogs faster than."""
MAX_AXIS_NAME_CHARS = 64
MAX_TOOLS = 4
Vector3 = tuple[float, float, float]
Matrix3 = tuple[Vector3, Vector3, Vector3]


class AxisUnit(str, Enum):
    """Of an axis's value; its speed is that per second. A base's axis has a speed for its value."""

    RAD = "rad"
    M = "m"
    RAD_S = "rad/s"
    M_S = "m/s"
    OF_OPEN = "of open"

    @property
    def is_speed(self) -> bool:
        """Whether the axis is jogged by speed alone: it has no position to go to."""
        return self in (AxisUnit.RAD_S, AxisUnit.M_S)

    @property
    def of_speed(self) -> str:
        """The unit of the speed that it is jogged at."""
        return self.value if self.is_speed else f"{self.value}/s"


class JogFrame(str, Enum):
    """Whose x, y and z a tool is moved along: those of the robot's base, or of the tool's own link."""

    BASE = "base"
    TOOL = "tool"


class AxisSpeeds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag=True):
    """Each named axis moves at this speed, in its unit per second, a base's in its unit; all others stand still."""

    speeds: dict[str, float]


class AxisTargets(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag=True):
    """Each named axis goes to this position, in its unit, and stays there; all others stand still.

    Attributes:
        targets: by name; of a base's axis there is none.
        speed_scale: of each axis's speed limit, above 0, at most `JOG_SPEED_MAX`.
    """

    targets: dict[str, float]
    speed_scale: float

    def __post_init__(self) -> None:
        _require_scale(self.speed_scale)


class ToolSpeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag=True):
    """A tool moves so, by the axes that carry it; all others stand still."""

    tool: str
    frame: JogFrame
    linear_m_s: Vector3
    angular_rad_s: Vector3


class ToolTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag=True):
    """A tool goes straight to this pose in the base's frame, and stays there; all other axes stand still.

    Attributes:
        position_m, rotation: of the tool's point, and of its link, row by row.
        speed_scale: of the tool's speed limits, above 0, at most `JOG_SPEED_MAX`.
    """

    tool: str
    position_m: Vector3
    rotation: Matrix3
    speed_scale: float

    def __post_init__(self) -> None:
        _require_scale(self.speed_scale)


AxisMotion = AxisSpeeds | AxisTargets
JogMotion = AxisSpeeds | AxisTargets | ToolSpeed | ToolTarget


def _require_scale(speed_scale: float) -> None:
    require_finite("speed_scale", (speed_scale,))
    if not 0.0 < speed_scale <= JOG_SPEED_MAX:
        raise ValueError(f"speed_scale must be above 0, and at most {JOG_SPEED_MAX}")


class JogCommand(Message, frozen=True):
    """What a person who jogs the robot wants until `stamp_ns + valid_ns`; said again and again while she wants it.

    Attributes:
        session: id of the request (`OperatorKind.JOG`) that was granted.
        sequence: grows from one command of a session to the next.
        stamp_ns: when she was last known to want it, on the robot's monotonic clock.
    """

    session: int
    sequence: int
    stamp_ns: int
    valid_ns: int
    joint_digest: str
    motion: JogMotion

    def __post_init__(self) -> None:
        for name in ("session", "sequence", "stamp_ns"):
            require_63_bit(name, getattr(self, name))
        if not 0 < self.valid_ns <= JOG_VALID_MAX_NS:
            raise ValueError(f"valid_ns must be above 0, and at most {JOG_VALID_MAX_NS}")
        names, values = _content(self.motion)
        if len(names) > MAX_AXES or any(len(name) > MAX_AXIS_NAME_CHARS for name in names):
            raise ValueError(f"shape: at most {MAX_AXES} axes, with names of {MAX_AXIS_NAME_CHARS} characters")
        require_finite("motion", values)


def _content(motion: JogMotion) -> tuple[list[str], list[float]]:
    """The names and the numbers of a motion."""
    if isinstance(motion, AxisSpeeds):
        return list(motion.speeds), list(motion.speeds.values())
    if isinstance(motion, AxisTargets):
        return list(motion.targets), list(motion.targets.values())
    if isinstance(motion, ToolSpeed):
        return [motion.tool], [*motion.linear_m_s, *motion.angular_rad_s]
    return [motion.tool], [*motion.position_m, *(value for row in motion.rotation for value in row)]


class JogAxis(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One axis that can be jogged: its limits, in force for this robot, and where it is, in `unit` and per second.

    Attributes:
        group: of axes that it belongs to.
        position_min, position_max: ends of its range; None of a joint that turns without end.
        speed_max: its limit, of which nobody jogs faster than `JOG_SPEED_MAX`.
        commanded, measured: its value; of a base's axis its speed.
    """

    name: str
    unit: AxisUnit
    position_min: float | None
    position_max: float | None
    speed_max: float
    commanded: float
    measured: float
    group: str = ""


class JogTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One tool that can be jogged, and where it is in the base's frame.

    Attributes:
        linear_max_m_s, angular_max_rad_s: its limits, of which nobody jogs faster than `JOG_SPEED_MAX`.
        position_m, rotation: as commanded: of the tool's point, and of its link, row by row.
        measured_m, measured_rotation: as measured.
    """

    name: str
    linear_max_m_s: float
    angular_max_rad_s: float
    position_m: Vector3
    rotation: Matrix3
    measured_m: Vector3
    measured_rotation: Matrix3


class JogStatus(Message, frozen=True):
    """What whoever wants to jog has to know.

    Attributes:
        session: whose commands are followed; 0: nobody's.
        joint_digest: what a command has to carry.
        tools: those of the robot's kinematics; none without.
        refused_sequence, refused, detail: the last command of this session that was refused, and why; 0 and None
            before the first.
    """

    stamp_ns: int
    session: int
    joint_digest: str
    axes: tuple[JogAxis, ...]
    tools: tuple[JogTool, ...] = ()
    refused_sequence: int = 0
    refused: str | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.axes) <= MAX_AXES:
            raise ValueError(f"shape: 1 to {MAX_AXES} axes")
        if len(self.tools) > MAX_TOOLS:
            raise ValueError(f"shape: at most {MAX_TOOLS} tools")
        if len(self.detail) > MAX_DETAIL_CHARS:
            raise ValueError(f"detail longer than {MAX_DETAIL_CHARS} characters")
