"""Verdicts on trials: what fails them, what proves them, what they wait for, and that they never improve by worse."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.ota.probation.bundle_stats import AGE_EDGES_NS, WINDOW_NS, Record, with_class
from edge_runtime.ota.probation.probation import Decision, Terms, Verdict, judge, latency_budget_s
from tests.ota.test_bundle_stats import records

OLD, NEW = "a" * 64, "b" * 64
TERMS = Terms(probation_s=600.0)
LONG_S = 3600.0
LATE = with_class(AGE_EDGES_NS, 2_000_000_000)
IN_TIME = with_class(AGE_EDGES_NS, 100_000_000)
NOTHING = Record(bundle=OLD)


def did(bundle: str, *, windows: int = 60, altered: tuple[int, ...] = (), **counts: object) -> Record:
    """A record of a bundle that did well, but for what is named; `altered` are windows of the classes above none."""
    altered = (*altered, *(0,) * (4 - len(altered)))
    fields = {
        "active_ns": windows * WINDOW_NS,
        "interventions": (windows - sum(altered), *altered),
        "ages": chunks(in_time=windows * 100),
    }
    return Record(bundle=bundle, **{**fields, **counts})  # type: ignore[arg-type]


def chunks(in_time: int = 0, late: int = 0) -> tuple[int, ...]:
    return tuple(in_time * a + late * b for a, b in zip(IN_TIME, LATE, strict=True))


WELL = did(NEW, episodes=20, failures=1)
USUAL = did(OLD, windows=2000, episodes=200, failures=10)


def verdict(trial: Record, committed: Record = USUAL, terms: Terms = TERMS) -> Decision:
    return judge(trial, committed, terms, LONG_S)


def test_what_does_as_well_as_before_is_proven() -> None:
    decision = verdict(WELL)
    assert decision == Decision(Verdict.PROVEN, None, "600 s of motion, 19 of 20 episodes succeeded")


def test_nothing_is_proven_on_nothing() -> None:
    for committed in (USUAL, NOTHING):
        decision = judge(Record(bundle=NEW), committed, TERMS, 1e9)
        assert decision.verdict is Verdict.UNDECIDED
        assert "0 of 60 s of motion" in decision.words
        at_once = Terms(probation_s=0.0, episodes_min=0, active_min_s=0.0)
        assert judge(Record(bundle=NEW), committed, at_once, 1e9).verdict is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("trial", "elapsed_s", "words"),
    [
        (WELL, 599.0, "599 of 600 s on trial"),
        (replace(WELL, active_ns=40_000_000_000), LONG_S, "40 of 60 s of motion"),
        (did(NEW, episodes=4, failures=1), LONG_S, "3 of 5 successful episodes"),
        (
            did(NEW, windows=3, episodes=3),
            100.0,
            "100 of 600 s on trial, 30 of 60 s of motion, 3 of 5 successful episodes",
        ),
    ],
)
def test_words_say_what_is_missing(trial: Record, elapsed_s: float, words: str) -> None:
    assert judge(trial, USUAL, TERMS, elapsed_s) == Decision(Verdict.UNDECIDED, None, words)


def test_where_nobody_used_to_tell_outcomes_none_are_waited_for() -> None:
    decision = verdict(did(NEW), did(OLD, windows=2000))
    assert decision == Decision(Verdict.PROVEN, None, "600 s of motion, no outcomes of episodes were reported")


def test_where_outcomes_are_told_more_have_to_succeed_than_fail() -> None:
    decision = verdict(did(NEW, episodes=4, failures=3), did(OLD, windows=2000))
    assert decision == Decision(Verdict.UNDECIDED, None, "1 of 3 successful episodes")


def test_without_a_record_the_words_say_that_only_absolute_terms_were_asked() -> None:
    decision = verdict(WELL, NOTHING)
    assert decision.verdict is Verdict.PROVEN
    assert decision.words.endswith("no record of the committed bundle yet: judged by absolute terms alone")


FAULTS = [
    (replace(WELL, crashes=2), OtaRefusal.PROBATION_CRASHES, "crashes of the engine: 2"),
    (replace(WELL, not_finite=1), OtaRefusal.PROBATION_NOT_FINITE, "outputs that are no numbers: 1"),
    (replace(WELL, trips=1), OtaRefusal.PROBATION_TRIPS, "trips of the safety kernel: 1"),
    (replace(WELL, ages=chunks(5600, 400)), OtaRefusal.PROBATION_LATENCY, "400 of 6000 chunks came after 1000 ms"),
    (did(NEW, stalled=31), OtaRefusal.PROBATION_LATENCY, "the plan ran out in 31 of 60 windows"),
    (did(NEW, withheld=31), OtaRefusal.PROBATION_INTERVENTIONS, "chunks were withheld in 31 of 60 windows"),
    (
        did(NEW, altered=(0, 0, 0, 31)),
        OtaRefusal.PROBATION_INTERVENTIONS,
        "altered 1000 of 10,000 commands or more in 31 of 60 windows",
    ),
    (replace(WELL, episodes=5, failures=5), OtaRefusal.PROBATION_EPISODES, "5 of 5 episodes failed"),
]


@pytest.mark.parametrize("committed", [USUAL, NOTHING], ids=["with a record", "without"])
@pytest.mark.parametrize(("trial", "reason", "words"), FAULTS, ids=lambda value: str(value)[:30])
def test_absolute_terms_hold_with_a_record_and_without(
    committed: Record, trial: Record, reason: OtaRefusal, words: str
) -> None:
    decision = judge(trial, committed, TERMS, 1.0)
    assert (decision.verdict, decision.reason) == (Verdict.FAILED, reason)
    assert words in decision.words


@pytest.mark.parametrize(
    ("trial", "committed"),
    [
        (replace(WELL, crashes=2), replace(USUAL, crashes=60)),
        (replace(WELL, trips=2), replace(USUAL, trips=60)),
        (replace(WELL, not_finite=2), replace(USUAL, not_finite=60)),
        (replace(WELL, ages=chunks(5600, 400)), replace(USUAL, ages=chunks(1900, 100))),
        (did(NEW, stalled=31, episodes=20), replace(USUAL, stalled=900)),
        (did(NEW, withheld=31, episodes=20), replace(USUAL, withheld=900)),
        (did(NEW, altered=(0, 0, 0, 31), episodes=20), did(OLD, windows=2000, altered=(0, 0, 0, 900))),
        (did(NEW, episodes=20, failures=13), replace(USUAL, failures=110)),
    ],
    ids=["crashes", "trips", "not finite", "late", "stalled", "withheld", "altered", "episodes"],
)
def test_what_the_committed_bundle_does_as_well_is_no_regression(trial: Record, committed: Record) -> None:
    assert verdict(trial, committed).verdict is not Verdict.FAILED
    assert verdict(trial).verdict is Verdict.FAILED


@pytest.mark.parametrize("what", ["crashes", "trips", "not_finite"])
def test_far_more_than_the_committed_bundle_is_a_regression_all_the_same(what: str) -> None:
    once = replace(USUAL, **{what: 1})
    assert verdict(replace(WELL, **{what: 12}), once).verdict is Verdict.FAILED
    # Also where it crashes before it has moved at all.
    assert verdict(Record(bundle=NEW, **{what: 5}), once).verdict is Verdict.FAILED  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "trial",
    [
        did(NEW, episodes=20, failures=8),
        did(NEW, stalled=8),
        did(NEW, withheld=8),
        did(NEW, altered=(20, 0, 0, 0)),
        did(NEW, altered=(0, 20, 0, 0)),
        did(NEW, altered=(0, 0, 20, 0)),
    ],
    ids=["episodes", "stalled", "withheld", "a few ticks", "some", "many"],
)
def test_what_only_comparison_sees(trial: Record) -> None:
    assert verdict(trial).verdict is Verdict.FAILED
    assert "under the committed bundle" in verdict(trial).words
    assert verdict(trial, NOTHING).verdict is not Verdict.FAILED


def test_what_is_certain_but_does_not_matter_is_left_alone() -> None:
    before = did(OLD, windows=4000, altered=(1000,))
    slightly = did(NEW, windows=4000, altered=(1250,))
    assert verdict(slightly, before).verdict is Verdict.PROVEN
    assert verdict(slightly, before, Terms(probation_s=600.0, worse_by=1.2)).verdict is Verdict.FAILED


def test_a_bundle_released_again_does_not_excuse_itself() -> None:
    crashed = replace(WELL, crashes=9)
    assert judge(crashed, crashed, TERMS, LONG_S).verdict is Verdict.FAILED


def test_few_chunks_say_nothing_of_latency() -> None:
    assert verdict(replace(WELL, ages=chunks(late=99))).verdict is Verdict.PROVEN
    assert verdict(replace(WELL, ages=chunks(late=100))).verdict is Verdict.FAILED


def test_a_chunk_is_in_time_as_long_as_the_plan_before_it_lasts() -> None:
    # 16 actions of 50 ms, made every 100 ms: the plan before reaches 700 ms from this one's exposure.
    assert latency_budget_s(16, 50_000_000, 0.1) == pytest.approx(0.7)
    assert latency_budget_s(1, 50_000_000, 0.1) == 0.0


ORDER = {Verdict.PROVEN: 2, Verdict.UNDECIDED: 1, Verdict.FAILED: 0}


def worse_by_one(trial: Record, what: str) -> Record | None:
    """One more bad thing, or a good one turned bad; None where there is none to turn."""
    if what in ("crashes", "trips", "not_finite"):
        return replace(trial, **{what: getattr(trial, what) + 1})
    if what == "new failure":
        return replace(trial, episodes=trial.episodes + 1, failures=trial.failures + 1)
    if what == "failures":
        return replace(trial, failures=trial.failures + 1) if trial.failures < trial.episodes else None
    if what in ("stalled", "withheld"):
        return replace(trial, **{what: getattr(trial, what) + 1}) if getattr(trial, what) < trial.windows else None
    name, place = ("interventions", 2) if what == "altered" else ("ages", 20)
    counts = list(getattr(trial, name))
    if counts[place] == 0:
        return None
    counts[place] -= 1
    counts[place + 1] += 1
    return replace(trial, **{name: tuple(counts)})


@settings(max_examples=150, deadline=None)
@given(
    records(most=40),
    records(most=300),
    st.sampled_from(
        ["crashes", "trips", "not_finite", "new failure", "failures", "stalled", "withheld", "altered", "older"]
    ),
    st.sampled_from([0.0, LONG_S]),
)
def test_worse_is_never_judged_better(trial: Record, committed: Record, what: str, elapsed_s: float) -> None:
    trial, worse = replace(trial, bundle=NEW), worse_by_one(replace(trial, bundle=NEW), what)
    if worse is None:
        return
    before, after = (judge(record, committed, TERMS, elapsed_s).verdict for record in (trial, worse))
    assert ORDER[after] <= ORDER[before]


@settings(max_examples=60, deadline=None)
@given(records(most=20_000), records(most=20_000), st.floats(0, 1e9))
def test_any_two_records_have_a_verdict_in_words(trial: Record, committed: Record, elapsed_s: float) -> None:
    decision = judge(replace(trial, bundle=NEW), committed, TERMS, elapsed_s)
    assert (decision.reason is None) == (decision.verdict is not Verdict.FAILED)
    assert 0 < len(decision.words) <= 300


@pytest.mark.parametrize(
    "terms",
    [
        {"probation_s": -1.0},
        {"probation_s": math.nan},
        {"latency_budget_s": math.inf},
        {"active_min_s": -0.1},
        {"late_share_max": math.nan},
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"worse_by": 0.9},
        {"crashes_max": -1},
        {"trips_max": -1},
        {"not_finite_max": -1},
        {"failures_ahead": 0},
    ],
    ids=str,
)
def test_terms_that_make_no_sense_are_refused(terms: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must|cannot"):
        Terms(**{"probation_s": 1.0, **terms})  # type: ignore[arg-type]
