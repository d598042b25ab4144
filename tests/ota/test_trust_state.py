"""A disk that lost something and a clock that is wrong: named refusals, and no way below what was accepted."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.contracts.assignment import SIGNED_AT_FIELD
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.releases.sign import expiry
from tests.ota.attacking import (
    DIRECTOR_TIMESTAMP,
    copy_of,
    refused,
    resign_image,
)
from tests.ota.repositories import (
    YEAR_S,
    World,
    bytes_answer,
    world_in,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as made:
        yield made


def tear(path: Path, damage: str) -> None:
    place = path.resolve()
    data = bytearray(place.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "emptied":
        place.write_bytes(b"")
    elif damage == "cut":
        place.write_bytes(bytes(data[: len(data) // 2]))
    else:
        data[len(data) // 2] ^= 1
        place.write_bytes(bytes(data))


class TestTornState:
    def test_an_emptied_folder_lets_nothing_old_in(self, world: World) -> None:
        old = copy_of(world, "old")
        world.publish("newest")
        world.hub.refresh(world.now_s)
        world.check()
        for role in ("timestamp", "snapshot"):
            (world.folder / "metadata" / "image" / f"{role}.json").write_bytes(b"")
        honest = world.site.folder
        world.site.folder = old
        # The director's folder is whole, and python-tuf sees through that repository by itself.
        shutil.rmtree(old / "director")
        shutil.copytree(honest / "director", old / "director")
        refused(world, OtaRefusal.TORN_STATE)
        # What was let into the folder meanwhile does not help the second time.
        refused(world, OtaRefusal.TORN_STATE)
        world.site.folder = honest
        assert world.check().path == world.new.target_path

    @pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", "releases"])
    @pytest.mark.parametrize("damage", ["emptied", "cut", "gone", "flipped"])
    def test_a_torn_file_heals_from_an_honest_repository(self, world: World, role: str, damage: str) -> None:
        expected = world.check()
        path = world.folder / "metadata" / "image" / f"{role}.json"
        tear(path, damage)
        assert world.check() == expected

    def test_a_spoilt_copy_of_the_floor_costs_nothing(self, world: World) -> None:
        world.check()
        (world.folder / "floor" / "image.a").write_bytes(b"")
        assert world.floor.versions("image").timestamp > 0
        world.check()

    def test_a_floor_that_is_lost_is_no_fresh_start(self, world: World) -> None:
        world.check()
        for copy in ("image.a", "image.b"):
            (world.folder / "floor" / copy).write_bytes(b"")
        refused(world, OtaRefusal.TORN_STATE)

    def test_a_release_floor_that_is_lost_is_no_fresh_start(self, world: World) -> None:
        world.floor.raise_release(1, world.old.target_path)
        for copy in ("release.a", "release.b"):
            (world.folder / "floor" / copy).write_bytes(b"\0" * 4096)
        refused(world, OtaRefusal.TORN_STATE)

    def test_leftovers_of_a_cut_are_cleared(self, world: World) -> None:
        world.check()
        leftover = world.folder / "metadata" / "image" / "tmpabc123"
        leftover.write_bytes(b"half")
        role = leftover.with_name("tmp-role.json")
        role.write_bytes(b"a role may have such a name")
        world.check()
        assert not leftover.exists()
        assert role.exists()

    def test_being_offline_with_a_torn_folder_is_being_offline(self, world: World) -> None:
        world.check()
        (world.folder / "metadata" / "director" / "timestamp.json").write_bytes(b"")
        world.site.answers[DIRECTOR_TIMESTAMP] = bytes_answer(b"", 503)
        refused(world, OtaRefusal.SERVER_BUSY)


class TestClock:
    def test_ten_years_behind(self, tmp_path: Path) -> None:
        # The repository lives ten years ahead: to it, this machine's clock is ten years behind.
        with world_in(tmp_path, time.time() + 10 * YEAR_S) as world:
            detail = refused(world, OtaRefusal.CLOCK, time.time())
            assert "3650 days behind" in detail
            assert world.floor.versions("director").timestamp == 0

    def test_ten_years_ahead(self, tmp_path: Path) -> None:
        with world_in(tmp_path, time.time() - 10 * YEAR_S) as world:
            assert "ahead" in refused(world, OtaRefusal.CLOCK, time.time())

    @pytest.mark.parametrize("years", [-10, 10])
    def test_a_clock_that_jumps_after_honest_times(self, world: World, years: int) -> None:
        world.check()
        refused(world, OtaRefusal.CLOCK, world.now_s + years * YEAR_S)
        world.check()

    def test_a_clock_behind_the_pinned_root_is_seen_before_anything_else(self, world: World) -> None:
        refused(world, OtaRefusal.CLOCK, world.now_s - 10 * YEAR_S)
        assert world.site.asked == []

    def test_a_clock_that_is_behind_is_seen_without_a_network(self, world: World) -> None:
        world.check()
        world.site.asked.clear()
        refused(world, OtaRefusal.CLOCK, world.now_s - 10 * YEAR_S)
        assert world.site.asked == []

    def test_a_stolen_timestamp_key_cannot_move_a_robots_time(self, world: World) -> None:
        def later(signed: Any) -> None:
            signed.version += 1
            signed.unrecognized_fields[SIGNED_AT_FIELD] = int(world.now_s) + 10 * YEAR_S
            signed.expires = expiry(world.now_s, 10 * 366)

        resign_image(world, later)
        refused(world, OtaRefusal.CLOCK)
        assert world.floor.versions("image").signed_at_s == 0

    def test_an_hour_off_is_no_matter(self, world: World) -> None:
        world.check(world.now_s - 3600)
        world.check(world.now_s + 3600)


class TestFloor:
    def test_it_does_not_fall(self, tmp_path: Path) -> None:
        floor = Floor(tmp_path / "floor")
        floor.raise_release(5, "bundles/a/1.json")
        floor.raise_release(5, "bundles/a/1.json")
        for counter, path in ((4, "bundles/a/1.json"), (5, "bundles/a/2.json")):
            with pytest.raises(OtaError) as caught:
                floor.raise_release(counter, path)
            assert caught.value.refusal is OtaRefusal.ROLLBACK
        assert Floor(tmp_path / "floor").release().release_counter == 5
