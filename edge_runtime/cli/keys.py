"""Keys of a terminal, as events: pressed, repeated, and, where the terminal tells, released.

A terminal sends bytes while a key is held, again and again, and most say nothing when it is let go. Those that know the
kitty keyboard protocol say that too, and are asked to. Bytes that are no key are passed over. No clock.
"""

from __future__ import annotations

import os
import re
import select
import termios
import time
import tty
from dataclasses import dataclass
from enum import Enum
from types import TracebackType

_QUERY = b"\x1b[?u\x1b[c"
"""Which keyboard protocol is on? And a question that every terminal answers, so that nobody waits for the first."""
_REPORT_ALL = b"\x1b[>11u"
"""Tell keys apart, tell press, repeat and release, and say all keys like that."""
_REPORT_AS_BEFORE = b"\x1b[<u"
_ANSWER_S = 0.3
_PENDING_MAX_BYTES = 64
_READ_BYTES = 4096

_SEQUENCE = re.compile(rb"\x1b\[([0-9:;<=>?]*)([@-~])")
_APPLICATION = re.compile(rb"\x1bO([@-~])")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-9:;<=>?]*|O)")
"""The beginning of either. A key may be pressed after one that stays without an end, and is a key: it may be a stop."""
_ARROWS = {b"A": "up", b"B": "down", b"C": "right", b"D": "left"}
_NAMES = {0x03: "ctrl-c", 0x04: "ctrl-d", 0x09: "tab", 0x0D: "enter", 0x1B: "escape", 0x20: "space"}


class Stroke(Enum):
    """What a key did."""

    PRESS = 1
    REPEAT = 2
    RELEASE = 3


@dataclass(frozen=True)
class Key:
    """One event: "left", "space", "ctrl-c", or the character that the key gives."""

    name: str
    stroke: Stroke = Stroke.PRESS


class KeyReader:
    """Makes events of a terminal's bytes, however they are cut.

    Attributes:
        tells_release: whether this terminal has said that it tells when a key is let go.
        has_answered: whether it has answered the question for that, either way.
    """

    def __init__(self) -> None:
        self._pending = b""
        self.tells_release = False
        self.has_answered = False

    def feed(self, data: bytes) -> list[Key]:
        """Events of `data` and of what was left over before."""
        data, self._pending = self._pending + data, b""
        keys: list[Key] = []
        while data:
            if (found := _SEQUENCE.match(data)) is not None:
                keys += self._sequence(found[1], found[2])
                data = data[found.end() :]
            elif (found := _APPLICATION.match(data)) is not None:
                keys += [Key(_ARROWS[found[1]])] if found[1] in _ARROWS else []
                data = data[found.end() :]
            elif (found := _UNFINISHED.match(data)) is not None:
                if found.end() == len(data) < _PENDING_MAX_BYTES:
                    self._pending = data
                    break
                data = data[found.end() :]
            elif data == b"\x1b":
                self._pending = data
                break
            else:
                keys += _plain(data[0])
                data = data[1:]
        return keys

    def _sequence(self, parameters: bytes, final: bytes) -> list[Key]:
        if parameters.startswith(b"?"):
            self.tells_release |= final == b"u"
            self.has_answered |= final == b"c"
            return []
        fields = [field.split(b":") for field in parameters.split(b";")]
        stroke, modifiers = Stroke.PRESS, 0
        if len(fields) > 1:
            modifiers = max(0, _number(fields[1][0]) - 1)
            event = _number(fields[1][1]) if len(fields[1]) > 1 else 1
            if event not in (1, 2, 3):
                return []
            stroke = Stroke(event)
        if final in _ARROWS:
            return [Key(_ARROWS[final], stroke)]
        if final != b"u":
            return []
        code = _number(fields[0][0])
        if modifiers & 4 and code == ord("c"):
            return [Key("ctrl-c", stroke)]
        return [Key(key.name, stroke) for key in _plain(code)]

    def give_up(self) -> list[Key]:
        """Nothing followed for a while: a lone escape was that key, and the beginning of a sequence is forgotten."""
        pending, self._pending = self._pending, b""
        return [Key("escape")] if pending == b"\x1b" else []


def _number(digits: bytes) -> int:
    return int(digits) if digits.isdigit() and len(digits) < 8 else 0


def _plain(code: int) -> list[Key]:
    if code in _NAMES:
        return [Key(_NAMES[code])]
    return [Key(chr(code))] if 0x20 < code < 0x7F else []


class RawTerminal:
    """A terminal whose keys come one by one, unseen; as it was before when it is left. A context manager.

    Args:
        keys: descriptor that keys are read from.
        screen: descriptor that the terminal is written to.
    """

    def __init__(self, keys: int, screen: int) -> None:
        self._keys, self._screen = keys, screen
        self._before = termios.tcgetattr(keys)
        self._reader = KeyReader()

    @property
    def tells_release(self) -> bool:
        """Whether it tells when a key is let go."""
        return self._reader.tells_release

    def __enter__(self) -> RawTerminal:
        # Ctrl-C and Ctrl-Z come as keys: nothing may stop this process but its own end.
        tty.setraw(self._keys)
        self.write(_QUERY)
        deadline_s = time.monotonic() + _ANSWER_S
        while not self._reader.has_answered and time.monotonic() < deadline_s:
            self.read(0.05)
        if self.tells_release:
            self.write(_REPORT_ALL)
        return self

    def read(self, timeout_s: float) -> list[Key]:
        """Events since the last call; waits up to `timeout_s` for the first.

        Raises:
            EOFError: the terminal has gone.
        """
        if not select.select([self._keys], [], [], timeout_s)[0]:
            return self._reader.give_up()
        try:
            data = os.read(self._keys, _READ_BYTES)
        except OSError as error:
            raise EOFError(f"the terminal has gone: {error.strerror}") from error
        if not data:
            raise EOFError("the terminal has gone")
        return self._reader.feed(data)

    def write(self, data: bytes) -> None:
        """Show `data`.

        Raises:
            EOFError: the terminal has gone.
        """
        try:
            while data:
                data = data[os.write(self._screen, data) :]
        except OSError as error:
            raise EOFError(f"the terminal has gone: {error.strerror}") from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if self.tells_release:
                self.write(_REPORT_AS_BEFORE)
            termios.tcsetattr(self._keys, termios.TCSADRAIN, self._before)
        except (EOFError, termios.error):
            # One that has gone needs nothing.
            return
