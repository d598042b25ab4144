"""The reference of the three commands, drawn from the parsers that read them and the types that `--json` gives."""

from __future__ import annotations

import argparse
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

import msgspec

import edge_runtime.cli
import export_tools.cli
import hub.cli
from edge_runtime.cli.check import CheckReport
from edge_runtime.cli.claims import ClaimsReport
from edge_runtime.cli.new_robot import MadeReport
from edge_runtime.cli.ota import Answer
from edge_runtime.cli.ota_look import HistoryReport, UpdatesReport
from edge_runtime.cli.replay import ReplayReport
from edge_runtime.cli.status_report import RobotReport
from edge_runtime.client.jog import JogMove
from edge_runtime.contracts.completion import walk
from edge_runtime.contracts.console import EXIT_CODES
from edge_runtime.contracts.golden import GoldenReport
from export_tools.cli.families import FamiliesReport
from hub.services.fleet_status import FleetStatus
from hub.services.inventory import Inventory
from hub.services.signing import SignedAnew

_ROOT = Path(__file__).parents[1]
_COMMANDS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "edge-runtime": edge_runtime.cli.build_parser,
    "edge-hub": hub.cli.build_parser,
    "edge-export": export_tools.cli.build_parser,
}
REPORTS: dict[str, type] = {
    "edge-runtime monitor": RobotReport,
    "edge-runtime operator status": RobotReport,
    "edge-runtime jog": JogMove,
    "edge-runtime ota status": UpdatesReport,
    "edge-runtime ota check": Answer,
    "edge-runtime ota history": HistoryReport,
    "edge-runtime check": CheckReport,
    "edge-runtime new robot": MadeReport,
    "edge-runtime claims": ClaimsReport,
    "edge-runtime replay": ReplayReport,
    "edge-export check": GoldenReport,
    "edge-export families": FamiliesReport,
    "edge-hub show": Inventory,
    "edge-hub status": FleetStatus,
    "edge-hub refresh": SignedAnew,
}
"""What `--json` of each command prints."""

_ALL_SHOWN = 16
_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "text"}


def command_reference() -> str:
    """All commands and their objects, as Markdown."""
    parts = [f"```text\n{EXIT_CODES.rstrip()}\n```"]
    for build in _COMMANDS.values():
        whole = build()
        for parser, _ in walk(whole):
            parts.extend(_section(parser, "##" if parser is whole else "###"))
    parts += ["## Objects of --json", *(_object(kind) for kind in _objects())]
    return "\n\n".join(parts).replace(f"{_ROOT}/", "")


def _section(parser: argparse.ArgumentParser, heading: str) -> Iterator[str]:
    yield f"{heading} {parser.prog}"
    arguments = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    inner = [action for action in arguments if isinstance(action, argparse._SubParsersAction)]
    yield f"```text\n{' '.join([parser.prog, *map(_in_usage, arguments)])}\n```"
    yield _escaped(" ".join((parser.description or "").split()))
    for action in inner:
        rows = [f"| [`{choice.dest}`](#{_anchor(f'{parser.prog} {choice.dest}')}) | {_escaped(choice.help or '')} |"
                for choice in action._choices_actions]  # fmt: skip
        yield "\n".join([f"| {action.metavar} | |", "| --- | --- |", *rows])
    rows = [f"| `{_named(action)}` | {_escaped(_help(action))} |" for action in arguments if action not in inner]
    if rows:
        yield "\n".join(["| argument | meaning |", "| --- | --- |", *rows])
    examples = (parser.epilog or "").replace(EXIT_CODES, "").removeprefix("examples:\n").strip("\n")
    if examples:
        yield f"```text\n{textwrap.dedent(examples)}\n```"
    if parser.prog in REPORTS:
        kind = REPORTS[parser.prog]
        yield f"`--json` gives: [{kind.__name__}](#{kind.__name__.lower()})."


def _in_usage(action: argparse.Action) -> str:
    word = _value(action)
    if action.option_strings:
        inside = " ".join(filter(None, (action.option_strings[-1], word)))
        return inside if action.required else f"[{inside}]"
    if isinstance(action, argparse._SubParsersAction):
        return f"{word} ..."
    return {"?": f"[{word}]", "*": f"[{word} ...]", "+": f"{word} [{word} ...]"}.get(str(action.nargs), word)


def _named(action: argparse.Action) -> str:
    word = _value(action)
    return " ".join(filter(None, (", ".join(action.option_strings), word)))


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None and action.metavar is None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or (action.dest.upper() if action.option_strings else action.dest))


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")


def _escaped(words: str) -> str:
    # Between backquotes Markdown shows what there is; a table is cut by its bars there too.
    parts = words.replace("|", r"\|").split("`")
    return "`".join(re.sub(r"([<>])", r"\\\1", part) if index % 2 == 0 else part for index, part in enumerate(parts))


def _anchor(heading: str) -> str:
    return heading.replace(" ", "-")


def _objects() -> list[type]:
    """The types of `REPORTS` and those inside them, each once."""
    found: list[type] = []

    def add(kind: type) -> None:
        if kind not in found:
            found.append(kind)
            for hint in _fields(kind).values():
                for inner in _types_in(hint):
                    if _is_object(inner):
                        add(inner)

    for kind in REPORTS.values():
        add(kind)
    return found


def _object(kind: type) -> str:
    rows = [f"| `{name}` | {_words(hint)} |" for name, hint in _fields(kind).items()]
    doc = re.sub(r"\bNone\b", "null", inspect.cleandoc(kind.__doc__ or ""))
    what, _, attributes = doc.partition("\nAttributes:\n")
    said = [" ".join(part.split()) for part in what.split("\n\n")]
    said += [f"- {line}" for line in _attributes(attributes)]
    return "\n\n".join(
        [
            f"### {kind.__name__}",
            "\n".join(map(_escaped, said)),
            "\n".join(["| field | value |", "| --- | --- |", *rows]),
        ]
    )


def _attributes(text: str) -> list[str]:
    lines: list[str] = []
    for line in inspect.cleandoc(text).splitlines():
        if line.startswith(" ") and lines:
            lines[-1] += f" {line.strip()}"
        elif line.strip():
            names, colon, words = line.strip().partition(": ")
            lines.append(f"`{names}`: {words}" if colon and "`" not in names else line.strip())
    return lines


def _fields(kind: type) -> dict[str, typing.Any]:
    hints = typing.get_type_hints(kind)
    if issubclass(kind, msgspec.Struct):
        return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(kind)}
    return {name: hints[name] for name in kind.__dataclass_fields__}  # type: ignore[attr-defined]


def _is_object(hint: typing.Any) -> bool:
    return isinstance(hint, type) and (issubclass(hint, msgspec.Struct) or hasattr(hint, "__dataclass_fields__"))


def _types_in(hint: typing.Any) -> Iterator[typing.Any]:
    yield hint
    for inner in typing.get_args(hint):
        yield from _types_in(inner)


def _words(hint: typing.Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _words(inner[0])
    if origin is typing.Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin in (typing.Union, types.UnionType):
        return ", or ".join("null" if one is type(None) else _words(one) for one in inner)
    if origin is tuple or origin is list:
        return f"list of: {_words(inner[0])}"
    if origin is dict:
        return f"object: {_words(inner[1])} by {_words(inner[0])}"
    if _is_object(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    if isinstance(hint, type) and issubclass(hint, Enum):
        names = [f"`{one.value}`" for one in hint]
        return f"one of {', '.join(names)}" if len(names) <= _ALL_SHOWN else f"a name, such as {names[0]}"
    return _PLAIN.get(hint, getattr(hint, "__name__", str(hint)))
