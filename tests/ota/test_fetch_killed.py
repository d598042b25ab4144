"""A fetching process that is killed again and again: the next one asks for what is missing until all is there."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.transfer.staging import begin
from edge_runtime.testing.web_server import WebServer, always
from tests.ota.packed_releases import BLOB_BYTES, packed, weights

KILLS = 6


def test_killed_at_any_moment_at_most_the_blob_under_way_comes_again(tmp_path: Path) -> None:
    made, draw = packed(weights(1, 10)), random.Random(4)
    (tmp_path / "release.json").write_bytes(made.release.canonical_json())
    # Slow enough that little is on its way between server and process at any moment.
    with WebServer(made.objects, always(lambda exchange: exchange.serve(bytes_s=400_000.0))) as server:
        command = [sys.executable, "-m", "benchmarks.ota_fetch_robot", server.url, str(tmp_path)]
        kills = 0
        while True:
            asked = len(server.requests)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            try:
                if kills < KILLS:
                    _wait_for_request(server, asked, process)
                    process.wait(timeout=draw.uniform(0.01, 0.5))
                else:
                    process.wait(timeout=60.0)
                assert process.returncode == 0
                break
            except subprocess.TimeoutExpired:
                kills += 1
            finally:
                process.kill()
                process.wait()
        assert made.is_in(begin(BlobStore(tmp_path / "store"), made.release))
        assert kills >= 3
        assert server.sent_bytes - made.stored_bytes <= kills * (BLOB_BYTES + 65_536)


def _wait_for_request(server: WebServer, asked: int, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + 30.0
    while len(server.requests) == asked and process.poll() is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
