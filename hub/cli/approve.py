"""`edge-hub approve`: the second of the two signatures that a release needs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.assignment import ReleaseTerms, read_terms
from edge_runtime.contracts.subcommand import add_command, say
from edge_runtime.releases.sign import newest_releases, read_draft, releases_of, sign_draft, write_draft
from hub.cli.keys.signer import add_signer, signatures_of, signer_of
from hub.cli.releases import list_releases
from hub.lock import signing

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "approve",
        _run,
        summary="the approver's signature on a release; says what is in it first",
        description="Lists what a draft would release, and adds the approver's signature to it. Needs no hub, only the "
        "draft and the key; with --published it marks what is new.",
        examples="edge-hub approve draft.json --key approver.key\n"
        "edge-hub approve draft.json --key approver.key --published hub/image/metadata",
    )
    parser.add_argument(
        "draft", type=Path, metavar="DRAFT", help="what `edge-export sign` wrote; the signature is added to it"
    )
    parser.add_argument(
        "--published",
        type=Path,
        metavar="PATH",
        help="the releases that are published, to mark what is new (+): HUB/image/metadata, a copy of it, or the "
        "N.releases.json in it",
    )
    add_signer(parser)


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    del now_s
    with signing(arguments.draft):
        draft = read_draft(arguments.draft)
        listed = releases_of(draft).targets
        list_releases(
            ((path, read_terms(target.custom, ReleaseTerms), target.length) for path, target in listed.items()),
            _published(arguments.published),
        )
        sign_draft(draft, signer_of(arguments))
        write_draft(arguments.draft, draft)
    say(f"approved: {arguments.draft} has {signatures_of(draft)}")


def _published(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    published = newest_releases(path) if path.is_dir() else read_draft(path)
    return () if published is None else tuple(releases_of(published).targets)
