"""The table of an update's life: every pair, the limits, and that each way ends where a bundle runs."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.lifecycle.journal import Journal, Update
from edge_runtime.ota.lifecycle.lifecycle import DONE, ENTRY, RESTARTS_MAX, STEPS_MAX, TABLE, Effect, Event, advance

UPDATE = Update("bundles/small/" + "1" * 64 + ".json", "2" * 64, 7, 60)
WAITING = {UpdateState.IDLE, UpdateState.STAGED, UpdateState.READY, UpdateState.PROBATION}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(UpdateState, Event)), ids=str)
def test_every_pair_is_in_the_table_or_refused(state: UpdateState, event: Event) -> None:
    journal = Journal(state, UPDATE, back_to="shipped" if state is UpdateState.ROLLING_BACK else "")
    if (state, event) not in TABLE:
        with pytest.raises(ValueError, match="cannot happen in"):
            advance(journal, event, update=UPDATE)
        return
    step = advance(journal, event, reason="why", back_to="shipped", update=UPDATE)
    assert step.journal.state is TABLE[state, event]
    assert step.effects == (() if event is Event.PAUSED else ENTRY[step.journal.state])
    assert step.journal.back_to == ("shipped" if step.journal.state is UpdateState.ROLLING_BACK else "")


def test_states_and_fields_are_stored_under_strings_that_never_change() -> None:
    assert [state.value for state in UpdateState] == [
        "idle",
        "downloading",
        "verifying",
        "staged",
        "building",
        "golden_check",
        "ready",
        "activating",
        "probation",
        "committed",
        "rolling_back",
        "failed",
    ]
    assert msgspec.json.encode(Journal(UpdateState.GOLDEN_CHECK, UPDATE)) == (
        b'{"state":"golden_check","update":{"release":"bundles/small/' + b"1" * 64 + b'.json","bundle":"' + b"2" * 64
        + b'","release_counter":7,"probation_s":60},"back_to":"","reason":"","restarts":0,"steps":0,'
        b'"refused":{"release":"","bundle":"","release_counter":0,"probation_s":0}}'
    )  # fmt: skip
    assert UPDATE.release_digest == "1" * 64


def test_each_state_works_or_waits_and_comes_back_after_a_restart() -> None:
    for state in UpdateState:
        assert (state in WAITING) == (state not in DONE)
        assert bool(ENTRY[state]) == (state in DONE)
        assert TABLE[state, Event.RESTARTED] is state
        if state in DONE:
            assert (state, DONE[state]) in TABLE


def test_the_whole_way_there() -> None:
    journal = advance(Journal(), Event.ASSIGNED, update=UPDATE).journal
    prepared = [Event.FETCHED, Event.VERIFIED, Event.ADMITTED, Event.BUILT, Event.MATCHED]
    for event in [*prepared, Event.CLEARED, Event.ACTIVATED, Event.PROVEN]:
        assert journal.update == UPDATE
        journal = advance(journal, event).journal
    assert journal.state is UpdateState.COMMITTED
    assert advance(journal, Event.SETTLED).journal == Journal()


def test_a_bundle_runs_at_the_end_of_every_way() -> None:
    """From each state, whatever comes, idle can be reached; and only a proven update passes by a rollback."""
    for state in UpdateState:
        reached, edge = {state}, [state]
        while edge:
            at = edge.pop()
            following = {target for (source, _), target in TABLE.items() if source is at} - reached
            reached |= following
            edge += following
        assert UpdateState.IDLE in reached
    into_committed = {
        pair for pair, target in TABLE.items() if target is UpdateState.COMMITTED and pair[0] is not target
    }
    assert into_committed == {(UpdateState.PROBATION, Event.PROVEN)}
    out_of_trial = {
        target for (state, _), target in TABLE.items() if state in (UpdateState.ACTIVATING, UpdateState.PROBATION)
    } - {
        UpdateState.ACTIVATING,
        UpdateState.PROBATION,
    }
    assert out_of_trial == {UpdateState.COMMITTED, UpdateState.ROLLING_BACK}
    out_of_commit = {target for (state, _), target in TABLE.items() if state is UpdateState.COMMITTED} - {
        UpdateState.COMMITTED
    }
    assert out_of_commit == {UpdateState.IDLE, UpdateState.ROLLING_BACK}


def test_a_person_can_go_back_from_wherever_nobody_is_about_to() -> None:
    leavable = {state for state in UpdateState if (state, Event.ROLLBACK_ASKED) in TABLE}
    assert leavable == set(UpdateState) - {UpdateState.ACTIVATING, UpdateState.ROLLING_BACK}
    assert {TABLE[state, Event.ROLLBACK_ASKED] for state in leavable} == {UpdateState.ROLLING_BACK}
    out_of_commit = {
        event
        for (state, event), to in TABLE.items()
        if (state, to) == (UpdateState.COMMITTED, UpdateState.ROLLING_BACK)
    }
    assert out_of_commit == {Event.ROLLBACK_ASKED}, "and nobody else undoes a commit"


@pytest.mark.parametrize("state", sorted(RESTARTS_MAX, key=str))
def test_endless_restarts_are_the_updates_fault(state: UpdateState) -> None:
    journal = Journal(state, UPDATE)
    for count in range(1, RESTARTS_MAX[state] + 1):
        journal = advance(journal, Event.RESTARTED).journal
        assert (journal.state, journal.restarts) == (state, count)
    journal = advance(journal, Event.RESTARTED, back_to="shipped").journal
    assert journal.state in (UpdateState.FAILED, UpdateState.ROLLING_BACK)
    assert journal.reason == "endless_restarts"
    assert journal.update == UPDATE


def test_a_robot_that_is_switched_off_every_night_still_gets_its_update() -> None:
    for state in set(UpdateState) - set(RESTARTS_MAX):
        journal = Journal(state, UPDATE, steps=1)
        for _ in range(100):
            journal = advance(journal, Event.RESTARTED).journal
        assert journal == Journal(state, UPDATE, steps=1)


def test_a_download_that_never_verifies_is_given_up() -> None:
    journal = advance(Journal(), Event.ASSIGNED, update=UPDATE).journal
    for _ in range(STEPS_MAX):
        journal = advance(journal, Event.FETCHED).journal
        journal = advance(journal, Event.ALTERED).journal
        if journal.state is UpdateState.FAILED:
            break
    assert journal.state is UpdateState.FAILED
    assert journal.reason == "endless_restarts"
    assert journal.refused == UPDATE


def test_what_failed_is_remembered_and_what_was_withdrawn_is_not() -> None:
    failed = advance(Journal(UpdateState.BUILDING, UPDATE), Event.FAILED, reason="no engine").journal
    assert (failed.state, failed.refused, failed.reason) == (UpdateState.FAILED, UPDATE, "no engine")
    idle = advance(failed, Event.SETTLED).journal
    assert idle == Journal(reason="no engine", refused=UPDATE)
    assert advance(idle, Event.ASSIGNED, update=UPDATE).journal.refused == UPDATE
    withdrawn = advance(Journal(UpdateState.STAGED, UPDATE), Event.WITHDRAWN, reason="withdrawn").journal
    assert withdrawn.refused == Update()


def test_the_reason_of_a_rollback_is_still_known_in_the_end() -> None:
    back = advance(Journal(UpdateState.PROBATION, UPDATE), Event.FAILED, reason="crashes", back_to="shipped").journal
    assert (back.reason, back.back_to, back.update) == ("crashes", "shipped", UPDATE)
    failed = advance(back, Event.RETURNED).journal
    assert (failed.reason, failed.back_to, failed.refused) == ("crashes", "", UPDATE)
    assert advance(failed, Event.SETTLED).journal.reason == "crashes"


def test_an_assignment_needs_an_update() -> None:
    with pytest.raises(ValueError, match="without an update"):
        advance(Journal(), Event.ASSIGNED)


def test_what_misbehaves_is_taken_off_before_the_pointer_is_written() -> None:
    assert ENTRY[UpdateState.ROLLING_BACK] == (Effect.SERVE, Effect.POINT_BACK)


def test_only_a_bundle_that_was_checked_is_put_on_trial() -> None:
    assert {source for (source, _), target in TABLE.items() if target is UpdateState.READY} == {
        UpdateState.GOLDEN_CHECK,
        UpdateState.READY,
    }
    assert {pair for pair, target in TABLE.items() if target is UpdateState.ACTIVATING and pair[0] is not target} == {
        (UpdateState.READY, Event.CLEARED)
    }


@pytest.mark.parametrize("state", [state for state in UpdateState if state.gives_way])
def test_what_is_being_prepared_gives_way(state: UpdateState) -> None:
    other = msgspec.structs.replace(UPDATE, release_counter=8)
    begun = advance(Journal(state, UPDATE, reason="no_space", steps=4), Event.ASSIGNED, update=other).journal
    assert begun == Journal(UpdateState.DOWNLOADING, other, steps=1)
    assert advance(Journal(state, UPDATE), Event.WITHDRAWN).journal.state is UpdateState.FAILED


@pytest.mark.parametrize("state", [UpdateState.VERIFYING, UpdateState.BUILDING, UpdateState.GOLDEN_CHECK])
def test_an_end_in_order_is_no_death(state: UpdateState) -> None:
    """A check that is cut short by a shutdown, every evening, is not what ends the process."""
    journal = Journal(state, UPDATE)
    for _ in range(100):
        journal = advance(journal, Event.PAUSED, reason="not_now").journal
        step = advance(journal, Event.RESTARTED)
        assert step == (Journal(state, UPDATE), ENTRY[state])
        journal = step.journal
    assert advance(journal, Event.RESTARTED).journal.restarts == 1


def test_a_trial_that_is_steady_begins_counting_anew() -> None:
    journal = Journal(UpdateState.PROBATION, UPDATE)
    for _ in range(100):
        journal = advance(journal, Event.RESTARTED).journal
        assert journal.restarts == 1
        journal = advance(journal, Event.STEADY).journal
    assert journal == Journal(UpdateState.PROBATION, UPDATE)


def test_what_holds_up_a_rollback_does_not_hide_why_it_goes_back() -> None:
    back = Journal(UpdateState.ROLLING_BACK, UPDATE, "shipped", "crashes")
    assert advance(back, Event.PAUSED, reason="no_space").journal == back
