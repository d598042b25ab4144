"""`edge-hub keys create`: a key for a person, a robot or a hub."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command, say
from edge_runtime.releases.key_files import create_key, read_passphrase

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(steps: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        steps,
        "create",
        _run,
        summary="a new Ed25519 key: NAME.key is secret, NAME.pub is for everybody",
        description="Makes a key as two files. NAME.key is the secret half, for its owner alone; NAME.pub goes to "
        "whoever writes drafts or enrols robots. A key is never written over. Needs no hub.",
        examples="edge-hub keys create usb root-1 --passphrase-file passphrase\nedge-hub keys create hub/keys snapshot",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where both files go; made if it is not there")
    parser.add_argument("name", metavar="NAME", help="of the files, such as root-1, exporter, or a robot's name")
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="file whose first line is the passphrase that encrypts the secret (default: not encrypted, as the hub's "
        "online keys and robots' keys are)",
    )


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    del now_s
    passphrase = read_passphrase(arguments.passphrase_file)
    public = create_key(arguments.folder, arguments.name, passphrase)
    place = arguments.folder / arguments.name
    say(f"{public.keyid}\nsecret: {place}.key, public: {place}.pub")
    if passphrase is None:
        say("the secret is not encrypted: right for a hub's online key, wrong for anything a person holds")
