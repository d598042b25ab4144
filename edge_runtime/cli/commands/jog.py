"""`edge-runtime jog`: move a robot's axes or a tool by hand, a little at a time, for bringing it up."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_run_dir, seconds
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command, add_json

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    jog = add_command(
        commands,
        "jog",
        _run,
        summary="move one axis, or a tool, by hand: to bring a robot up",
        description=(
            "Moves one axis of a running robot (`edge-runtime run --hold` in another terminal) through its safety "
            "kernel, at a tenth of its speed limit. Without AXIS it listens to the keyboard, and shows where every "
            "axis is and why it stands still: `a` arms the robot for jogging, a press of an arrow key is one small "
            "step, and while the key is held, and the terminal repeats it, the axis moves. It decelerates when the "
            "key is let go (0.15 s later where the terminal does not tell), and within a quarter of a second of "
            "losing the terminal or this process. Space stops the robot and latches that. With AXIS and BY it moves "
            "that one, lets the robot hold there, and says what was commanded and measured. `tool` for AXIS "
            "moves a tool straight along x, y or z, or turns it about one of them (rx, ry, rz), by the axes that carry "
            "it. An axis of a base is driven at a speed, for --seconds. Refused while a policy moves the robot."
        ),
        examples=(
            "edge-runtime jog\n"
            "edge-runtime jog joint1 +0.1\n"
            "edge-runtime jog joint1 -5 --degrees --json\n"
            "edge-runtime jog gripper -0.01 --disarm\n"
            "edge-runtime jog --group left_arm\n"
            "edge-runtime jog tool\n"
            "edge-runtime jog tool z +0.02 --frame tool\n"
            "edge-runtime jog base_x +0.1 --seconds 2"
        ),
    )
    jog.add_argument(
        "what",
        nargs="*",
        metavar="AXIS BY",
        help="an axis's name, and by how much: rad or m, of a base rad/s or m/s; or `tool`, one of x, y, z, rx, ry and "
        "rz, and by how much: m or rad (default: the keyboard)",
    )
    jog.add_argument("--group", metavar="G", help="the keyboard shows the axes of this group (default: all)")
    jog.add_argument("--tool", metavar="T", help="which tool, where there are several")
    jog.add_argument(
        "--frame",
        choices=("base", "tool"),
        default="base",
        help="whose x, y and z a tool is moved along (default: base)",
    )
    jog.add_argument("--seconds", type=seconds, metavar="T", help="for how long to drive an axis of a base")
    jog.add_argument("--degrees", action="store_true", help="BY is in degrees")
    jog.add_argument(
        "--speed",
        type=_percent,
        default=10.0,
        metavar="P",
        help="percent of the speed limit, at most 25 (default: 10)",
    )
    jog.add_argument("--disarm", action="store_true", help="disarm after the move, instead of holding")
    add_json(jog)
    add_run_dir(jog)


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, such as +0.1, got {text!r}")
    return value


def _percent(text: str) -> float:
    from edge_runtime.contracts.messages import JOG_SPEED_MAX

    value, most = _finite(text), 100.0 * JOG_SPEED_MAX
    if not 0.0 < value <= most:
        raise argparse.ArgumentTypeError(f"must be above 0, and at most {most:g}")
    return value


def _run(options: argparse.Namespace) -> int:
    with loading():
        from edge_runtime.cli.jog import jog
    return jog(options)
