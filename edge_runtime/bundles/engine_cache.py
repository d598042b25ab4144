"""Engines that this robot has built from the bundles on it, so that the next start need not build them again.

Guarantees: what `read` returns was written whole by this user on this machine, for exactly the key that is asked for;
anything else - torn, altered, of another owner, open to others, made for another bundle, device or version - is as if
it were not there. A hash beside the bytes finds what a disk has altered; that nobody else put them there is kept by the
owner and the mode of the files, because no engine is safe to load that somebody else has built.
Refuses to know what engines are. Trusts this robot's own user.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import EngineError, StorageError, StorageFault
from edge_runtime.storage.durable import read_own, replace_file
from edge_runtime.storage.faults import storage_errors

FORMAT_VERSION = 1
ENGINE_BYTES_MAX = 32 << 30
"""No bundle is half as large."""

ENGINES_NAME = "engines"
TIMINGS_NAME = "timings"
"""In place of a bundle's digest: what building has measured on this device, which serves every bundle."""

_ENGINE_NAME, _RECORD_NAME = "engine", "record.json"
_RECORD_BYTES_MAX = 16_384
_OURS_ALONE = 0o600


class EngineKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that an engine depends on: with any other value it is another engine.

    Attributes:
        bundle: digest of the bundle, and `graph`, the path of the graph in it.
        backend: what builds it, and `backend_version`, the full version.
        device: what runs it: GPU architecture, or model and features of the processor.
        driver: versions of driver and CUDA; empty on a processor.
        flags: how it is built, each as ``name=value``.
    """

    bundle: str
    graph: str
    backend: str
    backend_version: str
    device: str
    driver: str = ""
    flags: tuple[str, ...] = ()
    format_version: int = FORMAT_VERSION

    @property
    def digest(self) -> str:
        """64 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: EngineKey
    size_bytes: int
    sha256: str


class EngineCache:
    """`<root>/<bundle>/<digest of the key>/`: the engine, and beside it what it is; of each graph the newest alone."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @classmethod
    def of(cls, config: RobotConfig) -> EngineCache | None:
        """Below the folder of the update agent's runner; None where there are no updates."""
        if config.ota is None:
            return None
        return cls(config.path.parent / config.ota.store / "bundles" / ENGINES_NAME)

    def read(self, key: EngineKey) -> bytes | None:
        """The engine; None if there is none that may be loaded."""
        folder = self._folder(key)
        record = _record_in(folder)
        if record is None or record.key != key or record.size_bytes > ENGINE_BYTES_MAX:
            return None
        data = read_own(folder / _ENGINE_NAME, at_most_bytes=record.size_bytes)
        return data if data is not None and hashlib.sha256(data).hexdigest() == record.sha256 else None

    def write(self, key: EngineKey, data: bytes) -> None:
        """Keep an engine, to last, in place of any other of the same graph.

        Raises:
            StorageError: it is not there, and nor is harm; `NOT_PERMITTED` also where the cache is of another user, who
                could not read what is written here.
            EngineError: larger than any engine may be.
        """
        if len(data) > ENGINE_BYTES_MAX:
            raise EngineError(f"{key.graph}: an engine of {len(data)} bytes, {ENGINE_BYTES_MAX} at most are kept")
        folder = self._folder(key)
        record = _Record(key, len(data), hashlib.sha256(data).hexdigest())
        with storage_errors(folder):
            if _owner_of(folder) != os.geteuid():
                raise StorageError(StorageFault.NOT_PERMITTED, folder, "the folder belongs to another user")
            # The record comes last: without it, or with that of other bytes, there is no engine here.
            replace_file(folder / _ENGINE_NAME, data, mode=_OURS_ALONE)
            replace_file(folder / _RECORD_NAME, msgspec.json.encode(record), mode=_OURS_ALONE)
            self._remove_others(key)

    def _folder(self, key: EngineKey) -> Path:
        return self._root / key.bundle / key.digest

    def _remove_others(self, key: EngineKey) -> None:
        folder = self._folder(key)
        for other in folder.parent.iterdir():
            record = _record_in(other)
            if other != folder and (record is None or record.key.graph == key.graph):
                _remove(other)


def collect_engines(root: Path, keep: AbstractSet[str]) -> None:
    """Remove the engines of every bundle whose digest `keep` does not name, below the `root` of the agent's runner.

    Raises:
        StorageError: the next call goes on.
    """
    with storage_errors(root):
        engines = root / ENGINES_NAME
        found = engines.iterdir() if engines.is_dir() else ()
        for folder in [folder for folder in found if folder.name not in keep | {TIMINGS_NAME}]:
            _remove(folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _owner_of(folder: Path) -> int:
    """User of the folder, or of the lowest one above it that is there."""
    return next(known for known in (folder, *folder.parents) if known.exists()).stat().st_uid


def _record_in(folder: Path) -> _Record | None:
    data = read_own(folder / _RECORD_NAME, at_most_bytes=_RECORD_BYTES_MAX)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=_Record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
