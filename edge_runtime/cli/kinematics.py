"""`edge-runtime kinematics`: a robot's body from URDF, xacro or MJCF into the file that the safety layer loads."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from edge_runtime.config.embodiment_file import read_embodiment
from edge_runtime.safety.kinematics import Compiled, compile_file, write_kinematics


def kinematics(options: argparse.Namespace, console: Console) -> int:
    """Write the file, and say what was decided and which limits the description holds."""
    joint_names, home_rad = options.joints, None
    if options.embodiment is not None:
        embodiment = read_embodiment(options.embodiment)
        joint_names, home_rad = embodiment.joint_names, embodiment.home_rad
    compiled = compile_file(
        options.file,
        joint_names,
        home_rad,
        options.tool,
        limits_in_rad=options.limits_in_rad,
        sizes_in_m=options.sizes_in_m,
        packages={name: Path(folder) for name, folder in options.package},
        arguments=dict(options.arg),
    )
    write_kinematics(options.output, compiled.file, file_notes(compiled, options.file.name))
    _show(compiled, console)
    console.print(f"written to {options.output}", highlight=False, markup=False)
    return 0


def file_notes(compiled: Compiled, source_name: str) -> tuple[str, ...]:
    """What stands at the top of the file."""
    opening = (
        f"Where this robot's links are, and capsules around them: made by `edge-runtime kinematics` from {source_name}."
        " Metres, radians. Each joint turns about +z of its own frame, which stands at `rotation` (row-major) and "
        "`offset_m` in the frame of its parent. Capsules are in the frame of `link`."
    )
    decided = [line for note in compiled.notes for line in textwrap.wrap(note, 114, subsequent_indent="  ")]
    return (*textwrap.wrap(opening, 118), "", "Decided by the compiler:", *decided)


def _show(compiled: Compiled, console: Console) -> None:
    table = Table(title="limits in the description", title_justify="left")
    for column in ("joint", "from rad", "to rad", "rad/s", "rad/s²", "rad/s³", "Nm"):
        table.add_column(column, justify="left" if column == "joint" else "right")
    for joint in compiled.file.joints:
        values = msgspec.structs.astuple(joint.limits)
        table.add_row(joint.name, *("-" if value is None else f"{value:g}" for value in values))
    console.print(table)
    file = compiled.file
    watched = len(file.pairs) + sum(not near.proved for near in file.near)
    console.print(
        f"{len(file.joints)} joints, {len(file.capsules)} capsules; {watched} pairs are watched, "
        f"{len(file.neighbours)} neighbours and {len(file.apart)} proved to stay apart are not",
        highlight=False,
    )
    for note in compiled.notes:
        console.print(f"- {note}", highlight=False, markup=False)
