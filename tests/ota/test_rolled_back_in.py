"""A person goes back in every state of an update: the pointer is back at once, whatever else has to wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_runtime.bundles.slots import Slot, Slots
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.lifecycle.journal import Journal, Update
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.ota.transfer.staging import Staging
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.testing.small_bundles import Arm
from tests.ota.store_exercise import arm_of, digest_of, install, open_runner, release


class HaltingArm(Arm):
    """Has everything and then, with `halts`, no time to verify it."""

    halts = False
    has_fetched = False

    def fetch(self, staging: Staging) -> None:
        super().fetch(staging)
        self.has_fetched = True

    def heed(self) -> None:
        if self.halts and self.has_fetched:
            raise OtaError(OtaRefusal.NOT_NOW, "another time")


@pytest.fixture
def updated(work: Path) -> Iterator[tuple[Runner, HaltingArm, Path]]:
    """Version 2 is committed, version 1 is what was before."""
    arm = HaltingArm(arm_of(work).pieces)
    with open_runner(work, arm) as runner:
        runner.recover()
        install(runner, work, "2")
        yield runner, arm, work


def bring_to(state: UpdateState, runner: Runner, arm: HaltingArm, work: Path) -> None:
    """Have version 3 on its way as far as `state`."""
    arm.halts, arm.has_fetched = state is UpdateState.VERIFYING, False
    arm.online = state is not UpdateState.DOWNLOADING
    if state in (UpdateState.BUILDING, UpdateState.GOLDEN_CHECK):
        arm.cut_short.add({UpdateState.BUILDING: "build", UpdateState.GOLDEN_CHECK: "golden_check"}[state])
    runner.assign(release(work, "3"), 3)
    if runner.journal.state is UpdateState.STAGED and state is not UpdateState.STAGED:
        runner.admit()
    assert runner.journal.state is state
    arm.halts, arm.online = False, True
    arm.cut_short.clear()


def without_trash(runner: Runner, act: Callable[[], None]) -> None:
    """Do `act` while nothing can be collected."""
    runner.store.trash.rmdir()
    runner.store.trash.write_bytes(b"in the way")
    act()
    runner.store.trash.unlink()
    runner.store.trash.mkdir()


@pytest.mark.parametrize("state", [state for state in UpdateState if state.gives_way], ids=str)
def test_what_is_being_prepared_holds_nothing_up(updated: tuple[Runner, HaltingArm, Path], state: UpdateState) -> None:
    runner, arm, work = updated
    old, left = Slot(digest_of(work, "1"), 1), Slot(digest_of(work, "2"), 2)
    bring_to(state, runner, arm, work)
    without_trash(runner, runner.roll_back)
    assert runner.slots == Slots(active=old, committed=old, previous=left), "before anything is tidied up"
    assert arm.serves == runner.store.folder(old.bundle)
    assert runner.journal.reason == "storage_fault"
    runner.resume()
    assert (runner.journal.state, runner.journal.refused) == (
        UpdateState.IDLE,
        Update(bundle=left.bundle, release_counter=2),
    )
    assert set(runner.store.installed()) == {old.bundle, left.bundle}
    assert list(runner.store.staging.iterdir()) == []
    runner.assign(release(work, "3"), 3)
    assert runner.journal.state is UpdateState.STAGED, "what was being prepared may come again"


def test_what_fails_and_cannot_be_tidied_up_holds_nothing_up(updated: tuple[Runner, HaltingArm, Path]) -> None:
    runner, arm, work = updated
    bring_to(UpdateState.READY, runner, arm, work)

    def fail_and_go_back() -> None:
        runner.fail("latency")
        assert runner.journal.state is UpdateState.FAILED
        runner.roll_back()

    without_trash(runner, fail_and_go_back)
    assert runner.slots.active == Slot(digest_of(work, "1"), 1)
    assert arm.serves == runner.store.folder(digest_of(work, "1"))
    runner.resume()
    assert runner.journal.state is UpdateState.IDLE


def test_a_commit_that_waits_for_a_lost_floor_can_be_left(updated: tuple[Runner, HaltingArm, Path]) -> None:
    runner, arm, work = updated
    bring_to(UpdateState.READY, runner, arm, work)
    runner.clear()
    floors = {path: path.read_bytes() for path in (work / "floor").iterdir()}
    for path in floors:
        path.write_bytes(b"")
    runner.prove()
    assert (runner.journal.state, runner.journal.reason) == (UpdateState.COMMITTED, "torn_state")
    runner.roll_back()
    left = release(work, "3")
    assert runner.journal == Journal(
        reason="rollback_asked", refused=Update(left.target_path, left.bundle_digest, release_counter=3)
    )
    assert runner.slots.active == Slot(digest_of(work, "2"), 2)
    for path, data in floors.items():
        path.write_bytes(data)
    assert Floor(work / "floor").release().release_counter == 2
    with pytest.raises(OtaError) as caught:
        runner.assign(release(work, "4"), 3)
    assert caught.value.refusal is OtaRefusal.ROLLBACK, "the counter is spent all the same"


def test_a_commit_whose_pointer_was_not_written_is_left_for_what_was_committed(
    updated: tuple[Runner, HaltingArm, Path],
) -> None:
    runner, arm, work = updated
    bring_to(UpdateState.READY, runner, arm, work)
    runner.clear()
    copies = [work / "root" / f"slots.{name}" for name in "ab"]
    aside = [copy.rename(copy.with_name(f"aside.{copy.name}")) for copy in copies]
    for copy in copies:
        copy.mkdir()
    runner.prove()
    assert (runner.journal.state, runner.journal.reason) == (UpdateState.COMMITTED, "storage_fault")
    for copy, kept in zip(copies, aside, strict=True):
        copy.rmdir()
        kept.rename(copy)
    runner.roll_back()
    assert runner.slots.committed == Slot(digest_of(work, "2"), 2)
    assert runner.slots.previous == Slot(digest_of(work, "1"), 1)
    assert runner.journal.state is UpdateState.IDLE
