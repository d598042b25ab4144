"""Makes room for a file where something else is in its way: a folder, a file for a folder, a folder without rights."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from edge_runtime.storage.durable import make_folder
from edge_runtime.storage.faults import storage_errors


def make_way(path: Path) -> None:
    """Have a file, or nothing, at `path`, in a folder that can be written to; what was there stays as `.damaged.NAME`.

    Looks at the two folders above it, and creates them.

    Raises:
        StorageError: it is in the way still.
    """
    for folder in (path.parent.parent, path.parent):
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            _set_aside(folder)
        make_folder(folder)
        with contextlib.suppress(OSError):
            folder.chmod(folder.stat().st_mode | 0o700)
    if path.is_symlink() or path.is_dir():
        _set_aside(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with all in it; nothing where there is none.

    Raises:
        StorageError: something of it is still there.
    """
    with storage_errors(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _set_aside(path: Path) -> None:
    place = path.with_name(f".damaged.{path.name}")
    remove(place)
    with storage_errors(path):
        path.rename(place)
