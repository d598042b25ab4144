"""Jogging by keys: which axis, how fast, and a screen that says where everything is and why it stands still.

Guarantees that nothing moves unless a key is held or was just pressed (`edge_runtime.cli.dead_man`), that keys from
before a pause of this process move nothing, and that the robot is disarmed when the person leaves.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_runtime.cli.dead_man import DeadManKey
from edge_runtime.cli.jog_rows import Rows
from edge_runtime.cli.keys import Key, RawTerminal, Stroke
from edge_runtime.client.jog import SAID_S, Jog
from edge_runtime.client.status import Status
from edge_runtime.client.status_lines import next_step, speed_line, state_line
from edge_runtime.contracts.console import DONE, FAILED
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import JOG_SPEED_MAX, Asker
from edge_runtime.contracts.text import printable

_MOTION = ("left", "right")
_TURN_S = 0.01
_DRAW_S = 0.1
_FROZEN_S = 0.25
"""After a longer pause of this process its keys are old."""
_SETTLES_S = 0.05
"""In which all keys have arrived that were typed during a pause: a terminal may hand them over in parts."""
_STEP_TIME_S = 0.6
_SPEEDS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, JOG_SPEED_MAX)
_STANDS_STILL_S = 0.4
_HELP = (
    "hold left or right: it moves while the key is held; a press is one step, a base drives while it is held",
    "SPACE: STOP, latched   up, down, 1 to 9: row   TAB: next group or tool   f: frame   [ ]: speed   u: degrees",
    "a: arm for jogging   r: reset after a stop   m: reset, and it was moved by hand   q: disarm and leave",
)
_ENTER = b"\x1b[?1049h\x1b[?25l"
_LEAVE = b"\x1b[?25h\x1b[?1049l"


def jog_by_keys(run_dir: Path, speed: float, *, group: str | None = None, tool: str | None = None) -> int:
    """Jog the robot in `run_dir` until the person leaves; the exit code.

    Args:
        run_dir: of the robot.
        speed: share of the limits.
        group: whose axes are shown first; None: all axes.
        tool: that is shown first, empty: the first one; None: axes.

    Raises:
        ConfigError: the robot has no such group or tool.
        OperatorError: control is not heard.
    """
    with Jog(run_dir, asker=Asker.PERSON) as jog, _ends_raise():
        rows = Rows(jog, group=group, tool=tool)
        with RawTerminal(sys.stdin.fileno(), sys.stdout.fileno()) as terminal:
            board = _Keyboard(jog, terminal, speed, run_dir, rows)
            try:
                terminal.write(_ENTER)
                board.work()
            except (EOFError, KeyboardInterrupt):
                board.has_left = False
            finally:
                with contextlib.suppress(EOFError):
                    terminal.write(_LEAVE)
        if jog.is_in_force:
            jog.disarm()
    return DONE if board.has_left else FAILED


@contextlib.contextmanager
def _ends_raise() -> Iterator[None]:
    """A terminal that is closed, like an end that is asked for, leaves time to disarm."""

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Keyboard:
    def __init__(self, jog: Jog, terminal: RawTerminal, speed: float, run_dir: Path, rows: Rows) -> None:
        self._jog, self._terminal, self._run_dir, self._rows = jog, terminal, run_dir, rows
        self._speed = speed
        self._in_degrees = False
        self._key = DeadManKey()
        self._step: tuple[Callable[[], None], float] | None = None
        """Says where to go, and until when it is gone for."""
        self._told = ""
        self._said_s = self._drawn_s = 0.0
        self._was_moving = False
        self._old_until_s = 0.0
        self._progress: object = None
        self._progress_s = 0.0
        self.has_left = False

    def work(self) -> None:
        """Until the person leaves."""
        turn_s = time.monotonic()
        while not self.has_left:
            keys = self._terminal.read(_TURN_S)
            now_s = time.monotonic()
            if now_s - turn_s > _FROZEN_S:
                self._let_go()
                self._old_until_s = now_s + _SETTLES_S
            for key in keys:
                # A stop is never old.
                if key.name in _MOTION and now_s < self._old_until_s:
                    continue
                self._press(key, now_s)
            turn_s = time.monotonic() if now_s < self._old_until_s else now_s
            self._say(turn_s)
            self._jog.watcher.receive(0.0)
            if turn_s - self._drawn_s >= _DRAW_S:
                self._drawn_s = turn_s
                self._terminal.write(self._screen(turn_s).encode())

    def _press(self, key: Key, now_s: float) -> None:
        if key.name in _MOTION:
            direction = self._key.stroke(1 if key.name == "right" else -1, key.stroke, now_s)
            if direction and self._jog.is_in_force:
                step = self._rows.selected.step(direction, self._speed)
                self._step = None if step is None else (step, now_s + _STEP_TIME_S)
            return
        if key.stroke is Stroke.RELEASE:
            return
        self._let_go()
        if key.name == "space":
            self._ask("stopped: r resets, then a arms", self._jog.stop)
        elif key.name in ("q", "ctrl-c", "ctrl-d", "escape"):
            self.has_left = True
        elif key.stroke is Stroke.PRESS:
            self._set(key.name)

    def _set(self, name: str) -> None:
        if name == "a":
            self._ask("armed for jogging: hold an arrow key", self._jog.begin)
        elif name == "r":
            self._ask("reset: a arms it", self._jog.reset)
        elif name == "m":
            self._ask("reset where it is now: a arms it", lambda: self._jog.reset(moved=True))
        elif name in ("up", "down"):
            self._rows.go(1 if name == "down" else -1)
        elif name.isdigit():
            self._rows.select(int(name) - 1)
        elif name in ("tab", "g"):
            self._rows.turn_page()
        elif name == "f":
            self._rows.change_frame()
        elif name == "u":
            self._in_degrees = not self._in_degrees
        elif name == "]":
            self._speed = next((speed for speed in _SPEEDS if speed > self._speed + 1e-9), _SPEEDS[-1])
        elif name == "[":
            self._speed = next((speed for speed in reversed(_SPEEDS) if speed < self._speed - 1e-9), _SPEEDS[0])

    def _ask(self, told: str, request: Callable[[], None]) -> None:
        try:
            request()
            self._told = told
        except OperatorError as error:
            self._told = str(error)
        # It may have taken a while.
        self._old_until_s = time.monotonic() + _SETTLES_S

    def _let_go(self) -> None:
        self._key.let_go()
        self._step = None

    def _say(self, now_s: float) -> None:
        """Say what is wanted, as long as something is; and once when nothing is any more."""
        direction = self._key.held(now_s)
        if self._step is not None and (now_s > self._step[1] or direction):
            self._step = None
        is_moving = bool(direction) or self._step is not None
        if not self._jog.is_in_force or (now_s - self._said_s < SAID_S and is_moving == self._was_moving):
            return
        if direction:
            self._rows.selected.say(direction * self._speed, self._key.last_s)
        elif self._step is not None:
            self._step[0]()
        elif self._was_moving:
            self._jog.say({})
        self._said_s, self._was_moving = now_s, is_moving

    def _screen(self, now_s: float) -> str:
        status = self._jog.watcher.status()
        mode = "jogging" if self._jog.is_in_force else "not jogging"
        release = "tells" if self._terminal.tells_release else "does not tell"
        size = shutil.get_terminal_size()
        above = [
            f"edge-runtime jog   {mode}   speed {self._speed:.0%} of the limit, at most {JOG_SPEED_MAX:.0%}",
            f"state   {state_line(status)}",
            f"speed   {speed_line(status)}",
            f"next    {self._next_step(status)}",
            f"shown   {self._rows.title}",
            self._rows.heading,
        ]
        below = [
            "",
            f"moves   {self._why(now_s)}",
            f"        {self._told}",
            "",
            *_HELP,
            f"this terminal {release} when a key is let go",
        ]
        rows = self._rows.lines(self._in_degrees, max(3, size.lines - len(above) - len(below)))
        drawn = "".join(f"{printable(line, None)[: size.columns]}\x1b[K\r\n" for line in [*above, *rows, *below])
        return f"\x1b[H{drawn}\x1b[J"

    def _next_step(self, status: Status) -> str:
        if self._jog.is_in_force and status.state.is_armed:
            return "hold an arrow key; q disarms and leaves"
        if status.state.may_be_armed:
            return "a arms the robot for jogging"
        if status.state.is_latched:
            return f"{next_step(status, self._run_dir)} Or here: r resets, then a arms"
        return next_step(status, self._run_dir) or "nothing"

    def _why(self, now_s: float) -> str:
        """What moves, or why what should move stands still."""
        row, direction = self._rows.selected, self._key.held(now_s)
        if not self._jog.is_in_force:
            return "nothing: it is not armed for jogging"
        progress = row.progress()
        if progress != self._progress:
            self._progress, self._progress_s = progress, now_s
        if not direction:
            return "nothing: no key is held"
        if refused := self._jog.refused_lately:
            return f"a command was refused: {refused}"
        if now_s - self._progress_s < _STANDS_STILL_S or row.drives():
            return f"{row.name} {'+' if direction > 0 else '-'}"
        return f"nothing: {row.why_it_stands_still(direction)}"
