"""What was refused leaves nothing: whatever a draft names, and whatever is brought with it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from tuf.api.metadata import Metadata, TargetFile

from edge_runtime.contracts.assignment import ReleaseTerms, custom_of
from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.release import Pack, ReleaseManifest, StoredDelta
from edge_runtime.releases.key_files import load_signer
from edge_runtime.releases.sign import draft_release, renew, sign_draft
from hub.api.server import ServeSettings, serve
from hub.cli import main as edge_hub
from hub.hub import Hub, make_development_hub
from tests.hub.served import ServedHub
from tests.ota.repositories import HARDWARE, packed_release, release_of_files, tiny_manifest

NOW_S = time.time()
BOTH = ("exporter", "approver")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a hub but notes of its locks, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"folder"
        for path in sorted(folder.rglob("*"))
        if path.name not in (".lock", ".serving") and not path.name.startswith("hub.sqlite")
    }


def draft_of(hub: Hub, targets: dict[str, TargetFile], signers: tuple[str, ...] = BOTH) -> Metadata[Any]:
    draft = renew(hub.image.releases(), NOW_S)
    draft.signed.targets.update(targets)
    for name in signers:
        sign_draft(draft, load_signer(hub.development_keys / f"{name}.key"))
    return draft


def target_at(path: str, data: bytes, counter: int = 1) -> TargetFile:
    target = TargetFile.from_data(path, data, ["sha256"])
    target.unrecognized_fields["custom"] = custom_of(ReleaseTerms(hardware=(HARDWARE,), release_counters=(counter,)))
    return target


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return make_development_hub(tmp_path / "hub", NOW_S)


DIGEST = "0" * 64
PATHS = [
    "../../keys/x.key",
    "../../../outside.json",
    "/tmp/absolute.json",
    f"bundles/../../keys/{DIGEST}.json",
    f"bundles/reach/../{DIGEST}.json",
    f"bundles//{DIGEST}.json",
    f"bundles/./{DIGEST}.json",
    f"bundles/.hidden/{DIGEST}.json",
    f"bundles\\reach\\{DIGEST}.json",
    f"bundles/re\0ach/{DIGEST}.json",
    f"bundles/reach/{DIGEST}.json\n",
    f"bundles/rea\x1b[31mch/{DIGEST}.json",
    f"bundles/{'n' * 5000}/{DIGEST}.json",
    f"bundles/reach/{DIGEST.upper()}A.json",
    f"bundles/reach/{DIGEST}",
    "bundles/reach/NUL",
    "/dev/zero",
    f"packs/{DIGEST}.pack",
    "metadata/timestamp.json",
    "",
]


@pytest.mark.parametrize("signers", [BOTH, ("exporter",), ()])
@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leads_elsewhere_writes_nothing(
    hub: Hub, tmp_path: Path, path: str, signers: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "a" / "b" / "packed"
    packed.mkdir(parents=True)
    data = packed_release(packed, "first").canonical_json()
    place = packed / path.replace("\0", "_")
    if len(path) < 200 and not path.startswith("/"):
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.write_bytes(data)
    target = target_at("placeholder", data)
    target.path = path
    draft = draft_of(hub, {path: target}, signers)
    (tmp_path / "draft.json").write_bytes(draft.to_bytes())
    before = tree(tmp_path)
    assert edge_hub(["publish", str(hub.folder), str(tmp_path / "draft.json"), str(packed)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "\x1b" not in said
    assert tree(tmp_path) == before


@pytest.mark.parametrize("signers", [(), ("exporter",), ("approver",), ("exporter", "targets-1")])
def test_nothing_is_written_before_the_signatures_are_checked(
    hub: Hub, tmp_path: Path, signers: tuple[str, ...]
) -> None:
    release = packed_release(tmp_path / "packed", "first")
    draft = draft_of(hub, {release.target_path: target_at(release.target_path, release.canonical_json())}, signers)
    before = tree(hub.folder)
    with pytest.raises(SigningError, match="signatures"):
        hub.image.publish_release(draft, tmp_path / "packed", hub.online(), NOW_S)
    assert tree(hub.folder) == before


def test_a_hash_is_no_path(hub: Hub, tmp_path: Path) -> None:
    release = packed_release(tmp_path / "packed", "first")
    for hashes in (
        {"sha256": "../../../keys/x"},
        {"sha256": release.digest, "md5": "../../../keys/x"},
        {"sha512": hashlib.sha512(release.canonical_json()).hexdigest()},
        {"sha256": "0" * 64},
    ):
        target = target_at(release.target_path, release.canonical_json())
        target.hashes = hashes
        before = tree(hub.folder)
        with pytest.raises(SigningError):
            hub.image.publish_release(
                draft_of(hub, {release.target_path: target}), tmp_path / "packed", hub.online(), NOW_S
            )
        assert tree(hub.folder) == before


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link_to_a_secret(path: Path) -> None:
    path.rename(path.with_name("kept"))
    path.symlink_to(path.with_name("kept"))


def _device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def _sparse(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize("harm", [_pipe, _link_to_a_secret, _device, _folder, _longer, _sparse])
@pytest.mark.parametrize("which", ["pack", "manifest"])
def test_only_plain_files_are_read_and_no_more_of_them_than_was_signed(
    hub: Hub, tmp_path: Path, harm: Callable[[Path], None], which: str
) -> None:
    packed = tmp_path / "packed"
    release = packed_release(packed, "first")
    draft = draft_of(hub, {release.target_path: target_at(release.target_path, release.canonical_json())})
    harm(packed / (release.packs[0].path if which == "pack" else release.target_path))
    before = tree(hub.folder)
    with pytest.raises(SigningError, match=r"is missing, or is no plain file|is not what was signed|is not the pack"):
        hub.image.publish_release(draft, packed, hub.online(), NOW_S)
    assert tree(hub.folder) == before


def test_by_http_what_is_refused_becomes_public_nowhere(served: ServedHub) -> None:
    for signers in ((), ("exporter",)):
        release, draft = served.draft("first", signers)
        for path in (release.target_path, release.packs[0].path):
            assert served.upload(path, (served.packed / path).read_bytes()).status_code == 204
        answer = served.http.post(f"{served.url}/v1/releases", content=draft, headers=served.operator)
        assert answer.status_code == 422
        assert served.http.get(f"{served.url}/image/targets/{release.packs[0].path}").status_code == 404
    assert not (served.hub.folder / "image" / "targets").exists()
    assert not (served.hub.folder / "image" / "spool").exists()
    evil = target_at("placeholder", b"x")
    evil.path = "../../keys/x.key"
    draft = draft_of(served.hub, {evil.path: evil}, ()).to_bytes()
    keys = sorted(path.name for path in served.hub.keys.iterdir())
    answer = served.http.post(f"{served.url}/v1/releases", content=draft, headers=served.operator)
    assert (answer.status_code, "no path of a release" in answer.json()["detail"]) == (422, True)
    assert sorted(path.name for path in served.hub.keys.iterdir()) == keys


def test_a_spool_that_a_crash_left_is_cleared(hub: Hub, tmp_path: Path) -> None:
    spool = hub.folder / "image" / "spool"
    (spool / "packs").mkdir(parents=True)
    (spool / "packs" / "x.pack").write_bytes(b"half")
    release = packed_release(tmp_path / "packed", "first")
    draft = draft_of(hub, {release.target_path: target_at(release.target_path, release.canonical_json())})
    hub.image.publish_release(draft, tmp_path / "packed", hub.online(), NOW_S)
    assert not spool.exists()
    (spool / "packs").mkdir(parents=True)
    uploads = hub.folder / "incoming" / "packs"
    uploads.mkdir(parents=True)
    for name, age_s in ((".x.pack.1.new", 0), ("old.pack", 2 * 86_400), ("young.pack", 60)):
        (uploads / name).write_bytes(b"x")
        os.utime(uploads / name, (time.time() - age_s,) * 2)
    # Nobody can listen there: it ends after it has tidied up.
    with pytest.raises(Exception, match="listen"):
        serve(hub, ServeSettings(host="192.0.2.1"), lambda _: None)
    assert not spool.exists()
    assert sorted(path.name for path in uploads.iterdir()) == ["old.pack", "young.pack"]


def frame(data: bytes, window_log: int = 0) -> bytes:
    """`data` as a zstd frame, with a window that somebody asks for."""
    if not window_log:
        return zstandard.ZstdCompressor(level=3).compress(data)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, window_log=window_log, write_content_size=False, enable_ldm=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(data) + compressor.flush()


POLICY = b"policy" * 100_000
FILES = {"manifest.json": tiny_manifest(POLICY).canonical_json(), "policy.bin": POLICY}
MANIFEST = tiny_manifest(POLICY)


def _sound() -> tuple[ReleaseManifest, bytes]:
    return release_of_files(FILES, MANIFEST.digest, {"policy.bin": frame(POLICY)})


def _bytes_beyond() -> tuple[ReleaseManifest, bytes]:
    return release_of_files(FILES, MANIFEST.digest, {"policy.bin": frame(POLICY + b"more")})


def _too_few_bytes() -> tuple[ReleaseManifest, bytes]:
    return release_of_files(FILES, MANIFEST.digest, {"policy.bin": frame(POLICY[:-1])})


def _window_of_128_mib() -> tuple[ReleaseManifest, bytes]:
    return release_of_files(FILES, MANIFEST.digest, {"policy.bin": frame(POLICY, 27)})


def _no_frame() -> tuple[ReleaseManifest, bytes]:
    return release_of_files(FILES, MANIFEST.digest, {"policy.bin": b"no frame at all"})


def _wrong_bundle_digest() -> tuple[ReleaseManifest, bytes]:
    return release_of_files(FILES, "0" * 64)


def _manifest_that_is_none() -> tuple[ReleaseManifest, bytes]:
    return release_of_files({**FILES, "manifest.json": b"no manifest"}, hashlib.sha256(b"no manifest").hexdigest())


def _manifest_of_other_files() -> tuple[ReleaseManifest, bytes]:
    return release_of_files({**FILES, "policy.bin": b"another policy"}, MANIFEST.digest)


def _manifest_of_more_files() -> tuple[ReleaseManifest, bytes]:
    return release_of_files({"manifest.json": FILES["manifest.json"]}, MANIFEST.digest)


def _with_delta(stored: bytes, base: str) -> tuple[ReleaseManifest, bytes]:
    release, pack = release_of_files(FILES, MANIFEST.digest)
    blob = hashlib.sha256(POLICY).hexdigest()
    deltas = (StoredDelta(blob=blob, base=base, pack=0, offset=len(pack), stored_bytes=len(stored), element_bytes=1),)
    pack += stored
    packs = (Pack(sha256=hashlib.sha256(pack).hexdigest(), size_bytes=len(pack)),)
    return msgspec.structs.replace(release, packs=packs, deltas=deltas), pack


def _delta_with_bytes_beyond() -> tuple[ReleaseManifest, bytes]:
    return _with_delta(frame(bytes(len(POLICY) + 1)), "1" * 64)


def _delta_that_is_none() -> tuple[ReleaseManifest, bytes]:
    return _with_delta(b"no delta", "1" * 64)


def _delta_that_leads_elsewhere() -> tuple[ReleaseManifest, bytes]:
    # From a blob of a release that the hub has, which the test publishes first.
    return _with_delta(frame(bytes(len(POLICY))), hashlib.sha256(POLICY[::-1]).hexdigest())


def put(release: ReleaseManifest, pack: bytes, packed: Path) -> None:
    for path, data in ((release.target_path, release.canonical_json()), (release.packs[0].path, pack)):
        (packed / path).parent.mkdir(parents=True, exist_ok=True)
        (packed / path).write_bytes(data)


def published(hub: Hub, release: ReleaseManifest, packed: Path) -> tuple[str, ...]:
    draft, _ = draft_release(hub.image.releases(), release.canonical_json(), (HARDWARE,), NOW_S)
    for name in BOTH:
        sign_draft(draft, load_signer(hub.development_keys / f"{name}.key"))
    return hub.image.publish_release(draft, packed, hub.online(), NOW_S)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (_bytes_beyond, "blob_oversized"),
        (_too_few_bytes, "blob_malformed"),
        (_window_of_128_mib, "blob_malformed"),
        (_no_frame, "blob_malformed"),
        (_wrong_bundle_digest, "the files are those of the bundle"),
        (_manifest_that_is_none, "bundle_altered"),
        (_manifest_of_other_files, "disagree about policy.bin"),
        (_manifest_of_more_files, "disagree about policy.bin"),
        (_delta_with_bytes_beyond, "blob_oversized: the delta"),
        (_delta_that_is_none, "blob_malformed: the delta"),
        (_delta_that_leads_elsewhere, "does not lead to"),
    ],
)
def test_what_no_robot_can_install_is_refused_at_the_gate(
    hub: Hub, tmp_path: Path, made: Callable[[], tuple[ReleaseManifest, bytes]], words: str
) -> None:
    packed = tmp_path / "packed"
    before_policy = POLICY[::-1]
    earlier = tiny_manifest(before_policy)
    first = release_of_files({"manifest.json": earlier.canonical_json(), "policy.bin": before_policy}, earlier.digest)
    put(*first, packed)
    assert published(hub, first[0], packed) == (first[0].target_path,)
    before = tree(hub.folder)
    release, pack = made()
    put(release, pack, packed)
    with pytest.raises(SigningError, match=words):
        published(hub, release, packed)
    assert tree(hub.folder) == before
    sound = _sound()
    put(*sound, packed)
    assert published(hub, sound[0], packed) == (sound[0].target_path,)


def test_what_is_brought_is_named_as_it_was_signed(hub: Hub, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    release = packed_release(packed, "first")
    data = release.canonical_json()
    # Signed by both, under the right hash, and in the folder of another bundle: robots refuse that.
    path = f"bundles/other/{release.digest}.json"
    (packed / path).parent.mkdir(parents=True)
    (packed / path).write_bytes(data)
    with pytest.raises(SigningError, match="holds the release bundles/reach/"):
        hub.image.publish_release(draft_of(hub, {path: target_at(path, data)}), packed, hub.online(), NOW_S)
