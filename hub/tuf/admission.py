"""What a draft may name, and how files from outside are read. Nothing here writes but `copy_plain`.

Guarantees: a path that leads anywhere but to a release is refused before it is used; only plain files are read, none
through a link at its end, and never more of one than was signed: a device, a pipe or a file without end is none.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tuf.api.metadata import TargetFile

from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.release import MAX_RELEASE_BYTES
from edge_runtime.contracts.text import printable
from edge_runtime.storage.faults import storage_errors

_PATH = re.compile(r"bundles/[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}/([0-9a-f]{64})\.json")
_READ_BYTES = 1 << 20


def require_target(path: str, target: TargetFile) -> None:
    """Whether a target of `releases` is a release: by its path, and one SHA-256 that is also its name.

    Raises:
        SigningError: it is not; no robot would take it.
    """
    named = _PATH.fullmatch(path)
    if named is None or target.path != path:
        raise SigningError(printable(path, 200), "is no path of a release: bundles/NAME/SHA256.json")
    if dict(target.hashes) != {"sha256": named[1]}:
        raise SigningError(path, "its hash is not the SHA-256 in its name")
    if not 1 <= target.length <= MAX_RELEASE_BYTES:
        raise SigningError(path, f"has {target.length} bytes, a release has 1 to {MAX_RELEASE_BYTES}")


def read_plain(path: Path, size_bytes: int) -> bytes:
    """The bytes of a plain file of that size.

    Raises:
        SigningError: it is none, or has another size.
    """
    with _plain(path, size_bytes, "is not what was signed") as file:
        return file.read(size_bytes + 1)


def copy_plain(source: Path, place: Path, size_bytes: int) -> str:
    """Copy a plain file of that size to `place`, which is new; returns the SHA-256 of what was written.

    Raises:
        SigningError: it is none, or has another size.
        StorageError: `place` could not be written.
    """
    digest, left = hashlib.sha256(), size_bytes
    problem = "is not the pack that the release names"
    with _plain(source, size_bytes, problem) as file, storage_errors(place), place.open("xb") as copy:
        while part := file.read(min(_READ_BYTES, left)):
            digest.update(part)
            copy.write(part)
            left -= len(part)
    return digest.hexdigest()


@contextmanager
def _plain(path: Path, size_bytes: int, problem: str) -> Iterator[BinaryIO]:
    try:
        # A pipe is not waited for, and a link at the end of the path is not followed.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SigningError(str(path), f"is missing, or is no plain file: {error.strerror}") from error
    except ValueError as error:
        raise SigningError(printable(path), f"is no path: {error}") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise SigningError(str(path), "is missing, or is no plain file")
        if found.st_size != size_bytes:
            raise SigningError(str(path), f"{problem}: {found.st_size} bytes, the release says {size_bytes}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)
