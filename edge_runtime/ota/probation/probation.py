"""Whether a bundle on trial stays: what it did, against fixed terms and against the record of the committed one. Pure.

Guarantees: the same records give the same verdict. Nothing is proven on nothing: it takes time, motion, and episodes
that succeeded. A good thing turned bad never makes the verdict better. A bundle that behaves as the committed one did
is rolled back by the comparisons in at most `alpha` of all trials, however long they last (`comparison.py`).

What needs no statistics is absolute: crashes, trips, outputs that are no numbers, chunks that come too late, failing
most of the time. Where the committed bundle's record shows the same, comparison decides: it is no regression then.
Without a record, as on a new robot, the absolute terms are all there is, and the words say so.

Refuses to know clock, disk and bus. Trusts the task to be what it was: a harder one looks like a worse bundle.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import Enum

import msgspec

from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.ota.probation.bundle_stats import INTERVENTION_EDGES, WINDOW_NS, Record
from edge_runtime.ota.probation.sequential_test import is_worse

_RECORD_WINDOWS_MIN = 6
_RECORD_EPISODES_MIN = 20
_CHUNKS_MIN = 100
_COMPARED_ELSE = len(INTERVENTION_EDGES) + 5
"""Comparisons beside that of episodes, which share half of `alpha`."""


class Verdict(str, Enum):
    """What is known of a trial by now."""

    UNDECIDED = "undecided"
    PROVEN = "proven"
    FAILED = "failed"


class Decision(msgspec.Struct, frozen=True):
    """A verdict, why it failed (None unless it did), and words for a person."""

    verdict: Verdict
    reason: OtaRefusal | None
    words: str


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle is judged by; the defaults are for one arm that tries its task 5 to 60 times an hour.

    Attributes:
        probation_s: how long a trial lasts at least; the assignment says it.
        latency_budget_s: how old a chunk may be when control gets it, see `latency_budget_s()`.
        episodes_min: successes that it takes, where the committed bundle has as many judged episodes: somebody tells.
        active_min_s: motion that it takes.
        crashes_max: of the engine. One may have another cause; a second one has not.
        trips_max: of the kernel, on tracking error, torque or force. None: the other bundle is known not to do that.
        not_finite_max: outputs that are no numbers. None: a right graph has none.
        late_share_max: of chunks older than the budget.
        failures_ahead: it has failed when so many more episodes failed than succeeded. A bundle that succeeds in 8 of
            10 gets there in 1 of 1,000 trials, one that always fails after five.
        alpha: how often a bundle that is as good as the committed one may be rolled back by comparison.
        worse_by: the least ratio of odds that matters. With thousands of windows a hundredth more can be certain.
    """

    probation_s: float
    latency_budget_s: float = 1.0
    episodes_min: int = 5
    active_min_s: float = 60.0
    crashes_max: int = 1
    trips_max: int = 0
    not_finite_max: int = 0
    late_share_max: float = 0.05
    failures_ahead: int = 5
    alpha: float = 0.05
    worse_by: float = 1.5

    def __post_init__(self) -> None:
        for name in ("probation_s", "latency_budget_s", "active_min_s", "late_share_max"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or above, got {getattr(self, name)}")
        if not (0.0 < self.alpha < 1.0 and 1.0 <= self.worse_by < math.inf):
            raise ValueError("alpha must lie between 0 and 1, worse_by be 1 or above")
        if min(self.crashes_max, self.trips_max, self.not_finite_max) < 0 or self.failures_ahead < 1:
            raise ValueError("what may happen at most cannot be negative, and failures_ahead must be at least 1")


def latency_budget_s(horizon: int, action_dt_ns: int, replan_interval_s: float) -> float:
    """How old a chunk may be when it arrives: later, and the plan before it, made an interval earlier, has run out."""
    return max(horizon * action_dt_ns * 1e-9 - replan_interval_s, 0.0)


def judge(trial: Record, committed: Record, terms: Terms, elapsed_s: float) -> Decision:
    """The verdict on `trial`, `elapsed_s` after it began to act; it may be asked as often as one likes."""
    if committed.bundle == trial.bundle:
        # Released again under another counter: nothing excuses itself.
        committed = Record(bundle=committed.bundle)
    fault = next(_faults(trial, committed, terms), None)
    if fault is not None:
        return Decision(Verdict.FAILED, *fault)
    missing = list(_missing(trial, committed, terms, elapsed_s))
    words = ", ".join(missing) if missing else f"{trial.active_s:.0f} s of motion, {_episodes(trial)}"
    if committed.windows < _RECORD_WINDOWS_MIN:
        words += "; no record of the committed bundle yet: judged by absolute terms alone"
    return Decision(Verdict.UNDECIDED if missing else Verdict.PROVEN, None, words)


def _missing(trial: Record, committed: Record, terms: Terms, elapsed_s: float) -> Iterator[str]:
    if elapsed_s < terms.probation_s:
        yield f"{elapsed_s:.0f} of {terms.probation_s:.0f} s on trial"
    if trial.active_s < terms.active_min_s or trial.active_ns == 0:
        yield f"{trial.active_s:.0f} of {terms.active_min_s:.0f} s of motion"
    # Where nobody used to tell how episodes end, none are waited for; but those that are told count.
    successes_min = terms.episodes_min if committed.episodes >= terms.episodes_min else trial.failures
    if trial.successes < successes_min:
        yield f"{trial.successes} of {successes_min} successful episodes"


def _faults(trial: Record, committed: Record, terms: Terms) -> Iterator[tuple[OtaRefusal, str]]:
    def is_more(bad: int, of: int, bad_before: int, of_before: int, share: float) -> bool:
        matters = bad * (of_before - bad_before) >= terms.worse_by * bad_before * (of - bad)
        return matters and is_worse(bad, of, bad_before, of_before, alpha=terms.alpha * share)

    share = 0.5 / _COMPARED_ELSE
    for reason, what, count, before, count_max in (
        (OtaRefusal.PROBATION_CRASHES, "crashes of the engine", trial.crashes, committed.crashes, terms.crashes_max),
        (
            OtaRefusal.PROBATION_NOT_FINITE,
            "outputs that are no numbers",
            trial.not_finite,
            committed.not_finite,
            terms.not_finite_max,
        ),
        (OtaRefusal.PROBATION_TRIPS, "trips of the safety kernel", trial.trips, committed.trips, terms.trips_max),
    ):
        windows, windows_before = max(trial.windows, count), max(committed.windows, before)
        if count > count_max and (before == 0 or is_more(count, windows, before, windows_before, share)):
            yield reason, f"{what}: {count}{_before(before, windows_before)}"

    late, late_before = (record.chunks_older_than(terms.latency_budget_s * 1e9) for record in (trial, committed))
    is_late = trial.chunks >= _CHUNKS_MIN and late > terms.late_share_max * trial.chunks
    if is_late and (late_before == 0 or late * committed.chunks > terms.worse_by * late_before * trial.chunks):
        what = f"{late} of {trial.chunks} chunks came after {terms.latency_budget_s * 1e3:.0f} ms"
        yield OtaRefusal.PROBATION_LATENCY, what + _before(late_before, committed.chunks)

    ticks = WINDOW_NS // 1_000_000
    for reason, what, bad, bad_before, is_absolute in (
        (OtaRefusal.PROBATION_LATENCY, "the plan ran out", trial.stalled, committed.stalled, True),
        (OtaRefusal.PROBATION_INTERVENTIONS, "chunks were withheld", trial.withheld, committed.withheld, True),
        *(
            (
                OtaRefusal.PROBATION_INTERVENTIONS,
                f"the kernel altered {edge} of {ticks:,} commands or more",
                altered,
                altered_before,
                edge == INTERVENTION_EDGES[-1],
            )
            for edge, altered, altered_before in reversed(
                list(zip(INTERVENTION_EDGES, trial.windows_altered(), committed.windows_altered(), strict=True))
            )
        ),
    ):
        is_usual = committed.windows >= _RECORD_WINDOWS_MIN or not is_absolute
        if (not is_usual and trial.windows >= _RECORD_WINDOWS_MIN and bad > 0.5 * trial.windows) or is_more(
            bad, trial.windows, bad_before, committed.windows, share
        ):
            yield reason, f"{what} in {bad} of {trial.windows} windows{_before(bad_before, committed.windows)}"

    fails_often = committed.episodes >= _RECORD_EPISODES_MIN and 4 * committed.failures > committed.episodes
    is_ahead = trial.failures - trial.successes >= terms.failures_ahead and not fails_often
    if is_ahead or is_more(trial.failures, trial.episodes, committed.failures, committed.episodes, 0.5):
        yield (
            OtaRefusal.PROBATION_EPISODES,
            f"{trial.failures} of {trial.episodes} episodes failed{_before(committed.failures, committed.episodes)}",
        )


def _before(count: int, of: int) -> str:
    return f", under the committed bundle {count} of {of}" if of else ", with nothing to compare it with"


def _episodes(trial: Record) -> str:
    if trial.episodes == 0:
        return "no outcomes of episodes were reported"
    return f"{trial.successes} of {trial.episodes} episodes succeeded"
