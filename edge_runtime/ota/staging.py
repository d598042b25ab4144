"""A release on its way to becoming a bundle: files of the right size with the pieces that are there so far.

Guarantees, with `blobs.py`: no piece is written whose hash is not its name; what is there is asked of the disk and of
no list, so that a power cut loses no more than the pieces it tore; `finish` yields a bundle that was verified whole.
Refuses to know the network. Trusts that nobody else writes below its folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from contracts.errors import BundleError, OtaError, OtaRefusal
from contracts.manifest import read_manifest
from contracts.release import ReleaseFile, ReleaseManifest
from edge_runtime.durable import make_folder, refusal_of, sync_folder, write_all, write_durably
from edge_runtime.installed import FILES_NAME
from edge_runtime.ota.blobs import (
    NOTHING,
    RELEASE_NAME,
    BlobStore,
    Fault,
    Place,
    has_size,
    pieces_of,
    read_place,
    release_in,
    sha256_of,
)


class Staging:
    """Files of one release below `staging/`, or the bundle itself where it is installed already; made with `begin`."""

    def __init__(self, store: BlobStore, release: ReleaseManifest) -> None:
        self.release = release
        self._store = store
        self._installed = (store.bundles / release.bundle_digest).exists()
        self._folder = (store.bundles if self._installed else store.staging) / release.bundle_digest
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
        places = self._missing.get(piece, [])
        if self._installed:
            # A bundle that may be running is never written to: its files are replaced.
            for path in sorted({place.path.relative_to(self._folder / FILES_NAME).as_posix() for place in places}):
                self._store.heal(Fault(self.release.bundle_digest, path, piece), data)
        else:
            try:
                for place in places:
                    _write_place(place, data)
            except OSError as error:
                raise refusal_of(error, f"writing {piece}") from error
        self._missing.pop(piece, None)

    def finish(self) -> Path:
        """Verify every file and the bundle's manifest, make it all last, and move it to its place; returns the folder.

        Raises:
            OtaError: `BUNDLE_ALTERED`: something is not as released; what is missing is in `missing` again, or the
                release contradicts the bundle. `NO_SPACE`, `STORAGE_FAULT`.
        """
        if self._missing:
            raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"{len(self._missing)} pieces are missing")
        try:
            for file in self.release.files:
                descriptor = os.open(self._path(file), os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                if sha256_of(self._path(file)) != file.sha256:
                    self._look(file)
                    raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"{file.path} does not match the release")
            self._check_manifest()
            for folder in (*_folders(self._folder / FILES_NAME), self._folder):
                sync_folder(folder)
            if not self._installed:
                self._folder.rename(self._store.bundles / self.release.bundle_digest)
                sync_folder(self._store.bundles)
                sync_folder(self._store.staging)
        except OSError as error:
            raise refusal_of(error, f"finishing {self.release.bundle_digest}") from error
        return self._store.folder(self.release.bundle_digest)

    def _path(self, file: ReleaseFile) -> Path:
        return self._folder / FILES_NAME / file.path

    def _check_manifest(self) -> None:
        try:
            manifest = read_manifest(self._folder / FILES_NAME)
        except BundleError as error:
            raise OtaError(OtaRefusal.BUNDLE_ALTERED, str(error)) from error
        if manifest.digest != self.release.bundle_digest:
            raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"the files are those of the bundle {manifest.digest}")
        files = {file.path: (file.size_bytes, file.sha256) for file in self.release.files}
        for blob in manifest.blobs:
            if files.get(blob.path) != (blob.size_bytes, blob.sha256):
                raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"release and manifest disagree about {blob.path}")

    def _look(self, file: ReleaseFile, *, empty: bool = False) -> None:
        """Add the pieces of `file` that its bytes on disk do not have to those that are missing."""
        path = self._path(file)
        for piece, offset_bytes, size_bytes in pieces_of(self.release, file):
            place = Place(path, offset_bytes, size_bytes)
            data = None if empty else read_place(place)
            if data is None or hashlib.sha256(data).hexdigest() != piece:
                self._missing.setdefault(piece, []).append(place)

    def _lay_out(self) -> frozenset[str]:
        """Give every file its size on the disk; returns the paths of those that have nothing in them yet."""
        if release_in(self._folder) != self.release:
            if not self._installed:
                shutil.rmtree(self._folder, ignore_errors=True)
                make_folder(self._folder)
            write_durably(self._folder / RELEASE_NAME, self.release.canonical_json())
        if self._installed:
            for file in self.release.files:
                if not has_size(self._path(file), file.size_bytes):
                    self._store.heal(Fault(self.release.bundle_digest, file.path, NOTHING), b"")
            return frozenset()
        whole = {
            file.sha256: self._store.folder(bundle) / file.path
            for bundle, release in self._store.installed().items()
            for file in release.files
        }
        empty = set()
        for file in self.release.files:
            path = self._path(file)
            path.parent.mkdir(parents=True, exist_ok=True)
            if file.sha256 in whole and _holds(whole[file.sha256], file.sha256):
                path.unlink(missing_ok=True)
                os.link(whole[file.sha256], path)
            elif _allocate(path, file.size_bytes):
                empty.add(file.path)
        return frozenset(empty)

    def _fill(self, empty: frozenset[str], before: dict[str, list[Place]]) -> None:
        for file in self.release.files:
            self._look(file, empty=file.path in empty)
        for piece in self.missing:
            data = self._store.read(piece, before)
            if data is not None:
                self.put(piece, data)


def begin(store: BlobStore, release: ReleaseManifest) -> Staging:
    """Allocate every byte of `release`, take over what is on the disk already, and say what is missing.

    Goes on where an earlier call was cut off. Files that an installed bundle has as they are get linked.

    Raises:
        OtaError: `NO_SPACE`, `STORAGE_FAULT`: nothing is left of what was begun, and what was there before is.
    """
    staging = Staging(store, release)
    folder = store.staging / release.bundle_digest
    going_on = release_in(folder) == release
    try:
        before = store.places()
        empty = staging._lay_out()
    except OSError as error:
        if not going_on:
            shutil.rmtree(folder, ignore_errors=True)
        raise refusal_of(error, f"staging {release.size_bytes} bytes") from error
    staging._fill(empty, before)
    return staging


def _write_place(place: Place, data: bytes | memoryview) -> None:
    descriptor = os.open(place.path, os.O_WRONLY)
    try:
        write_all(descriptor, data, place.offset_bytes)
    finally:
        os.close(descriptor)


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


def _holds(path: Path, sha256: str) -> bool:
    try:
        return sha256_of(path) == sha256
    except OSError:
        return False


def _folders(top: Path) -> list[Path]:
    """`top` and all folders below it, deepest first."""
    return [Path(above) for above, _, _ in os.walk(top, topdown=False)]
