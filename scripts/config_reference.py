"""The reference of all settings, drawn from the types that read them: each key, what it means, and an example.

The meaning is the string below the field. Its example is what the string ends with, or the value that the simulated
arm's own file has, or one of the robots of other shapes; every example is one that the type accepts.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from edge_runtime.config.robot_file import SIM_CONFIG, RobotFile
from edge_runtime.config.safety_file import SafetyFile
from edge_runtime.config.toml_file import read_table
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.safety.kinematics import KinematicsFile
from edge_runtime.testing.other_robots import OTHER_ROBOTS
from hub.api.server import ServeSettings

_FILES: dict[str, tuple[type, str]] = {
    "robot.toml": (RobotFile, "Names the robot, its other files and its policy, and says how they run."),
    "embodiment.toml": (
        Embodiment,
        "What the robot is: its axes in the order of every vector, with the maker's ratings, and its cameras. A file "
        "of version 1, with `joints` that turn, one parallel `gripper` and `home_rad` outside of groups, is read too.",
    ),
    "safety.toml": (SafetyFile, "This robot's own limits, tighter than the ratings or equal."),
    "kinematics.toml": (
        KinematicsFile,
        "The robot's body. `edge-runtime kinematics` writes it from a URDF or MJCF description; see "
        "[the guide](../guides/kinematics.md).",
    ),
}
_UNITS = {
    "rad_s3": "rad/s³",
    "rad_s2": "rad/s²",
    "rad_s": "rad/s",
    "rad": "rad",
    "bytes_s": "bytes/s",
    "m_s3": "m/s³",
    "m_s2": "m/s²",
    "m_s": "m/s",
    "nm": "Nm",
    "hz": "Hz",
    "px": "pixels",
    "s": "s",
    "m": "m",
    "n": "N",
}
_AXES: dict[type, Any] = {
    type(axis): msgspec.to_builtins(axis) for robot in OTHER_ROBOTS.values() for axis in robot.axes
}
"""One axis of each kind, as a file has it."""
_EXAMPLE = re.compile(r"\s*Example: `(.*)`\.$")
_HEAD = "| key | type | unit | default | meaning | example |\n| --- | --- | --- | --- | --- | --- |"
_ONE_LINE = 60


class UndocumentedKeyError(Exception):
    """A key without a meaning or an example, named."""


def config_reference() -> str:
    """All settings, as Markdown."""
    parts = []
    for name, (kind, words) in _FILES.items():
        parts += [f"## {name}", words]
        parts += [part for table in _tables(kind, "", read_table(SIM_CONFIG.parent / name)) for part in table]
    parts += ["## The hub", _first_line(ServeSettings), "\n".join([_HEAD, *_hub_rows()])]
    return "\n\n".join(parts)


def _tables(kind: type, where: str, shown: Any) -> Iterator[tuple[str, str, str]]:
    """Heading, words and rows of `kind`, and of every table inside it. `shown`: a table of that kind as it was read."""
    hints = typing.get_type_hints(kind)
    rows, inner = [], []
    for field in sorted(msgspec.structs.fields(kind), key=lambda field: field.name != "name"):
        structs, form = _structs_in(hints[field.name])
        value = shown.get(field.name) if isinstance(shown, dict) else None
        if not structs:
            rows.append(_row(kind, field, value))
            continue
        path = f"{where.strip('[]')}.{field.name}".lstrip(".")
        if form == "map":
            path, value = f"{path}.NAME", next(iter(value.values()), None) if value else None
        elif form == "array":
            value = value[0] if value else None
        inner += [(struct, path, form, field.required, value if len(structs) == 1 else None) for struct in structs]
    if rows:
        heading = f"### `{_bracketed(where)}`" if where else "### Keys of the file itself"
        words = _first_line(kind) if where else "Before the first table."
        yield heading, words, "\n".join([_HEAD, *rows])
    for struct, path, form, required, value in inner:
        # A table inside of one that is in a list has single brackets.
        whole = f"[{path}]" if form == "array" else path
        tag = struct.__struct_config__.tag
        for heading, words, table in _tables(struct, whole, _AXES.get(struct, value)):
            suffix = " (required)" if required and heading == f"### `{_bracketed(whole)}`" else ""
            yield heading + (f' with `kind = "{tag}"`' if tag else suffix), words, table


def _bracketed(where: str) -> str:
    return f"[{where}]"


def _structs_in(hint: Any) -> tuple[list[type[msgspec.Struct]], str]:
    """The kinds of table that a key of this type holds, and whether there is one, a list of them, or some by name."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return [hint], "table"
    inside = typing.get_args(hint)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        found = [_structs_in(member) for member in inside]
        return [struct for structs, _ in found for struct in structs], next((form for _, form in found if form), "")
    if len(inside) == 2 and (structs := _structs_in(inside[1])[0]):
        return structs, "map"
    if inside and (structs := _structs_in(inside[0])[0]):
        return structs, "array"
    return [], ""


