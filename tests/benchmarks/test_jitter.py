"""What is counted of the loop's thread is counted of that thread, and of a thread that does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.jitter import quantiles, shares
from benchmarks.jitter_rounds import build_thread_watch

# Two threads allocate and sleep; one of them is watched. Its first sleep opens the first tick.
PROGRAM = """
import ctypes, json, threading
from benchmarks.jitter_rounds import thread_watch
watch = thread_watch()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
nap = (ctypes.c_long * 2)(0, 1_000_000)
go = threading.Event()

def work(sleeps, allocates):
    go.wait()
    for _ in range(sleeps):
        if allocates:
            libc.free(libc.malloc(100))
        libc.clock_nanosleep(1, 0, ctypes.byref(nap), None)

watched = threading.Thread(target=work, args=(50, True))
other = threading.Thread(target=work, args=(30, True))
watched.start(); other.start()
watch.thread_watch_start(watched.native_id)
go.set()
watched.join(); other.join()
print(json.dumps([watch.thread_watch_allocations(), watch.thread_watch_ticks()]))
"""


def test_allocations_and_ticks_of_the_watched_thread_are_counted(tmp_path: Path) -> None:
    library = build_thread_watch(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "LD_PRELOAD": str(library)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    allocations, ticks = json.loads(done.stdout)
    # A call and its free for each sleep, and whatever the interpreter needs beside them.
    assert allocations >= 100
    assert ticks == 49


def test_quantiles_are_medians_over_rounds_and_the_maximum_is_of_all() -> None:
    rounds = [np.full(100, value) for value in (10.0, 1000.0, 20.0)]
    found = quantiles(rounds)
    assert (found["p50"], found["p99"], found["p99.9"], found["max"]) == (20.0, 20.0, 20.0, 1000.0)
    assert found["by_round"]["p99"] == [10.0, 1000.0, 20.0]


def test_lateness_is_told_as_a_part_of_what_is_allowed() -> None:
    condition = {"wake_lateness_us": {"p99": 30.0, "p99.9": 90.0}, "allowed_us": {"p99": 60.0, "p99.9": 45.0}}
    unknown = {**condition, "allowed_us": None}
    assert shares({"idle": condition, "load": unknown}) == {
        "idle_p99_of_allowed": 0.5,
        "idle_p999_of_allowed": 2.0,
        "load_p99_of_allowed": None,
        "load_p999_of_allowed": None,
    }
