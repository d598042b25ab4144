"""`edge-export families`: which kinds of models can be exported here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.contracts.subcommand import add_command, add_json, say, say_json, warn
from export_tools.families.registry import Found, families, recognising

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


class UsableFamily(msgspec.Struct, frozen=True, kw_only=True):
    """A family that `build` (where it `trains`) and `export` know, by its entry point."""

    name: str
    package: str
    entry_point: str
    summary: str
    trains: bool


class BrokenFamily(msgspec.Struct, frozen=True, kw_only=True):
    """A family that an installed package names, and that can't be loaded."""

    name: str
    package: str
    entry_point: str
    problem: str


class FamiliesReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is installed, or of that what recognises the checkpoint that was named."""

    families: tuple[UsableFamily, ...]
    broken: tuple[BrokenFamily, ...]


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "families",
        _run,
        summary="list the model families that are installed",
        description="Lists the families of models that `build` and `export` know, ours and those of other installed "
        "packages, or with a checkpoint those that recognise it. One that can't be loaded is named with its reason; "
        "the others work. docs/guides/policies.md says how to bring one.",
        examples="edge-export families\nedge-export families weights.safetensors\nedge-export families --json",
    )
    parser.add_argument("checkpoint", type=Path, nargs="?", metavar="CHECKPOINT", help="only those that recognise it")
    add_json(parser)


def _run(arguments: argparse.Namespace) -> None:
    found = families()
    if arguments.checkpoint is not None:
        # What is not there is not of no family: it is named as any other file that can't be read.
        arguments.checkpoint.stat()
        takes, mute = recognising(arguments.checkpoint)
        found = [each for each in found if each.family in takes] + mute
    usable = [each for each in found if each.family is not None]
    broken = [each for each in found if each.family is None]
    if arguments.json:
        say_json(FamiliesReport(families=tuple(map(_usable, usable)), broken=tuple(map(_broken, broken))))
        return
    for each in usable:
        assert each.family is not None
        trains = "build, export" if each.family.trains else "export"
        say(f"{each.name}: {each.family.summary} ({trains}; of {each.package})")
    if not usable:
        say(
            "no family is installed" if arguments.checkpoint is None else f"no family recognises {arguments.checkpoint}"
        )
    for each in broken:
        warn(f"{each.name} ({each.place} of {each.package}) {each.problem}")


def _usable(found: Found) -> UsableFamily:
    assert found.family is not None
    return UsableFamily(
        name=found.name,
        package=found.package,
        entry_point=found.place,
        summary=found.family.summary,
        trains=found.family.trains,
    )


def _broken(found: Found) -> BrokenFamily:
    return BrokenFamily(name=found.name, package=found.package, entry_point=found.place, problem=found.problem)
