"""The hub's connections: how many there may be, of whom, and how long each may make the hub wait.

Guarantees: a connection that waits for its peer ends: for a request's headers (a TLS handshake among that) after
`headers_within_s`, for a reader that takes less than `least_bytes_s` after `slow_s`. When all places are taken, or one
peer has its share, the one that has waited longest for its peer gives way to the new one, so that whoever asks at once
is heard; what the hub is working at never gives way. Above `most` there are places for operators alone.
Refuses to know HTTP: `Tended` tells it what each connection waits for. Trusts the event loop to call it in its thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

_LOOK_EVERY_S = 1.0
_STALLED_S = 5.0
# Of Linux' struct tcp_info: bytes that the peer has acknowledged, and those that wait to be sent to it.
_ACKNOWLEDGED, _UNACKNOWLEDGED, _UNSENT = ("Q", 120), ("I", 24), ("I", 144)
_TCP_INFO_BYTES = 192


@dataclass(frozen=True)
class Limits:
    """What is asked of connections.

    Attributes:
        most: how many there may be; `for_operators` more for who has the token.
        of_one_peer: how many of them one address may have; a proxy in front of the hub is one.
        headers_within_s: from a connection, or the end of an answer, to the end of the next request's headers.
        least_bytes_s: what a reader takes at least, over `slow_s`; far below what robots give up at themselves.
    """

    most: int = 1000
    for_operators: int = 32
    of_one_peer: int = 500
    headers_within_s: float = 10.0
    slow_s: float = 30.0
    least_bytes_s: float = 100.0


Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Phase(Enum):
    """What a connection waits for."""

    HEADERS = "headers"
    BODY = "body"
    READER = "reader"
    WORK = "work"


class Connection(socket.socket):
    """One accepted connection; asyncio closes it as any other socket, and it leaves the list with that."""

    def begin(self, listed: Connections, address: Any) -> None:
        """Take a place."""
        self.peer = _peer(address)
        self.key = _key(address)
        self.is_operator = False
        self.is_for_operators = False
        self._listed = listed
        self._acked, self._acked_s = 0, time.monotonic()
        self.enter(Phase.HEADERS)

    @property
    def waits_since_s(self) -> float:
        """Since when the hub has waited for the rest of what the peer began to send, or for it to take something."""
        return max(self._acked_s, self.since_s) if self.phase is Phase.READER else self.asks_since_s

    def enter(self, phase: Phase) -> None:
        """From now on it waits for this."""
        if phase is Phase.HEADERS:
            self.asks_since_s = time.monotonic()
        self.phase = phase
        self.since_s = self._window_s = time.monotonic()
        self._window_acked = self._acked

    def look(self, now_s: float) -> bool:
        """Whether it may go on."""
        if self.phase in (Phase.WORK, Phase.BODY):
            return True
        acked, pending = self._progress()
        if acked > self._acked:
            self._acked, self._acked_s = acked, now_s
        if pending or self.phase is Phase.READER:
            # What was answered is still on its way: the headers of the next request are not due yet.
            if self.phase is Phase.HEADERS:
                self.since_s = self.asks_since_s = now_s
            limits = self._listed.limits
            if now_s - self._window_s < limits.slow_s:
                return True
            taken, self._window_acked = acked - self._window_acked, acked
            window_s, self._window_s = now_s - self._window_s, now_s
            return taken >= limits.least_bytes_s * window_s
        self._window_s, self._window_acked = now_s, acked
        return now_s - self.since_s < self._listed.limits.headers_within_s

    def gives_way(self, now_s: float) -> bool:
        """Whether another one may have its place."""
        if self.is_operator or self.phase is Phase.WORK:
            return False
        return self.phase is not Phase.READER or now_s - self.waits_since_s > _STALLED_S

    def end(self) -> None:
        """Let go of the peer; asyncio sees the end of it and closes."""
        with contextlib.suppress(OSError):
            self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the place back."""
        self._listed.forget(self)
        super().close()

    def _progress(self) -> tuple[int, int]:
        """Bytes that the peer has taken so far, and bytes that it has not yet."""
        try:
            info = self.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
            acked, unacked, unsent = (struct.unpack_from(form, info, at)[0] for form, at in _FIELDS)
        except (OSError, struct.error):
            return self._acked, 0
        return acked, unacked + unsent


_FIELDS = (_ACKNOWLEDGED, _UNACKNOWLEDGED, _UNSENT)


