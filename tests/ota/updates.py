"""Steps of an update that tests share."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.contracts.manifest import verify_bundle
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.lifecycle.journal import Journal, JournalFile, Update
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.testing.small_bundles import Arm
from tests.ota.store_exercise import arm_of, open_runner, release


def come_back(work: Path) -> tuple[Runner, Arm]:
    """A new process, which has recovered and ended again; what it knows is still there to be looked at."""
    arm = arm_of(work)
    with open_runner(work, arm) as runner:
        runner.recover()
    found = runner.boot()
    assert found.passed_over == ()
    verify_bundle(found.folder)
    return runner, arm


def assign_2(runner: Runner) -> None:
    runner.assign(release(runner_work(runner), "2"), 2)


def runner_work(runner: Runner) -> Path:
    return runner.store.bundles.parent.parent


def to_probation(runner: Runner) -> None:
    assign_2(runner)
    try_out(runner)


def try_out(runner: Runner) -> None:
    runner.admit()
    if runner.journal.state is UpdateState.READY:
        runner.clear()


def write_state(work: Path, journal: Journal) -> None:
    JournalFile(work / "root" / "journal").write(journal)


def update_2(work: Path) -> Update:
    made = release(work, "2")
    return Update(made.target_path, made.bundle_digest, 2)
