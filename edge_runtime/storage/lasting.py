"""Files that are whole after a power cut: the old bytes or the new ones, and the new ones once a call has returned.

Guarantees that a failed write leaves what was there, and nothing half beside it. Refuses to know what the bytes mean.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from edge_runtime.storage.durable import make_folder, sync_folder


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in place whole, to last."""
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(data)
        put_in_place(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def copy_beside(source: Path, path: Path) -> Path:
    """Copy `source` to where `put_in_place` can make it `path`; whoever calls looks at the copy first."""
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}.new")
    try:
        shutil.copyfile(source, beside)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    return beside


def put_in_place(beside: Path, path: Path) -> None:
    """Make what was written to `beside` last, as `path`."""
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)
