"""Makes a release of a bundle: its files as pieces, the pieces as blobs in packs, and the manifest that names them all.

Guarantees: what is packed is what the bundle's own manifest pins, or nothing is released; a blob that occurs twice, or
that the base release has, is stored once; memory does not grow with the bundle. Signs nothing.

The result is a folder of plain files, each under a name that its content decides: `packs/<sha256>.pack` and
`bundles/<name>/<sha256>.json`. Folders of several releases can be merged by copying.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest import MANIFEST_NAME, Manifest, blob_of, read_manifest
from edge_runtime.contracts.release import (
    FORMAT_VERSION,
    MAX_BLOBS,
    Compatibility,
    Pack,
    ReleaseFile,
    ReleaseManifest,
    StoredBlob,
    StoredDelta,
    load,
)
from edge_runtime.releases.int_delta import compressed, encode_delta
from edge_runtime.releases.packs import PackWriter, bring_pack
from edge_runtime.releases.pieces import Piece, split, tensor_parts
from edge_runtime.releases.tensor_files import FileReader, TensorRange, find_tensors
from edge_runtime.releases.unpack import PackedFile, PackReader, packed_file
from edge_runtime.storage.durable import replace_file

Progress = Callable[[int, int], None]
"""Called with the bytes that are done and those there are."""


@dataclass(frozen=True)
class Base:
    """A release that robots are expected to have, and the folder with its packs."""

    release: ReleaseManifest
    folder: Path


@dataclass(frozen=True)
class Cost:
    """What a robot would fetch, the release's own manifest included."""

    blobs: int
    deltas: int
    bytes: int


def pack_bundle(
    bundle: Path,
    folder: Path,
    *,
    base: Base | None = None,
    narrow: Callable[[Compatibility], Compatibility] = lambda compatibility: compatibility,
    progress: Progress = lambda _done, _all: None,
) -> ReleaseManifest:
    """Write the release of `bundle` and its packs below `folder`; packs of the base that it needs are brought along.

    `narrow` may add to the compatibility that the bundle's manifest states.

    Raises:
        BundleError: the bundle, or a pack of the base, is not what its manifest says.
        OtaError: the bundle can't be described within the format's limits (its name, a path, too many pieces).
    """
    manifest = read_manifest(bundle)
    packing = _Packing(bundle, folder, base)
    try:
        files = packing.files(manifest, progress)
        packs, blobs, deltas = packing.finish()
    finally:
        packing.close()
    release = ReleaseManifest(
        format_version=FORMAT_VERSION,
        bundle_name=manifest.name,
        bundle_version=manifest.version,
        bundle_digest=manifest.digest,
        compatibility=narrow(Compatibility.of(manifest)),
        files=files,
        blobs=blobs,
        packs=packs,
        deltas=deltas,
    )
    data = release.canonical_json()
    # The reader's checks are stricter than the constructor's: nothing leaves that a robot would refuse.
    release = load(data)
    path = folder / release.target_path
    replace_file(path, data)
    return release


def cost(release: ReleaseManifest, held: frozenset[str] = frozenset()) -> Cost:
    """What a robot that holds the blobs `held` would fetch."""
    shorter: dict[str, int] = {}
    for delta in release.deltas:
        if delta.base in held:
            shorter[delta.blob] = min(delta.stored_bytes, shorter.get(delta.blob, delta.stored_bytes))
    wanted = {digest: blob for digest, blob in release.blobs.items() if digest not in held}
    fetched = sum(shorter.get(digest, blob.stored_bytes) for digest, blob in wanted.items())
    return Cost(len(wanted), len(shorter.keys() & wanted.keys()), fetched + len(release.canonical_json()))


