"""Whether a robot can install a release: what a robot checks after the last byte came, for whoever asks before.

Guarantees: what passes here is decoded by the same code within the same limits on the robot, and passes there. Pure but
for the packs it reads. Refuses to know which robot: whether a release fits one of them is that robot's to say. Trusts
the release, which `contracts.release.load` has checked, and that whoever calls compared each pack with its digest.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

from edge_runtime.contracts.errors import BundleError, OtaError, OtaRefusal
from edge_runtime.contracts.manifest import MANIFEST_NAME, parse_manifest
from edge_runtime.contracts.release import MAX_RELEASE_BYTES, ReleaseManifest
from edge_runtime.releases.delta import decode_delta
from edge_runtime.releases.unpack import PackReader

FindBlob = Callable[[str], bytes | None]
"""A blob of an earlier release by its digest; None where it is not here."""


def require_manifest(release: ReleaseManifest, data: bytes) -> None:
    """Hold the bundle's own manifest, of which `data` are the bytes, against the release it came with.

    Raises:
        OtaError: BUNDLE_ALTERED: it is none, or the two contradict each other.
    """
    if len(data) > MAX_RELEASE_BYTES:
        raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"{MANIFEST_NAME} has {len(data)} bytes, at most {MAX_RELEASE_BYTES}")
    try:
        manifest = parse_manifest(data, MANIFEST_NAME)
    except BundleError as error:
        raise OtaError(OtaRefusal.BUNDLE_ALTERED, str(error)) from error
    if manifest.digest != release.bundle_digest:
        raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"the files are those of the bundle {manifest.digest}")
    files = {file.path: (file.size_bytes, file.sha256) for file in release.files}
    for blob in manifest.blobs:
        if files.get(blob.path) != (blob.size_bytes, blob.sha256):
            raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"release and manifest disagree about {blob.path}")


def require_installable(release: ReleaseManifest, packs: PackReader, find_base: FindBlob = lambda _: None) -> None:
    """Decode every file and every delta of the release, and hold the bundle's manifest against it.

    A delta whose base is not here is decoded all the same, and only what it leads to is not known.

    Raises:
        OtaError: BUNDLE_ALTERED, or a `BLOB_…` reason of a delta; the detail says where.
        BundleError: a pack is not there, not as long as the release says, or holds what can't be decoded.
    """
    packs.require_sizes()
    for file in release.files:
        if file.path == MANIFEST_NAME and file.size_bytes > MAX_RELEASE_BYTES:
            raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"{file.path} has {file.size_bytes} bytes")
        digest = hashlib.sha256()
        for piece in file.pieces:
            digest.update(packs.blob(piece))
        if digest.hexdigest() != file.sha256:
            problem = "its pieces are right and the whole is not: the release contradicts itself"
            raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"{file.path}: {problem}")
    own = next(file for file in release.files if file.path == MANIFEST_NAME)
    require_manifest(release, b"".join(map(packs.blob, own.pieces)))
    for delta in release.deltas:
        size_bytes = release.blobs[delta.blob].size_bytes
        held = packs.blob(delta.base) if delta.base in release.blobs else find_base(delta.base)
        base = bytes(size_bytes) if held is None else held
        try:
            made = b"".join(decode_delta(packs.stored(delta), io.BytesIO(base), delta.element_bytes, size_bytes))
        except OtaError as error:
            raise OtaError(error.refusal, f"the delta to {delta.blob}: {error.detail}") from error
        if held is not None and hashlib.sha256(made).hexdigest() != delta.blob:
            raise OtaError(OtaRefusal.BLOB_ALTERED, f"the delta from {delta.base} does not lead to {delta.blob}")
