"""Copies of the shipped bundle that differ in their golden pairs, each whole by its own manifest."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from contracts.golden import GOLDEN_NAME
from contracts.manifest import blob_of, read_manifest, write_manifest
from edge_runtime.config import SIM_CONFIG, load_config

SHIPPED: Path = load_config(SIM_CONFIG).bundle_dir
Arrays = dict[str, Any]


def pairs() -> Arrays:
    """The golden pairs of the shipped bundle."""
    with np.load(SHIPPED / GOLDEN_NAME, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def copy_with(folder: Path, change: Callable[[Arrays], None] = lambda _: None, **manifest: object) -> Path:
    """A copy of the shipped bundle in `folder`, its golden pairs as `change` leaves them; no arrays: no such file."""
    shutil.copytree(SHIPPED, folder)
    data = pairs()
    change(data)
    if data:
        np.savez_compressed(folder / GOLDEN_NAME, **data)
    else:
        (folder / GOLDEN_NAME).unlink()
    return seal(folder, **manifest)


def seal(folder: Path, **changes: object) -> Path:
    """Make the manifest of `folder` say what lies there."""
    manifest = read_manifest(folder)
    names = [blob.path for blob in manifest.blobs if (folder / blob.path).exists()]
    blobs = tuple(blob_of(folder, name) for name in names)
    write_manifest(folder, msgspec.structs.replace(manifest, **{"blobs": blobs, **changes}))
    return folder
