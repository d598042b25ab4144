"""The reference of what the page's server says, drawn from the structs that say it: each field, and what it means."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing
from typing import Any

import msgspec

from edge_runtime.page.shown import ANSWERS


class UndocumentedFieldError(Exception):
    """A field without a meaning, named."""


def page_reference() -> str:
    """All structs, as Markdown: those that come back at the top first, each followed by what it is made of."""
    seen: dict[type[msgspec.Struct], None] = {}
    for answer in ANSWERS:
        _gather(answer, seen)
    return "\n\n".join(part for kind in seen for part in _parts(kind))


def _gather(kind: Any, seen: dict[type[msgspec.Struct], None]) -> None:
    for argument in typing.get_args(kind):
        _gather(argument, seen)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
        seen[kind] = None
        for field in msgspec.structs.fields(kind):
            _gather(field.type, seen)


def _parts(kind: type[msgspec.Struct]) -> tuple[str, str, str]:
    meanings = _meanings(kind)
    rows = ["| field | type | meaning |", "| --- | --- | --- |"]
    for field in msgspec.structs.fields(kind):
        if field.name not in meanings:
            raise UndocumentedFieldError(f"{kind.__name__}.{field.name}")
        rows.append(f"| `{field.name}` | {_type(field.type)} | {meanings[field.name]} |")
    return f"### {kind.__name__}", " ".join(inspect.getdoc(kind).split()), "\n".join(rows)  # type: ignore[union-attr]


def _meanings(kind: type) -> dict[str, str]:
    """The string below each field."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            assert isinstance(below.value, ast.Constant)
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found


def _type(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return "one of " + ", ".join(f"`{argument}`" for argument in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"{_type(arguments[1])} by name"
    if arguments:
        return " or ".join(_type(argument) for argument in arguments)
    if hint is type(None):
        return "null"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return {"str": "text", "float": "number", "int": "whole number", "bool": "true or false"}[hint.__name__]
