"""TOML files that people write, read strictly: every mistake is one line with the key's dotted name and the file's.

Guarantees that nothing in a file goes unread: an unknown key, a wrong unit or a wrong type is an error, never ignored.
"""

from __future__ import annotations

import difflib
import math
import sys
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edge_runtime.contracts.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_T = TypeVar("_T", bound=msgspec.Struct)


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything that a file may hold."""


def require_positive(section: msgspec.Struct, *names: str) -> None:
    """Raise ValueError for the first of these fields that is neither None nor finite and above zero."""
    for name in names:
        value = getattr(section, name)
        if value is not None and not (math.isfinite(value) and value > 0.0):
            raise ValueError(f"{name} must be finite and above zero, got {value!r}")


def read_toml(path: Path, kind: type[_T]) -> _T:
    """The file as a `kind`.

    Raises:
        ConfigError: names the key, or the file if it could not be read at all.
    """
    return from_table(read_table(path), kind, path.name)


def read_table(path: Path) -> dict[str, Any]:
    """The file as it is, of whatever kind.

    Raises:
        ConfigError: names the file, which could not be read.
    """
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), f"{error.strerror}") from error
    except RecursionError as error:
        raise ConfigError(str(path), "not read: its brackets are nested too deeply") from error
    except ValueError as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise ConfigError(str(path), f"not valid TOML: {error}") from error
    return table


def from_table(table: dict[str, Any], kind: type[_T], file_name: str) -> _T:
    """The content of a file as a `kind`.

    Raises:
        ConfigError: names the key and the file.
    """
    _require(table, kind, "", file_name)
    return _converted(table, kind, "", file_name)


def _converted(table: dict[str, Any], kind: type[_T], prefix: str, file_name: str) -> _T:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        key = f"{prefix}{where.rstrip('`')}".strip(".").replace("..", ".")
        raise ConfigError(key or file_name, f"{problem} (in {file_name})") from error


def _require(data: dict[str, Any], kind: type[msgspec.Struct], prefix: str, file_name: str) -> None:
    """Check the keys of a table and of all inside it; of one of several, the values too, to say which it is."""
    hints = typing.get_type_hints(kind)
    known = [field.name for field in msgspec.structs.fields(kind)]
    tag_field = kind.__struct_config__.tag_field
    for key, value in data.items():
        if key == tag_field:
            continue
        if key not in known:
            raise ConfigError(f"{prefix}{key}", f"unknown key in {file_name}{_suggestion(key, known)}")
        if typing.get_origin(hints[key]) is typing.Literal and value not in typing.get_args(hints[key]):
            choices = ", ".join(f"'{choice}'" for choice in typing.get_args(hints[key]))
            raise ConfigError(
                f"{prefix}{key}", f"Invalid enum value {value!r}; it is one of {choices} (in {file_name})"
            )
        for name, entry, hint in _entries(hints[key], value):
            where = f"{prefix}{key}{name}."
            struct = _kind_of(entry, hint, where, file_name)
            _require(entry, struct, where, file_name)
            if name:
                _converted(entry, struct, where, file_name)


def _entries(hint: Any, value: Any) -> typing.Iterator[tuple[str, dict[str, Any], Any]]:
    """Tables inside `value` that `hint` wants to be structs, each with what follows the key in its dotted name."""
    inside = typing.get_args(hint)
    if _is_table(hint) and isinstance(value, dict):
        yield "", value, hint
    elif isinstance(hint, types.UnionType):
        for member in inside:
            yield from _entries(member, value)
    elif len(inside) == 2 and _is_table(inside[1]) and isinstance(value, dict):
        yield from ((f".{name}", entry, inside[1]) for name, entry in value.items() if isinstance(entry, dict))
    elif inside and _is_table(inside[0]) and isinstance(value, list):
        yield from ((f"[{i}]", entry, inside[0]) for i, entry in enumerate(value) if isinstance(entry, dict))


def _kind_of(entry: dict[str, Any], hint: Any, where: str, file_name: str) -> type[msgspec.Struct]:
    """The struct that a table is to be: where it may be one of several, its tag says which."""
    if _is_struct(hint):
        struct: type[msgspec.Struct] = hint
        return struct
    kinds: dict[str, type[msgspec.Struct]] = {str(one.__struct_config__.tag): one for one in typing.get_args(hint)}
    tag_field = str(next(iter(kinds.values())).__struct_config__.tag_field)
    tag = entry.get(tag_field)
    if isinstance(tag, str) and tag in kinds:
        return kinds[tag]
    close = difflib.get_close_matches(str(tag), kinds, n=1)
    meant = f"; did you mean `{close[0]}`?" if close else ""
    problem = "missing" if tag is None else f"there is no {tag_field} {tag!r}{meant}"
    raise ConfigError(f"{where}{tag_field}", f"{problem}; known are {', '.join(kinds)} (in {file_name})")


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _is_table(hint: Any) -> bool:
    """Whether it is a struct, or one of several that a tag tells from each other."""
    members = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return all(_is_struct(member) for member in members)


_UNITS = (
    *("_rad_s3", "_rad_s2", "_rad_s", "_rad", "_deg_s3", "_deg_s2", "_deg_s", "_deg"),
    *("_mm_s3", "_mm_s2", "_mm_s", "_mm", "_m_s3", "_m_s2", "_m_s", "_m", "_nm", "_kn", "_n", "_ms", "_s", "_hz"),
)


def stem_of(key: str) -> str:
    """A key without the unit that it ends with."""
    unit = next((unit for unit in _UNITS if key.endswith(unit)), "")
    return key[: len(key) - len(unit)]


def _suggestion(key: str, known: list[str]) -> str:
    if same := [f"`{name}`" for name in known if stem_of(name) == stem_of(key)]:
        return f"; the unit is part of the key: did you mean {' or '.join(same)}?"
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; known keys: {', '.join(known)}"
