"""Fetching a release from a real server that fails, into real files: whole, or a named refusal and the rest later."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.transfer.fetch import FetchSettings
from edge_runtime.ota.transfer.retry import Patience
from edge_runtime.ota.transfer.transport import NetworkSettings
from edge_runtime.testing.web_server import Behaviour, Exchange, Request, WebServer, always, in_turn
from tests.ota.fetching_robot import PATIENCE, QUICK, STEADY, Robot, Site, Start
from tests.ota.packed_releases import BLOB_BYTES, Packed, packed, sha256, weights

BLOBS = 10


@pytest.fixture(scope="module")
def first() -> Packed:
    return packed(weights(1, BLOBS))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    with Site(tmp_path) as site:
        yield site.start


def ranges(server: WebServer) -> list[tuple[str, int | None]]:
    return [(request.path, request.first) for request in server.requests]


def test_a_release_comes_whole_with_one_request_a_pack_and_not_a_byte_too_many(first: Packed, serve: Start) -> None:
    server, robot = serve(first)
    fetched = robot.fetch(first)
    assert first.is_in(robot.staging)
    assert ranges(server) == [(f"/{pack.path}", 0) for pack in first.release.packs]
    assert fetched.received_bytes == fetched.planned_bytes == first.stored_bytes == server.sent_bytes
    assert (fetched.blobs, fetched.failures, fetched.deltas_used) == (BLOBS + 1, 0, 0)
    assert server.connections == 1
    last = robot.progress[-1]
    assert last.done_bytes == last.total_bytes == first.stored_bytes
    assert last.eta_s == 0.0


def test_what_is_there_is_not_asked_for(first: Packed, serve: Start) -> None:
    server, robot = serve(first)
    robot.fetch(first)
    asked = len(server.requests)
    assert robot.fetch(first).blobs == 0
    assert len(server.requests) == asked


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("cut_after", [1, 9_000, 100_000])
def test_a_broken_connection_is_taken_up_where_it_broke(
    first: Packed, serve: Start, cut_after: int, reset: bool
) -> None:
    def behave(_request: Request) -> Behaviour | None:
        cut = cut_after > 1 or len(server.requests) % 3 == 0
        return (lambda exchange: exchange.serve(cut_after=cut_after, reset=reset)) if cut else None

    server, robot = serve(first, behave)
    fetched = robot.fetch(first)
    assert first.is_in(robot.staging)
    assert fetched.failures > 0
    assert fetched.received_bytes == first.stored_bytes
    # What a reset threw away on its way was sent, and is sent again: never more than a blob each.
    again = server.sent_bytes - first.stored_bytes
    assert again <= (fetched.failures * BLOB_BYTES if reset else 0)


def test_after_a_restart_only_the_blob_under_way_comes_again(first: Packed, serve: Start) -> None:
    restarts = 0
    server, robot = serve(first, always(lambda exchange: exchange.serve(cut_after=150_000)))
    robot.settings = FetchSettings(server.url, patience=Patience(many=1))
    while True:
        try:
            robot.fetch(first)
            break
        except OtaError:
            restarts += 1
    assert first.is_in(robot.staging)
    assert restarts >= 3
    assert server.sent_bytes - first.stored_bytes <= restarts * BLOB_BYTES


def answer(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.answer(status, lines, body)


def shifted(exchange: Exchange) -> None:
    first, last = exchange.request.first or 0, exchange.request.last or 0
    assert exchange.data is not None
    total = len(exchange.data)
    exchange.answer(206, {"Content-Range": f"bytes {first + 1}-{last + 1}/{total}"}, bytes(last - first + 1))


def of_another_pack(exchange: Exchange) -> None:
    """Everything as asked for, but zeros."""
    first, last = exchange.request.first or 0, exchange.request.last or 0
    assert exchange.data is not None
    exchange.answer(206, {"Content-Range": f"bytes {first}-{last}/{len(exchange.data)}"}, bytes(last - first + 1))


def network_for(refusal: OtaRefusal) -> NetworkSettings:
    return QUICK if refusal is OtaRefusal.SLOW_RETRIEVAL else STEADY


STORMS: dict[str, tuple[Behaviour, OtaRefusal, int]] = {
    "403": (answer(403), OtaRefusal.FORBIDDEN, 3),
    "404": (answer(404), OtaRefusal.NOT_FOUND, 3),
    "500": (answer(500), OtaRefusal.SERVER_ERROR, 4),
    "503": (answer(503), OtaRefusal.SERVER_BUSY, 4),
    "503, come back in a minute": (answer(503, Retry_After="60"), OtaRefusal.SERVER_BUSY, 4),
    "503, come back next year": (answer(503, Retry_After="30000000"), OtaRefusal.SERVER_BUSY, 1),
    "416": (answer(416), OtaRefusal.WRONG_RANGE, 3),
    "418": (answer(418), OtaRefusal.UNEXPECTED_STATUS, 1),
    "login page": (answer(200, b"<html>"), OtaRefusal.RANGE_IGNORED, 3),
    "whole pack": (lambda exchange: exchange.answer(200, {}, b"x" * 50_000), OtaRefusal.RANGE_IGNORED, 3),
    "wrong range": (shifted, OtaRefusal.WRONG_RANGE, 3),
    "wrong bytes": (of_another_pack, OtaRefusal.BLOB_MALFORMED, 3),
    "compressed": (answer(206, b"x", Content_Encoding="gzip"), OtaRefusal.WRONG_ENCODING, 3),
    "redirects": (answer(302, Location="/packs/elsewhere"), OtaRefusal.REDIRECT_REFUSED, 6),
    "cut at once": (Exchange.cut, OtaRefusal.DISCONNECTED, 4),
    "cut after a byte": (lambda exchange: exchange.serve(cut_after=1), OtaRefusal.DISCONNECTED, 4),
    "silent": (lambda exchange: exchange.silence(5.0), OtaRefusal.SLOW_RETRIEVAL, 4),
    "10 B/s": (lambda exchange: exchange.serve(bytes_s=10.0), OtaRefusal.SLOW_RETRIEVAL, 4),
}


@pytest.mark.parametrize("case", STORMS)
def test_a_storm_ends_in_its_name_after_few_requests_and_nothing_is_lost(
    first: Packed, serve: Start, case: str
) -> None:
    behaviour, refusal, requests = STORMS[case]
    # The first pack comes, then the storm begins.
    server, robot = serve(first, in_turn(None))
    behave = server.behave
    server.behave = lambda request: behave(request) if len(server.requests) == 1 else behaviour
    robot.network = network_for(refusal)
    error = robot.refused(first)
    assert error.refusal is refusal
    assert len(server.requests) == 1 + requests
    there = BLOBS + 1 - len(robot.staging.missing)
    assert there == 4
    # Once it is over, the rest comes, and nothing else.
    server.behave = lambda _request: None
    fetched = robot.fetch(first)
    assert first.is_in(robot.staging)
    assert fetched.blobs == BLOBS + 1 - there
    assert fetched.received_bytes == fetched.planned_bytes


@pytest.mark.parametrize("case", [case for case, (_, _, requests) in STORMS.items() if requests in (3, 4)])
def test_a_squall_is_ridden_out(first: Packed, serve: Start, case: str) -> None:
    behaviour, refusal, _ = STORMS[case]
    _, robot = serve(first, in_turn(None, behaviour, None, behaviour))
    robot.network = network_for(refusal)
    fetched = robot.fetch(first)
    assert first.is_in(robot.staging)
    assert fetched.failures == 2
    if case == "503, come back in a minute":
        assert robot.clock.waits == [61.0, 61.0]


def test_every_whole_blob_renews_the_patience(first: Packed, serve: Start) -> None:
    server, robot = serve(first)
    server.behave = lambda _request: answer(404) if len(server.requests) % 2 else None
    assert robot.fetch(first).failures == len(first.release.packs) == PATIENCE.few
    assert first.is_in(robot.staging)


def test_waits_grow_and_end(first: Packed, serve: Start) -> None:
    _, robot = serve(first, always(Exchange.cut), patience=Patience(many=6, longest_wait_s=5.0))
    assert "6 failures in a row" in robot.refused(first).detail
    assert robot.clock.waits == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_flipped_bit_costs_one_blob(first: Packed, serve: Start) -> None:
    pack, where = next(
        (blob.pack, blob)
        for blob in first.release.blobs.values()
        if blob.codec == "none" and blob.offset and blob.pack == 0
    )
    path = f"/{first.release.packs[pack].path}"
    flip = where.offset + where.stored_bytes // 2
    server, robot = serve(first, in_turn(lambda exchange: exchange.serve(flip_at=flip)))
    fetched = robot.fetch(first)
    assert first.is_in(robot.staging)
    assert fetched.failures == 1
    assert server.requests[1].path == path
    assert server.requests[1].first == where.offset
    assert fetched.received_bytes - first.stored_bytes <= where.stored_bytes + 65536

    server.behave = always(lambda exchange: exchange.serve(flip_at=flip))
    other = Robot(robot.root / "other", server)
    assert other.refused(first).refusal is OtaRefusal.BLOB_ALTERED


@pytest.mark.parametrize("honest", [True, False], ids=["says so", "only the tag differs"])
def test_an_object_that_changes_on_the_way_is_noticed(first: Packed, serve: Start, honest: bool) -> None:
    def other_tag(exchange: Exchange) -> None:
        request = exchange.request
        if not honest:
            # As from a server that does not know If-Range.
            exchange.request = replace(request, headers={})
        exchange.serve(tag='"two"', cut_after=30_000)

    cut: Behaviour = lambda exchange: exchange.serve(cut_after=30_000)  # noqa: E731
    server, robot = serve(first, in_turn(None, cut, other_tag))
    fetched = robot.fetch(first)
    assert first.is_in(robot.staging)
    assert server.requests[2].headers["if-range"] == '"one"'
    assert fetched.failures == 2
    # Under its new tag it is read on.
    server.requests.clear()
    server.behave = lambda _request: cut if len(server.requests) == 1 else lambda exchange: exchange.serve(tag='"two"')
    again = Robot(robot.root / "again", server)
    assert again.fetch(first).failures == 2
    assert first.is_in(again.staging)
    # Changing with every answer ends.
    tags = iter(range(10**6))
    server.behave = always(lambda exchange: exchange.serve(tag=f'"{next(tags)}"', cut_after=30_000))
    other = Robot(robot.root / "other", server)
    assert other.refused(first).refusal is OtaRefusal.OBJECT_CHANGED


def test_a_blob_that_unpacks_to_more_than_was_signed_is_refused(serve: Start) -> None:
    bomb = zstandard.compress(bytes(200 << 20))
    pieces = weights(1, 3)
    assert len(bomb) < BLOB_BYTES
    made = packed(pieces, stored={sha256(pieces[1]): bomb})
    server, robot = serve(made)
    assert robot.refused(made).refusal is OtaRefusal.BLOB_OVERSIZED
    assert len(server.requests) == 3


@pytest.mark.parametrize("seed", range(12))
def test_any_weather_ends_in_success_or_a_name(first: Packed, serve: Start, seed: int) -> None:
    draw = random.Random(seed)
    quick = [behaviour for case, (behaviour, _, _) in STORMS.items() if case not in ("silent", "10 B/s")]
    cuts: list[Behaviour] = [
        lambda exchange: exchange.serve(cut_after=draw.randrange(120_000), reset=draw.random() < 0.5),
        lambda exchange: exchange.serve(flip_at=(exchange.request.first or 0) + draw.randrange(100_000)),
    ]
    lock = threading.Lock()

    def behave(_request: Request) -> Behaviour | None:
        with lock:
            return draw.choice([None, None, *cuts, *cuts, draw.choice(quick)])

    server, robot = serve(first, behave)
    for _ in range(60):
        with contextlib.suppress(OtaError):
            robot.fetch(first)
            break
    assert first.is_in(robot.staging)
    assert len(server.requests) < 400


@pytest.mark.parametrize("wrong", [{"base_url": "file:///packs"}, {"base_url": "http://h", "rate_bytes_s": 0.0}])
def test_settings_without_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"fetched over|must be positive"):
        FetchSettings(**wrong)  # type: ignore[arg-type]
