"""`kinematics.toml`: a robot's body in a file that people can read and the robot loads without simulator or XML.

Guarantees that what is written is what is loaded, to the last bit; an unknown key, a wrong unit or an impossible value
is an error with its name. Surroundings are the safety file's: planes and zones are refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge_runtime.config.toml_file import Section, read_toml
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.contracts.text import printable
from edge_runtime.safety.kinematics.limits import SourceLimits
from edge_runtime.safety.kinematics.model import BASE, Capsule, HeldJoint, KinematicJoint, ToolPoint

Pair = tuple[str, str]

_NAMED_BASE = "base"
_LONE_TOOL = ToolPoint(point_m=(0.0, 0.0, 0.0)).name

TOUCH_M = 0.01
"""Capsules nearer than this touch: what `clearance_min_m` of the safety file is, if nothing is said."""


class NearPair(Section, frozen=True):
    """Two capsules that have an allowed distance of their own."""

    pair: Pair
    """Two capsules that are nearer to each other at home than links are kept."""
    at_least_m: float
    """They are kept apart by this; it may be below zero."""
    proved: bool = False
    """Whether no posture brings them nearer than that. Else they are watched."""


class KinematicsFile(Section, frozen=True):
    """`kinematics.toml` as written; see `GeometryModel`. Every pair of capsules on different links is in one list."""

    joints: tuple[KinematicJoint, ...]
    capsules: tuple[Capsule, ...]
    pairs: tuple[Pair, ...]
    """Pairs of capsules that are kept apart by `clearance_min_m` of safety.toml."""
    near: tuple[NearPair, ...] = ()
    neighbours: tuple[Pair, ...] = ()
    """Pairs that are not watched: on links that one joint joins, overlapping at home."""
    apart: tuple[Pair, ...] = ()
    """Pairs that are not watched: proved never to be within `apart_m`."""
    apart_m: float = 0.0
    """The distance that those proofs are for."""
    inseparable: tuple[Pair, ...] = ()
    """Pairs that overlap so deep at home that no distance is left to watch; a person has to let them touch."""
    held: tuple[HeldJoint, ...] = ()
    uncovered: tuple[str, ...] | None = None
    """Links or bodies of the description of which something is drawn that no capsule holds. Left out: the file does not
    say."""
    tool: ToolPoint | None = None
    """The only tool of a robot that has one."""
    tools: tuple[ToolPoint, ...] = ()
    """The tools of a robot that has several."""

    @property
    def tool_points(self) -> tuple[ToolPoint, ...]:
        """All tools, in order."""
        return self.tools if self.tool is None else (self.tool, *self.tools)

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The axes that move the joints, in the order of the joints."""
        return tuple(dict.fromkeys(joint.axis_name for joint in self.joints))


def tool_fields(tools: Sequence[ToolPoint]) -> dict[str, Any]:
    """The fields of a file with these tools: one without a name of its own is the only one."""
    is_lone = len(tools) == 1 and tools[0].name == _LONE_TOOL
    return {"tool": tools[0]} if is_lone else {"tools": tuple(tools)}


def read_kinematics(path: Path) -> KinematicsFile:
    """The file, each field by itself; `watched_body` is who says whether they make a body.

    Raises:
        ConfigError: names the key at fault, and the file.
    """
    return _on_the_base(read_toml(path, KinematicsFile))


def _on_the_base(file: KinematicsFile) -> KinematicsFile:
    """The file with what stands on the base left without a name; files of version 0.1 call it "base"."""
    if _NAMED_BASE in {joint.name for joint in file.joints}:
        return file

    def of(name: str | None) -> str | None:
        return BASE if name == _NAMED_BASE else name

    replace = msgspec.structs.replace
    return replace(
        file,
        tool=None if file.tool is None else replace(file.tool, link=of(file.tool.link)),
        joints=tuple(replace(joint, parent=of(joint.parent)) for joint in file.joints),
        capsules=tuple(replace(capsule, link=of(capsule.link)) for capsule in file.capsules),
    )


