"""`edge-runtime new`: a robot's files, or a package for its driver, to begin with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.cli.options import add_description, assignment, names
from edge_runtime.contracts.console import loading
from edge_runtime.contracts.subcommand import add_command, add_group, add_json

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    kinds = add_group(
        commands,
        "new",
        dest="kind",
        metavar="KIND",
        summary="a robot's files from its description, or a package for its driver",
        description="Writes what a robot begins with: its own files from the description that came with it, or a "
        "package with a driver for it.",
        examples="edge-runtime new robot arm.urdf\nedge-runtime new driver my_arm",
    )
    _add_driver(kinds)
    _add_robot(kinds)


def _add_driver(kinds: Subcommands) -> None:
    parser = add_command(
        kinds,
        "driver",
        _driver,
        summary="write a package to begin with: a driver for your robot",
        description="Writes a package of its own that works as it is: a driver for a made-up arm, its settings, and a "
        "test that every driver has to pass (docs/guides/drivers.md).",
        examples="edge-runtime new driver my_arm\nedge-runtime new driver my_arm robots/my_arm --language c",
    )
    parser.add_argument("name", metavar="NAME", help="of the package and the driver, such as my_arm")
    parser.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="where to (default: NAME here)")
    parser.add_argument("--language", choices=("python", "c"), default="python", help="of the driver (default: python)")


def _add_robot(kinds: Subcommands) -> None:
    parser = add_command(
        kinds,
        "robot",
        _robot,
        summary="write a robot's files from its URDF, xacro or MJCF, or from its LeRobot type",
        description="Finds joints, grippers, hands, wheels and limbs in the description that came with a robot, asks "
        "what no file can know, and writes robot.toml, embodiment.toml, safety.toml and kinematics.toml, and pictures "
        "to look at (docs/guides/bring_up.md). Every question has a flag; on a terminal the others are asked for.",
        examples="edge-runtime new robot arm.urdf\n"
        "edge-runtime new robot arm.urdf --yes -o my_arm\n"
        "edge-runtime new robot ur.urdf.xacro --arg ur_type:=ur5e --arg name:=ur --stands-on table --height 0\n"
        "edge-runtime new robot so101_follower --description so101.urdf\n"
        "edge-runtime new robot arm.urdf --answers my_arm/answers.toml --force -o my_arm",
    )
    parser.set_defaults(needs=("sim", "descriptions"))
    parser.add_argument(
        "file", metavar="FILE", help="URDF, xacro or MJCF, as the maker publishes it, or a LeRobot type"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="where to (default: a folder of its name here)"
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there already")
    parser.add_argument("--yes", action="store_true", help="take what is proposed where nothing else is said")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="answers.toml, such as this command writes")
    parser.add_argument("--description", type=Path, metavar="FILE", help="of a robot that is named by its LeRobot type")
    parser.add_argument("--name", metavar="NAME", help="of this one robot (default: that of the file)")
    parser.add_argument(
        "--joints",
        type=names,
        metavar="NAME,NAME",
        help="that belong to it, those of grippers too (default: all that move)",
    )
    parser.add_argument("--no-grippers", action="store_true", help="fingers are plain joints")
    parser.add_argument(
        "--base", choices=("none", "differential", "omnidirectional", "joints"), help="how the robot drives"
    )
    parser.add_argument(
        "--tool",
        type=assignment("="),
        action="append",
        default=[],
        metavar="NAME=LINK",
        help="a point whose speed is limited: a link or site of the description; may be given again",
    )
    parser.add_argument("--stands-on", choices=("table", "floor", "ceiling", "nothing"), help="a surface to keep off")
    parser.add_argument(
        "--height", type=float, metavar="M", help="how far that surface is from the origin of the robot's frame"
    )
    parser.add_argument(
        "--rests", type=names, metavar="CAPSULE,CAPSULE", help="capsules that the surface is not kept from"
    )
    parser.add_argument(
        "--home",
        type=_posture,
        default=[],
        metavar="JOINT=VALUE,...",
        help="posture to be at home in, rad and m (default: one that is clear of everything)",
    )
    parser.add_argument(
        "--camera",
        action="append",
        default=[],
        metavar="NAME:WxH@RATE",
        help="such as scene:640x480@30; may be given again",
    )
    parser.add_argument("--no-cameras", action="store_true", help="the robot has none")
    parser.add_argument(
        "--driver", metavar="NAME", help="an installed driver, or the path of a file (default: kinematic, a simulation)"
    )
    parser.add_argument(
        "--meshes", choices=("metres", "millimetres"), help="unit of meshes that are larger than any link"
    )
    add_description(parser)
    add_json(parser)


def _posture(text: str) -> list[tuple[str, str]]:
    read = assignment("=")
    return [read(part.strip()) for part in text.split(",") if part.strip()]


def _driver(options: argparse.Namespace) -> int:
    with loading():
        from rich.console import Console

        from edge_runtime.cli.new import new
    return new(options, Console())


def _robot(options: argparse.Namespace) -> int:
    with loading():
        from rich.console import Console

        from edge_runtime.cli.new_robot import new_robot
    return new_robot(options, Console())
