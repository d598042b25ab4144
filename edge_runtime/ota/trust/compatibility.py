"""Whether a release fits this robot, asked before the first byte of a pack is fetched.

Guarantees: every condition is looked at, and the refusal names all fields that do not fit, with the first one's reason.
What a release asks for and the robot does not know of itself is a refusal, never a guess. Pure, but for `facts_of`,
which asks this machine. Trusts the signed release; the bundle's own manifest is compared with the robot again when
it is loaded.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from importlib import metadata

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.manifest import READ_VERSIONS, MotionLimits
from edge_runtime.contracts.release import Compatibility, SafetyNeeds, VersionRange
from edge_runtime.gpu import find_architecture

Mismatch = tuple[OtaRefusal, str]


@dataclass(frozen=True)
class RobotFacts:
    """What there is to fit. `gpu_architecture`, `tensorrt` and `jetpack` are None where there is none or nobody said.

    `motion` are the robot's own limits, `schemas` the formats of a bundle's manifest that this software reads.
    """

    embodiment: str
    joint_digest: str
    joint_names: tuple[str, ...]
    motion: MotionLimits
    architecture: str
    schemas: tuple[int, ...] = READ_VERSIONS
    gpu_architecture: str | None = None
    tensorrt: str | None = None
    jetpack: str | None = None


def facts_of(
    embodiment: Embodiment, motion: MotionLimits, *, gpu_architecture: str | None = None, jetpack: str | None = None
) -> RobotFacts:
    """The facts of this machine; what its owner says of it is not asked of the machine."""
    return RobotFacts(
        embodiment=embodiment.name,
        joint_digest=embodiment.joint_digest,
        joint_names=embodiment.joint_names,
        motion=motion,
        architecture=os.uname().machine,
        gpu_architecture=gpu_architecture or find_architecture(),
        tensorrt=_tensorrt(),
        jetpack=jetpack,
    )


def _tensorrt() -> str | None:
    """Version of TensorRT's Python package, under each of the names that it is shipped with."""
    for package in ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(package)
    return None


def require_compatible(asked: Compatibility, facts: RobotFacts) -> None:
    """Check that a release fits.

    Raises:
        OtaError: `INCOMPATIBLE_…` of the first field that does not; the detail names every one.
    """
    found = mismatches(asked, facts)
    if found:
        raise OtaError(found[0][0], "; ".join(detail for _, detail in found))


def mismatches(asked: Compatibility, facts: RobotFacts) -> tuple[Mismatch, ...]:
    """Every field of `asked` that does not fit, in a fixed order."""
    checks = (
        _same(OtaRefusal.INCOMPATIBLE_EMBODIMENT, "embodiment", asked.embodiment, facts.embodiment),
        _same(OtaRefusal.INCOMPATIBLE_JOINTS, "joint_digest", asked.joint_digest, facts.joint_digest),
        _schema(asked.schema, facts.schemas),
        _among(OtaRefusal.INCOMPATIBLE_ARCHITECTURE, "architectures", asked.architectures, facts.architecture),
        _among(OtaRefusal.INCOMPATIBLE_GPU, "gpu_architectures", asked.gpu_architectures, facts.gpu_architecture),
        _within(OtaRefusal.INCOMPATIBLE_TENSORRT, "tensorrt", asked.tensorrt, facts.tensorrt),
        _within(OtaRefusal.INCOMPATIBLE_JETPACK, "jetpack", asked.jetpack, facts.jetpack),
        *_safety(asked.requires_safety, facts),
    )
    return tuple(check for check in checks if check is not None)


def _same(refusal: OtaRefusal, field: str, asked: object, here: object) -> Mismatch | None:
    return None if asked == here else (refusal, f"{field}: the release is for {asked}, this robot has {here}")


def _schema(asked: int, here: tuple[int, ...]) -> Mismatch | None:
    if asked in here:
        return None
    readable = ", ".join(map(str, here))
    return OtaRefusal.INCOMPATIBLE_SCHEMA, f"schema: the release is for {asked}, this robot reads {readable}"


def _among(refusal: OtaRefusal, field: str, asked: tuple[str, ...], here: str | None) -> Mismatch | None:
    if not asked or here in asked:
        return None
    return refusal, f"{field}: the release is for {', '.join(asked)}, {_has(here)}"


def _within(refusal: OtaRefusal, field: str, asked: VersionRange | None, here: str | None) -> Mismatch | None:
    if asked is None or asked == VersionRange():
        return None
    wanted = " and ".join(
        part
        for part in (asked.at_least and f"at least {asked.at_least}", asked.below and f"below {asked.below}")
        if part
    )
    version = None if here is None else _numbers(here)
    if version is not None and _is_inside(version, asked):
        return None
    return refusal, f"{field}: the release asks for {wanted}, {_has(here)}"


def _has(here: str | None) -> str:
    return "this robot does not say" if here is None else f"this robot has {here}"


def _numbers(version: str) -> tuple[int, ...] | None:
    """The numbers that a version begins with, without zeros at the end; None where it begins with none."""
    match = re.match(r"\d{1,9}(\.\d{1,9}){0,7}", version)
    if match is None:
        return None
    numbers = [int(number) for number in match[0].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _is_inside(version: tuple[int, ...], asked: VersionRange) -> bool:
    lowest = None if asked.at_least is None else _numbers(asked.at_least)
    end = None if asked.below is None else _numbers(asked.below)
    return (lowest is None or version >= lowest) and (end is None or version < end)


def _safety(asked: SafetyNeeds | None, facts: RobotFacts) -> list[Mismatch]:
    if asked is None:
        return []
    found: list[Mismatch] = []
    needs, limits = asked.limits(), facts.motion
    for field in ("velocity_rad_s", "acceleration_rad_s2", "jerk_rad_s3"):
        wanted, allowed = getattr(needs, field), getattr(limits, field)
        if wanted is None:
            continue
        if len(wanted) != len(facts.joint_names):
            text = f"requires_safety.{field}: {len(wanted)} values for {len(facts.joint_names)} joints"
            found.append((OtaRefusal.INCOMPATIBLE_SAFETY, text))
            continue
        for name, need, limit in zip(facts.joint_names, wanted, allowed or (), strict=False):
            found += _tighter(f"requires_safety.{field} of {name}", need, limit)
    if needs.tool_speed_m_s is not None and limits.tool_speed_m_s is not None:
        found += _tighter("requires_safety.tool_speed_m_s", needs.tool_speed_m_s, limits.tool_speed_m_s)
    return found


def _tighter(field: str, need: float, limit: float) -> list[Mismatch]:
    if limit >= need:
        return []
    text = f"{field}: the release needs at least {need:g}, this robot allows {limit:g}"
    return [(OtaRefusal.INCOMPATIBLE_SAFETY, text)]
