"""The update agent that runs on this robot, as a person at a terminal meets it: what it says, and what it answers.

Guarantees that a request is made once: an agent that was started anew while it was asked is not asked again.
"""

from __future__ import annotations

import time
from pathlib import Path

from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.topics import POLICY_STATUS, UPDATE_COMMAND, UPDATE_STATUS
from edge_runtime.contracts.updates import PolicyStatus, UpdateAnswer, UpdateCommand, UpdateKind, UpdateStatus
from edge_runtime.ipc.bus import Sender, Subscriber

HEARD_S = 1.5
"""In which an agent is heard that is there: fifteen times what it takes to say something."""
ANSWER_S = {UpdateKind.ROLLBACK: 60.0, UpdateKind.CHECK: 180.0}
"""A rollback takes moments, unless the disk or the engine does not obey; the hub may have to be asked again."""
_REPEAT_S = (0.005, 0.1)
"""First and longest pause between two sendings: the first ones are lost while the connection is made."""
_LISTEN_S = 0.05


class RunningAgent:
    """Listens in `run_dir`; use as a context manager."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self.status: UpdateStatus | None = None
        self.engine: PolicyStatus | None = None
        self._subscriber = Subscriber((UPDATE_STATUS, POLICY_STATUS), run_dir)

    def __enter__(self) -> RunningAgent:
        return self

    def __exit__(self, *_: object) -> None:
        self._subscriber.close()

    def find(self, *, with_engine: bool = False) -> UpdateStatus | None:
        """What the agent says; None if there is none on this bus. An engine that is there says something soon."""
        until_s = time.monotonic() + (HEARD_S if UPDATE_STATUS.socket_path(self._run_dir).exists() else 0.0)
        while time.monotonic() < until_s and (self.status is None or (with_engine and self.engine is None)):
            self._listen()
            if self.status is not None:
                until_s = min(until_s, time.monotonic() + 0.3)
        return self.status

    def ask(self, kind: UpdateKind, reason: str = "") -> UpdateAnswer:
        """What the agent that was found answers to one request.

        Raises:
            OperatorError: it does not.
            ProcessError: the sockets belong to somebody else.
        """
        now_ns = time.monotonic_ns()
        command = UpdateCommand(id=now_ns, kind=kind, stamp_ns=now_ns, reason=reason)
        asked = 0 if self.status is None else self.status.pid
        until_s, next_s, pause_s = time.monotonic() + ANSWER_S[kind], 0.0, _REPEAT_S[0]
        with Sender(UPDATE_COMMAND, self._run_dir) as line:
            while time.monotonic() < until_s:
                if self.status is not None and (answer := self.status.answer_to(command)) is not None:
                    return answer
                if self.status is not None and self.status.pid != asked:
                    problem = "was started anew meanwhile: look at its status"
                    raise OperatorError("ota", kind.value, problem, answered=True)
                if time.monotonic() >= next_s:
                    line.send(command)
                    next_s = time.monotonic() + pause_s
                    pause_s = min(2.0 * pause_s, _REPEAT_S[1])
                self._listen(min(pause_s, _LISTEN_S))
        raise OperatorError("ota", kind.value, f"has not answered within {ANSWER_S[kind]:g} s", answered=False)

    def _listen(self, timeout_s: float = _LISTEN_S) -> None:
        for message in self._subscriber.receive(timeout_s):
            if isinstance(message, UpdateStatus):
                self.status = message
            elif isinstance(message, PolicyStatus):
                self.engine = message
