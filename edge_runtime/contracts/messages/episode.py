"""Attempts at a task: scenes that a simulation lays out for them, and how they go."""

from __future__ import annotations

from edge_runtime.contracts.messages.base import Message, require_63_bit


class SceneCommand(Message, frozen=True):
    """Simulation only: put the arm home and lay out the scene of `seed`. Refused while the arm is armed."""

    id: int
    seed: int
    split: str
    stamp_ns: int

    def __post_init__(self) -> None:
        if self.split not in ("train", "eval"):
            raise ValueError("split must be 'train' or 'eval'")
        require_63_bit("stamp_ns", self.stamp_ns)
        require_63_bit("id", self.id)
        if self.id == 0:
            raise ValueError("id 0 stands for no command yet")
        if not 0 <= self.seed < 2**31:
            raise ValueError("seed must be a non-negative 31-bit number")


class SceneStatus(Message, frozen=True):
    """Simulation only: the task that is laid out and how it stands.

    `elapsed_s` counts while the arm is armed and the outcome open. `trace_digest` is the SHA-256 over every
    target the joints were told meanwhile, in lockstep only: two runs of a seed that agree in it were the same motion.
    """

    stamp_ns: int
    answered_id: int
    answer: str
    seed: int
    split: str
    instruction: str
    swapped_instruction: str
    outcome: str
    reason: str
    elapsed_s: float
    trace_digest: str = ""
