"""A bundle is what its manifest says, byte for byte, or it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.embodiment import Embodiment, joint_order_digest
from edge_runtime.contracts.errors import BundleError, HandshakeError
from edge_runtime.contracts.manifest import (
    Blob,
    Manifest,
    MotionLimits,
    ParityReport,
    PolicyContract,
    Provenance,
    blob_of,
    parse_manifest,
    read_manifest,
    verify_bundle,
    version_1,
    write_manifest,
)
from edge_runtime.contracts.manifest.version_1 import (
    FlowSampler,
    Graphs,
    ImageInput,
    Normalization,
    Tokenizer,
    upgraded,
)

JOINTS = tuple(f"joint{i}" for i in range(1, 8))


@pytest.fixture(scope="module")
def embodiment() -> Embodiment:
    return load_config(SIM_CONFIG).embodiment


def policy(**changes: Any) -> PolicyContract:
    """One of format version 1, with other values of that version's fields."""
    norm = Normalization(mean=(0.0,) * 8, std=(1.0,) * 8)
    fields: dict[str, Any] = {
        "family": "pocket_vla",
        "embodiment": "pocket_arm",
        "joint_names": JOINTS,
        "joint_digest": joint_order_digest(JOINTS),
        "images": (ImageInput(camera="scene", tensor="scene", width_px=96, height_px=96),),
        "state_normalization": norm,
        "action_normalization": norm,
        "action_representation": "absolute",
        "action_dt_ns": 50_000_000,
        "horizon": 16,
        "sampler": FlowSampler(steps=4, noise_seed=1, fixed_noise=False),
        "graphs": Graphs(
            encode="encode.onnx", denoise="denoise.onnx", tokens="tokens", state="state", x="x", time="t", velocity="v"
        ),
        "tokenizer": Tokenizer(path="tokenizer.json", max_tokens=12),
    }
    return upgraded(version_1.PolicyContract(**{**fields, **changes}))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name in ("encode.onnx", "denoise.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    manifest = Manifest(
        format_version=1,
        name="pocket_vla",
        version="1",
        precision="int8",
        parameters=7,
        policy=policy(),
        blobs=tuple(blob_of(tmp_path, name) for name in ("encode.onnx", "denoise.onnx", "tokenizer.json")),
        provenance=Provenance(command="make assets", seed=1, versions={"torch": "2"}),
        parity=ParityReport(
            samples=1,
            error_max_rad=(0.0,) * 7,
            error_p99_rad=(0.0,) * 7,
            bound_p99_rad=0.02,
            gripper_flips=0,
            quantized_weight_fraction=0.9,
            inert_inputs=(),
        ),
    )
    write_manifest(tmp_path, manifest)
    return tmp_path


LIMITS = MotionLimits(
    velocity_rad_s=(2.0,) * 7, acceleration_rad_s2=(10.0,) * 7, jerk_rad_s3=(5000.0,) * 7, tool_speed_m_s=1.0
)


@pytest.mark.parametrize(
    ("needs", "field"),
    [
        (MotionLimits(velocity_rad_s=(1.0,) * 6 + (2.1,)), "velocity_rad_s of joint7"),
        (MotionLimits(acceleration_rad_s2=(10.1,) + (1.0,) * 6), "acceleration_rad_s2 of joint1"),
        (MotionLimits(jerk_rad_s3=(1.0, 6000.0) + (1.0,) * 5), "jerk_rad_s3 of joint2"),
        (MotionLimits(tool_speed_m_s=1.1), "tool_speed_m_s"),
    ],
)
def test_a_robot_that_is_tighter_than_the_policy_needs_is_named(bundle: Path, needs: MotionLimits, field: str) -> None:
    plain = read_manifest(bundle)
    manifest = msgspec.structs.replace(plain, requires_safety=needs)
    write_manifest(bundle, manifest)
    read = verify_bundle(bundle)
    assert read.requires_safety == needs
    assert read.digest != plain.digest
    with pytest.raises(HandshakeError, match="this robot's own tighter limit") as caught:
        read.require_allowed(LIMITS)
    assert caught.value.field == f"requires_safety.{field}"
    msgspec.structs.replace(plain, requires_safety=LIMITS).require_allowed(LIMITS)


