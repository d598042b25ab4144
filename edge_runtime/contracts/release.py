"""What travels to a robot: which files a bundle has, which blobs they are made of, and where the blobs lie in packs.

`load` guarantees that a release it returns is consistent in itself and small: every file is the concatenation of known
blobs, no two regions of a pack overlap, no path leaves the bundle, no number exceeds its cap. It refuses to know where
packs come from and whether anybody signed. It trusts nothing: the SHA-256 of the bytes is what gets signed, and each
blob is pinned by the SHA-256 of its raw bytes.

Canonical form: JSON, keys sorted, no spaces, ASCII, no floating-point number; `load` takes no other.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.manifest import MANIFEST_NAME, Manifest, MotionLimits

FORMAT_VERSION = 1
MAX_RELEASE_BYTES = 16 << 20
MAX_BUNDLE_BYTES = 64_000_000_000
MAX_BLOB_BYTES = 16 << 20
MAX_PACK_BYTES = 64_000_000
MAX_FILES = 1024
MAX_PIECES = 65_536
MAX_BLOBS = 32_768
MAX_DELTAS = 32_768
MAX_PACKS = 4096
MAX_PATH_CHARACTERS = 255
DELTA_BLOCK_BYTES = 1 << 20
"""A delta is made block by block: of each, all lowest bytes of its integers, then all second bytes, and so on.

Integers are counted from the end of the blob: what is left over at its beginning is a first block of single bytes.
"""

_PATH_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@=-]*\Z")

Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}\Z")]
Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,5}(\.[0-9]{1,5}){0,3}\Z")]
_Names = Annotated[tuple[Name, ...], msgspec.Meta(max_length=32)]
_BlobBytes = Annotated[int, msgspec.Meta(ge=1, le=MAX_BLOB_BYTES)]
_PackIndex = Annotated[int, msgspec.Meta(ge=0, lt=MAX_PACKS)]
_PackBytes = Annotated[int, msgspec.Meta(ge=1, le=MAX_PACK_BYTES)]
_PackOffset = Annotated[int, msgspec.Meta(ge=0, lt=MAX_PACK_BYTES)]
# A rate in millionths, at most 10^9 of its unit: exact in every JSON reader.
_Millionths = Annotated[int, msgspec.Meta(ge=1, le=10**15)]
_PerJoint = Annotated[tuple[_Millionths, ...], msgspec.Meta(max_length=64)]


class InconsistentError(ValueError):
    """A release that contradicts itself; `load` turns it into an `OtaError` with the same refusal."""

    def __init__(self, refusal: OtaRefusal, detail: str) -> None:
        super().__init__(detail)
        self.refusal = refusal


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    pass


class ReleaseFile(_Part, frozen=True):
    """One file of the bundle: the blobs named by `pieces`, one after the other, are its bytes."""

    path: str
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=MAX_BUNDLE_BYTES)]
    sha256: Digest
    pieces: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=MAX_PIECES)]

    def __post_init__(self) -> None:
        parts = self.path.split("/")
        if len(self.path) > MAX_PATH_CHARACTERS or not all(map(_PATH_PART.match, parts)):
            raise InconsistentError(OtaRefusal.RELEASE_PATHS, f"{self.path[:80]!r} is no plain path inside a bundle")


class StoredBlob(_Part, frozen=True):
    """Where a blob lies: `stored_bytes` from `offset` of `packs[pack]`, which `codec` turns into `size_bytes`."""

    size_bytes: _BlobBytes
    pack: _PackIndex
    offset: _PackOffset
    stored_bytes: _BlobBytes
    codec: Literal["none", "zstd"]

    def __post_init__(self) -> None:
        if self.stored_bytes > self.size_bytes or (self.codec == "none") != (self.stored_bytes == self.size_bytes):
            raise InconsistentError(
                OtaRefusal.RELEASE_PIECES,
                f"{self.codec} stores {self.size_bytes} bytes in {self.stored_bytes}: only what saves bytes is coded",
            )


class StoredDelta(_Part, frozen=True):
    """A shorter way to a blob for a robot that holds `base`, a blob of the same size. A hint: nothing depends on it.

    `element_bytes` is the width of the integers whose differences are stored.
    """

    blob: Digest
    base: Digest
    pack: _PackIndex
    offset: _PackOffset
    stored_bytes: _BlobBytes
    element_bytes: Literal[1, 2, 4]


class Pack(_Part, frozen=True):
    """An immutable file of stored blobs and deltas, at `packs/<sha256>.pack`, read by ranges."""

    sha256: Digest
    size_bytes: _PackBytes

    @property
    def path(self) -> str:
        return f"packs/{self.sha256}.pack"


class VersionRange(_Part, frozen=True):
    """Versions from `at_least` (included) up to `below` (not included); numbers between dots are compared."""

    at_least: Version | None = None
    below: Version | None = None


class SafetyNeeds(_Part, frozen=True):
    """The manifest's `requires_safety` in whole millionths, rounded down: this check may never be the stricter one."""

    velocity_urad_s: _PerJoint | None = None
    acceleration_urad_s2: _PerJoint | None = None
    jerk_urad_s3: _PerJoint | None = None
    tool_speed_um_s: _Millionths | None = None

    @classmethod
    def of(cls, limits: MotionLimits) -> SafetyNeeds:
        """The needs that `limits` states in SI units."""
        tool = limits.tool_speed_m_s
        return cls(
            velocity_urad_s=_millionths(limits.velocity_rad_s),
            acceleration_urad_s2=_millionths(limits.acceleration_rad_s2),
            jerk_urad_s3=_millionths(limits.jerk_rad_s3),
            tool_speed_um_s=None if tool is None else _millionth(tool),
        )

    def limits(self) -> MotionLimits:
        """The same in SI units."""
        tool = self.tool_speed_um_s
        return MotionLimits(
            velocity_rad_s=_units(self.velocity_urad_s),
            acceleration_rad_s2=_units(self.acceleration_urad_s2),
            jerk_rad_s3=_units(self.jerk_urad_s3),
            tool_speed_m_s=None if tool is None else tool / 1e6,
        )


