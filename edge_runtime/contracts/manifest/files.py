"""Bundles as folders: reading, writing and verifying."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest.document import Manifest, parse_manifest
from edge_runtime.contracts.manifest.parts import Blob
from edge_runtime.contracts.manifest.soundness import require_sound

MANIFEST_NAME = "manifest.json"


def blob_of(folder: Path, path: str) -> Blob:
    """Measure the file `path` below `folder`."""
    digest = hashlib.sha256()
    size_bytes = 0
    with (folder / path).open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
            size_bytes += len(part)
    return Blob(path=path, size_bytes=size_bytes, sha256=digest.hexdigest())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json`, indented for people; the digest is over the canonical form."""
    text = msgspec.json.format(manifest.canonical_json(), indent=2)
    (folder / MANIFEST_NAME).write_bytes(text + b"\n")


def read_manifest(folder: Path) -> Manifest:
    """Read and validate `manifest.json` of a bundle, without looking at its blobs.

    Raises:
        BundleError: missing, unreadable or not a manifest of a format that is read.
    """
    path = folder / MANIFEST_NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}. Is this the folder of a bundle?") from error
    return parse_manifest(data, str(path))


def verify_bundle(folder: Path) -> Manifest:
    """Read the manifest, check that it does not contradict itself, and size and SHA-256 of every blob.

    Raises:
        BundleError: names the first blob that is missing or altered, or what contradicts itself.
    """
    manifest = read_manifest(folder)
    require_sound(manifest)
    for blob in manifest.blobs:
        try:
            actual = blob_of(folder, blob.path)
        except OSError as error:
            raise BundleError(f"{folder / blob.path}: {error.strerror}") from error
        if actual != blob:
            raise BundleError(f"{folder / blob.path}: does not match the manifest (altered or incomplete)")
    return manifest
