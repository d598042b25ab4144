"""`edge-hub publish`: what exporter and approver signed becomes public."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command, say
from edge_runtime.releases.sign import read_draft
from hub.cli.subcommand import add_hub, changing, warn_of_development_keys
from hub.services import publishing

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "publish",
        _run,
        summary="take a release that exporter and approver signed",
        description="Makes a release public: first all signatures, paths and hashes are checked, and the packs are "
        "unpacked as a robot would. What is refused leaves nothing. No robot runs it yet; `assign` does that.",
        examples="edge-hub publish hub draft.json packed",
    )
    add_hub(parser)
    parser.add_argument("draft", type=Path, metavar="DRAFT", help="the draft that both have signed")
    parser.add_argument("packed", type=Path, metavar="PACKED", help="the folder that `edge-export pack` wrote")


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    with changing(arguments, now_s) as work:
        fresh = publishing.publish(work, read_draft(arguments.draft), arguments.packed)
    for published in fresh:
        say(f"released under counter {published.counter}: {published.release}")
    if not fresh:
        say("published: no bundle is new, its counters or expiry are")
    warn_of_development_keys(work.hub)
