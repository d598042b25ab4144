"""A release is consistent, small and canonical, or it is refused by name before anything is fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.contracts import release as format_
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.manifest import MotionLimits, read_manifest
from edge_runtime.contracts.release import Compatibility, SafetyNeeds, load
from edge_runtime.testing.small_bundles import small_bundle

A, B, C, D = (hashlib.sha256(letter).hexdigest() for letter in (b"a", b"b", b"c", b"d"))


def document() -> dict[str, Any]:
    """A release of two files, three blobs in one pack, a delta in another."""
    return {
        "format_version": 1,
        "bundle_name": "pocket_vla",
        "bundle_version": "0.2.0",
        "bundle_digest": D,
        "compatibility": {
            "embodiment": "pocket_arm",
            "joint_digest": D,
            "schema": 1,
            "architectures": ["aarch64"],
            "gpu_architectures": ["sm_87"],
            "tensorrt": {"at_least": "10.3", "below": "11"},
            "jetpack": {"at_least": "6"},
            "requires_safety": {"velocity_urad_s": [1_500_000, 2_000_000], "tool_speed_um_s": 1_000_000},
        },
        "files": [
            {"path": "manifest.json", "size_bytes": 40, "sha256": D, "pieces": [A]},
            {"path": "weights/all.onnx", "size_bytes": 600, "sha256": D, "pieces": [B, C, B]},
        ],
        "blobs": {
            A: {"size_bytes": 40, "pack": 0, "offset": 0, "stored_bytes": 40, "codec": "none"},
            B: {"size_bytes": 200, "pack": 0, "offset": 40, "stored_bytes": 150, "codec": "zstd"},
            C: {"size_bytes": 200, "pack": 0, "offset": 190, "stored_bytes": 180, "codec": "zstd"},
        },
        "deltas": [{"blob": B, "base": D, "pack": 1, "offset": 0, "stored_bytes": 20, "element_bytes": 2}],
        "packs": [{"sha256": A, "size_bytes": 370}, {"sha256": B, "size_bytes": 20}],
    }


def data_of(changed: dict[str, Any]) -> bytes:
    return msgspec.json.encode(changed, order="sorted")


def refusal_of(data: bytes) -> OtaRefusal:
    with pytest.raises(OtaError) as caught:
        load(data)
    assert caught.value.detail not in ("", "None")
    return caught.value.refusal


def test_what_was_written_is_read_and_has_the_digest_of_its_bytes() -> None:
    data = data_of(document())
    release = load(data)
    assert release.canonical_json() == data
    assert release.digest == hashlib.sha256(data).hexdigest()
    assert release.target_path == f"bundles/pocket_vla/{release.digest}.json"
    assert release.size_bytes == 640
    assert release.packs[1].path == f"packs/{B}.pack"


def drop(*keys: Any) -> Callable[[dict[str, Any]], None]:
    def change(doc: dict[str, Any]) -> None:
        for key in keys[:-1]:
            doc = doc[key]
        del doc[keys[-1]]

    return change


def put(value: Any, *keys: Any) -> Callable[[dict[str, Any]], None]:
    def change(doc: dict[str, Any]) -> None:
        for key in keys[:-1]:
            doc = doc[key]
        doc[keys[-1]] = value

    return change


PATHS = (
    "",
    "/etc/passwd",
    "../x",
    "a/../../x",
    "a//b",
    "./x",
    "a/.",
    "a\\b",
    "..",
    "a\0b",
    "a\nb",
    ".hidden",
    "a/.ssh",
)
PATHS += ("ü", "x" * 256, "a b", "C:x")
STRAY = {"size_bytes": 9, "pack": 1, "offset": 20, "stored_bytes": 9, "codec": "none"}

FORGED = [
    # Form.
    ("an unknown field", put(1, "signature"), "malformed"),
    ("no blobs", drop("blobs"), "malformed"),
    ("an unknown codec", put("brotli", "blobs", B, "codec"), "malformed"),
    ("a digest in capitals", put(A.upper(), "bundle_digest"), "malformed"),
    ("a digest with a line break", put(A + "\n", "bundle_digest"), "malformed"),
    ("a digest that is a path", put("../../etc/passwd", "packs", 0, "sha256"), "malformed"),
    ("a blob named by a path", put(STRAY, "blobs", "../x"), "malformed"),
    ("a name that leaves its folder", put("../pocket", "bundle_name"), "malformed"),
    ("an element of eight bytes", put(8, "deltas", 0, "element_bytes"), "malformed"),
    ("a version of words", put("latest", "compatibility", "jetpack", "at_least"), "malformed"),
    ("a size below zero", put(-1, "files", 0, "size_bytes"), "malformed"),
    ("a size beyond all numbers", put(2**70, "files", 0, "size_bytes"), "malformed"),
    ("a number that is text", put("40", "files", 0, "size_bytes"), "malformed"),
    ("a number with a fraction", put(1.0, "format_version"), "malformed"),
    ("a number that is no whole one", put(40.5, "files", 0, "size_bytes"), "malformed"),
    ("an empty blob", put(0, "blobs", A, "size_bytes"), "malformed"),
    ("a blob of a gigabyte", put(1 << 30, "blobs", B, "size_bytes"), "malformed"),
    ("a pack of a gigabyte", put(1 << 30, "packs", 0, "size_bytes"), "malformed"),
    ("an offset before the pack", put(-40, "blobs", A, "offset"), "malformed"),
    ("another format", put(2, "format_version"), "format"),
    # Paths.
    *((f"path {number}", put(path, "files", 1, "path"), "paths") for number, path in enumerate(PATHS)),
    ("a path twice", put("manifest.json", "files", 1, "path"), "paths"),
    ("a path twice, in capitals", put("MANIFEST.json", "files", 1, "path"), "paths"),
    ("a file that is a folder", put("manifest.json/x", "files", 1, "path"), "paths"),
    ("no manifest", put("other.json", "files", 0, "path"), "paths"),
    # Pieces.
    ("a piece that is no blob", put([A, D], "files", 0, "pieces"), "pieces"),
    ("pieces that are too few", put([B, C], "files", 1, "pieces"), "pieces"),
    ("pieces that are too many", put([B] * 1000 + [C], "files", 1, "pieces"), "pieces"),
    ("a blob that nothing uses", put(STRAY, "blobs", D), "pieces"),
    ("a blob that grows in its pack", put(201, "blobs", B, "stored_bytes"), "pieces"),
    ("a plain blob that shrinks", put(39, "blobs", A, "stored_bytes"), "pieces"),
    ("a plain blob that is called compressed", put("zstd", "blobs", A, "codec"), "pieces"),
    # Packs.
    ("a blob over another", put(39, "blobs", B, "offset"), "packs"),
    ("a blob at the place of another", put(40, "blobs", C, "offset"), "packs"),
    ("a delta over a blob", put(0, "deltas", 0, "pack"), "packs"),
    ("a blob beyond its pack", put(191, "blobs", C, "offset"), "packs"),
    ("a pack that is not there", put(2, "blobs", C, "pack"), "packs"),
    ("a pack that nothing uses", put([*document()["packs"], {"sha256": C, "size_bytes": 5}], "packs"), "packs"),
    ("a pack twice", put(A, "packs", 1, "sha256"), "packs"),
    # Deltas.
    ("a delta to no blob", put(D, "deltas", 0, "blob"), "deltas"),
    ("a delta from itself", put(B, "deltas", 0, "base"), "deltas"),
    ("a delta twice", put(document()["deltas"] * 2, "deltas"), "deltas"),
    ("a delta that saves nothing", put(150, "deltas", 0, "stored_bytes"), "deltas"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), [case[1:] for case in FORGED], ids=[case[0] for case in FORGED])
def test_a_forged_release_is_refused_by_name(change: Callable[[dict[str, Any]], None], reason: str) -> None:
    forged = document()
    change(forged)
    assert refusal_of(data_of(forged)) == f"release_{reason}"


def test_more_pieces_than_the_cap_are_refused_by_count() -> None:
    forged = document()
    half = format_.MAX_PIECES // 2 + 1
    for number, path in enumerate(("one.bin", "two.bin")):
        entry = {"path": path, "size_bytes": 200 * half, "sha256": D, "pieces": [(B, C)[number]] * half}
        forged["files"].append(entry)
    assert refusal_of(data_of(forged)) is OtaRefusal.RELEASE_LIMITS


def test_files_that_together_fill_any_disk_are_refused() -> None:
    """Few bytes fetched may become many on disk: a blob can be named again and again."""
    forged = document()
    blob = {"size_bytes": 16 << 20, "pack": 1, "offset": 20, "stored_bytes": 2000, "codec": "zstd"}
    forged["blobs"][D] = blob
    forged["packs"][1]["size_bytes"] = 2020
    for path in ("one.bin", "two.bin"):
        forged["files"].append({"path": path, "size_bytes": 2000 * (16 << 20), "sha256": D, "pieces": [D] * 2000})
    assert refusal_of(data_of(forged)) is OtaRefusal.RELEASE_LIMITS


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"null", b"[]", b'"text"', b'{"files":' * 50_000, b'{"files": NaN}'],
    ids=["nothing", "half", "deep list", "no text", "null", "list", "word", "deep object", "no number"],
)
def test_what_is_no_release_at_all_is_malformed(data: bytes) -> None:
    assert refusal_of(data) is OtaRefusal.RELEASE_MALFORMED


def test_a_release_above_the_cap_is_not_even_parsed() -> None:
    assert refusal_of(b" " * (format_.MAX_RELEASE_BYTES + 1)) is OtaRefusal.RELEASE_OVERSIZED
    assert refusal_of(b" " * format_.MAX_RELEASE_BYTES) is OtaRefusal.RELEASE_MALFORMED


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        (b'"format_version":1', b'"format_version": 1'),
        (b'"format_version":1', b'"format_version":2,"format_version":1'),
        (b"pocket_vla", b"pocket\\u005fvla"),
        (b'"at_least":"6"', b'"at_least":"6","below":null'),
        (b'"at_least":"10.3","below":"11"', b'"below":"11","at_least":"10.3"'),
        (b"}]}", b"}]}\n"),
    ],
    ids=["space", "key twice", "escape", "default", "order", "line end"],
)
def test_the_same_release_in_other_bytes_is_not_canonical(written: bytes, instead: bytes) -> None:
    data = data_of(document())
    assert written in data
    assert refusal_of(data.replace(written, instead)) is OtaRefusal.RELEASE_NOT_CANONICAL


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_release_with_any_byte_changed_is_refused_or_another_release(data: st.DataObject) -> None:
    changed = bytearray(data_of(document()))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        other = load(bytes(changed))
    except OtaError:
        return
    assert other.canonical_json() == bytes(changed)
    assert other.digest != load(data_of(document())).digest


def test_the_largest_release_stays_below_its_cap() -> None:
    """As many blobs and deltas as there may be: the cap on bytes does not take back what the caps on numbers allow."""
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(format_.MAX_BLOBS)]
    largest = document()
    plain_packs = len(digests) // 60 + 1
    largest["blobs"] = {
        digest: {
            "size_bytes": 1_000_000,
            "pack": number // 60,
            "offset": number % 60 * 1_000_000,
            "stored_bytes": 900_000,
            "codec": "zstd",
        }
        for number, digest in enumerate(digests)
    }
    largest["deltas"] = [
        {
            "blob": digest,
            "base": digests[number - 1],
            "pack": plain_packs + number // 200,
            "offset": number % 200 * 300_000,
            "stored_bytes": 300_000,
            "element_bytes": 2,
        }
        for number, digest in enumerate(digests)
    ]
    packs = plain_packs + len(digests) // 200 + 1
    largest["packs"] = [{"sha256": digest, "size_bytes": format_.MAX_PACK_BYTES} for digest in digests[:packs]]
    largest["files"] = [
        {"path": "manifest.json", "size_bytes": 1_000_000, "sha256": D, "pieces": digests[:1]},
        {"path": "w.bin", "size_bytes": 1_000_000 * len(digests), "sha256": D, "pieces": digests},
    ]
    data = data_of(largest)
    assert len(load(data).deltas) == format_.MAX_DELTAS
    assert len(data) < format_.MAX_RELEASE_BYTES


def test_safety_needs_are_exact_in_millionths_and_never_stricter() -> None:
    limits = MotionLimits(velocity_rad_s=(1.9574999, 2.0), jerk_rad_s3=(6750.0, 1e-9), tool_speed_m_s=1.5)
    needs = SafetyNeeds.of(limits)
    assert needs.velocity_urad_s == (1_957_499, 2_000_000)
    assert needs.jerk_urad_s3 == (6_750_000_000, 1)
    back = needs.limits()
    assert back.velocity_rad_s == (1.957499, 2.0)
    assert back.jerk_rad_s3 == (6750.0, 1e-6)
    assert back.acceleration_rad_s2 is None
    assert back.tool_speed_m_s == 1.5
    others = MotionLimits(acceleration_rad_s2=(0.5,))
    assert SafetyNeeds.of(others) == SafetyNeeds(acceleration_urad_s2=(500_000,))
    assert SafetyNeeds.of(others).limits() == others


def test_compatibility_is_what_the_manifest_says(tmp_path: Path) -> None:
    manifest = read_manifest(small_bundle(tmp_path / "bundle", "1"))
    plain = Compatibility.of(msgspec.structs.replace(manifest, requires_safety=None))
    assert plain == Compatibility(
        embodiment=manifest.policy.embodiment, joint_digest=manifest.policy.joint_digest, schema=manifest.format_version
    )
    needs = MotionLimits(velocity_rad_s=(1.0,) * len(manifest.policy.joint_names))
    asked = Compatibility.of(msgspec.structs.replace(manifest, requires_safety=needs)).requires_safety
    assert asked == SafetyNeeds.of(needs) != SafetyNeeds()


def test_a_constructor_is_as_strict_as_the_reader_about_contradictions() -> None:
    release = load(data_of(document()))
    shorter = msgspec.structs.replace(release.files[1], pieces=(B, C))
    with pytest.raises(ValueError, match="has 600 bytes, its pieces have 400"):
        msgspec.structs.replace(release, files=(release.files[0], shorter))
