"""What `edge-runtime jog` does: one move of one axis or of a tool, or keys."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from edge_runtime.client.explanations import in_full
from edge_runtime.client.jog import Jog, JogMove
from edge_runtime.client.jog_tool import DIRECTIONS, is_turn, move_tool, unit_of
from edge_runtime.contracts.console import DONE, FAILED
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.contracts.messages import JOG_SPEED_MAX, Asker, AxisUnit, JogAxis, JogFrame
from edge_runtime.contracts.subcommand import say, say_json, warn

TOOL = "tool"


def jog(options: argparse.Namespace) -> int:
    """By one move or by keys."""
    run_dir: Path = options.run_dir
    what: list[str] = options.what
    if not what or what == [TOOL]:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ConfigError(
                "AXIS", "keys need a terminal. Without one, say what to move: edge-runtime jog joint1 +0.1"
            )
        from edge_runtime.cli.jog_keyboard import jog_by_keys

        tool = (options.tool or "") if what == [TOOL] else None
        return jog_by_keys(run_dir, options.speed / 100.0, group=options.group, tool=tool)
    if options.group is not None:
        raise ConfigError("--group", "it is for the keyboard; with AXIS leave it out")
    with Jog(run_dir, asker=Asker.PERSON) as robot:
        move = _tool_move(robot, options) if _is_of_a_tool(what) else _axis_move(robot, options)
        if options.disarm:
            robot.disarm()
    _say(move, options)
    if not move.reached:
        warn(f"{move.axis} did not go all the way: {move.reason}")
    return DONE if move.reached else FAILED


def _is_of_a_tool(what: list[str]) -> bool:
    """An axis may be called "tool" too, and is moved by a number alone."""
    return what[0] == TOOL and (len(what) != 2 or what[1] in DIRECTIONS)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError("BY", f"expected a number, such as +0.1, got {text!r}")
    return value


def _axis_move(robot: Jog, options: argparse.Namespace) -> JogMove:
    name, *rest = options.what
    if len(rest) != 1:
        problem = f"by how much? Such as: edge-runtime jog {name} +0.1"
        raise ConfigError("BY", problem if not rest else f"one number is expected, got {' '.join(rest)}")
    by, axis = _number(rest[0]), robot.axis(name)
    if options.degrees:
        by = _radians(by, axis)
    if axis.unit.is_speed:
        return _drive(robot, axis, by, options.seconds)
    if options.seconds is not None:
        raise ConfigError("--seconds", f"{name} is moved by a way, not at a speed: leave it out")
    robot.begin()
    return robot.move(axis.name, by, options.speed / 100.0)


def _radians(by: float, axis: JogAxis) -> float:
    if axis.unit not in (AxisUnit.RAD, AxisUnit.RAD_S):
        raise ConfigError("--degrees", f"{axis.name} does not turn: BY is in {axis.unit.value}")
    return math.radians(by)


def _drive(robot: Jog, axis: JogAxis, speed: float, seconds: float | None) -> JogMove:
    fastest = JOG_SPEED_MAX * axis.speed_max
    if seconds is None:
        how = f"edge-runtime jog {axis.name} {math.copysign(min(abs(speed), fastest), speed):+.2g} --seconds 2"
        problem = f"{axis.name} is of a base: BY is a speed in {axis.unit.value}, and for how long? Such as: {how}"
        raise ConfigError("--seconds", problem)
    if abs(speed) > fastest:
        raise ConfigError("BY", f"{speed:g} {axis.unit.value} is too fast: at most {fastest:g}, a quarter of its limit")
    robot.begin()
    return robot.drive(axis.name, speed, seconds)


def _tool_move(robot: Jog, options: argparse.Namespace) -> JogMove:
    rest = options.what[1:]
    directions = ", ".join(DIRECTIONS)
    if len(rest) != 2 or rest[0] not in DIRECTIONS:
        problem = f"which way, and by how much? One of {directions}, such as: edge-runtime jog tool x +0.02"
        raise ConfigError("AXIS", problem)
    direction, by = rest[0], _number(rest[1])
    if options.degrees:
        if not is_turn(direction):
            raise ConfigError("--degrees", f"tool {direction} does not turn: BY is in {unit_of(direction)}")
        by = math.radians(by)
    robot.tool(options.tool)
    robot.begin()
    frame = JogFrame(options.frame)
    return move_tool(robot, direction, by, tool=options.tool, frame=frame, speed_scale=options.speed / 100.0)


def _say(move: JogMove, options: argparse.Namespace) -> None:
    if options.json:
        say_json(move)
        return
    end = "disarmed" if options.disarm else f"it holds, armed; {in_full('to end that: [disarm]', options.run_dir)}"
    is_way = _is_of_a_tool(options.what) or options.seconds is not None
    now = "" if is_way else f"now at {move.position:.4f} {move.unit}; "
    say(
        f"{move.axis}: asked {move.asked:+.4f} {move.unit}, commanded {move.commanded:+.4f}, "
        f"measured {move.measured:+.4f}; {now}{end}"
    )
