"""What the engine should have, by pointer and journal, and when it is taken to have it. Values only."""

from __future__ import annotations

import pytest

from edge_runtime.bundles.slots import SHIPPED, Slot, Slots
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.ota.lifecycle.desired_policy import (
    ALIVE_NS,
    ASK_AGAIN_BESIDE_NS,
    ASK_AGAIN_NS,
    DesiredPolicy,
    Standing,
    acting,
    wanted,
)
from edge_runtime.ota.lifecycle.journal import Journal, Update

A, B, C, D = (Slot(letter * 64, number) for number, letter in enumerate("abcd", 1))
UPDATE = Update("bundles/small/x.json", D.bundle, 4)
SETTLED = Slots(active=B, committed=B, previous=A)
ON_TRIAL = Slots(active=D, committed=B, previous=A, staged=D)
SHIPPED_DIGEST = "0" * 64


def digest_of(slot: Slot) -> str:
    return SHIPPED_DIGEST if slot.bundle == SHIPPED else slot.bundle


def status(order_id: int, serving: Slot, *, standby: str = "", failed: str = "", problem: str = "") -> PolicyStatus:
    return PolicyStatus(
        stamp_ns=0,
        pid=1,
        order_id=order_id,
        serving=serving.bundle,
        serving_since_ns=0,
        standby=standby,
        failed=failed,
        problem=problem,
    )


@pytest.mark.parametrize(
    ("slots", "journal", "serve", "standby"),
    [
        (Slots(), Journal(), SHIPPED_DIGEST, ""),
        (SETTLED, Journal(), B.bundle, A.bundle),
        (Slots(active=B, committed=B, previous=Slot()), Journal(), B.bundle, SHIPPED_DIGEST),
        (SETTLED.with_staged(D), Journal(UpdateState.BUILDING, UPDATE), B.bundle, A.bundle),
        (SETTLED.with_staged(D), Journal(UpdateState.READY, UPDATE), B.bundle, D.bundle),
        (ON_TRIAL, Journal(UpdateState.ACTIVATING, UPDATE), D.bundle, B.bundle),
        (ON_TRIAL, Journal(UpdateState.PROBATION, UPDATE), D.bundle, B.bundle),
        (ON_TRIAL, Journal(UpdateState.COMMITTED, UPDATE), D.bundle, B.bundle),
        (ON_TRIAL, Journal(UpdateState.ROLLING_BACK, UPDATE, back_to=B.bundle), B.bundle, ""),
        (SETTLED, Journal(UpdateState.ROLLING_BACK, UPDATE, back_to=A.bundle), A.bundle, ""),
        # The same bundle under another counter: there is nothing to keep beside it.
        (Slots(active=Slot(B.bundle, 9), committed=B, previous=A), Journal(UpdateState.PROBATION), B.bundle, ""),
    ],
)
def test_whatever_comes_next_is_warm(slots: Slots, journal: Journal, serve: str, standby: str) -> None:
    assert wanted(slots, journal, digest_of) == (serve, standby)


def test_ids_grow_with_each_change_of_mind_and_with_nothing_else() -> None:
    orders = DesiredPolicy()
    orders.want(A.bundle, "", 10)
    first = orders.order
    orders.want(A.bundle, "", 20)
    assert orders.order is first
    orders.want(A.bundle, B.bundle, 30)
    assert orders.order is not None
    assert (orders.order.id, orders.order.standby) == (30, B.bundle)
    orders.want("", "", 40)
    assert orders.order is None, "where the shipped bundle cannot be read there is nothing to order"


def test_an_engine_obeys_when_it_has_heard_this_order_and_does_it() -> None:
    orders = DesiredPolicy()
    orders.want(B.bundle, A.bundle, 10)
    assert orders.standing(10) is Standing.ABSENT
    orders.take(status(9, B), 20)
    assert orders.standing(20) is Standing.UNDER_WAY, "it does, but nobody told it"
    orders.take(status(10, A), 30)
    assert orders.standing(30) is Standing.UNDER_WAY
    orders.take(status(10, B), 40)
    assert orders.standing(40) is Standing.OBEYED
    assert orders.standing_beside(40) is Standing.UNDER_WAY
    orders.take(status(10, B, standby=A.bundle), 50)
    assert orders.standing_beside(50) is Standing.OBEYED
    assert orders.standing(50 + ALIVE_NS) is Standing.ABSENT
    assert orders.engine(50 + ALIVE_NS) is None


def test_what_cannot_be_loaded_is_refused() -> None:
    orders = DesiredPolicy()
    orders.want(B.bundle, A.bundle, 10)
    orders.take(status(10, C, failed=A.bundle, problem="torn"), 20)
    assert (orders.standing(20), orders.standing_beside(20)) == (Standing.UNDER_WAY, Standing.REFUSED)
    assert orders.problem() == "torn"
    orders.want(B.bundle, A.bundle, 30)
    assert orders.order is not None
    assert orders.order.id == 10


@pytest.mark.parametrize(("failed", "after_ns"), [(A, ASK_AGAIN_BESIDE_NS), (B, ASK_AGAIN_NS)])
def test_what_acts_is_asked_for_again_sooner_than_what_waits(failed: Slot, after_ns: int) -> None:
    orders = DesiredPolicy()
    orders.want(B.bundle, A.bundle, 10)
    for now_ns, order_id in ((10 + after_ns - 1, 10), (10 + after_ns, 10 + after_ns)):
        orders.take(status(10, C, failed=failed.bundle), now_ns)
        orders.want(B.bundle, A.bundle, now_ns)
        assert orders.order is not None
        assert orders.order.id == order_id


def test_what_acts_is_what_the_engine_says() -> None:
    assert acting(ON_TRIAL, None, digest_of) == D
    assert acting(ON_TRIAL, status(1, B), digest_of) == B
    assert acting(Slots(), PolicyStatus(0, 1, 1, SHIPPED_DIGEST, 0), digest_of) == Slot()
    assert acting(Slots(), status(1, C), digest_of) == Slot(C.bundle, 0), "a bundle that no slot names has no counter"


def loading(pid: int, bundle: str) -> PolicyStatus:
    return PolicyStatus(0, pid, 10, serving=B.bundle, serving_since_ns=0, loading=bundle)


def test_a_standby_that_no_engine_survives_is_not_ordered_again() -> None:
    orders = DesiredPolicy()
    for pid in (1, 2, 3):
        orders.want(B.bundle, A.bundle, 10)
        assert orders.order is not None
        assert orders.order.standby == A.bundle
        orders.take(loading(pid, A.bundle), 20)
    orders.want(B.bundle, A.bundle, 30)
    assert (orders.order.serve, orders.order.standby) == (B.bundle, "")
    assert orders.standing_beside(30) is Standing.REFUSED
    assert orders.problem() == "2 engines ended while they loaded it"
    orders.want(B.bundle, D.bundle, 40)
    assert orders.order.standby == D.bundle
    assert orders.standing_beside(40) is Standing.UNDER_WAY


def test_an_engine_that_was_restarted_once_meanwhile_is_asked_again() -> None:
    orders = DesiredPolicy()
    orders.want(B.bundle, A.bundle, 10)
    for pid in (7, 1):
        orders.take(loading(pid, A.bundle), 20)
    orders.take(status(10, B, standby=A.bundle), 30)
    orders.take(loading(1, A.bundle), 40)
    orders.take(loading(5, ""), 50)
    orders.want(B.bundle, A.bundle, 60)
    assert orders.order is not None
    assert orders.order.standby == A.bundle
