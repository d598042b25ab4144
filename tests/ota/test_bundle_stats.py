"""Records add up, fade, and last."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.contracts.errors import StorageError, StorageFault
from edge_runtime.ota.probation.bundle_stats import AGE_EDGES_NS, INTERVENTION_EDGES, Record, RecordBook, with_class
from edge_runtime.storage.twin_record import COPY_BYTES, TwinRecord

A, B = "a" * 64, "b" * 64
MOST = 2**53


@st.composite
def records(draw: st.DrawFn, most: int = 3000) -> Record:
    """Any that could have come about."""
    count = st.integers(0, most)
    interventions = tuple(draw(count) for _ in range(len(INTERVENTION_EDGES) + 1))
    windows, episodes = sum(interventions), draw(count)
    return Record(
        bundle=A,
        active_ns=draw(st.integers(0, 2**50)),
        episodes=episodes,
        failures=draw(st.integers(0, episodes)),
        interventions=interventions,
        stalled=draw(st.integers(0, min(windows, most))),
        withheld=draw(st.integers(0, min(windows, most))),
        trips=draw(count),
        crashes=draw(count),
        not_finite=draw(count),
        ages=(draw(count), *(0,) * 18, draw(count), draw(count), draw(count), *(0,) * 26, draw(count)),
    )


@settings(deadline=None)
@given(records(), records(), records())
def test_records_add_up_in_any_order(one: Record, two: Record, three: Record) -> None:
    assert one.plus(two).plus(three) == three.plus(one).plus(two) == one.plus(three.plus(two))
    assert one.plus(Record(bundle=A)) == one
    assert one.plus(two).windows == one.windows + two.windows


@settings(deadline=None)
@given(records(most=MOST))
def test_no_sum_grows_without_bound(record: Record) -> None:
    twice = record.plus(record)
    assert all(count <= MOST for count in (*twice.interventions, *twice.ages, twice.active_ns, twice.crashes))


def test_records_of_two_bundles_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        Record(bundle=A).plus(Record(bundle=B))


@settings(deadline=None)
@given(records(most=20_000))
def test_what_is_old_fades_and_what_happened_once_is_not_forgotten(record: Record) -> None:
    faded = record.faded()
    assert (faded == record) == (record.windows <= 5000 and record.episodes <= 1000)
    assert (faded.crashes > 0) == (record.crashes > 0)
    assert faded.failures <= faded.episodes
    if record.episodes > 1000:
        assert faded.failures / faded.episodes == pytest.approx(record.failures / record.episodes, abs=2e-3)


@pytest.mark.parametrize(
    ("value", "place"), [(0, 0), (1, 1), (9, 1), (10, 2), (99, 2), (999, 3), (1000, 4), (10**18, 4)]
)
def test_a_value_has_the_class_whose_edge_it_reached(value: int, place: int) -> None:
    assert with_class(INTERVENTION_EDGES, value).index(1) == place
    altered = Record(bundle=A, interventions=with_class(INTERVENTION_EDGES, value)).windows_altered()
    assert altered == tuple(int(value >= edge) for edge in INTERVENTION_EDGES)


@pytest.mark.parametrize("age_ns", [0, 4_000_000, 50_000_000, 500_000_000, 10**12])
def test_a_chunk_is_counted_as_older_only_for_certain(age_ns: int) -> None:
    record = Record(bundle=A, ages=with_class(AGE_EDGES_NS, age_ns))
    assert record.chunks == 1
    assert record.chunks_older_than(age_ns + 1) == 0
    # To a fifth it is known that it was; beyond the last class no more.
    assert record.chunks_older_than(0.8 * min(age_ns, AGE_EDGES_NS[-1])) == (age_ns >= AGE_EDGES_NS[0])


@pytest.mark.parametrize(
    "field",
    [
        {"bundle": "shipped"},
        {"bundle": A, "version": 2},
        {"bundle": A, "crashes": -1},
        {"bundle": A, "trips": 2**53 + 1},
        {"bundle": A, "episodes": 1, "failures": 2},
        {"bundle": A, "stalled": 1},
        {"bundle": A, "ages": (0,)},
        {"bundle": A, "interventions": (0, 0)},
    ],
)
def test_what_cannot_be_is_no_record(field: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Record(**field)  # type: ignore[arg-type]
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(field), type=Record)


def test_a_record_lasts_also_the_largest_there_is(tmp_path: Path) -> None:
    largest = Record(
        bundle=A,
        **dict.fromkeys(("active_ns", "episodes", "failures", "stalled", "withheld", "trips", "crashes"), MOST),
        not_finite=MOST,
        interventions=(MOST,) * 5,
        ages=(MOST,) * 49,
    )
    RecordBook(tmp_path / "records").write(largest)
    assert RecordBook(tmp_path / "records").read(A) == largest
    assert {path.stat().st_size for path in (tmp_path / "records").iterdir()} == {COPY_BYTES}


def test_one_spoilt_copy_costs_nothing(tmp_path: Path) -> None:
    book, record = RecordBook(tmp_path), Record(bundle=A, crashes=1)
    book.write(record)
    (tmp_path / f"{A}.a").write_bytes(b"torn")
    assert book.read(A) == record
    assert not book.problems


def _spoil_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:100])


def _make_another_version(folder: Path) -> None:
    class Other(msgspec.Struct):
        bundle: str = A
        version: int = 2

    Other.__name__ = "Record"
    for path in folder.iterdir():
        path.unlink()
    TwinRecord(folder / A, Other).write(Other())


def _make_it_of_another_bundle(folder: Path) -> None:
    TwinRecord(folder / A, Record).write(Record(bundle=B))


@pytest.mark.parametrize("spoil", [_spoil_all, _make_another_version, _make_it_of_another_bundle])
def test_what_cannot_be_read_is_an_empty_record_and_a_word_why(tmp_path: Path, spoil: object) -> None:
    assert callable(spoil)
    book = RecordBook(tmp_path)
    book.write(Record(bundle=A, crashes=1))
    spoil(tmp_path)
    assert book.read(A) == Record(bundle=A)
    assert book.problems[A].startswith(str(tmp_path / A))
    # It is no dead end.
    book.write(Record(bundle=A, crashes=2))
    assert book.read(A) == Record(bundle=A, crashes=2)
    assert not book.problems


def test_nothing_written_is_an_empty_record_without_a_word(tmp_path: Path) -> None:
    book = RecordBook(tmp_path / "records")
    assert book.read(A) == Record(bundle=A)
    assert not book.problems
    book.forget(keep=())


def test_a_folder_that_takes_no_files_is_a_named_refusal(tmp_path: Path) -> None:
    (tmp_path / "records").write_bytes(b"a file is in the way")
    with pytest.raises(StorageError) as caught:
        RecordBook(tmp_path / "records").write(Record(bundle=A))
    assert caught.value.fault is StorageFault.IN_THE_WAY


def test_a_record_that_cannot_be_removed_is_a_named_refusal(tmp_path: Path) -> None:
    (tmp_path / A).mkdir()
    with pytest.raises(StorageError) as caught:
        RecordBook(tmp_path).forget(keep=())
    assert caught.value.fault is StorageFault.IN_THE_WAY


def test_events_are_saved_at_once_and_the_rest_once_a_minute(tmp_path: Path) -> None:
    book = RecordBook(tmp_path)
    moved = Record(bundle=A, active_ns=5)
    book.save([moved], now_s=1000.0)
    assert book.read(A) == moved
    book.save([moved.plus(moved)], now_s=1059.0)
    assert book.read(A) == moved
    crashed = moved.plus(Record(bundle=A, crashes=1))
    book.save([crashed], now_s=1059.5)
    assert book.read(A) == crashed
    book.save([crashed.plus(moved)], now_s=1119.4)
    assert book.read(A) == crashed
    book.save([crashed.plus(moved)], now_s=1119.6)
    assert book.read(A) == crashed.plus(moved)


def test_only_the_records_of_bundles_that_are_kept_stay(tmp_path: Path) -> None:
    book = RecordBook(tmp_path)
    book.write(Record(bundle=A, crashes=1))
    book.write(Record(bundle=B, crashes=1))
    book.forget(keep={B})
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {B}
