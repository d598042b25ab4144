"""The file format of the black box, and what reading does with files that are cut, altered, foreign or malicious."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.contracts.errors import RecordingError
from edge_runtime.native import ffi
from edge_runtime.safety.recording import (
    RECORD_DTYPE,
    Recording,
    decode,
    encode,
    layout_digest,
    read_recording,
)
from edge_runtime.safety.replay import replay
from tests.safety.recorded import ARMED_AT, STOPPED_AT, recorded


@pytest.fixture(scope="module")
def recording() -> Recording:
    return recorded()


@pytest.fixture(scope="module")
def data(recording: Recording) -> bytes:
    return file_of(recording)


def file_of(recording: Recording, **changes: Any) -> bytes:
    """A file whose checksums all fit, whatever was changed."""
    return b"".join(encode(msgspec.structs.replace(recording.header, **changes), recording.records))


def with_records(recording: Recording, change: Any) -> Recording:
    records = recording.records.copy()
    change(records)
    return Recording(recording.header, records)


def test_records_have_no_padding_whose_bytes_could_differ() -> None:
    def used(dtype: np.dtype[Any]) -> int:
        if dtype.names is None:
            return dtype.itemsize
        assert dtype.fields is not None
        return sum(used(dtype.fields[name][0]) for name in dtype.names)

    assert used(RECORD_DTYPE) == RECORD_DTYPE.itemsize == ffi.sizeof("black_box_record")


def test_what_was_written_is_read_and_replays_to_the_bit(recording: Recording, data: bytes) -> None:
    again = decode(data)
    assert again.header == recording.header
    assert again.records.tobytes() == recording.records.tobytes()
    assert not again.torn
    result = replay(again)
    assert (result.ticks, result.ticks_identical) == (600, 600)
    assert (result.requests, result.requests_identical) == (3, 3)
    assert result.identical
    assert not result.gaps
    # It was a life worth replaying: limits acted, the stop was at work.
    states = set(again.records["verdict"]["state"].tolist())
    assert len(states) >= 4
    assert (again.records["verdict"]["reasons"] != 0).sum() > 100


@pytest.mark.parametrize("part", ["q", "reasons", "stop_margin", "state", "accepted", "config_digest"])
def test_one_flipped_bit_in_a_verdict_is_found_and_named(recording: Recording, part: str) -> None:
    def flip(records: np.ndarray[Any, Any]) -> None:
        records["verdict"][part][300:301].view("u1").reshape(-1)[0] ^= 1

    result = replay(with_records(recording, flip))
    assert [(d.seq, d.what, d.fields) for d in result.differences] == [(301, "verdict", (part,))]
    assert (result.ticks_identical, result.ticks) == (599, 600)


def test_a_state_that_nothing_led_to_is_found_and_named(recording: Recording) -> None:
    def move(records: np.ndarray[Any, Any]) -> None:
        records["before"]["hold_since_ns"][300] += 1

    result = replay(with_records(recording, move))
    # The tick before leads elsewhere; the altered one keeps the altered stamp, and so does not lead on either.
    assert {(d.seq, d.what) for d in result.differences} == {(300, "next state"), (301, "next state")}
    assert all(d.fields == ("hold_since_ns",) for d in result.differences)


def test_an_answer_that_was_not_given_is_found(recording: Recording) -> None:
    request = int(np.flatnonzero(recording.records["kind"] == 2)[0])

    def refuse(records: np.ndarray[Any, Any]) -> None:
        records["result"][request] = 1

    result = replay(with_records(recording, refuse))
    assert [(d.seq, d.what) for d in result.differences] == [(request + 1, "answer")]
    assert request == ARMED_AT


def test_a_gap_is_named_and_the_rest_is_compared(recording: Recording) -> None:
    kept = np.delete(recording.records, slice(100, 110))
    result = replay(Recording(recording.header, kept))
    assert [(gap.after_seq, gap.before_seq, gap.missing) for gap in result.gaps] == [(100, 111, 10)]
    assert result.identical
    assert result.ticks_identical == 590


def test_a_torn_file_is_read_up_to_the_tear(recording: Recording, data: bytes) -> None:
    torn = decode(data[:-1])
    assert "ends too early" in torn.torn
    assert "512 of 603" in torn.torn
    assert torn.records.tobytes() == recording.records[:512].tobytes()
    assert replay(torn).identical
    at_a_seam = decode(data[: data.rindex(b"BLCK")])
    assert len(at_a_seam.records) == 512
    assert at_a_seam.torn


def test_a_block_that_was_altered_ends_the_recording(data: bytes) -> None:
    second = data.index(b"BLCK", data.index(b"BLCK") + 4)
    altered = bytearray(data)
    altered[second + 100] ^= 1
    assert "checksum" in decode(bytes(altered)).torn
    assert len(decode(bytes(altered)).records) == 256


def test_another_build_is_refused_by_name(recording: Recording) -> None:
    with pytest.raises(RecordingError, match=r"written by another build \(9.9\).* replay it with that build") as caught:
        decode(file_of(recording, layout="0" * 64, runtime_version="9.9"))
    assert caught.value.part == "layout"
    with pytest.raises(RecordingError, match=r"format: 3 is not 2.*version 0.1.0"):
        decode(file_of(recording, format=3))
    assert recording.header.layout == layout_digest()


def test_a_header_of_another_format_is_refused_by_its_format() -> None:
    fields = {"format": 1, "layout": "x", "something": "old"}
    packed = msgspec.msgpack.encode(fields)
    data = b"EDGE-BBX" + len(packed).to_bytes(4, "little") + zlib.crc32(packed).to_bytes(4, "little") + packed
    with pytest.raises(RecordingError, match=r"format: 1 is not 2.*version unknown"):
        decode(data)


def test_limits_that_the_kernel_cannot_hold_are_refused(recording: Recording) -> None:
    config = recording.native_config()
    config.ddq_max[1] = float("nan")
    with pytest.raises(RecordingError, match="kernel_config: ddq_max is not possible"):
        decode(file_of(recording, kernel_config=bytes(ffi.buffer(config))))
    with pytest.raises(RecordingError, match="kernel_config"):
        decode(file_of(recording, kernel_config=b""))


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        (("before", "state"), 7, "state that does not exist"),
        (("verdict", "state"), 200, "state that does not exist"),
        (("before", "q"), np.nan, "q of a kernel state is not finite"),
        (("seq",), 0, "do not rise"),
        (("kind",), 9, "neither tick"),
    ],
)
def test_records_that_the_kernel_may_not_see_are_refused(
    recording: Recording, field: tuple[str, ...], value: float, match: str
) -> None:
    def spoil(records: np.ndarray[Any, Any]) -> None:
        for name in field:
            records = records[name]
        records[300] = value

    with pytest.raises(RecordingError, match=match):
        decode(file_of(with_records(recording, spoil)))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n_records": 2**40}, "n_records"),
        ({"n_records": 0}, "n_records"),
        ({"n_records": 10}, "claims 256 records"),
        ({"axis_names": ("a", "b")}, "2 names for"),
        ({"robot": "\x1b[31mred"}, "text that cannot be shown"),
        ({"robot": "x" * 300_000}, "header: larger"),
    ],
)
def test_headers_that_contradict_the_file_are_refused(
    recording: Recording, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(RecordingError, match=match):
        decode(file_of(recording, **changes))


def test_a_block_that_grows_without_end_is_not_unpacked(data: bytes) -> None:
    bomb = zlib.compress(bytes(30 << 20), 9)
    start = data.index(b"BLCK")
    prefix = b"BLCK" + b"".join(n.to_bytes(4, "little") for n in (256, len(bomb), zlib.crc32(bomb)))
    with pytest.raises(RecordingError, match="something other than 256 records"):
        decode(data[:start] + prefix + bomb)


def test_files_that_are_none(tmp_path: Path) -> None:
    for content in (b"", b"EDGE", b"EDGE-BBX", b"PK\x03\x04" + bytes(100), bytes(1000)):
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(RecordingError):
            read_recording(path)
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RecordingError, match=str(path)):
            read_recording(path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_ends_in_a_recording_or_in_its_error(recording: Recording, data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 5))):
        at = draw.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + draw.draw(st.integers(0, 3))] = draw.draw(st.binary(max_size=4))
    try:
        again = decode(bytes(damaged))
    except RecordingError:
        return
    assert again.records.tobytes() == recording.records[: len(again.records)].tobytes()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_record_whatever_upsets_the_kernel(recording: Recording, seed: int) -> None:
    """Values of any size in states, feedback and setpoints, with checksums that fit: replay ends, and says no."""
    random = np.random.default_rng(seed)

    def scramble(records: np.ndarray[Any, Any]) -> None:
        raw = records.view("u1").reshape(len(records), -1)
        for row in raw[STOPPED_AT - 60 : STOPPED_AT]:
            row[random.integers(48, len(row), 20)] = random.integers(0, 256, 20)
        for part in ("before", "verdict"):
            records[part]["state"] %= 7
        for name in records["before"].dtype.names:
            values = records["before"][name]
            if values.dtype.kind == "f":
                values[...] = np.nan_to_num(values)

    assert not replay(decode(file_of(with_records(recording, scramble)))).identical
