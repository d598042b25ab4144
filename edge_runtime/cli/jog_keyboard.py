"""Jogging by keys: which axis, how fast, and a screen that says where everything is and why it stands still.

Guarantees that nothing moves unless a key is held or was just pressed (`edge_runtime.cli.dead_man`), that keys from
before a pause of this process move nothing, and that the robot is disarmed when the person leaves.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_runtime.cli.dead_man import DeadManKey
from edge_runtime.cli.keys import Key, RawTerminal, Stroke
from edge_runtime.client.jog import SAID_S, Jog
from edge_runtime.client.status import Status
from edge_runtime.client.status_lines import next_step, speed_line, state_line
from edge_runtime.contracts.console import DONE, FAILED
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import JOG_SPEED_MAX, Asker, AxisUnit, JogAxis
from edge_runtime.contracts.text import printable

_MOTION = ("left", "right")
_TURN_S = 0.01
_DRAW_S = 0.1
_FROZEN_S = 0.25
"""After a longer pause of this process its keys are old."""
_SETTLES_S = 0.05
"""In which all keys have arrived that were typed during a pause: a terminal may hand them over in parts."""
_STEP = {AxisUnit.RAD: math.radians(0.5), AxisUnit.M: 0.001}
_STEP_TIME_S = 0.6
_SPEEDS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, JOG_SPEED_MAX)
_STANDS_STILL_S = 0.4
_BAR = 7
_HEAD = f"     {'axis':12} commanded  measured           from             to  to an end"
_HELP = (
    "hold left or right: the axis moves while the key is held; a press is one step",
    "SPACE: STOP, latched   up, down, 1 to 9: axis   [ ]: speed   u: degrees",
    "a: arm for jogging   r: reset after a stop   q: disarm and leave",
)
_ENTER = b"\x1b[?1049h\x1b[?25l"
_LEAVE = b"\x1b[?25h\x1b[?1049l"


def jog_by_keys(run_dir: Path, speed: float) -> int:
    """Jog the robot in `run_dir` until the person leaves; the exit code.

    Raises:
        OperatorError: control is not heard.
    """
    with Jog(run_dir, asker=Asker.PERSON) as jog, _ends_raise():
        jog.axes()
        with RawTerminal(sys.stdin.fileno(), sys.stdout.fileno()) as terminal:
            board = _Keyboard(jog, terminal, speed, run_dir)
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
    def __init__(self, jog: Jog, terminal: RawTerminal, speed: float, run_dir: Path) -> None:
        self._jog, self._terminal, self._run_dir = jog, terminal, run_dir
        self._speed = speed
        self._selected = 0
        self._in_degrees = False
        self._key = DeadManKey()
        self._step: tuple[str, float, float] | None = None
        """Axis, target, and until when it is gone for."""
        self._told = ""
        self._said_s = self._drawn_s = 0.0
        self._was_moving = False
        self._old_until_s = 0.0
        self._progress, self._progress_s = math.nan, 0.0
        self.has_left = False

    @property
    def _axis(self) -> JogAxis:
        return self._jog.axes()[self._selected]

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
                self._begin_step(direction, now_s)
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
        count = len(self._jog.axes())
        if name == "a":
            self._ask("armed for jogging: hold an arrow key", self._jog.begin)
        elif name == "r":
            self._ask("reset: a arms it", self._jog.reset)
        elif name in ("up", "down"):
            self._selected = (self._selected + (1 if name == "down" else -1)) % count
        elif name.isdigit() and 1 <= int(name) <= count:
            self._selected = int(name) - 1
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

    def _begin_step(self, direction: int, now_s: float) -> None:
        axis = self._axis
        target = axis.commanded + direction * _STEP[axis.unit]
        target = min(max(target, axis.position_min), axis.position_max)
        self._step = (axis.name, target, now_s + _STEP_TIME_S)

    def _let_go(self) -> None:
        self._key.let_go()
        self._step = None

    def _say(self, now_s: float) -> None:
        """Say what is wanted, as long as something is; and once when nothing is any more."""
        direction = self._key.held(now_s)
        if self._step is not None and (now_s > self._step[2] or direction):
            self._step = None
        is_moving = bool(direction) or self._step is not None
        if not self._jog.is_in_force or (now_s - self._said_s < SAID_S and is_moving == self._was_moving):
            return
        axis = self._axis
        if direction:
            self._jog.say({axis.name: direction * self._speed * axis.speed_max}, self._key.last_s)
        elif self._step is not None:
            self._jog.say_target({self._step[0]: self._step[1]}, self._speed)
        elif self._was_moving:
            self._jog.say({})
        self._said_s, self._was_moving = now_s, is_moving

    def _screen(self, now_s: float) -> str:
        status = self._jog.watcher.status()
        axes = self._jog.axes()
        mode = "jogging" if self._jog.is_in_force else "not jogging"
        release = "tells" if self._terminal.tells_release else "does not tell"
        lines = [
            f"edge-runtime jog   {mode}   speed {self._speed:.0%} of the axis's limit, at most {JOG_SPEED_MAX:.0%}",
            f"state   {state_line(status)}",
            f"speed   {speed_line(status)}",
            f"next    {self._next_step(status)}",
            "",
            _HEAD,
            *(self._row(i, axis) for i, axis in enumerate(axes)),
            "",
            f"moves   {self._why(now_s)}",
            f"        {self._told}",
            "",
            *_HELP,
            f"this terminal {release} when a key is let go",
        ]
        width = shutil.get_terminal_size().columns
        return "\x1b[H" + "".join(f"{printable(line, None)[:width]}\x1b[K\r\n" for line in lines) + "\x1b[J"

    def _next_step(self, status: Status) -> str:
        if self._jog.is_in_force and status.state.is_armed:
            return "hold an arrow key; q disarms and leaves"
        if status.state.may_be_armed:
            return "a arms the robot for jogging"
        if status.state.is_latched:
            return f"{next_step(status, self._run_dir)} Or here: r resets, then a arms"
        return next_step(status, self._run_dir) or "nothing"

    def _row(self, i: int, axis: JogAxis) -> str:
        factor, unit = self._shown_in(axis)
        share = (axis.commanded - axis.position_min) / max(axis.position_max - axis.position_min, 1e-9)
        place = min(max(round(share * (_BAR - 1)), 0), _BAR - 1)
        bar = "-" * place + "|" + "-" * (_BAR - 1 - place)
        room = min(axis.commanded - axis.position_min, axis.position_max - axis.commanded)
        numbers = [axis.commanded, axis.measured, axis.position_min, axis.position_max, room]
        commanded, measured, low, high, room_left = (f"{number * factor:9.3f}" for number in numbers)
        mark = ">" if i == self._selected else " "
        return f"{mark} {i + 1:2} {axis.name:12.12} {commanded} {measured} {unit:3} {low} [{bar}] {high} {room_left}"

    def _shown_in(self, axis: JogAxis) -> tuple[float, str]:
        if axis.unit is AxisUnit.M:
            return 1000.0, "mm"
        return (math.degrees(1.0), "deg") if self._in_degrees else (1.0, "rad")

    def _why(self, now_s: float) -> str:
        """What moves, or why what should move stands still."""
        axis, direction = self._axis, self._key.held(now_s)
        if not self._jog.is_in_force:
            return "nothing: it is not armed for jogging"
        if axis.commanded != self._progress:
            self._progress, self._progress_s = axis.commanded, now_s
        if not direction:
            return "nothing: no key is held"
        if refused := self._jog.refused_lately:
            return f"a command was refused: {refused}"
        if now_s - self._progress_s < _STANDS_STILL_S:
            return f"{axis.name} {'+' if direction > 0 else '-'}"
        return f"nothing: {self._jog.why_it_stands_still(axis, direction)}"
