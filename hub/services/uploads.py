"""What operators uploaded and nobody released yet: below `incoming` of the hub's folder, never public."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

UPLOADS = "incoming"
UPLOADS_KEPT_S = 24 * 3600.0


def held_bytes(folder: Path) -> int:
    """How much lies there."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def clear_uploads(folder: Path, *, older_than_s: float | None) -> None:
    """Remove uploads that nobody released in that time; None: those that are half, whose server is no more."""
    before_s = time.time() - (older_than_s or 0.0)
    for path in folder.rglob(".*.new" if older_than_s is None else "*"):
        with contextlib.suppress(OSError):  # it may have been released or replaced meanwhile
            if path.is_file() and (older_than_s is None or path.stat().st_mtime < before_s):
                path.unlink()
