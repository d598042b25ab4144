"""What a release may ask of a robot, field by field."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.manifest import READ_VERSIONS, MotionLimits
from edge_runtime.contracts.release import Compatibility, SafetyNeeds, VersionRange
from edge_runtime.ota.trust.compatibility import RobotFacts, facts_of, mismatches, require_compatible

FACTS = RobotFacts(
    embodiment="arm",
    joint_digest="a" * 64,
    joint_names=("shoulder", "elbow"),
    motion=MotionLimits(
        velocity_rad_s=(1.0, 2.0), acceleration_rad_s2=(5.0, 5.0), jerk_rad_s3=None, tool_speed_m_s=0.5
    ),
    architecture="aarch64",
    schemas=(1, 2),
    gpu_architecture="sm_87",
    tensorrt="10.3.0.post1",
    jetpack="6.1",
)
FITS = Compatibility(
    embodiment="arm",
    joint_digest="a" * 64,
    schema=1,
    architectures=("x86_64", "aarch64"),
    gpu_architectures=("sm_87",),
    tensorrt=VersionRange(at_least="10.3", below="10.4"),
    jetpack=VersionRange(at_least="6"),
    requires_safety=SafetyNeeds(velocity_urad_s=(1_000_000, 2_000_000), tool_speed_um_s=500_000),
)


def test_a_release_that_fits_is_taken() -> None:
    require_compatible(FITS, FACTS)
    require_compatible(Compatibility(embodiment="arm", joint_digest="a" * 64, schema=1), FACTS)


def test_every_format_that_this_software_reads_is_taken() -> None:
    facts = replace(FACTS, schemas=RobotFacts.schemas)
    assert 1 in READ_VERSIONS, "a robot with new software takes releases that are there already"
    for schema in READ_VERSIONS:
        require_compatible(msgspec.structs.replace(FITS, schema=schema), facts)


@pytest.mark.parametrize(
    ("change", "refusal", "named"),
    [
        ({"embodiment": "leg"}, OtaRefusal.INCOMPATIBLE_EMBODIMENT, "embodiment: the release is for leg"),
        ({"joint_digest": "b" * 64}, OtaRefusal.INCOMPATIBLE_JOINTS, "joint_digest: the"),
        ({"schema": 3}, OtaRefusal.INCOMPATIBLE_SCHEMA, "schema: the release is for 3, this robot reads 1, 2"),
        ({"architectures": ("x86_64",)}, OtaRefusal.INCOMPATIBLE_ARCHITECTURE, "architectures: the"),
        ({"gpu_architectures": ("sm_90",)}, OtaRefusal.INCOMPATIBLE_GPU, "gpu_architectures: the"),
        ({"tensorrt": VersionRange(at_least="10.3.1")}, OtaRefusal.INCOMPATIBLE_TENSORRT, "tensorrt: the"),
        (
            {"tensorrt": VersionRange(below="10.3")},
            OtaRefusal.INCOMPATIBLE_TENSORRT,
            "for below 10.3, this",
        ),
        (
            {"jetpack": VersionRange(at_least="6.1.1")},
            OtaRefusal.INCOMPATIBLE_JETPACK,
            "asks for at least 6.1.1, this robot has 6.1",
        ),
        ({"jetpack": VersionRange(below="6.1.0")}, OtaRefusal.INCOMPATIBLE_JETPACK, "jetpack: the"),
        (
            {"jetpack": VersionRange(at_least="6", below="6.1")},
            OtaRefusal.INCOMPATIBLE_JETPACK,
            "at least 6 and below 6.1, this",
        ),
        (
            {"requires_safety": SafetyNeeds(velocity_urad_s=(1_000_000, 2_000_001))},
            OtaRefusal.INCOMPATIBLE_SAFETY,
            "velocity_rad_s of elbow",
        ),
        (
            {"requires_safety": SafetyNeeds(acceleration_urad_s2=(6_000_000, 1))},
            OtaRefusal.INCOMPATIBLE_SAFETY,
            "acceleration_rad_s2 of shoulder",
        ),
        ({"requires_safety": SafetyNeeds(velocity_urad_s=(1,))}, OtaRefusal.INCOMPATIBLE_SAFETY, "1 values for 2"),
        (
            {"requires_safety": SafetyNeeds(tool_speed_um_s=500_001)},
            OtaRefusal.INCOMPATIBLE_SAFETY,
            "requires_safety.tool_speed_m_s: the",
        ),
    ],
)
def test_a_field_that_does_not_fit_is_named(change: dict[str, Any], refusal: OtaRefusal, named: str) -> None:
    asked = msgspec.structs.replace(FITS, **change)
    with pytest.raises(OtaError) as caught:
        require_compatible(asked, FACTS)
    assert caught.value.refusal is refusal
    assert named in caught.value.detail
    assert len(mismatches(asked, FACTS)) == 1


@pytest.mark.parametrize("unknown", ["gpu_architecture", "tensorrt", "jetpack"])
def test_what_the_robot_does_not_know_of_itself_is_not_guessed(unknown: str) -> None:
    facts = replace(FACTS, **{unknown: None})  # type: ignore[arg-type]
    ((_, detail),) = mismatches(FITS, facts)
    assert "does not say" in detail
    require_compatible(Compatibility(embodiment="arm", joint_digest="a" * 64, schema=1), facts)


def test_a_version_that_is_none_fits_no_range() -> None:
    ((refusal, _),) = mismatches(FITS, replace(FACTS, tensorrt="nightly"))
    assert refusal is OtaRefusal.INCOMPATIBLE_TENSORRT


def test_a_range_without_ends_asks_for_nothing() -> None:
    asked = msgspec.structs.replace(FITS, tensorrt=VersionRange(), jetpack=VersionRange())
    require_compatible(asked, replace(FACTS, tensorrt=None, jetpack=None))


@pytest.mark.parametrize(
    ("asked", "here", "fits"),
    [
        (VersionRange(at_least="0"), "0.0", True),
        (VersionRange(below="0"), "0", False),
        (VersionRange(below="1.0"), "1", False),
        (VersionRange(below="1"), "1.0.0", False),
        (VersionRange(at_least="1.0"), "1", True),
        (VersionRange(at_least="1.0.1"), "1.0", False),
        (VersionRange(at_least="9", below="10"), "9.12", True),
        (VersionRange(at_least="9.9"), "9.12", True),
    ],
)
def test_versions_are_compared_number_by_number(asked: VersionRange, here: str, fits: bool) -> None:
    found = mismatches(msgspec.structs.replace(FITS, jetpack=asked), replace(FACTS, jetpack=here))
    assert (found == ()) is fits


def test_every_mismatch_is_reported_at_once() -> None:
    asked = msgspec.structs.replace(FITS, embodiment="leg", schema=9, architectures=("riscv64",))
    with pytest.raises(OtaError, match=r"embodiment.*schema.*architectures"):
        require_compatible(asked, FACTS)


def test_every_safety_mismatch_is_reported_at_once() -> None:
    needs = SafetyNeeds(velocity_urad_s=(1,), acceleration_urad_s2=(5_000_000, 6_000_000), tool_speed_um_s=600_000)
    found = mismatches(msgspec.structs.replace(FITS, requires_safety=needs), FACTS)
    assert [detail.split(":")[0].split(".")[1] for _, detail in found] == [
        "velocity_rad_s",
        "acceleration_rad_s2 of elbow",
        "tool_speed_m_s",
    ]


def test_limits_that_the_robot_does_not_have_hold_nothing_up() -> None:
    asked = msgspec.structs.replace(FITS, requires_safety=SafetyNeeds(jerk_urad_s3=(10**9, 10**9)))
    require_compatible(asked, FACTS)
    unhurried = replace(FACTS, motion=msgspec.structs.replace(FACTS.motion, tool_speed_m_s=None))
    require_compatible(msgspec.structs.replace(FITS, requires_safety=SafetyNeeds(tool_speed_um_s=10**9)), unhurried)


def test_facts_of_this_machine() -> None:
    config = load_config(SIM_CONFIG)
    facts = facts_of(config.embodiment, config.safety.motion, jetpack="6.2")
    assert facts.architecture == os.uname().machine
    assert (facts.jetpack, facts.gpu_architecture) == ("6.2", None)
    assert (facts.embodiment, facts.joint_names) == (config.embodiment.name, config.embodiment.joint_names)
    assert facts.joint_digest == config.embodiment.joint_digest
    assert facts_of(config.embodiment, config.safety.motion, gpu_architecture="sm_0").gpu_architecture == "sm_0"
    assert facts.motion.velocity_rad_s is not None


@pytest.mark.parametrize("package", ["tensorrt", "tensorrt-cu12", "tensorrt-cu13"])
def test_tensorrt_is_found_under_each_of_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    folder = tmp_path / f"{package.replace('-', '_')}-99.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 99.1\n")
    config = load_config(SIM_CONFIG)
    before = facts_of(config.embodiment, config.safety.motion).tensorrt
    monkeypatch.syspath_prepend(str(tmp_path))
    assert facts_of(config.embodiment, config.safety.motion).tensorrt in ("99.1", before or "99.1")
