"""What the engine says of its work: which sentence it follows, and how long a chunk takes it on this machine."""

from __future__ import annotations

from enum import Enum

from edge_runtime.contracts.messages import MAX_INSTRUCTION_CHARS, Message

MAX_READING_CHARS = 640


class InstructionAnswer(str, Enum):
    """What became of an instruction. Stable strings.

    `none`: there was none since the engine started. `refused_overtaken`: another operator's came later. `reads_none`:
    the policy that acts follows no instructions: it does what it was trained for whenever the robot is armed.
    """

    NONE = "none"
    FOLLOWED = "followed"
    REFUSED_UNREADABLE = "refused_unreadable"
    REFUSED_OVERTAKEN = "refused_overtaken"
    READS_NONE = "reads_none"


class EngineStatus(Message, frozen=True):
    """The engine at work. Sent ten times a second, also while a chunk is computed, and at once when something changes.

    Attributes:
        pid: of the engine; another one is another engine, which knows no instruction.
        bundle: digest of the one that acts.
        instruction_id: of the newest instruction, 0 before the first.
        answer: what became of it.
        asked: its words.
        instruction: the sentence that is followed; empty while none is. A refused one leaves none in force.
        detail: why it was refused, or is not needed, for a person.
        latency_ns: from the exposure of an observation to the chunk, median of the last ones; of trials before there
            are any.
        horizon_ns: how far beyond that exposure a chunk reaches.
        not_finite: answers of `bundle` that were kept back because they held no numbers, since it began to act.
    """

    stamp_ns: int
    pid: int
    bundle: str
    instruction_id: int
    answer: InstructionAnswer
    latency_ns: int
    horizon_ns: int
    not_finite: int = 0
    asked: str = ""
    instruction: str = ""
    detail: str = ""

    def __post_init__(self) -> None:
        for name in ("stamp_ns", "instruction_id", "latency_ns", "horizon_ns", "not_finite"):
            if not 0 <= getattr(self, name) < 2**63:
                raise ValueError(f"{name} must be a non-negative 63-bit number")
        if not 0 <= self.pid < 2**31:
            raise ValueError("pid must be a non-negative 31-bit number")
        if max(len(self.asked), len(self.instruction)) > MAX_INSTRUCTION_CHARS:
            raise ValueError(f"instruction longer than {MAX_INSTRUCTION_CHARS} characters")
        if len(self.detail) > MAX_READING_CHARS:
            raise ValueError(f"detail longer than {MAX_READING_CHARS} characters")
        if (self.answer is InstructionAnswer.FOLLOWED) != bool(self.instruction):
            raise ValueError("an instruction is in force exactly while it is followed")
        if self.answer is InstructionAnswer.REFUSED_OVERTAKEN:
            raise ValueError("the newest instruction can't have been overtaken")
