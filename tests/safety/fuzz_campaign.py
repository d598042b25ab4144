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


def finished(record: Path) -> dict[int, dict[str, Any]]:
    """Parts already run; a last line that was not finished counts as not run."""
    lines = record.read_text(encoding="utf-8").splitlines(keepends=True) if record.exists() else []
    parts = [json.loads(line) for line in lines if line.endswith("}\n")]
    return {part["seed"]: part for part in parts}


def main() -> int:
    """The exit code: 1 on any violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=1_000_000_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path(".run/fuzz"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    record = options.folder / f"{digest()}.jsonl"
    done = finished(record)
    seeds = [seed for seed in range(1_000, 1_000 + -(-options.ticks // PART_TICKS)) if seed not in done]
    print(f"{len(seeds)} parts of {PART_TICKS:,} ticks to run, {len(done)} kept in {record}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as workers:
        program = fuzzer(Path(folder))
        running = {workers.submit(run_fuzzer, program, seed, PART_TICKS, GEOMETRY_PERCENT): seed for seed in seeds}
        for count, future in enumerate(as_completed(running), 1):
            seed, result = running[future], future.result()
            with record.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"seed": seed, **result}) + "\n")
            if result["violations"]:
                workers.shutdown(wait=False, cancel_futures=True)
                print(f"\nviolations: fuzz {seed} {PART_TICKS} {GEOMETRY_PERCENT}: {json.dumps(result['found'])}")
                return 1
            left_s = (time.monotonic() - began) / count * (len(seeds) - count)
            print(f"\r{count}/{len(seeds)} parts, no violation, {left_s / 60:.0f} min left ", end="", flush=True)
    ticks = sum(part["ticks"] for part in finished(record).values())
    print(f"\n{ticks:,} ticks without a violation", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
