"""What the hub itself refuses to publish, before any robot would have to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Targets

from edge_runtime.contracts.assignment import ReleaseTerms, custom_of
from edge_runtime.contracts.errors import HubError, OtaError, SigningError
from edge_runtime.releases.key_files import PUBLIC_SUFFIX, create_key, load_public, load_signer
from edge_runtime.releases.sign import draft_release, read_draft, releases_of, renew
from hub.tuf.keys import first_root, next_root, next_targets
from hub.tuf.repository import KEPT_VERSIONS
from tests.ota.repositories import HARDWARE, ROBOT, World, packed_release, world_in

Change = Callable[[dict[str, Any], str], None]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as made:
        yield made


def announced(world: World) -> bytes:
    return (world.hub.folder / "image" / "metadata" / "timestamp.json").read_bytes()


def draft_of(world: World, words: str) -> Metadata[Targets]:
    release = packed_release(world.packed, words)
    draft, _ = draft_release(world.hub.image.releases(), release.canonical_json(), (HARDWARE,), world.now_s)
    return draft


def refused(world: World, draft: Metadata[Any], words: str) -> None:
    before = announced(world)
    draft.signatures.clear()
    world.sign(draft, "exporter")
    world.sign(draft, "approver")
    with pytest.raises(SigningError, match=words):
        world.hub.image.publish_release(draft, world.packed, world.hub.online(), world.now_s)
    assert announced(world) == before


class TestImage:
    @pytest.mark.parametrize("kind", ["packs", "bundles"])
    @pytest.mark.parametrize("damage", ["gone", "altered"])
    def test_a_release_whose_files_are_not_whole(self, world: World, kind: str, damage: str) -> None:
        draft = draft_of(world, "third")
        newest = max((world.packed / kind).rglob("*.*"), key=lambda path: path.stat().st_mtime_ns)
        if damage == "gone":
            newest.unlink()
        else:
            newest.write_bytes(newest.read_bytes()[:-1] + b"!")
        refused(world, draft, "No such file|is missing|is not what was signed")

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda targets, path: targets.pop(path), "gone or changed"),
            (lambda targets, path: setattr(targets[path], "length", 1), "gone or changed"),
            (lambda targets, path: _set_terms(targets[path], (HARDWARE,), (3,)), "lost a counter"),
            (lambda targets, path: _set_terms(targets[path], ("other",), (1,)), "changed its hardware"),
            (lambda targets, path: _set_terms(targets[path], (HARDWARE,), (1, 2)), "share a counter"),
        ],
    )
    def test_what_was_released_stays(self, world: World, change: Change, words: str) -> None:
        draft = renew(world.hub.image.releases(), world.now_s)
        change(draft.signed.targets, world.old.target_path)
        refused(world, draft, words)

    @pytest.mark.parametrize("change", ["new", "gone"])
    def test_keys_are_installed_with_the_releases_that_are_there(self, world: World, change: str) -> None:
        draft = draft_of(world, "third") if change == "new" else renew(world.hub.image.releases(), world.now_s)
        if change == "gone":
            del draft.signed.targets[world.old.target_path]
        world.sign(draft, "exporter")
        world.sign(draft, "approver")
        before = announced(world)
        with pytest.raises(SigningError, match="bring its files" if change == "new" else "gone or changed"):
            world.hub.image.install({"releases": draft}, world.hub.online(), world.now_s)
        assert announced(world) == before

    def test_a_draft_that_another_release_overtook(self, world: World) -> None:
        late = draft_of(world, "late")
        world.publish("early")
        with pytest.raises(SigningError):
            world.hub.image.publish_release(late, world.packed, world.hub.online(), world.now_s)
        late = renew(read_draft(world.hub.folder / "image" / "metadata" / "1.releases.json"), world.now_s)
        refused(world, late, "gone or changed")

    def test_a_version_that_is_skipped(self, world: World) -> None:
        draft = renew(world.hub.image.releases(), world.now_s)
        draft.signed.version += 1
        refused(world, draft, "the next is 3")

    def test_another_role_is_no_list_of_releases(self, world: World) -> None:
        for role in ("targets", "root"):
            metadata = read_draft(world.hub.folder / "image" / "metadata" / f"1.{role}.json")
            with pytest.raises(SigningError, match="another role"):
                releases_of(metadata)

    def test_all_that_a_timestamp_needs_is_there_before_it(self, world: World) -> None:
        targets = world.hub.folder / "image" / "targets"
        assert (targets / world.new.packs[0].path).exists()
        assert (targets / f"bundles/reach/{world.new.digest}.{world.new.digest}.json").exists()
        assert not [*world.hub.folder.rglob(".*.new")]

    def test_nothing_was_released_at_first(self, tmp_path: Path) -> None:
        with world_in(tmp_path) as world, pytest.raises(HubError, match="never released"):
            world.hub.image.released("bundles/reach/none.json")


def _set_terms(target: Any, hardware: tuple[str, ...], counters: tuple[int, ...]) -> None:
    target.unrecognized_fields["custom"] = custom_of(ReleaseTerms(hardware=hardware, release_counters=counters))


class TestDirector:
    def test_a_robots_counter_goes_up_only(self, world: World) -> None:
        with pytest.raises(HubError, match="to go back"):
            world.assign(world.old, 1)
        world.assign(world.new, 2)
        world.publish("old")
        world.assign(world.old, 3)
        assignment = world.hub.director.assignment(ROBOT)
        assert assignment is not None
        assert assignment.terms.release_counter == 3

    def test_a_robot_without_an_assignment_has_none(self, world: World) -> None:
        assert world.hub.director.assignment("arm-9") is None
        assert [*world.hub.director.robots()] == [ROBOT]

    def test_a_robot_may_be_called_root(self, world: World) -> None:
        world.assign(world.new, 2, robot_id="root")
        assert sorted(world.hub.director.robots()) == [ROBOT, "root"]
        assert world.hub.refresh(world.now_s) == 2


DAY_S = 86_400


class TestRefresh:
    def test_a_timestamp_is_all_that_is_signed_each_hour(self, world: World) -> None:
        before = files_of(world)
        world.hub.refresh(world.now_s + 3600)
        after = files_of(world)
        assert {name for name, data in after.items() if before.get(name) != data} == {
            "image/timestamp.json",
            f"{ROBOT}/timestamp.json",
        }

    def test_what_is_half_through_its_life_is_signed_too(self, world: World) -> None:
        before = files_of(world)
        world.hub.refresh(world.now_s + 4 * DAY_S)
        fresh = {name for name in files_of(world) if name not in before}
        assert fresh == {"image/4.snapshot.json", f"{ROBOT}/2.snapshot.json", f"{ROBOT}/2.targets.json"}
        assert world.check(world.now_s + 4 * DAY_S).path == world.new.target_path

    def test_a_year_of_it_fills_no_disk(self, world: World) -> None:
        for week in range(1, 13):
            world.hub.refresh(world.now_s + week * 7 * DAY_S)
        counted = Counter(name.split("/")[0] + "/" + name.split(".", 1)[1] for name in files_of(world))
        assert counted["image/snapshot.json"] == counted[f"{ROBOT}/snapshot.json"] == KEPT_VERSIONS
        assert counted[f"{ROBOT}/targets.json"] == KEPT_VERSIONS
        # What people signed stays.
        assert (counted["image/root.json"], counted["image/releases.json"]) == (1, 2)


def files_of(world: World) -> dict[str, bytes]:
    image = world.hub.folder / "image" / "metadata"
    return {
        f"{name}/{path.name}": path.read_bytes()
        for name, folder in (("image", image), (ROBOT, world.directed()))
        for path in folder.iterdir()
    }


class TestDrafts:
    def test_exporter_and_approver_are_two(self, tmp_path: Path) -> None:
        key, other = create_key(tmp_path, "a"), create_key(tmp_path, "b")
        with pytest.raises(SigningError, match="a key each"):
            next_targets(None, time.time(), exporter=key, approver=key)
        for keys in ({}, {"exporter": key}, {"approver": other}):
            with pytest.raises(SigningError, match="of an exporter and of an approver"):
                next_targets(None, time.time(), **keys)

    def test_a_root_that_could_not_be_signed_or_by_one_alone(self, tmp_path: Path) -> None:
        key, other = create_key(tmp_path, "a"), create_key(tmp_path, "b")
        rest = {role: [key] for role in ("targets", "snapshot", "timestamp")}
        for keys, thresholds, words in (
            (rest, {}, "needs a key"),
            ({**rest, "root": [key]}, {}, "one person"),
            ({**rest, "root": [key, other]}, {"root": 1}, "one person"),
            ({**rest, "root": [key, other]}, {"root": 3}, "threshold of 3"),
            ({**rest, "root": [key, other]}, {"timestamp": 0}, "threshold of 0"),
        ):
            with pytest.raises(SigningError, match=words):
                first_root(keys, thresholds, time.time())
        root = first_root({**rest, "root": [key, other]}, {}, time.time())
        for change, words in (
            ({"remove": {"root": [key.keyid]}}, "threshold of 2"),
            ({"remove": {"snapshot": [other.keyid]}}, "does not use"),
            ({"remove": {"releases": [other.keyid]}}, "no role of a root"),
            ({"add": {"releases": [other]}}, "no role of a root"),
            ({"thresholds": {"releases": 2}}, "no role of a root"),
        ):
            with pytest.raises(SigningError, match=words):
                next_root(root, time.time(), **change)

    def test_only_ed25519(self, tmp_path: Path) -> None:
        from securesystemslib.signer import CryptoSigner

        weak = CryptoSigner.generate_ecdsa().public_key
        with pytest.raises(SigningError, match="Ed25519"):
            next_targets(None, time.time(), exporter=weak, approver=create_key(tmp_path, "a"))

    def test_the_hardware_of_a_release_stays(self, world: World) -> None:
        with pytest.raises(SigningError, match="that stays"):
            draft_release(world.hub.image.releases(), world.new.canonical_json(), ("other",), world.now_s)
        with pytest.raises(OtaError):
            draft_release(world.hub.image.releases(), b"{}", (HARDWARE,), world.now_s)
        with pytest.raises(OtaError):
            draft_release(None, world.new.canonical_json(), ("../arm",), world.now_s)


class TestKeyFiles:
    def test_a_key_is_never_written_over(self, tmp_path: Path) -> None:
        first = create_key(tmp_path, "a")
        with pytest.raises(SigningError, match="never written over"):
            create_key(tmp_path, "a")
        assert load_public(tmp_path / f"a{PUBLIC_SUFFIX}").keyid == first.keyid
        assert load_signer(tmp_path / "a.key").public_key.keyid == first.keyid

    def test_a_passphrase_is_needed_and_must_be_right(self, tmp_path: Path) -> None:
        create_key(tmp_path, "a", "correct horse battery")
        assert b"ENCRYPTED" in (tmp_path / "a.key").read_bytes()
        load_signer(tmp_path / "a.key", "correct horse battery")
        for passphrase, words in ((None, "needs its passphrase"), ("wrong horse battery", "passphrase is wrong")):
            with pytest.raises(SigningError, match=words):
                load_signer(tmp_path / "a.key", passphrase)
        create_key(tmp_path, "b")
        with pytest.raises(SigningError, match="has no passphrase"):
            load_signer(tmp_path / "b.key", "correct horse battery")

    @pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b'{"keyid": 5}', b"\xff"])
    def test_what_is_no_key(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "a").write_bytes(data)
        for load in (load_public, load_signer):
            with pytest.raises(SigningError, match="is no"):
                load(tmp_path / "a")

    def test_another_kind_of_key(self, tmp_path: Path) -> None:
        from securesystemslib.signer import CryptoSigner

        (tmp_path / "a").write_bytes(CryptoSigner.generate_ecdsa().private_bytes)
        with pytest.raises(SigningError, match="Ed25519"):
            load_signer(tmp_path / "a")
