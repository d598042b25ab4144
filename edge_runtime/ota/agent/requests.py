"""What people have asked of the update agent, and what it has answered.

Guarantees: a request is handed out once, however often it is said; one from before this agent is refused, because the
agent that it was said to may have done it. Both lists are bounded. Refuses to know what is asked.
"""

from __future__ import annotations

from collections import deque

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.updates import MAX_UPDATE_ANSWERS, UpdateAnswer, UpdateCommand, UpdateKind

_REMEMBERED = 64


class Requests:
    """See the module. `since_ns`: when this agent began, on the clock of the requests' stamps. Use from one thread."""

    def __init__(self, since_ns: int) -> None:
        self._since_ns = since_ns
        self._pending: deque[UpdateCommand] = deque()
        self._known: deque[tuple[int, UpdateKind]] = deque(maxlen=_REMEMBERED)
        self._answers: deque[UpdateAnswer] = deque(maxlen=MAX_UPDATE_ANSWERS)

    @property
    def answers(self) -> tuple[UpdateAnswer, ...]:
        """The last ones, oldest first."""
        return tuple(self._answers)

    def answer_to(self, command: UpdateCommand) -> UpdateAnswer | None:
        """What became of it; None: nothing yet."""
        return next((one for one in self._answers if (one.id, one.kind) == (command.id, command.kind)), None)

    def take(self, command: UpdateCommand) -> None:
        """Said again until it is answered, and done once: also while it is being done."""
        if (command.id, command.kind) in self._known:
            return
        self._known.append((command.id, command.kind))
        if command.stamp_ns < self._since_ns:
            anew = OtaError(OtaRefusal.NOT_NOW, "the agent was started anew meanwhile: look at its status")
            self.answer(command.refused(anew))
        elif len(self._pending) == MAX_UPDATE_ANSWERS:
            many = OtaError(OtaRefusal.BUSY, f"{MAX_UPDATE_ANSWERS} others asked before: ask again in a moment")
            self.answer(command.refused(many))
        else:
            self._pending.append(command)

    def next(self) -> UpdateCommand | None:
        """The oldest that has no answer yet; it is for the caller to give it one."""
        return self._pending.popleft() if self._pending else None

    def answer(self, answer: UpdateAnswer) -> None:
        """What became of one."""
        self._answers.append(answer)
