"""Reading a run of a pack: forwards, over breaks, and no further than its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.transfer.pack_reader import PackReader
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport, NetworkSettings, Span, TransferError
from edge_runtime.testing.web_server import Exchange, WebServer, always, in_turn

DATA = b"".join(number.to_bytes(4, "big") for number in range(60_000))
END = 200_000


class Gate:
    """Lets everything pass, and counts."""

    def __init__(self) -> None:
        self.admitted = 0
        self.received_bytes = 0
        self.failures: list[str] = []

    def admit(self) -> None:
        self.admitted += 1

    def flowed(self, size_bytes: int) -> None:
        self.received_bytes += size_bytes

    def failed(self, error: OtaError) -> None:
        self.failures.append(error.refusal.value)


@contextlib.contextmanager
def reading() -> Iterator[tuple[WebServer, Gate, PackReader]]:
    gate = Gate()
    with (
        WebServer({"/pack": DATA}) as server,
        HttpTransport(NetworkSettings(), SystemClock()) as transport,
        contextlib.closing(PackReader(transport, f"{server.url}/pack", END, len(DATA), gate)) as reader,
    ):
        yield server, gate, reader


def filled(reader: PackReader, count: int) -> bytes:
    target = bytearray(count)
    reader.fill(memoryview(target))
    return bytes(target)


def test_forwards_on_one_connection_what_lies_between_is_read() -> None:
    with reading() as (server, gate, reader):
        for start, count in [(0, 10), (10, 70_000), (75_000, 5), (190_000, 10_000)]:
            reader.seek(start)
            assert filled(reader, count) == DATA[start : start + count]
        assert reader.read(1) == b""
        assert len(server.requests) == gate.admitted == 1
        assert gate.received_bytes == END


def test_backwards_is_another_request() -> None:
    with reading() as (server, _, reader):
        reader.seek(100_000)
        assert filled(reader, 50_000) == DATA[100_000:150_000]
        reader.seek(100_000)
        assert filled(reader, 100_000) == DATA[100_000:END]
        assert [request.first for request in server.requests] == [100_000, 100_000]


def test_a_break_is_read_over() -> None:
    with reading() as (server, gate, reader):
        server.behave = in_turn(cut, cut)
        assert filled(reader, END) == DATA[:END]
        assert gate.failures == ["disconnected"] * 2
        assert [request.first for request in server.requests] == [0, 70_001, 140_002]


def test_a_stretch_ends_where_it_should() -> None:
    with reading() as (server, _, reader):
        stretch = reader.limited(100)
        assert stretch.read(0) == b""
        assert server.requests == []
        assert stretch.read(60) == DATA[:60]
        assert stretch.read(39) == DATA[60:99]
        assert stretch.read() == DATA[99:100]
        assert stretch.read() == stretch.read(5) == b""
        assert reader.read(8) == DATA[100:108]


def test_more_than_the_run_has_is_a_mistake_of_the_caller() -> None:
    with reading() as (_, _, reader):
        reader.seek(END - 10)
        with pytest.raises(ValueError, match="10 bytes too early"):
            filled(reader, 20)
        for offset in (-1, END):
            with pytest.raises(ValueError, match="is not in a run"):
                reader.seek(offset)


def cut(exchange: Exchange) -> None:
    exchange.serve(cut_after=70_001)


def test_what_came_and_was_not_read_yet_is_known() -> None:
    with reading() as (_, gate, reader):
        assert reader.reached == 0
        assert filled(reader, 10) == DATA[:10]
        assert reader.reached == gate.received_bytes > 10
        reader.drop()
        assert reader.reached == reader.offset == 10
        assert filled(reader, 10) == DATA[10:20]


def test_what_goes_on_is_of_the_object_that_was_begun() -> None:
    with reading() as (server, gate, reader):
        server.behave = in_turn(cut, lambda exchange: exchange.serve(tag='"two"'))
        with pytest.raises(TransferError) as caught:
            filled(reader, END)
        assert caught.value.refusal is OtaRefusal.OBJECT_CHANGED
        assert gate.failures == ["disconnected"], "what contradicts is for the caller"
        assert [request.headers.get("if-range") for request in server.requests] == [None, '"one"']
        # From the start, it is the other one.
        reader.seek(0)
        server.behave = in_turn(lambda exchange: exchange.serve(tag='"two"', cut_after=70_001), always_two)
        assert filled(reader, END) == DATA[:END]
        assert [request.headers.get("if-range") for request in server.requests[2:]] == [None, '"two"']


def always_two(exchange: Exchange) -> None:
    exchange.serve(tag='"two"')


def test_another_contradiction_leaves_the_object_the_same() -> None:
    with reading() as (server, gate, reader):
        server.behave = in_turn(cut, lambda exchange: exchange.answer(416))
        with pytest.raises(TransferError) as caught:
            filled(reader, END)
        assert caught.value.refusal is OtaRefusal.WRONG_RANGE
        assert gate.failures == ["disconnected"]
        assert reader.offset == 70_001
        assert filled(reader, END - 70_001) == DATA[70_001:END]
        assert [request.headers.get("if-range") for request in server.requests] == [None, '"one"', '"one"']


def test_an_object_of_another_size_is_refused() -> None:
    with WebServer({"/pack": DATA}) as server, HttpTransport(NetworkSettings(), SystemClock()) as transport:
        reader = PackReader(transport, f"{server.url}/pack", END, len(DATA) + 1, Gate())
        with contextlib.closing(reader), pytest.raises(TransferError) as caught:
            reader.read(1)
        assert caught.value.refusal is OtaRefusal.WRONG_LENGTH


def test_a_connection_that_was_read_to_its_end_is_kept() -> None:
    with WebServer({"/pack": DATA}) as server, HttpTransport(NetworkSettings(), SystemClock()) as transport:
        for _ in range(3):
            with contextlib.closing(PackReader(transport, f"{server.url}/pack", END, len(DATA), Gate())) as reader:
                assert filled(reader, END) == DATA[:END]
        assert server.connections == 1


def test_the_end_of_a_run_waits_for_nothing_that_nobody_wants() -> None:
    def stall(exchange: Exchange) -> None:
        exchange.send(b'HTTP/1.1 206 Fine\r\nETag: "one"\r\nContent-Range: bytes 0-199999/240000\r\n')
        exchange.send(b"Content-Length: 200000\r\n\r\n" + DATA[:70_000])
        exchange.silence(60.0)

    network = NetworkSettings(silence_s=30.0)
    with WebServer({"/pack": DATA}, always(stall)) as server, HttpTransport(network, SystemClock()) as transport:
        reader = PackReader(transport, f"{server.url}/pack", END, len(DATA), Gate())
        assert filled(reader, 70_000) == DATA[:70_000]
        started_s = time.monotonic()
        reader.close()
        assert time.monotonic() - started_s < 20.0


def test_what_breaks_after_the_last_byte_is_of_no_account() -> None:
    def unfinished(exchange: Exchange) -> None:
        exchange.send(b'HTTP/1.1 206 Fine\r\nETag: "one"\r\nContent-Range: bytes 0-199999/240000\r\n')
        exchange.send(b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (END, DATA[:END]))
        exchange.cut()

    with reading() as (server, gate, reader):
        server.behave = always(unfinished)
        assert filled(reader, END) == DATA[:END]
        reader.close()
        assert gate.failures == []


class Brief:
    """A way to the pack whose replies end after three bytes and say nothing about it."""

    entity_tag = '"one"'
    server_s = None

    def __init__(self) -> None:
        self._part = b""

    @contextlib.contextmanager
    def open(self, span: Span, *, ceiling_bytes: int) -> Iterator[Brief]:
        assert span.end is not None
        self._part = DATA[span.offset : min(span.end, span.offset + 3)]
        assert len(self._part) <= ceiling_bytes
        yield self

    def __iter__(self) -> Iterator[bytes]:
        yield self._part


def test_a_reply_that_ends_early_and_does_not_say_so_is_a_break() -> None:
    gate = Gate()
    with contextlib.closing(PackReader(Brief(), "pack", 10, len(DATA), gate)) as reader:
        assert filled(reader, 10) == DATA[:10]
        assert gate.failures == ["disconnected"] * 3
        assert gate.admitted == 4
