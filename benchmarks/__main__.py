"""Runs all benchmarks, one after the other: ``python -m benchmarks [NAME …]``."""

from __future__ import annotations

import argparse
import subprocess
import sys

BENCHMARKS = (
    "kernel",
    "limiters",
    "admission",
    "jitter",
    "frames",
    "inference",
    "engine_load",
    "engine_memory",
    "confidence",
    "faults",
    "stop",
    "jog",
    "swap",
    "ota_bytes",
    "ota_fetch",
    "ota_store",
    "ota_fleet",
    "ota",
    "probation",
    "runtime",
)


def main() -> int:
    """Each in a process of its own; returns 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all of them by default")
    names = parser.parse_args().names or BENCHMARKS
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    return max(subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode for name in names)


if __name__ == "__main__":
    sys.exit(main())
