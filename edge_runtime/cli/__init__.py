"""The `edge-runtime` command. Each subcommand is a module of its own in `commands`, which explains itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from edge_runtime.cli.commands import SUBCOMMANDS
from edge_runtime.contracts.command_line import exit_code
from edge_runtime.contracts.completion import add_completion
from edge_runtime.contracts.console import DONE, INTERRUPTED
from edge_runtime.contracts.subcommand import command, explained

_EXAMPLES = """\
edge-runtime run                        the simulated arm, episode after episode, until Ctrl-C
edge-runtime run --episodes 5           five episodes, a summary, exit code 0
edge-runtime evaluate --episodes 100    success rate with its 95 % interval, in virtual time
edge-runtime evaluate --swapped         the same with wrong instructions: is language used at all?
edge-runtime page                       a running robot in a browser, with a stop button
edge-runtime monitor                    look at a running robot from another terminal
edge-runtime operator stop              let a running robot brake to rest, and latch that
edge-runtime jog                        move a robot's joints by hand, to bring it up
edge-runtime ota status                 which bundle runs here, and which one is on its way
edge-runtime check                      is this machine, and this bundle on it, fit?
edge-runtime claims                     what this robot's settings let anyone claim about safety
edge-runtime replay FILE                what happened before a trip, through the kernel again
edge-runtime view --rerun               the robot's body in motion, live or from a recording
edge-runtime export-mcap FILE           a recording for Foxglove
edge-runtime kinematics arm.urdf        the robot's body for the safety layer, from URDF or MJCF
edge-runtime new robot arm.urdf         a robot's own files, from its URDF, xacro or MJCF
edge-runtime new driver my_arm          a package with a driver that works, to put your robot into
edge-runtime calibrate --config FILE    where the zero of each axis is, and which way it turns
edge-runtime completion bash            lets the Tab key complete what is typed behind it
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `edge-runtime` script; exits with the code of the help's table."""
    parser = build_parser()
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        parser.print_help()
        sys.exit(DONE)
    options = parser.parse_args(given)
    try:
        code = exit_code("edge-runtime", lambda: options.run(options), options.needs)
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. What it parses has `run`, which does it and returns the exit code, and `needs`: extras
    of this project that it needs beyond what is always installed."""
    parser, commands = command(
        "edge-runtime",
        description="Runs a vision-language-action policy on a robot, with a safety kernel between policy and motors.",
        epilog=explained(_EXAMPLES),
    )
    parser.set_defaults(needs=())
    for subcommand in SUBCOMMANDS:
        subcommand.add(commands)
    add_completion(parser, commands)
    return parser
