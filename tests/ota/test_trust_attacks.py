"""Attacks in time and with stolen keys, on real repositories over real HTTP; each is refused with its name."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import MetaFile

from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.releases.key_files import create_key, load_signer
from edge_runtime.releases.sign import draft_release, read_draft, sign_draft
from hub.tuf.keys import next_root, revoke
from tests.ota.attacking import (
    DIRECTOR_TIMESTAMP,
    IMAGE_TIMESTAMP,
    announce_unchecked,
    copy_of,
    directed_to,
    refused,
    resign_director,
    resign_image,
)
from tests.ota.repositories import (
    HARDWARE,
    World,
    bytes_answer,
    packed_release,
    world_in,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as made:
        yield made


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

    @pytest.mark.parametrize("days", [2, 30, 300])
    def test_a_clock_that_is_ahead_of_the_servers_is_told_from_a_freeze(self, world: World, days: int) -> None:
        world.check()
        world.site.date_s = world.now_s
        detail = refused(world, OtaRefusal.CLOCK, world.now_s + days * 86_400)
        assert "this robot's clock says" in detail
        assert "the server's says" in detail

    def test_a_server_whose_clock_agrees_that_it_is_old_stands_still(self, world: World) -> None:
        world.check()
        world.site.date_s = world.now_s + 3 * 86_400
        detail = refused(world, OtaRefusal.FREEZE, world.now_s + 3 * 86_400)
        assert "has expired on" in detail
        assert "or this clock is ahead" in detail

    def test_a_web_page_in_place_of_metadata_is_no_attack(self, world: World) -> None:
        world.site.answers[DIRECTOR_TIMESTAMP] = bytes_answer(b"<html>log in</html>")
        refused(world, OtaRefusal.CAPTIVE_PORTAL)

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
