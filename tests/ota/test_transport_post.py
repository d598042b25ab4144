"""What a robot hands over: it arrives whole, or there is a refusal; the server is a real one on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport, NetworkSettings, Span, TransferError
from edge_runtime.testing.web_server import Behaviour, Exchange, WebServer, always

STEADY = NetworkSettings()
QUICK = NetworkSettings(connect_s=2.0, silence_s=0.5, least_bytes_s=2000.0, window_s=0.5)


@contextlib.contextmanager
def serving(behaviour: Behaviour, network: NetworkSettings = STEADY) -> Iterator[tuple[WebServer, HttpTransport]]:
    with WebServer({"/one": b"one"}, always(behaviour)) as server, HttpTransport(network, SystemClock()) as transport:
        yield server, transport


def answer(status: int, **headers: str) -> Behaviour:
    return lambda exchange: exchange.answer(status, headers)


def test_what_is_handed_over_arrives_and_anything_but_200_is_a_refusal() -> None:
    with serving(answer(200)) as (server, transport):
        transport.post(f"{server.url}/reports", b'{"a":1}')
        (request,) = server.requests
        assert (request.method, request.path, request.body) == ("POST", "/reports", b'{"a":1}')
        assert request.headers["content-type"] == "application/json"
        for status, refusal in [
            (201, OtaRefusal.UNEXPECTED_STATUS),
            (302, OtaRefusal.UNEXPECTED_STATUS),
            (403, OtaRefusal.FORBIDDEN),
            (503, OtaRefusal.SERVER_BUSY),
        ]:
            server.behave = always(answer(status, **{"Location": "/elsewhere", "Retry-After": "7"}))
            with pytest.raises(TransferError, match=f"/reports: status {status}") as caught:
                transport.post(f"{server.url}/reports", b"{}")
            assert caught.value.refusal is refusal
            assert (caught.value.status, caught.value.retry_after_s) == (status, 7.0)
        server.behave = always(answer(200))
        transport.post(f"{server.url}/reports", b"{}")
        assert len(server.requests) == 6, "no redirect was followed"


def test_nothing_is_handed_over_while_a_transfer_is_open() -> None:
    with serving(answer(200)) as (server, transport):
        url = f"{server.url}/one"
        with transport.open(Span(url), ceiling_bytes=100), pytest.raises(RuntimeError, match="open already"):
            transport.post(url, b"{}")
        transport.post(url, b"{}")
        assert [request.method for request in server.requests] == ["GET", "POST"]


def test_who_takes_what_is_handed_over_and_keeps_silent_is_too_slow() -> None:
    with serving(lambda exchange: exchange.silence(30.0), QUICK) as (server, transport):
        with pytest.raises(TransferError, match="/reports: ") as caught:
            transport.post(f"{server.url}/reports", b"{}")
        assert caught.value.refusal is OtaRefusal.SLOW_RETRIEVAL


def test_an_answer_that_trickles_is_too_slow() -> None:
    def trickle(exchange: Exchange) -> None:
        exchange.trickle(b"HTTP/1.1 200 Fine\r\nContent-Length: 0\r\nX: " + b"x" * 10_000, 0.05)

    with serving(trickle, QUICK) as (server, transport), pytest.raises(TransferError) as caught:
        transport.post(f"{server.url}/reports", b"{}")
    assert caught.value.refusal is OtaRefusal.SLOW_RETRIEVAL


def test_what_is_answered_beside_the_status_is_not_waited_for() -> None:
    def trickle(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 Fine\r\nContent-Length: 10000\r\n\r\n")
        exchange.trickle(b"x" * 10_000, 0.05)

    with serving(trickle, QUICK) as (server, transport):
        transport.post(f"{server.url}/reports", b"{}")


def test_a_portal_that_takes_everything_has_taken_nothing() -> None:
    with (
        serving(answer(200, **{"Content-Type": "text/html"})) as (server, transport),
        pytest.raises(TransferError, match="captive_portal"),
    ):
        transport.post(f"{server.url}/reports", b"{}")