def _millionth(value: float) -> int:
    return max(1, math.floor(value * 1e6))


def _millionths(values: tuple[float, ...] | None) -> tuple[int, ...] | None:
    return None if values is None else tuple(map(_millionth, values))


def _units(values: tuple[int, ...] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(value / 1e6 for value in values)


class Compatibility(_Part, frozen=True):
    """Which robots the release is for, so that a robot can refuse before the first byte of a pack.

    Empty tuples and None mean any. `architectures` are as `uname -m` has them, `gpu_architectures` as in "sm_87",
    `schema` is the format version of the bundle's own manifest.
    """

    embodiment: Name
    joint_digest: Digest
    schema: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    architectures: _Names = ()
    gpu_architectures: _Names = ()
    tensorrt: VersionRange | None = None
    jetpack: VersionRange | None = None
    requires_safety: SafetyNeeds | None = None

    @classmethod
    def of(cls, manifest: Manifest) -> Compatibility:
        """What a bundle's manifest says of itself; processors and accelerators are for the caller to narrow."""
        needs = manifest.requires_safety
        return cls(
            embodiment=manifest.policy.embodiment,
            joint_digest=manifest.policy.joint_digest,
            schema=manifest.format_version,
            requires_safety=None if needs is None else SafetyNeeds.of(needs),
        )


class ReleaseManifest(_Part, frozen=True):
    """One released bundle: `bundle_digest` is the digest of its own manifest, which is among `files`."""

    format_version: int
    bundle_name: Name
    bundle_version: Name
    bundle_digest: Digest
    compatibility: Compatibility
    files: Annotated[tuple[ReleaseFile, ...], msgspec.Meta(max_length=MAX_FILES)]
    blobs: Annotated[dict[Digest, StoredBlob], msgspec.Meta(max_length=MAX_BLOBS)]
    packs: Annotated[tuple[Pack, ...], msgspec.Meta(max_length=MAX_PACKS)]
    deltas: Annotated[tuple[StoredDelta, ...], msgspec.Meta(max_length=MAX_DELTAS)] = ()

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise InconsistentError(
                OtaRefusal.RELEASE_FORMAT,
                f"format_version {self.format_version}, this software reads {FORMAT_VERSION}",
            )
        _check_paths([file.path for file in self.files])
        _check_pieces(self)
        _check_deltas(self)
        _check_packs(self)

    def canonical_json(self) -> bytes:
        """The bytes that are hashed, signed and sent."""
        return msgspec.json.encode(self, order="sorted")

    @property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) of `canonical_json`."""
        return hashlib.sha256(self.canonical_json()).hexdigest()

    @property
    def target_path(self) -> str:
        """Where the release lies among the targets of the image repository."""
        return f"bundles/{self.bundle_name}/{self.digest}.json"

    @property
    def size_bytes(self) -> int:
        """All files together, unpacked."""
        return sum(file.size_bytes for file in self.files)


def load(data: bytes) -> ReleaseManifest:
    """Read and check a release.

    Raises:
        OtaError: its `refusal` is one of the `RELEASE_…` reasons, its `detail` says where.
    """
    if len(data) > MAX_RELEASE_BYTES:
        raise OtaError(OtaRefusal.RELEASE_OVERSIZED, f"{len(data)} bytes, the cap is {MAX_RELEASE_BYTES}")
    try:
        release = msgspec.json.decode(data, type=ReleaseManifest)
    except msgspec.ValidationError as error:
        fault = error.__cause__
        if isinstance(fault, InconsistentError):
            raise OtaError(fault.refusal, str(fault)) from error
        raise OtaError(OtaRefusal.RELEASE_MALFORMED, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OtaError(OtaRefusal.RELEASE_MALFORMED, str(error)) from error
    # A key that is given twice, another order, a space: two readers could see two releases in the same bytes.
    if release.canonical_json() != data:
        raise OtaError(OtaRefusal.RELEASE_NOT_CANONICAL, "written again, the release has other bytes")
    return release


def _check_paths(paths: list[str]) -> None:
    if MANIFEST_NAME not in paths:
        raise InconsistentError(OtaRefusal.RELEASE_PATHS, f"{MANIFEST_NAME} is not among the files")
    # Two names that one file system tells apart and another does not would overwrite each other.
    folded = [path.lower() for path in paths]
    files = set(folded)
    if len(files) != len(paths):
        raise InconsistentError(OtaRefusal.RELEASE_PATHS, "a path is listed twice")
    for path in folded:
        parts = path.split("/")
        above = next(("/".join(parts[:n]) for n in range(1, len(parts)) if "/".join(parts[:n]) in files), None)
        if above is not None:
            raise InconsistentError(OtaRefusal.RELEASE_PATHS, f"{above} is a file and the folder of {path}")


def _check_pieces(release: ReleaseManifest) -> None:
    used: set[str] = set()
    count = 0
    for file in release.files:
        count += len(file.pieces)
        used.update(file.pieces)
        missing = next((piece for piece in file.pieces if piece not in release.blobs), None)
        if missing is not None:
            raise InconsistentError(OtaRefusal.RELEASE_PIECES, f"{file.path} is made of {missing}, which is no blob")
        size = sum(release.blobs[piece].size_bytes for piece in file.pieces)
        if size != file.size_bytes:
            raise InconsistentError(
                OtaRefusal.RELEASE_PIECES, f"{file.path} has {file.size_bytes} bytes, its pieces have {size}"
            )
    if count > MAX_PIECES:
        raise InconsistentError(OtaRefusal.RELEASE_LIMITS, f"{count} pieces, the cap is {MAX_PIECES}")
    if release.size_bytes > MAX_BUNDLE_BYTES:
        raise InconsistentError(OtaRefusal.RELEASE_LIMITS, f"{release.size_bytes} bytes, the cap is {MAX_BUNDLE_BYTES}")
    if len(used) != len(release.blobs):
        raise InconsistentError(
            OtaRefusal.RELEASE_PIECES, f"{len(release.blobs) - len(used)} blobs are part of no file"
        )


def _check_deltas(release: ReleaseManifest) -> None:
    pairs = {(delta.blob, delta.base) for delta in release.deltas}
    if len(pairs) != len(release.deltas):
        raise InconsistentError(OtaRefusal.RELEASE_DELTAS, "a delta is listed twice")
    for delta in release.deltas:
        blob = release.blobs.get(delta.blob)
        if blob is None or delta.base == delta.blob:
            raise InconsistentError(OtaRefusal.RELEASE_DELTAS, f"{delta.blob} from {delta.base} leads to no blob")
        if delta.stored_bytes >= blob.stored_bytes:
            raise InconsistentError(
                OtaRefusal.RELEASE_DELTAS,
                f"{delta.stored_bytes} bytes lead to {delta.blob}, which itself has {blob.stored_bytes} stored",
            )


def _check_packs(release: ReleaseManifest) -> None:
    if len({pack.sha256 for pack in release.packs}) != len(release.packs):
        raise InconsistentError(OtaRefusal.RELEASE_PACKS, "a pack is listed twice")
    regions = sorted(_regions(release))
    used = {pack for pack, _, _ in regions}
    if used != set(range(len(release.packs))):
        detail = f"{len(release.packs)} packs are listed, {len(used)} are used, up to number {max(used, default=-1)}"
        raise InconsistentError(OtaRefusal.RELEASE_PACKS, detail)
    last_pack, last_end = -1, 0
    for pack, offset, end in regions:
        if end > release.packs[pack].size_bytes:
            raise InconsistentError(OtaRefusal.RELEASE_PACKS, f"pack {pack}: {offset} to {end} is beyond its end")
        if pack == last_pack and offset < last_end:
            raise InconsistentError(OtaRefusal.RELEASE_PACKS, f"pack {pack}: two regions hold the byte at {offset}")
        last_pack, last_end = pack, end


def _regions(release: ReleaseManifest) -> Iterator[tuple[int, int, int]]:
    stored: list[StoredBlob | StoredDelta] = [*release.blobs.values(), *release.deltas]
    return ((entry.pack, entry.offset, entry.offset + entry.stored_bytes) for entry in stored)
