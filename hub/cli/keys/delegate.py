"""`edge-hub keys delegate`: draft of who releases."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.api.metadata import Targets

from edge_runtime.contracts.subcommand import add_command
from edge_runtime.releases.key_files import load_public
from hub.cli.keys.drafts import add_out, write
from hub.cli.subcommand import warn_of_development_keys
from hub.services.unit_of_work import hub_in
from hub.tuf.keys import next_targets

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(steps: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        steps,
        "delegate",
        _run,
        summary="draft of who releases: an exporter and an approver, both or neither",
        description="Writes the draft of the image repository's targets, which names the two people who release. With "
        "--hub it changes one of them, or is the same for longer.",
        examples="edge-hub keys delegate --exporter exporter.pub --approver approver.pub --out targets.json\n"
        "edge-hub keys delegate --hub hub --out targets.json",
    )
    parser.add_argument(
        "--hub", type=Path, metavar="HUB", help="the hub whose delegation changes; without, the first one"
    )
    parser.add_argument(
        "--exporter",
        type=Path,
        metavar="PUB",
        help="public key of who packs and signs releases; with --hub and no keys: the same, for longer",
    )
    parser.add_argument("--approver", type=Path, metavar="PUB", help="public key of who looks at them and signs too")
    add_out(parser)


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    hub = None if arguments.hub is None else hub_in(arguments.hub)
    current = None if hub is None else hub.image.metadata.role(Targets.type)
    exporter = None if arguments.exporter is None else load_public(arguments.exporter)
    approver = None if arguments.approver is None else load_public(arguments.approver)
    write(next_targets(current, now_s, exporter=exporter, approver=approver), arguments.out)
    if hub is not None:
        warn_of_development_keys(hub)
