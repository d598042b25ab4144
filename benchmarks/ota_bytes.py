"""What an update moves and what it takes: bytes by kind of change, and time and memory of packing and decoding.

``python -m benchmarks.ota_bytes``: made-up float16 weights (105 MB, 200 tensors of 512 KiB), and the shipped policy
with its own tensors changed. Moved bytes include the release's manifest. Every packing and decoding runs in a process
of its own, whose peak memory is what the kernel says of it. Every blob is decoded as a robot does and held against
its SHA-256; a delta that led elsewhere would fail the run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from benchmarks.tensor_bundle import gaussian, replaced, tuned, write_bundle
from edge_runtime.config.robot_file import SIM_BUNDLE
from edge_runtime.contracts.manifest import blob_of, read_manifest, write_manifest
from edge_runtime.contracts.release import ReleaseManifest, load
from edge_runtime.releases.delta import decode, decode_delta
from edge_runtime.releases.pack import Base, cost, pack_bundle
from edge_runtime.releases.tensor_files import FileReader, TensorRange, find_tensors

COUNT, SHAPE = 200, (512, 512)
_TIMEOUT_S = 300.0
Change = Callable[[NDArray[Any], int], NDArray[Any]]


def main() -> None:
    """Measure, print and record; with ``--child`` one packing or decoding of the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    child = parser.parse_args().child
    if child is not None:
        places = [Path(argument) for argument in child[1:]]
        print(json.dumps(_pack_child(*places) if child[0] == "pack" else _decode_child(*places)))
        return
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        made_up = _made_up(Path(folder) / "made up")
        shipped = _shipped(Path(folder) / "shipped")
    for title, kinds in (("made-up float16 weights", made_up), ("pocket_vla as shipped", shipped)):
        table = Table("change", "blobs", "as deltas", "moved, MB", "of the bundle", "manifest, MB", title=title)
        for kind, row in kinds.items():
            table.add_row(
                kind.replace("_", " "),
                str(row["blobs"]),
                str(row["deltas"]),
                f"{row['moved_bytes'] / 1e6:.3f}",
                f"{row['moved_of_bundle']:.2%}",
                f"{row['manifest_bytes'] / 1e6:.3f}",
            )
        console.print(table)
    figures = {
        "one_percent_moved_of_bundle": made_up["one_percent"]["moved_of_bundle"],
        "shipped_one_percent_moved_of_bundle": shipped["one_percent"]["moved_of_bundle"],
        "fine_tune_moved_of_bundle": made_up["fine_tune_1e-3"]["moved_of_bundle"],
        **{
            f"{part}_peak_mib": max(row[f"{part}_peak_mib"] for row in (*made_up.values(), *shipped.values()))
            for part in ("pack", "decode")
        },
        "pack_mb_s": made_up["nothing_before"]["pack_mb_s"],
        "pack_with_deltas_mb_s": made_up["fine_tune_1e-3"]["pack_mb_s"],
        "decode_mb_s": made_up["nothing_before"]["decode_mb_s"],
        "decode_deltas_mb_s": made_up["fine_tune_1e-3"]["decode_mb_s"],
        "made_up": made_up,
        "pocket_vla": shipped,
    }
    for key in ("pack_mb_s", "pack_with_deltas_mb_s", "decode_mb_s", "decode_deltas_mb_s"):
        console.print(f"{key}: {figures[key]:.0f}")
    record("ota_bytes", figures, console)


def _made_up(folder: Path) -> dict[str, dict[str, Any]]:
    old = gaussian(1, SHAPE)
    inserted = gaussian(3, SHAPE)
    kinds = {
        "nothing_before": (COUNT, old),
        "one_percent": (COUNT, replaced(old, gaussian(2, SHAPE), [40, 150])),
        "fine_tune_1e-3": (COUNT, tuned(old, 4, 1e-3)),
        "fine_tune_1e-4": (COUNT, tuned(old, 5, 1e-4)),
        "tensor_inserted": (COUNT + 1, lambda n: inserted(0) if n == 100 else old(n - (n > 100))),
    }
    rows: dict[str, dict[str, Any]] = {}
    for number, (kind, (count, tensors)) in enumerate(kinds.items()):
        write_bundle(folder / "bundle", f"{number}", count, tensors)
        rows[kind] = _measured(folder, first=number == 0)
        shutil.rmtree(folder / "bundle")
    return rows


def _shipped(folder: Path) -> dict[str, dict[str, Any]]:
    def tune(values: NDArray[Any], seed: int) -> NDArray[Any]:
        noise = np.random.default_rng(seed).standard_normal(values.size)
        changed = values * (1.0 + 1e-3 * noise)
        return changed.astype(values.dtype) if values.dtype.kind == "f" else np.rint(changed).astype(values.dtype)

    def shuffle(values: NDArray[Any], seed: int) -> NDArray[Any]:
        return np.random.default_rng(seed).permutation(values)

    sizes_bytes = {path.name: path.stat().st_size for path in SIM_BUNDLE.iterdir()}
    tensors = find_tensors(sizes_bytes, lambda path: FileReader(SIM_BUNDLE / path))
    every = [(path, tensor) for path in tensors for tensor in tensors[path]]
    left = sum(sizes_bytes.values()) // 100
    some = []
    for path, tensor in sorted(every, key=lambda entry: -entry[1].size_bytes):
        if tensor.size_bytes <= left:
            some.append((path, tensor))
            left -= tensor.size_bytes
    rows = {}
    changes: list[tuple[str, list[tuple[str, TensorRange]], Change]] = [
        ("nothing_before", [], shuffle),
        ("one_percent", some, shuffle),
        ("fine_tune_1e-3", every, tune),
    ]
    for number, (kind, changed, change) in enumerate(changes):
        shutil.copytree(SIM_BUNDLE, folder / "bundle")
        _change(folder / "bundle", changed, change)
        rows[kind] = _measured(folder, first=number == 0)
        shutil.rmtree(folder / "bundle")
    return rows


