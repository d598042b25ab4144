"""A tool moved by hand: straight along x, y or z, or turned about one of them, in the base's frame or in its own."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from edge_runtime.client.jog import SPEED, Jog, JogMove
from edge_runtime.contracts.messages import JogFrame, JogTool, ToolTarget

DIRECTIONS = ("x", "y", "z", "rx", "ry", "rz")
"""Along the three axes, m, and about them, rad."""

_ARRIVED_M, _ARRIVED_RAD = 2e-4, 1e-3
_CREEPS = 0.05
Array = NDArray[np.float64]


def is_turn(direction: str) -> bool:
    """Whether it is one about an axis."""
    return direction.startswith("r")


def unit_of(direction: str) -> str:
    """In what a way in this direction is told."""
    return "rad" if is_turn(direction) else "m"


def axis_of(tool: JogTool, direction: str, frame: JogFrame) -> Array:
    """(3,) the axis of a direction, in the base's frame."""
    axis = np.eye(3)["xyz".index(direction[-1])]
    return np.asarray(np.array(tool.rotation) @ axis) if frame is JogFrame.TOOL else axis


def target_of(tool: JogTool, direction: str, by: float, frame: JogFrame, speed_scale: float = SPEED) -> ToolTarget:
    """The pose that lies by so much in a direction, m or rad, from where the tool is commanded to be."""
    position, rotation = np.array(tool.position_m), np.array(tool.rotation)
    axis = axis_of(tool, direction, frame)
    if is_turn(direction):
        rotation = _rotation(axis * by) @ rotation
    else:
        position = position + by * axis
    x, y, z = position.tolist()
    first, second, third = (tuple(row) for row in rotation.tolist())
    return ToolTarget(tool=tool.name, position_m=(x, y, z), rotation=(first, second, third), speed_scale=speed_scale)


def speeds_of(
    tool: JogTool, direction: str, share: float
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Linear and angular speed in a direction, of a share of the tool's limits; negative the other way."""
    speeds = [0.0] * 6
    limit = tool.angular_max_rad_s if is_turn(direction) else tool.linear_max_m_s
    speeds[DIRECTIONS.index(direction)] = share * limit
    x, y, z, rx, ry, rz = speeds
    return (x, y, z), (rx, ry, rz)


def move_tool(
    jog: Jog,
    direction: str,
    by: float,
    *,
    tool: str | None = None,
    frame: JogFrame = JogFrame.BASE,
    speed_scale: float = SPEED,
) -> JogMove:
    """Move a tool by so much, wait for it, and let the robot hold there; ends early as `Jog.move` does.

    Args:
        jog: that has begun.
        direction: one of `DIRECTIONS`.
        by: m, or rad; negative the other way.
        tool: its name; None: the only one.
        frame: whose axes these are.
        speed_scale: of the tool's speed limit, above 0, at most `JOG_SPEED_MAX`.

    Raises:
        OperatorError: refused: no such tool, another session.
    """
    before, started_s = jog.tool(tool), time.monotonic()
    target = target_of(before, direction, by, frame, speed_scale)
    limit = before.angular_max_rad_s if is_turn(direction) else before.linear_max_m_s
    arrived = _ARRIVED_RAD if is_turn(direction) else _ARRIVED_M
    axis = axis_of(before, direction, frame)
    reason = jog.go(
        lambda: jog.say_tool_target(target),
        lambda: by - _way(before, jog.tool(before.name), direction, axis, measured=False),
        arrived,
        _CREEPS * speed_scale * limit,
        jog.why_nothing_moves,
    )
    after = jog.tool(before.name)
    measured = _way(before, after, direction, axis, measured=True)
    return JogMove(
        axis=f"{before.name} {direction}",
        unit=unit_of(direction),
        asked=by,
        commanded=_way(before, after, direction, axis, measured=False),
        measured=measured,
        position=measured,
        reached=not reason,
        reason=reason,
        elapsed_s=time.monotonic() - started_s,
    )


def _way(before: JogTool, after: JogTool, direction: str, axis: Array, *, measured: bool) -> float:
    """How far a tool went along an axis, or turned about it."""
    if not is_turn(direction):
        start, end = (before.measured_m, after.measured_m) if measured else (before.position_m, after.position_m)
        return float(axis @ (np.array(end) - np.array(start)))
    poses = (before.measured_rotation, after.measured_rotation) if measured else (before.rotation, after.rotation)
    turned = np.array(poses[1]) @ np.array(poses[0]).T
    skew = np.array([turned[2, 1] - turned[1, 2], turned[0, 2] - turned[2, 0], turned[1, 0] - turned[0, 1]])
    return math.atan2(float(axis @ skew) / 2.0, (float(np.trace(turned)) - 1.0) / 2.0)


def _rotation(vector: Array) -> Array:
    """(3, 3) the rotation about a vector by its length."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + math.sin(angle) * skew + (1.0 - math.cos(angle)) * skew @ skew)
