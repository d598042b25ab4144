"""Releases of a megabyte or two, with packs as a web server has them, and a clock that does not make a test wait."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from edge_runtime.contracts.release import (
    Compatibility,
    Pack,
    ReleaseFile,
    ReleaseManifest,
    StoredBlob,
    StoredDelta,
)
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.staging import Staging
from edge_runtime.releases.int_delta import compressed, encode_delta

BLOB_BYTES = 96 * 1024
BLOBS_A_PACK = 4
COMPATIBILITY = Compatibility(embodiment="arm", joint_digest="0" * 64, schema=1)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def weights(version: int, blobs: int) -> list[bytes]:
    """Of three blobs one packs well, one a little, one not at all. Two versions differ a little in every weight."""
    made = []
    for number in range(blobs):
        draw = np.random.default_rng(number)
        values = draw.integers(0, 1 << 16, BLOB_BYTES // 2, dtype=np.uint16)
        if number % 3 == 0:
            values = np.tile(values[:1024], len(values) // 1024)
        elif number % 3 == 1:
            values = draw.standard_normal(BLOB_BYTES // 2).astype(np.float16).view(np.uint16)
        made.append((values + np.uint16(version)).tobytes())
    return made


@dataclass(frozen=True)
class Packed:
    """A release, what a server has of it, and the one file that it should become."""

    release: ReleaseManifest
    objects: Mapping[str, bytes]
    weights: bytes

    @property
    def stored_bytes(self) -> int:
        return sum(blob.stored_bytes for blob in self.release.blobs.values())

    def is_in(self, staging: Staging) -> bool:
        """Whether every byte is where it belongs."""
        return not staging.missing and folder_of(staging).joinpath("weights.bin").read_bytes() == self.weights


def folder_of(staging: Staging) -> Path:
    return staging._store.staging / staging.release.bundle_digest / "bundle"


def packed(
    pieces: list[bytes],
    *,
    bases: Mapping[str, bytes] | None = None,
    stored: Mapping[str, bytes] | None = None,
    version: str = "1",
) -> Packed:
    """`pieces` as one file; those named in `bases` also as deltas from there, those in `stored` with these frames."""
    overrides = stored or {}
    manifest = f'{{"version": "{version}"}}'.encode()
    blobs: dict[str, StoredBlob] = {}
    deltas: list[StoredDelta] = []
    packs: list[bytearray] = []
    for count, piece in enumerate([manifest, *pieces]):
        if count % BLOBS_A_PACK == 0:
            packs.append(bytearray())
        codec, data = ("zstd", overrides[sha256(piece)]) if sha256(piece) in overrides else compressed(piece)
        place = {"pack": len(packs) - 1, "offset": len(packs[-1]), "stored_bytes": len(data)}
        blobs[sha256(piece)] = StoredBlob(size_bytes=len(piece), codec=codec, **place)  # type: ignore[arg-type]
        packs[-1] += data
    if bases:
        packs.append(bytearray())
    for digest, base in (bases or {}).items():
        piece = next(piece for piece in pieces if sha256(piece) == digest)
        data = encode_delta(piece, base, 2)
        if len(data) >= blobs[digest].stored_bytes:
            continue
        place = {"pack": len(packs) - 1, "offset": len(packs[-1]), "stored_bytes": len(data)}
        deltas.append(StoredDelta(blob=digest, base=sha256(base), element_bytes=2, **place))
        packs[-1] += data
    whole = b"".join(pieces)
    listed = tuple(Pack(sha256=sha256(bytes(pack)), size_bytes=len(pack)) for pack in packs)
    files = (
        ReleaseFile(
            path="manifest.json", size_bytes=len(manifest), sha256=sha256(manifest), pieces=(sha256(manifest),)
        ),
        ReleaseFile(path="weights.bin", size_bytes=len(whole), sha256=sha256(whole), pieces=tuple(map(sha256, pieces))),
    )
    release = ReleaseManifest(
        format_version=1,
        bundle_name="policy",
        bundle_version=version,
        bundle_digest=sha256(version.encode()),
        compatibility=COMPATIBILITY,
        files=files,
        blobs=blobs,
        packs=listed,
        deltas=tuple(deltas),
    )
    objects = {f"/{pack.path}": bytes(data) for pack, data in zip(listed, packs, strict=True)}
    return Packed(release, objects, whole)


class LeapingClock:
    """Real time, and waits that are over at once: the clock leaps by them."""

    def __init__(self, local: datetime = datetime(2026, 3, 1, 12, 0)) -> None:
        self.waits: list[float] = []
        self._real = SystemClock()
        self._leapt_s = 0.0
        self._local = local

    def now_ns(self) -> int:
        return self._real.now_ns() + int(self._leapt_s * 1e9)

    def local_time(self) -> datetime:
        return self._local + timedelta(seconds=self._leapt_s)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._leapt_s += seconds
