"""What somebody does who stands between hub and robot, or who stole a key."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, MetaFile, TargetFile

from edge_runtime.contracts.assignment import ReleaseTerms, custom_of
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.releases.sign import read_draft, renew
from tests.ota.repositories import HARDWARE, ROBOT, World

IMAGE_TIMESTAMP = "/image/metadata/timestamp.json"
DIRECTOR_TIMESTAMP = f"/director/robots/{ROBOT}/metadata/timestamp.json"


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
