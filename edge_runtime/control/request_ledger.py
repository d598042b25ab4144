"""Which requests of operators are due, and what became of the last ones; several operators may ask at once.

Guarantees that a request is carried out once however often it is sent, that one which is older than a request already
carried out never is, and that a stop, and a person's disarm, is always due unless it was just carried out. Every
request gets an answer: no operator is left to guess. Carries nothing out itself.
"""

from __future__ import annotations

from edge_runtime.contracts.messages import (
    MAX_ANSWERS,
    MAX_DETAIL_CHARS,
    Answer,
    Asker,
    OperatorCommand,
    OperatorKind,
    RequestResult,
)

OVERTAKEN = RequestResult.REFUSED_OVERTAKEN
"""Another operator's later request came first."""

RESTARTED = RequestResult.REFUSED_RESTARTED
"""The process that it was asked of has died since; that one may have carried it out."""

AFTER_STOP = RequestResult.REFUSED_AFTER_STOP
"""A program asked for what only a person may do, after a person's stop."""

UNPROVEN = RequestResult.REFUSED_UNPROVEN
"""The engine has not shown that its policy does on this machine what it was trained to."""


class RequestLedger:
    """The memory of one robot's requests; forgotten with the process, after which a robot is not armed."""

    def __init__(self) -> None:
        self._newest_id = 0
        self._last: dict[tuple[int, OperatorKind], Answer] = {}

    def is_due(self, command: OperatorCommand) -> bool:
        """Whether to carry `command` out, and then to `give` its answer. One that was overtaken is answered here."""
        if (command.id, command.kind) in self._last:
            return False
        if command.id > self._newest_id or _always_counts(command):
            return True
        self.give(command, OVERTAKEN)
        return False

    def was_overtaken(self, command: OperatorCommand) -> bool:
        """Whether `command` came after a later one, and so was not carried out."""
        answer = self._last.get((command.id, command.kind))
        return answer is not None and answer.answer is OVERTAKEN

    def give(self, command: OperatorCommand, answer: RequestResult, detail: str = "") -> None:
        """`command` was carried out, or refused; `detail` says more to a person, and is cut where it is too long."""
        self._newest_id = max(self._newest_id, command.id)
        self._last[command.id, command.kind] = Answer(
            id=command.id, kind=command.kind, answer=answer, detail=detail[:MAX_DETAIL_CHARS]
        )
        if len(self._last) > MAX_ANSWERS:
            del self._last[next(iter(self._last))]

    def last(self) -> tuple[Answer, ...]:
        """The last answers, oldest first."""
        return tuple(self._last.values())


def _always_counts(command: OperatorCommand) -> bool:
    """Whether it takes motion away on behalf of a person: no later request of a program may come before that."""
    is_disarm = command.kind is OperatorKind.DISARM and command.asker is Asker.PERSON
    return is_disarm or command.kind is OperatorKind.STOP
