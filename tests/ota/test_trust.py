"""What a robot accepts and from whom, on real repositories over real HTTP: honest hubs, assignments, transfers."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tuf.api.metadata import TargetFile

from edge_runtime.contracts.assignment import ROBOT_FIELD
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport
from hub.tuf.keys import next_root
from tests.ota.attacking import (
    DIRECTOR_TIMESTAMP,
    IMAGE_TIMESTAMP,
    assign_signed,
    directed_to,
    published,
    refused,
    resign_director,
)
from tests.ota.repositories import (
    IMPATIENT,
    NETWORK,
    ROBOT,
    World,
    bytes_answer,
    endless,
    packed_release,
    trickle,
    world_in,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as made:
        yield made


class TestHonest:
    def test_both_agree_on_what_was_assigned(self, world: World) -> None:
        assignment = world.check()
        assert assignment.path == world.new.target_path
        assert assignment.sha256 == world.new.digest
        assert assignment.terms.robot_id == ROBOT
        assert assignment.terms.release_counter == 2
        assert world.check() == assignment

    def test_the_release_manifest_is_fetched_and_is_the_one_that_was_signed(self, world: World) -> None:
        with HttpTransport(NETWORK, SystemClock()) as transport:
            trust = world.trust(transport)
            assert trust.release(trust.check(world.now_s), world.now_s) == world.new

    def test_an_altered_release_manifest_is_refused(self, world: World) -> None:
        with HttpTransport(NETWORK, SystemClock()) as transport:
            trust = world.trust(transport)
            assignment = trust.check(world.now_s)
            name = f"{assignment.sha256}.{assignment.sha256}.json"
            altered = bytearray(world.new.canonical_json())
            altered[len(altered) // 2] ^= 1
            world.site.answers[f"/image/targets/bundles/reach/{name}"] = bytes_answer(bytes(altered))
            with pytest.raises(OtaError) as caught:
                trust.release(assignment, world.now_s)
        assert caught.value.refusal is OtaRefusal.TARGET_ALTERED

    def test_a_release_that_is_no_longer_the_one_that_was_assigned(self, world: World) -> None:
        with HttpTransport(NETWORK, SystemClock()) as transport:
            trust = world.trust(transport)
            for change in ({"path": "bundles/reach/none.json"}, {"length_bytes": 1}, {"sha256": "0" * 64}):
                assignment = msgspec.structs.replace(trust.check(world.now_s), **change)
                with pytest.raises(OtaError) as caught:
                    trust.release(assignment, world.now_s)
                assert caught.value.refusal is OtaRefusal.DIRECTOR_IMAGE_MISMATCH

    def test_a_signed_release_under_another_releases_name(self, world: World) -> None:
        data = packed_release(world.packed, "third").canonical_json()
        assign_signed(world, TargetFile.from_data("bundles/reach/third.json", data, ["sha256"]))
        digest = hashlib.sha256(data).hexdigest()
        world.site.answers[f"/image/targets/bundles/reach/{digest}.third.json"] = bytes_answer(data)
        with HttpTransport(NETWORK, SystemClock()) as transport:
            trust = world.trust(transport)
            with pytest.raises(OtaError) as caught:
                trust.release(trust.check(world.now_s), world.now_s)
        assert caught.value.refusal is OtaRefusal.TARGET_ALTERED

    def test_a_release_that_is_signed_without_sha256(self, world: World) -> None:
        assign_signed(world, TargetFile.from_data("bundles/reach/third.json", b"third", ["sha512"]))
        refused(world, OtaRefusal.METADATA_MALFORMED)

    def test_the_fleet_goes_back_by_an_old_bundle_under_a_new_counter(self, world: World) -> None:
        world.floor.raise_release(2, world.new.target_path)
        world.publish("old")
        world.assign(world.old, 3)
        assignment = world.check()
        assert (assignment.path, assignment.terms.release_counter) == (world.old.target_path, 3)

    def test_being_offline_is_an_answer_of_its_own(self, world: World) -> None:
        world.check()
        world.site.close()
        refused(world, OtaRefusal.UNREACHABLE)
        shutil.rmtree(world.folder / "metadata")
        refused(world, OtaRefusal.UNREACHABLE)
        # The fixture closes again what is closed already.
        world.site.close = lambda: None  # type: ignore[method-assign]

    def test_a_robot_follows_every_root_and_every_refresh(self, world: World) -> None:
        world.check()
        root = next_root(world.hub.image.metadata.root(), world.now_s)
        world.sign(root, "image-root-1")
        world.sign(root, "image-root-3")
        world.hub.image.metadata.publish((root,), ("root",), world.hub.online(), world.now_s)
        assert world.hub.refresh(world.now_s) == 1
        world.check()
        assert world.floor.versions("image").root == 2


class TestAssignments:
    def test_another_robots_assignment(self, world: World) -> None:
        world.check()
        before = world.floor.versions("director")
        world.assign(world.new, 2, robot_id="arm-2")
        for _ in range(5):
            world.hub.refresh(world.now_s)
        shutil.rmtree(world.directed())
        shutil.copytree(world.directed("arm-2"), world.directed())
        refused(world, OtaRefusal.OTHER_ROBOT)
        # Nothing of it is kept: with its higher versions it would lock this robot out of its own.
        assert world.floor.versions("director") == before

    def test_terms_for_another_robot_in_metadata_that_names_this_one(self, world: World) -> None:
        world.steal_director(directed_to(world, world.new.target_path, robot_id="arm-2"))
        refused(world, OtaRefusal.OTHER_ROBOT)

    def test_a_timestamp_that_names_nobody(self, world: World) -> None:
        resign_director(world, lambda signed: signed.unrecognized_fields.pop(ROBOT_FIELD))
        refused(world, OtaRefusal.OTHER_ROBOT)

    def test_a_stolen_director_does_not_fill_the_log(self, world: World) -> None:
        world.steal_director(directed_to(world, "x" * 100_000))
        assert len(refused(world, OtaRefusal.DIRECTOR_IMAGE_MISMATCH)) < 400
        resign_director(world, lambda signed: signed.unrecognized_fields.update({ROBOT_FIELD: "x" * 10_000}))
        assert len(refused(world, OtaRefusal.OTHER_ROBOT)) < 400

    def test_a_replayed_empty_assignment(self, world: World) -> None:
        world.check()
        world.steal_director({})
        refused(world, OtaRefusal.EMPTY_ASSIGNMENT)

    def test_two_assignments_at_once(self, world: World) -> None:
        both = {**directed_to(world, world.new.target_path), **directed_to(world, world.old.target_path, counter=1)}
        world.steal_director(both)
        refused(world, OtaRefusal.METADATA_MALFORMED)

    @pytest.mark.parametrize(
        "change",
        [
            {"probation_s": 0},
            {"probation_s": "600"},
            {"release_counter": True},
            {"release_counter": -1},
            {"not_before_s": 10**30},
            {"robot_id": "../arm-1"},
            {"surprise": 1},
        ],
    )
    def test_terms_that_are_none(self, world: World, change: dict[str, Any]) -> None:
        targets = directed_to(world, world.new.target_path)
        targets[world.new.target_path].custom.update(change)
        world.steal_director(targets)
        refused(world, OtaRefusal.METADATA_MALFORMED)


class TestTransfers:
    def test_mix_and_match_of_a_snapshot(self, world: World) -> None:
        name = published(world, "snapshot").name
        world.hub.image.metadata.publish((), (), world.hub.online(), world.now_s)
        newer = published(world, "snapshot").name
        assert newer != name
        old = (world.hub.folder / "image" / "metadata" / name).read_bytes()
        world.site.answers[f"/image/metadata/{newer}"] = bytes_answer(old)
        refused(world, OtaRefusal.MIX_AND_MATCH)

    def test_mix_and_match_of_releases(self, world: World) -> None:
        newest = published(world, "releases").name
        old = (world.hub.folder / "image" / "metadata" / "1.releases.json").read_bytes()
        world.site.answers[f"/image/metadata/{newest}"] = bytes_answer(old)
        refused(world, OtaRefusal.MIX_AND_MATCH)

    @pytest.mark.parametrize("path", [IMAGE_TIMESTAMP, DIRECTOR_TIMESTAMP, "/image/metadata/2.root.json"])
    def test_endless_data(self, world: World, path: str) -> None:
        world.site.answers[path] = endless
        refused(world, OtaRefusal.ENDLESS_DATA)

    def test_slow_retrieval(self, world: World) -> None:
        world.site.answers[IMAGE_TIMESTAMP] = trickle
        world.network = IMPATIENT
        refused(world, OtaRefusal.SLOW_RETRIEVAL)

    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"signed": {}, "signatures": []}', b"[" * 10_000])
    def test_what_is_no_metadata(self, world: World, data: bytes) -> None:
        world.site.answers[IMAGE_TIMESTAMP] = bytes_answer(data)
        refused(world, OtaRefusal.METADATA_MALFORMED)

    def test_a_snapshot_in_place_of_a_timestamp(self, world: World) -> None:
        world.site.answers[IMAGE_TIMESTAMP] = bytes_answer(published(world, "snapshot").read_bytes())
        refused(world, OtaRefusal.METADATA_MALFORMED)

    @pytest.mark.parametrize(("status", "refusal"), [(404, OtaRefusal.NOT_FOUND), (503, OtaRefusal.SERVER_BUSY)])
    def test_a_missing_timestamp_is_the_servers_fault(self, world: World, status: int, refusal: OtaRefusal) -> None:
        world.site.answers[IMAGE_TIMESTAMP] = bytes_answer(b"", status)
        refused(world, refusal)

    def test_a_page_in_place_of_no_newer_root(self, world: World) -> None:
        world.site.answers["/image/metadata/2.root.json"] = bytes_answer(b"<html>not here</html>")
        refused(world, OtaRefusal.CAPTIVE_PORTAL)
