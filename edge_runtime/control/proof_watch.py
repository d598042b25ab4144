"""What the engine that lives has said of the proof of its bundle: asked before the robot is armed. Pure.

Guarantees: only the report of the engine that lives now counts. One that was started again, or was silent for as long
as a dead one is, has to say it anew. Trusts the engine to say the truth about itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.contracts.messages import Heartbeat
from edge_runtime.contracts.updates import PolicyStatus

PATIENCE_NS = 2_000_000_000
"""How long whoever arms waits for an engine that has not spoken yet, at most: less than an operator waits."""


@dataclass(frozen=True, slots=True)
class Word:
    """Whether the robot may be armed as far as its policy goes.

    Attributes:
        may_arm: the engine has said that its policy may act.
        may_change: not yet, and it may be a matter of moments: the engine is not there, or has not said anything.
        detail: why not; or what whoever arms should know of the policy, empty for nothing.
    """

    may_arm: bool
    may_change: bool = False
    detail: str = ""


class ProofWatch:
    """Listens to one engine after the other. Times are monotonic nanoseconds.

    Args:
        timeout_ns: an engine that is silent for so long is taken for gone.
    """

    def __init__(self, timeout_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self._pid: int | None = None
        self._alive_ns = self._said_ns = 0
        self._status: PolicyStatus | None = None

    def hear(self, message: Heartbeat | PolicyStatus, now_ns: int) -> None:
        """A sign of life of the engine, or what it says of its bundles."""
        if isinstance(message, PolicyStatus):
            self._status, self._said_ns = message, now_ns
            return
        was_silent = now_ns - self._alive_ns > self._timeout_ns
        if was_silent and now_ns - self._said_ns > self._timeout_ns:
            # In a namespace of its own the next engine may have the number of the one before.
            self._status = None
        self._pid, self._alive_ns = message.pid, now_ns

    def word(self, now_ns: int) -> Word:
        """Whether the engine that lives has said that its policy may act."""
        status = self._status
        if self._pid is None or now_ns - self._alive_ns > self._timeout_ns:
            return Word(False, True, "no engine has reported yet that its policy was proved here")
        if status is None or status.pid != self._pid:
            return Word(False, True, "the engine has not said yet what it has proved of its policy")
        if status.proof.may_act:
            return Word(True, detail=status.proof_detail if status.proof is ProofVerdict.NO_DATA else "")
        if status.proof is ProofVerdict.UNPROVEN:
            return Word(False, True, "the engine has not proved its policy yet: it is still being loaded")
        return Word(False, detail=status.proof_detail)
