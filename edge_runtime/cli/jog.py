"""What `edge-runtime jog` does: one move of one axis, or keys."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from edge_runtime.client.explanations import in_full
from edge_runtime.client.jog import Jog
from edge_runtime.contracts.console import DONE, FAILED
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.contracts.messages import Asker, AxisUnit
from edge_runtime.contracts.subcommand import say, say_json, warn


def jog(options: argparse.Namespace) -> int:
    """By one move or by keys."""
    run_dir: Path = options.run_dir
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
    with Jog(run_dir, asker=Asker.PERSON) as robot:
        axis = robot.axis(options.axis)
        by = options.by
        if options.degrees:
            if axis.unit is not AxisUnit.RAD:
                raise ConfigError("--degrees", f"{axis.name} does not turn: BY is in {axis.unit.value}")
            by = math.radians(by)
        robot.begin()
        move = robot.move(axis.name, by, options.speed / 100.0)
        if options.disarm:
            robot.disarm()
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