def _change(bundle: Path, tensors: Sequence[tuple[str, TensorRange]], change: Change) -> None:
    for seed, (path, tensor) in enumerate(tensors):
        kind = {1: np.int8, 2: np.float16, 4: np.float32}[tensor.element_bytes]
        with (bundle / path).open("r+b") as file:
            old = np.frombuffer(os.pread(file.fileno(), tensor.size_bytes, tensor.offset), dtype=kind)
            os.pwrite(file.fileno(), change(old, seed).tobytes(), tensor.offset)
    manifest = read_manifest(bundle)
    blobs = tuple(blob_of(bundle, blob.path) for blob in manifest.blobs)
    write_manifest(bundle, msgspec.structs.replace(manifest, blobs=blobs))


def _measured(folder: Path, *, first: bool) -> dict[str, Any]:
    """Pack `folder`/bundle, over what was packed there first unless this is it, and decode all of it."""
    store, base = folder / ("base" if first else "store"), folder / "base"
    known = [] if first else [base / "release.json", base]
    packing = _run("pack", folder / "bundle", store, *known)
    release = load((store / "release.json").read_bytes())
    held = frozenset() if first else frozenset(load(known[0].read_bytes()).blobs)
    decoding = _run("decode", store, *known)
    fetched = cost(release, held)
    if not first:
        shutil.rmtree(store)
    return {
        "bundle_bytes": release.size_bytes,
        "blobs": fetched.blobs,
        "deltas": fetched.deltas,
        "manifest_bytes": len(release.canonical_json()),
        "moved_bytes": fetched.bytes,
        "moved_of_bundle": fetched.bytes / release.size_bytes,
        "pack_mb_s": release.size_bytes / 1e6 / packing["seconds"],
        "pack_peak_mib": packing["peak_mib"],
        "decode_mb_s": decoding["bytes"] / 1e6 / decoding["seconds"] if decoding["bytes"] else None,
        "decode_peak_mib": decoding["peak_mib"],
    }


def _run(*arguments: str | Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.ota_bytes", "--child", *map(str, arguments)]
    run = subprocess.run(command, stdout=subprocess.PIPE, timeout=_TIMEOUT_S, check=True)
    figures: dict[str, Any] = json.loads(run.stdout)
    return figures


def _pack_child(
    bundle: Path, store: Path, base: Path | None = None, base_store: Path | None = None
) -> dict[str, float]:
    known = None if base is None or base_store is None else Base(load(base.read_bytes()), base_store)
    started = time.monotonic()
    release = pack_bundle(bundle, store, base=known)
    seconds = time.monotonic() - started
    (store / "release.json").write_bytes(release.canonical_json())
    return {"seconds": seconds, "peak_mib": _peak_mib()}


def _decode_child(store: Path, base: Path | None = None, base_store: Path | None = None) -> dict[str, float]:
    """Decode what a robot with the base fetches; the blobs it has are written out first, and not timed."""
    release = load((store / "release.json").read_bytes())
    known = None if base is None else load(base.read_bytes())
    deltas = {delta.blob: delta for delta in release.deltas}
    size_bytes, seconds = 0, 0.0
    with tempfile.TemporaryFile() as held:
        for digest, blob in release.blobs.items():
            if known is not None and digest in known.blobs:
                continue
            delta = deltas.get(digest)
            if delta is not None and known is not None and base_store is not None:
                there = known.blobs[delta.base]
                held.seek(0)
                held.truncate()
                for part in decode(_stored(known, base_store, there), there.codec, there.size_bytes):
                    held.write(part)
                held.seek(0)
            started = time.monotonic()
            stored = _stored(release, store, blob if delta is None else delta)
            if delta is None:
                parts = decode(stored, blob.codec, blob.size_bytes)
            else:
                parts = decode_delta(stored, held, delta.element_bytes, blob.size_bytes)
            result = hashlib.sha256()
            for part in parts:
                result.update(part)
            if result.hexdigest() != digest:
                sys.exit(f"{digest}: decoded to other bytes")
            seconds += time.monotonic() - started
            size_bytes += blob.size_bytes
    return {"seconds": seconds, "bytes": size_bytes, "peak_mib": _peak_mib()}


def _stored(release: ReleaseManifest, store: Path, entry: Any) -> bytes:
    with (store / release.packs[entry.pack].path).open("rb") as pack:
        return os.pread(pack.fileno(), entry.stored_bytes, entry.offset)


def _peak_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
