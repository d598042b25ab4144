"""Stored bytes become the blob again, or a named refusal: never more bytes than announced, never more memory."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from typing import Literal

import numpy as np
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.release import DELTA_BLOCK_BYTES, MAX_BLOB_BYTES
from edge_runtime.releases.delta import decode, decode_delta
from edge_runtime.releases.int_delta import compressed, encode_delta

Width = Literal[1, 2, 4]
WIDTHS: tuple[Width, ...] = (1, 2, 4)


def refusal_of(parts: object) -> OtaRefusal:
    with pytest.raises(OtaError) as caught:
        b"".join(parts)  # type: ignore[arg-type]
    return caught.value.refusal


@settings(deadline=None)
@given(
    width=st.sampled_from(WIDTHS),
    pair=st.integers(1, 3000).flatmap(
        lambda n: st.tuples(st.binary(min_size=n, max_size=n), st.binary(min_size=n, max_size=n))
    ),
)
@example(width=4, pair=(b"\x00\x00\x00\x80" * 2, b"\xff\xff\xff\x7f" * 2))
@example(width=1, pair=(bytes(range(256)), bytes(reversed(range(256)))))
def test_a_delta_leads_from_any_base_to_any_blob(width: Width, pair: tuple[bytes, bytes]) -> None:
    base, blob = pair
    stored = encode_delta(blob, base, width)
    assert b"".join(decode_delta(stored, io.BytesIO(base), width, len(blob))) == blob


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "size", [DELTA_BLOCK_BYTES - 1, DELTA_BLOCK_BYTES, DELTA_BLOCK_BYTES + 3, 3 * DELTA_BLOCK_BYTES]
)
def test_blocks_meet_without_a_seam(width: Width, size: int) -> None:
    rng = np.random.default_rng(size)
    base, blob = rng.bytes(size), rng.bytes(size)
    parts = list(decode_delta(encode_delta(blob, base, width), io.BytesIO(base), width, size))
    assert b"".join(parts) == blob
    assert max(map(len, parts)) <= DELTA_BLOCK_BYTES


def test_parts_are_blocks_and_come_from_files_as_well() -> None:
    size = 2 * DELTA_BLOCK_BYTES + 5
    blob, base = os.urandom(size), os.urandom(size)
    assert list(map(len, decode(io.BytesIO(blob), "none", size))) == [DELTA_BLOCK_BYTES, DELTA_BLOCK_BYTES, 5]
    parts = list(decode_delta(io.BytesIO(encode_delta(blob, base, 2)), io.BytesIO(base), 2, size))
    assert list(map(len, parts)) == [1, DELTA_BLOCK_BYTES, DELTA_BLOCK_BYTES, 4]
    assert b"".join(parts) == blob


def test_a_file_that_was_read_is_left_open() -> None:
    with io.BytesIO(zstandard.compress(bytes(1000))) as source:
        assert b"".join(decode(source, "zstd", 1000)) == bytes(1000)
        assert not source.closed


def test_a_refusal_says_how_far_it_came() -> None:
    short, long = bytes(DELTA_BLOCK_BYTES + 7), bytes(DELTA_BLOCK_BYTES + 9)
    with pytest.raises(OtaError, match=f"ends after {len(short)} bytes"):
        b"".join(decode(short, "none", len(short) + 1))
    with pytest.raises(OtaError, match=f"more than the {len(long) - 1} bytes"):
        b"".join(decode(long, "none", len(long) - 1))
    with pytest.raises(OtaError, match="zstd"):
        b"".join(decode(b"no frame", "zstd", 8))


def test_elements_are_counted_from_the_end() -> None:
    """What lies before a tensor may have any length and must not shift its values out of step."""
    rng = np.random.default_rng(4)
    base = (0.02 * rng.standard_normal(100_000)).astype(np.float32)
    blob = (base * (1 + 1e-5 * rng.standard_normal(base.size))).astype(np.float32)
    old, new = base.tobytes(), blob.tobytes()
    alone = len(encode_delta(new, old, 4))
    led = len(encode_delta(b"header: ..." + new, b"header: ..." + old, 4))
    out_of_step = len(encode_delta(new + b"end", old + b"end", 4))
    assert led < 1.02 * alone < 1.1 * alone < out_of_step


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int8])
def test_weights_that_moved_a_little_become_short(kind: type) -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal(200_000) * (0.02 if kind is not np.int8 else 40)
    base = values.astype(kind)
    blob = (base * (1 + 1e-3 * rng.standard_normal(base.size))).astype(kind)
    width = base.dtype.itemsize
    assert width in WIDTHS
    stored = encode_delta(blob.tobytes(), base.tobytes(), width)
    assert len(stored) < 0.66 * len(compressed(blob.tobytes())[1])
    assert b"".join(decode_delta(stored, io.BytesIO(base.tobytes()), width, blob.nbytes)) == blob.tobytes()


@given(data=st.binary(min_size=1, max_size=5000))
def test_any_blob_is_itself_again(data: bytes) -> None:
    codec, stored = compressed(data)
    assert (codec == "none") == (len(stored) == len(data))
    assert b"".join(decode(stored, codec, len(data))) == data
    assert b"".join(decode(io.BytesIO(stored), codec, len(data))) == data


@settings(max_examples=300, deadline=None)
@given(stored=st.binary(max_size=200), size=st.integers(1, 4000))
def test_bytes_of_a_stranger_give_exactly_the_announced_size_or_a_refusal(stored: bytes, size: int) -> None:
    for parts in (decode(stored, "zstd", size), decode_delta(stored, io.BytesIO(bytes(size)), 1, size)):
        try:
            decoded = b"".join(parts)
        except OtaError as error:
            known = error.refusal in (OtaRefusal.BLOB_MALFORMED, OtaRefusal.BLOB_OVERSIZED)
        else:
            known = len(decoded) == size
        assert known


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_frame_with_a_changed_byte_never_gives_more_than_announced(data: st.DataObject) -> None:
    size = 2000
    frame = bytearray(compressed(b"weights " * 250)[1])
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = b"".join(decode(bytes(frame), "zstd", size))
    except OtaError:
        return
    assert len(decoded) == size


def bomb(size_bytes: int, *, says_size: bool = True) -> bytes:
    """A small frame of very many zeros."""
    maker = zstandard.ZstdCompressor(level=19, write_content_size=says_size)
    return maker.compress(bytes(size_bytes))


@pytest.mark.parametrize("says_size", [True, False], ids=["says its size", "says nothing"])
def test_a_bomb_is_refused_once_it_exceeds_what_was_announced(says_size: bool) -> None:
    frame = bomb(200_000_000, says_size=says_size)
    assert len(frame) < 50_000
    assert refusal_of(decode(frame, "zstd", 1000)) is OtaRefusal.BLOB_OVERSIZED
    assert refusal_of(decode_delta(frame, io.BytesIO(bytes(1000)), 2, 1000)) is OtaRefusal.BLOB_OVERSIZED


def test_a_frame_that_wants_a_gigabyte_of_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, write_content_size=False)
    maker = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    frame = maker.compress(b"weights") + maker.flush()
    assert refusal_of(decode(frame, "zstd", 7)) is OtaRefusal.BLOB_MALFORMED


@pytest.mark.parametrize(
    ("stored", "codec", "refusal"),
    [
        (b"", "none", OtaRefusal.BLOB_MALFORMED),
        (b"short", "none", OtaRefusal.BLOB_MALFORMED),
        (b"too long for it", "none", OtaRefusal.BLOB_OVERSIZED),
        (b"", "zstd", OtaRefusal.BLOB_MALFORMED),
        (b"no frame at all", "zstd", OtaRefusal.BLOB_MALFORMED),
        (bomb(4096)[:-3], "zstd", OtaRefusal.BLOB_MALFORMED),
        (bomb(7), "zstd", OtaRefusal.BLOB_MALFORMED),
        (bomb(9), "zstd", OtaRefusal.BLOB_OVERSIZED),
    ],
    ids=["nothing", "short", "long", "no frame", "no magic", "cut frame", "short frame", "long frame"],
)
def test_stored_bytes_of_another_size_are_refused(
    stored: bytes, codec: Literal["none", "zstd"], refusal: OtaRefusal
) -> None:
    assert refusal_of(decode(stored, codec, 8)) is refusal


def test_a_base_that_is_too_short_is_refused() -> None:
    stored = encode_delta(bytes(8), bytes(8), 2)
    assert refusal_of(decode_delta(stored, io.BytesIO(bytes(7)), 2, 8)) is OtaRefusal.BLOB_MALFORMED


def test_another_base_gives_other_bytes_for_the_caller_to_find() -> None:
    blob, base = os.urandom(4000), os.urandom(4000)
    stored = encode_delta(blob, base, 2)
    other = b"".join(decode_delta(stored, io.BytesIO(bytes(4000)), 2, 4000))
    assert hashlib.sha256(other).digest() != hashlib.sha256(blob).digest()


@pytest.mark.parametrize("size", [0, -1, MAX_BLOB_BYTES + 1])
def test_asking_for_no_blob_is_a_mistake_of_the_caller(size: int) -> None:
    with pytest.raises(ValueError, match="a blob has 1 to"):
        decode(b"", "none", size)
    with pytest.raises(ValueError, match="a blob has 1 to"):
        next(decode_delta(b"", io.BytesIO(), 1, size))


def test_a_delta_from_another_size_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no delta"):
        encode_delta(bytes(8), bytes(4), 4)


MEASURE = """
import os, sys, tempfile
from edge_runtime.releases.delta import decode_delta
size = int(sys.argv[1])
with tempfile.TemporaryFile() as stored, tempfile.TemporaryFile() as base:
    import zstandard
    maker = zstandard.ZstdCompressor(level=3).compressobj(size=size)
    for _ in range(size >> 20):
        stored.write(maker.compress(os.urandom(1 << 20)))
        base.write(os.urandom(1 << 20))
    stored.write(maker.flush())
    stored.seek(0)
    base.seek(0)
    def peak_kib():
        lines = open("/proc/self/status").read().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    before = peak_kib()
    assert sum(len(part) for part in decode_delta(stored, base, 2, size)) == size
    print(peak_kib() - before)
"""


def test_the_largest_blob_needs_a_few_megabytes_of_memory() -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(MAX_BLOB_BYTES)], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(run.stdout) < 14_000, f"{run.stdout} KiB for a blob of {MAX_BLOB_BYTES >> 10} KiB"
