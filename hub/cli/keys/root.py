"""`edge-hub keys root`: draft of a repository's first root."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command
from hub.cli.keys.drafts import add_out, keys_by_role, role_and_file, role_and_number, write
from hub.tuf.keys import first_root

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(steps: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        steps,
        "root",
        _run,
        summary="draft of a repository's first root",
        description="Writes the draft that says which keys may sign as root, targets, snapshot and timestamp, and how "
        "many of each have to. Every role needs a key. Needs no hub.",
        examples="edge-hub keys root --out image.root.json --threshold root=2 --threshold targets=2 "
        "--key root=root-1.pub --key root=root-2.pub --key targets=targets-1.pub --key targets=targets-2.pub "
        "--key snapshot=hub/keys/snapshot.pub --key timestamp=hub/keys/timestamp.pub",
    )
    parser.add_argument(
        "--key",
        type=role_and_file,
        action="append",
        required=True,
        metavar="ROLE=PUB",
        help="a public key that may sign as ROLE; given once for each key",
    )
    parser.add_argument(
        "--threshold",
        type=role_and_number,
        action="append",
        default=[],
        metavar="ROLE=N",
        help="how many keys of ROLE have to sign (default: all of them)",
    )
    add_out(parser)


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    write(first_root(keys_by_role(arguments.key), dict(arguments.threshold), now_s), arguments.out)
