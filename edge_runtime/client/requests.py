"""How anybody asks a robot's processes for something: under one number, again and again until there is an answer.

A request that is refused or not answered raises, with the name of the process that it concerns. Knows no request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from edge_runtime.client.explanations import refused_because
from edge_runtime.client.status import Watcher
from edge_runtime.contracts.engine_status import InstructionAnswer
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import Asker, Message, OperatorCommand, OperatorKind, RequestResult
from edge_runtime.contracts.topics import OPERATOR
from edge_runtime.ipc.bus import Sender

_REPEAT_S = (0.002, 0.05)
"""First and longest pause between two sendings: the first ones are lost while the connection is made."""
_LISTEN_S = 0.02
ANSWER_TIMEOUT_S = 5.0
_GRANTED = ("ok", RequestResult.DONE.value, InstructionAnswer.FOLLOWED.value)


@dataclass(frozen=True)
class Answered:
    """What became of a request: the answer's name, and what else there is to say."""

    answer: str
    detail: str = ""


class Requests:
    """Requests of one asker to the robot in `run_dir`, and what is heard of it meanwhile. A context manager.

    Args:
        run_dir: folder of the run's sockets.
        on_wait: called again and again while this object waits, at least ten times a second.
        answer_timeout_s: how long a process may take to answer a request.
        asker: whether a person asks, or a program on its own.

    Raises:
        ProcessError: the robot belongs to another user.
    """

    def __init__(
        self, run_dir: Path, on_wait: Callable[[], None] | None, answer_timeout_s: float, asker: Asker
    ) -> None:
        self._run_dir = run_dir
        self._asker = asker
        self._commands = Sender(OPERATOR, run_dir)
        self.watcher = Watcher(run_dir)
        self.on_wait = on_wait
        self._answer_timeout_s = answer_timeout_s
        self._last_id = 0

    @property
    def run_dir(self) -> Path:
        """Folder of the run's sockets."""
        return self._run_dir

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Listen until `condition` holds; whether it did within `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() >= deadline_s:
                return False
            self._listen()
        return True

    def _ask_control(self, kind: OperatorKind) -> str:
        return self._ask(self._command(kind))

    def _ask(self, command: OperatorCommand) -> str:
        """Ask control for it, until there is an answer; its detail, if it was granted."""

        def answer() -> Answered | None:
            report = self.watcher.report
            given = report.answer_to(command) if report is not None else None
            return None if given is None else Answered(given.answer, given.detail)

        return self._request(self._commands, command, "control", command.kind.value, answer)

    def _command(self, kind: OperatorKind, instruction: str = "") -> OperatorCommand:
        return OperatorCommand(
            id=self._next_id(),
            kind=kind,
            stamp_ns=time.monotonic_ns(),
            instruction=instruction,
            asker=self._asker,
        )

    def _next_id(self) -> int:
        # Monotonic microseconds: the ids of an operator that comes later are higher, without anything to remember.
        self._last_id = max(self._last_id + 1, time.monotonic_ns() // 1000)
        return self._last_id

    def _request(
        self, sender: Sender, command: Message, process: str, request: str, answer: Callable[[], Answered | None]
    ) -> str:
        """Ask until there is an answer; its detail, if it was granted."""
        deadline_s = time.monotonic() + self._answer_timeout_s
        repeat_s = 0.0
        pause_s, longest_s = _REPEAT_S
        while (answered := answer()) is None:
            now_s = time.monotonic()
            if now_s >= deadline_s:
                problem = f"did not answer within {self._answer_timeout_s:g} s"
                raise OperatorError(process, request, problem, answered=False)
            if now_s >= repeat_s:
                sender.send(command)
                repeat_s = now_s + pause_s
                pause_s = min(2.0 * pause_s, longest_s)
            self._listen(min(_LISTEN_S, repeat_s - now_s))
        if answered.answer not in _GRANTED:
            problem = f"refused: {refused_because(answered.answer, answered.detail, self._run_dir)}"
            raise OperatorError(process, request, problem, answered=True, answer=answered.answer)
        return answered.detail

    def _listen(self, timeout_s: float = _LISTEN_S) -> None:
        self.watcher.receive(timeout_s)
        self._look_after()
        if self.on_wait is not None:
            self.on_wait()

    def _look_after(self) -> None:
        """What has to be done again and again while this object listens."""

    def close(self) -> None:
        """Leave; the robot stays as it is."""
        self._commands.close()
        self.watcher.close()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
