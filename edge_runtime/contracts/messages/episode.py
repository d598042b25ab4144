"""Attempts at a task: who says that one has begun and how it ended, and the scenes that a simulation lays out for them.

Any process may say it, and any may hear it: an evaluation in simulation, a person, a recorder, the update agent, which
judges a bundle on probation by it. Control and drivers know no episodes; scenes are a simulation's alone.
"""

from __future__ import annotations

import math
import re
from enum import Enum

from edge_runtime.contracts.messages.base import MAX_INSTRUCTION_CHARS, Message, require_63_bit

MAX_EPISODE_REASON_CHARS = 512
_DIGEST = re.compile(r"[0-9a-f]{64}")


class EpisodeOutcome(str, Enum):
    """How an attempt at a task ended. Stable strings.

    `aborted`: it was cut short, by a person or a fault. `unknown`: nobody can tell. Neither says anything about the
    policy.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    ABORTED = "aborted"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return str(self.value)

    @property
    def is_judged(self) -> bool:
        """Whether it says something about the policy that acted."""
        return self in (EpisodeOutcome.SUCCESS, EpisodeOutcome.FAILURE)


class EpisodeJudge(str, Enum):
    """Who says how an episode ended: a person, the scene that a simulation laid out, or another program."""

    PERSON = "person"
    SCENE = "scene"
    PROGRAM = "program"

    def __str__(self) -> str:
        return str(self.value)


class EpisodeStarted(Message, frozen=True):
    """An attempt at a task begins.

    Attributes:
        id: grows from attempt to attempt; the same id said again is the same attempt.
        started_ns: on the robot's clock.
        instruction: the task, in words.
    """

    id: int
    started_ns: int
    instruction: str = ""

    def __post_init__(self) -> None:
        _require_id("id", self.id)
        require_63_bit("started_ns", self.started_ns)
        _require_words(self.instruction, "")


class EpisodeEnded(Message, frozen=True):
    """An attempt at a task has ended, and somebody who can tell says how.

    Attributes:
        id: grows from one such message to the next; the same id said again is the same message.
        episode: of its `EpisodeStarted`, 0 where its beginning was not said.
        started_ns, ended_ns: on the robot's clock.
        score: how well it went, 0 to 1; None where nobody has scored it.
        judge: who says so.
        instruction: the task, in words.
        reason: for a person, what made it a failure or cut it short.
        bundle: digest of the one whose plans were followed; empty where that is not known, or it was more than one.
    """

    id: int
    started_ns: int
    ended_ns: int
    outcome: EpisodeOutcome
    judge: EpisodeJudge
    episode: int = 0
    score: float | None = None
    instruction: str = ""
    reason: str = ""
    bundle: str = ""

    def __post_init__(self) -> None:
        _require_id("id", self.id)
        for name in ("episode", "started_ns", "ended_ns"):
            require_63_bit(name, getattr(self, name))
        if self.ended_ns < self.started_ns:
            raise ValueError("an episode cannot end before it starts")
        if self.score is not None and not (math.isfinite(self.score) and 0.0 <= self.score <= 1.0):
            raise ValueError("score must lie between 0 and 1")
        if self.bundle and not _DIGEST.fullmatch(self.bundle):
            raise ValueError(f"bundle must be a digest, 64 hexadecimal digits, got {self.bundle[:80]!r}")
        _require_words(self.instruction, self.reason)


def _require_id(name: str, value: int) -> None:
    require_63_bit(name, value)
    if value == 0:
        raise ValueError(f"{name} 0 stands for no episode yet")


def _require_words(instruction: str, reason: str) -> None:
    if len(instruction) > MAX_INSTRUCTION_CHARS:
        raise ValueError(f"instruction longer than {MAX_INSTRUCTION_CHARS} characters")
    if len(reason) > MAX_EPISODE_REASON_CHARS:
        raise ValueError(f"reason longer than {MAX_EPISODE_REASON_CHARS} characters")


class SceneAnswer(str, Enum):
    """What became of a request to lay out a scene."""

    NONE = "none"
    OK = "ok"
    NOT_ALLOWED_NOW = "not_allowed_now"

    def __str__(self) -> str:
        return str(self.value)


class SceneOutcome(str, Enum):
    """How the task that a scene was laid out for stands. All but `running` are final."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"

    def __str__(self) -> str:
        return str(self.value)


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
    `swapped_instruction` fits the scene but means another object; empty where there is none. `kind` is what episodes
    are counted by, such as the verb.
    """

    stamp_ns: int
    answered_id: int
    answer: SceneAnswer
    seed: int
    split: str
    instruction: str
    swapped_instruction: str
    outcome: SceneOutcome
    reason: str
    elapsed_s: float
    trace_digest: str = ""
    kind: str = ""
