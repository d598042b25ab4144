"""Durable files and records in two copies: what is torn, behind or gone, and what a disk that refuses leaves behind.

A refusal has the name of its kind, the file that it is of, what the system said, and what to do next.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from edge_runtime.contracts.errors import StorageError, StorageFault
from edge_runtime.storage.durable import make_file, make_folder, put_in_place, replace_file, sync_folder, write_at
from edge_runtime.storage.faults import storage_error
from edge_runtime.storage.twin_record import COPY_BYTES, TwinRecord


class Count(msgspec.Struct, frozen=True):
    number: int
    text: str = ""


class Other(msgspec.Struct, frozen=True):
    number: int


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """The system refuses to write beyond `size_bytes` of any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def record(tmp_path: Path) -> TwinRecord[Count]:
    return TwinRecord(tmp_path / "count", Count)


def copies(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "count.a", tmp_path / "count.b"


def test_nothing_was_ever_written(record: TwinRecord[Count]) -> None:
    assert record.read() is None
    record.mend()
    assert record.read() is None


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone", "longer"])
def test_one_spoilt_copy_costs_nothing_and_is_written_first(
    record: TwinRecord[Count], tmp_path: Path, victim: int, damage: str
) -> None:
    record.write(Count(1))
    record.write(Count(2))
    path = copies(tmp_path)[victim]
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        flipped = data[:70] + bytes([data[70] ^ 1]) + data[71:]
        path.write_bytes({"flip": flipped, "cut": data[:-1], "empty": b"", "longer": data + b"\n"}[damage])
    assert record.read() == Count(2)
    order: list[Path] = []

    class Watched(TwinRecord[Count]):
        def _write_copy(self, path: Path, data: bytes) -> None:
            order.append(path)
            super()._write_copy(path, data)

    Watched(tmp_path / "count", Count).write(Count(3))
    assert order == [copies(tmp_path)[victim], copies(tmp_path)[1 - victim]], "the only good copy was touched first"
    assert record.read() == Count(3)
    for path in copies(tmp_path):
        assert path.stat().st_size == COPY_BYTES
    copies(tmp_path)[0].unlink()
    assert record.read() == Count(3)


def test_both_copies_spoilt_is_a_refusal(record: TwinRecord[Count], tmp_path: Path) -> None:
    record.write(Count(1))
    for path in copies(tmp_path):
        path.write_bytes(b"")
    with pytest.raises(StorageError, match="neither of its two copies") as caught:
        record.read()
    assert (caught.value.fault, caught.value.path) == (StorageFault.DAMAGED, tmp_path / "count")
    with pytest.raises(StorageError):
        record.mend()


def test_the_higher_step_wins_and_mend_makes_both_the_same(record: TwinRecord[Count], tmp_path: Path) -> None:
    record.write(Count(1))
    old = copies(tmp_path)[0].read_bytes()
    record.write(Count(2))
    copies(tmp_path)[0].write_bytes(old)
    assert record.read() == Count(2)
    record.mend()
    first, second = (path.read_bytes() for path in copies(tmp_path))
    assert first == second
    assert record.read() == Count(2)


def test_a_copy_of_another_record_or_format_is_none(record: TwinRecord[Count], tmp_path: Path) -> None:
    TwinRecord(tmp_path / "count", Other).write(Other(9))
    with pytest.raises(StorageError) as caught:
        record.read()
    assert caught.value.fault is StorageFault.DAMAGED
    record.write(Count(1))
    assert record.read() == Count(1)


def test_a_body_that_is_too_large_changes_nothing(record: TwinRecord[Count]) -> None:
    record.write(Count(1))
    with pytest.raises(ValueError, match="a copy holds 4096"):
        record.write(Count(2, "x" * COPY_BYTES))
    assert record.read() == Count(1)


def test_a_record_changes_where_no_file_can_grow(record: TwinRecord[Count], tmp_path: Path) -> None:
    record.write(Count(1))
    with files_no_larger_than(COPY_BYTES):
        record.write(Count(2))
    assert record.read() == Count(2)
    with files_no_larger_than(100), pytest.raises(StorageError, match="File too large"):
        record.write(Count(3))
    assert record.read() == Count(2)
    with files_no_larger_than(0), pytest.raises(StorageError, match="File too large") as caught:
        TwinRecord(tmp_path / "fresh", Count).write(Count(1))
    assert caught.value.fault is StorageFault.NO_SPACE
    assert not [path for path in tmp_path.iterdir() if "fresh" in path.name]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")
    with files_no_larger_than(2), pytest.raises(StorageError, match="File too large"):
        replace_file(path, b"newer")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    replace_file(path, b"newer")
    assert path.read_bytes() == b"newer"


def test_a_file_that_must_be_new_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with files_no_larger_than(2), pytest.raises(StorageError) as caught:
        make_file(path, b"longer", 0o600)
    assert caught.value.fault is StorageFault.NO_SPACE
    assert not any(tmp_path.iterdir())
    make_file(path, b"longer", 0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StorageError) as caught:
        make_file(path, b"other", 0o600)
    assert caught.value.fault is StorageFault.IN_THE_WAY
    assert path.read_bytes() == b"longer"


@pytest.mark.parametrize(
    ("number", "fault", "is_of_disk"),
    [
        (errno.ENOSPC, StorageFault.NO_SPACE, True),
        (errno.EDQUOT, StorageFault.NO_SPACE, True),
        (errno.EROFS, StorageFault.READ_ONLY, True),
        (errno.EIO, StorageFault.FAULT, True),
        (errno.EACCES, StorageFault.NOT_PERMITTED, False),
        (errno.ENOENT, StorageFault.MISSING, False),
        (errno.ENOTDIR, StorageFault.IN_THE_WAY, False),
    ],
)
def test_what_the_system_says_has_a_name_and_a_remedy(number: int, fault: StorageFault, is_of_disk: bool) -> None:
    error = storage_error(OSError(number, os.strerror(number), "/named/by/the/system"), Path("/asked/for"))
    assert (error.fault, error.fault.is_of_disk) == (fault, is_of_disk)
    assert str(error) == f"/named/by/the/system: {os.strerror(number)}: {fault.remedy}"
    assert storage_error(OSError(number, "said"), Path("/asked/for")).path == Path("/asked/for")


def test_every_way_to_write_raises_the_same(tmp_path: Path) -> None:
    """What is in the way is a file where a folder should be: root may write everywhere, and is told the same."""
    (tmp_path / "file").write_bytes(b"")
    below, source = tmp_path / "file" / "below", tmp_path / "source"
    source.write_bytes(b"data")
    ways: dict[str, Callable[[], object]] = {
        "replace_file": lambda: replace_file(below, b"data"),
        "replace_file, not to last": lambda: replace_file(below, b"data", to_last=False),
        "put_in_place": lambda: put_in_place(source, below),
        "make_file": lambda: make_file(below, b"data", 0o600),
        "make_folder": lambda: make_folder(below),
        "sync_folder": lambda: sync_folder(below),
        "write_at": lambda: write_at(below, b"data", 0),
        "TwinRecord": lambda: TwinRecord(below, Count).write(Count(1)),
    }
    for name, write in ways.items():
        with pytest.raises(StorageError) as caught:
            write()
        assert caught.value.fault is StorageFault.IN_THE_WAY, name
    assert source.read_bytes() == b"data"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "source"]


def test_a_disk_that_does_not_say_whether_a_record_is_there_is_a_fault_by_name(tmp_path: Path) -> None:
    # A name that no file system takes: to look for it fails, and not because it is gone.
    with pytest.raises(StorageError) as caught:
        TwinRecord(tmp_path / ("x" * 300), Count).read()
    assert caught.value.fault is not StorageFault.DAMAGED
    assert caught.value.__cause__ is not None