class _Packing:
    def __init__(self, bundle: Path, folder: Path, base: Base | None) -> None:
        self._bundle = bundle
        self._base = base
        self._base_reader = None if base is None else PackReader(base.release, base.folder)
        self._base_pieces: dict[tuple[str, str, int], str] = {}
        # Apart from each other: a robot without the base reads whole runs of blobs, one with it runs of deltas.
        self._new = PackWriter(folder, "blobs")
        self._hints = PackWriter(folder, "deltas")
        self._blobs: dict[str, StoredBlob] = {}
        self._from_base: set[str] = set()
        self._deltas: list[StoredDelta] = []
        self._folder = folder

    def files(self, manifest: Manifest, progress: Progress) -> tuple[ReleaseFile, ...]:
        listed = [blob_of(self._bundle, MANIFEST_NAME), *manifest.blobs]
        sizes_bytes = {blob.path: blob.size_bytes for blob in listed}
        total = sum(sizes_bytes.values())
        tensors = find_tensors(sizes_bytes, lambda path: FileReader(self._bundle / path))
        if self._base is not None and self._base_reader is not None:
            self._base_pieces = dict(_tensor_pieces(self._base.release, self._base_reader))
        files, done = [], 0
        for blob in listed:
            file = self._file(blob.path, tensors.get(blob.path, []), partial(_from, progress, done, total))
            if (file.size_bytes, file.sha256) != (blob.size_bytes, blob.sha256):
                raise BundleError(f"{self._bundle / blob.path}: does not match the manifest (altered or incomplete)")
            files.append(file)
            done += file.size_bytes
        return tuple(files)

    def finish(self) -> tuple[tuple[Pack, ...], dict[str, StoredBlob], tuple[StoredDelta, ...]]:
        """The packs, and where in them everything lies. New packs come first, then those of deltas, then the base's."""
        self._new.finish()
        self._hints.finish()
        packs = [*self._new.finished, *self._hints.finished]
        blobs = {digest: self._blobs[digest] for digest in self._blobs if digest not in self._from_base}
        numbers: dict[int, int] = {}
        for digest in sorted(self._from_base):
            blob = self._blobs[digest]
            assert self._base is not None
            if blob.pack not in numbers:
                numbers[blob.pack] = len(packs)
                packs.append(self._base.release.packs[blob.pack])
                bring_pack(packs[-1], self._base.folder, self._folder)
            blobs[digest] = msgspec.structs.replace(blob, pack=numbers[blob.pack])
        first = len(self._new.finished)
        deltas = tuple(msgspec.structs.replace(delta, pack=first + delta.pack) for delta in self._deltas)
        return tuple(packs), blobs, deltas

    def close(self) -> None:
        self._new.close()
        self._hints.close()

    def _file(self, path: str, tensors: list[TensorRange], progress: Callable[[int], None]) -> ReleaseFile:
        digest, size_bytes, pieces = hashlib.sha256(), 0, []
        try:
            with FileReader(self._bundle / path) as reader:
                for piece in split(reader, tensors):
                    digest.update(piece.data)
                    size_bytes += len(piece.data)
                    pieces.append(self._piece(path, piece))
                    progress(size_bytes)
        except (OSError, EOFError) as error:
            raise BundleError(f"{self._bundle / path}: {error}") from error
        return ReleaseFile(path=path, size_bytes=size_bytes, sha256=digest.hexdigest(), pieces=tuple(pieces))

    def _piece(self, path: str, piece: Piece) -> str:
        digest = hashlib.sha256(piece.data).hexdigest()
        if digest in self._blobs:
            return digest
        if len(self._blobs) == MAX_BLOBS:
            raise BundleError(f"the bundle has more than the {MAX_BLOBS} pieces that a release can name")
        if self._base is not None and digest in self._base.release.blobs:
            self._blobs[digest] = self._base.release.blobs[digest]
            self._from_base.add(digest)
            return digest
        codec, stored = compressed(piece.data)
        pack, offset = self._new.add(stored)
        self._blobs[digest] = StoredBlob(
            size_bytes=len(piece.data), pack=pack, offset=offset, stored_bytes=len(stored), codec=codec
        )
        self._delta(path, piece, digest, len(stored))
        return digest

    def _delta(self, path: str, piece: Piece, digest: str, plain_bytes: int) -> None:
        base = self._base_pieces.get((path, piece.tensor, piece.part)) if piece.tensor else None
        if base is None or self._base_reader is None:
            return
        held = self._base_reader.blob(base)
        if len(held) != len(piece.data):
            return
        stored = encode_delta(piece.data, held, piece.element_bytes)
        if len(stored) < plain_bytes:
            pack, offset = self._hints.add(stored)
            self._deltas.append(
                StoredDelta(
                    blob=digest,
                    base=base,
                    pack=pack,
                    offset=offset,
                    stored_bytes=len(stored),
                    element_bytes=piece.element_bytes,
                )
            )


def _from(progress: Progress, done: int, total: int, more: int) -> None:
    progress(done + more, total)


def _tensor_pieces(release: ReleaseManifest, packs: PackReader) -> Iterator[tuple[tuple[str, str, int], str]]:
    """The blobs of the release that hold one tensor or a part of one: path, tensor, number of the part; digest."""
    sizes_bytes = {file.path: file.size_bytes for file in release.files}
    tensors = find_tensors(sizes_bytes, partial(packed_file, packs))
    for file in release.files:
        at = dict(PackedFile(packs, file).offsets())
        for part in tensor_parts(tensors.get(file.path, [])):
            if part.offset in at:
                yield (file.path, part.tensor.name, part.number), at[part.offset]
