"""The floor of a metadata repository: in whatever order things come, no number falls that its keys still vouch for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.bundles.slots import Slot, SlotFile, Slots
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.trust.rollback_protection import Floor, ReleaseFloor
from edge_runtime.ota.trust.versions import RoleKeys, Seen, Versions, first_below, raised
from edge_runtime.storage.twin_record import TwinRecord
from tests.ota.plain_repository import PlainRepository
from tests.ota.repositories import Site

KEYS = ("a", "b", "c")
ROLES = ("targets", "releases")

numbers = st.integers(0, 4)
signers = st.sets(st.sampled_from(KEYS)).map(lambda chosen: tuple(sorted(chosen)))
keys = st.builds(RoleKeys, keyids=signers, threshold=st.integers(1, 2))
seen_by_robots = st.builds(
    Seen,
    versions=st.builds(
        Versions,
        root=numbers,
        timestamp=numbers,
        snapshot=numbers,
        roles=st.dictionaries(st.sampled_from(ROLES), numbers),
        timestamp_signers=signers,
        snapshot_signers=signers,
        signed_at_s=numbers,
    ),
    timestamp_keys=keys,
    snapshot_keys=keys,
)


@given(st.lists(seen_by_robots, max_size=12))
def test_no_number_falls_that_its_keys_still_vouch_for(offers: list[Seen]) -> None:
    floor = Versions()
    for offer in offers:
        before = floor
        if first_below(floor, offer) is not None:
            with pytest.raises(ValueError, match="does not fall"):
                raised(floor, offer)
            continue
        floor = raised(floor, offer)
        assert floor.root >= before.root
        if offer.timestamp_keys.accept(before.timestamp_signers):
            assert floor.timestamp >= before.timestamp
            assert floor.snapshot >= before.snapshot
            assert floor.signed_at_s >= before.signed_at_s
        if offer.snapshot_keys.accept(before.snapshot_signers):
            assert all(floor.roles.get(role, 0) >= version for role, version in before.roles.items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"root": 1}, "root 1 after 2"),
        ({"timestamp": 4}, "timestamp 4 after 5"),
        ({"snapshot": 3}, "snapshot 3 after 4"),
        ({"roles": {"targets": 3, "releases": 2}}, "releases 2 after 3"),
        ({"roles": {"targets": 3}}, "releases 0 after 3"),
    ],
)
def test_what_is_below_is_named(change: dict[str, object], words: str) -> None:
    values = {
        "root": 2,
        "timestamp": 5,
        "snapshot": 4,
        "roles": {"targets": 3, "releases": 3},
        "timestamp_signers": ("a",),
        "snapshot_signers": ("b",),
    }
    floor = Versions(**values)  # type: ignore[arg-type]
    offer = Seen(
        versions=Versions(**{**values, **change}),  # type: ignore[arg-type]
        timestamp_keys=RoleKeys(("a",), 1),
        snapshot_keys=RoleKeys(("b",), 1),
    )
    assert first_below(floor, offer) == words
    newer_keys = Seen(versions=offer.versions, timestamp_keys=RoleKeys(("c",), 1), snapshot_keys=RoleKeys(("c",), 1))
    assert first_below(floor, newer_keys) == (words if "root" in change else None)


def test_a_floor_on_disk_does_not_fall_and_has_its_limits(tmp_path: Path) -> None:
    floor = Floor(tmp_path / "floor")
    held = RoleKeys(("a",), 1)

    def offer(timestamp: int, roles: int = 1) -> Seen:
        versions = Versions(
            root=1,
            timestamp=timestamp,
            roles={f"role-{number}": 1 for number in range(roles)},
            timestamp_signers=("a",),
            snapshot_signers=("a",),
        )
        return Seen(versions=versions, timestamp_keys=held, snapshot_keys=held)

    floor.raise_versions("image", offer(2))
    floor.raise_versions("image", offer(2))
    for lower, refusal in ((offer(1), OtaRefusal.ROLLBACK), (offer(3, roles=1000), OtaRefusal.METADATA_MALFORMED)):
        with pytest.raises(OtaError) as caught:
            floor.raise_versions("image", lower)
        assert caught.value.refusal is refusal
    assert floor.versions("image").timestamp == 2
    assert floor.versions("director") == Versions()
    assert TwinRecord(tmp_path / "floor" / "image", Versions).read() == floor.versions("image")


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_what_was_accepted_reaches_the_disk_before_the_floor_is_raised_to_it(tmp_path: Path) -> None:
    PlainRepository(tmp_path / "repository")
    site = Site(tmp_path / "repository")
    folder, log = tmp_path / "client" / "metadata", tmp_path / "strace.log"
    program = [sys.executable, "-m", "edge_runtime.ota.trust.conformance", "--metadata-dir", str(folder)]
    subprocess.run(
        [*program, "init", str(tmp_path / "repository" / "metadata" / "1.root.json")], check=True, timeout=60
    )
    tracing = ["strace", "-f", "-y", "-e", "trace=fsync,rename,renameat,symlink,unlink", "-o", str(log)]
    subprocess.run([*tracing, *program, "--metadata-url", f"{site.url}/metadata/", "refresh"], check=True, timeout=60)
    site.close()
    lines = log.read_text().splitlines()
    changes = [number for number, line in enumerate(lines) if re.search(rf"(rename|symlink|unlink).*{folder}/", line)]
    floor = next(number for number, line in enumerate(lines) if "state/floor/conformance.a" in line)
    assert len(changes) >= 4
    assert max(changes) < floor
    synced = {match[1] for line in lines[max(changes) : floor] if (match := re.search(r"fsync\(\d+<(.*)>\)", line))}
    assert {str(folder / f"{role}.json") for role in ("timestamp", "snapshot", "targets")} <= synced
    assert {str(folder / "root_history" / "1.root.json"), str(folder), str(folder / "root_history")} <= synced


def test_what_a_person_restores_is_the_floor_of_what_was_named_and_of_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "not" / "there"
    Floor(place).restore_versions("image", Versions(root=3, roles={"releases": 2}))
    assert Floor(place).versions("image") == Versions(root=3, roles={"releases": 2})
    assert (Floor(place).versions("director"), Floor(place).release()) == (Versions(), ReleaseFloor())
    released = ReleaseFloor(release_counter=4, path="bundles/toy/4.json")
    Floor(tmp_path / "other").restore_release(released)
    assert Floor(tmp_path / "other").release() == released
    assert Floor(tmp_path / "other").versions("image") == Versions()


@pytest.mark.parametrize(
    ("before", "after", "taken"),
    [
        ((3, "a"), (3, "a"), True),
        ((3, "a"), (4, "a"), True),
        ((3, "a"), (4, "b"), True),
        ((3, "a"), (3, "b"), False),
        ((3, "a"), (2, "a"), False),
        ((3, "a"), (2, "b"), False),
    ],
)
def test_a_release_counter_is_spent_once(
    tmp_path: Path, before: tuple[int, str], after: tuple[int, str], taken: bool
) -> None:
    floor = Floor(tmp_path / "floor")
    floor.raise_release(*before)
    if taken:
        floor.raise_release(*after)
        assert floor.release() == ReleaseFloor(release_counter=after[0], path=after[1])
        return
    with pytest.raises(OtaError, match=f"{after[0]} of {after[1]} after {before[0]}") as caught:
        floor.raise_release(*after)
    assert caught.value.refusal is OtaRefusal.ROLLBACK
    assert floor.release() == ReleaseFloor(release_counter=before[0], path=before[1])


FLOOR = Versions(
    root=3,
    timestamp=5,
    snapshot=4,
    roles={"targets": 2, "releases": 6},
    timestamp_signers=("a", "b"),
    snapshot_signers=("b", "c"),
    signed_at_s=1000,
)
BOTH = RoleKeys(keyids=("a", "b"), threshold=2)
OTHERS = RoleKeys(keyids=("b", "x"), threshold=2)


@pytest.mark.parametrize(
    ("change", "below"),
    [
        ({}, None),
        ({"root": 2}, "root 2 after 3"),
        ({"timestamp": 4}, "timestamp 4 after 5"),
        ({"snapshot": 3}, "snapshot 3 after 4"),
        ({"roles": {"targets": 2, "releases": 5}}, "releases 5 after 6"),
        ({"roles": {"targets": 2}}, "releases 0 after 6"),
        ({"roles": {"targets": 1, "releases": 7}}, "targets 1 after 2"),
    ],
)
def test_what_lies_below_is_named_and_equal_is_not_below(change: dict[str, object], below: str | None) -> None:
    offered = msgspec.structs.replace(FLOOR, **change)
    snapshot_keys = RoleKeys(keyids=("b", "c"), threshold=2)
    assert first_below(FLOOR, Seen(versions=offered, timestamp_keys=BOTH, snapshot_keys=snapshot_keys)) == below
    # A root that asks for keys of which too few had signed lets fall what those vouched for, and no more.
    recovered = first_below(FLOOR, Seen(versions=offered, timestamp_keys=OTHERS, snapshot_keys=OTHERS))
    assert recovered == (below if "root" in change else None)
    timestamp_alone = first_below(FLOOR, Seen(versions=offered, timestamp_keys=OTHERS, snapshot_keys=snapshot_keys))
    assert timestamp_alone == (below if {"root", "roles"} & change.keys() else None)
    snapshot_alone = first_below(FLOOR, Seen(versions=offered, timestamp_keys=BOTH, snapshot_keys=OTHERS))
    assert snapshot_alone == (None if "roles" in change else below)


def test_when_something_was_signed_last_is_kept_as_long_as_its_keys_count() -> None:
    earlier = msgspec.structs.replace(FLOOR, signed_at_s=900)
    assert raised(FLOOR, Seen(versions=earlier, timestamp_keys=BOTH, snapshot_keys=OTHERS)).signed_at_s == 1000
    assert raised(FLOOR, Seen(versions=earlier, timestamp_keys=OTHERS, snapshot_keys=OTHERS)).signed_at_s == 900


def test_a_floor_is_missing_only_where_something_was_committed(tmp_path: Path) -> None:
    """Before the first commit there is none to lose; afterwards, none is a loss."""
    slots = SlotFile(tmp_path / "slots")
    floor = Floor(tmp_path / "floor", slots)
    assert (floor.versions("image"), floor.release()) == (Versions(), ReleaseFloor())
    slots.write(Slots())
    assert floor.versions("image") == Versions()
    slots.write(Slots(active=Slot("a" * 64, 4), committed=Slot("a" * 64, 4)))
    for ask in (lambda: floor.versions("image"), floor.release):
        with pytest.raises(OtaError, match="is gone") as caught:
            ask()
        assert caught.value.refusal is OtaRefusal.TORN_STATE
    floor.restore_versions("image", Versions(root=3))
    floor.restore_release(ReleaseFloor(release_counter=4, path="a"))
    assert floor.versions("image") == Versions(root=3)
    assert floor.release() == ReleaseFloor(release_counter=4, path="a")


def test_what_says_nothing_new_is_not_written(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    offered = Seen(versions=FLOOR, timestamp_keys=BOTH, snapshot_keys=BOTH)
    floor.raise_versions("image", offered)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    floor.raise_versions("image", offered)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
