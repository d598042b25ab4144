"""`edge-runtime jog`: move a robot's joints by hand, a little at a time, for bringing it up."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.console import DONE, FAILED
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.contracts.messages import JOG_SPEED_MAX
from edge_runtime.contracts.subcommand import add_command, add_json, say, say_json, warn

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands

_SERVICE = Path("/run/edge-runtime")
_SPEED_MAX_PERCENT = 100.0 * JOG_SPEED_MAX


def add(commands: Subcommands) -> None:
    """`jog`, among the other commands."""
    from edge_runtime.cli import _run_dir

    jog = add_command(
        commands,
        "jog",
        _run,
        summary="move one joint, or the gripper, by hand: to bring a robot up",
        description=(
            "Moves one axis of a running robot (`edge-runtime run --hold` in another terminal) through its safety "
            "kernel, at a tenth of its speed limit. Without AXIS it listens to the keyboard, and shows where every "
            "axis is and why it stands still: `a` arms the robot for jogging, a press of an arrow key is one small "
            "step, and while the key is held, and the terminal repeats it, the axis moves. It decelerates when the "
            "key is let go (0.15 s later where the terminal does not tell), and within a quarter of a second of "
            "losing the terminal or this process. Space stops the robot and latches that. With AXIS and BY it moves "
            "that one, lets the robot hold there, and says what was commanded and measured. Refused while a policy "
            "moves the robot."
        ),
        examples=(
            "edge-runtime jog\n"
            "edge-runtime jog joint1 +0.1\n"
            "edge-runtime jog joint1 -5 --degrees --json\n"
            "edge-runtime jog gripper -0.01 --disarm"
        ),
    )
    jog.add_argument("axis", nargs="?", metavar="AXIS", help="a joint's name, or gripper (default: the keyboard)")
    jog.add_argument("by", nargs="?", type=_finite, metavar="BY", help="by how much: rad, for the gripper m")
    jog.add_argument("--degrees", action="store_true", help="BY is in degrees")
    jog.add_argument(
        "--speed",
        type=_percent,
        default=10.0,
        metavar="P",
        help=f"percent of the axis's speed limit, at most {_SPEED_MAX_PERCENT:g} (default: 10)",
    )
    jog.add_argument("--disarm", action="store_true", help="disarm after the move, instead of holding")
    add_json(jog)
    jog.add_argument("--run-dir", type=_run_dir, metavar="DIR", help="(default: .run here, else /run/edge-runtime)")


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"a number is due, such as +0.1, not {text!r}")
    return value


def _percent(text: str) -> float:
    value = _finite(text)
    if not 0.0 < value <= _SPEED_MAX_PERCENT:
        raise argparse.ArgumentTypeError(f"must be above 0, and at most {_SPEED_MAX_PERCENT:g}")
    return value


def _run(options: argparse.Namespace) -> int:
    """By one move or by keys."""
    from edge_runtime.client.explanations import LOCAL_RUN_DIR

    run_dir: Path = options.run_dir or (LOCAL_RUN_DIR if LOCAL_RUN_DIR.is_dir() else _SERVICE)
    if options.axis is None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ConfigError(
                "AXIS", "keys need a terminal. Without one, say what to move: edge-runtime jog joint1 +0.1"
            )
        from edge_runtime.cli.jog_keyboard import jog_by_keys

        return jog_by_keys(run_dir, options.speed / 100.0)
    if options.by is None:
        raise ConfigError("BY", f"by how much? Such as: edge-runtime jog {options.axis} +0.1")
    return _move(options, run_dir)


def _move(options: argparse.Namespace, run_dir: Path) -> int:
    from edge_runtime.client.explanations import in_full
    from edge_runtime.client.jog import Jog
    from edge_runtime.contracts.messages import Asker, AxisUnit

    with Jog(run_dir, asker=Asker.PERSON) as jog:
        axis = jog.axis(options.axis)
        by = options.by
        if options.degrees:
            if axis.unit is not AxisUnit.RAD:
                raise ConfigError("--degrees", f"{axis.name} does not turn: BY is in {axis.unit.value}")
            by = math.radians(by)
        jog.begin()
        move = jog.move(axis.name, by, options.speed / 100.0)
        if options.disarm:
            jog.disarm()
    if options.json:
        say_json(move)
    else:
        unit = move.unit
        end = "disarmed" if options.disarm else f"it holds, armed; {in_full('to end that: [disarm]', run_dir)}"
        say(
            f"{move.axis}: asked {move.asked:+.4f} {unit}, commanded {move.commanded:+.4f}, "
            f"measured {move.measured:+.4f}; now at {move.position:.4f} {unit}; {end}"
        )
    if not move.reached:
        warn(f"{move.axis} did not go all the way: {move.reason}")
    return DONE if move.reached else FAILED
