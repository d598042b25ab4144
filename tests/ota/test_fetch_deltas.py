"""Fetching by deltas, within what the robot's owner allows, and onto a disk that fills."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.transfer.fetch import BlobFetcher, FetchSettings, HeldInStore
from edge_runtime.ota.transfer.schedule import AllowedHours
from edge_runtime.ota.transfer.staging import Staging, begin
from edge_runtime.ota.transfer.transport import HttpTransport
from edge_runtime.testing.web_server import WebServer, in_turn
from tests.ota.fetching_robot import PATIENCE, STEADY, Robot, Site, Start
from tests.ota.packed_releases import BLOB_BYTES, LeapingClock, Packed, packed, sha256, weights

BLOBS = 10


@pytest.fixture(scope="module")
def first() -> Packed:
    return packed(weights(1, BLOBS))


@pytest.fixture(scope="module")
def pair() -> tuple[Packed, Packed]:
    old, new = weights(1, BLOBS), weights(2, BLOBS)
    bases = {sha256(after): before for before, after in zip(old, new, strict=True)}
    return packed(old), packed(new, bases=bases, version="2")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    with Site(tmp_path) as site:
        yield site.start


class TestDeltas:
    """From version 1, which is installed in part, to version 2, which differs in every weight."""

    def serving(self, pair: tuple[Packed, Packed], serve: Start) -> tuple[WebServer, Robot]:
        old, new = pair
        server, robot = serve(old)
        robot.fetch(old)
        server.objects.update(new.objects)
        server.requests.clear()
        return server, robot

    def test_hints_are_taken_where_the_base_is_there(self, pair: tuple[Packed, Packed], serve: Start) -> None:
        server, robot = self.serving(pair, serve)
        new = pair[1]
        fetched = robot.fetch(new)
        assert new.is_in(robot.staging)
        assert fetched.deltas_used == len(new.release.deltas) == BLOBS
        assert server.sent_bytes < 0.1 * new.stored_bytes

    def test_without_bases_the_blobs_come_plain(self, pair: tuple[Packed, Packed], serve: Start) -> None:
        new = pair[1]
        _, robot = serve(new)
        fetched = robot.fetch(new)
        assert new.is_in(robot.staging)
        assert fetched.deltas_used == 0
        assert fetched.received_bytes == new.stored_bytes

    @pytest.mark.parametrize("how", ["flipped bits", "zeros", "base gone", "base altered"])
    def test_a_delta_that_leads_elsewhere_is_replaced_by_the_blob(
        self, pair: tuple[Packed, Packed], serve: Start, how: str
    ) -> None:
        server, robot = self.serving(pair, serve)
        old, new = pair
        path = f"/{new.release.packs[new.release.deltas[0].pack].path}"
        file = next(robot.store.staging.rglob("weights.bin"))
        if how == "flipped bits":
            data = bytearray(new.objects[path])
            for delta in new.release.deltas:
                data[delta.offset + delta.stored_bytes // 2] ^= 0x55
            server.objects[path] = bytes(data)
        elif how == "zeros":
            server.objects[path] = bytes(len(new.objects[path]))
        elif how == "base gone":
            file.write_bytes(b"")
        else:
            file.write_bytes(bytes(len(old.weights)))
        fetched = robot.fetch(new)
        assert new.is_in(robot.staging)
        assert fetched.deltas_refused == len(new.release.deltas)
        assert fetched.deltas_used == 0
        assert fetched.failures == 0

    @pytest.mark.parametrize("status", [404, 403, 416])
    def test_deltas_that_the_server_does_not_have_cost_one_request(
        self, pair: tuple[Packed, Packed], serve: Start, status: int
    ) -> None:
        server, robot = self.serving(pair, serve)
        new = pair[1]
        path = f"/{new.release.packs[new.release.deltas[0].pack].path}"
        server.behave = lambda request: (lambda exchange: exchange.answer(status)) if request.path == path else None
        fetched = robot.fetch(new)
        assert new.is_in(robot.staging)
        assert fetched.deltas_refused == BLOBS
        assert [request.path for request in server.requests].count(path) == 1
        assert not robot.clock.waits

    def test_a_network_that_fails_is_no_fault_of_a_delta(self, pair: tuple[Packed, Packed], serve: Start) -> None:
        server, robot = self.serving(pair, serve)
        server.behave = in_turn(None, lambda exchange: exchange.serve(cut_after=50))
        fetched = robot.fetch(pair[1])
        assert pair[1].is_in(robot.staging)
        assert (fetched.failures, fetched.deltas_used) == (1, BLOBS)


class TestWhatTheOwnerAllows:
    """Hours and rate."""

    def test_outside_of_the_hours_not_a_request_is_made(self, first: Packed, serve: Start) -> None:
        server, robot = serve(first, hours=AllowedHours.parse("22:00-06:00"))
        error = robot.refused(first)
        assert error.refusal is OtaRefusal.OUTSIDE_HOURS
        assert error.detail == "allowed again in 36000 s"
        assert not server.requests

    def test_when_the_hours_end_so_does_the_download_and_it_goes_on_in_the_next(
        self, first: Packed, serve: Start
    ) -> None:
        # A minute at this rate brings 480 kB: not all of it.
        hours = AllowedHours.parse("11:00-12:01")
        server, robot = serve(first, hours=hours, rate_bytes_s=8_000.0)
        assert robot.refused(first).refusal is OtaRefusal.OUTSIDE_HOURS
        there = BLOBS + 1 - len(robot.staging.missing)
        assert 0 < there < BLOBS
        robot.clock = LeapingClock(datetime(2026, 3, 2, 11, 30))
        robot.settings = FetchSettings(server.url, hours=hours, patience=PATIENCE)
        fetched = robot.fetch(first)
        assert first.is_in(robot.staging)
        assert fetched.blobs == BLOBS + 1 - there

    def test_the_rate_is_kept(self, first: Packed, serve: Start) -> None:
        rate = 50_000.0
        _, robot = serve(first, rate_bytes_s=rate)
        robot.fetch(first)
        assert sum(robot.clock.waits) == pytest.approx((first.stored_bytes - rate) / rate, rel=0.1)
        assert len(robot.progress) > 5
        assert robot.progress[-2].rate_bytes_s == pytest.approx(rate, rel=0.5)


def test_progress_takes_back_what_has_to_come_again(first: Packed, serve: Start) -> None:
    blob = next(blob for blob in first.release.blobs.values() if blob.codec == "none" and blob.offset)
    flip = blob.offset + 10
    server, robot = serve(first, rate_bytes_s=50_000.0)
    path = f"/{first.release.packs[blob.pack].path}"
    flips = iter([lambda exchange: exchange.serve(flip_at=flip)])
    server.behave = lambda request: next(flips, None) if request.path == path else None
    fetched = robot.fetch(first)
    assert fetched.received_bytes > first.stored_bytes + BLOB_BYTES - 1
    done = [progress.done_bytes for progress in robot.progress]
    assert done != sorted(done)
    # The last part, and the end.
    assert done.count(first.stored_bytes) <= 2


class Full:
    """A disk that is full after so many blobs."""

    def __init__(self, staging: Staging, room: int) -> None:
        self._staging = staging
        self._room = room

    @property
    def missing(self) -> tuple[str, ...]:
        return self._staging.missing

    def put(self, piece: str, data: bytes | memoryview) -> None:
        if not self._room:
            raise OtaError(OtaRefusal.NO_SPACE, "the disk is full")
        self._room -= 1
        self._staging.put(piece, data)


def test_a_full_disk_ends_it_at_once(first: Packed, serve: Start) -> None:
    server, robot = serve(first)
    staging = begin(robot.store, first.release)
    with HttpTransport(STEADY, robot.clock) as transport:
        fetcher = BlobFetcher(transport, robot.clock, robot.settings)
        with pytest.raises(OtaError, match="no_space"):
            fetcher.fetch(first.release, Full(staging, 2), HeldInStore(robot.store))
    assert len(server.requests) == 1
    assert not robot.clock.waits
