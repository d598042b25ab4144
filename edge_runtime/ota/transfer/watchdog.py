"""Cuts a connection on which nothing arrives, wherever the HTTP library happens to wait.

A timeout of a socket begins anew with every byte, so a peer that sends a byte now and then holds a caller in a
handshake, in headers or in a chunk's extension for days. Guarantees that such a wait ends. Trusts the kernel to wake
whoever reads from a connection that was shut down.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from types import TracebackType
from typing import Any

_CONNECTED = "connection.connect_tcp.complete"


class LastConnection:
    """The connection of a client that holds one at a time; `trace` goes into the request's extensions of httpx."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Called by httpcore at each of its steps; keeps a handle of a new connection that TLS leaves alone."""
        if event != _CONNECTED:
            return
        connected = info["return_value"].get_extra_info("socket")
        with self._lock:
            self._forget()
            self._socket = socket.socket(fileno=os.dup(connected.fileno()))

    def cut(self) -> None:
        """End the connection from any thread; whoever reads from it wakes up."""
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the second handle back."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Watchdog:
    """While entered: cuts `connection` once `patience_s` pass in waiting. `waiting` and `resting` say when that is."""

    def __init__(self, connection: LastConnection, patience_s: float) -> None:
        self.has_bitten = False
        self._connection = connection
        self._patience_s = patience_s
        self._deadline_s = float("inf")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ota-watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self.waiting()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def waiting(self) -> None:
        """The peer is awaited from now on."""
        self._deadline_s = time.monotonic() + self._patience_s

    def resting(self) -> None:
        """It is not: what takes time now is our own."""
        self._deadline_s = float("inf")

    def _watch(self) -> None:
        while not self._done.wait(min(self._patience_s, max(0.0, self._deadline_s - time.monotonic()))):
            if time.monotonic() >= self._deadline_s:
                self.has_bitten = True
                # Again at every turn: a connection made after this instant, by a redirect, must end too.
                self._connection.cut()
                self._done.wait(0.05)
