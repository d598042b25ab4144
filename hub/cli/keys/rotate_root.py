"""`edge-hub keys rotate-root`: draft of a repository's next root."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command
from hub.cli.keys.drafts import add_out, add_repository, keys_by_role, role_and_file, role_and_number, write
from hub.cli.subcommand import add_hub, warn_of_development_keys
from hub.services.inventory import IMAGE
from hub.services.unit_of_work import hub_in
from hub.tuf.keys import next_root

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(steps: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        steps,
        "rotate-root",
        _run,
        summary="draft of the next root: keys and thresholds changed, or just renewed",
        description="Writes the draft of the root that follows the newest one. It needs enough signatures of the old "
        "keys and of the new ones; `keys install` puts it in force.",
        examples="edge-hub keys rotate-root hub image --out next.json\n"
        "edge-hub keys rotate-root hub image --out next.json --add root=root-4.pub --remove root=root-1.pub",
    )
    add_hub(parser)
    add_repository(parser)
    for option, text in (("--add", "a key that may sign as ROLE from then on"), ("--remove", "one that may not")):
        parser.add_argument(option, type=role_and_file, action="append", default=[], metavar="ROLE=PUB", help=text)
    parser.add_argument(
        "--threshold",
        type=role_and_number,
        action="append",
        default=[],
        metavar="ROLE=N",
        help="how many keys of ROLE have to sign (default: as many as before)",
    )
    add_out(parser)


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    hub = hub_in(arguments.hub)
    current = hub.image.metadata.root() if arguments.repository == IMAGE else hub.director.root()
    remove = {role: [key.keyid for key in keys] for role, keys in keys_by_role(arguments.remove).items()}
    thresholds = dict(arguments.threshold)
    draft = next_root(current, now_s, add=keys_by_role(arguments.add), remove=remove, thresholds=thresholds)
    write(draft, arguments.out)
    warn_of_development_keys(hub)
