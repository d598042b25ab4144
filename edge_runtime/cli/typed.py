"""Lines that a person types while other things go on, or that another program writes into a pipe.

Guarantees: nothing here waits. A terminal is as it was before once the block is left; while it lasts, what is typed is
shown by whoever draws the screen, not by the terminal. Bytes that are no text come out as the sign for that.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import termios
import tty
from collections import deque
from types import TracebackType
from typing import Protocol

_READ_BYTES = 4096
_LINE_MAX_CHARS = 2048
_ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.|.)?")
"""What a terminal sends for a key that is no character, such as an arrow."""
_BACKSPACE, _ERASE_LINE, _ERASE_WORD, _END = "\x7f\b", "\x15", "\x17", "\x04"


def forget_typed(descriptor: int) -> None:
    """Discard what was typed at the terminal `descriptor` and not read; nothing where it is none, or another's."""
    # OSError, of which termios.error is none: no terminal, or not this process's to command.
    with contextlib.suppress(OSError, termios.error):
        if os.tcgetpgrp(descriptor) == os.getpgrp():
            termios.tcflush(descriptor, termios.TCIFLUSH)


class Typed(Protocol):
    """Where lines come from."""

    @property
    def pending(self) -> str | None:
        """What was typed of the next line; None where that is shown elsewhere."""

    @property
    def is_over(self) -> bool:
        """Whether no further line comes."""

    def lines(self) -> list[str]:
        """Those that were completed since the last call."""


class TypedLines:
    """Lines from a file descriptor; use as a context.

    Args:
        descriptor: a terminal, a pipe or a file.
        draws: whether whoever uses this draws what is typed (`pending`); only with a terminal.
    """

    def __init__(self, descriptor: int, *, draws: bool) -> None:
        self._descriptor = descriptor
        self._draws = draws and os.isatty(descriptor)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._waiting: deque[str] = deque()
        self._before: list[int | list[bytes | int]] | None = None
        self._is_over = False

    def __enter__(self) -> TypedLines:
        if self._draws:
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor, termios.TCSANOW)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._before is not None:
            # The terminal may be gone.
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)

    @property
    def pending(self) -> str | None:
        """See `Typed.pending`."""
        return self._text if self._draws else None

    @property
    def is_over(self) -> bool:
        """See `Typed.is_over`."""
        return self._is_over

    def lines(self) -> list[str]:
        """See `Typed.lines`."""
        if not self._is_over and select.select([self._descriptor], [], [], 0.0)[0]:
            try:
                data = os.read(self._descriptor, _READ_BYTES)
            except OSError:
                # A terminal that was closed.
                data = b""
            self._take(self._decoder.decode(data, final=not data))
            if not data:
                self._end()
        lines, self._waiting = list(self._waiting), deque()
        return lines

    def _take(self, text: str) -> None:
        for char in _ESCAPE.sub("", text) if self._draws else text:
            if char in "\r\n":
                self._waiting.append(self._text)
                self._text = ""
            elif self._draws and char in _BACKSPACE:
                self._text = self._text[:-1]
            elif self._draws and char == _ERASE_LINE:
                self._text = ""
            elif self._draws and char == _ERASE_WORD:
                self._text = self._text.rstrip().rpartition(" ")[0]
            elif self._draws and char == _END:
                if not self._text:
                    self._is_over = True
            elif len(self._text) < _LINE_MAX_CHARS:
                self._text += char

    def _end(self) -> None:
        self._is_over = True
        if self._text:
            self._waiting.append(self._text)
            self._text = ""
