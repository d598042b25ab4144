"""What is published can be installed: packs and manifest that do not fit are refused, whoever signed them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.release import ReleaseManifest
from edge_runtime.releases.key_files import load_signer
from edge_runtime.releases.sign import draft_release, sign_draft
from hub.hub import Hub, make_development_hub
from tests.ota.repositories import HARDWARE, packed_release

NOW_S = time.time()


def publish(hub: Hub, release: ReleaseManifest, packed: Path) -> tuple[str, ...]:
    """Exporter and approver sign whatever it is."""
    draft, _ = draft_release(hub.image.releases(), release.canonical_json(), (HARDWARE,), NOW_S)
    for name in ("exporter", "approver"):
        sign_draft(draft, load_signer(hub.development_keys / f"{name}.key"))
    return hub.image.publish_release(draft, packed, hub.online(), NOW_S)


def altered_pack(release: ReleaseManifest, packed: Path) -> ReleaseManifest:
    (packed / release.packs[0].path).write_bytes(b"other")
    return release


def missing_pack(release: ReleaseManifest, packed: Path) -> ReleaseManifest:
    (packed / release.packs[0].path).unlink()
    return release


def altered_manifest(release: ReleaseManifest, packed: Path) -> ReleaseManifest:
    path = packed / release.target_path
    path.write_bytes(path.read_bytes().replace(b"sim_arm", b"six_arm"))
    return release


def signed_pack_of_other_content(release: ReleaseManifest, packed: Path) -> ReleaseManifest:
    data = bytes(release.packs[0].size_bytes)
    pack = msgspec.structs.replace(release.packs[0], sha256=hashlib.sha256(data).hexdigest())
    (packed / pack.path).write_bytes(data)
    return rewritten(msgspec.structs.replace(release, packs=(pack,)), packed)


def signed_file_of_another_digest(release: ReleaseManifest, packed: Path) -> ReleaseManifest:
    file = msgspec.structs.replace(release.files[0], sha256="0" * 64)
    return rewritten(msgspec.structs.replace(release, files=(file, *release.files[1:])), packed)


def signed_pack_of_another_size(release: ReleaseManifest, packed: Path) -> ReleaseManifest:
    path = packed / release.packs[0].path
    data = path.read_bytes() + b"more"
    pack = msgspec.structs.replace(release.packs[0], sha256=hashlib.sha256(data).hexdigest())
    (packed / pack.path).write_bytes(data)
    return rewritten(msgspec.structs.replace(release, packs=(pack,)), packed)


def rewritten(release: ReleaseManifest, packed: Path) -> ReleaseManifest:
    (packed / release.target_path).write_bytes(release.canonical_json())
    return release


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (altered_pack, "not the pack that the release names"),
        (missing_pack, "is missing"),
        (altered_manifest, "is not what was signed"),
        (signed_pack_of_other_content, "is altered"),
        (signed_file_of_another_digest, "contradicts itself"),
        (signed_pack_of_another_size, "the release says"),
    ],
)
def test_what_does_not_fit_is_not_published(
    tmp_path: Path, spoil: Callable[[ReleaseManifest, Path], ReleaseManifest], words: str
) -> None:
    hub, packed = make_development_hub(tmp_path / "hub", NOW_S), tmp_path / "packed"
    release = spoil(packed_release(packed, "first"), packed)
    with pytest.raises(SigningError, match=words):
        publish(hub, release, packed)
    assert hub.image.releases() is None
    sound = packed_release(packed, "second")
    assert publish(hub, sound, packed) == (sound.target_path,)
    assert hub.image.manifest(sound.target_path) == sound.canonical_json()


def test_a_manifest_that_decayed_is_not_read(tmp_path: Path) -> None:
    hub, packed = make_development_hub(tmp_path / "hub", NOW_S), tmp_path / "packed"
    release = packed_release(packed, "first")
    publish(hub, release, packed)
    for place in (hub.folder / "image" / "targets" / "bundles").rglob("*.json"):
        place.write_bytes(b"{}")
    with pytest.raises(SigningError, match="no longer what was published"):
        hub.image.manifest(release.target_path)
