"""What the commands share that write drafts: roles and keys as they are typed, and where a draft goes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Metadata, Targets

from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.subcommand import say
from edge_runtime.releases.key_files import load_public
from edge_runtime.releases.sign import RELEASES, write_draft
from hub.services.inventory import DIRECTOR, IMAGE


def add_out(parser: argparse.ArgumentParser, metavar: str = "DRAFT", text: str = "new file for the draft") -> None:
    """`--out`."""
    parser.add_argument("--out", type=Path, required=True, metavar=metavar, help=text)


def add_repository(parser: argparse.ArgumentParser) -> None:
    """Which of the two repositories."""
    parser.add_argument(
        "repository",
        choices=(IMAGE, DIRECTOR),
        help=f"{IMAGE}: what is released; {DIRECTOR}: what each robot is assigned",
    )


def role_and_file(text: str) -> tuple[str, Path]:
    """ROLE=FILE as it is typed."""
    role, equals, path = text.partition("=")
    if not equals or not path:
        raise argparse.ArgumentTypeError(f"{text!r}: write ROLE=FILE, as in root=root-1.pub")
    return role, Path(path)


def role_and_number(text: str) -> tuple[str, int]:
    """ROLE=N as it is typed."""
    role, equals, number = text.partition("=")
    if not equals or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: write ROLE=N, as in root=2")
    return role, int(number)


def keys_by_role(typed: Iterable[tuple[str, Path]]) -> dict[str, list[SSlibKey]]:
    """The public keys in files, by role.

    Raises:
        SigningError: a file is not there, or holds none.
    """
    keys: dict[str, list[SSlibKey]] = {}
    for role, path in typed:
        keys.setdefault(role, []).append(load_public(path))
    return keys


def role_of(draft: Metadata[Any]) -> str:
    """The role that a draft is of."""
    signed = draft.signed
    if isinstance(signed, Targets):
        return Targets.type if signed.delegations is not None else RELEASES
    return str(signed.type)


def write(draft: Metadata[Any], path: Path) -> None:
    """Write a draft, and say so.

    Raises:
        SigningError: something is there already.
    """
    if path.exists():
        raise SigningError(str(path), "is there already; a draft that others may have signed is not written over")
    write_draft(path, draft)
    say(f"draft, to be signed: {path}")
