"""The robot's side of `benchmarks.ota_fetch`, in a process of its own so that its memory is its own.

``python -m benchmarks.ota_fetch_robot URL FOLDER``: fetches FOLDER/release.json into FOLDER/store, says how as JSON.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec

from edge_runtime.contracts.release import load
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.transfer.fetch import BlobFetcher, FetchSettings, HeldInStore
from edge_runtime.ota.transfer.retry import Patience
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.staging import begin
from edge_runtime.ota.transfer.transport import HttpTransport, NetworkSettings

# Not the waits between tries are measured.
PATIENCE = Patience(first_wait_s=0.001, longest_wait_s=0.001)


class Account(msgspec.Struct, frozen=True):
    """What the process says of itself; memory is the most that was ever resident."""

    seconds: float
    planned_bytes: int
    received_bytes: int
    failures: int
    idle_rss_mb: float
    peak_rss_mb: float


def fetch(url: str, folder: Path) -> Account:
    """Fetch everything, once."""
    idle_rss_mb = _peak_rss_mb()
    release = load((folder / "release.json").read_bytes())
    store, clock = BlobStore(folder / "store"), SystemClock()
    store.create()
    staging = begin(store, release)
    started_s = time.perf_counter()
    with HttpTransport(NetworkSettings(), clock) as transport:
        fetcher = BlobFetcher(transport, clock, FetchSettings(url, patience=PATIENCE))
        fetched = fetcher.fetch(release, staging, HeldInStore(store))
    seconds = time.perf_counter() - started_s
    if staging.missing:
        raise SystemExit(f"{len(staging.missing)} blobs are missing")
    return Account(
        seconds=seconds,
        planned_bytes=fetched.planned_bytes,
        received_bytes=fetched.received_bytes,
        failures=fetched.failures,
        idle_rss_mb=idle_rss_mb,
        peak_rss_mb=_peak_rss_mb(),
    )


def _peak_rss_mb() -> float:
    # What getrusage tells begins with the memory of whoever started this process.
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    print(msgspec.json.encode(fetch(sys.argv[1], Path(sys.argv[2]))).decode())
