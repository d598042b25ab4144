"""The lifeline of the policy's process: what shows control within microseconds that it has ended, however it did.

Guarantees that control never waits for it, and that without one everything works as before, only slower to notice. See
`native/lifeline.h`. Trusts that the main thread lives for as long as the process does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from edge_runtime.native import lib

_SHM = Path("/dev/shm")


def lifeline_path(port: str) -> Path:
    """Where the policy of the robot on driver port `port` has its lifeline."""
    return _SHM / f"{port}-policy"


@contextlib.contextmanager
def lifeline(port: str) -> Iterator[str]:
    """Let the end of the calling thread, which should be the main one, be seen. Enter it when
    this process is known to be the only policy.

    Yields why that is not possible; empty if it is.
    """
    path = lifeline_path(port)
    error = lib.lifeline_hold(os.fsencode(path))
    try:
        yield "" if error == 0 else f"no lifeline, so control sees the end of this process later: {os.strerror(-error)}"
    finally:
        if error == 0:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
