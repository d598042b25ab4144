"""When an engine is taken to have done what it was ordered to, and when no longer waited for. Values only."""

from __future__ import annotations

import pytest

from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.ota.lifecycle.changeover import NO_ENGINE, Changeover, Limits
from edge_runtime.ota.lifecycle.desired_policy import DesiredPolicy

OLD, NEW = "a" * 64, "b" * 64
S = 1_000_000_000


class Watched:
    """An order, and an engine that says what it is told to."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.now_ns = 100 * S
        self.orders = DesiredPolicy()
        self.changeover = Changeover(self.orders, lambda: self.now_ns, limits or Limits())

    def hear(self, serving: str, *, failed: str = "") -> None:
        """The engine has heard the newest order."""
        assert self.orders.order is not None
        status = PolicyStatus(
            stamp_ns=self.now_ns,
            pid=1,
            order_id=self.orders.order.id,
            serving=serving,
            serving_since_ns=0,
            failed=failed,
            problem="torn" if failed else "",
        )
        self.orders.take(status, self.now_ns)

    def after(self, seconds: float, serving: str = "") -> OtaRefusal | str | None:
        """What has become of it; what the engine says until then, if there is one."""
        until_ns = self.now_ns + round(seconds * S)
        while self.now_ns < until_ns:
            self.now_ns = min(until_ns, self.now_ns + S // 10)
            if serving:
                self.hear(serving)
            outcome = self.changeover.outcome()
            if outcome is not None and self.now_ns < until_ns:
                raise AssertionError(f"{outcome} before its time")
        outcome = self.changeover.outcome()
        if outcome is None:
            return None
        return "well" if outcome.fault is None else outcome.fault.refusal


@pytest.mark.parametrize("way", ["serve", "return_to"])
def test_an_engine_that_obeys_has_done_it_and_one_that_did_before_has_at_once(way: str) -> None:
    watched = Watched()
    order = {
        "serve": lambda: watched.changeover.serve(NEW, OLD),
        "return_to": lambda: watched.changeover.return_to(NEW),
    }[way]
    assert not order()
    assert watched.after(0.5, OLD) is None
    watched.hear(NEW)
    assert watched.after(0.0) == "well"
    assert order(), "the same order, and it obeys"


@pytest.mark.parametrize("way", ["serve", "return_to"])
def test_an_engine_that_cannot_load_it_says_why(way: str) -> None:
    watched = Watched()
    if way == "serve":
        watched.changeover.serve(NEW, OLD)
    else:
        watched.changeover.return_to(NEW)
    watched.hear(OLD, failed=NEW)
    outcome = watched.changeover.outcome()
    assert outcome is not None
    assert outcome.fault is not None
    assert (outcome.fault.refusal, outcome.fault.detail) == (OtaRefusal.ENGINE_REFUSED, "torn")


def test_one_that_is_there_has_ten_seconds_and_one_that_is_not_thirty() -> None:
    watched = Watched()
    watched.changeover.serve(NEW, OLD)
    assert watched.after(30.0) is None
    assert watched.after(0.1) is OtaRefusal.ENGINE_ABSENT
    watched = Watched()
    watched.changeover.serve(NEW, OLD)
    assert watched.after(15.0) is None
    assert watched.after(10.1, OLD) is None
    assert watched.after(0.1, OLD) is OtaRefusal.ENGINE_SLOW
    watched = Watched()
    watched.changeover.serve(NEW, OLD)
    assert watched.after(29.0) is None
    assert watched.after(1.1, OLD) is OtaRefusal.ENGINE_SLOW, "all in all thirty"


def test_going_back_needs_no_engine_but_one_that_is_there_has_to_follow() -> None:
    watched = Watched()
    watched.changeover.return_to(OLD)
    assert watched.after(0.9) is None
    assert watched.after(0.1) == "well"
    watched = Watched()
    watched.changeover.return_to(OLD)
    assert watched.after(10.0, NEW) is None
    assert watched.after(0.1, NEW) is OtaRefusal.ENGINE_SLOW


def test_where_nothing_runs_nothing_is_waited_for() -> None:
    watched = Watched(NO_ENGINE)
    assert not watched.changeover.return_to(OLD)
    assert watched.after(0.0) == "well"
    watched.changeover.serve(NEW, OLD)
    watched.now_ns += 1
    assert watched.after(0.0) is OtaRefusal.ENGINE_ABSENT


def test_a_new_order_is_waited_for_anew() -> None:
    watched = Watched()
    watched.changeover.serve(NEW, OLD)
    assert watched.after(9.0, OLD) is None
    watched.changeover.return_to(OLD)
    assert watched.after(0.0) is None, "the last word was of the order before"
    watched.hear(OLD)
    assert watched.after(0.0) == "well"


def test_a_bundle_under_another_counter_has_nothing_beside_it() -> None:
    watched = Watched()
    watched.changeover.serve(NEW, NEW)
    assert watched.orders.order is not None
    assert watched.orders.order.standby == ""
