"""Which bytes are asked for: every missing blob once, forwards, in few ranges, by the shortest way that is open."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.contracts.release import ReleaseManifest, StoredDelta
from edge_runtime.ota.transfer.plan import places_of, runs_of
from tests.ota.packed_releases import packed, sha256, weights

OLD, NEW = weights(1, 9), weights(2, 9)
MADE = packed(NEW, bases={sha256(after): before for before, after in zip(OLD, NEW, strict=True)}, version="2")
RELEASE = MADE.release
BASES = {delta.blob: delta.base for delta in RELEASE.deltas}


@given(st.sets(st.sampled_from(sorted(RELEASE.blobs))), st.sets(st.sampled_from(sorted(BASES.values()))))
def test_every_missing_blob_is_in_one_run_that_goes_forward_within_its_pack(missing: set[str], held: set[str]) -> None:
    runs = runs_of(places_of(RELEASE, missing, held.__contains__))
    pieces = [piece for run in runs for piece in run.pieces]
    assert sorted(piece.sha256 for piece in pieces) == sorted(missing)
    for run in runs:
        assert {piece.pack for piece in run.pieces} == {run.pack}
        assert run.end <= RELEASE.packs[run.pack].size_bytes
        for before, after in zip(run.pieces, run.pieces[1:], strict=False):
            assert 0 <= after.offset - before.end <= 4096
    for piece in pieces:
        stored = RELEASE.blobs[piece.sha256]
        if piece.delta is None:
            assert BASES.get(piece.sha256) not in held
            assert (piece.pack, piece.offset, piece.end) == (
                stored.pack,
                stored.offset,
                stored.offset + stored.stored_bytes,
            )
        else:
            assert piece.delta.base in held
            assert piece.stored_bytes < stored.stored_bytes


def test_the_shortest_delta_whose_base_is_held_is_taken() -> None:
    hint = RELEASE.deltas[0]
    worse = msgspec.structs.replace(hint, base=sha256(b"other"), stored_bytes=hint.stored_bytes + 1)
    shorter = msgspec.structs.replace(hint, base=sha256(b"third"), stored_bytes=hint.stored_bytes - 1)

    def chosen(*held: str) -> StoredDelta | None:
        release = _with_deltas(RELEASE, (worse, hint, shorter))
        return places_of(release, [hint.blob], held.__contains__)[0].delta

    assert chosen() is None
    assert chosen(worse.base) == worse
    assert chosen(worse.base, hint.base) == hint
    assert chosen(hint.base, shorter.base) == shorter
    assert places_of(RELEASE, [hint.blob], lambda _: True, without_delta={hint.blob})[0].delta is None


@pytest.mark.parametrize(("gap", "runs"), [(4096, 1), (4097, 2)])
def test_small_gaps_are_read_and_large_ones_are_not(gap: int, runs: int) -> None:
    pieces = places_of(RELEASE, [digest for digest, blob in RELEASE.blobs.items() if blob.pack == 0], lambda _: False)
    first, second = pieces[:2]
    moved = [first, type(first)(**{**_fields(second), "offset": first.end + gap})]
    assert len(runs_of(moved)) == runs


def _fields(piece: object) -> dict[str, object]:
    return dict(vars(piece))


def _with_deltas(release: ReleaseManifest, deltas: tuple[StoredDelta, ...]) -> ReleaseManifest:
    # Not a release that could be loaded: its deltas lie on top of each other. The plan does not look at that.
    copy = msgspec.structs.replace(release)
    msgspec.structs.force_setattr(copy, "deltas", deltas)
    return copy
