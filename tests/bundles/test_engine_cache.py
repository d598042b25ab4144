"""Engines on disk: what is not whole, not ours or not for this key is not there."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from edge_runtime.bundles.engine_cache import ENGINES_NAME, TIMINGS_NAME, EngineCache, EngineKey, collect_engines
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import StorageError, StorageFault
from tests.settings import copy_settings

KEY = EngineKey(
    bundle="a" * 64,
    graph="encode.onnx",
    backend="tensorrt",
    backend_version="10.3.0",
    device="sm_87 Orin",
    driver="cuda=12.6 540.4.0",
    flags=("level=3",),
)
ENGINE = bytes(range(256)) * 40
NOBODY = 65534


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / ENGINES_NAME)


def entry(tmp_path: Path, key: EngineKey = KEY) -> Path:
    return tmp_path / ENGINES_NAME / key.bundle / key.digest


def other(**changes: object) -> EngineKey:
    return msgspec.structs.replace(KEY, **changes)


def test_what_was_written_is_read_by_the_next_process_too(cache: EngineCache, tmp_path: Path) -> None:
    assert cache.read(KEY) is None
    cache.write(KEY, ENGINE)
    assert EngineCache(tmp_path / ENGINES_NAME).read(KEY) == ENGINE
    cache.write(KEY, ENGINE[::-1])
    assert cache.read(KEY) == ENGINE[::-1]


def test_nobody_else_can_read_or_write_an_engine(cache: EngineCache, tmp_path: Path) -> None:
    cache.write(KEY, ENGINE)
    assert {path.stat().st_mode & 0o777 for path in entry(tmp_path).iterdir()} == {0o600}


@pytest.mark.parametrize("field", sorted(set(EngineKey.__struct_fields__) - {"format_version", "flags"}))
def test_with_any_other_value_it_is_another_engine(cache: EngineCache, field: str) -> None:
    cache.write(KEY, ENGINE)
    assert cache.read(other(**{field: getattr(KEY, field) + "1"})) is None


def test_other_flags_and_another_format_are_other_engines(cache: EngineCache) -> None:
    cache.write(KEY, ENGINE)
    assert cache.read(other(flags=("level=4",))) is None
    assert cache.read(other(format_version=2)) is None


def _alter(folder: Path) -> None:
    data = bytearray((folder / "engine").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "engine").write_bytes(data)


def _shorten(folder: Path) -> None:
    os.truncate(folder / "engine", len(ENGINE) - 1)


def _lose_the_engine(folder: Path) -> None:
    (folder / "engine").unlink()


def _lose_the_record(folder: Path) -> None:
    (folder / "record.json").unlink()


def _tear_the_record(folder: Path) -> None:
    os.truncate(folder / "record.json", 100)


def _fill_the_record(folder: Path) -> None:
    with (folder / "record.json").open("ab") as file:
        file.write(b" " * 100_000)


def _open_to_the_group(folder: Path) -> None:
    (folder / "engine").chmod(0o620)


def _open_the_record(folder: Path) -> None:
    (folder / "record.json").chmod(0o604)


def _link(folder: Path) -> None:
    (folder / "engine").rename(folder / "elsewhere")
    (folder / "engine").symlink_to(folder / "elsewhere")


def _pipe(folder: Path) -> None:
    (folder / "engine").unlink()
    os.mkfifo(folder / "engine", 0o600)


SPOILS = (
    _alter,
    _shorten,
    _lose_the_engine,
    _lose_the_record,
    _tear_the_record,
    _fill_the_record,
    _open_to_the_group,
    _open_the_record,
    _link,
    _pipe,
)


@pytest.mark.parametrize("spoil", SPOILS)
def test_what_is_not_whole_or_not_ours_alone_is_not_there_and_can_be_written_again(
    cache: EngineCache, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    cache.write(KEY, ENGINE)
    spoil(entry(tmp_path))
    assert cache.read(KEY) is None
    cache.write(KEY, ENGINE)
    assert cache.read(KEY) == ENGINE


@pytest.mark.parametrize("name", ["engine", "record.json"])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_another_user_has_put_there_is_not_there(cache: EngineCache, tmp_path: Path, name: str) -> None:
    cache.write(KEY, ENGINE)
    os.chown(entry(tmp_path) / name, NOBODY, NOBODY)
    assert cache.read(KEY) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_nothing_is_written_where_its_owner_could_not_read_it(cache: EngineCache, tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    with pytest.raises(StorageError, match="another user"):
        cache.write(KEY, ENGINE)
    assert not any(tmp_path.iterdir())


def test_an_engine_in_the_place_of_another_is_not_taken_for_it(cache: EngineCache, tmp_path: Path) -> None:
    newer = other(backend_version="10.4.0")
    cache.write(KEY, ENGINE)
    shutil.copytree(entry(tmp_path), entry(tmp_path, newer))
    assert cache.read(newer) is None
    assert cache.read(KEY) == ENGINE


def test_of_each_graph_the_newest_engine_is_kept(cache: EngineCache, tmp_path: Path) -> None:
    cache.write(KEY, ENGINE)
    cache.write(other(graph="denoise.onnx"), b"denoise")
    (tmp_path / ENGINES_NAME / KEY.bundle / "stray").write_bytes(b"")
    cache.write(other(driver="cuda=12.8"), b"newer")
    assert cache.read(KEY) is None
    assert cache.read(other(graph="denoise.onnx")) == b"denoise"
    assert cache.read(other(driver="cuda=12.8")) == b"newer"
    assert len(list((tmp_path / ENGINES_NAME / KEY.bundle).iterdir())) == 2


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_does_not_take_it_is_named_and_loses_nothing(cache: EngineCache) -> None:
    cache.write(KEY, ENGINE)
    with files_of_at_most(4096), pytest.raises(StorageError) as caught:
        cache.write(KEY, ENGINE[::-1])
    assert caught.value.fault is StorageFault.NO_SPACE
    assert cache.read(KEY) == ENGINE


def test_engines_of_bundles_in_no_slot_go(cache: EngineCache, tmp_path: Path) -> None:
    gone, timings = other(bundle="b" * 64), other(bundle=TIMINGS_NAME)
    for key in (KEY, gone, timings):
        cache.write(key, ENGINE)
    (tmp_path / ENGINES_NAME / "stray").write_bytes(b"")
    collect_engines(tmp_path, {KEY.bundle})
    assert cache.read(KEY) == cache.read(timings) == ENGINE
    assert {path.name for path in (tmp_path / ENGINES_NAME).iterdir()} == {KEY.bundle, TIMINGS_NAME}


def test_where_nothing_was_built_there_is_nothing_to_collect(tmp_path: Path) -> None:
    collect_engines(tmp_path, set())


def test_without_updates_nothing_is_kept(tmp_path: Path) -> None:
    assert EngineCache.of(load_config(copy_settings(tmp_path))) is None
