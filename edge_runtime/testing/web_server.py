"""A real HTTP server on a socket of this machine that serves objects well, and badly on request.

Served well: ranges, strong entity tags, If-Range, kept connections, redirects are for the behaviours. A behaviour is a
function that gets the `Exchange` and writes whatever it wants to the connection; the server asks `behave` for one at
every request.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_RANGE = re.compile(r"bytes=(\d+)-(\d+)\Z")
SEND_BYTES = 64 * 1024


class Source(Protocol):
    """An object's bytes."""

    def __len__(self) -> int: ...

    def __getitem__(self, stretch: slice, /) -> bytes: ...


class FolderObjects(dict[str, Source]):
    """What lies below a folder at the moment it is asked for, by the path of a URL."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def get(self, path: str, default: Source | None = None) -> Source | None:  # type: ignore[override]
        """The file's bytes, `default` where there is none."""
        file = self._folder / path.lstrip("/")
        return file.read_bytes() if file.is_file() else default


@dataclass
class Request:
    """What a client asked for, with the body that it sent; `sent_bytes` of the answer's body went to the socket."""

    path: str
    headers: Mapping[str, str]
    first: int | None = None
    last: int | None = None
    method: str = "GET"
    body: bytes = b""
    sent_bytes: int = 0


class GoneError(Exception):
    """The connection ended, by either side."""


@dataclass
class Exchange:
    """One request and the connection it came on."""

    request: Request
    data: Source | None
    connection: socket.socket
    stopping: threading.Event = field(default_factory=threading.Event)

    def send(self, data: bytes) -> None:
        """Raw bytes, as they are."""
        try:
            self.connection.sendall(data)
        except OSError as error:
            raise GoneError from error

    def answer(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        """A whole answer."""
        lines = {"Content-Length": str(len(body)), **(headers or {})}
        self.send(_head(status, lines) + body)

    def serve(
        self,
        *,
        tag: str | None = '"one"',
        cut_after: int | None = None,
        reset: bool = False,
        bytes_s: float | None = None,
        flip_at: int | None = None,
    ) -> None:
        """The object or its range, as a good server would, but: cut after some bytes, slowly, or with a bit flipped."""
        data, request = self.data, self.request
        if data is None:
            self.answer(404)
            return
        first, last = 0, len(data) - 1
        asked = request.first is not None and request.last is not None
        if asked and request.headers.get("if-range", tag) == tag:
            assert request.first is not None
            assert request.last is not None
            if request.first >= len(data):
                self.answer(416, {"Content-Range": f"bytes */{len(data)}"})
                return
            first, last = request.first, min(request.last, last)
            status, headers = 206, {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
        else:
            status, headers = 200, {}
        if tag is not None:
            headers["ETag"] = tag
        self.send(_head(status, {**headers, "Content-Length": str(last - first + 1)}))
        self.body(data, first, last + 1, cut_after=cut_after, reset=reset, bytes_s=bytes_s, flip_at=flip_at)

    def body(
        self,
        data: Source,
        first: int,
        end: int,
        *,
        cut_after: int | None = None,
        reset: bool = False,
        bytes_s: float | None = None,
        flip_at: int | None = None,
    ) -> None:
        """Bytes `first` to `end` of `data`."""
        stop = end if cut_after is None else min(end, first + cut_after)
        at = first
        while at < stop:
            size = SEND_BYTES if bytes_s is None else max(1, int(bytes_s / 20))
            part = data[at : min(at + size, stop)]
            if flip_at is not None and at <= flip_at < at + len(part):
                altered = bytearray(part)
                altered[flip_at - at] ^= 1
                part = bytes(altered)
            self.send(part)
            at += len(part)
            self.request.sent_bytes += len(part)
            if bytes_s is not None and self.stopping.wait(len(part) / bytes_s):
                raise GoneError
        if stop < end:
            self.cut(reset=reset)

    def trickle(self, data: bytes, interval_s: float) -> None:
        """A byte at a time."""
        for value in data:
            self.send(bytes([value]))
            if self.stopping.wait(interval_s):
                raise GoneError

    def silence(self, seconds: float) -> None:
        """Nothing, for a time."""
        self.stopping.wait(seconds)

    def cut(self, *, reset: bool = False) -> None:
        """End the connection; a reset throws away what the other side has not read yet."""
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise GoneError


Behaviour = Callable[[Exchange], None]


class WebServer:
    """Serves `objects` by path while entered. `behave` may name a behaviour for a request; None serves it well."""

    def __init__(
        self,
        objects: Mapping[str, Source],
        behave: Callable[[Request], Behaviour | None] = lambda _request: None,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.objects = dict(objects)
        self.behave = behave
        self.requests: list[Request] = []
        self.connections = 0
        self._tls = tls
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://localhost:{self._listener.getsockname()[1]}"

    @property
    def sent_bytes(self) -> int:
        """Of all bodies of objects."""
        return sum(request.sent_bytes for request in self.requests)

    def __enter__(self) -> WebServer:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        # Whoever waits for a client wakes up.
        with self._lock:
            for waiting in (self._listener, *self._open):
                with contextlib.suppress(OSError):
                    waiting.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=10.0)
        self._listener.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._stopping.is_set():
                connection, _ = self._listener.accept()
                self.connections += 1
                self._start(self._converse, connection)

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(30.0)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError, GoneError), contextlib.ExitStack() as stack:
            stack.callback(connection.close)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                stack.callback(connection.close)
            with self._lock:
                self._open.add(connection)
                stack.callback(self._open.discard, connection)
            for request in _requests(connection):
                if self._stopping.is_set():
                    return
                with self._lock:
                    self.requests.append(request)
                exchange = Exchange(request, self.objects.get(request.path), connection, self._stopping)
                (self.behave(request) or Exchange.serve)(exchange)


def in_turn(*behaviours: Behaviour | None) -> Callable[[Request], Behaviour | None]:
    """The n-th request meets the n-th behaviour; all after the last one are served well."""
    waiting = iter(behaviours)
    return lambda _request: next(waiting, None)


def always(behaviour: Behaviour) -> Callable[[Request], Behaviour | None]:
    """Every request meets it."""
    return lambda _request: behaviour


def _requests(connection: socket.socket) -> Iterator[Request]:
    buffer = b""
    while True:
        head, separator, rest = buffer.partition(b"\r\n\r\n")
        if separator:
            request = _parsed(head.decode("ascii"))
            length = int(request.headers.get("content-length", "0"))
            if len(rest) >= length:
                request.body, buffer = rest[:length], rest[length:]
                yield request
                continue
        came = connection.recv(65536)
        if not came:
            return
        buffer += came


def _parsed(head: str) -> Request:
    start, *lines = head.split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    asked = _RANGE.match(headers.get("range", ""))
    first, last = (int(asked[1]), int(asked[2])) if asked else (None, None)
    method, path, _ = start.split(" ")
    return Request(path, headers, first, last, method)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode("ascii")
