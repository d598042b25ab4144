"""What was published last of one repository, in a file elsewhere: what a damaged one is made anew from.

It is no authority: what it holds of an assignment is signed, and numbers only ever lead up.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge_runtime.storage.durable import make_folder, replace_file


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Versions by role, `timestamp.json` among them; of a director also the signed targets: what is assigned."""

    versions: dict[str, int] = {}
    directed: str = ""

    @property
    def names(self) -> dict[str, int]:
        """The versions of what has its version in its name."""
        return {name: version for name, version in self.versions.items() if name != "timestamp.json"}


def read_ledger(path: Path) -> Ledger | None:
    """The ledger; None where it is not there or can't be read: it is written anew from what is published."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ledger)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def write_ledger(path: Path, ledger: Ledger, *, is_to_last: bool) -> None:
    """Replace it. Where it need not last, a power cut may leave none, which is written anew from what is published.

    Raises:
        StorageError: it could not be written.
    """
    make_folder(path.parent)
    replace_file(path, msgspec.json.encode(ledger), to_last=is_to_last)
