"""Starts, feeds and ends the process that has a hand on a UR arm (`servo.py`).

Guarantees that the hand is ended where it does not answer for `STALLED` times the controller's watchdog: the arm is
stopped by then, and what it would still say is old.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from edge_runtime.drivers.ur.messages import Answer, Order, Verb
from edge_runtime.drivers.ur.settings import UrSettings

STALLED = 1.5
_UPLOAD_MAX_S = 10.0
_END_MAX_S = 3.0
_ZERO = np.zeros(6)


class HandState(Enum):
    """How far a hand is."""

    COMING = "uploading its program"
    READY = "ready"
    GONE = "gone"


class Hand:
    """One such process, from its start to its end. No call of it waits, but for `end`.

    Attributes:
        state: how far it is.
        words: why it is gone.
    """

    def __init__(self, settings: UrSettings, rate_hz: float) -> None:
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.setblocking(False)
        self._stalled_s = STALLED * settings.watchdog_s
        values = (settings.lookahead_s, settings.gain, settings.stop_rad_s2, settings.watchdog_s, theirs.fileno())
        command = [
            sys.executable,
            "-m",
            "edge_runtime.drivers.ur.servo",
            settings.host,
            str(rate_hz),
            *map(str, values),
        ]
        with theirs:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        self._asked_s: float | None = time.monotonic()
        self.state = HandState.COMING
        self.words = ""

    def follow(self, q: NDArray[np.float64], dq: NDArray[np.float64]) -> None:
        """Have the arm go to `q`, (6,) rad, which moves at `dq`, (6,) rad/s."""
        self._order(Order(Verb.FOLLOW, time.monotonic_ns(), q, dq))

    def hold(self) -> None:
        """Have the arm come to rest, and stay."""
        self._order(Order(Verb.HOLD, time.monotonic_ns(), _ZERO, _ZERO))

    def _order(self, order: Order) -> None:
        if self.state is HandState.READY:
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                self._link.send(order.packed())
            if self._asked_s is None:
                self._asked_s = time.monotonic()

    def look(self) -> None:
        """Hear what it has answered; end it where it has not for too long."""
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while not self._is_gone() and (data := self._link.recv(1024)):
                self._hear(data)
        if self._is_gone():
            return
        patience_s = _UPLOAD_MAX_S if self.state is HandState.COMING else self._stalled_s
        if self._process.poll() is not None:
            self._go("its process has ended")
        elif self._asked_s is not None and time.monotonic() - self._asked_s > patience_s:
            self.kill(f"it does not answer for {patience_s:g} s")

    def _is_gone(self) -> bool:
        return self.state is HandState.GONE

    def _hear(self, data: bytes) -> None:
        self._asked_s = None
        if data[0] == Answer.FAILED:
            self.kill(data[1:].decode(errors="replace"))
        else:
            self.state = HandState.READY

    def kill(self, words: str) -> None:
        """End it at once: the controller's watchdog stops the arm."""
        self._process.kill()
        self._process.wait()
        self._go(words)

    def end(self) -> None:
        """Have it come to rest and go, within three seconds."""
        if self.state is not HandState.READY:
            self.kill("")
            return
        self._order(Order.end())
        try:
            self._process.wait(_END_MAX_S)
        except subprocess.TimeoutExpired:
            self.kill("")
        self._go("")

    def _go(self, words: str) -> None:
        self.state, self.words = HandState.GONE, words
        self._link.close()
