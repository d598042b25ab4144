"""The roots of a repository, each vouched for by the one before: whether all are whole, and how they are put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from edge_runtime.contracts.errors import SigningError
from edge_runtime.releases.sign import read_metadata
from edge_runtime.storage.durable import replace_file
from hub.tuf.metadata_names import newest_in_turn
from hub.tuf.set_aside import make_way


class SoundRoot(NamedTuple):
    """A root as it lies in a file."""

    data: bytes
    root: Root


def sound_roots(folder: Path) -> dict[str, SoundRoot]:
    """The roots in `folder` by file name, from the first on, as far as each is vouched for by the one before."""
    found: dict[str, SoundRoot] = {}
    before: Root | None = None
    for version in range(1, (newest_in_turn(folder, Root.type) or 0) + 1):
        name = f"{version}.root.json"
        sound = _sound_root(folder / name, version, before)
        if sound is None:
            break
        found[name], before = sound, sound.root
    return found


def require_roots(folder: Path) -> tuple[Path, ...]:
    """Whether all roots in `folder` are whole, from the first to the newest; returns their files.

    Raises:
        SigningError: names the first that is not.
    """
    newest = newest_in_turn(folder, Root.type) or 1
    sound = sound_roots(folder)
    if len(sound) < newest:
        raise SigningError(str(folder / f"{len(sound) + 1}.root.json"), "is missing, damaged, or not vouched for")
    return tuple(folder / name for name in sound)


def repair_roots(folder: Path, copies_of: Callable[[str], Iterable[Path]]) -> list[str]:
    """Put back what is damaged from copies, as `copies_of` a file's name finds them; return the names.

    Raises:
        SigningError: there is no whole copy of one that is there.
    """
    mended: list[str] = []
    before: Root | None = None
    version = 0
    while True:
        version += 1
        path = folder / f"{version}.root.json"
        sound = _sound_root(path, version, before)
        if sound is None:
            copies = (_sound_root(copy, version, before) for copy in copies_of(path.name))
            sound = next((copy for copy in copies if copy is not None), None)
            if sound is None:
                if path.exists() or version <= (newest_in_turn(folder, Root.type) or 0):
                    problem = "is damaged, and no whole copy is here: put a backup back; or take it away, if it is none"
                    raise SigningError(str(path), problem)
                return mended
            make_way(path)
            replace_file(path, sound.data)
            mended.append(path.name)
        before = sound.root


def _sound_root(path: Path, version: int, before: Root | None) -> SoundRoot | None:
    try:
        data = read_metadata(path)
        metadata = Metadata.from_bytes(data)
        root = metadata.signed
        if not isinstance(root, Root) or root.version != version:
            return None
        verified = root.get_root_verification_result(before, metadata.signed_bytes, metadata.signatures)
    except (SigningError, RepositoryError, ValueError):
        return None
    return SoundRoot(data, root) if verified else None
