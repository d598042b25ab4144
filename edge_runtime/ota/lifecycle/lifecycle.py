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
from edge_runtime.ota.lifecycle.journal import Journal, State, Update


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


TABLE: dict[tuple[State, Event], State] = {
    (State.IDLE, Event.ASSIGNED): State.DOWNLOADING,
    (State.IDLE, Event.ROLLBACK_ASKED): State.ROLLING_BACK,
    (State.IDLE, Event.RESTARTED): State.IDLE,
    (State.DOWNLOADING, Event.FETCHED): State.VERIFYING,
    (State.DOWNLOADING, Event.ASSIGNED): State.DOWNLOADING,
    (State.DOWNLOADING, Event.WITHDRAWN): State.FAILED,
    (State.DOWNLOADING, Event.ROLLBACK_ASKED): State.ROLLING_BACK,
    (State.DOWNLOADING, Event.PAUSED): State.DOWNLOADING,
    (State.DOWNLOADING, Event.RESUMED): State.DOWNLOADING,
    (State.DOWNLOADING, Event.RESTARTED): State.DOWNLOADING,
    (State.VERIFYING, Event.VERIFIED): State.STAGED,
    (State.VERIFYING, Event.ALTERED): State.DOWNLOADING,
    (State.VERIFYING, Event.ASSIGNED): State.DOWNLOADING,
    (State.VERIFYING, Event.FAILED): State.FAILED,
    (State.VERIFYING, Event.WITHDRAWN): State.FAILED,
    (State.VERIFYING, Event.ROLLBACK_ASKED): State.ROLLING_BACK,
    (State.VERIFYING, Event.ENDLESS): State.FAILED,
    (State.VERIFYING, Event.PAUSED): State.VERIFYING,
    (State.VERIFYING, Event.RESUMED): State.VERIFYING,
    (State.VERIFYING, Event.RESTARTED): State.VERIFYING,
    (State.STAGED, Event.ADMITTED): State.BUILDING,
    (State.STAGED, Event.ASSIGNED): State.DOWNLOADING,
    (State.STAGED, Event.FAILED): State.FAILED,
    (State.STAGED, Event.WITHDRAWN): State.FAILED,
    (State.STAGED, Event.ROLLBACK_ASKED): State.ROLLING_BACK,
    (State.STAGED, Event.RESTARTED): State.STAGED,
    (State.BUILDING, Event.BUILT): State.GOLDEN_CHECK,
    (State.BUILDING, Event.ASSIGNED): State.DOWNLOADING,
    (State.BUILDING, Event.FAILED): State.FAILED,
    (State.BUILDING, Event.WITHDRAWN): State.FAILED,
    (State.BUILDING, Event.ROLLBACK_ASKED): State.ROLLING_BACK,
    (State.BUILDING, Event.ENDLESS): State.FAILED,
    (State.BUILDING, Event.PAUSED): State.BUILDING,
    (State.BUILDING, Event.RESUMED): State.BUILDING,
    (State.BUILDING, Event.RESTARTED): State.BUILDING,
    (State.GOLDEN_CHECK, Event.MATCHED): State.READY,
    (State.GOLDEN_CHECK, Event.ASSIGNED): State.DOWNLOADING,
    (State.GOLDEN_CHECK, Event.FAILED): State.FAILED,
    (State.GOLDEN_CHECK, Event.WITHDRAWN): State.FAILED,
    (State.GOLDEN_CHECK, Event.ROLLBACK_ASKED): State.ROLLING_BACK,
    (State.GOLDEN_CHECK, Event.ENDLESS): State.FAILED,
    (State.GOLDEN_CHECK, Event.PAUSED): State.GOLDEN_CHECK,
    (State.GOLDEN_CHECK, Event.RESUMED): State.GOLDEN_CHECK,
    (State.GOLDEN_CHECK, Event.RESTARTED): State.GOLDEN_CHECK,
    (State.READY, Event.CLEARED): State.ACTIVATING,
    (State.READY, Event.ASSIGNED): State.DOWNLOADING,
    (State.READY, Event.FAILED): State.FAILED,
    (State.READY, Event.WITHDRAWN): State.FAILED,
    (State.READY, Event.ROLLBACK_ASKED): State.ROLLING_BACK,
    (State.READY, Event.RESTARTED): State.READY,
    (State.ACTIVATING, Event.ACTIVATED): State.PROBATION,
    (State.ACTIVATING, Event.FAILED): State.ROLLING_BACK,
    (State.ACTIVATING, Event.ENDLESS): State.ROLLING_BACK,
    (State.ACTIVATING, Event.RESTARTED): State.ACTIVATING,
    (State.PROBATION, Event.PROVEN): State.COMMITTED,
    (State.PROBATION, Event.FAILED): State.ROLLING_BACK,
    (State.PROBATION, Event.ROLLBACK_ASKED): State.ROLLING_BACK,
    (State.PROBATION, Event.ENDLESS): State.ROLLING_BACK,
    (State.PROBATION, Event.STEADY): State.PROBATION,
    (State.PROBATION, Event.RESTARTED): State.PROBATION,
    (State.COMMITTED, Event.SETTLED): State.IDLE,
    (State.COMMITTED, Event.ROLLBACK_ASKED): State.ROLLING_BACK,
    (State.COMMITTED, Event.PAUSED): State.COMMITTED,
    (State.COMMITTED, Event.RESUMED): State.COMMITTED,
    (State.COMMITTED, Event.RESTARTED): State.COMMITTED,
    (State.ROLLING_BACK, Event.RETURNED): State.FAILED,
    (State.ROLLING_BACK, Event.PAUSED): State.ROLLING_BACK,
    (State.ROLLING_BACK, Event.RESUMED): State.ROLLING_BACK,
    (State.ROLLING_BACK, Event.RESTARTED): State.ROLLING_BACK,
    (State.FAILED, Event.SETTLED): State.IDLE,
    (State.FAILED, Event.ROLLBACK_ASKED): State.ROLLING_BACK,
    (State.FAILED, Event.PAUSED): State.FAILED,
    (State.FAILED, Event.RESUMED): State.FAILED,
    (State.FAILED, Event.RESTARTED): State.FAILED,
}

