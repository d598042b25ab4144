"""Whether a bundle on trial stays: its record against that of the committed one. Pure."""

from __future__ import annotations

from enum import Enum

import msgspec

from contracts.errors import OtaRefusal
from edge_runtime.ota.record import Record


class Verdict(str, Enum):
    """What is known of a trial by now."""

    UNDECIDED = "undecided"
    PROVEN = "proven"
    FAILED = "failed"

    def __str__(self) -> str:
        return self.value


class Decision(msgspec.Struct, frozen=True):
    """A verdict, why it failed (None unless it did), and words for a person."""

    verdict: Verdict
    reason: OtaRefusal | None
    words: str


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle is judged by. All have defaults but the time, which the assignment gives."""

    probation_s: float
    latency_budget_s: float = 1.0
    episodes_min: int = 5
    active_min_s: float = 60.0


def judge(trial: Record, committed: Record, terms: Terms, elapsed_s: float) -> Decision:
    """The verdict on `trial`; pure, so that it may be asked as often as one likes."""
    return Decision(Verdict.UNDECIDED, None, "")


def latency_budget_s(horizon: int, action_dt_ns: int, replan_interval_s: float) -> float:
    """How old a chunk may be when it arrives: later, and the plan before it has run out."""
    return max(horizon * action_dt_ns * 1e-9 - replan_interval_s, 0.0)
