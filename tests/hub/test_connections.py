"""Connections that make the hub wait: they end, they give way, and operators are heard meanwhile."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from hub.api.connections import Connections, Limits, Message, Receive, Send, Tended, listen
from tests.hub.served import ServedHub

TOKEN = "t" * 32
HALF = b"GET /health HTTP/1.1\r\nHost: hub\r\nX-Slow: "


def connected(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=10.0)


def is_closed(connection: socket.socket, within_s: float) -> bool:
    connection.settimeout(within_s)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def read_to_its_end(connection: socket.socket) -> int:
    """How many bytes are left in it."""
    size = 0
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(1 << 20):
            size += len(part)
    return size


def address_of(url: str) -> tuple[str, int]:
    host, _, port = url.rpartition("/")[2].partition(":")
    return host, int(port)


@contextmanager
def trickling(connections: list[socket.socket], every_s: float = 5.0) -> Iterator[None]:
    """A byte from each, again and again."""
    ending = threading.Event()

    def trickle() -> None:
        while not ending.wait(every_s):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.send(b"x", socket.MSG_DONTWAIT)

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def test_a_thousand_half_headers_keep_nobody_out(served: ServedHub) -> None:
    address = address_of(served.url)
    slow: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            connection = stack.enter_context(connected(address))
            connection.sendall(HALF)
            slow.append(connection)
        with trickling(slow):
            began_s, longest_s, asked = time.monotonic(), 0.0, 0
            # As long as a header may take, robots and operators are heard, on connections that are all new.
            while time.monotonic() - began_s < 12.0:
                at_s = time.monotonic()
                assert httpx.get(f"{served.url}/health", timeout=5.0).status_code == 200
                listed = httpx.get(f"{served.url}/v1/robots", headers=served.operator, timeout=5.0)
                assert listed.status_code == 200
                longest_s, asked = max(longest_s, time.monotonic() - at_s), asked + 1
            assert longest_s < 5.0
            assert asked > 5
        with selectors.DefaultSelector() as ended:
            for connection in slow:
                ended.register(connection, selectors.EVENT_READ)
            # All of them have ended by now: each has something to read, which is the end.
            deadline_s = time.monotonic() + 10.0
            while len(ended.select(0.5)) < 1000:
                assert time.monotonic() < deadline_s


def test_a_silent_connection_is_not_kept(served: ServedHub) -> None:
    with connected(address_of(served.url)) as silent, connected(address_of(served.url)) as idle:
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: hub\r\n\r\n")
        assert is_closed(idle, 9.0)
        assert is_closed(silent, 13.0)


async def answering(scope: Message, receive: Receive, send: Send) -> None:
    """`/big`: more than any buffer holds. `/body`: reads it. `/work`: takes its time. Else a word."""
    body = b"fine"
    if scope["path"] == "/body":
        while (await receive()).get("more_body"):
            pass
    if scope["path"] == "/work":
        import asyncio

        await asyncio.sleep(3.0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/big":
        for _ in range(512):
            await send({"type": "http.response.body", "body": bytes(1 << 18), "more_body": True})
    await send({"type": "http.response.body", "body": body})


Serve = Callable[[Limits], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve `answering` under limits; returns the URL."""
    with contextlib.ExitStack() as stack:

        def start(limits: Limits) -> str:
            connections = Connections(limits)
            listening = listen("127.0.0.1", 0, connections)
            config = uvicorn.Config(
                Tended(answering, connections, TOKEN),
                loop="asyncio",
                http="h11",
                lifespan="off",
                proxy_headers=False,
                log_level="error",
            )
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
            thread.start()

            def stop() -> None:
                server.should_exit = server.force_exit = True
                thread.join(20.0)
                listening.close()

            stack.callback(stop)
            return f"http://127.0.0.1:{listening.getsockname()[1]}"

        yield start


def test_a_reader_that_takes_too_little_is_let_go(serve: Serve) -> None:
    url = serve(Limits(slow_s=2.0, least_bytes_s=1000.0))
    with connected(address_of(url)) as slow, connected(address_of(url)) as trickle:
        for connection in (slow, trickle):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /big HTTP/1.1\r\nHost: hub\r\n\r\n")
        # One reads nothing, the other a byte now and then, for longer than they are given.
        for _ in range(14):
            time.sleep(0.5)
            trickle.recv(1)
        for connection in (slow, trickle):
            assert read_to_its_end(connection) < 512 * (1 << 18)
        # Who reads on is served to the end, however long that takes.
        with httpx.stream("GET", f"{url}/big", timeout=10.0) as answer:
            size = 0
            for number, part in enumerate(answer.iter_raw(1 << 20)):
                size += len(part)
                time.sleep(0.1 if number < 60 else 0.0)
        assert size == 512 * (1 << 18) + 4


def test_what_waits_for_its_peer_gives_way_and_what_works_does_not(serve: Serve) -> None:
    url = serve(Limits(most=20, for_operators=2, of_one_peer=20, headers_within_s=60.0))
    address = address_of(url)
    with contextlib.ExitStack() as stack:
        bodies = [stack.enter_context(connected(address)) for _ in range(20)]
        for connection in bodies:
            connection.sendall(b"POST /body HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000000\r\n\r\nx")
        time.sleep(0.5)
        assert httpx.get(url, timeout=3.0).status_code == 200
        working = [stack.enter_context(connected(address)) for _ in range(20)]
        for connection in working:
            connection.sendall(b"GET /work HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
            time.sleep(0.02)
        time.sleep(0.3)
        # All places work: who comes now is told to come again, and an operator is heard.
        refused = None
        with contextlib.suppress(httpx.TransportError):
            refused = httpx.get(url, timeout=3.0)
        assert refused is None or refused.status_code == 503
        heard = httpx.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=3.0)
        assert heard.status_code == 200
        for connection in working:
            connection.settimeout(10.0)
            assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_one_peer_has_its_share(serve: Serve) -> None:
    url = serve(Limits(most=50, of_one_peer=5, headers_within_s=60.0))
    address = address_of(url)
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(connected(address)) for _ in range(10)]
        time.sleep(0.5)
        assert sum(is_closed(connection, 0.2) for connection in many) == 5
        assert httpx.get(url, timeout=3.0).status_code == 200


def test_a_handshake_that_does_not_end_is_not_kept(served: ServedHub, tmp_path: Path) -> None:
    key, certificate = tmp_path / "tls.key", tmp_path / "tls.pem"
    made = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", key, "-out", certificate, "-days", "2"]
    subprocess.run(["openssl", *map(str, made), "-subj", "/CN=hub"], check=True, capture_output=True)
    served.stop()
    served.start("--tls-certificate", str(certificate), "--tls-key", str(key), ask=False)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connected(address_of(served.url)) as silent, connected(address_of(served.url)) as plain:
        with context.wrap_socket(plain) as talker:
            talker.sendall(HALF)
            assert is_closed(silent, 13.0)
            assert is_closed(talker, 13.0)
        assert httpx.get(f"{served.url}/health", verify=context).status_code == 200
