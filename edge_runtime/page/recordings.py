"""Recordings of the black box: which there are, and one of them opened by a process of its own.

Reading a file and running it through the kernel again takes seconds of a processor, and the file may hold anything: it
is done by another process, at low priority and with an end, one at a time. No name leads out of the folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from datetime import datetime, timezone
from pathlib import Path

from edge_runtime.contracts.errors import EdgeError, RecordingError
from edge_runtime.contracts.text import printable
from edge_runtime.page.shown import RecordingList, RecordingShown

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,200}\.bin")
_TIMEOUT_S = 90.0
_MAX_BYTES = 64 << 20
_SHOWN = 100
_NICE = 15


class Recordings:
    """The folder of one robot's recordings, which need not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._one = threading.Lock()

    def list(self) -> RecordingList:
        """The newest hundred."""
        try:
            found = [
                (entry.name, entry.stat(follow_symlinks=False))
                for entry in os.scandir(self._folder)
                if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            ]
        except OSError:
            found = []
        found.sort(key=lambda one: one[0], reverse=True)
        shown = tuple(
            RecordingShown(
                name=name,
                written=datetime.fromtimestamp(info.st_mtime, timezone.utc).isoformat(timespec="seconds"),
                cause=name.removesuffix(".bin").partition("_")[2].replace("+", ", ").replace("_", " ") or "unknown",
                size_bytes=info.st_size,
            )
            for name, info in found[:_SHOWN]
        )
        return RecordingList(recordings=shown, folder=str(self._folder))

    def open(self, name: str) -> bytes | None:
        """JSON of the `RecordingOpened` of a file of the list; None where there is no such file.

        Raises:
            RecordingError: it can't be read, or not be replayed here.
            EdgeError: another one is being opened, or it takes too long.
        """
        path = self._folder / name
        if not _NAME.fullmatch(name) or path.is_symlink() or not path.is_file():
            return None
        if not self._one.acquire(blocking=False):
            raise EdgeError("another recording is being opened: try again in a few seconds")
        try:
            return _opened(path)
        finally:
            self._one.release()


def _opened(path: Path) -> bytes:
    command = [sys.executable, "-m", "edge_runtime.page.opened", "--nice", str(_NICE), str(path)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise EdgeError(f"it could not be opened within {_TIMEOUT_S:g} s") from None
    except OSError as error:
        raise EdgeError(f"no process can be started to open it: {error.strerror}") from error
    if done.returncode != 0 or len(done.stdout) > _MAX_BYTES:
        words = printable(done.stderr.decode(errors="replace").strip() or f"its reader ended with {done.returncode}")
        raise RecordingError(path.name, words)
    return done.stdout
