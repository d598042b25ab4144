"""Cuts the power of an update at chosen instants, and says what must hold after each: the tools of the power-cut tests.

A cut is SIGKILL on entering a system call that changes the disk. Between two such calls the disk does not change, so
that a kill at each of them is a kill at every instant.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_runtime.bundles.slots import SHIPPED, Boot, SlotFile, boot
from edge_runtime.contracts.manifest import verify_bundle
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.trust.rollback_protection import Floor
from tests.ota.store_exercise import PHASES, VERSIONS, arm_of, digest_of, install, make_bundles, open_runner
from tests.warm import Ended, Warm

CHANGING = (
    "write,pwrite64,fsync,fdatasync,ftruncate,fallocate,link,linkat,mkdir,mkdirat,"
    "rename,renameat,renameat2,rmdir,unlink,unlinkat"
)
HOW_TO_GET_STRACE = "strace is missing: sudo apt-get install strace"

WORKERS = 2
"""How many cuts are made side by side."""
_STORES = Warm("tests.ota.store_exercise:main", WORKERS)

Point = tuple[str, int]
"""A system call and its how-manieth occurrence."""


def have_strace() -> bool:
    """Whether strace is there and may trace."""
    strace = shutil.which("strace")
    if strace is None:
        return False
    done = subprocess.run([strace, "-qq", "-e", "trace=none", "true"], capture_output=True, check=False, timeout=10)
    return done.returncode == 0


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder in memory where there is one: a killed process leaves the same there, and nothing waits for a disk."""
    memory = Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 256 << 20
    with TemporaryDirectory(dir=memory if usable else None) as folder:
        yield Path(folder)


def exercise(work: Path, phase: str, *strace: str) -> Ended:
    """Run a phase in a process of its own, under strace."""
    return _STORES.run([str(work), phase], *strace)


def copy(source: Path, target: Path) -> Path:
    """Copy an exercise, with its hard links and without touching the bundles it was made from."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for version in VERSIONS:
        (target / version).symlink_to((source / version).resolve())
    for name in ("root", "floor"):
        if (source / name).exists():
            subprocess.run(["cp", "-a", str(source / name), str(target / name)], check=True, timeout=10)
    return target


def prepare(folder: Path) -> dict[str | None, Path]:
    """The end of each phase as a folder of its own; None is the start of all."""
    start = folder / "start"
    start.mkdir()
    make_bundles(start)
    ends: dict[str | None, Path] = {None: start}
    for phase, (before, act) in PHASES.items():
        work = copy(ends[before], folder / phase)
        with open_runner(work) as runner:
            runner.recover()
            act(runner, work)
        ends[phase] = work
    return ends


def points_of(start: Path, phase: str, scratch: Path) -> list[Point]:
    """Every system call of a phase that changes the disk."""
    log = scratch.with_suffix(".strace")
    done = exercise(copy(start, scratch), phase, "-o", str(log), "-e", f"trace={CHANGING}")
    assert done.status == 0, done.said
    names = re.findall(r"^\d+ +(\w+)\(", log.read_text(), flags=re.MULTILINE)
    seen: Counter[str] = Counter()
    points = []
    for name in names:
        seen[name] += 1
        points.append((name, seen[name]))
    return points


def kill_at(work: Path, phase: str, point: Point) -> bool:
    """Kill a phase on entering a system call; returns whether it got there."""
    name, number = point
    inject = ("-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}")
    done = exercise(work, phase, *inject)
    assert done.status in (0, -9), done.said
    return done.status != 0


def fail_at(work: Path, phase: str, point: Point, error: str) -> None:
    """Have one system call of a phase fail with `error`; what the process makes of it is its own affair."""
    name, number = point
    inject = ("-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:error={error}:when={number}")
    done = exercise(work, phase, *inject)
    assert done.status == 0 or "OtaError" in done.said.splitlines()[-1], done.said


def boots(work: Path) -> Boot:
    """What the robot would run if it were switched on now."""
    return boot(SlotFile(work / "root" / "slots"), BlobStore(work / "root").folder, work / "0")


def require_one_whole(work: Path, before: Path, *versions: str) -> Boot:
    """Exactly one bundle boots, it is one of `versions` and whole to the last byte, and the floor is not lower.

    Also whole are the bundles to go back to. `before` is the exercise as it was before the cut.
    """
    slots = SlotFile(work / "root" / "slots").read()
    found = boots(work)
    assert found.passed_over == (), found
    assert found.bundle == slots.active.bundle
    allowed = {SHIPPED if version == "0" else digest_of(work, version) for version in versions}
    assert found.bundle in allowed, found
    for slot in (slots.active, slots.committed, slots.previous, slots.staged):
        if slot is not None and slot.bundle != SHIPPED:
            assert verify_bundle(BlobStore(work / "root").folder(slot.bundle)).digest == slot.bundle
    floor, floor_before = (Floor(place / "floor").release().release_counter for place in (work, before))
    assert floor >= floor_before
    return found


def require_goes_on(work: Path, version: str = "4", release_counter: int = 4) -> None:
    """The robot comes back, ends what it was about to do, and takes the next release: `version` under its counter."""
    arm = arm_of(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        assert runner.journal.state in (
            UpdateState.IDLE,
            UpdateState.STAGED,
            UpdateState.READY,
            UpdateState.PROBATION,
        ), runner.journal
        if runner.journal.state is UpdateState.PROBATION:
            runner.prove()
        install(runner, work, version, release_counter)
        if runner.journal.state is UpdateState.IDLE and runner.slots.committed.release_counter != release_counter:
            install(runner, work, version, release_counter)
        assert runner.journal.state is UpdateState.IDLE, runner.journal
    last = digest_of(work, version)
    assert require_one_whole(work, work, version).bundle == last
    assert Floor(work / "floor").release().release_counter == release_counter
    known = SlotFile(work / "root" / "slots").read().bundles
    assert {path.name for path in (work / "root" / "bundles").iterdir()} == known
    assert not list((work / "root" / "staging").iterdir())
    assert not list((work / "root" / "trash").iterdir())
