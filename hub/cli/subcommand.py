"""What the subcommands of `edge-hub` share besides: how they find the hub, and how they say days."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from edge_runtime.contracts.subcommand import warn
from hub.hub import Hub
from hub.services.unit_of_work import UnitOfWork, unit_of_work

Run = Callable[[argparse.Namespace, float], None]
"""What a subcommand does with its arguments at a time (Unix time, s)."""


def add_hub(parser: argparse.ArgumentParser) -> None:
    """The argument that every subcommand has which knows a hub."""
    parser.add_argument("hub", type=Path, metavar="HUB", help="the hub's folder")


def changing(arguments: argparse.Namespace, now_s: float) -> AbstractContextManager[UnitOfWork]:
    """The hub that a command changes, for this command alone; raises as `unit_of_work`."""
    return unit_of_work(Hub(arguments.hub), arguments.who, now_s)


def warn_of_development_keys(hub: Hub) -> None:
    """Warn of a hub whose keys are for development alone."""
    if hub.has_development_keys:
        warn("development keys; do not use with real robots")


def in_days(days: int) -> str:
    """ "expires in 3 days", "expired 2 days ago"."""
    count = days if days >= 0 else -days
    number = f"{count} day{'' if count == 1 else 's'}"
    return f"expires in {number}" if days >= 0 else f"expired {number} ago"
