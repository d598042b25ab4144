"""Libraries that talk while they work are quiet while we use them, and for no longer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only_errors(logger: str | None = None) -> Iterator[None]:
    """What `logger` says below an error is left out; None: the root, through which some libraries talk."""
    talking = logging.getLogger(logger)
    before = talking.level
    talking.setLevel(logging.ERROR)
    try:
        yield
    finally:
        talking.setLevel(before)
