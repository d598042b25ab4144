"""One process writes to a hub's folder at a time: commands of people and the server take turns."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.errors import SigningError

PATIENCE_S = 60.0
_LOOK_EVERY_S = 0.05


@contextmanager
def writing(folder: Path, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the hub in `folder`, which exists, for the block.

    Raises:
        SigningError: somebody else held it for longer than `patience_s`.
    """
    deadline_s = time.monotonic() + patience_s
    with (folder / ".lock").open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline_s:
                    raise SigningError(str(folder), f"was in use by another process for {patience_s:.0f} s") from None
                time.sleep(_LOOK_EVERY_S)
        yield
