"""The life of one update as one literal table: values in, the next record of the journal and what to do about it out.

Guarantees: a pair that is not in the table raises and changes nothing; entering a state always asks for the same
effects, so that coming back after a power cut is entering it again; no state can be entered for ever but those that
only wait or only lead to a bundle that is known to be good.
Refuses to know disk, network, clock and engine. Trusts the effects to be repeatable.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from msgspec.structs import replace

from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.lifecycle.journal import Journal, Update


class Event(str, Enum):
    """What happened to an update."""

    ASSIGNED = "assigned"
    FETCHED = "fetched"
    PAUSED = "paused"
    VERIFIED = "verified"
    ALTERED = "altered"
    ADMITTED = "admitted"
    BUILT = "built"
    MATCHED = "matched"
    CLEARED = "cleared"
    ACTIVATED = "activated"
    PROVEN = "proven"
    SETTLED = "settled"
    RETURNED = "returned"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    ROLLBACK_ASKED = "rollback_asked"
    RESUMED = "resumed"
    RESTARTED = "restarted"
    STEADY = "steady"
    ENDLESS = "endless"

    def __str__(self) -> str:
        return self.value


class Effect(str, Enum):
    """What has to be done on entering a state. Doing one again after it was done, or half done, gives the same."""

    FETCH = "fetch"
    VERIFY = "verify"
    BUILD = "build"
    GOLDEN_CHECK = "golden_check"
    POINT = "point"
    SERVE = "serve"
    COMMIT = "commit"
    POINT_BACK = "point_back"
    DISCARD = "discard"
    COLLECT = "collect"


TABLE: dict[tuple[UpdateState, Event], UpdateState] = {
    (UpdateState.IDLE, Event.ASSIGNED): UpdateState.DOWNLOADING,
    (UpdateState.IDLE, Event.ROLLBACK_ASKED): UpdateState.ROLLING_BACK,
    (UpdateState.IDLE, Event.RESTARTED): UpdateState.IDLE,
    (UpdateState.DOWNLOADING, Event.FETCHED): UpdateState.VERIFYING,
    (UpdateState.DOWNLOADING, Event.ASSIGNED): UpdateState.DOWNLOADING,
    (UpdateState.DOWNLOADING, Event.WITHDRAWN): UpdateState.FAILED,
    (UpdateState.DOWNLOADING, Event.ROLLBACK_ASKED): UpdateState.ROLLING_BACK,
    (UpdateState.DOWNLOADING, Event.PAUSED): UpdateState.DOWNLOADING,
    (UpdateState.DOWNLOADING, Event.RESUMED): UpdateState.DOWNLOADING,
    (UpdateState.DOWNLOADING, Event.RESTARTED): UpdateState.DOWNLOADING,
    (UpdateState.VERIFYING, Event.VERIFIED): UpdateState.STAGED,
    (UpdateState.VERIFYING, Event.ALTERED): UpdateState.DOWNLOADING,
    (UpdateState.VERIFYING, Event.ASSIGNED): UpdateState.DOWNLOADING,
    (UpdateState.VERIFYING, Event.FAILED): UpdateState.FAILED,
    (UpdateState.VERIFYING, Event.WITHDRAWN): UpdateState.FAILED,
    (UpdateState.VERIFYING, Event.ROLLBACK_ASKED): UpdateState.ROLLING_BACK,
    (UpdateState.VERIFYING, Event.ENDLESS): UpdateState.FAILED,
    (UpdateState.VERIFYING, Event.PAUSED): UpdateState.VERIFYING,
    (UpdateState.VERIFYING, Event.RESUMED): UpdateState.VERIFYING,
    (UpdateState.VERIFYING, Event.RESTARTED): UpdateState.VERIFYING,
    (UpdateState.STAGED, Event.ADMITTED): UpdateState.BUILDING,
    (UpdateState.STAGED, Event.ASSIGNED): UpdateState.DOWNLOADING,
    (UpdateState.STAGED, Event.FAILED): UpdateState.FAILED,
    (UpdateState.STAGED, Event.WITHDRAWN): UpdateState.FAILED,
    (UpdateState.STAGED, Event.ROLLBACK_ASKED): UpdateState.ROLLING_BACK,
    (UpdateState.STAGED, Event.RESTARTED): UpdateState.STAGED,
    (UpdateState.BUILDING, Event.BUILT): UpdateState.GOLDEN_CHECK,
    (UpdateState.BUILDING, Event.ASSIGNED): UpdateState.DOWNLOADING,
    (UpdateState.BUILDING, Event.FAILED): UpdateState.FAILED,
    (UpdateState.BUILDING, Event.WITHDRAWN): UpdateState.FAILED,
    (UpdateState.BUILDING, Event.ROLLBACK_ASKED): UpdateState.ROLLING_BACK,
    (UpdateState.BUILDING, Event.ENDLESS): UpdateState.FAILED,
    (UpdateState.BUILDING, Event.PAUSED): UpdateState.BUILDING,
    (UpdateState.BUILDING, Event.RESUMED): UpdateState.BUILDING,
    (UpdateState.BUILDING, Event.RESTARTED): UpdateState.BUILDING,
    (UpdateState.GOLDEN_CHECK, Event.MATCHED): UpdateState.READY,
    (UpdateState.GOLDEN_CHECK, Event.ASSIGNED): UpdateState.DOWNLOADING,
    (UpdateState.GOLDEN_CHECK, Event.FAILED): UpdateState.FAILED,
    (UpdateState.GOLDEN_CHECK, Event.WITHDRAWN): UpdateState.FAILED,
    (UpdateState.GOLDEN_CHECK, Event.ROLLBACK_ASKED): UpdateState.ROLLING_BACK,
    (UpdateState.GOLDEN_CHECK, Event.ENDLESS): UpdateState.FAILED,
    (UpdateState.GOLDEN_CHECK, Event.PAUSED): UpdateState.GOLDEN_CHECK,
    (UpdateState.GOLDEN_CHECK, Event.RESUMED): UpdateState.GOLDEN_CHECK,
    (UpdateState.GOLDEN_CHECK, Event.RESTARTED): UpdateState.GOLDEN_CHECK,
    (UpdateState.READY, Event.CLEARED): UpdateState.ACTIVATING,
    (UpdateState.READY, Event.ASSIGNED): UpdateState.DOWNLOADING,
    (UpdateState.READY, Event.FAILED): UpdateState.FAILED,
    (UpdateState.READY, Event.WITHDRAWN): UpdateState.FAILED,
    (UpdateState.READY, Event.ROLLBACK_ASKED): UpdateState.ROLLING_BACK,
    (UpdateState.READY, Event.RESTARTED): UpdateState.READY,
    (UpdateState.ACTIVATING, Event.ACTIVATED): UpdateState.PROBATION,
    (UpdateState.ACTIVATING, Event.FAILED): UpdateState.ROLLING_BACK,
    (UpdateState.ACTIVATING, Event.ENDLESS): UpdateState.ROLLING_BACK,
    (UpdateState.ACTIVATING, Event.RESTARTED): UpdateState.ACTIVATING,
    (UpdateState.PROBATION, Event.PROVEN): UpdateState.COMMITTED,
    (UpdateState.PROBATION, Event.FAILED): UpdateState.ROLLING_BACK,
    (UpdateState.PROBATION, Event.ROLLBACK_ASKED): UpdateState.ROLLING_BACK,
    (UpdateState.PROBATION, Event.ENDLESS): UpdateState.ROLLING_BACK,
    (UpdateState.PROBATION, Event.STEADY): UpdateState.PROBATION,
    (UpdateState.PROBATION, Event.RESTARTED): UpdateState.PROBATION,
    (UpdateState.COMMITTED, Event.SETTLED): UpdateState.IDLE,
    (UpdateState.COMMITTED, Event.ROLLBACK_ASKED): UpdateState.ROLLING_BACK,
    (UpdateState.COMMITTED, Event.PAUSED): UpdateState.COMMITTED,
    (UpdateState.COMMITTED, Event.RESUMED): UpdateState.COMMITTED,
    (UpdateState.COMMITTED, Event.RESTARTED): UpdateState.COMMITTED,
    (UpdateState.ROLLING_BACK, Event.RETURNED): UpdateState.FAILED,
    (UpdateState.ROLLING_BACK, Event.PAUSED): UpdateState.ROLLING_BACK,
    (UpdateState.ROLLING_BACK, Event.RESUMED): UpdateState.ROLLING_BACK,
    (UpdateState.ROLLING_BACK, Event.RESTARTED): UpdateState.ROLLING_BACK,
    (UpdateState.FAILED, Event.SETTLED): UpdateState.IDLE,
    (UpdateState.FAILED, Event.ROLLBACK_ASKED): UpdateState.ROLLING_BACK,
    (UpdateState.FAILED, Event.PAUSED): UpdateState.FAILED,
    (UpdateState.FAILED, Event.RESUMED): UpdateState.FAILED,
    (UpdateState.FAILED, Event.RESTARTED): UpdateState.FAILED,
}

ENTRY: dict[UpdateState, tuple[Effect, ...]] = {
    UpdateState.IDLE: (),
    UpdateState.DOWNLOADING: (Effect.FETCH,),
    UpdateState.VERIFYING: (Effect.VERIFY,),
    UpdateState.STAGED: (),
    UpdateState.BUILDING: (Effect.BUILD,),
    UpdateState.GOLDEN_CHECK: (Effect.GOLDEN_CHECK,),
    UpdateState.READY: (),
    UpdateState.ACTIVATING: (Effect.POINT, Effect.SERVE),
    UpdateState.PROBATION: (),
    UpdateState.COMMITTED: (Effect.COMMIT, Effect.COLLECT),
    # What misbehaves is taken off the robot first; the pointer follows.
    UpdateState.ROLLING_BACK: (Effect.SERVE, Effect.POINT_BACK),
    UpdateState.FAILED: (Effect.DISCARD, Effect.COLLECT),
}

DONE: dict[UpdateState, Event] = {
    UpdateState.DOWNLOADING: Event.FETCHED,
    UpdateState.VERIFYING: Event.VERIFIED,
    UpdateState.BUILDING: Event.BUILT,
    UpdateState.GOLDEN_CHECK: Event.MATCHED,
    UpdateState.ACTIVATING: Event.ACTIVATED,
    UpdateState.COMMITTED: Event.SETTLED,
    UpdateState.ROLLING_BACK: Event.RETURNED,
    UpdateState.FAILED: Event.SETTLED,
}
"""What it means that the effects of a state are done. A state that is not here waits for somebody."""

RESTARTS_MAX: dict[UpdateState, int] = {
    UpdateState.VERIFYING: 5,
    UpdateState.BUILDING: 5,
    UpdateState.GOLDEN_CHECK: 5,
    UpdateState.ACTIVATING: 3,
    UpdateState.PROBATION: 5,
}
"""How often a process may come back in a state before the update is taken for the cause. No limit where it is not to
blame (weeks of downloading with a robot that is switched off every night) or where giving up leads nowhere better. An
end that was in order, after a pause, is not counted; and a trial that has been steady for a while begins anew."""

STEPS_MAX = 12
"""A download that verifies as altered after as many transitions is given up."""


class Step(NamedTuple):
    """Outcome of an event: persist `journal`, then do `effects`, in order."""

    journal: Journal
    effects: tuple[Effect, ...]


def advance(
    journal: Journal, event: Event, *, reason: str = "", back_to: str = "", update: Update | None = None
) -> Step:
    """What follows from `event`.

    Args:
        journal: as persisted.
        event: what happened.
        reason: why, for `FAILED`, `PAUSED`, `WITHDRAWN` and `ROLLBACK_ASKED`.
        back_to: the bundle to return to, for every event that may lead to rolling back.
        update: the new one, for `ASSIGNED`; the one that is left, for `ROLLBACK_ASKED`.

    Raises:
        ValueError: the table has no such pair, or `ASSIGNED` comes without an update.
    """
    restarts_max = RESTARTS_MAX.get(journal.state)
    died = event is Event.RESTARTED and restarts_max is not None and not journal.reason
    if (died and journal.restarts >= (restarts_max or 0)) or (event is Event.ALTERED and journal.steps >= STEPS_MAX):
        event, reason = Event.ENDLESS, str(OtaRefusal.ENDLESS_RESTARTS)
    target = TABLE.get((journal.state, event))
    if target is None:
        raise ValueError(f"{event} cannot happen in {journal.state}")
    if event is Event.PAUSED:
        # Why it goes back is what people will ask, not what held it up.
        return Step(
            replace(journal, reason=reason if journal.state is not UpdateState.ROLLING_BACK else journal.reason), ()
        )
    if event is Event.ASSIGNED:
        if update is None:
            raise ValueError("assigned without an update")
        return Step(Journal(target, update, steps=1, refused=journal.refused), ENTRY[target])
    if target is journal.state:
        restarts = 0 if event is Event.STEADY else journal.restarts + died
        kept = "" if restarts_max is not None else journal.reason
        return Step(replace(journal, reason=kept, restarts=restarts), ENTRY[target])
    if target is UpdateState.IDLE:
        reason = journal.reason if journal.state is UpdateState.FAILED else ""
        return Step(Journal(reason=reason, refused=journal.refused), ENTRY[target])
    given_up = target is UpdateState.FAILED and event is not Event.WITHDRAWN
    return Step(
        Journal(
            state=target,
            update=update or journal.update,
            back_to=back_to if target is UpdateState.ROLLING_BACK else "",
            reason=reason or (journal.reason if target is UpdateState.FAILED else ""),
            steps=journal.steps + 1,
            refused=journal.update if given_up else journal.refused,
        ),
        ENTRY[target],
    )
