"""`kinematics.toml`: a robot's body in a file that people can read and the robot loads without simulator or XML.

Guarantees that what is written is what is loaded, to the last bit; an unknown key, a wrong unit or an impossible value
is an error with its name. Surroundings are the safety file's: planes and zones are refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contracts.errors import ConfigError
from edge_runtime.safety.kinematics.model import Capsule, GeometryModel, KinematicJoint, SourceLimits, ToolPoint
from edge_runtime.toml_file import Section, read_toml


class KinematicsFile(Section, frozen=True):
    """`kinematics.toml` as written; see `GeometryModel`."""

    tool: ToolPoint
    joints: tuple[KinematicJoint, ...]
    capsules: tuple[Capsule, ...]
    pairs: tuple[tuple[str, str], ...]


def load_kinematics(path: Path) -> GeometryModel:
    """The body in the file, without surroundings.

    Raises:
        ConfigError: names the key, joint, capsule or pair at fault, and the file.
    """
    file = read_toml(path, KinematicsFile)
    try:
        return GeometryModel(joints=file.joints, capsules=file.capsules, pairs=file.pairs, tool=file.tool)
    except ConfigError as error:
        raise ConfigError(error.key, f"{error.problem} (in {path.name})") from error


def write_kinematics(path: Path, model: GeometryModel, notes: Sequence[str]) -> None:
    """Write the body, opened by `notes` as comments.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        path.write_text(to_toml(model, notes), encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), f"{error.strerror}") from error


def to_toml(model: GeometryModel, notes: Sequence[str]) -> str:
    """The text of the file."""
    lines = [f"# {note}".rstrip() for note in notes]
    lines += ["", "[tool]", f"link = {_text(model.tool.link)}", f"point_m = {_numbers(model.tool.point_m)}"]
    for joint in model.joints:
        lines += ["", "[[joints]]", f"name = {_text(joint.name)}", f"parent = {_text(joint.parent)}"]
        lines += [f"rotation = {_numbers(joint.rotation)}", f"offset_m = {_numbers(joint.offset_m)}"]
        limits = [
            f"{field} = {value!r}"
            for field in SourceLimits.__struct_fields__
            if (value := getattr(joint.limits, field)) is not None
        ]
        lines += ["[joints.limits]", *limits] if limits else []
    for capsule in model.capsules:
        lines += ["", "[[capsules]]", f"name = {_text(capsule.name)}", f"link = {_text(capsule.link)}"]
        lines += [f"a_m = {_numbers(capsule.a_m)}", f"b_m = {_numbers(capsule.b_m)}"]
        lines += [f"radius_m = {capsule.radius_m!r}", f"in_world = {'true' if capsule.in_world else 'false'}"]
    pairs = [f"  [{_text(first)}, {_text(second)}]," for first, second in model.pairs]
    # Keys outside every table stand before the first one.
    first_table = lines.index("[tool]")
    lines[first_table:first_table] = ["pairs = [", *pairs, "]", ""]
    return "\n".join(lines).lstrip("\n") + "\n"


def _text(value: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise ConfigError(repr(value), "a name must not have control characters")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _numbers(values: Sequence[float]) -> str:
    return "[" + ", ".join(repr(float(value)) for value in values) + "]"
