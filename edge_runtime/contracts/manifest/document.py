"""The manifest of a model bundle: what it is made of, which robot it fits, how it was made and how well it matches.

A bundle is a folder with `manifest.json` and the blobs it names. Its digest is the SHA-256 of the canonical JSON of the
manifest (keys sorted, no spaces), which pins every blob by size and SHA-256. Safety limits never travel in a bundle.

In memory a manifest has one shape, the newest. One of an older format keeps its number, and with it its bytes and its
digest: it is written as it was read.
"""

from __future__ import annotations

import hashlib

import msgspec

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError, HandshakeError
from edge_runtime.contracts.manifest import version_1
from edge_runtime.contracts.manifest.parts import Blob, MotionLimits, ParityReport, Part, Provenance
from edge_runtime.contracts.manifest.policy import PolicyContract

FORMAT_VERSION = 2
"""The newest, which is written."""

READ_VERSIONS = (1, 2)


class Manifest(Part, frozen=True, omit_defaults=True):
    """`manifest.json` of a bundle.

    `requires_safety` is what a robot's own limits must at least allow for the policy to work; it loosens nothing.
    """

    format_version: int
    name: str
    version: str
    precision: str
    parameters: int
    policy: PolicyContract
    blobs: tuple[Blob, ...]
    provenance: Provenance
    parity: ParityReport
    requires_safety: MotionLimits | None = None

    def __post_init__(self) -> None:
        _require_readable(self.format_version)
        paths = [blob.path for blob in self.blobs]
        if len(set(paths)) != len(paths):
            raise ValueError("a blob is listed twice")
        for needed in self.policy.files:
            if needed not in paths:
                raise ValueError(f"the policy names {needed}, which is not among the blobs")
        needs = self.requires_safety
        if needs is not None:
            for values in (needs.velocity_rad_s, needs.acceleration_rad_s2, needs.jerk_rad_s3):
                if values is not None and len(values) != len(self.policy.joints):
                    raise ValueError("requires_safety needs one value for each of the policy's joints")

    def canonical_json(self) -> bytes:
        """The bytes that are hashed and signed: keys sorted, no spaces, UTF-8, in the format of `format_version`.

        Raises:
            ValueError: of an older format, and altered to what that format cannot say.
        """
        if self.format_version == FORMAT_VERSION:
            return msgspec.json.encode(self, order="sorted")
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "policy"}
        return msgspec.json.encode(_Version1(policy=version_1.written(self.policy), **fields), order="sorted")

    @property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) of `canonical_json`: the bundle's identity in every message and record."""
        return hashlib.sha256(self.canonical_json()).hexdigest()

    def name_of(self, field: str) -> str:
        """What a field, or a sentence that begins with one, is called in the bundle's own format."""
        return field if self.format_version == FORMAT_VERSION else version_1.name_of(field)

    def require_fit(self, embodiment: Embodiment) -> None:
        """Check that this policy may drive `embodiment`.

        Raises:
            HandshakeError: names the first field that differs.
        """
        self.policy.require_fit(embodiment, self.name_of)

    def require_allowed(self, limits: MotionLimits) -> None:
        """Check that a robot with these limits is fast enough for this policy. Comes after `require_fit`.

        Raises:
            HandshakeError: names the first limit that is tighter than the policy needs, and the joint.
        """
        needs = self.requires_safety
        if needs is None:
            return
        for field in ("velocity_rad_s", "acceleration_rad_s2", "jerk_rad_s3"):
            for name, need, limit in zip(
                self.policy.joints, getattr(needs, field) or (), getattr(limits, field) or (), strict=False
            ):
                _require_at_least(f"requires_safety.{field} of {name}", need, limit)
        if needs.tool_speed_m_s is not None and limits.tool_speed_m_s is not None:
            _require_at_least("requires_safety.tool_speed_m_s", needs.tool_speed_m_s, limits.tool_speed_m_s)


class _Version1(Part, frozen=True, omit_defaults=True):
    format_version: int
    name: str
    version: str
    precision: str
    parameters: int
    policy: version_1.PolicyContract
    blobs: tuple[Blob, ...]
    provenance: Provenance
    parity: ParityReport
    requires_safety: MotionLimits | None = None

    def upgraded(self) -> Manifest:
        """The same in the newest shape."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "policy"}
        return Manifest(policy=version_1.upgraded(self.policy), **fields)


class _Header(msgspec.Struct):
    format_version: int


def _require_readable(version: int) -> None:
    if version not in READ_VERSIONS:
        readable = " and ".join(map(str, READ_VERSIONS))
        raise ValueError(
            f"format_version {version}, this software reads {readable}: update it, or export the bundle in one of these"
        )


def parse_manifest(data: bytes, name: str) -> Manifest:
    """Validate the bytes of a `manifest.json`, which an error calls `name`.

    Raises:
        BundleError: not a manifest of a format that is read.
    """
    try:
        version = msgspec.json.decode(data, type=_Header).format_version
        _require_readable(version)
        if version == 1:
            return msgspec.json.decode(data, type=_Version1).upgraded()
        return msgspec.json.decode(data, type=Manifest)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name}: {error}") from error


def _require_at_least(field: str, need: float, limit: float) -> None:
    if limit < need:
        raise HandshakeError(field, f"at least {need:g}", f"{limit:g}, this robot's own tighter limit")
