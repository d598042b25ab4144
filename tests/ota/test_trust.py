"""Every attack that TUF and Uptane know, on real repositories over real HTTP; each ends in a refusal with its name."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tuf.api.metadata import Metadata, MetaFile, TargetFile

from contracts.assignment import ROBOT_FIELD, SIGNED_AT_FIELD, ReleaseTerms, custom_of
from contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.floor import Floor
from edge_runtime.ota.schedule import SystemClock
from edge_runtime.ota.transport import HttpTransport
from export_tools.key_files import create_key, load_signer
from export_tools.sign import draft_release, expiry, read_draft, renew, sign_draft
from hub.keys import next_root, revoke
from tests.ota.repositories import (
    HARDWARE,
    NETWORK,
    ROBOT,
    YEAR_S,
    World,
    bytes_answer,
    endless,
    packed_release,
    trickle,
    world_in,
)

IMAGE_TIMESTAMP = "/image/metadata/timestamp.json"
DIRECTOR_TIMESTAMP = f"/director/robots/{ROBOT}/metadata/timestamp.json"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as made:
        yield made


def refused(world: World, refusal: OtaRefusal, now_s: float | None = None) -> str:
    with pytest.raises(OtaError) as caught:
        world.check(now_s)
    assert caught.value.refusal is refusal, caught.value
    return caught.value.detail


def copy_of(world: World, name: str) -> Path:
    place = world.folder / name
    shutil.copytree(world.hub.folder, place)
    return place


def published(world: World, role: str) -> Path:
    """The image repository's newest file of a role."""
    return max(
        (world.hub.folder / "image" / "metadata").glob(f"*.{role}.json"), key=lambda path: int(path.name.split(".")[0])
    )


def resign_image(world: World, change: Callable[[Any], None]) -> None:
    """Change the image repository's timestamp as somebody who has its key."""
    place = world.hub.folder / "image" / "metadata" / "timestamp.json"
    timestamp = read_draft(place)
    change(timestamp.signed)
    world.sign_online(timestamp, "timestamp")
    place.write_bytes(timestamp.to_bytes())


def resign_director(world: World, change: Callable[[Any], None]) -> None:
    place = world.directed() / "timestamp.json"
    timestamp = read_draft(place)
    change(timestamp.signed)
    world.sign_online(timestamp, "director")
    place.write_bytes(timestamp.to_bytes())


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


class TestRollbackAndFreeze:
    def test_rollback_of_the_image_repository(self, world: World) -> None:
        before = (world.hub.folder / "image" / "metadata" / "timestamp.json").read_bytes()
        world.hub.refresh(world.now_s)
        world.check()
        world.site.answers[IMAGE_TIMESTAMP] = bytes_answer(before)
        refused(world, OtaRefusal.ROLLBACK)

    def test_rollback_of_an_assignment(self, world: World) -> None:
        before = (world.directed() / "timestamp.json").read_bytes()
        world.publish("newest")
        world.hub.refresh(world.now_s)
        world.check()
        world.site.answers[DIRECTOR_TIMESTAMP] = bytes_answer(before)
        refused(world, OtaRefusal.ROLLBACK)

    def test_a_director_that_goes_below_the_committed_counter(self, world: World) -> None:
        world.floor.raise_release(2, world.new.target_path)
        world.steal_director(directed_to(world, world.old.target_path, counter=1))
        refused(world, OtaRefusal.ROLLBACK)

    def test_a_counter_that_was_spent_on_another_release(self, world: World) -> None:
        world.floor.raise_release(2, "bundles/reach/another.json")
        assert "already spent" in refused(world, OtaRefusal.ROLLBACK)

    def test_a_new_root_may_not_be_withheld_from_who_has_seen_it(self, world: World) -> None:
        root = next_root(world.hub.image.metadata.root(), world.now_s)
        world.sign(root, "image-root-1")
        world.sign(root, "image-root-2")
        world.hub.image.metadata.publish((root,), ("root",), world.hub.online(), world.now_s)
        world.check()
        shutil.rmtree(world.folder / "metadata" / "image")
        world.site.answers["/image/metadata/2.root.json"] = bytes_answer(b"", 404)
        refused(world, OtaRefusal.TORN_STATE)

    def test_freeze(self, world: World) -> None:
        world.check()
        assert "expired" in refused(world, OtaRefusal.FREEZE, world.now_s + 2 * 86_400)

    def test_freeze_is_seen_by_python_tuf_too(self, tmp_path: Path) -> None:
        with world_in(tmp_path, time.time() - 3 * 86_400) as world:
            refused(world, OtaRefusal.FREEZE, time.time())

    def test_fast_forward_of_versions(self, world: World) -> None:
        def leap(signed: Any) -> None:
            signed.version = 2**31

        resign_image(world, leap)
        refused(world, OtaRefusal.FAST_FORWARD)
        assert world.floor.versions("image").timestamp == 0

    def test_fast_forward_of_what_a_timestamp_announces(self, world: World) -> None:
        def leap(signed: Any) -> None:
            signed.snapshot_meta = MetaFile(2**31)

        resign_director(world, leap)
        refused(world, OtaRefusal.FAST_FORWARD)

    def test_fast_forward_of_the_release_counter(self, world: World) -> None:
        release = packed_release(world.packed, "far ahead")
        draft, _ = draft_release(
            world.hub.image.releases(), release.canonical_json(), (HARDWARE,), world.now_s, release_counter=2**40
        )
        world.sign(draft, "exporter")
        world.sign(draft, "approver")
        world.hub.image.publish_release(draft, world.packed, world.hub.online(), world.now_s)
        world.assign(release, 2**40)
        refused(world, OtaRefusal.FAST_FORWARD)

    def test_after_a_smaller_leap_new_keys_bring_the_robot_back(self, world: World) -> None:
        world.check()

        def leap(signed: Any) -> None:
            signed.version += 5000

        backup = copy_of(world, "before the theft")
        resign_image(world, leap)
        world.check()
        shutil.rmtree(world.hub.folder)
        shutil.move(backup, world.hub.folder)
        refused(world, OtaRefusal.ROLLBACK)
        lost = load_signer(world.hub.folder / "keys" / "timestamp.key").public_key.keyid
        (world.hub.folder / "keys" / "timestamp.key").unlink()
        fresh = create_key(world.hub.folder / "keys", "timestamp-2")
        drafts = revoke(
            lost, fresh, root=world.hub.image.metadata.root(), targets=None, releases=None, now_s=world.now_s
        )
        for name in ("image-root-1", "image-root-2"):
            world.sign(drafts["root"], name)
        world.hub.image.metadata.publish((drafts["root"],), ("root",), world.hub.online(), world.now_s)
        assert world.check().path == world.new.target_path
        assert world.floor.versions("image").timestamp < 5000