def _row(kind: type, field: Any, shown: Any) -> str:
    meaning, example = _documented(kind, field.name)
    hint = typing.get_type_hints(kind)[field.name]
    if not example and shown is not None:
        example = _toml(shown)
    usual = None if field.required else field.default
    if usual is msgspec.NODEFAULT:
        usual = field.default_factory()
    if not example and usual is not None:
        example = _toml(msgspec.to_builtins(usual))
    if not example:
        raise UndocumentedKeyError(f"{kind.__name__}.{field.name}: no example")
    msgspec.convert(tomllib.loads(f"value = {example}")["value"], hint)
    if field.required:
        default = "**required**"
    elif usual is None:
        default = "left out"
    else:
        default = f"`{_toml(msgspec.to_builtins(usual))}`"
    return _line(field.name, hint, default, meaning, _shortened(example))


def _hub_rows() -> Iterator[str]:
    for field in dataclasses.fields(ServeSettings):
        if field.name == "refresh_every_s":
            # For tests: no option of the command sets it.
            continue
        meaning, example = _documented(ServeSettings, field.name)
        if not example:
            raise UndocumentedKeyError(f"ServeSettings.{field.name}: no example")
        default = "left out" if field.default is None else f"`{_toml(field.default)}`"
        hint = typing.get_type_hints(ServeSettings)[field.name]
        yield _line(f"--{field.name.replace('_', '-')}", hint, default, meaning, example.strip('"'))


def _line(key: str, hint: Any, default: str, meaning: str, example: str) -> str:
    meaning = meaning.replace("|", "\\|")
    unit = "" if hint is bool else _unit(key)
    return f"| `{key}` | {_type(hint)} | {unit} | {default} | {meaning} | `{example}` |"


def _documented(kind: type, name: str) -> tuple[str, str]:
    """What the string below a field says, and the example that it ends with, if any."""
    for owner in kind.__mro__:
        if name in vars(owner).get("__annotations__", {}):
            body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
            assert isinstance(body, ast.ClassDef)
            for node, following in zip(body.body, body.body[1:], strict=False):
                if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
                    continue
                if node.target.id == name and (words := _string(following)):
                    found = _EXAMPLE.search(words)
                    return _EXAMPLE.sub("", words), found[1] if found else ""
    raise UndocumentedKeyError(f"{kind.__name__}.{name}: no string below the field says what it means")


def _string(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""


def _first_line(kind: type) -> str:
    """The docstring's first paragraph, without the table's name, which is the heading."""
    words = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
    words = re.sub(r"^`\[+[\w.]+\]+`[:,] ", "", words)
    return words[:1].upper() + words[1:]


def _type(hint: Any) -> str:
    inside = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(f'`"{value}"`' for value in inside)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return " or ".join(_type(one) for one in inside if one is not type(None))
    if typing.get_origin(hint) is dict:
        return f"table of {_plural(inside[1])} by name"
    if typing.get_origin(hint) is tuple:
        if inside[-1] is Ellipsis:
            return f"list of {_plural(inside[0])}"
        return f"{len(inside)} {_plural(inside[0])}"
    return {str: "text", Path: "path", bool: "true or false", int: "whole number", float: "number"}[hint]


def _plural(hint: Any) -> str:
    if typing.get_origin(hint) is tuple:
        return f"lists of {_type(hint)}"
    return {str: "texts", float: "numbers", int: "whole numbers", Any: "anything"}[hint]


def _unit(key: str) -> str:
    """What the key's name ends with, as a unit; empty for none."""
    return next((unit for suffix, unit in _UNITS.items() if key.endswith(f"_{suffix}")), "")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(one)}' for key, one in value.items())} }}" if value else "{}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


def _shortened(example: str) -> str:
    """A list that is too long for a table ends in dots."""
    if len(example) <= _ONE_LINE or not example.startswith("["):
        return example
    between = "], " if example.startswith("[[") else ", "
    return f"{example[:_ONE_LINE].rpartition(between)[0]}{between}...]"
