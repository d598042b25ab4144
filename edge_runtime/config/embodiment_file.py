"""`embodiment.toml`: what a robot is, read from the newest form or from that of version 1, and written.

Guarantees that a file of version 1 is the same robot as before, with the same joint digest, and that a mistake is one
line with the key, the file and, where the form of the file is the trouble, the form that it needs.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from edge_runtime.config.toml_file import from_table, read_table
from edge_runtime.contracts.embodiment import Embodiment, EmbodimentOfVersion1, is_of_version_1
from edge_runtime.contracts.errors import ConfigError

_NEWEST = (
    'a robot has groups of axes: [[groups]] with name = "arm" and kind = "arm", and in it for each axis a '
    '[[groups.axes]] with kind = "revolute", name and limits'
)
_VERSION_1 = (
    "A file with `joints` outside of groups is of version 1, which knows joints that turn and one parallel gripper, no "
    f"more and no less; in the newest form {_NEWEST}"
)
ASSUMED = "# assumed"
"""At the end of a line of an embodiment file: no maker states this value."""
_FORM = ("unknown key", "missing required field")
"""What a problem says that another form of the file may be the cure of."""


def read_embodiment(path: Path) -> Embodiment:
    """The robot type that the file declares, of whichever version it is.

    Raises:
        ConfigError: names the key, or the file if it could not be read at all, and says what form a file has.
    """
    table = read_table(path)
    if not is_of_version_1(table):
        if "groups" not in table:
            raise ConfigError("groups", f"missing: {_NEWEST} (in {path.name})")
        return from_table(table, Embodiment, path.name)
    if "groups" in table:
        problem = f"`joints` and `groups` exclude each other: {_NEWEST} (in {path.name})"
        raise ConfigError("joints", problem)
    try:
        return from_table(table, EmbodimentOfVersion1, path.name).newest()
    except ConfigError as error:
        if not any(words in error.problem for words in _FORM):
            raise
        raise ConfigError(error.key, f"{error.problem}. {_VERSION_1}") from error


def assumed_in(text: str) -> tuple[str, ...]:
    """What an embodiment file marks as assumed in the lines where it stands, as "axis.key", in their order."""
    found, name = [], ""
    for line in text.splitlines():
        key, has_value, rest = (part.strip() for part in line.partition("="))
        if has_value and key == "name":
            name = rest.partition("  #")[0].strip().strip("\"'")
        if has_value and rest.endswith(ASSUMED):
            found.append(f"{name}.{key}")
    return tuple(found)


def embodiment_toml(embodiment: Embodiment, notes: str = "") -> str:
    """The text of a file that declares this robot type; what has its default is left out.

    Args:
        embodiment: the robot type.
        notes: lines of comment above it, without the `#`.
    """
    lines = [f"# {line}".rstrip() for line in notes.splitlines()]
    lines.append(f"name = {_toml(embodiment.name)}")
    for camera in embodiment.cameras:
        lines += ["", "[[cameras]]", *_keys(camera)]
    for group in embodiment.groups:
        lines += ["", "[[groups]]", f"name = {_toml(group.name)}", f"kind = {_toml(group.kind)}"]
        for axis in group.axes:
            kind = type(axis).__struct_config__.tag
            lines += ["", "[[groups.axes]]", f"name = {_toml(axis.name)}", f"kind = {_toml(kind)}"]
            lines += [line for line in _keys(axis) if not line.startswith("name = ")]
    return "\n".join(lines) + "\n"


def _keys(struct: msgspec.Struct) -> list[str]:
    fields = msgspec.structs.fields(struct)
    values = ((field.name, getattr(struct, field.name), field.default) for field in fields)
    return [f"{name} = {_toml(value)}" for name, value, default in values if value != default]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON leaves DEL as it is, which TOML forbids.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
