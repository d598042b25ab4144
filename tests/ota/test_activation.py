"""Keeping a robot on the bundle that it should have: trials, verdicts, orders, requests, with a real bus and store."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.bundles.slots import Slot
from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.contracts.manifest import MANIFEST_NAME
from edge_runtime.contracts.messages import ControlState
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.topics import UPDATE_COMMAND
from edge_runtime.contracts.updates import UpdateCommand, UpdateKind, UpdateResult
from edge_runtime.ipc.bus import Sender
from edge_runtime.ota.agent.activation import STEADY_S
from edge_runtime.ota.probation.bundle_stats import Record, RecordBook
from tests.ota.kept_robot import KeptRobot


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[KeptRobot]:
    kept = KeptRobot(tmp_path)
    with kept.robot, kept.agent():
        yield kept


def ask(kept: KeptRobot, number: int, reason: str = "", kind: UpdateKind = UpdateKind.ROLLBACK) -> UpdateCommand:
    """A person wants something, usually to go back, and says so until she is heard."""
    command = UpdateCommand(id=number, kind=kind, stamp_ns=time.monotonic_ns(), reason=reason)

    def say() -> None:
        with Sender(UPDATE_COMMAND, kept.run_dir) as line:
            for _ in range(100):
                line.send(command)
                time.sleep(0.02)

    threading.Thread(target=say, daemon=True).start()
    return command


def answer_to(kept: KeptRobot, command: UpdateCommand) -> UpdateResult | OtaRefusal | None:
    """What became of it: the refusal, where there is one."""
    status = kept.activation.status()
    answer = None if status is None else status.answer_to(command)
    return None if answer is None else answer.refusal or answer.result


def test_a_trial_that_goes_well_ends_with_a_commit(kept: KeptRobot) -> None:
    shipped = kept.digest("0")
    kept.robot.changes_over = False
    new = kept.get_ready("1")
    kept.until(lambda: kept.robot.standby == new)
    kept.robot.changes_over = True
    kept.until(lambda: kept.state is UpdateState.PROBATION)
    assert (kept.runner.slots.active, kept.runner.slots.committed) == (Slot(new, 1), Slot())
    kept.until(lambda: kept.robot.standby == shipped)
    kept.until(lambda: kept.state is UpdateState.IDLE)
    assert kept.runner.slots.committed == Slot(new, 1)
    assert kept.robot.served == [shipped, new]
    assert kept.said()[0] == ("", "on trial for at least 1 s")
    kept.until(lambda: kept.robot.standby == shipped)


def test_a_bundle_that_ends_its_engine_goes_and_its_reason_stays(kept: KeptRobot) -> None:
    old = kept.digest("0")
    bad = kept.get_ready("1", probation_s=600)
    kept.until(lambda: kept.state is UpdateState.PROBATION)
    kept.robot.crash_on = bad
    kept.until(lambda: kept.state is UpdateState.IDLE)
    assert kept.runner.journal.reason == "probation_crashes"
    assert kept.runner.journal.refused.bundle == bad
    assert (kept.runner.slots.active, kept.runner.slots.staged) == (Slot(), None)
    kept.until(lambda: kept.robot.served[-1] == old)
    assert any(refusal == "probation_crashes" and "crashes" in words for refusal, words in kept.said())


def test_a_bundle_that_the_engine_cannot_load_is_never_put_on_trial(kept: KeptRobot) -> None:
    kept.robot.refuses.add(kept.digest("1"))
    kept.get_ready("1")
    kept.until(lambda: kept.state is UpdateState.IDLE)
    assert (kept.runner.journal.reason, kept.runner.slots.active) == ("engine_refused", Slot())
    assert kept.robot.served == [kept.digest("0")]
    assert ("engine_refused", "it was told to refuse it") in kept.said()


def test_a_bundle_on_trial_that_the_next_engine_cannot_load_goes(kept: KeptRobot) -> None:
    new = kept.get_ready("1", probation_s=600)
    kept.until(lambda: kept.state is UpdateState.PROBATION)
    kept.robot.refuses.add(new)
    kept.robot.has_engine = False
    kept.tend_for(0.5)
    kept.robot.has_engine = True
    kept.until(lambda: kept.state is UpdateState.IDLE)
    assert kept.runner.journal.reason == "engine_refused"
    assert kept.runner.slots.active == Slot()


def test_an_engine_that_does_not_change_over_in_time_ends_the_trial_before_it_began(tmp_path: Path) -> None:
    kept = KeptRobot(tmp_path)
    with kept.robot, kept.agent(obey_s=0.5):
        kept.robot.changes_over = False
        new = kept.get_ready("1")
        kept.until(lambda: kept.robot.standby == new)
        kept.until(lambda: kept.state is UpdateState.ACTIVATING)
        kept.until(lambda: kept.state is UpdateState.IDLE)
        assert kept.runner.journal.reason == "engine_slow"
        assert kept.said()[-1] == ("engine_slow", "no engine runs it within 0.5 s")
        assert kept.runner.slots.active == Slot()
        assert kept.robot.served == [kept.digest("0")]


def test_without_an_engine_what_is_ready_waits_and_going_back_does_not(kept: KeptRobot) -> None:
    kept.robot.has_engine = False
    kept.tend_for(0.5)
    kept.get_ready("1")
    kept.tend_for(0.8)
    assert kept.state is UpdateState.READY
    kept.robot.has_engine = True
    kept.until(lambda: kept.state is UpdateState.IDLE)
    kept.robot.has_engine = False
    command = ask(kept, 1)
    kept.until(lambda: answer_to(kept, command) is UpdateResult.DONE)
    assert kept.runner.slots.active == Slot()
    kept.robot.has_engine = True
    kept.until(lambda: kept.robot.served[-1] == kept.digest("0"))


def test_a_robot_at_work_is_not_changed_over_unless_its_owner_wants_it(tmp_path: Path) -> None:
    kept = KeptRobot(tmp_path, activate="at_rest")
    with kept.robot, kept.agent():
        assert kept.activity.is_at_work, "as long as nothing is known of it"
        kept.tend_for(1.2)
        assert kept.activity.is_at_work
        kept.get_ready("1", probation_s=600)
        kept.tend_for(0.8)
        assert kept.state is UpdateState.READY
        kept.robot.state = ControlState.READY
        kept.until(lambda: kept.state is UpdateState.PROBATION)


def test_a_person_goes_back_during_a_trial_and_is_told(kept: KeptRobot) -> None:
    kept.get_ready("1", probation_s=600)
    kept.until(lambda: kept.state is UpdateState.PROBATION)
    command = ask(kept, 7, "it drops cubes")
    kept.until(lambda: answer_to(kept, command) is UpdateResult.DONE)
    assert kept.runner.journal.reason == "rollback_asked"
    assert kept.robot.served[-1] == kept.digest("0")
    assert ("rollback_asked", "it drops cubes") in kept.said()
    kept.tend_for(0.5)
    assert kept.runner.slots.active == Slot(), "said again and again, it is done once"


def test_a_person_goes_back_while_the_engine_is_about_to_change_over(tmp_path: Path) -> None:
    kept = KeptRobot(tmp_path)
    with kept.robot, kept.agent(obey_s=60.0):
        old = kept.digest("0")
        kept.robot.changes_over = False
        new = kept.get_ready("1")
        kept.until(lambda: kept.robot.standby == new)

        def ask_in_time() -> None:
            while kept.state is not UpdateState.ACTIVATING:
                time.sleep(0.02)
            ask(kept, 1)

        threading.Thread(target=ask_in_time, daemon=True).start()
        # In this wait it is put on trial, and the engine does not obey before it is taken back.
        kept.until(lambda: kept.state is UpdateState.IDLE)
        assert kept.runner.journal.reason == "rollback_asked"
        assert (kept.runner.slots.active, kept.runner.slots.staged) == (Slot(), None)
        kept.tend_for(0.5)
        status = kept.activation.status()
        assert status is not None
        assert [answer.result for answer in status.answers] == [UpdateResult.DONE]
        assert kept.robot.served[-1] == old


def test_a_person_goes_back_from_a_commit_that_waits_for_its_floor(kept: KeptRobot) -> None:
    old = kept.commit("1")
    new = kept.get_ready("2", probation_s=0)
    for copy in kept.settings.floor.glob("release.*"):
        copy.write_bytes(b"torn")
    kept.until(lambda: kept.state is UpdateState.COMMITTED)
    assert kept.robot.served[-1] == new
    command = ask(kept, 1)
    kept.until(lambda: answer_to(kept, command) is UpdateResult.DONE)
    assert (kept.state, kept.runner.slots.active) == (UpdateState.IDLE, Slot(old, 1))
    assert kept.robot.served[-1] == old


def test_a_person_who_ends_an_activation_hears_that_the_engine_is_not_back(tmp_path: Path) -> None:
    kept = KeptRobot(tmp_path)
    with kept.robot, kept.agent(obey_s=60.0):
        old, other = kept.digest("0"), kept.digest("3")
        kept.robot.changes_over = False
        new = kept.get_ready("1")
        kept.until(lambda: kept.robot.standby == new)

        def ask_in_time() -> None:
            while kept.state is not UpdateState.ACTIVATING:
                time.sleep(0.02)
            # The next engine cannot load what it would have to go back to.
            kept.robot.boots_instead = other
            kept.robot.refuses.add(old)
            kept.robot.crash_on = old
            while kept.robot.served[-1] != other:
                time.sleep(0.02)
            ask(kept, 1)

        threading.Thread(target=ask_in_time, daemon=True).start()
        kept.until(lambda: kept.activation.status().answers != ())  # type: ignore[union-attr]
        assert kept.state is UpdateState.ROLLING_BACK
        assert kept.activation.status().answers[0].result is UpdateResult.UNDER_WAY  # type: ignore[union-attr]


def test_two_people_who_want_to_go_back_go_back_once(kept: KeptRobot) -> None:
    """Twice would lead forward again."""
    old = kept.commit("1")
    kept.get_ready("2", probation_s=600)
    kept.until(lambda: kept.state is UpdateState.PROBATION)
    kept.robot.changes_over = False
    first = ask(kept, 1, "it drops cubes")
    kept.until(lambda: kept.state is UpdateState.ROLLING_BACK)
    second = ask(kept, 2)
    kept.tend_for(0.5)
    assert (answer_to(kept, first), answer_to(kept, second)) == (None, None), "it is not back yet"
    kept.robot.changes_over = True
    kept.until(lambda: answer_to(kept, second) is not None)
    assert (answer_to(kept, first), answer_to(kept, second)) == (UpdateResult.DONE, UpdateResult.DONE)
    assert (kept.state, kept.runner.slots.active) == (UpdateState.IDLE, Slot(old, 1))


def test_who_asks_while_a_failed_trial_goes_back_is_told_when_it_is(kept: KeptRobot) -> None:
    old = kept.commit("1")
    kept.get_ready("2", probation_s=600)
    kept.until(lambda: kept.state is UpdateState.PROBATION)
    kept.robot.changes_over = False
    kept.shared.superseded.set()
    kept.until(lambda: kept.state is UpdateState.ROLLING_BACK)
    command = ask(kept, 1)
    kept.tend_for(0.5)
    kept.robot.changes_over = True
    kept.until(lambda: answer_to(kept, command) is UpdateResult.DONE)
    assert kept.runner.slots.active == Slot(old, 1), "and not the one before that"
    assert kept.runner.journal.reason == "superseded"


def test_while_an_engine_changes_over_the_agent_hears_and_says_how_it_is(kept: KeptRobot) -> None:
    kept.robot.changes_over = False
    new = kept.get_ready("1", probation_s=600)
    kept.until(lambda: kept.robot.standby == new)
    kept.until(lambda: kept.state is UpdateState.ACTIVATING)
    for _ in range(20):
        began_s = time.monotonic()
        kept.tend()
        assert time.monotonic() - began_s < 2.0, "no turn waits for the engine"
        assert kept.shared.lock.acquire(blocking=False), "and nobody else has to"
        kept.shared.lock.release()
    status = kept.activation.status()
    assert status is not None
    assert status.state is UpdateState.ACTIVATING
    kept.robot.changes_over = True
    kept.until(lambda: kept.state is UpdateState.PROBATION)


def test_an_activation_that_was_cut_goes_on_and_is_told(tmp_path: Path) -> None:
    kept = KeptRobot(tmp_path)
    with kept.robot:
        kept.robot.changes_over = False
        with kept.agent():
            new = kept.get_ready("1", probation_s=600)
            kept.until(lambda: kept.state is UpdateState.ACTIVATING)
        with kept.agent():
            assert (kept.state, kept.robot.served[-1]) == (UpdateState.ACTIVATING, kept.digest("0"))
            kept.robot.changes_over = True
            kept.until(lambda: kept.state is UpdateState.PROBATION)
            assert kept.robot.served[-1] == new
            assert kept.said()[-1] == ("", "on trial for at least 600 s")


def test_an_end_waits_until_what_was_ordered_is_written(kept: KeptRobot) -> None:
    kept.commit("1")
    with kept.shared.lock:
        ask(kept, 1)
        holder = threading.Thread(target=kept.until, args=(lambda: kept.robot.served[-1] == kept.digest("0"),))
        holder.start()
        holder.join()
        assert kept.activation.must_go_on, "the engine is back, and the disk does not know it"
    kept.until(lambda: not kept.activation.must_go_on)
    assert (kept.state, kept.runner.slots.active) == (UpdateState.IDLE, Slot())


def test_an_end_waits_for_an_engine_that_changes_over_and_for_none_that_is_not_there(kept: KeptRobot) -> None:
    kept.robot.changes_over = False
    new = kept.get_ready("1")
    kept.until(lambda: kept.robot.standby == new)
    kept.until(lambda: kept.state is UpdateState.ACTIVATING)
    assert kept.activation.must_go_on
    kept.robot.has_engine = False
    kept.until(lambda: not kept.activation.must_go_on)
    assert kept.state is UpdateState.ACTIVATING, "the next agent goes on with it"


def test_who_asks_for_a_check_while_the_agent_only_reports_is_not_sent_away(kept: KeptRobot) -> None:
    kept.shared.is_working.set()
    command = ask(kept, 7, kind=UpdateKind.CHECK)
    kept.until(lambda: command in kept.shared.checks)
    assert answer_to(kept, command) is None
    kept.get_ready("1")
    kept.until(lambda: kept.state is UpdateState.PROBATION)
    later = ask(kept, 8, kind=UpdateKind.CHECK)
    kept.until(lambda: answer_to(kept, later) is OtaRefusal.BUSY)


def test_nothing_to_go_back_to_is_said(kept: KeptRobot) -> None:
    command = ask(kept, 1)
    kept.until(lambda: answer_to(kept, command) is not None)
    assert answer_to(kept, command) is OtaRefusal.NOT_NOW
    assert kept.robot.served == [kept.digest("0")]


def test_the_engine_is_back_before_the_worker_has_let_go(kept: KeptRobot) -> None:
    old, new = kept.digest("0"), kept.commit("1")
    at_rest, seen = threading.Event(), []

    def work() -> None:
        with kept.shared.lock:
            at_rest.set()
            kept.shared.interrupt.wait(30.0)
            time.sleep(0.5)
            seen.append((kept.robot.served[-1], kept.runner.slots.active.bundle))

    worker = threading.Thread(target=work)
    worker.start()
    at_rest.wait(30.0)
    command = ask(kept, 1)
    kept.until(lambda: answer_to(kept, command) is UpdateResult.DONE)
    worker.join()
    assert seen == [(old, new)], "what acts changes at once, what is written follows"
    assert kept.runner.slots.active == Slot()
    assert not kept.shared.interrupt.is_set()


def test_what_is_superseded_makes_way_for_an_older_bundle_and_no_byte_moves(kept: KeptRobot) -> None:
    old = kept.commit("1")
    kept.get_ready("2", probation_s=600)
    kept.until(lambda: kept.state is UpdateState.PROBATION)
    kept.shared.superseded.set()
    kept.until(lambda: kept.state is UpdateState.IDLE)
    assert kept.runner.journal.reason == "superseded"
    assert not kept.shared.superseded.is_set()
    kept.fetcher.pieces.clear()
    kept.get_ready("1", 3, probation_s=600)
    kept.until(lambda: kept.state is UpdateState.IDLE)
    assert kept.runner.slots.committed == Slot(old, 3)
    assert kept.robot.served[-1] == old


def test_time_on_trial_counts_only_while_the_robot_is_there(kept: KeptRobot) -> None:
    kept.get_ready("1", probation_s=600)
    kept.until(lambda: kept.activation.status().trial[:2] not in ("", "0 "))  # type: ignore[union-attr]
    kept.robot.has_engine = False
    kept.tend_for(2.0)
    words = kept.activation.status().trial  # type: ignore[union-attr]
    kept.tend_for(1.1)
    assert kept.activation.status().trial.split(",")[0] == words.split(",")[0]  # type: ignore[union-attr]


def test_time_on_trial_lasts_over_a_restart(tmp_path: Path) -> None:
    kept = KeptRobot(tmp_path)

    def on_trial_s() -> int:
        return int((kept.activation.status().trial.partition(" of 600 s")[0]) or -1)  # type: ignore[union-attr]

    with kept.robot:
        with kept.agent():
            kept.get_ready("1", probation_s=600)
            kept.until(lambda: on_trial_s() >= 2)
            kept.activation.end()
        with kept.agent():
            kept.until(lambda: on_trial_s() >= 0)
            assert on_trial_s() >= 2


def test_a_trial_that_is_steady_forgets_how_often_the_agent_came_back(kept: KeptRobot) -> None:
    kept.get_ready("1", probation_s=3600)
    kept.until(lambda: kept.state is UpdateState.PROBATION)
    kept.runner.recover()
    kept.until(lambda: kept.activation.status().trial != "")  # type: ignore[union-attr]
    assert kept.runner.journal.restarts == 1
    kept.tend()
    kept.activation.look(time.monotonic() + STEADY_S + 1.0)
    assert kept.runner.journal.restarts == 0


def test_records_are_kept_of_the_bundles_in_slots_and_of_no_others(kept: KeptRobot) -> None:
    records = kept.settings.store / "records"
    gone = "f" * 64
    RecordBook(records).write(Record(bundle=gone, crashes=1))
    new = kept.commit("1")
    kept.activation.end()
    assert RecordBook(records).read(new).active_ns > 0
    names = {path.name.partition(".")[0] for path in records.iterdir()}
    assert names <= {kept.digest("0"), new}


def test_a_trial_that_cannot_be_written_down_ends(kept: KeptRobot) -> None:
    kept.robot.changes_over = False
    new = kept.get_ready("1")
    kept.until(lambda: kept.robot.standby == new)
    copies = [kept.settings.root / f"journal.{name}" for name in "ab"]
    for copy in copies:
        copy.rename(copy.with_suffix(copy.suffix + ".aside"))
        copy.mkdir()
    kept.robot.changes_over = True
    kept.tend_for(1.5)
    assert kept.runner.slots.active == Slot()
    for copy in copies:
        copy.rmdir()
        copy.with_suffix(copy.suffix + ".aside").rename(copy)
    kept.until(lambda: kept.state in (UpdateState.PROBATION, UpdateState.IDLE))
    assert kept.robot.served[-1] == (new if kept.state is UpdateState.PROBATION else kept.digest("0"))


def test_a_torn_journal_in_the_middle_of_a_trial_leads_back(tmp_path: Path) -> None:
    kept = KeptRobot(tmp_path)
    with kept.robot:
        with kept.agent():
            kept.get_ready("1", probation_s=600)
            kept.until(lambda: kept.state is UpdateState.PROBATION)
        for name in "ab":
            (kept.settings.root / f"journal.{name}").write_bytes(b"torn")
        with kept.agent():
            kept.until(lambda: kept.state is UpdateState.IDLE)
            assert kept.runner.slots.active == Slot()
            assert kept.robot.served[-1] == kept.digest("0")
            assert kept.runner.journal.reason == "torn_state"


def test_an_engine_that_serves_something_else_is_told_again(kept: KeptRobot) -> None:
    new = kept.commit("1")
    kept.robot.has_engine, kept.robot.boots_instead = False, kept.digest("0")
    kept.tend_for(0.5)
    kept.robot.has_engine = True
    kept.until(lambda: kept.robot.served[-2:] == [kept.digest("0"), new])


def test_a_shipped_bundle_that_cannot_be_read_costs_no_good_one_its_trial(tmp_path: Path) -> None:
    kept = KeptRobot(tmp_path)
    with kept.robot:
        with kept.agent():
            new = kept.get_ready("1", probation_s=2)
            kept.until(lambda: kept.state is UpdateState.PROBATION)
        (tmp_path / "0" / MANIFEST_NAME).rename(tmp_path / "aside.json")
        with kept.agent():
            kept.until(lambda: kept.state is UpdateState.IDLE)
            assert kept.runner.slots.committed == Slot(new, 1)


def test_what_an_agent_before_this_one_was_asked_for_is_not_done_twice(tmp_path: Path) -> None:
    kept = KeptRobot(tmp_path)
    with kept.robot:
        with kept.agent():
            kept.commit("1")
            command = ask(kept, 1)
            kept.until(lambda: answer_to(kept, command) is UpdateResult.DONE)
        with kept.agent():
            kept.until(lambda: answer_to(kept, command) is not None)
            assert answer_to(kept, command) is OtaRefusal.NOT_NOW
            assert kept.runner.slots.active == Slot()


def test_what_is_superseded_at_work_waits_until_the_robot_is_not(tmp_path: Path) -> None:
    kept = KeptRobot(tmp_path, activate="at_rest", probation="episodes_min = 0\nactive_min_s = 0.5")
    kept.robot.state = ControlState.READY
    with kept.robot, kept.agent():
        new = kept.get_ready("1", probation_s=0)
        kept.until(lambda: kept.state is UpdateState.PROBATION)
        kept.robot.state = ControlState.ACTIVE
        while not kept.activity.is_at_work:
            kept.tend()
        kept.shared.superseded.set()
        # For as long as it waits it is not committed either, however well it does.
        kept.until(lambda: kept.activation._trial.observer.record(new).active_ns > 1_000_000_000)
        kept.tend_for(0.6)
        assert kept.state is UpdateState.PROBATION
        kept.robot.state = ControlState.READY
        kept.until(lambda: kept.state is UpdateState.IDLE)
        assert kept.runner.journal.reason == "superseded"


def test_an_end_in_order_is_not_held_against_a_trial(kept: KeptRobot) -> None:
    kept.get_ready("1", probation_s=600)
    kept.until(lambda: kept.state is UpdateState.PROBATION)
    kept.runner.recover()
    assert kept.runner.journal.restarts == 1
    kept.activation.end()
    assert kept.runner.journal.restarts == 0


def test_who_asks_for_a_look_at_the_hub_while_many_others_wait_is_told_so(kept: KeptRobot) -> None:
    now_ns = time.monotonic_ns()
    asked = [UpdateCommand(id=number, kind=UpdateKind.CHECK, stamp_ns=now_ns) for number in range(1, 10)]
    for command in asked:
        kept.activation.take(command, now_ns)
        kept.activation.look(now_ns * 1e-9)
    # No worker is there to take one.
    assert [command.id for command in kept.shared.checks] == list(range(1, 9))
    assert answer_to(kept, asked[8]) is OtaRefusal.BUSY
