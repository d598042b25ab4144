"""What the page costs and how fast its stop is: ``python -m benchmarks.page_stop``.

The simulated arm at work, first without and then with a page that eight viewers poll. Of each: how late ticks of the
control loop are. Then stops, by turns over the page's server and as an operator of the Python client makes them: from
asking to control's answer.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.client.status import Watcher
from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.config.shipped import SIM_CONFIG
from edge_runtime.contracts.messages import Asker
from edge_runtime.page.port import require_free_port
from edge_runtime.page.tokens import make_token
from edge_runtime.processes import PAGE, PROCESSES

_VIEWERS = 8
_POLL_S = 0.15
_SETTLE_S = 3.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement of the loop")
    parser.add_argument("--stops", type=int, default=30, help="stops of each kind")
    options = parser.parse_args()
    config = load_config(SIM_CONFIG)
    with tempfile.TemporaryDirectory(prefix="page") as folder:
        run_dir = Path(folder)
        port, token = require_free_port(0), make_token(run_dir / "page_token.json")
        more = {PAGE: (f"--port={port}", f"--token-file={run_dir / 'page_token.json'}")}
        with ProcessTable(config, run_dir, processes=(*PROCESSES, PAGE), more=more) as table:
            table.start()
            _report(config, run_dir, table.pids()["page"], port, token, options)


def _report(config: RobotConfig, run_dir: Path, pid: int, port: int, token: str, options: argparse.Namespace) -> None:
    del config
    with Operator(run_dir, asker=Asker.PERSON) as person:
        person.wait_ready()
        person.instruct("touch the red cube")
        person.arm()
        time.sleep(_SETTLE_S)
        page = psutil.Process(pid)
        for viewers in (0, _VIEWERS, 0, _VIEWERS):
            with _looking(port, viewers):
                before = page.cpu_times()
                p50_us, p99_us, missed = _lateness(run_dir, options.seconds)
                after = page.cpu_times()
            used = (after.user + after.system - before.user - before.system) / options.seconds
            print(
                f"{viewers} viewers: ticks late p50 {p50_us:.0f} us, p99 {p99_us:.0f} us (medians of reports), "
                f"{missed} missed in {options.seconds:g} s; the page takes {100 * used:.1f} % of a core",
                flush=True,
            )
        asked: dict[str, list[float]] = {"page": [], "operator": []}
        with _looking(port, _VIEWERS):
            for _ in range(options.stops):
                for how, times in asked.items():
                    began_s = time.monotonic()
                    if how == "page":
                        _stop(port, token)
                    else:
                        with Operator(run_dir, asker=Asker.PERSON) as other:
                            other.stop()
                    times.append(1e3 * (time.monotonic() - began_s))
                    person.wait_until(lambda: person.watcher.control_state.is_latched, 10.0)
                    person.reset()
                    person.arm()
                    person.wait_until(lambda: False, 0.3)
        for how, times in asked.items():
            p50, p99 = np.percentile(times, (50, 99))
            print(f"stop by {how}: taken after p50 {p50:.1f} ms, p99 {p99:.1f} ms of {len(times)}", flush=True)


def _lateness(run_dir: Path, seconds: float) -> tuple[float, float, int]:
    p50, p99, overruns = [], [], []
    with Watcher(run_dir) as watcher:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            watcher.receive(0.05)
            if watcher.report is not None:
                loop = watcher.report.loop
                p50.append(loop.lateness_p50_ns / 1e3)
                p99.append(loop.lateness_p99_ns / 1e3)
                overruns.append(loop.overruns)
    return float(np.median(p50)), float(np.median(p99)), overruns[-1] - overruns[0]


def _stop(port: int, token: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Origin": f"http://127.0.0.1:{port}",
    }
    connection.request("POST", "/api/requests/stop", b"{}", headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert answer["done"], answer


@contextlib.contextmanager
def _looking(port: int, viewers: int) -> Iterator[None]:
    """So many browsers' worth of polls."""
    ended = threading.Event()

    def look() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        since = 0
        while not ended.wait(_POLL_S):
            connection.request("GET", f"/api/look?since={since}")
            since = json.loads(connection.getresponse().read())["curve"]["number"]
        connection.close()

    threads = [threading.Thread(target=look, daemon=True) for _ in range(viewers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