def write_kinematics(path: Path, file: KinematicsFile, notes: Sequence[str]) -> None:
    """Write the body, opened by `notes` as comments.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        path.write_text(to_toml(file, notes), encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), f"{error.strerror}") from error


def to_toml(file: KinematicsFile, notes: Sequence[str]) -> str:
    """The text of the file."""
    # They have words of the description in them, which may be anything.
    lines = [f"# {printable(note, None)}".rstrip() for note in notes]
    top = len(lines)
    if file.tool is not None:
        lines += ["", "[tool]", *_tool(file.tool)]
    for tool in file.tools:
        lines += ["", "[[tools]]", f"name = {_text(tool.name)}", *_tool(tool)]
    for joint in file.joints:
        lines += ["", "[[joints]]", f"name = {_text(joint.name)}", *_link(joint.parent, "parent"), *_drive(joint)]
        lines += [f"rotation = {_numbers(joint.rotation)}", f"offset_m = {_numbers(joint.offset_m)}"]
        limits = [
            f"{field} = {value!r}"
            for field in SourceLimits.__struct_fields__
            if (value := getattr(joint.limits, field)) is not None
        ]
        lines += ["[joints.limits]", *limits] if limits else []
    for capsule in file.capsules:
        lines += ["", "[[capsules]]", f"name = {_text(capsule.name)}", *_link(capsule.link)]
        lines += [] if capsule.source_link is None else [f"source_link = {_text(capsule.source_link)}"]
        lines += [f"a_m = {_numbers(capsule.a_m)}", f"b_m = {_numbers(capsule.b_m)}"]
        lines += [f"radius_m = {capsule.radius_m!r}", f"in_world = {'true' if capsule.in_world else 'false'}"]
    for near in file.near:
        first, second = near.pair
        lines += ["", "[[near]]", f"pair = [{_text(first)}, {_text(second)}]", f"at_least_m = {near.at_least_m!r}"]
        lines += ["proved = true"] if near.proved else []
    for held in file.held:
        lines += ["", "[[held]]", f"name = {_text(held.name)}", f"covered = {'true' if held.covered else 'false'}"]
        if held.covered:
            lines += [f"low = {held.low!r}", f"high = {held.high!r}", f"unit = {_text(held.unit)}"]
    # Keys outside every table stand before the first one.
    lists = [line for field in _LISTS for line in _pairs(field, getattr(file, field))]
    # A base alone has none, which is said: a file without the key is none of a robot's body.
    lists += [] if file.joints else ["joints = []"]
    if file.uncovered is not None:
        lists.append(f"uncovered = [{', '.join(map(_text, file.uncovered))}]")
    lines[top:top] = ["", f"apart_m = {file.apart_m!r}", *lists]
    return "\n".join(lines).lstrip("\n") + "\n"


_LISTS = ("pairs", "neighbours", "apart", "inseparable")


def _pairs(field: str, pairs: Sequence[Pair]) -> list[str]:
    lines = [f"  [{_text(first)}, {_text(second)}]," for first, second in pairs]
    return [f"{field} = [", *lines, "]"] if lines else [f"{field} = []"]


def _text(value: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise ConfigError(repr(value), "a name must not have control characters")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _link(name: str | None, key: str = "link") -> list[str]:
    return [] if name is BASE else [f"{key} = {_text(name)}"]


def _tool(tool: ToolPoint) -> list[str]:
    return [*_link(tool.link), f"point_m = {_numbers(tool.point_m)}"]


def _drive(joint: KinematicJoint) -> list[str]:
    """What moves a joint, where that is not an axis of its own that turns it."""
    lines = [] if joint.kind == "revolute" else [f"kind = {_text(joint.kind)}"]
    lines += _link(joint.axis, "axis")
    lines += [] if joint.ratio == 1.0 else [f"ratio = {joint.ratio!r}"]
    lines += [] if joint.at_zero == 0.0 else [f"at_zero = {joint.at_zero!r}"]
    return [*lines, *([] if joint.extent_m is None else [f"extent_m = {joint.extent_m!r}"])]


def _numbers(values: Sequence[float]) -> str:
    return "[" + ", ".join(repr(float(value)) for value in values) + "]"
