"""A person who jogs, for tests and benchmarks: `edge-runtime jog` on a real terminal, and when the robot is at rest."""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.ipc.port import DriverPort

RIGHT, LEFT = b"\x1b[C", b"\x1b[D"
REPEAT_S = 0.033
"""From one repetition of a held key to the next."""


def jog_command(run_dir: Path, *arguments: object) -> list[str]:
    """A command line that runs `edge-runtime jog`."""
    program = "from edge_runtime.cli import main; main()"
    return [sys.executable, "-c", program, "jog", *map(str, arguments), "--run-dir", str(run_dir)]


class WatchedRobot:
    """What a robot is commanded, looked at every millisecond.

    Args:
        port: attached to its driver.
    """

    def __init__(self, port: DriverPort) -> None:
        self._port = port

    def position(self) -> NDArray[np.float64]:
        """Where the axes are commanded to be.

        Raises:
            ValueError: nothing was commanded yet.
        """
        command = self._port.read_command()
        if command is None:
            raise ValueError("nothing was commanded yet")
        return command.q

    def moves(self) -> bool:
        """Whether an axis is commanded to move."""
        command = self._port.read_command()
        return command is not None and bool((command.dq != 0.0).any())

    def rest_after_s(self, since_s: float, timeout_s: float = 5.0) -> float:
        """How long after `since_s` the axes were last commanded to move, once they have stood still for a while.

        Raises:
            TimeoutError: they go on.
        """
        last_s = since_s
        while time.monotonic() - last_s < 0.3:
            if self.moves():
                last_s = time.monotonic()
            if last_s - since_s > timeout_s:
                raise TimeoutError("the robot goes on moving")
            time.sleep(0.001)
        return last_s - since_s


class Typist:
    """`edge-runtime jog` on a terminal of its own, and a person who types on it.

    Args:
        run_dir: of the robot.
        more: arguments of the command.
        tells_release: the terminal says when a key is let go.

    Attributes:
        seen: what was drawn lately.
        pid: of the process; 0 once it has ended.
        terminal: descriptor of the person's side.
    """

    def __init__(self, run_dir: Path, *more: object, tells_release: bool = False) -> None:
        self.seen = b""
        arguments = jog_command(run_dir, *more)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execv(arguments[0], arguments)
        os.set_blocking(self.terminal, False)
        self.see(rb"\x1b\[\?u\x1b\[c", 20.0)
        self.type(b"\x1b[?0u\x1b[?62;c" if tells_release else b"\x1b[?62;c")

    def type(self, keys: bytes) -> None:
        """Send these bytes."""
        os.write(self.terminal, keys)

    def look(self) -> None:
        """Take in what was drawn."""
        try:
            while data := os.read(self.terminal, 65536):
                self.seen = (self.seen + data)[-200_000:]
        except OSError:
            return

    def see(self, pattern: bytes, timeout_s: float = 10.0) -> None:
        """Wait until that is in what was drawn from now on.

        Raises:
            TimeoutError: with what was.
        """
        self.seen = b""
        deadline_s = time.monotonic() + timeout_s
        while not re.search(pattern, self.seen):
            self.look()
            if time.monotonic() > deadline_s:
                raise TimeoutError(self.seen[-4000:].decode(errors="replace"))
            time.sleep(0.01)

    def hold(self, key: Sequence[bytes], seconds: float) -> float:
        """Hold a key: pressed, and after a pause repeated; the instant of the last repetition."""
        self.type(key[0])
        time.sleep(0.3)
        last_s = time.monotonic()
        until_s = last_s + seconds
        while time.monotonic() < until_s:
            last_s = time.monotonic()
            self.type(key[-1])
            self.look()
            time.sleep(REPEAT_S)
        return last_s

    def ended(self, timeout_s: float = 10.0) -> int | None:
        """Exit code of the process; None if it goes on."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            self.look()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        return None

    def close(self) -> None:
        """Kill the process if it goes on, and close the terminal."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.terminal)
