"""Files of a robot that appear all together or not at all.

Guarantees that an end half-way, however it comes about, leaves what was there before, and no file is overwritten
without a person's word. Files that are not written anew, such as a calibration, stay.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_runtime.contracts.errors import ConfigError


def require_free(folder: Path, names: tuple[str, ...], force: bool) -> None:
    """Refuse a folder that holds any of these files, unless somebody has said that they may go.

    Raises:
        ConfigError: names the file that is in the way, or what is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError("--output", f"{folder} is no folder")
    there = [name for name in names if (folder / name).exists()]
    if there and not force:
        raise ConfigError("--output", f"{folder} has {', '.join(there)} already: another folder, or --force to replace")


@contextmanager
def all_or_nothing(folder: Path) -> Iterator[Path]:
    """A folder to write into, beside `folder`, whose files are moved there when the block ends without an error.

    Raises:
        ConfigError: the folder can't be made or moved.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise ConfigError("--output", f"{error.filename}: {error.strerror}") from error
    try:
        yield partial
        _move(partial, folder)
    except OSError as error:
        raise ConfigError("--output", f"{error.filename}: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _move(partial: Path, folder: Path) -> None:
    partial.chmod(0o755)
    if not folder.exists():
        partial.rename(folder)
        return
    for kept in folder.iterdir():
        if not (partial / kept.name).exists():
            # What stays is moved along, so that there is one instant in which all of it changes.
            if kept.is_dir() and not kept.is_symlink():
                shutil.copytree(kept, partial / kept.name, symlinks=True)
            else:
                shutil.copy2(kept, partial / kept.name, follow_symlinks=False)
    before = Path(tempfile.mkdtemp(prefix=f".{folder.name}-before-", dir=folder.parent))
    os.rename(folder, before / folder.name)
    try:
        os.rename(partial, folder)
    except OSError:
        os.rename(before / folder.name, folder)
        raise
    finally:
        shutil.rmtree(before, ignore_errors=True)
