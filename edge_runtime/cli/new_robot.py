"""`edge-runtime new robot FILE`: a robot's own files, from the description that came with it."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TextIO

import msgspec
from rich.console import Console

from edge_runtime.commissioning.answers import Answers, Asker, Proposals, Unanswered, number, read_answers
from edge_runtime.commissioning.commission import Made, Order, commission
from edge_runtime.commissioning.questions import camera_of
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.contracts.subcommand import say_json
from edge_runtime.contracts.text import printable
from edge_runtime.drivers.registry import driver_names


class MadeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` gives.

    Attributes:
        folder: with the files.
        files: their names.
        axes: names, in the order of every vector of the robot.
        groups: names of the axes of each.
        assumed: values that no maker stated, as "axis.key".
        notes: what was decided.
        resting: capsules that surfaces and zones are not kept from.
        watched_pairs: pairs of capsules that are kept apart.
        next: commands that follow.
    """

    folder: str
    files: tuple[str, ...]
    axes: tuple[str, ...]
    groups: dict[str, tuple[str, ...]]
    assumed: tuple[str, ...]
    notes: tuple[str, ...]
    resting: tuple[str, ...]
    watched_pairs: int
    next: tuple[str, ...]


class _Terminal:
    """A person at this terminal."""

    def __init__(self, console: Console, answers: TextIO) -> None:
        self._console, self._answers = console, answers

    def ask(self, key: str, question: str, proposal: str) -> str:
        """One question, one line; an empty one takes the proposal."""
        shown = f" [{proposal}]" if proposal else ""
        self._console.print(f"\n{key}: {question}", highlight=False, markup=False, soft_wrap=True)
        self._console.print(
            f"  {printable(shown.strip(), None)} > ", end="", highlight=False, markup=False, soft_wrap=True
        )
        line = self._answers.readline()
        if not line:
            raise ConfigError(key, "the input ended before it was answered: nothing was written")
        return line

    def tell(self, words: str) -> bool:
        """Say what was wrong, and ask again."""
        self._console.print(f"  {words}", highlight=False, markup=False, soft_wrap=True)
        return True


def new_robot(options: argparse.Namespace, console: Console) -> int:
    """Write the folder, and say what was decided and what comes next."""
    errors = Console(stderr=True)
    made = commission(
        Order(
            source=options.file,
            output=options.output,
            description=options.description,
            packages={name: Path(folder) for name, folder in options.package},
            arguments=dict(options.arg),
            force=options.force,
            drivers=tuple(driver_names()),
        ),
        _answers(options),
        _asker(options, errors),
        lambda doing: errors.print(f"{doing} ...", highlight=False, markup=False, style="dim"),
    )
    if options.json:
        say_json(_report(made))
    else:
        _show(made, console)
    return 0


def _asker(options: argparse.Namespace, console: Console) -> Asker:
    if options.yes:
        return Proposals()
    if sys.stdin is not None and sys.stdin.isatty() and not options.json:
        return _Terminal(console, sys.stdin)
    return Unanswered()


def _answers(options: argparse.Namespace) -> Answers:
    """Those of the file, and over them those of the flags."""
    answers = Answers() if options.answers is None else read_answers(options.answers)
    given = {
        "name": options.name,
        "joints": options.joints,
        "grippers": {} if options.no_grippers else None,
        "base": options.base,
        "tools": dict(options.tool) or None,
        "stands_on": options.stands_on,
        "height_m": options.height,
        "home": _values("--home", options.home),
        "cameras": () if options.no_cameras else _cameras(options.camera),
        "driver": options.driver,
        "meshes": options.meshes,
        "rests_on_surface": options.rests,
    }
    return msgspec.structs.replace(answers, **{key: value for key, value in given.items() if value is not None})


def _values(flag: str, pairs: list[tuple[str, str]]) -> dict[str, float] | None:
    try:
        return {name: number(value) for name, value in pairs} or None
    except ValueError as error:
        raise ConfigError(flag, str(error)) from error


def _cameras(texts: list[str]) -> tuple[object, ...] | None:
    try:
        return tuple(camera_of(text) for text in texts) or None
    except ValueError as error:
        raise ConfigError("--camera", str(error)) from error


def _next(made: Made) -> tuple[str, ...]:
    config = shlex.quote(str(made.folder / "robot.toml"))
    return (
        f"edge-runtime check --config {config}",
        f"edge-runtime run --hold --config {config}",
        "edge-runtime jog",
    )


def _report(made: Made) -> MadeReport:
    return MadeReport(
        folder=str(made.folder),
        files=made.files,
        axes=made.embodiment.axis_names,
        groups={group.name: tuple(axis.name for axis in group.axes) for group in made.embodiment.groups},
        assumed=made.assumed,
        notes=made.notes,
        resting=made.resting,
        watched_pairs=made.watched,
        next=_next(made),
    )


def _show(made: Made, console: Console) -> None:
    def line(words: str) -> None:
        console.print(printable(words, None), highlight=False, markup=False, soft_wrap=True)

    embodiment = made.embodiment
    line(f"wrote {made.folder}: {', '.join(made.files)}")
    for group in embodiment.groups:
        axes = ", ".join(f"{axis.name} ({axis.unit})" for axis in group.axes)
        line(f"  {group.name}, a {group.kind}: {axes}" if group.kind != "arm" else f"  {group.name}, an arm: {axes}")
    if made.watched:
        line(f"  {made.watched} pairs of links are kept apart; robot.html shows them")
    else:
        line("  no shapes are known: nothing keeps it off itself or a table. A description gives them")
    for note in made.notes:
        line(f"- {note}")
    if made.assumed:
        line(
            f"{len(made.assumed)} limits are assumed, since no maker states them: they are marked in embodiment.toml. "
            "Enter the maker's where you know them."
        )
    line("Next:")
    for command in _next(made):
        line(f"  {command}")
