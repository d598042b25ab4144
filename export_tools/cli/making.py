"""What `edge-export build` and `edge-export export` share: which family, from where to where, and how far it is."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.contracts.installation import checkout
from edge_runtime.contracts.text import printable_lines
from export_tools.cli.shipped import BUNDLE as SHIPPED
from export_tools.families.pocket_vla.family import FAMILY as OURS
from export_tools.families.registry import family_of, named, recognising
from export_tools.families.seam import Family, Order, Say


def family_for(given: Sequence[str]) -> Family:
    """The family of a command line that makes a bundle: named, or the one that recognises the weights.

    Raises:
        ConfigError: there is no such family, it can't be loaded, or the weights are of none or of several.
    """
    _, *rest = given
    if rest and not rest[0].startswith("-"):
        return family_of(rest[0])
    weights = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    weights.add_argument("--weights", type=Path)
    path = weights.parse_known_args(rest)[0].weights
    if given[0] != "export" or path is None or not path.exists():
        return family_of(OURS.name)
    takes, mute = recognising(path)
    if len(takes) == 1:
        return takes[0]
    if not takes:
        problem = f"no family recognises {path}; edge-export families lists them"
    else:
        problem = f"{path} may be of {', '.join(family.name for family in takes)}: edge-export export FAMILY ..."
    unasked = "".join(f"; {found.name} {found.problem}" for found in mute)
    raise ConfigError("--weights", problem + unasked)


def add_arguments(parser: argparse.ArgumentParser, family: Family, *, training: bool) -> None:
    """Which family, where weights and bundle lie, and what else the family asks for."""
    parser.set_defaults(chosen=family)
    parser.add_argument(
        "family", nargs="?", metavar="FAMILY", help=f"model family, before all options (default {OURS.name})"
    )
    # What ships is replaced by who names it: a command without arguments writes into the current folder.
    out = Path(family.name)
    parser.add_argument("-o", "--out", type=Path, help=f"folder of the bundle (default {out})")
    weights = Path(family.checkpoint_name)
    assets = (checkout() or Path()) / "assets" / weights
    if not training and assets.exists():
        weights = assets
    says = "where the weights are left" if training else "stored weights"
    parser.add_argument("--weights", type=Path, default=weights, help=f"{says} (default {_shown(weights)})")
    with named(family):
        family.add_options(parser, training=training)


def order_of(arguments: argparse.Namespace) -> Order:
    """What a command line asks its family for.

    Raises:
        ConfigError: nobody said that the bundle that ships is to be replaced.
    """
    place = arguments.out or Path(arguments.chosen.name)
    if arguments.out is None and place.resolve() == SHIPPED.resolve():
        raise ConfigError("--out", f"the bundle that ships lies here: to replace it, name it: --out {place}")
    return Order(options=arguments, checkpoint=arguments.weights, place=place, say=_timed())


def command_line() -> str:
    """What a person typed, as it can be repeated."""
    return shlex.join(["python", "-m", "export_tools", *sys.argv[1:]])


def _shown(path: Path) -> str:
    folder = checkout()
    return str(path.relative_to(folder)) if folder is not None and folder in path.parents else str(path)


def _timed() -> Say:
    """Prints lines with the minutes and seconds since now before them."""
    from rich.console import Console
    from rich.text import Text

    console, started_s = Console(highlight=False), time.monotonic()

    def say(words: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - started_s), 60)
        # As `Text`: a path may hold brackets, which markup would swallow.
        line = Text.assemble((f"{minutes:3d}:{seconds:02d}", "dim"), f" {printable_lines(words)}")
        console.print(line, soft_wrap=True)

    return say
