"""The long run of power cuts: ``make powercut``, or ``python -m tests.ota.power_cut_campaign [--rounds N] [--seed S]``.

Kills at every system call of every phase, and there again while recovering; kills at random instants; `EIO` and
`ENOSPC` at every system call; writes that were not fsynced lost, torn and reordered at every point. After each, exactly
one whole bundle boots, the floor is not lower, and the next release installs. Ends at the first that does not hold.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

from rich.console import Console

from benchmarks.record import record
from tests.ota import power_cut
from tests.ota.lost_writes import Disk, Log, cuts
from tests.ota.power_cut import Point
from tests.ota.store_exercise import PHASES, VERSIONS
from tests.ota.test_power_cut import ALLOWED
from tests.warm import ROOT

LONGEST_S = 0.12
"""A phase takes about half of that; a kill that comes later finds nothing to kill and is counted as none."""

Job = tuple[str, Callable[[Path], int]]
"""The phase that is cut, and how: returns how many cuts were made."""


def every_call(ends: dict[str | None, Path], scratch: Path) -> Iterator[Job]:
    """A kill at each system call, one more while recovering from it."""
    draw = random.Random(0)
    for phase in ALLOWED:
        before = ends[PHASES[phase][0]]
        for point in power_cut.points_of(before, phase, scratch / "clean"):
            second = (draw.choice(["pwrite64", "fsync", "unlinkat", "rename"]), draw.randint(1, 6))
            yield phase, partial(_kill_twice, phase, before, point, second)


def _kill_twice(phase: str, before: Path, point: Point, second: Point, work: Path) -> int:
    power_cut.copy(before, work)
    assert power_cut.kill_at(work, phase, point)
    power_cut.require_one_whole(work, before, *ALLOWED[phase])
    return 1 + power_cut.kill_at(work, "recover", second)


def random_instants(ends: dict[str | None, Path], rounds: int, seed: int) -> Iterator[Job]:
    """A kill at a random instant, and up to three more while recovering."""
    draw = random.Random(seed)
    for _ in range(rounds):
        phase = draw.choice(sorted(ALLOWED))
        waits_s = [draw.uniform(0.02, LONGEST_S) for _ in range(draw.randint(1, 4))]
        yield phase, partial(_kill_after, phase, ends[PHASES[phase][0]], waits_s)


def _kill_after(phase: str, before: Path, waits_s: list[float], work: Path) -> int:
    power_cut.copy(before, work)
    killed = 0
    for number, wait_s in enumerate(waits_s):
        command = [sys.executable, "-B", "-m", "tests.ota.store_exercise", str(work), "recover" if number else phase]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        time.sleep(wait_s)
        process.kill()
        killed += process.wait(10) == -9
        power_cut.require_one_whole(work, before, *ALLOWED[phase])
    return killed


def every_refusal(ends: dict[str | None, Path], scratch: Path) -> Iterator[Job]:
    """Each system call fails once with each error."""
    for phase in ALLOWED:
        before = ends[PHASES[phase][0]]
        for point in power_cut.points_of(before, phase, scratch / "clean"):
            for error in ("EIO", "ENOSPC"):
                yield phase, partial(_refuse, phase, before, point, error)


def _refuse(phase: str, before: Path, point: Point, error: str, work: Path) -> int:
    power_cut.copy(before, work)
    power_cut.fail_at(work, phase, point, error)
    return 1


def lost_writes(ends: dict[str | None, Path], scratch: Path, seed: int) -> Iterator[Job]:
    """Each change that was not fsynced lost alone, kept alone, and random parts of them, torn."""
    for phase in ALLOWED:
        before = ends[PHASES[phase][0]]
        log = Log(before, phase, scratch / f"log-{phase}")
        for disk in cuts(log, seed, 8, every_single=True):
            yield phase, partial(_lose, before, disk)


def _lose(before: Path, disk: Disk, work: Path) -> int:
    work.mkdir()
    for version in VERSIONS:
        (work / version).symlink_to((before / version).resolve())
    disk.write_to(work)
    return 1


def run(jobs: Iterator[Job], ends: dict[str | None, Path], scratch: Path) -> int:
    """Do all jobs, two at a time, and require what must hold after each; returns how many cuts there were."""

    def one(numbered: tuple[int, Job]) -> int:
        number, (phase, cut) = numbered
        work = scratch / f"work-{number}"
        count = cut(work)
        power_cut.require_one_whole(work, ends[PHASES[phase][0]], *ALLOWED[phase])
        power_cut.require_goes_on(work)
        shutil.rmtree(work)
        return count

    total = 0
    numbered = enumerate(jobs)
    with ThreadPoolExecutor(power_cut.WORKERS) as pool:
        # In portions: a disk of the model is a copy, and all of them at once would be many.
        while portion := list(islice(numbered, 64)):
            total += sum(pool.map(one, portion))
    return total


def main() -> int:
    """Run all, print and keep the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="of kills at random instants, one to four each")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    console = Console()
    if not power_cut.have_strace():
        console.print(power_cut.HOW_TO_GET_STRACE)
        return 1
    console.print(f"seed {options.seed}")
    figures: dict[str, int] = {}
    with power_cut.scratch_folder() as folder:
        (folder / "ends").mkdir()
        ends = power_cut.prepare(folder / "ends")

        def count(name: str, jobs: Iterator[Job]) -> None:
            started_s = time.monotonic()
            figures[name] = run(jobs, ends, folder)
            console.print(f"{name}: {figures[name]} in {time.monotonic() - started_s:.0f} s, all well after each")

        count("kills_at_every_system_call", every_call(ends, folder))
        count("kills_at_random_instants", random_instants(ends, options.rounds, options.seed))
        count("system_calls_that_failed", every_refusal(ends, folder))
        count("disks_with_lost_writes", lost_writes(ends, folder, options.seed))
    record("ota_power_cuts", {**figures, "not_well_after": 0}, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
