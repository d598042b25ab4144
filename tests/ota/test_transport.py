"""The transport against real servers on this machine that keep, bend and break the rules of HTTP."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport, NetworkSettings, Span, TransferError
from edge_runtime.ota.trust.repository import read_whole
from edge_runtime.testing.web_server import Behaviour, Exchange, WebServer, always

DATA = bytes(range(256)) * 1024
STEADY = NetworkSettings()
QUICK = NetworkSettings(connect_s=2.0, silence_s=1.0, least_bytes_s=2000.0, window_s=1.0)
"""For what is to be too slow. Whoever only waits for an answer is not to fail on a busy machine."""
PATH = "/packs/one.pack"


def read_into(parts: list[bytes], transport: HttpTransport, span: Span, *, ceiling_bytes: int) -> None:
    with transport.open(span, ceiling_bytes=ceiling_bytes) as reply:
        parts.extend(reply)


def read(transport: HttpTransport, span: Span, *, ceiling_bytes: int = 1 << 20) -> bytes:
    parts: list[bytes] = []
    read_into(parts, transport, span, ceiling_bytes=ceiling_bytes)
    return b"".join(parts)


@contextlib.contextmanager
def serving(
    behaviour: Behaviour | None = None, network: NetworkSettings = STEADY
) -> Iterator[tuple[WebServer, HttpTransport]]:
    server = WebServer({PATH: DATA})
    if behaviour is not None:
        server.behave = always(behaviour)
    with server, HttpTransport(network, SystemClock()) as transport:
        yield server, transport


def test_the_whole_and_parts_come_exactly_over_one_kept_connection() -> None:
    with serving() as (server, transport):
        url = server.url + PATH
        assert read(transport, Span(url)) == DATA
        for offset, end in [(0, 1), (0, len(DATA)), (777, 200_001), (len(DATA) - 1, len(DATA))]:
            assert read(transport, Span(url, offset, end, len(DATA), '"one"')) == DATA[offset:end]
        assert server.connections == 1
        assert {request.headers["accept-encoding"] for request in server.requests} == {"identity"}
        assert server.requests[-1].headers["if-range"] == '"one"'


def test_a_reply_names_the_state_of_the_object_if_the_server_vouches_for_its_bytes() -> None:
    with serving() as (server, transport):
        for tag, expected in [('"one"', '"one"'), ('W/"one"', None), (None, None), ('"a b"', None)]:
            server.behave = always(lambda exchange, tag=tag: exchange.serve(tag=tag))  # type: ignore[misc]
            with transport.open(Span(server.url + PATH), ceiling_bytes=1 << 20) as reply:
                assert reply.entity_tag == expected
                assert b"".join(reply) == DATA


def answer(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.answer(status, lines, body)


def raw(data: bytes) -> Behaviour:
    def behave(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.cut()

    return behave


CHUNKED_HEAD = (
    b'HTTP/1.1 206 Fine\r\nETag: "one"\r\nContent-Range: bytes 100-199/262144\r\nTransfer-Encoding: chunked\r\n\r\n'
)


def chunked(part: bytes, count: int) -> Behaviour:
    def behave(exchange: Exchange) -> None:
        exchange.send(CHUNKED_HEAD)
        for _ in range(count):
            exchange.send(b"%x\r\n%s\r\n" % (len(part), part))
        exchange.send(b"0\r\n\r\n")

    return behave


def trickled(data: bytes, interval_s: float = 0.05) -> Behaviour:
    return lambda exchange: exchange.trickle(data, interval_s)


def after_head(data: bytes, interval_s: float) -> Behaviour:
    def behave(exchange: Exchange) -> None:
        exchange.send(CHUNKED_HEAD)
        exchange.trickle(data, interval_s)

    return behave


RANGE = "bytes 100-199/262144"
PART = DATA[100:200]

MISBEHAVIOURS: dict[str, tuple[Behaviour, OtaRefusal]] = {
    "unauthorized": (answer(401), OtaRefusal.FORBIDDEN),
    "forbidden": (answer(403), OtaRefusal.FORBIDDEN),
    "not there": (answer(404), OtaRefusal.NOT_FOUND),
    "gone": (answer(410), OtaRefusal.NOT_FOUND),
    "took too long itself": (answer(408), OtaRefusal.SERVER_ERROR),
    "changed, says 412": (answer(412), OtaRefusal.OBJECT_CHANGED),
    "shorter than the range": (answer(416), OtaRefusal.WRONG_RANGE),
    "teapot": (answer(418), OtaRefusal.UNEXPECTED_STATUS),
    "no content": (answer(204), OtaRefusal.UNEXPECTED_STATUS),
    "too many requests": (answer(429), OtaRefusal.SERVER_BUSY),
    "broken": (answer(500), OtaRefusal.SERVER_ERROR),
    "bad gateway": (answer(502), OtaRefusal.SERVER_ERROR),
    "busy": (answer(503), OtaRefusal.SERVER_BUSY),
    "the whole in place of the range": (answer(200, DATA, ETag='"one"'), OtaRefusal.RANGE_IGNORED),
    "a login page": (answer(200, b"<html>", ETag='"one"', Content_Type="text/html"), OtaRefusal.CAPTIVE_PORTAL),
    "another start": (answer(206, PART, Content_Range="bytes 99-198/262144", ETag='"one"'), OtaRefusal.WRONG_RANGE),
    "fewer": (answer(206, PART[:50], Content_Range="bytes 100-149/262144", ETag='"one"'), OtaRefusal.WRONG_RANGE),
    "more": (answer(206, PART * 2, Content_Range="bytes 100-299/262144", ETag='"one"'), OtaRefusal.WRONG_RANGE),
    "no range named": (answer(206, PART, ETag='"one"'), OtaRefusal.WRONG_RANGE),
    "a range of no sense": (answer(206, PART, Content_Range="bytes x-y/z", ETag='"one"'), OtaRefusal.WRONG_RANGE),
    "an object of another size": (
        answer(206, PART, Content_Range="bytes 100-199/262145", ETag='"one"'),
        OtaRefusal.WRONG_LENGTH,
    ),
    "a body of another size": (answer(206, PART + b"x", Content_Range=RANGE, ETag='"one"'), OtaRefusal.WRONG_LENGTH),
    "compressed": (
        answer(206, PART, Content_Range=RANGE, ETag='"one"', Content_Encoding="gzip"),
        OtaRefusal.WRONG_ENCODING,
    ),
    "another state, in part": (answer(206, PART, Content_Range=RANGE, ETag='"two"'), OtaRefusal.OBJECT_CHANGED),
    "another state, whole": (lambda exchange: exchange.serve(tag='"two"'), OtaRefusal.OBJECT_CHANGED),
    "no state any more": (answer(206, PART, Content_Range=RANGE), OtaRefusal.OBJECT_CHANGED),
    "cut in the body": (lambda exchange: exchange.serve(cut_after=40), OtaRefusal.DISCONNECTED),
    "reset in the body": (lambda exchange: exchange.serve(cut_after=40, reset=True), OtaRefusal.DISCONNECTED),
    "cut before the head": (raw(b""), OtaRefusal.DISCONNECTED),
    "cut in the head": (raw(b"HTTP/1.1 206 Fi"), OtaRefusal.DISCONNECTED),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), OtaRefusal.DISCONNECTED),
    "a head without end": (raw(b"HTTP/1.1 200 Fine\r\n" + b"X: y\r\n" * 100_000), OtaRefusal.DISCONNECTED),
    "silent": (lambda exchange: exchange.silence(5.0), OtaRefusal.SLOW_RETRIEVAL),
    "a byte of the head now and then": (
        trickled(b"HTTP/1.1 206 Fine\r\n" + b"X: y\r\n" * 20),
        OtaRefusal.SLOW_RETRIEVAL,
    ),
    "a byte of a chunk's extension now and then": (after_head(b"64;" + b"x" * 60, 0.05), OtaRefusal.SLOW_RETRIEVAL),
    "a byte of the body now and then": (lambda exchange: exchange.serve(bytes_s=10.0), OtaRefusal.SLOW_RETRIEVAL),
    "redirected to nowhere": (answer(302), OtaRefusal.REDIRECT_REFUSED),
    "redirected for ever": (answer(302, Location=PATH), OtaRefusal.REDIRECT_REFUSED),
    "redirected to what is no name": (answer(302, Location="http://a..b/x"), OtaRefusal.UNREACHABLE),
    "redirected to a name too long": (answer(302, Location=f"http://{'a' * 99}.de/x"), OtaRefusal.UNREACHABLE),
    "redirected to a name of no script": (answer(302, Location="http://xn--a/x"), OtaRefusal.UNREACHABLE),
    "redirected elsewhere than the web": (answer(302, Location="ftp://localhost/x"), OtaRefusal.REDIRECT_REFUSED),
}


@pytest.mark.parametrize("case", MISBEHAVIOURS)
def test_each_misbehaviour_has_its_name_and_its_end(case: str) -> None:
    behaviour, refusal = MISBEHAVIOURS[case]
    network = QUICK if refusal is OtaRefusal.SLOW_RETRIEVAL else STEADY
    with serving(behaviour, network) as (server, transport):
        started_s = time.monotonic()
        with pytest.raises(TransferError) as caught:
            read(transport, Span(server.url + PATH, 100, 200, len(DATA), '"one"'))
        assert caught.value.refusal is refusal
        assert time.monotonic() - started_s < 15.0
        # And the same transport serves on.
        server.behave = always(Exchange.serve)
        assert read(transport, Span(server.url + PATH, 100, 200, len(DATA), '"one"')) == PART


HEAD_PARTS = st.sampled_from(
    [
        b"HTTP/1.1 206 Fine",
        b"HTTP/1.1 200 Fine",
        b"HTTP/1.1 302 There",
        b"HTTP/1.0 206",
        b"HTTP/1.1 100 Go on",
        b"HTTP/1.1 999 What",
        b"Content-Range: bytes 100-199/262144",
        b"Content-Range: bytes 100-199/*",
        b"Content-Range: bytes \xd9\xa1-\xd9\xa2/\xd9\xa3",
        b"Content-Length: 100",
        b"Content-Length: 1e2",
        b"Content-Length: 99999999999999999999",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Content-Encoding: br",
        b'ETag: "one"',
        b"ETag: \xff\x00",
        b"Location: http://[::1",
        b"Location: \xff\xfe",
        b"Location: //",
        b"Retry-After: \xd9\xa1",
        b"Set-Cookie: a=b; Max-Age=x",
        b"Connection: upgrade",
        b"",
        b"64",
        b"-1;x",
        PART,
    ]
)


@pytest.fixture(scope="module")
def reachable() -> Iterator[tuple[WebServer, HttpTransport]]:
    with serving() as both:
        yield both


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(st.one_of(HEAD_PARTS, st.binary(max_size=20)), max_size=9), is_plausible=st.booleans())
def test_whatever_a_server_says_ends_in_its_bytes_or_a_name(
    reachable: tuple[WebServer, HttpTransport], parts: list[bytes], is_plausible: bool
) -> None:
    server, transport = reachable
    start = [b"HTTP/1.1 206 Fine", b"Content-Range: bytes 100-199/262144"] if is_plausible else []
    server.behave = always(raw(b"\r\n".join([*start, *parts])))
    came: list[bytes] = []
    with contextlib.suppress(TransferError):
        read_into(came, transport, Span(server.url + PATH, 100, 200, len(DATA)), ceiling_bytes=100)
        assert sum(map(len, came)) == 100
    assert sum(map(len, came)) <= 100


def test_chunks_without_a_length_are_taken_up_to_what_was_asked_for() -> None:
    span = (100, 200, len(DATA))
    with serving(chunked(PART[:50], 2)) as (server, transport):
        assert read(transport, Span(server.url + PATH, *span)) == PART[:50] * 2
        server.behave = always(chunked(PART[:50], 1))
        with pytest.raises(TransferError, match=r"disconnected: .*50 of 100"):
            read(transport, Span(server.url + PATH, *span))
        server.behave = always(chunked(PART, 2))
        with pytest.raises(TransferError, match="endless_data"):
            read(transport, Span(server.url + PATH, *span))


def test_an_object_beyond_the_ceiling_is_refused_announced_or_not() -> None:
    def endless(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 Fine\r\n\r\n")
        while True:
            exchange.send(bytes(65536))

    with serving() as (server, transport):
        assert read(transport, Span(server.url + PATH), ceiling_bytes=len(DATA)) == DATA
        for behaviour in (Exchange.serve, endless):
            server.behave = always(behaviour)
            parts: list[bytes] = []
            with pytest.raises(TransferError, match="endless_data"):
                read_into(parts, transport, Span(server.url + PATH), ceiling_bytes=len(DATA) - 1)
            assert sum(map(len, parts)) <= (0 if behaviour is Exchange.serve else len(DATA) - 1)


def test_a_part_in_place_of_the_whole_is_refused() -> None:
    with (
        serving(answer(206, PART, Content_Range=RANGE)) as (server, transport),
        pytest.raises(TransferError, match="wrong_range"),
    ):
        read(transport, Span(server.url + PATH))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("0", 0.0), ("Sat, 21 Nov 2026 16:00:00 GMT", None), ("-1", None), ("1e9", None), ("9" * 12, None)],
)
def test_retry_after_is_seconds_or_nothing(text: str, seconds: float | None) -> None:
    with serving(answer(503, Retry_After=text)) as (server, transport):
        with pytest.raises(TransferError) as caught:
            read(transport, Span(server.url + PATH, 100, 200))
        assert caught.value.retry_after_s == seconds
        assert caught.value.status == 503


def test_nobody_listening_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with HttpTransport(QUICK, SystemClock()) as transport:
        for url in (f"http://127.0.0.1:{port}/x", "http://nowhere.invalid/x"):
            with pytest.raises(TransferError, match="unreachable"):
                read(transport, Span(url))


def test_a_reader_that_takes_its_time_is_no_slow_server() -> None:
    with (
        serving(network=QUICK) as (server, transport),
        transport.open(Span(server.url + PATH), ceiling_bytes=1 << 20) as reply,
    ):
        came = b""
        for part in reply:
            if not came:
                time.sleep(1.2)
            came += part
        assert came == DATA


def test_a_redirect_is_followed_with_its_range() -> None:
    with serving() as (server, transport), WebServer({"/elsewhere": DATA}) as other:
        server.behave = always(answer(307, Location=f"{other.url}/elsewhere"))
        assert read(transport, Span(server.url + PATH, 100, 200, len(DATA))) == PART
        assert (other.requests[0].first, other.requests[0].last) == (100, 199)


def test_an_address_that_is_none_is_refused_by_name() -> None:
    with HttpTransport(QUICK, SystemClock()) as transport:
        for url, refusal in [("gopher://localhost/x", "redirect_refused"), ("http://a..b/x", "unreachable")]:
            with pytest.raises(TransferError, match=refusal):
                read(transport, Span(url))


@pytest.mark.parametrize("name", ["connect_s", "silence_s", "least_bytes_s", "window_s"])
def test_settings_without_sense_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        NetworkSettings(**{name: 0.0})


def test_one_transfer_at_a_time() -> None:
    with serving() as (server, transport):
        span = Span(server.url + PATH)
        with transport.open(span, ceiling_bytes=1 << 20), pytest.raises(RuntimeError, match="open already"):
            read(transport, span)
        assert read(transport, span) == DATA


def test_a_proxy_is_asked_in_place_of_the_server() -> None:
    server = WebServer({"http://robots.invalid/x": DATA})
    with server as proxy, HttpTransport(NetworkSettings(proxy=proxy.url), SystemClock()) as transport:
        assert read(transport, Span("http://robots.invalid/x")) == DATA


@pytest.mark.parametrize(("offset", "end"), [(-1, 5), (5, 5), (5, 4), (1, None)])
def test_a_span_without_bytes_is_a_mistake_of_the_caller(offset: int, end: int | None) -> None:
    with pytest.raises(ValueError, match="no span"):
        Span("http://localhost/x", offset, end)


PAGE = b"<!DOCTYPE html><html><body>Welcome to Hotel Wifi</body></html>"


@pytest.mark.parametrize("kind", ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"])
@pytest.mark.parametrize("span", [(0, None), (100, 200)], ids=["whole", "range"])
def test_the_page_of_a_captive_portal_is_called_that(kind: str, span: tuple[int, int | None]) -> None:
    with (
        serving(answer(200, PAGE, Content_Type=kind)) as (server, transport),
        pytest.raises(TransferError, match=r"captive_portal.*web page"),
    ):
        read(transport, Span(server.url + PATH, *span))


@pytest.mark.parametrize(("status", "refusal"), [(511, "captive_portal"), (404, "not_found"), (503, "server_busy")])
def test_a_page_with_a_status_of_its_own_is_what_the_status_says(status: int, refusal: str) -> None:
    with (
        serving(answer(status, PAGE, Content_Type="text/html")) as (server, transport),
        pytest.raises(TransferError, match=refusal),
    ):
        read(transport, Span(server.url + PATH))


def test_a_portal_that_says_nothing_of_its_page_is_known_by_the_page() -> None:
    with (
        serving(answer(200, b"\n " + PAGE)) as (server, transport),
        pytest.raises(TransferError, match="captive_portal"),
    ):
        read_whole(transport, server.url + PATH, 5000)


@pytest.mark.parametrize(("date", "expected"), [("Mon, 30 Nov 2026 03:00:00 GMT", 1796007600.0), ("soon", None)])
def test_a_reply_has_the_servers_clock_if_it_says(date: str, expected: float | None) -> None:
    with (
        serving(answer(200, b"{}", Date=date)) as (server, transport),
        transport.open(Span(server.url + PATH), ceiling_bytes=100) as reply,
    ):
        assert reply.server_s == expected
