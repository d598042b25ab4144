"""What fetching a release costs: bytes sent again over a network that breaks, memory, and the speed of verifying.

``python -m benchmarks.ota_fetch``: a real server on this machine serves a release of 1 GB and breaks the connection 50
times, every other time with a reset that throws away what is on its way. A process of its own fetches it with the
robot's code into the robot's store; a small release shows that memory does not grow. Then what the fetcher does with
a blob between network and disk takes turns with plain `hashlib.sha256` over the same bytes. Needs the extra `ota`.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.ota_fetch_robot import Account
from benchmarks.record import record
from edge_runtime.contracts.release import MAX_BLOBS, Compatibility, Pack, ReleaseFile, ReleaseManifest, StoredBlob
from edge_runtime.ota.transfer.fetch import BlobFetcher, FetchSettings
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import Reply, Span
from edge_runtime.testing.web_server import Behaviour, Request, Source, WebServer

BLOB_BYTES = 8 << 20
PACK_BYTES = 64_000_000
SHIFT_BYTES = 4096
GIGABYTE_BLOBS = 128
SMALL_BLOBS = 8
CRUMB_BYTES = 1024
CUTS = 50
ROUNDS = 7
PART_BYTES = 64 * 1024


class Weights:
    """Blobs that differ from each other, as views into one array: a gigabyte of them takes a few megabytes."""

    def __init__(self, blobs: int, *, blob_bytes: int = BLOB_BYTES, shift_bytes: int = SHIFT_BYTES) -> None:
        self.blobs = blobs
        self.blob_bytes = blob_bytes
        self._shift_bytes = shift_bytes
        self._data = memoryview(np.random.default_rng(0).bytes(blob_bytes + blobs * shift_bytes))

    @property
    def size_bytes(self) -> int:
        """All blobs together."""
        return self.blobs * self.blob_bytes

    def blob(self, number: int) -> memoryview:
        """The bytes of one blob."""
        start = number * self._shift_bytes
        return self._data[start : start + self.blob_bytes]


class PackView:
    """A pack made of blobs that lie elsewhere."""

    def __init__(self, weights: Weights, first: int, last: int) -> None:
        self._weights = weights
        self._first = first
        self._last = last

    def __len__(self) -> int:
        return (self._last - self._first) * self._weights.blob_bytes

    def __getitem__(self, stretch: slice, /) -> bytes:
        start, stop, _ = stretch.indices(len(self))
        parts = []
        while start < stop:
            number, within = divmod(start, self._weights.blob_bytes)
            part = self._weights.blob(self._first + number)[within : within + stop - start]
            parts.append(part)
            start += len(part)
        return b"".join(parts)


def release_of(weights: Weights) -> tuple[ReleaseManifest, dict[str, Source]]:
    """One file of all blobs beside a manifest of no meaning, and the packs by their paths."""
    manifest = b"{}"
    digests = [hashlib.sha256(weights.blob(number)).hexdigest() for number in range(weights.blobs)]
    name, whole = hashlib.sha256(manifest).hexdigest(), hashlib.sha256()
    for number in range(weights.blobs):
        whole.update(weights.blob(number))
    blobs = {name: StoredBlob(size_bytes=2, pack=0, offset=0, stored_bytes=2, codec="none")}
    packs, objects = [Pack(sha256=name, size_bytes=len(manifest))], {f"/packs/{name}.pack": manifest}
    views: dict[str, Source] = dict(objects)
    blobs_a_pack = PACK_BYTES // weights.blob_bytes
    for first in range(0, weights.blobs, blobs_a_pack):
        view = PackView(weights, first, min(first + blobs_a_pack, weights.blobs))
        for number in range(first, min(first + blobs_a_pack, weights.blobs)):
            blobs[digests[number]] = StoredBlob(
                size_bytes=weights.blob_bytes,
                pack=len(packs),
                offset=(number - first) * weights.blob_bytes,
                stored_bytes=weights.blob_bytes,
                codec="none",
            )
        # The name of a pack is not looked at by who reads it by ranges; hashing it would take as long as the fetch.
        packs.append(Pack(sha256=hashlib.sha256(str(first).encode()).hexdigest(), size_bytes=len(view)))
        views[f"/{packs[-1].path}"] = view
    release = ReleaseManifest(
        format_version=1,
        bundle_name="benchmark",
        bundle_version="1",
        bundle_digest="0" * 64,
        compatibility=Compatibility(embodiment="arm", joint_digest="0" * 64, schema=1),
        files=(
            ReleaseFile(path="manifest.json", size_bytes=len(manifest), sha256=name, pieces=(name,)),
            ReleaseFile(
                path="weights.bin", size_bytes=weights.size_bytes, sha256=whole.hexdigest(), pieces=tuple(digests)
            ),
        ),
        blobs=blobs,
        packs=tuple(packs),
    )
    return release, views


class Breaks:
    """Breaks connections after an even share of all bytes, `cuts` times; every other time with a reset."""

    def __init__(self, total_bytes: int, cuts: int) -> None:
        self._share_bytes = total_bytes // (cuts + 1)
        self._cuts = cuts
        self._lock = threading.Lock()
        self.done = 0
        self.server: WebServer

    def __call__(self, request: Request) -> Behaviour | None:
        with self._lock:
            if self.done == self._cuts or request.first is None or request.last is None:
                return None
            due = (self.done + 1) * self._share_bytes - self.server.sent_bytes
            if due > request.last - request.first:
                return None
            self.done += 1
            is_reset = self.done % 2 == 0
        return lambda exchange: exchange.serve(cut_after=max(1, due), reset=is_reset)


def fetch_apart(weights: Weights, cuts: int) -> tuple[Account, list[int]]:
    """Fetch all of `weights` in another process. Also returns what was sent again after each of the `cuts`."""
    release, objects = release_of(weights)
    total_bytes = weights.size_bytes + 2
    breaks = Breaks(total_bytes, cuts)
    with tempfile.TemporaryDirectory() as folder, WebServer(objects, breaks) as server:
        breaks.server = server
        Path(folder, "release.json").write_bytes(release.canonical_json())
        command = [sys.executable, "-m", "benchmarks.ota_fetch_robot", server.url, folder]
        output = subprocess.run(command, check=True, capture_output=True, timeout=300.0).stdout
        again = [
            (cut.first or 0) + cut.sent_bytes - (following.first or 0)
            for cut, following in itertools.pairwise(server.requests)
            if cut.path == following.path
        ]
        if len(again) != cuts or sum(again) != server.sent_bytes - total_bytes:
            raise SystemExit(f"{len(again)} of {cuts} cuts, {server.sent_bytes} bytes sent of {total_bytes}")
        return msgspec.json.decode(output, type=Account), again


class InMemory:
    """A transport whose network takes no time: the parts of each object are there already."""

    def __init__(self, objects: dict[str, Source]) -> None:
        self._objects = {
            f"http://here{path}": [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
            for path, data in objects.items()
        }

    @contextmanager
    def open(self, span: Span, *, ceiling_bytes: int) -> Iterator[Reply]:  # noqa: ARG002 (the seam has it)
        """See `Transport.open`; every span asked for here is a whole object."""
        yield _Parts(self._objects[span.url])


class _Parts:
    entity_tag = None
    server_s = None

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)


class Judge:
    """Checks blobs as the robot's store does, and keeps none."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        self.missing = missing

    def put(self, piece: str, data: bytes | memoryview) -> None:
        """See `Staging.put`."""
        if hashlib.sha256(data).hexdigest() != piece:
            raise SystemExit(f"{piece} came altered")

    def __contains__(self, sha256: object) -> bool:
        return False

    def read(self, sha256: str) -> bytes | None:
        """Holds nothing."""
        del sha256
        return None


