"""`make judge`: ten million ticks of setpoints that want links to meet, on four robots, in parts that a seed decides.

The first violation ends it, and says which part to run again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.safety.judge.benches import BENCHES
from tests.safety.judge.judge import Findings

PART_TICKS = 100_000


def part(name: str, seed: int, ticks: int) -> tuple[str, Findings]:
    """One robot, driven for a while."""
    with tempfile.TemporaryDirectory() as folder:
        return name, BENCHES[name](Path(folder)).drive(ticks, seed)


def main() -> int:
    """The exit code: 1 on any violation."""
    parser = argparse.ArgumentParser(prog="make judge", description=__doc__)
    parser.add_argument("--ticks", type=int, default=10_000_000, help="in all (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--robot", choices=sorted(BENCHES), action="append", help="only this one")
    parser.add_argument("--seed", type=int, help="only the part with this seed")
    options = parser.parse_args()
    names = options.robot or list(BENCHES)
    parts = -(-options.ticks // (PART_TICKS * len(names)))
    seeds = range(1, 1 + parts) if options.seed is None else (options.seed,)
    all_found = {name: Findings() for name in names}
    began_s = time.monotonic()
    with ProcessPoolExecutor(options.jobs) as workers:
        running = {workers.submit(part, name, seed, PART_TICKS): seed for seed in seeds for name in names}
        for count, future in enumerate(as_completed(running), 1):
            name, found = future.result()
            all_found[name].add(found)
            if found.violations:
                workers.shutdown(wait=False, cancel_futures=True)
                print(
                    f"\n{found.violations} violations: --robot {name} --seed {running[future]}",
                    *found.examples,
                    sep="\n",
                )
                return 1
            left_s = (time.monotonic() - began_s) / count * (len(running) - count)
            print(f"\r{count}/{len(running)} parts, no violation, {left_s / 60:.0f} min left ", end="", flush=True)
    print()
    for name, found in all_found.items():
        print(f"{name}: {found.ticks:,} ticks, 0 violations; {len(found.reached)} pairs came within 4 mm of what is")
        print(f"    allowed, the nearest within {found.closest_m * 1e6:.3f} micrometres")
    return 0


if __name__ == "__main__":
    sys.exit(main())
