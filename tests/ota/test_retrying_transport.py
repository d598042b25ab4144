"""Small objects over a network that fails: asked for again, except where that is of no use."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.ota.transfer.retrying_transport import RetryingTransport
from edge_runtime.ota.transfer.transport import HttpTransport, NetworkSettings, Span, TransferError
from edge_runtime.testing.web_server import Behaviour, Exchange, Request, WebServer, always, in_turn
from tests.ota.packed_releases import LeapingClock

DATA = bytes(range(256)) * 600
NETWORK = NetworkSettings(silence_s=3.0)


def status(number: int, **headers: str) -> Behaviour:
    return lambda exchange: exchange.answer(number, {name.replace("_", "-"): value for name, value in headers.items()})


def cut(exchange: Exchange) -> None:
    exchange.serve(cut_after=70_000)


def silent(exchange: Exchange) -> None:
    exchange.silence(9.0)


def fetch(
    behave: Callable[[Request], Behaviour | None], span: tuple[int, int | None] = (0, None)
) -> tuple[bytes, int, list[float]]:
    clock = LeapingClock()
    with WebServer({"/1.root.json": DATA}, behave) as server, HttpTransport(NETWORK, clock) as http:
        transport = RetryingTransport(http, clock, draw=lambda: 1.0)
        try:
            with transport.open(Span(f"{server.url}/1.root.json", *span), ceiling_bytes=len(DATA)) as reply:
                assert reply.entity_tag == '"one"'
                return b"".join(reply), len(server.requests), clock.waits
        except TransferError as error:
            error.args = (*error.args, len(server.requests))
            raise


def test_what_fails_is_asked_for_again_from_the_start() -> None:
    data, requests, waits = fetch(in_turn(cut, status(503, Retry_After="5"), silent))
    assert data == DATA
    assert requests == 4
    assert waits == [0.5, 6.0, 2.0]


@pytest.mark.parametrize(
    ("behaviour", "refusal", "requests"),
    [
        (status(403), OtaRefusal.FORBIDDEN, 1),
        (status(404), OtaRefusal.NOT_FOUND, 1),
        (status(500), OtaRefusal.SERVER_ERROR, 4),
        (status(503, Retry_After="3600"), OtaRefusal.SERVER_BUSY, 1),
        (cut, OtaRefusal.DISCONNECTED, 4),
        (lambda exchange: exchange.answer(200, {}, DATA + b"x"), OtaRefusal.ENDLESS_DATA, 1),
    ],
)
def test_it_ends(behaviour: Behaviour, refusal: OtaRefusal, requests: int) -> None:
    with pytest.raises(TransferError) as caught:
        fetch(always(behaviour))
    assert caught.value.refusal is refusal
    assert caught.value.args[-1] == requests


def test_parts_pass_through() -> None:
    assert fetch(always(Exchange.serve), (10, 20)) == (DATA[10:20], 1, [])
    with pytest.raises(TransferError, match="disconnected"):
        fetch(always(cut), (0, 100_000))
