"""Reading a run of a pack: forwards, over breaks, and no further than its end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from contracts.errors import OtaError
from edge_runtime.ota.pack_reader import PackReader
from edge_runtime.ota.schedule import SystemClock
from edge_runtime.ota.transport import HttpTransport, NetworkSettings
from tests.simulators.web_server import Exchange, WebServer, in_turn

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
    def cut(exchange: Exchange) -> None:
        exchange.serve(cut_after=70_001)

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
