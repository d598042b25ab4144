"""Whether a hub is well, for whoever asks often: damage is found within seconds, what is whole is not read anew.

A file counts as it was while its time, size and identity on the disk are the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path

from hub.api.duty import Duty
from hub.hub import Hub
from hub.trouble import Trouble

_FRESH_S = 2.0
_REST = 10.0
"""After a look that took long, so many times as long is none."""

Stamps = tuple[tuple[str, int, int, int], ...]


class Checkup:
    """Of one hub and the duties of its server. May be asked from any thread."""

    def __init__(self, hub: Hub, duties: Iterable[Duty] = ()) -> None:
        self._hub = hub
        self._duties = tuple(duties)
        self._lock = threading.Lock()
        self._whole: dict[str, tuple[tuple[Path, ...], Stamps]] = {}
        self._found: tuple[Trouble, ...] = ()
        self._due_s = 0.0

    def troubles(self) -> tuple[Trouble, ...]:
        """All that is not as it should be."""
        failed = tuple(Trouble(duty.name, duty.problem) for duty in self._duties if duty.problem)
        with self._lock:
            began_s = time.monotonic()
            if began_s >= self._due_s:
                self._found = self._hub.troubles(self._is_as_it_was, self._note)
                took_s = time.monotonic() - began_s
                self._due_s = time.monotonic() + max(_FRESH_S, _REST * took_s)
            return (*self._found, *failed)

    def _is_as_it_was(self, what: str) -> bool:
        files, seen = self._whole.get(what, ((), ()))
        return bool(files) and _stamps(files) == seen

    def _note(self, what: str, files: tuple[Path, ...]) -> None:
        """`what` was read and is whole, or, without files, is not."""
        self._whole[what] = (files, _stamps(files))


def _stamps(files: tuple[Path, ...]) -> Stamps:
    found = []
    for path in files:
        try:
            stat = path.stat()
        except OSError:
            return ()
        found.append((path.name, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
