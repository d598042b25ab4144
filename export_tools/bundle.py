"""Puts a bundle together: blobs, their digests, provenance and reports, as one folder that is swapped in whole.

Knows no model family; what the policy wants is in the `PolicyContract` it is given.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    Manifest,
    ParityReport,
    PolicyContract,
    Provenance,
    blob_of,
    verify_bundle,
    write_manifest,
)
from edge_runtime.storage.durable import make_folder
from edge_runtime.storage.faults import storage_errors
from export_tools.graph_notes import strip_notes


def tool_versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of the installed `packages`; a package that is not installed is left out."""
    found = {package: _version(package) for package in packages}
    return {"python": platform.python_version(), **{name: v for name, v in found.items() if v is not None}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def seal(
    folder: Path,
    *,
    name: str,
    release: str,
    precision: str,
    parameters: int,
    policy: PolicyContract,
    provenance: Provenance,
    parity: ParityReport,
    limit_bytes: int | None,
) -> Manifest:
    """Write `manifest.json` over every file in `folder` and check the result by reading it back.

    The graphs among them lose what they say to people, see `graph_notes`.

    Raises `BundleError` if the files together exceed `limit_bytes`; None: they may have any size.
    """
    for graph in folder.glob("*.onnx"):
        strip_notes(graph)
    blobs = tuple(blob_of(folder, path.name) for path in sorted(folder.iterdir()) if path.name != "manifest.json")
    size = sum(blob.size_bytes for blob in blobs)
    if limit_bytes is not None and size > limit_bytes:
        raise BundleError(f"the bundle has {size / 1e6:.1f} MB, the limit is {limit_bytes / 1e6:.1f} MB")
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name=name,
        version=release,
        precision=precision,
        parameters=parameters,
        policy=policy,
        blobs=blobs,
        provenance=provenance,
        parity=parity,
    )
    write_manifest(folder, manifest)
    return verify_bundle(folder)


def require_replaceable(place: Path) -> None:
    """Check that nothing lies at `place`, or a bundle, which an export replaces.

    Raises:
        BundleError: something else lies there.
    """
    is_empty = place.is_dir() and not any(place.iterdir())
    if place.exists() and not is_empty and not (place / MANIFEST_NAME).is_file():
        raise BundleError(
            f"{place} is there and is no bundle (no {MANIFEST_NAME} in it): name another folder with --out"
        )


def replace_folder(fresh: Path, place: Path) -> None:
    """Move `fresh` to `place`; a bundle that lay there goes only after the new one is complete beside it.

    Raises:
        BundleError: what lies there is no bundle, and stays.
        StorageError: what lay there stays, unless it could not be removed whole.
    """
    require_replaceable(place)
    make_folder(place.parent)
    beside = place.with_name(place.name + ".new")
    with storage_errors(beside):
        if beside.exists():
            shutil.rmtree(beside)
        shutil.copytree(fresh, beside)
        if place.exists():
            shutil.rmtree(place)
        beside.rename(place)
