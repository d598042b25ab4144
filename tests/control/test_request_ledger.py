"""Requests of several operators: each is carried out once, none after a later one, but a stop always."""

from __future__ import annotations

import pytest

from edge_runtime.contracts.messages import MAX_ANSWERS, MAX_DETAIL_CHARS, Asker, OperatorCommand, OperatorKind
from edge_runtime.control.request_ledger import OVERTAKEN, RequestLedger


def command(number: int, kind: OperatorKind = OperatorKind.ARM) -> OperatorCommand:
    return OperatorCommand(id=number, kind=kind, stamp_ns=1)


@pytest.fixture
def answers() -> RequestLedger:
    """After one request, number 10."""
    answers = RequestLedger()
    assert answers.is_due(command(10))
    answers.give(command(10), "done")
    return answers


def test_a_repeated_request_is_carried_out_once_and_keeps_its_answer(answers: RequestLedger) -> None:
    assert not answers.is_due(command(10))
    assert not answers.was_overtaken(command(10))
    assert [(a.id, a.kind, a.answer) for a in answers.last()] == [(10, OperatorKind.ARM, "done")]


@pytest.mark.parametrize("kind", sorted(set(OperatorKind) - {OperatorKind.STOP, OperatorKind.INSTRUCT}))
def test_a_request_from_before_the_last_is_never_carried_out_and_is_told_so(
    answers: RequestLedger, kind: OperatorKind
) -> None:
    late = command(9, kind)
    for _ in range(2):
        assert not answers.is_due(late)
        assert answers.was_overtaken(late)
    assert (answers.last()[-1].id, answers.last()[-1].answer) == (9, OVERTAKEN)
    assert not answers.is_due(command(10)), "the other one keeps its answer"
    assert answers.is_due(command(11))


def test_a_stop_is_due_whatever_its_number_and_once(answers: RequestLedger) -> None:
    for number in (9, 10, 11):
        stop = command(number, OperatorKind.STOP)
        assert answers.is_due(stop)
        answers.give(stop, "done")
        assert not answers.is_due(stop)
    assert not answers.is_due(command(11)), "an arm with the number of a stop came after it"
    assert answers.was_overtaken(command(11))


def test_a_persons_disarm_is_due_whatever_its_number_and_a_programs_is_not(answers: RequestLedger) -> None:
    disarm = OperatorCommand(id=9, kind=OperatorKind.DISARM, stamp_ns=1, asker=Asker.PERSON)
    assert answers.is_due(disarm)
    answers.give(disarm, "done")
    assert not answers.is_due(disarm)
    assert not answers.is_due(command(8, OperatorKind.DISARM))


def test_an_old_stop_does_not_let_an_older_arm_through(answers: RequestLedger) -> None:
    stop = command(5, OperatorKind.STOP)
    answers.give(stop, "done")
    assert not answers.is_due(command(7))


def test_the_memory_is_bounded_and_forgets_the_oldest(answers: RequestLedger) -> None:
    for number in range(11, 11 + MAX_ANSWERS):
        answers.give(command(number), "done")
    assert [answer.id for answer in answers.last()] == list(range(11, 11 + MAX_ANSWERS))
    assert not answers.is_due(command(10))
    assert answers.was_overtaken(command(10)), "not carried out twice, though its answer is forgotten"


def test_an_answer_says_more_to_a_person_and_is_cut_where_that_is_too_long(answers: RequestLedger) -> None:
    answers.give(command(11), "refused_geometry", "hand is 4 mm from table" + "!" * MAX_DETAIL_CHARS)
    detail = answers.last()[-1].detail
    assert detail.startswith("hand is 4 mm from table")
    assert len(detail) == MAX_DETAIL_CHARS
