"""One update on one robot's disk, killed in every state: the process ends without a word, and another one comes.

What ends it is an exception that nothing catches; `test_power_cut.py` does it with real kills, at every system call.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.bundles.slots import Slot, SlotFile, Slots
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.agent.assembly import store_runner
from edge_runtime.ota.lifecycle.journal import Journal, JournalFile
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.ota.transfer.staging import Staging
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.testing.small_bundles import Arm
from tests.ota.store_exercise import arm_of, digest_of, install, open_runner, release
from tests.ota.updates import assign_2, come_back, to_probation, update_2, write_state


class Killed(BaseException):
    """The end of a process."""


class FragileArm(Arm):
    """An arm whose process ends on its way into `killed_in`."""

    killed_in = ""

    def fetch(self, staging: Staging) -> None:
        """Put two pieces before the end."""
        if self.killed_in == "fetch":
            for piece in staging.missing[:2]:
                staging.put(piece, self.pieces[piece])
            raise Killed
        super().fetch(staging)

    def _ask(self, what: str, folder: Path) -> None:
        if what == self.killed_in:
            raise Killed
        super()._ask(what, folder)


def fragile(work: Path) -> FragileArm:
    return FragileArm(arm_of(work).pieces)


def cut(work: Path, killed_in: str, act: Callable[[Runner], None]) -> None:
    """Do `act` until the process ends."""
    arm = fragile(work)
    arm.killed_in = killed_in
    with open_runner(work, arm) as runner:
        runner.recover()
        with pytest.raises(Killed):
            act(runner)


def test_killed_in_idle(work: Path) -> None:
    runner, arm = come_back(work)
    assert runner.journal == Journal()
    assert runner.boot().bundle == digest_of(work, "1")
    assert arm.asked == []


def test_killed_in_downloading(work: Path) -> None:
    cut(work, "fetch", assign_2)
    assert JournalFile(work / "root" / "journal").read() == Journal(UpdateState.DOWNLOADING, update_2(work), steps=1)
    runner, arm = come_back(work)
    assert runner.journal.state is UpdateState.STAGED
    assert runner.boot().bundle == digest_of(work, "1")
    fresh = arm_of(work)
    with store_runner(work / "other", work / "0", work / "other_floor", fresh) as other:
        other.recover()
        install(other, work, "1")
        fresh.sent = 0
        other.assign(release(work, "2"), 2)
    assert arm.sent == fresh.sent - 2, "pieces that were there were sent again"


def test_killed_in_verifying(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        assign_2(runner)
    slots = SlotFile(work / "root" / "slots")
    # The bundle is in its place, and neither slots nor journal know.
    slots.write(slots.read().back_to(digest_of(work, "1")))
    release_path = work / "root" / "releases" / f"{update_2(work).release_digest}.json"
    release_path.write_bytes(release(work, "2").canonical_json())
    write_state(work, Journal(UpdateState.VERIFYING, update_2(work), steps=2))
    runner, arm = come_back(work)
    assert runner.journal.state is UpdateState.STAGED
    assert runner.slots.staged == Slot(digest_of(work, "2"), 2)
    assert arm.sent == 0


def test_killed_in_staged(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        assign_2(runner)
    runner, arm = come_back(work)
    assert runner.journal.state is UpdateState.STAGED
    assert arm.asked == []


@pytest.mark.parametrize(
    ("killed_in", "state"),
    [("build", UpdateState.BUILDING), ("golden_check", UpdateState.GOLDEN_CHECK)],
    ids=["killed_in_building", "killed_in_golden_check"],
)
def test_killed_before_activation(work: Path, killed_in: str, state: UpdateState) -> None:
    cut(work, killed_in, to_probation)
    stored = JournalFile(work / "root" / "journal").read()
    assert stored is not None
    assert stored.state is state
    runner, arm = come_back(work)
    assert runner.journal.state is UpdateState.READY
    assert runner.boot().bundle == digest_of(work, "1")
    assert arm.asked[0] == killed_in
    assert arm.serves is None


def test_killed_in_ready(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        assign_2(runner)
        runner.admit()
    for _ in range(20):
        runner, arm = come_back(work)
        assert (runner.journal.state, arm.asked) == (UpdateState.READY, [])
        assert runner.boot().bundle == digest_of(work, "1")
    with open_runner(work) as runner:
        runner.recover()
        runner.clear()
        assert runner.boot().bundle == digest_of(work, "2")


def test_killed_in_activating(work: Path) -> None:
    cut(work, "serve", to_probation)
    stored = JournalFile(work / "root" / "journal").read()
    assert stored is not None
    assert stored.state is UpdateState.ACTIVATING
    runner, arm = come_back(work)
    assert runner.journal.state is UpdateState.PROBATION
    assert runner.boot().bundle == digest_of(work, "2")
    assert arm.asked == ["serve"]
    assert arm.serves == runner.store.folder(digest_of(work, "2"))


def test_killed_in_probation(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        to_probation(runner)
    for restart in range(1, 6):
        runner, _ = come_back(work)
        assert (runner.journal.state, runner.journal.restarts) == (UpdateState.PROBATION, restart)
        assert runner.boot().bundle == digest_of(work, "2")
    runner, arm = come_back(work)
    assert runner.journal.state is UpdateState.IDLE
    assert runner.journal.reason == "endless_restarts"
    assert runner.boot().bundle == digest_of(work, "1")
    assert arm.serves == runner.store.folder(digest_of(work, "1"))


@pytest.mark.parametrize("pointer_was_written", [False, True])
def test_killed_in_committed(work: Path, pointer_was_written: bool) -> None:
    with open_runner(work) as runner:
        runner.recover()
        to_probation(runner)
    write_state(work, Journal(UpdateState.COMMITTED, update_2(work), steps=8))
    if pointer_was_written:
        slots = SlotFile(work / "root" / "slots")
        slots.write(slots.read().with_committed(digest_of(work, "2")))
    runner, _ = come_back(work)
    assert runner.journal == Journal()
    assert runner.slots == Slots(
        active=Slot(digest_of(work, "2"), 2),
        committed=Slot(digest_of(work, "2"), 2),
        previous=Slot(digest_of(work, "1"), 1),
    )
    assert Floor(work / "floor").release().release_counter == 2


def test_killed_in_rolling_back(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        to_probation(runner)
    cut(work, "serve", lambda runner: runner.fail("crashes"))
    stored = JournalFile(work / "root" / "journal").read()
    assert stored is not None
    assert (stored.state, stored.back_to) == (UpdateState.ROLLING_BACK, digest_of(work, "1"))
    runner, arm = come_back(work)
    assert runner.journal == Journal(reason="crashes", refused=update_2(work))
    assert runner.boot().bundle == digest_of(work, "1")
    assert arm.asked == ["serve"]
    assert arm.sent == 0


def test_killed_in_failed(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        assign_2(runner)
    write_state(work, Journal(UpdateState.FAILED, update_2(work), reason="no engine", refused=update_2(work)))
    runner, _ = come_back(work)
    assert runner.journal == Journal(reason="no engine", refused=update_2(work))
    assert runner.slots.staged is None
    assert list(runner.store.installed()) == [digest_of(work, "1")]
