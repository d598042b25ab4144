"""Bundles of made-up weights, of any size: Gaussian tensors in one safetensors file, the rest from the shipped policy.

They are whole and sealed as any other, and no policy: the graphs that their manifest names are the weights.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_runtime.config.robot_file import SIM_BUNDLE
from edge_runtime.contracts.manifest import Manifest, blob_of, read_manifest, write_manifest

WEIGHTS = "weights.safetensors"
Tensors = Callable[[int], NDArray[np.float16]]


def gaussian(seed: int, shape: Sequence[int]) -> Tensors:
    """Weights of a network: deviation 0.02, in float16; tensor `n` is the same whenever it is asked for."""
    return lambda n: (0.02 * np.random.default_rng((seed, n)).standard_normal(shape, dtype=np.float32)).astype(
        np.float16
    )


def replaced(before: Tensors, after: Tensors, numbers: Sequence[int]) -> Tensors:
    """`before`, but for the tensors `numbers`, which are those of `after`."""
    return lambda n: after(n) if n in numbers else before(n)


def tuned(before: Tensors, seed: int, relative_change: float) -> Tensors:
    """Every weight of `before` times 1 + `relative_change` times a normal number of its own."""

    def tensor(n: int) -> NDArray[np.float16]:
        old = before(n)
        noise = np.random.default_rng((seed, n)).standard_normal(old.shape, dtype=np.float32)
        return (old.astype(np.float32) * (1.0 + relative_change * noise)).astype(np.float16)

    return tensor


def write_bundle(folder: Path, version: str, count: int, tensors: Tensors) -> Manifest:
    """A new bundle at `folder` with tensors 0 to `count` - 1, made one at a time."""
    folder.mkdir(parents=True)
    shutil.copyfile(SIM_BUNDLE / "tokenizer.json", folder / "tokenizer.json")
    size = tensors(0).nbytes
    entry = {"dtype": "F16", "shape": list(tensors(0).shape)}
    header = msgspec.json.encode(
        {f"layer.{n}.weight": {**entry, "data_offsets": [n * size, (n + 1) * size]} for n in range(count)}
    )
    with (folder / WEIGHTS).open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for n in range(count):
            file.write(tensors(n).tobytes())
    shipped = read_manifest(SIM_BUNDLE)
    graphs = tuple(msgspec.structs.replace(graph, path=WEIGHTS) for graph in shipped.policy.graphs)
    manifest = msgspec.structs.replace(
        shipped,
        name="made_up_weights",
        version=version,
        policy=msgspec.structs.replace(shipped.policy, graphs=graphs),
        blobs=tuple(blob_of(folder, path) for path in (WEIGHTS, "tokenizer.json")),
    )
    write_manifest(folder, manifest)
    return manifest
