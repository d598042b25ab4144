"""Copies of the shipped bundle that differ in their golden pairs, each whole by its own manifest."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.golden import GOLDEN_NAME
from edge_runtime.contracts.manifest import PolicyContract, blob_of, read_manifest, version_1, write_manifest
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.policies.golden import plan_of

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


def agree(folder: Path, embodiment: Embodiment) -> Path:
    """Make the golden pairs of `folder` say what the bundle there answers, as if it had been trained to."""
    policy = BundlePolicy.load(folder, embodiment, threads=1)
    with np.load(folder / GOLDEN_NAME, allow_pickle=False) as archive:
        data = {name: archive[name] for name in archive.files}
    data["plan"] = np.stack([plan_of(policy, embodiment, data, case) for case in range(len(data["plan"]))])
    np.savez_compressed(folder / GOLDEN_NAME, **data)
    return seal(folder)


def altered(policy: PolicyContract, **fields: object) -> PolicyContract:
    """`policy`, of a bundle of format version 1, with other values of that version's fields."""
    return version_1.upgraded(msgspec.structs.replace(version_1.written(policy), **fields))


def seal(folder: Path, **changes: object) -> Path:
    """Make the manifest of `folder` say what lies there."""
    manifest = read_manifest(folder)
    names = [blob.path for blob in manifest.blobs if (folder / blob.path).exists()]
    blobs = tuple(blob_of(folder, name) for name in names)
    write_manifest(folder, msgspec.structs.replace(manifest, **{"blobs": blobs, **changes}))
    return folder
