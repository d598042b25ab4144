"""The engine's word on an order that an update waits for: that it obeys, that it will not, or that time is up.

Guarantees: an order has an outcome within its limits, and it is given for the newest order alone. Refuses to know how
orders travel and who waits. Trusts `DesiredPolicy` on how far an engine is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.lifecycle.desired_policy import DesiredPolicy, Standing


@dataclass(frozen=True)
class Limits:
    """How long an engine is waited for.

    Attributes:
        obey_s: in which one that is there has to run what it is ordered to.
        appear_s: in which one has to be there for a bundle that goes on trial; after a power cut it starts when the
            agent does.
        heard_s: in which one that is there is heard of by a process that has just started.
    """

    obey_s: float = 10.0
    appear_s: float = 30.0
    heard_s: float = 1.0


NO_ENGINE = Limits(0.0, 0.0, 0.0)
"""Where nothing of the robot runs: the next engine begins with what the pointer says."""


class Outcome(NamedTuple):
    """What became of an order; without a `fault` it is obeyed, or there is nobody who has to obey."""

    fault: OtaError | None = None


class Changeover:
    """See the module. Bundles are named by their digests; `now_ns` reads a clock that only grows. From one thread."""

    def __init__(self, orders: DesiredPolicy, now_ns: Callable[[], int], limits: Limits) -> None:
        self._orders = orders
        self._now_ns = now_ns
        self._limits = limits
        self._is_return = False
        self._begun_ns = 0
        self._there_ns: int | None = None

    def serve(self, bundle: str, standby: str) -> bool:
        """Order `bundle` to act and `standby` to wait warm beside it; whether the engine obeys already."""
        return self._order(bundle, standby if standby != bundle else "", is_return=False)

    def return_to(self, bundle: str) -> bool:
        """Order `bundle` to act again; as `serve`. Where there is no engine, that is no fault."""
        return self._order(bundle, "", is_return=True)

    def outcome(self) -> Outcome | None:
        """What has become of the newest order by now; None: it is still waited for.

        Its fault is ENGINE_REFUSED, ENGINE_SLOW, or for `serve` ENGINE_ABSENT.
        """
        now_ns = self._now_ns()
        standing = self._orders.standing(now_ns)
        if standing is Standing.OBEYED:
            return Outcome()
        if standing is Standing.REFUSED:
            refused = self._orders.problem() or "the engine could not load it"
            return Outcome(OtaError(OtaRefusal.ENGINE_REFUSED, refused))
        return self._of_return(standing, now_ns) if self._is_return else self._of_trial(standing, now_ns)

    def _order(self, bundle: str, standby: str, *, is_return: bool) -> bool:
        now_ns = self._now_ns()
        self._orders.want(bundle, standby, now_ns)
        self._is_return, self._begun_ns, self._there_ns = is_return, now_ns, None
        return self._orders.standing(now_ns) is Standing.OBEYED

    def _of_return(self, standing: Standing, now_ns: int) -> Outcome | None:
        limits, waited_s = self._limits, (now_ns - self._begun_ns) * 1e-9
        if standing is Standing.ABSENT and waited_s >= limits.heard_s:
            return Outcome()
        if waited_s > limits.obey_s:
            detail = f"the engine does not run it within {limits.obey_s:g} s"
            return Outcome(OtaError(OtaRefusal.ENGINE_SLOW, detail))
        return None

    def _of_trial(self, standing: Standing, now_ns: int) -> Outcome | None:
        limits = self._limits
        if standing is not Standing.ABSENT and self._there_ns is None:
            self._there_ns = now_ns
        if self._there_ns is not None and now_ns - self._there_ns > limits.obey_s * 1e9:
            detail = f"no engine runs it within {limits.obey_s:g} s"
            return Outcome(OtaError(OtaRefusal.ENGINE_SLOW, detail))
        if now_ns - self._begun_ns > limits.appear_s * 1e9:
            refusal = OtaRefusal.ENGINE_ABSENT if self._there_ns is None else OtaRefusal.ENGINE_SLOW
            return Outcome(OtaError(refusal, f"no engine runs it within {limits.appear_s:g} s"))
        return None
