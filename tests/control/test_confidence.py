"""The confidence gate: every transition of its table, hysteresis, and that only an answer ends an escalation."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.config.robot_file import ConfidenceSection
from edge_runtime.contracts.messages import GateState
from edge_runtime.control.confidence import TRANSITIONS, ConfidenceGate, Decision, GateEvent

SETTINGS = ConfidenceSection(
    slow_below=0.7,
    pause_below=0.4,
    hysteresis=0.05,
    slow_speed_scale=0.5,
    recover_after=3,
    escalate_after=5,
    without_score="allow",
)
SURE, MIDDLE, UNSURE = 0.95, 0.5, 0.1
FULL_SPEED = Decision(admits=True, speed_scale=1.0, escalates=False)
SLOWLY = Decision(admits=True, speed_scale=0.5, escalates=False)
WITHHELD = Decision(admits=False, speed_scale=1.0, escalates=False)


def gate_after(*scores: float | None, settings: ConfidenceSection = SETTINGS) -> ConfidenceGate:
    gate = ConfidenceGate(settings)
    for score in scores:
        gate.judge(score)
    return gate


def gate_in(state: GateState) -> ConfidenceGate:
    gate = gate_after(
        *{
            GateState.SURE: (),
            GateState.CAUTIOUS: (MIDDLE,),
            GateState.ASKING: (UNSURE,),
            GateState.ESCALATED: (UNSURE,) * 5,
        }[state]
    )
    assert gate.state is state
    return gate


ARRIVALS: dict[tuple[GateState, GateEvent], tuple[float, ...]] = {
    (GateState.SURE, GateEvent.HIGH): (SURE,),
    (GateState.SURE, GateEvent.MIDDLE): (MIDDLE,),
    (GateState.SURE, GateEvent.LOW): (UNSURE,),
    (GateState.CAUTIOUS, GateEvent.HIGH): (SURE,),
    (GateState.CAUTIOUS, GateEvent.MIDDLE): (MIDDLE,),
    (GateState.CAUTIOUS, GateEvent.LOW): (UNSURE,),
    (GateState.ASKING, GateEvent.HIGH): (SURE,),
    (GateState.ASKING, GateEvent.MIDDLE): (MIDDLE,),
    (GateState.ASKING, GateEvent.LOW): (UNSURE,),
    (GateState.ASKING, GateEvent.RECOVERED): (SURE, MIDDLE, MIDDLE),
    (GateState.ASKING, GateEvent.LOW_TOO_OFTEN): (UNSURE,) * 4,
    (GateState.ESCALATED, GateEvent.HIGH): (SURE,),
    (GateState.ESCALATED, GateEvent.MIDDLE): (MIDDLE,),
    (GateState.ESCALATED, GateEvent.LOW): (SURE, UNSURE),
    (GateState.ESCALATED, GateEvent.LOW_TOO_OFTEN): (UNSURE,),
}


@pytest.mark.parametrize(("state", "event"), ARRIVALS, ids=lambda part: part.value)
def test_scores_lead_where_the_table_says(state: GateState, event: GateEvent) -> None:
    gate = gate_in(state)
    for score in ARRIVALS[state, event]:
        gate.judge(score)
    assert gate.state is TRANSITIONS[state, event]


@pytest.mark.parametrize("state", [state for state in GateState if state is not GateState.OFF])
def test_an_answer_leads_back_to_sure_and_forgets_what_was(state: GateState) -> None:
    gate = gate_in(state)
    gate.answer()
    assert gate.state is GateState.SURE
    assert [gate.judge(UNSURE).escalates for _ in range(5)] == [False] * 4 + [True]


@pytest.mark.parametrize("state", [GateState.SURE, GateState.CAUTIOUS])
def test_one_low_score_escalates_where_one_is_too_often(state: GateState) -> None:
    gate = gate_after(*((MIDDLE,) if state is GateState.CAUTIOUS else ()), settings=_but(escalate_after=1))
    assert gate.state is state
    assert gate.judge(UNSURE).escalates
    assert gate.state is TRANSITIONS[state, GateEvent.LOW_TOO_OFTEN]


def test_the_table_is_whole() -> None:
    states = [state for state in GateState if state is not GateState.OFF]
    without = {(state, GateEvent.RECOVERED) for state in states if state is not GateState.ASKING}
    assert set(TRANSITIONS) == set(itertools.product(states, GateEvent)) - without


def test_what_becomes_of_a_chunk() -> None:
    gate = ConfidenceGate(SETTINGS)
    assert gate.judge(SURE) == FULL_SPEED
    assert gate.judge(MIDDLE) == SLOWLY
    assert gate.judge(UNSURE) == WITHHELD
    assert gate.judge(SURE) == WITHHELD
    assert gate.judge(SURE) == WITHHELD
    assert gate.judge(SURE) == SLOWLY
    assert gate.judge(SURE) == FULL_SPEED


def test_an_escalation_asks_for_disarming_once() -> None:
    gate = gate_after(UNSURE, UNSURE, UNSURE, UNSURE)
    assert gate.judge(UNSURE) == Decision(admits=False, speed_scale=1.0, escalates=True)
    assert gate.judge(UNSURE) == WITHHELD
    assert gate.judge(SURE) == WITHHELD


def test_a_grade_is_left_upwards_only_beyond_the_hysteresis() -> None:
    gate = gate_after(0.69)
    assert gate.state is GateState.CAUTIOUS
    assert gate.judge(0.74) == SLOWLY
    assert gate.judge(0.76) == FULL_SPEED
    assert gate.judge(0.70) == FULL_SPEED
    gate = gate_after(0.39, 0.44, 0.44, 0.44)
    assert gate.state is GateState.ASKING
    gate = gate_after(0.39, 0.46, 0.41, 0.41)
    assert gate.state is GateState.CAUTIOUS


def test_a_pause_that_never_ends_by_itself() -> None:
    gate = gate_after(UNSURE, *(SURE,) * 100, settings=_but(recover_after=0))
    assert gate.state is GateState.ASKING


@pytest.mark.parametrize(
    ("rule", "expected"), [("allow", GateState.SURE), ("slow", GateState.CAUTIOUS), ("pause", GateState.ASKING)]
)
def test_a_policy_that_gives_no_score_is_treated_as_configured(rule: str, expected: GateState) -> None:
    assert gate_after(None, settings=_but(without_score=rule)).state is expected


def test_a_score_that_is_not_a_number_is_low() -> None:
    assert gate_after(float("nan")).state is GateState.ASKING


def test_a_gate_that_is_off_lets_everything_pass() -> None:
    gate = gate_after(*(UNSURE,) * 20, settings=_but(enabled=False))
    gate.answer()
    assert gate.state is GateState.OFF
    assert gate.judge(0.0) == FULL_SPEED


@given(st.lists(st.one_of(st.none(), st.floats(0.0, 1.0)), max_size=60))
def test_whatever_the_scores_nothing_but_an_answer_ends_an_escalation(scores: list[float | None]) -> None:
    gate = gate_in(GateState.ESCALATED)
    decisions = [gate.judge(score) for score in scores]
    assert gate.state is GateState.ESCALATED
    assert not any(decision.admits or decision.escalates for decision in decisions)
    gate.answer()
    assert gate.judge(SURE) == FULL_SPEED


@pytest.mark.parametrize(
    "changes",
    [
        {"pause_below": 0.8},
        {"pause_below": -0.1},
        {"slow_below": 1.1},
        {"slow_below": float("nan")},
        {"hysteresis": 0.6},
        {"hysteresis": -0.1},
        {"slow_speed_scale": 0.0},
        {"slow_speed_scale": 1.5},
        {"recover_after": -1},
        {"escalate_after": 0},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        _but(**changes)


def _but(**changes: object) -> ConfidenceSection:
    return ConfidenceSection(**{**msgspec.structs.asdict(SETTINGS), **changes})