class Connections:
    """All connections of one server."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._all: dict[Any, Connection] = {}
        self._of_peer: Counter[str] = Counter()
        self._looking: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._all)

    def find(self, address: Any) -> Connection | None:
        """The connection with that peer's address and port."""
        return self._all.get(_key(address))

    def admit(self, connection: Connection, address: Any) -> bool:
        """Give a new connection a place; False: there is none for it."""
        connection.begin(self, address)
        now_s = time.monotonic()
        limits = self.limits
        is_greedy = self._of_peer[connection.peer] >= limits.of_one_peer
        if is_greedy or len(self._all) >= limits.most:
            # Where one peer has its share, it is its own connections that give way; else those of whoever has most.
            most = connection.peer if is_greedy else self._of_peer.most_common(1)[0][0]
            given_up = self._longest(now_s, most) or (None if is_greedy else self._longest(now_s, None))
            if given_up is not None:
                self.forget(given_up)
                given_up.end()
            else:
                connection.is_for_operators = True
                over = max(len(self._all) - limits.most, self._of_peer[connection.peer] - limits.of_one_peer)
                if over >= limits.for_operators:
                    return False
        self._all[connection.key] = connection
        self._of_peer[connection.peer] += 1
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)
        return True

    def forget(self, connection: Connection) -> None:
        """It is no longer there."""
        if self._all.get(connection.key) is connection:
            del self._all[connection.key]
            self._of_peer[connection.peer] -= 1
            if not self._of_peer[connection.peer]:
                del self._of_peer[connection.peer]

    def _longest(self, now_s: float, peer: str | None) -> Connection | None:
        """Who has made the hub wait longest: of `peer`, or of all."""
        waiting = [one for one in self._all.values() if (peer is None or one.peer == peer) and one.gives_way(now_s)]
        return min(waiting, key=lambda one: one.waits_since_s, default=None)

    def _look(self) -> None:
        self._looking = None
        now_s = time.monotonic()
        for connection in [one for one in self._all.values() if not one.look(now_s)]:
            connection.end()
        if self._all:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)


class Listener(socket.socket):
    """A listening socket whose connections are counted."""

    connections: Connections

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that has a place."""
        while True:
            descriptor, address = self._accept()  # type: ignore[attr-defined]
            connection = Connection(self.family, self.type, self.proto, fileno=descriptor)
            if self.connections.admit(connection, address):
                return connection, address
            connection.end()
            connection.close()


def listen(host: str, port: int, connections: Connections) -> Listener:
    """Listen at `host` and `port` (0: any that is free).

    Raises:
        OSError: can't listen there.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = Listener(family, socket.SOCK_STREAM)
    listener.connections = connections
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # From here on a question waits for its answer.
        listener.listen(socket.SOMAXCONN)
    except BaseException:
        listener.close()
        raise
    return listener


class Tended:
    """The application, with what each of its connections waits for, and where it is full for operators alone."""

    def __init__(self, app: App, connections: Connections, operator_token: str) -> None:
        self._app = app
        self._connections = connections
        self._operator = f"Bearer {operator_token}".encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request, by ASGI."""
        connection = self._connections.find(scope.get("client")) if scope["type"] == "http" else None
        if connection is None:
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        connection.is_operator = hmac.compare_digest(given, self._operator)
        if connection.is_for_operators and not connection.is_operator:
            await _say_busy(send)
            return
        connection.enter(Phase.WORK)

        async def received() -> Message:
            connection.enter(Phase.BODY)
            try:
                return await receive()
            finally:
                connection.enter(Phase.WORK)

        async def sent(message: Message) -> None:
            if connection.phase is not Phase.READER:
                connection.enter(Phase.READER)
            await send(message)

        try:
            await self._app(scope, received, sent)
        finally:
            connection.is_operator = False
            connection.enter(Phase.HEADERS)


async def _say_busy(send: Send) -> None:
    body = b'{"refusal":"busy","detail":"all connections are taken; ask again soon"}'
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"5"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _peer(address: Any) -> str:
    """Who that is: an address, or of IPv6 the network that one customer has."""
    host = str(address[0]) if isinstance(address, tuple) else ""
    with contextlib.suppress(ValueError):
        found = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(found, ipaddress.IPv6Address):
            found = found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False).network_address
        return str(found)
    return host


def _key(address: Any) -> Any:
    """What tells a connection from all others, as the event loop and ASGI both have it."""
    return tuple(address[:2]) if isinstance(address, tuple | list) else address
