"""`edge-hub keys install`: drafts that people signed come into force."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.api.metadata import Root

from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.subcommand import add_command, say
from edge_runtime.releases.sign import read_draft
from hub.cli.keys.drafts import add_repository, role_of
from hub.cli.subcommand import add_hub, changing, warn_of_development_keys
from hub.services.inventory import DIRECTOR
from hub.trouble import Trouble, troubled
from hub.tuf.keys import require_peoples_targets

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(steps: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        steps,
        "install",
        _run,
        summary="publish drafts that are signed; what belongs together, together",
        description="Puts signed drafts of one repository in force: new keys, new thresholds, or what is there for "
        "longer. Drafts that belong together, as `keys revoke` writes them, are installed in one command.",
        examples="edge-hub keys install hub image next.json\n"
        "edge-hub keys install hub image drafts/image.targets.json drafts/image.releases.json",
    )
    add_hub(parser)
    add_repository(parser)
    parser.add_argument("draft", type=Path, nargs="+", metavar="DRAFT", help="drafts that enough people signed")


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    with changing(arguments, now_s) as work:
        hub = work.hub
        drafts = [read_draft(path) for path in arguments.draft]
        if arguments.repository == DIRECTOR:
            if len(drafts) != 1:
                raise SigningError(DIRECTOR, "people sign its root, and nothing else")
            damaged = hub.director.publish_root(drafts[0], work.online(), now_s).troubles
            if damaged:
                raise troubled("the root is in force, and not signed anew", itertools.starmap(Trouble, damaged.items()))
        else:
            for draft in drafts:
                if isinstance(draft.signed, Root):
                    require_peoples_targets(draft.signed)
            hub.image.install({role_of(draft): draft for draft in drafts}, work.online(), now_s)
    named = ", ".join(f"{role_of(draft)} {draft.signed.version}" for draft in drafts)
    say(f"in force in the {arguments.repository} repository: {named}")
    warn_of_development_keys(hub)
