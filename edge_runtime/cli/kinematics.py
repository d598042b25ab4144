"""`edge-runtime kinematics`: a robot's body from URDF, xacro or MJCF into the file that the safety layer loads."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edge_runtime.config.embodiment_file import read_embodiment
from edge_runtime.safety.kinematics import Compiled, KinematicJoint, compile_file, write_kinematics


def kinematics(options: argparse.Namespace, console: Console) -> int:
    """Write the file, and say what was decided and which limits the description holds."""
    joint_names, home, grippers, has_base = options.joints, None, dict[str, tuple[float, float]](), False
    if options.embodiment is not None:
        embodiment = read_embodiment(options.embodiment)
        joints = [axis for axis in embodiment.axes if not axis.is_gripper and not axis.is_velocity]
        joint_names, home = [axis.name for axis in joints], [axis.home for axis in joints]
        grippers = {axis.name: (axis.low, axis.high) for axis in embodiment.grippers}
        has_base = bool(embodiment.base_axes)
    compiled = compile_file(
        options.file,
        joint_names,
        home,
        dict(options.tool) or None,
        limits_in_rad=options.limits_in_rad,
        limits_in_m=options.limits_in_m,
        sizes_in_m=options.sizes_in_m,
        packages={name: Path(folder) for name, folder in options.package},
        arguments=dict(options.arg),
        grippers=grippers,
        has_base=has_base,
    )
    write_kinematics(options.output, compiled.file, file_notes(compiled, options.file.name))
    _show(compiled, console)
    console.print(f"written to {options.output}", highlight=False, markup=False)
    return 0


def file_notes(compiled: Compiled, source_name: str) -> tuple[str, ...]:
    """What stands at the top of the file."""
    moves = "turns about +z of its own frame"
    if any(joint.slides for joint in compiled.file.joints):
        moves = "turns about +z of its own frame, or slides along it,"
    opening = (
        f"Where this robot's links are, and capsules around them: made by `edge-runtime kinematics` from {source_name}."
        f" Metres, radians. Each joint {moves} which stands at `rotation` (row-major) and "
        "`offset_m` in the frame of its parent. Capsules are in the frame of `link`."
    )
    decided = [line for note in compiled.notes for line in textwrap.wrap(note, 114, subsequent_indent="  ")]
    return (*textwrap.wrap(opening, 118), "", "Decided by the compiler:", *decided)


def _show(compiled: Compiled, console: Console) -> None:
    table = Table(title="limits in the description", title_justify="left")
    for column in ("axis", "kind", "from", "to", "/s", "/s²", "/s³", "Nm or N"):
        table.add_column(column, justify="left" if column in ("axis", "kind") else "right")
    joints = {joint.name: joint for joint in compiled.file.joints}
    for joint in (joints[name] for name in compiled.axes):
        limits = joint.limits
        values = (limits.low, limits.high, limits.speed_max, limits.acceleration_max, limits.jerk_max)
        texts = ["-" if value is None else f"{value:g} {_unit(joint)}" for value in values]
        effort = "-" if limits.effort_max is None else f"{limits.effort_max:g}"
        table.add_row(joint.name, _kind(joint), *texts, effort)
    console.print(table)
    file = compiled.file
    watched = len(file.pairs) + sum(not near.proved for near in file.near)
    console.print(
        f"{len(compiled.axes)} axes, {len(file.joints)} joints, {len(file.capsules)} capsules, "
        f"{len(file.tool_points)} tools; {watched} pairs are watched, "
        f"{len(file.neighbours)} neighbours and {len(file.apart)} proved to stay apart are not",
        highlight=False,
    )
    for note in compiled.notes:
        console.print(f"- {note}", highlight=False, markup=False)


def _unit(joint: KinematicJoint) -> str:
    """Of its position."""
    return "m" if joint.slides else "rad"


def _kind(joint: KinematicJoint) -> str:
    """What an embodiment calls such an axis."""
    if joint.slides:
        return "prismatic"
    return "continuous" if joint.limits.low is None and joint.limits.high is None else "revolute"