def test_a_bundle_asks_nothing_unless_it_says_so(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    manifest.require_allowed(MotionLimits(velocity_rad_s=(1e-3,) * 7, tool_speed_m_s=1e-3))
    assert b"requires_safety" not in manifest.canonical_json(), "what is not asked changes no digest"
    without_geometry = msgspec.structs.replace(LIMITS, tool_speed_m_s=None)
    msgspec.structs.replace(manifest, requires_safety=LIMITS).require_allowed(without_geometry)


@pytest.mark.parametrize(
    "needs",
    [{"velocity_rad_s": [1.0]}, {"jerk_rad_s3": [0.0] * 7}, {"tool_speed_m_s": -1}, {"position_max_rad": [1.0] * 7}],
)
def test_a_bundle_that_asks_what_cannot_be_is_no_bundle(bundle: Path, needs: dict[str, Any]) -> None:
    raw = msgspec.json.decode((bundle / "manifest.json").read_bytes())
    (bundle / "manifest.json").write_bytes(msgspec.json.encode({**raw, "requires_safety": needs}))
    with pytest.raises(BundleError):
        read_manifest(bundle)


def test_a_whole_bundle_verifies_and_keeps_its_digest(bundle: Path, embodiment: Embodiment) -> None:
    manifest = verify_bundle(bundle)
    manifest.require_fit(embodiment)
    again = parse_manifest(manifest.canonical_json(), "again")
    assert again == manifest
    assert again.digest == manifest.digest
    assert len(manifest.digest) == 64


@pytest.mark.parametrize("name", ["encode.onnx", "denoise.onnx", "tokenizer.json"])
def test_an_altered_blob_is_refused_by_name(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleError, match=name):
        verify_bundle(bundle)


def test_a_blob_cut_short_or_missing_is_refused(bundle: Path) -> None:
    (bundle / "encode.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"encode\.onnx"):
        verify_bundle(bundle)
    (bundle / "encode.onnx").unlink()
    with pytest.raises(BundleError, match="No such file"):
        verify_bundle(bundle)


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="Is this the folder of a bundle"):
        read_manifest(tmp_path)


@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=64) | st.text(max_size=64).map(str.encode) | st.just(b"[" * 100_000))
def test_any_bytes_as_manifest_are_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "manifest.json").write_bytes(raw)
    with pytest.raises(BundleError):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format_version": 2}, "unknown field `action_dt_ns`"),
        ({"format_version": 3}, "format_version 3, this software reads 1 and 2"),
        ({"surprise": 1}, "surprise"),
        ({"blobs": []}, "not among the blobs"),
    ],
)
def test_a_changed_manifest_is_refused(bundle: Path, change: dict[str, Any], problem: str) -> None:
    fields = msgspec.json.decode((bundle / "manifest.json").read_bytes())
    (bundle / "manifest.json").write_bytes(msgspec.json.encode({**fields, **change}))
    with pytest.raises(BundleError, match=problem):
        read_manifest(bundle)


def test_a_changed_value_changes_the_digest(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    other = msgspec.structs.replace(manifest, version="2")
    assert other.digest != manifest.digest


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a\\b"])
def test_a_blob_never_leaves_its_bundle(path: str) -> None:
    with pytest.raises(ValueError, match="leaves the bundle"):
        Blob(path=path, size_bytes=1, sha256="0" * 64)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"embodiment": "other_arm"}, "policy.embodiment"),
        ({"joint_names": JOINTS[::-1]}, "policy.joint_names"),
        ({"joint_digest": "0" * 64}, "policy.joint_digest"),
        ({"images": (ImageInput(camera="roof", tensor="t", width_px=9, height_px=9),)}, "policy.images.camera"),
    ],
)
def test_a_policy_of_another_robot_is_refused_by_field(
    bundle: Path, embodiment: Embodiment, change: dict[str, Any], field: str
) -> None:
    manifest = msgspec.structs.replace(read_manifest(bundle), policy=policy(**change))
    with pytest.raises(HandshakeError) as caught:
        manifest.require_fit(embodiment)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "change", [{"horizon": 0}, {"horizon": 129}, {"action_dt_ns": 0}, {"action_dt_ns": 20_000_000_000}]
)
def test_a_policy_whose_chunks_could_not_be_sent_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        policy(**change)


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan"), float("inf")])
def test_a_deviation_that_cannot_divide_is_refused(std: float) -> None:
    with pytest.raises(ValueError, match="deviations above zero"):
        Normalization(mean=(0.0,), std=(std,))
