"""A release on its way to becoming a bundle: files of the right size with the pieces that are there so far.

Guarantees, with `blobs.py`: no piece is written whose hash is not its name; what is there is asked of the disk and of
no list, so that a power cut loses no more than the pieces it tore; `finish` yields a bundle that was verified whole. A
bundle that is installed is never written to: each file of it that is not as released is replaced in one rename.
Refuses to know the network. Trusts that nobody else writes below its folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path

from edge_runtime.bundles.installed import FILES_NAME
from edge_runtime.contracts.errors import OtaError, OtaRefusal, StorageError
from edge_runtime.contracts.manifest import MANIFEST_NAME
from edge_runtime.contracts.release import ReleaseFile, ReleaseManifest
from edge_runtime.ota.disk import disk_refusals
from edge_runtime.ota.transfer.blobs import (
    RELEASE_NAME,
    BlobStore,
    Place,
    empty,
    go_on,
    holds,
    pieces_of,
    release_in,
    sha256_of,
)
from edge_runtime.releases.installable import require_manifest
from edge_runtime.storage.durable import make_folder, replace_file, sync_file, sync_folder, write_at


class Staging:
    """Files of one release below a folder of their own; made with `begin`."""

    def __init__(
        self,
        store: BlobStore,
        release: ReleaseManifest,
        above: Path,
        files: tuple[ReleaseFile, ...],
        heed: Callable[[], None],
    ) -> None:
        self.release = release
        self._store = store
        self._folder = above / release.bundle_digest
        self._files = files
        self._heed = heed
        self._missing: dict[str, list[Place]] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        """Digests of the pieces that are not there yet, in the order of their first use."""
        return tuple(self._missing)

    def put(self, piece: str, data: bytes | memoryview) -> None:
        """Write a piece to each place where it belongs; one that is there already is passed over.

        Raises:
            OtaError: `BLOB_ALTERED`: `data` is not that piece. `NO_SPACE`, `STORAGE_FAULT`: it is missing as before.
        """
        if hashlib.sha256(data).hexdigest() != piece:
            raise OtaError(OtaRefusal.BLOB_ALTERED, f"these {len(data)} bytes are not {piece}")
        with disk_refusals(self._folder):
            for place in self._missing.get(piece, ()):
                write_at(place.path, data, place.offset_bytes)
        self._missing.pop(piece, None)

    def finish(self) -> Path:
        """`verify` and `place`; returns the folder of the bundle."""
        self.verify()
        return self.place()

    def verify(self) -> None:
        """Verify every file, and make it last.

        Raises:
            OtaError: `BUNDLE_ALTERED`: something is not as released; what is missing is in `missing` again.
                `STORAGE_FAULT`.
        """
        if self._missing:
            raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"{len(self._missing)} pieces are missing")
        with disk_refusals(self._folder):
            for file in self._files:
                sync_file(self._path(file))
                if sha256_of(self._path(file), self._heed) != file.sha256:
                    self._look(file)
                    raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"{file.path} does not match the release")

    def place(self) -> Path:
        """Move what `verify` has passed to where it belongs; returns the folder of the bundle. Takes no time.

        Raises:
            OtaError: `BUNDLE_ALTERED`: the release contradicts the bundle. `NO_SPACE`, `STORAGE_FAULT`: a file is
                either as it was or as released.
        """
        with disk_refusals(self._folder):
            if (self._store.bundles / self.release.bundle_digest).exists():
                self._replace()
            else:
                self._require_manifest(self._folder / FILES_NAME)
                for folder in (*_folders(self._folder / FILES_NAME), self._folder):
                    sync_folder(folder)
                self._folder.rename(self._store.bundles / self.release.bundle_digest)
                sync_folder(self._store.bundles)
                sync_folder(self._folder.parent)
        return self._store.folder(self.release.bundle_digest)

    def _replace(self) -> None:
        installed = self._store.bundles / self.release.bundle_digest
        for file in self._files:
            there = installed / FILES_NAME / file.path
            if there.exists() and there.samefile(self._path(file)):
                continue
            if there.is_dir():
                empty(there)
            make_folder(there.parent)
            self._path(file).rename(there)
            sync_folder(there.parent)
        if release_in(installed) != self.release:
            replace_file(installed / RELEASE_NAME, self.release.canonical_json())
        empty(self._folder)
        self._require_manifest(installed / FILES_NAME)

    def _path(self, file: ReleaseFile) -> Path:
        return self._folder / FILES_NAME / file.path

    def _require_manifest(self, folder: Path) -> None:
        try:
            data = (folder / MANIFEST_NAME).read_bytes()
        except OSError as error:
            raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"{MANIFEST_NAME}: {error.strerror}") from error
        require_manifest(self.release, data)

    def _look(self, file: ReleaseFile, *, is_empty: bool = False) -> None:
        """Add the pieces of `file` that its bytes on disk do not have to those that are missing."""
        path = self._path(file)
        for piece, offset_bytes, size_bytes in pieces_of(self.release, file):
            place = Place(path, offset_bytes, size_bytes)
            self._heed()
            if is_empty or not holds(place, piece):
                self._missing.setdefault(piece, []).append(place)

    def _lay_out(self) -> dict[ReleaseFile, bool]:
        """Give every file its size on the disk; returns those that were not linked, and whether nothing is in them."""
        if release_in(self._folder) != self.release:
            shutil.rmtree(self._folder, ignore_errors=True)
            make_folder(self._folder)
            replace_file(self._folder / RELEASE_NAME, self.release.canonical_json())
        whole: dict[str, list[Path]] = {}
        # Its own files may be there and whole while the list of them is gone.
        installed = {**self._store.installed(), self.release.bundle_digest: self.release}
        for bundle, release in installed.items():
            for file in release.files:
                whole.setdefault(file.sha256, []).append(self._store.folder(bundle) / file.path)
        own: dict[ReleaseFile, bool] = {}
        for file in self._files:
            path = self._path(file)
            path.parent.mkdir(parents=True, exist_ok=True)
            source = next((source for source in whole.get(file.sha256, ()) if self._holds(source, file.sha256)), None)
            if source is None:
                own[file] = _allocate(path, file.size_bytes)
            else:
                path.unlink(missing_ok=True)
                os.link(source, path)
        return own

    def _fill(self, own: dict[ReleaseFile, bool], before: dict[str, list[Place]]) -> None:
        for file, is_empty in own.items():
            self._look(file, is_empty=is_empty)
        for piece in self.missing:
            data = self._store.read(piece, before)
            self._heed()
            if data is not None:
                self.put(piece, data)

    def _holds(self, path: Path, sha256: str) -> bool:
        try:
            return sha256_of(path, self._heed) == sha256
        except OSError:
            return False


def begin(
    store: BlobStore,
    release: ReleaseManifest,
    *,
    paths: AbstractSet[str] | None = None,
    heed: Callable[[], None] = go_on,
) -> Staging:
    """Allocate every byte of `release`, take over what is on the disk already, and say what is missing.

    Goes on where an earlier call was cut off. Files that an installed bundle has as they are get linked.

    Args:
        paths: to heal what is installed: only these files of the release; none: all. In a folder apart from that of
            updates, so that the two may happen at the same time.
        heed: called between reads; what it raises ends this, and a later call goes on.

    Raises:
        OtaError: `NO_SPACE`, `STORAGE_FAULT`: nothing is left of what was begun, and what was there before is.
    """
    above = store.staging if paths is None else store.healing
    files = tuple(file for file in release.files if not paths or file.path in paths)
    staging = Staging(store, release, above, files, heed)
    folder = above / release.bundle_digest
    going_on = release_in(folder) == release
    with disk_refusals(folder):
        try:
            before = store.places(release)
            own = staging._lay_out()
        except (OSError, StorageError):
            if not going_on:
                shutil.rmtree(folder, ignore_errors=True)
            raise
    staging._fill(own, before)
    return staging


def _allocate(path: Path, size_bytes: int) -> bool:
    """Give `path` its own `size_bytes` on the disk, keeping what it has; returns whether that was nothing."""
    if path.exists() and path.stat().st_nlink > 1:
        # Shared with an installed bundle, which must not be written to.
        path.unlink()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        before_bytes = os.fstat(descriptor).st_size
        if before_bytes > size_bytes:
            os.ftruncate(descriptor, size_bytes)
        if size_bytes:
            os.posix_fallocate(descriptor, 0, size_bytes)
    finally:
        os.close(descriptor)
    return before_bytes == 0


def _folders(top: Path) -> list[Path]:
    """`top` and all folders below it, deepest first."""
    return [Path(above) for above, _, _ in os.walk(top, topdown=False)]
