"""Jogging: a person moves a robot's axes by hand, a little at a time."""

from __future__ import annotations

from enum import Enum

import msgspec

from edge_runtime.contracts.messages.base import MAX_AXES, MAX_DETAIL_CHARS, Message, require_63_bit, require_finite

JOG_VALID_MAX_NS = 250_000_000
"""A robot that is jogged moves for at most so long after the last word of whoever jogs it."""
JOG_SPEED_MAX = 0.25
"""Share of an axis's speed limit that nobody jogs faster than."""
MAX_AXIS_NAME_CHARS = 64


class AxisUnit(str, Enum):
    """Of an axis's position; its speed is that per second."""

    RAD = "rad"
    M = "m"


class AxisSpeeds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag=True):
    """Each named axis moves at this speed, in its unit per second; all others stand still."""

    speeds: dict[str, float]


class AxisTargets(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag=True):
    """Each named axis goes to this position, in its unit, and stays there; all others stand still.

    Attributes:
        speed_scale: of each axis's speed limit, above 0, at most `JOG_SPEED_MAX`.
    """

    targets: dict[str, float]
    speed_scale: float

    def __post_init__(self) -> None:
        require_finite("speed_scale", (self.speed_scale,))
        if not 0.0 < self.speed_scale <= JOG_SPEED_MAX:
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
    motion: AxisSpeeds | AxisTargets

    def __post_init__(self) -> None:
        for name in ("session", "sequence", "stamp_ns"):
            require_63_bit(name, getattr(self, name))
        if not 0 < self.valid_ns <= JOG_VALID_MAX_NS:
            raise ValueError(f"valid_ns must be above 0, and at most {JOG_VALID_MAX_NS}")
        axes = self.motion.speeds if isinstance(self.motion, AxisSpeeds) else self.motion.targets
        if len(axes) > MAX_AXES or any(len(name) > MAX_AXIS_NAME_CHARS for name in axes):
            raise ValueError(f"shape: at most {MAX_AXES} axes, with names of {MAX_AXIS_NAME_CHARS} characters")
        require_finite("motion", axes.values())


class JogAxis(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One axis that can be jogged: its limits, in force for this robot, and where it is, in `unit` and per second."""

    name: str
    unit: AxisUnit
    position_min: float
    position_max: float
    speed_max: float
    commanded: float
    measured: float


class JogStatus(Message, frozen=True):
    """What whoever wants to jog has to know.

    Attributes:
        session: whose commands are followed; 0: nobody's.
        joint_digest: what a command has to carry.
        refused_sequence, refused, detail: the last command of this session that was refused, and why; 0 and None
            before the first.
    """

    stamp_ns: int
    session: int
    joint_digest: str
    axes: tuple[JogAxis, ...]
    refused_sequence: int = 0
    refused: str | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.axes) <= MAX_AXES:
            raise ValueError(f"shape: 1 to {MAX_AXES} axes")
        if len(self.detail) > MAX_DETAIL_CHARS:
            raise ValueError(f"detail longer than {MAX_DETAIL_CHARS} characters")
