"""`edge-hub keys`: the ceremony, in which people make and change the keys that may put software on robots."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.contracts.console import EXIT_CODES
from hub.cli.keys import create, delegate, install, revoke, root, rotate_root, setup, sign

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands

_CEREMONY = """\
A draft is a file that waits for signatures. Carry it to each person; the hub takes it once there are enough.

  edge-hub keys create USB root-1 --passphrase-file P   once for each person, on a machine without network
  edge-hub keys root --key root=root-1.pub ... --threshold root=2 --out image.root.json
  edge-hub keys delegate --exporter exporter.pub --approver approver.pub --out targets.json
  edge-hub keys sign image.root.json --key root-1.key --passphrase-file P
  edge-hub keys setup HUB --image-root ... --targets ... --director-root ...
later:
  edge-hub keys rotate-root HUB image --out next.json   new keys, new thresholds, or just a new year
  edge-hub keys revoke HUB lost.pub --replacement new.pub --out drafts
  edge-hub keys install HUB image drafts/image.root.json ...
"""


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    group = commands.add_parser(
        "keys",
        help="the ceremony: create, set up, rotate, revoke",
        description="Who may sign what, with keys that are never on the hub. docs/guides/keys.md has all of it.",
        epilog=f"{_CEREMONY}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = group.add_subparsers(dest="step", required=True, metavar="STEP")
    for subcommand in (create, root, delegate, sign, setup, rotate_root, revoke, install):
        subcommand.add(steps)