def verify_rates(weights: Weights) -> tuple[list[float], list[float]]:
    """Bytes a second of processor time: fetching without network and disk, and `hashlib.sha256`, by turns."""
    release, views = release_of(weights)
    transport = InMemory(views)
    blobs = [bytes(weights.blob(number)) for number in range(weights.blobs)]
    size_bytes = weights.size_bytes
    fetching, plain = [], []
    for _ in range(ROUNDS):
        started_s = time.process_time()
        for blob in blobs:
            hashlib.sha256(blob).hexdigest()
        plain.append(size_bytes / (time.process_time() - started_s))
        judge = Judge(tuple(release.blobs))
        started_s = time.process_time()
        BlobFetcher(transport, SystemClock(), FetchSettings("http://here")).fetch(release, judge, judge)
        fetching.append(size_bytes / (time.process_time() - started_s))
    return fetching, plain


def main() -> None:
    """Run, record, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    console = Console()
    calm, _ = fetch_apart(Weights(SMALL_BLOBS), 0)
    crumbs, _ = fetch_apart(Weights(MAX_BLOBS - 1, blob_bytes=CRUMB_BYTES, shift_bytes=8), 0)
    large = Weights(GIGABYTE_BLOBS)
    whole, again = fetch_apart(large, CUTS)
    fetching, plain = verify_rates(Weights(4 * SMALL_BLOBS))
    ratio = statistics.median(fetching) / statistics.median(plain)
    figures = {
        "release_mb": large.size_bytes / 1e6,
        "blob_mb": BLOB_BYTES / 1e6,
        "disconnects": whole.failures,
        "sent_again_most_blobs": max(again) / BLOB_BYTES,
        "sent_again_mean_blobs": statistics.mean(again) / BLOB_BYTES,
        "sent_again_mb": sum(again) / 1e6,
        "received_again_bytes": whole.received_bytes - whole.planned_bytes,
        "seconds": whole.seconds,
        "mb_s": whole.planned_bytes / 1e6 / whole.seconds,
        "idle_rss_mb": whole.idle_rss_mb,
        "peak_rss_mb": whole.peak_rss_mb,
        "peak_rss_small_mb": calm.peak_rss_mb,
        "peak_rss_most_blobs_mb": crumbs.peak_rss_mb,
        "verify_mb_s": statistics.median(fetching) / 1e6,
        "sha256_mb_s": statistics.median(plain) / 1e6,
        "sha256_time_over_verify_time": ratio,
        "verify_time_over_sha256_time": 1.0 / ratio,
    }
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3f}" if isinstance(value, float) else f"{value:,}")
    console.print(table)
    record("ota_fetch", figures, console)


if __name__ == "__main__":
    main()