def assign_signed(world: World, target: TargetFile) -> None:
    """Release and assign a target that exporter and approver signed against all rules of the hub."""
    draft = renew(world.hub.image.releases(), world.now_s)
    terms = ReleaseTerms(hardware=(HARDWARE,), release_counters=(3,))
    draft.signed.targets[target.path] = TargetFile(
        target.length, target.hashes, target.path, {"custom": custom_of(terms)}
    )
    world.sign(draft, "exporter")
    world.sign(draft, "approver")
    world.hub.image.metadata.publish((draft,), ("releases",), world.hub.online(), world.now_s)
    directed = TargetFile(target.length, target.hashes, target.path, {"custom": custom_of(world.terms(3))})
    world.steal_director({target.path: directed})


def directed_to(world: World, path: str, *, counter: int = 2, **changes: Any) -> dict[str, TargetFile]:
    """A target of the director's for `path`, as whoever has its key can make it."""
    released = world.hub.image.releases()
    assert released is not None
    known = released.signed.targets.get(path)
    target = TargetFile(known.length, dict(known.hashes), path) if known else TargetFile(3, {"sha256": "0" * 64}, path)
    target.unrecognized_fields["custom"] = custom_of(world.terms(counter, **changes))
    return {path: target}


class TestStolenKeys:
    def test_a_stolen_director_hands_out_nothing_that_was_not_released(self, world: World) -> None:
        world.steal_director(directed_to(world, "bundles/reach/evil.json", counter=3))
        refused(world, OtaRefusal.DIRECTOR_IMAGE_MISMATCH)

    @pytest.mark.parametrize("field", ["length", "hashes"])
    def test_a_stolen_director_changes_no_bytes(self, world: World, field: str) -> None:
        targets = directed_to(world, world.new.target_path)
        setattr(targets[world.new.target_path], field, 3 if field == "length" else {"sha256": "1" * 64})
        world.steal_director(targets)
        refused(world, OtaRefusal.DIRECTOR_IMAGE_MISMATCH)

    def test_a_stolen_director_makes_up_no_counter(self, world: World) -> None:
        world.steal_director(directed_to(world, world.new.target_path, counter=7))
        refused(world, OtaRefusal.DIRECTOR_IMAGE_MISMATCH)

    def test_a_stolen_director_gives_no_bundle_to_other_hardware(self, world: World) -> None:
        world.steal_director(directed_to(world, world.new.target_path, hardware="other_arm"))
        refused(world, OtaRefusal.INCOMPATIBLE_HARDWARE)

    def test_hardware_that_was_never_approved(self, world: World) -> None:
        release = packed_release(world.packed, "for another arm")
        draft, counter = draft_release(
            world.hub.image.releases(), release.canonical_json(), ("other_arm",), world.now_s
        )
        world.sign(draft, "exporter")
        world.sign(draft, "approver")
        world.hub.image.publish_release(draft, world.packed, world.hub.online(), world.now_s)
        world.steal_director(directed_to(world, release.target_path, counter=counter))
        refused(world, OtaRefusal.DIRECTOR_IMAGE_MISMATCH)

    @pytest.mark.parametrize("signer", ["exporter", "approver"])
    def test_one_of_the_two_keys_of_a_release_releases_nothing(self, world: World, signer: str) -> None:
        release = packed_release(world.packed, "evil")
        draft, counter = draft_release(world.hub.image.releases(), release.canonical_json(), (HARDWARE,), world.now_s)
        world.sign(draft, signer)
        announce_unchecked(world, "releases", draft)
        world.steal_director(directed_to(world, release.target_path, counter=counter))
        refused(world, OtaRefusal.UNDER_THRESHOLD)

    def test_under_threshold_root(self, world: World) -> None:
        root = next_root(world.hub.image.metadata.root(), world.now_s)
        world.sign(root, "image-root-1")
        world.site.answers["/image/metadata/2.root.json"] = bytes_answer(root.to_bytes())
        refused(world, OtaRefusal.UNDER_THRESHOLD)

    def test_wrong_key(self, world: World) -> None:
        create_key(world.folder / "mallory", "mallory")
        mallory = load_signer(world.folder / "mallory" / "mallory.key")
        timestamp = read_draft(world.hub.folder / "image" / "metadata" / "timestamp.json")
        timestamp.signed.version += 1
        timestamp.sign(mallory)
        world.site.answers[IMAGE_TIMESTAMP] = bytes_answer(timestamp.to_bytes())
        refused(world, OtaRefusal.WRONG_KEY)

    def test_wrong_key_of_a_release(self, world: World) -> None:
        create_key(world.folder / "mallory", "mallory")
        draft, counter = draft_release(
            world.hub.image.releases(), packed_release(world.packed, "evil").canonical_json(), (HARDWARE,), world.now_s
        )
        sign_draft(draft, load_signer(world.folder / "mallory" / "mallory.key"))
        announce_unchecked(world, "releases", draft)
        refused(world, OtaRefusal.WRONG_KEY)
        assert counter == 3

    def test_a_stolen_key_that_was_revoked_signs_nothing_any_more(self, world: World) -> None:
        lost = load_signer(world.hub.folder / "keys" / "timestamp.key")
        stolen = read_draft(world.hub.folder / "image" / "metadata" / "timestamp.json")
        fresh = create_key(world.hub.folder / "keys", "timestamp-2")
        drafts = revoke(
            lost.public_key.keyid,
            fresh,
            root=world.hub.image.metadata.root(),
            targets=None,
            releases=None,
            now_s=world.now_s,
        )
        for name in ("image-root-1", "image-root-2"):
            world.sign(drafts["root"], name)
        world.hub.image.metadata.publish((drafts["root"],), ("root",), world.hub.online(), world.now_s)
        world.check()
        stolen.signed.version += 100
        stolen.sign(lost)
        world.site.answers[IMAGE_TIMESTAMP] = bytes_answer(stolen.to_bytes())
        refused(world, OtaRefusal.WRONG_KEY)


