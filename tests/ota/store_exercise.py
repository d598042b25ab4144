"""What a process does that may be killed at any instant: ``python -m tests.ota.store_exercise WORK PHASE``.

`WORK` has the bundles that there are, the store, the floor; phases start where others have ended (`PHASES`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.release import ReleaseManifest
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.agent.assembly import store_runner
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.testing.small_bundles import Arm, release_of, small_bundle

VERSIONS = ("0", "1", "2", "3", "4")
"""Version 0 is shipped; the others are released under their number as counter."""


def make_bundles(work: Path) -> None:
    """Write all bundles of an exercise to `work`."""
    for version in VERSIONS:
        small_bundle(work / version, version)


def digest_of(work: Path, version: str) -> str:
    """Digest of one of them."""
    return read_manifest(work / version).digest


@lru_cache
def _cut_up(folder: Path) -> tuple[ReleaseManifest, dict[str, bytes]]:
    return release_of(folder)


def release(work: Path, version: str) -> ReleaseManifest:
    """Release of one of them."""
    return _cut_up((work / version).resolve())[0]


def arm_of(work: Path) -> Arm:
    """A robot that can get all pieces."""
    pieces: dict[str, bytes] = {}
    for version in VERSIONS[1:]:
        pieces.update(_cut_up((work / version).resolve())[1])
    return Arm(pieces)


def open_runner(work: Path, arm: Arm | None = None) -> Runner:
    """The runner of the store in `work`, not yet entered."""
    return store_runner(work / "root", work / "0", work / "floor", arm or arm_of(work))


def install(runner: Runner, work: Path, version: str, release_counter: int = 0) -> None:
    """Go through with an update from wherever it is; a version has its number as counter, unless told otherwise."""
    if runner.journal.state is UpdateState.IDLE:
        runner.assign(release(work, version), release_counter or int(version))
    else:
        runner.resume()
    if runner.journal.state is UpdateState.STAGED:
        runner.admit()
    if runner.journal.state is UpdateState.READY:
        runner.clear()
    if runner.journal.state is UpdateState.PROBATION:
        runner.prove()


def _ready(runner: Runner, work: Path) -> None:
    install(runner, work, "1")
    install(runner, work, "2")


PHASES: dict[str, tuple[str | None, Callable[[Runner, Path], None]]] = {
    "first": (None, lambda runner, work: install(runner, work, "1")),
    "ready": (None, _ready),
    "stage": ("ready", lambda runner, work: runner.assign(release(work, "3"), 3)),
    "prepare": ("stage", lambda runner, _: runner.admit()),
    "switch": ("prepare", lambda runner, _: runner.clear()),
    "commit": ("switch", lambda runner, _: runner.prove()),
    "roll_back": ("switch", lambda runner, _: runner.fail("probation")),
    "roll_back_asked": ("commit", lambda runner, _: runner.roll_back()),
    "roll_back_ready": ("prepare", lambda runner, _: runner.roll_back()),
    "withdraw": ("prepare", lambda runner, _: runner.withdraw()),
    "supersede": ("stage", lambda runner, work: runner.assign(release(work, "4"), 4)),
}
"""What is done, and the phase whose end it starts from."""


def main(words: list[str]) -> int:
    """Recover, then do one phase; `recover` alone does no more than that."""
    work, phase = Path(words[0]), words[1]
    with open_runner(work) as runner:
        runner.recover()
        if phase != "recover":
            PHASES[phase][1](runner, work)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
