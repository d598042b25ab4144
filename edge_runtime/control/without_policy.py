"""Control without a policy: the robot can be armed, by a person alone, and holds the posture that was measured.

Nothing moves it: no chunk is taken, and holding too long ends with disarming in place, not with a retraction.
"""

from __future__ import annotations

from dataclasses import replace

from edge_runtime.contracts.messages import Heartbeat, RequestResult
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.control.proof_watch import Word
from edge_runtime.safety import KernelConfig

PERSON_ONLY = RequestResult.REFUSED_PROGRAM
"""A program asked to arm a robot that nobody's policy moves: there is nothing that it could want with it."""


def holding(limits: KernelConfig) -> KernelConfig:
    """`limits` of a robot that goes nowhere by itself."""
    return replace(limits, retract=())


class NoProof:
    """In the place of `ProofWatch`: there is no policy that would have to be proved."""

    def hear(self, _message: Heartbeat | PolicyStatus, _now_ns: int) -> None:
        """An engine that runs all the same is not followed."""

    def word(self, _now_ns: int) -> Word:
        """The robot may be armed."""
        return Word(True, detail="it holds its posture, and follows no policy")
