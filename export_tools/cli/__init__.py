"""The `edge-export` command. Each subcommand is a module of its own, which explains itself and calls what does it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from edge_runtime.contracts.command_line import VersionAction, exit_code
from edge_runtime.contracts.completion import add_completion
from edge_runtime.contracts.console import EXIT_CODES
from export_tools.cli import build, check, export, families, pack, sign
from export_tools.cli.making import family_for
from export_tools.families.pocket_vla.family import FAMILY as OURS
from export_tools.families.seam import Family

_PROGRAM = "edge-export"
_EXAMPLES = """\
a policy becomes a release in four steps, of which the exporter makes three:
  edge-export build                                     a policy from nothing, as a bundle in ./pocket_vla
  edge-export export --weights CHECKPOINT -o BUNDLE     or the bundle of weights that are trained already
  edge-export check BUNDLE                              the robot's own check, on any machine
  edge-export pack BUNDLE -o packed                     packs and a release manifest
  edge-export sign packed/bundles/NAME/DIGEST.json ...  the exporter's signature; then edge-hub approve, publish

Each command has a help of its own: edge-export check --help
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `edge-export`; returns the exit code."""
    given = sys.argv[1:] if argv is None else argv
    return exit_code(_PROGRAM, lambda: _run(given), ("export",))


def _run(given: Sequence[str]) -> None:
    parser = build_parser(given)
    if not given:
        parser.print_help()
        return
    arguments = parser.parse_args(given)
    arguments.run(arguments)


def build_parser(given: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The whole command line; that of `build` and `export` has the options of the family that `given` means.

    Raises:
        ConfigError: `given` means a family that is not there or can't be loaded.
    """
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Makes policy bundles and signs releases of them. Needed where policies are trained and exported, "
        "never on a robot.",
        epilog=f"{_EXAMPLES}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=VersionAction)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    is_making = bool(given) and given[0] in ("build", "export")
    family: Family = family_for(given) if is_making else OURS
    build.add(commands, family)
    export.add(commands, family)
    for subcommand in (check, families, pack, sign):
        subcommand.add(commands)
    add_completion(parser, commands)
    return parser
