"""Where the life cycle's numbers and words begin and end: what is counted, by what, and what a record keeps of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.lifecycle.journal import Journal, Update
from edge_runtime.ota.lifecycle.lifecycle import RESTARTS_MAX, STEPS_MAX, Event, advance

UPDATE = Update("bundles/toy/" + "1" * 64 + ".json", "2" * 64, 7)


@dataclass(frozen=True)
class Going:
    """A journal in `state`, and what becomes of it."""

    state: UpdateState
    reason: str = ""
    restarts: int = 0
    steps: int = 1

    def after(self, event: Event, **said: object) -> Journal:
        before = Journal(self.state, UPDATE, reason=self.reason, restarts=self.restarts, steps=self.steps)
        return advance(before, event, **said).journal  # type: ignore[arg-type]


@pytest.mark.parametrize("state", RESTARTS_MAX)
def test_only_a_restart_that_was_no_pause_counts_as_one(state: UpdateState) -> None:
    most = RESTARTS_MAX[state]
    assert Going(state, restarts=most - 1).after(Event.RESTARTED).restarts == most
    assert Going(state, restarts=most).after(Event.RESTARTED).state is not state
    held_up = Going(state, restarts=most, reason="no_space").after(Event.RESTARTED)
    assert (held_up.state, held_up.restarts, held_up.reason) == (state, most, "")


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (UpdateState.VERIFYING, Event.VERIFIED, UpdateState.STAGED),
        (UpdateState.BUILDING, Event.BUILT, UpdateState.GOLDEN_CHECK),
        (UpdateState.BUILDING, Event.RESUMED, UpdateState.BUILDING),
        (UpdateState.ACTIVATING, Event.ACTIVATED, UpdateState.PROBATION),
        (UpdateState.PROBATION, Event.PROVEN, UpdateState.COMMITTED),
    ],
)
def test_what_succeeds_at_the_last_try_has_succeeded(state: UpdateState, event: Event, after: UpdateState) -> None:
    most = RESTARTS_MAX[state]
    went_on = Going(state, restarts=most, steps=STEPS_MAX).after(event)
    assert (went_on.state, went_on.reason) == (after, "")
    assert went_on.restarts == (most if after is state else 0)


def test_a_download_is_verified_so_many_times() -> None:
    again = Going(UpdateState.VERIFYING, steps=STEPS_MAX - 1).after(Event.ALTERED)
    assert (again.state, again.steps, again.reason) == (UpdateState.DOWNLOADING, STEPS_MAX, "")
    over = Going(UpdateState.VERIFYING, steps=STEPS_MAX).after(Event.ALTERED)
    assert (over.state, over.reason) == (UpdateState.FAILED, "endless_restarts")


def test_a_reason_is_kept_as_long_as_it_says_something() -> None:
    assert Going(UpdateState.DOWNLOADING, reason="no_space").after(Event.RESTARTED).reason == "no_space"
    assert Going(UpdateState.DOWNLOADING, reason="no_space").after(Event.FETCHED).reason == ""
    assert Going(UpdateState.COMMITTED, reason="no_space").after(Event.SETTLED).reason == ""
    assert Going(UpdateState.FAILED, reason="golden_mismatch").after(Event.SETTLED).reason == "golden_mismatch"
    assert Going(UpdateState.ROLLING_BACK, reason="probation").after(Event.RETURNED).reason == "probation"


def test_a_rollback_names_what_it_leaves_and_where_it_goes() -> None:
    assert Going(UpdateState.PROBATION).after(Event.FAILED).back_to == ""
    assert Going(UpdateState.PROBATION).after(Event.FAILED, back_to="a" * 64).back_to == "a" * 64
    assert Going(UpdateState.PROBATION).after(Event.PROVEN, back_to="a" * 64).back_to == ""
    left = replace(UPDATE, release_counter=6)
    assert advance(Journal(), Event.ROLLBACK_ASKED, back_to="a" * 64, update=left).journal.update == left
