"""`edge-hub keys revoke`: drafts that put a new key in the place of a lost or stolen one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.api.metadata import Targets

from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.subcommand import add_command
from edge_runtime.releases.key_files import load_public
from hub.cli.keys.drafts import add_out, write
from hub.cli.subcommand import add_hub, warn_of_development_keys
from hub.services.inventory import DIRECTOR, IMAGE
from hub.services.unit_of_work import hub_in
from hub.tuf.keys import revoke

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(steps: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        steps,
        "revoke",
        _run,
        summary="drafts that put a new key in the place of a lost or stolen one",
        description="Writes a draft for each role that changes, in both repositories. Have all of them signed, then "
        "install those of one repository together. docs/guides/keys.md says who has to sign which.",
        examples="edge-hub keys revoke hub root-1.pub --replacement fresh.pub --out drafts",
    )
    add_hub(parser)
    parser.add_argument("key", type=Path, metavar="PUB", help="public half of the key that is lost")
    parser.add_argument(
        "--replacement", type=Path, required=True, metavar="PUB", help="public half of the one that takes its place"
    )
    add_out(parser, "FOLDER", "folder for the drafts")


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    hub = hub_in(arguments.hub)
    lost, replacement = load_public(arguments.key).keyid, load_public(arguments.replacement)
    targets, releases = hub.image.metadata.role(Targets.type), hub.image.releases()
    image = revoke(lost, replacement, root=hub.image.metadata.root(), targets=targets, releases=releases, now_s=now_s)
    director = revoke(lost, replacement, root=hub.director.root(), targets=None, releases=None, now_s=now_s)
    if not image and not director:
        raise SigningError(lost, "signs nothing here")
    for repository, drafts in ((IMAGE, image), (DIRECTOR, director)):
        for role, draft in drafts.items():
            write(draft, arguments.out / f"{repository}.{role}.json")
    warn_of_development_keys(hub)
