"""`make fuzz`: a billion hostile ticks on all cores, in parts that a seed decides.

Finished parts are kept in a file that is named for the digest of kernel and fuzzer, so that an interrupted campaign
goes on where it was, and a changed kernel starts anew. The first violation ends it, and says which part to run again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tests.safety.programs import HERE, KERNEL, fuzzer, run_fuzzer

PART_TICKS = 2_000_000
GEOMETRY_PERCENT = 15


def digest() -> str:
    """Of every line of C that takes part."""
    files = sorted(KERNEL.glob("*.[ch]")) + sorted(HERE.glob("fuzz*.[ch]"))
    return hashlib.sha256(b"\0".join(path.name.encode() + b"\0" + path.read_bytes() for path in files)).hexdigest()[:16]


def keep(record: Path, parts: list[dict[str, Any]]) -> None:
    """The file is always whole: an interruption costs the parts in work, no others."""
    record.with_suffix(".new").write_text(json.dumps(parts), encoding="utf-8")
    record.with_suffix(".new").replace(record)


def main() -> int:
    """The exit code: 1 on any violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=1_000_000_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path(".run/fuzz"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    record = options.folder / f"{digest()}.json"
    parts: list[dict[str, Any]] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else []
    done = {part["seed"] for part in parts}
    seeds = [seed for seed in range(1_000, 1_000 + -(-options.ticks // PART_TICKS)) if seed not in done]
    print(f"{len(seeds)} parts of {PART_TICKS:,} ticks to run, {len(done)} kept in {record}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as workers:
        program = fuzzer(Path(folder))
        running = {workers.submit(run_fuzzer, program, seed, PART_TICKS, GEOMETRY_PERCENT): seed for seed in seeds}
        for count, future in enumerate(as_completed(running), 1):
            seed, result = running[future], future.result()
            parts.append({"seed": seed, **result})
            if result["violations"]:
                workers.shutdown(wait=False, cancel_futures=True)
                print(f"\nviolations: fuzz {seed} {PART_TICKS} {GEOMETRY_PERCENT}: {json.dumps(result['found'])}")
                return 1
            keep(record, parts)
            left_s = (time.monotonic() - began) / count * (len(seeds) - count)
            print(f"\r{count}/{len(seeds)} parts, no violation, {left_s / 60:.0f} min left ", end="", flush=True)
    print(f"\n{sum(part['ticks'] for part in parts):,} ticks without a violation", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
