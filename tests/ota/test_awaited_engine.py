"""A step that orders the engine waits for its word as an event: in each state that does, with each word there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.bundles.slots import Slot
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.lifecycle.journal import Journal, JournalFile
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.testing.small_bundles import Arm
from tests.ota.store_exercise import arm_of, digest_of, install, open_runner
from tests.ota.test_refusing_disk import broken
from tests.ota.updates import to_probation, update_2

SLOW = OtaError(OtaRefusal.ENGINE_SLOW, "no engine runs it within 10 s")


def slow_arm(work: Path) -> Arm:
    arm = arm_of(work)
    arm.is_slow = True
    return arm


@pytest.fixture
def activating(work: Path) -> Iterator[tuple[Runner, Arm, Path]]:
    """Version 2 is pointed to and ordered, and the engine has said nothing yet."""
    arm = slow_arm(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        to_probation(runner)
        yield runner, arm, work


@pytest.fixture
def rolling_back(activating: tuple[Runner, Arm, Path]) -> tuple[Runner, Arm, Path]:
    """Version 2 was on trial, did badly, and version 1 is ordered."""
    runner, _, _ = activating
    runner.hear_engine()
    runner.fail("latency")
    return activating


def test_a_bundle_is_on_trial_once_the_engine_says_that_it_runs_it(activating: tuple[Runner, Arm, Path]) -> None:
    runner, arm, work = activating
    assert (runner.journal.state, runner.awaits_engine) == (UpdateState.ACTIVATING, True)
    assert JournalFile(work / "root" / "journal").read() == runner.journal
    assert runner.boot().bundle == digest_of(work, "2"), "the next engine begins with it"
    assert runner.hear_engine() == ""
    assert (runner.journal.state, runner.awaits_engine) == (UpdateState.PROBATION, False)
    assert arm.asked.count("serve") == 1, "ordered once"


def test_an_engine_that_does_not_run_it_ends_the_trial_and_is_ordered_back(
    activating: tuple[Runner, Arm, Path],
) -> None:
    runner, arm, work = activating
    assert runner.hear_engine(SLOW) == SLOW.detail
    assert (runner.journal.state, runner.journal.reason) == (UpdateState.ROLLING_BACK, "engine_slow")
    assert runner.awaits_engine, "for the bundle from before"
    assert arm.serves == runner.store.folder(digest_of(work, "1"))
    runner.hear_engine()
    assert runner.journal == Journal(reason="engine_slow", refused=update_2(work))
    assert runner.slots.active == Slot(digest_of(work, "1"), 1)


def test_the_pointer_is_back_once_the_engine_is(rolling_back: tuple[Runner, Arm, Path]) -> None:
    runner, _, work = rolling_back
    assert (runner.journal.state, runner.awaits_engine) == (UpdateState.ROLLING_BACK, True)
    assert runner.boot().bundle == digest_of(work, "2"), "what misbehaves is taken off the robot first"
    runner.hear_engine()
    assert runner.boot().bundle == digest_of(work, "1")
    assert runner.journal == Journal(reason="latency", refused=update_2(work))


def test_the_pointer_is_back_although_the_engine_is_not_and_it_is_ordered_again(
    rolling_back: tuple[Runner, Arm, Path],
) -> None:
    runner, arm, work = rolling_back
    runner.hear_engine(SLOW)
    assert (runner.journal.state, runner.awaits_engine) == (UpdateState.ROLLING_BACK, False)
    assert (runner.held_up_by, runner.journal.reason) == (SLOW.detail, "latency")
    assert runner.boot().bundle == digest_of(work, "1")
    asked = arm.asked.count("serve")
    runner.resume()
    assert (arm.asked.count("serve"), runner.awaits_engine) == (asked + 1, True)
    runner.hear_engine()
    assert runner.journal.state is UpdateState.IDLE


def test_who_does_not_want_it_need_not_wait_for_the_engine(activating: tuple[Runner, Arm, Path]) -> None:
    runner, arm, work = activating
    runner.fail(OtaRefusal.ROLLBACK_ASKED)
    assert (runner.journal.state, runner.journal.reason) == (UpdateState.ROLLING_BACK, "rollback_asked")
    assert arm.serves == runner.store.folder(digest_of(work, "1"))
    runner.hear_engine()
    assert runner.journal.state is UpdateState.IDLE


def test_a_word_that_nobody_waits_for_is_refused_and_changes_nothing(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        for word in (None, SLOW):
            with pytest.raises(OtaError) as caught:
                runner.hear_engine(word)
            assert caught.value.refusal is OtaRefusal.NOT_NOW
        to_probation(runner)
        before = (runner.journal, runner.slots)
        with pytest.raises(OtaError):
            runner.hear_engine(SLOW)
        assert (runner.journal, runner.slots) == before


@pytest.mark.parametrize("state", [UpdateState.ACTIVATING, UpdateState.ROLLING_BACK], ids=str)
def test_killed_while_it_waits_the_next_process_orders_again(work: Path, state: UpdateState) -> None:
    with open_runner(work, slow_arm(work)) as runner:
        runner.recover()
        to_probation(runner)
        if state is UpdateState.ROLLING_BACK:
            runner.hear_engine()
            runner.fail("latency")
    arm = slow_arm(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        assert (runner.journal.state, runner.awaits_engine) == (state, True)
        assert arm.asked == ["serve"]
        runner.hear_engine()
        expected = digest_of(work, "1" if state is UpdateState.ROLLING_BACK else "2")
        assert (runner.boot().bundle, runner.awaits_engine) == (expected, False)


def test_a_trial_that_cannot_be_written_down_when_the_word_comes_is_taken_back(
    activating: tuple[Runner, Arm, Path],
) -> None:
    runner, arm, work = activating
    with broken(work, "journal"):
        runner.hear_engine()
        assert (runner.journal.state, runner.awaits_engine) == (UpdateState.ROLLING_BACK, True)
        assert arm.serves == runner.store.folder(digest_of(work, "1"))
        with pytest.raises(OtaError) as caught:
            runner.hear_engine()
        assert caught.value.refusal is OtaRefusal.STORAGE_FAULT
        assert runner.boot().bundle == digest_of(work, "1"), "the pointer is back all the same"
        assert not runner.awaits_engine
    runner.resume()
    runner.hear_engine()
    assert runner.journal == Journal(reason="storage_fault", refused=update_2(work))


def test_requests_that_do_not_fit_leave_it_waiting(activating: tuple[Runner, Arm, Path]) -> None:
    runner, _, work = activating
    for request in (runner.admit, runner.clear, runner.prove, runner.withdraw, runner.roll_back):
        with pytest.raises(OtaError) as caught:
            request()
        assert caught.value.refusal is OtaRefusal.NOT_NOW
    assert runner.resume() == ""
    assert runner.awaits_engine
    runner.hear_engine()
    runner.prove()
    assert runner.slots.committed == Slot(digest_of(work, "2"), 2)


def test_a_robot_that_is_asked_to_go_back_is_back_when_its_engine_is(work: Path) -> None:
    arm = arm_of(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        install(runner, work, "2")
        arm.is_slow = True
        runner.roll_back()
        assert runner.boot().bundle == digest_of(work, "2")
        runner.hear_engine()
        assert runner.boot().bundle == digest_of(work, "1")
