"""Which bytes of which packs a robot has to fetch for a release, in runs that one request each can read.

Guarantees that every blob that is missing is in exactly one run, that a run stays within one pack and goes forward, and
that a delta is chosen only where the robot holds its base and the delta is shorter. Pure: a release and what
is missing and held go in. Trusts the release, which was checked when it was loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from edge_runtime.contracts.release import ReleaseManifest, StoredDelta

MAX_GAP_BYTES = 4096
"""Bytes that are not needed and are read all the same: another request costs about as much."""


@dataclass(frozen=True)
class Piece:
    """One blob as it lies in a pack: `stored_bytes` from `offset`, which lead to `size_bytes` of the blob `sha256`."""

    sha256: str
    size_bytes: int
    pack: int
    offset: int
    stored_bytes: int
    codec: Literal["none", "zstd"]
    delta: StoredDelta | None = None

    @property
    def end(self) -> int:
        return self.offset + self.stored_bytes


@dataclass(frozen=True)
class Run:
    """Pieces of one pack, by offset, close enough together to be read as one range."""

    pack: int
    pieces: tuple[Piece, ...]

    @property
    def end(self) -> int:
        return self.pieces[-1].end


def places_of(
    release: ReleaseManifest,
    missing: Iterable[str],
    holds: Callable[[str], bool],
    *,
    without_delta: Collection[str] = (),
) -> list[Piece]:
    """Where the blobs that are `missing` lie, in the order of the packs; those `without_delta` taken as they are."""
    wanted = set(missing)
    deltas: dict[str, StoredDelta] = {}
    for delta in release.deltas:
        if delta.blob not in wanted or delta.blob in without_delta or not holds(delta.base):
            continue
        known = deltas.get(delta.blob)
        if known is None or delta.stored_bytes < known.stored_bytes:
            deltas[delta.blob] = delta
    pieces = []
    for sha256 in wanted:
        blob, hint = release.blobs[sha256], deltas.get(sha256)
        if hint is not None:
            place = (hint.pack, hint.offset, hint.stored_bytes)
            pieces.append(Piece(sha256, blob.size_bytes, *place, codec="zstd", delta=hint))
        else:
            pieces.append(Piece(sha256, blob.size_bytes, blob.pack, blob.offset, blob.stored_bytes, codec=blob.codec))
    return sorted(pieces, key=lambda piece: (piece.pack, piece.offset))


def runs_of(pieces: list[Piece], *, max_gap_bytes: int = MAX_GAP_BYTES) -> list[Run]:
    """`pieces`, ordered as `places_of` does, in as few runs as gaps allow."""
    runs: list[list[Piece]] = []
    for piece in pieces:
        last = runs[-1][-1] if runs else None
        if last is not None and piece.pack == last.pack and 0 <= piece.offset - last.end <= max_gap_bytes:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return [Run(run[0].pack, tuple(run)) for run in runs]
