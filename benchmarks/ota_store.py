"""What updates cost on the robot's disk: verifying a bundle, flipping the pointer, going back.

``python -m benchmarks.ota_store``: verifying takes turns with plain `hashlib.sha256` over the same files. Pointer and
rollback are timed in a folder of the disk that the system's temporary files are on; loading the policy is not in it.
"""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from edge_runtime.bundles.slots import Slot, SlotFile, Slots
from edge_runtime.contracts.manifest import blob_of, read_manifest, write_manifest
from edge_runtime.ota.agent.assembly import store_runner
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.transfer.staging import begin
from edge_runtime.testing.small_bundles import Arm, release_of, small_bundle

WEIGHTS_BYTES = 56 << 20
PIECE_BYTES = 8 << 20
ROUNDS = 15
FLIPS = 300
ROLLBACKS = 10


def seconds(body: Callable[[], object], clock_ns: Callable[[], int] = time.perf_counter_ns) -> float:
    """How long `body` takes."""
    started_ns = clock_ns()
    body()
    return (clock_ns() - started_ns) / 1e9


def plain(folder: Path) -> None:
    """SHA-256 of every file, and nothing else."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest = hashlib.sha256()
            with path.open("rb", buffering=0) as file:
                while part := file.read(1 << 20):
                    digest.update(part)
            digest.hexdigest()


def verifying(work: Path) -> dict[str, float]:
    """Rates over a staged bundle, whose files the cache has, by the processor's time; of the scrub, from the disk."""
    folder = small_bundle(work / "made", "1")
    (folder / "weights.bin").write_bytes(np.random.default_rng(0).bytes(WEIGHTS_BYTES))
    manifest = read_manifest(folder)
    write_manifest(folder, msgspec.structs.replace(manifest, blobs=(*manifest.blobs, blob_of(folder, "weights.bin"))))
    release, pieces = release_of(folder, piece_bytes=PIECE_BYTES)
    store = BlobStore(work / "store")
    store.create()
    staging = begin(store, release)
    for piece in staging.missing:
        staging.put(piece, pieces[piece])
    staged = store.staging / release.bundle_digest / "bundle"
    times: dict[str, list[float]] = {"plain": [], "files": [], "pieces": [], "scrub": []}
    for _ in range(ROUNDS):
        times["plain"].append(seconds(lambda: plain(staged), time.process_time_ns))
        times["pieces"].append(seconds(lambda: begin(store, release), time.process_time_ns))
        times["files"].append(seconds(staging.verify, time.process_time_ns))
    staging.place()
    for _ in range(ROUNDS):
        times["scrub"].append(seconds(lambda: list(store.check(release))))
    middle = {name: statistics.median(values) for name, values in times.items()}
    return {
        "plain_sha256_gb_s": release.size_bytes / middle["plain"] / 1e9,
        "verified_files_gb_s": release.size_bytes / middle["files"] / 1e9,
        "verified_pieces_gb_s": release.size_bytes / middle["pieces"] / 1e9,
        "scrub_from_disk_gb_s": release.size_bytes / middle["scrub"] / 1e9,
        "verify_files_time_over_sha256_time": middle["files"] / middle["plain"],
        "verify_pieces_time_over_sha256_time": middle["pieces"] / middle["plain"],
    }


def flipping(work: Path) -> dict[str, float]:
    """The pointer is written, both copies, each with its fsync."""
    file = SlotFile(work / "slots")
    choices = [Slots(active=slot, committed=slot) for slot in (Slot("a" * 64, 1), Slot("b" * 64, 2))]
    file.write(choices[0])
    times_ms = sorted(1e3 * seconds(partial(file.write, choices[number % 2])) for number in range(FLIPS))
    return {"flip_p50_ms": times_ms[FLIPS // 2], "flip_p99_ms": times_ms[FLIPS * 99 // 100]}


def going_back(work: Path) -> dict[str, float]:
    """From the order until the old bundle is served, pointed to and the new one is collected, without a network."""
    releases = [release_of(small_bundle(work / version, version)) for version in "12"]
    arm = Arm({piece: data for _, pieces in releases for piece, data in pieces.items()})
    times_ms = []
    with store_runner(work / "root", work / "1", work / "floor", arm) as runner:
        runner.recover()
        runner.assign(releases[0][0], 1)
        runner.admit()
        runner.clear()
        runner.prove()
        for counter in range(2, 2 + ROLLBACKS):
            arm.online = True
            runner.assign(releases[1][0], counter)
            runner.admit()
            runner.clear()
            arm.online = False
            times_ms.append(1e3 * seconds(lambda: runner.fail("benchmark")))
    return {"roll_back_p50_ms": statistics.median(times_ms), "roll_back_max_ms": max(times_ms)}


def main() -> None:
    """Measure, print, keep."""
    console = Console()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        for part in (verifying, flipping, going_back):
            folder = Path(name) / part.__name__
            folder.mkdir()
            figures.update(part(folder))
    table = Table("", "measured")
    for key, value in figures.items():
        table.add_row(key.replace("_", " "), f"{value:.3g}")
    console.print(table)
    record("ota_store", figures, console)


if __name__ == "__main__":
    main()