ENTRY: dict[State, tuple[Effect, ...]] = {
    State.IDLE: (),
    State.DOWNLOADING: (Effect.FETCH,),
    State.VERIFYING: (Effect.VERIFY,),
    State.STAGED: (),
    State.BUILDING: (Effect.BUILD,),
    State.GOLDEN_CHECK: (Effect.GOLDEN_CHECK,),
    State.READY: (),
    State.ACTIVATING: (Effect.POINT, Effect.SERVE),
    State.PROBATION: (),
    State.COMMITTED: (Effect.COMMIT, Effect.COLLECT),
    # What misbehaves is taken off the robot first; the pointer follows.
    State.ROLLING_BACK: (Effect.SERVE, Effect.POINT_BACK),
    State.FAILED: (Effect.DISCARD, Effect.COLLECT),
}

DONE: dict[State, Event] = {
    State.DOWNLOADING: Event.FETCHED,
    State.VERIFYING: Event.VERIFIED,
    State.BUILDING: Event.BUILT,
    State.GOLDEN_CHECK: Event.MATCHED,
    State.ACTIVATING: Event.ACTIVATED,
    State.COMMITTED: Event.SETTLED,
    State.ROLLING_BACK: Event.RETURNED,
    State.FAILED: Event.SETTLED,
}
"""What it means that the effects of a state are done. A state that is not here waits for somebody."""

RESTARTS_MAX: dict[State, int] = {
    State.VERIFYING: 5,
    State.BUILDING: 5,
    State.GOLDEN_CHECK: 5,
    State.ACTIVATING: 3,
    State.PROBATION: 5,
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
        return Step(replace(journal, reason=reason if journal.state is not State.ROLLING_BACK else journal.reason), ())
    if event is Event.ASSIGNED:
        if update is None:
            raise ValueError("assigned without an update")
        return Step(Journal(target, update, steps=1, refused=journal.refused), ENTRY[target])
    if target is journal.state:
        restarts = 0 if event is Event.STEADY else journal.restarts + died
        kept = "" if restarts_max is not None else journal.reason
        return Step(replace(journal, reason=kept, restarts=restarts), ENTRY[target])
    if target is State.IDLE:
        reason = journal.reason if journal.state is State.FAILED else ""
        return Step(Journal(reason=reason, refused=journal.refused), ENTRY[target])
    given_up = target is State.FAILED and event is not Event.WITHDRAWN
    return Step(
        Journal(
            state=target,
            update=update or journal.update,
            back_to=back_to if target is State.ROLLING_BACK else "",
            reason=reason or (journal.reason if target is State.FAILED else ""),
            steps=journal.steps + 1,
            refused=journal.update if given_up else journal.refused,
        ),
        ENTRY[target],
    )
