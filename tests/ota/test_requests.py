"""What people ask of the update agent: handed out once, answered once, and not by an agent that it was not said to."""

from __future__ import annotations

from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.contracts.updates import MAX_UPDATE_ANSWERS, UpdateCommand, UpdateKind, UpdateResult
from edge_runtime.ota.agent.requests import Requests

SINCE_NS = 1000


def command(number: int, kind: UpdateKind = UpdateKind.ROLLBACK, stamp_ns: int = SINCE_NS) -> UpdateCommand:
    return UpdateCommand(id=number, kind=kind, stamp_ns=stamp_ns)


def test_what_is_said_again_and_again_is_handed_out_once() -> None:
    requests = Requests(SINCE_NS)
    for _ in range(3):
        requests.take(command(1))
        requests.take(command(1, UpdateKind.CHECK))
    assert [requests.next(), requests.next(), requests.next()] == [command(1), command(1, UpdateKind.CHECK), None]
    assert requests.answer_to(command(1)) is None
    requests.answer(command(1).answered(UpdateResult.DONE))
    requests.take(command(1))
    assert requests.next() is None, "also after it was answered"
    answer = requests.answer_to(command(1))
    assert answer is not None
    assert answer.result is UpdateResult.DONE
    assert requests.answer_to(command(1, UpdateKind.CHECK)) is None


def test_what_was_said_to_the_agent_before_is_refused() -> None:
    requests = Requests(SINCE_NS)
    requests.take(command(1, stamp_ns=SINCE_NS - 1))
    assert requests.next() is None
    assert [answer.refusal for answer in requests.answers] == [OtaRefusal.NOT_NOW]


def test_only_the_last_answers_are_kept() -> None:
    requests = Requests(SINCE_NS)
    for number in range(1, MAX_UPDATE_ANSWERS + 3):
        requests.answer(command(number).answered(UpdateResult.DONE))
    assert [answer.id for answer in requests.answers] == list(range(3, MAX_UPDATE_ANSWERS + 3))


def test_none_of_many_at_once_stays_without_an_answer() -> None:
    requests = Requests(SINCE_NS)
    for number in range(1, MAX_UPDATE_ANSWERS + 3):
        requests.take(command(number))
    handed_out = [requests.next() for _ in range(MAX_UPDATE_ANSWERS)]
    assert handed_out == [command(number) for number in range(1, MAX_UPDATE_ANSWERS + 1)]
    assert requests.next() is None
    refused = [(answer.id, answer.refusal) for answer in requests.answers]
    assert refused == [(MAX_UPDATE_ANSWERS + 1, OtaRefusal.BUSY), (MAX_UPDATE_ANSWERS + 2, OtaRefusal.BUSY)]
