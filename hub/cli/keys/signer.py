"""Whose signature: a secret key in a file, and the passphrase that it may need."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import sys
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata

from edge_runtime.releases.key_files import load_signer, read_passphrase

_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


def add_signer(parser: argparse.ArgumentParser) -> None:
    """`--key`, and `--passphrase-file` for it."""
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="the secret half, NAME.key")
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="file whose first line is the passphrase (default: asked for, at a terminal)",
    )


def signer_of(arguments: argparse.Namespace) -> CryptoSigner:
    """The key, with its passphrase from the file, or from whoever sits at the terminal.

    Raises:
        SigningError: it can't be read, is no key, or the passphrase is missing or wrong.
    """
    passphrase = read_passphrase(arguments.passphrase_file)
    if passphrase is None and _is_encrypted(arguments.key) and sys.stdin.isatty():
        passphrase = getpass.getpass(f"passphrase of {arguments.key}: ")
    return load_signer(arguments.key, passphrase)


def signatures_of(draft: Metadata[Any]) -> str:
    """ "1 signature", "2 signatures"."""
    count = len(draft.signatures)
    return f"{count} signature{'' if count == 1 else 's'}"


def _is_encrypted(key: Path) -> bool:
    with contextlib.suppress(OSError):
        return key.read_bytes().startswith(_ENCRYPTED)
    return False
