"""`edge-hub keys sign`: a person's signature on a draft."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command, say
from edge_runtime.releases.sign import read_draft, sign_draft, write_draft
from hub.cli.keys.signer import add_signer, signatures_of, signer_of
from hub.lock import signing

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(steps: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        steps,
        "sign",
        _run,
        summary="add a signature to a draft",
        description="Adds one signature to a draft and keeps those that are there. The draft is JSON: look at it "
        "first. Needs no hub.",
        examples="edge-hub keys sign image.root.json --key usb/root-1.key --passphrase-file passphrase",
    )
    parser.add_argument("draft", type=Path, metavar="DRAFT", help="the file that is to be signed; it is replaced")
    add_signer(parser)


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    del now_s
    with signing(arguments.draft):
        draft = read_draft(arguments.draft)
        sign_draft(draft, signer_of(arguments))
        write_draft(arguments.draft, draft)
    say(f"{arguments.draft} has {signatures_of(draft)}")
