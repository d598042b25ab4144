"""What metadata has to be before it is announced or believed: signed, fresh, small enough, and what was announced.

Pure but for `require_announced`, which reads the file that it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets
from tuf.ngclient import UpdaterConfig

from edge_runtime.contracts.errors import SigningError

_ROBOT = UpdaterConfig()
_CEILINGS_BYTES = {Root.type: _ROBOT.root_max_length, Snapshot.type: _ROBOT.snapshot_max_length}
"""What robots take of a file; of targets and what they delegate to, `targets_max_length`."""


def lasts(metadata: Metadata[Any], days: float, now_s: float) -> bool:
    """Whether metadata expires more than `days` from now."""
    expires: float = metadata.signed.expires.timestamp()
    return expires - now_s > days * 86_400


def is_signed(root: Root, role: str, metadata: Metadata[Any]) -> bool:
    """Whether metadata is signed by the keys that the root asks for now."""
    return root.get_verification_result(role, metadata.signed_bytes, metadata.signatures).verified


def names_of(snapshot: Metadata[Snapshot], roles: Mapping[str, Metadata[Any]]) -> dict[str, int]:
    """The versions of everything that has its version in its name."""
    announced = {role_of(file): meta.version for file, meta in snapshot.signed.meta.items()}
    brought = {name: role.signed.version for name, role in roles.items()}
    return {**announced, **brought, Snapshot.type: snapshot.signed.version}


def role_of(file_name: str) -> str:
    """The role that a file of a snapshot is of."""
    return file_name.removesuffix(".json")


def require_announced(path: Path, meta: MetaFile) -> None:
    """Whether a file is what `meta` announces.

    Raises:
        SigningError: it is not.
    """
    try:
        meta.verify_length_and_hashes(path.read_bytes())
    except OSError as error:
        raise SigningError(str(path), f"{error.strerror}") from error
    except LengthOrHashMismatchError as error:
        raise SigningError(str(path), f"is not what was published: {error}") from error


def require_size(name: str, draft: Metadata[Any]) -> None:
    """Whether robots take a draft of that size.

    Raises:
        SigningError: they do not.
    """
    size_bytes, most = len(draft.to_bytes()), _CEILINGS_BYTES.get(name, _ROBOT.targets_max_length)
    if size_bytes > most:
        raise SigningError(name, f"has {size_bytes} bytes, and robots take no more than {most}")


def require_signed(delegator: Root | Targets, role: str, metadata: Metadata[Any]) -> None:
    """Whether metadata of `role` is signed by enough of the keys that `delegator` names for it.

    Raises:
        SigningError: it is not.
    """
    try:
        result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    except (ValueError, RepositoryError) as error:
        raise SigningError(role, f"nothing delegates to it: {error}") from error
    if not result:
        raise SigningError(
            role, f"{len(result.signed)} of the {result.threshold} signatures that it needs by the keys that now hold"
        )
