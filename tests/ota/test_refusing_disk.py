"""A disk that takes no writes where it hurts: what cannot be written down is not left running, and goes on later.

A record whose two files have become folders is one that the system refuses to open for writing. `test_power_cut.py`
has every system call fail; this is what the runner makes of the failures that matter most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_runtime.bundles.slots import SHIPPED, Slot
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.agent.assembly import store_runner
from edge_runtime.ota.lifecycle.journal import Journal
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.testing.small_bundles import Arm
from tests.ota.store_exercise import arm_of, digest_of, open_runner, release
from tests.ota.updates import assign_2, come_back, to_probation, try_out, update_2


def break_record(work: Path, name: str) -> None:
    for copy in (work / "root" / f"{name}.a", work / "root" / f"{name}.b"):
        copy.rename(copy.with_suffix(copy.suffix + ".aside"))
        copy.mkdir()


def mend_record(work: Path, name: str) -> None:
    for copy in (work / "root" / f"{name}.a", work / "root" / f"{name}.b"):
        copy.rmdir()
        copy.with_suffix(copy.suffix + ".aside").rename(copy)


@contextmanager
def broken(work: Path, name: str) -> Iterator[None]:
    break_record(work, name)
    try:
        yield
    finally:
        mend_record(work, name)


class Saboteur(Arm):
    """An arm in whose hands the disk breaks when it is asked for `when`."""

    def __init__(self, pieces: dict[str, bytes], when: str, sabotage: Callable[[], None]) -> None:
        super().__init__(pieces)
        self._when = when
        self._sabotage = sabotage

    def _ask(self, what: str, folder: Path) -> None:
        super()._ask(what, folder)
        if what == self._when:
            self._when = ""
            self._sabotage()


def folder_of(runner: Runner, work: Path, version: str) -> Path:
    return runner.store.folder(digest_of(work, version))


def test_a_trial_that_cannot_be_written_down_is_taken_back(work: Path) -> None:
    arm = Saboteur(arm_of(work).pieces, "serve", lambda: break_record(work, "journal"))
    with open_runner(work, arm) as runner:
        runner.recover()
        with pytest.raises(OtaError) as caught:
            to_probation(runner)
        assert caught.value.refusal is OtaRefusal.STORAGE_FAULT
        assert arm.serves == folder_of(runner, work, "1")
        assert runner.boot().bundle == digest_of(work, "1")
        mend_record(work, "journal")
        runner.resume()
        assert runner.journal == Journal(reason="storage_fault", refused=update_2(work))
    runner, _ = come_back(work)
    assert runner.boot().bundle == digest_of(work, "1")


def test_the_same_with_the_power_cut_before_the_disk_came_back(work: Path) -> None:
    arm = Saboteur(arm_of(work).pieces, "serve", lambda: break_record(work, "journal"))
    with open_runner(work, arm) as runner:
        runner.recover()
        with pytest.raises(OtaError):
            to_probation(runner)
    mend_record(work, "journal")
    runner, _ = come_back(work)
    assert runner.journal == Journal(reason="torn_state", refused=update_2(work))
    assert runner.boot().bundle == digest_of(work, "1")


def test_going_back_is_not_held_up_by_the_journal(work: Path) -> None:
    arm = arm_of(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        to_probation(runner)
        with broken(work, "journal"):
            with pytest.raises(OtaError):
                runner.fail("latency")
            assert arm.serves == folder_of(runner, work, "1")
            assert runner.boot().bundle == digest_of(work, "1")
    runner, _ = come_back(work)
    assert runner.boot().bundle == digest_of(work, "1")
    assert runner.journal.state is UpdateState.IDLE


def test_going_back_is_not_held_up_by_the_pointer(work: Path) -> None:
    arm = arm_of(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        to_probation(runner)
        with broken(work, "slots"):
            runner.fail("latency")
            assert arm.serves == folder_of(runner, work, "1")
            assert (runner.journal.state, runner.journal.reason) == (UpdateState.ROLLING_BACK, "latency")
        runner.resume()
        assert runner.journal.state is UpdateState.IDLE
        assert runner.boot().bundle == digest_of(work, "1")


def test_a_pointer_that_cannot_be_flipped_serves_nothing_new(work: Path) -> None:
    arm = Saboteur(arm_of(work).pieces, "golden_check", lambda: break_record(work, "slots"))
    with open_runner(work, arm) as runner:
        runner.recover()
        to_probation(runner)
        mend_record(work, "slots")
        runner.resume()
        assert runner.journal == Journal(reason="storage_fault", refused=update_2(work))
        assert runner.boot().bundle == digest_of(work, "1")
        assert arm.serves == folder_of(runner, work, "1")


def test_a_step_that_cannot_be_written_down_is_not_taken(work: Path) -> None:
    arm = arm_of(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        assign_2(runner)
        with broken(work, "journal"), pytest.raises(OtaError):
            runner.admit()
        assert (runner.journal.state, arm.asked) == (UpdateState.STAGED, ["fetch"])
        try_out(runner)
        with broken(work, "journal"), pytest.raises(OtaError):
            runner.prove()
        assert runner.journal.state is UpdateState.PROBATION
        runner.prove()
        assert runner.slots.committed == Slot(digest_of(work, "2"), 2)


def test_the_floor_that_cannot_be_raised_is_raised_later(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        to_probation(runner)
        copies = sorted((work / "floor").iterdir())
        for copy in copies:
            copy.rename(work / copy.name)
        (work / "floor").rmdir()
        (work / "floor").write_bytes(b"")
        runner.prove()
        assert runner.journal.state is UpdateState.COMMITTED
        (work / "floor").unlink()
        (work / "floor").mkdir()
        for copy in copies:
            (work / copy.name).rename(copy)
        runner.resume()
        assert runner.journal == Journal()


def test_a_release_that_cannot_be_kept_is_not_begun(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        before = runner.journal
        (work / "root" / "releases").rmdir()
        (work / "root" / "releases").write_bytes(b"a file is in the way")
        with pytest.raises(OtaError) as caught:
            assign_2(runner)
        assert caught.value.refusal is OtaRefusal.STORAGE_FAULT
        assert runner.journal == before


@pytest.mark.parametrize("damage", ["gone", "other"])
def test_a_release_that_is_lost_on_the_way_can_be_withdrawn_or_assigned_again(work: Path, damage: str) -> None:
    arm = arm_of(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        arm.online = False
        assign_2(runner)
    path = work / "root" / "releases" / f"{update_2(work).release_digest}.json"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(release(work, "3").canonical_json())
    with open_runner(work) as runner:
        runner.recover()
        assert (runner.journal.state, runner.journal.reason) == (
            UpdateState.DOWNLOADING,
            "storage_fault" if damage == "gone" else "torn_state",
        )
        assign_2(runner)
        assert runner.journal.state is UpdateState.STAGED


def test_a_store_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "root").write_bytes(b"")
    (tmp_path / "0").mkdir()
    with pytest.raises(OtaError) as caught, store_runner(tmp_path / "root", tmp_path / "0", tmp_path, Arm({})):
        pass
    assert caught.value.refusal is OtaRefusal.STORAGE_FAULT


def test_a_pointer_that_the_disk_does_not_show_is_not_given_up_and_meanwhile_the_shipped_bundle_runs(
    work: Path,
) -> None:
    copies = [work / "root" / f"slots.{copy}" for copy in "ab"]
    before = [copy.read_bytes() for copy in copies]
    for copy in copies:
        copy.unlink()
        # To look for a name that no file system takes fails, and not because it is gone.
        copy.symlink_to("x" * 300)
    with open_runner(work, arm_of(work)) as runner:
        assert runner.boot().bundle == SHIPPED
        with pytest.raises(OtaError) as caught:
            runner.recover()
        assert caught.value.refusal is OtaRefusal.STORAGE_FAULT
    for copy, data in zip(copies, before, strict=True):
        copy.unlink()
        copy.write_bytes(data)
    runner, _ = come_back(work)
    assert runner.boot().bundle == digest_of(work, "1")