def announce_unchecked(world: World, role: str, draft: Metadata[Any]) -> None:
    """Publish a role with the online keys alone, as a hub in other hands would."""
    folder = world.hub.folder / "image" / "metadata"
    (folder / f"{draft.signed.version}.{role}.json").write_bytes(draft.to_bytes())
    snapshot, timestamp = read_draft(published(world, "snapshot")), read_draft(folder / "timestamp.json")
    snapshot.signed.version += 1
    snapshot.signed.meta[f"{role}.json"] = MetaFile.from_data(draft.signed.version, draft.to_bytes(), ["sha256"])
    world.sign_online(snapshot, "snapshot")
    (folder / f"{snapshot.signed.version}.snapshot.json").write_bytes(snapshot.to_bytes())
    timestamp.signed.version += 1
    timestamp.signed.snapshot_meta = MetaFile.from_data(snapshot.signed.version, snapshot.to_bytes(), ["sha256"])
    world.sign_online(timestamp, "timestamp")
    (folder / "timestamp.json").write_bytes(timestamp.to_bytes())


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
        began = time.monotonic()
        refused(world, OtaRefusal.SLOW_RETRIEVAL)
        assert time.monotonic() - began < 5.0

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
        refused(world, OtaRefusal.METADATA_MALFORMED)


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
