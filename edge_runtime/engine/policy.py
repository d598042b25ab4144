"""The policy seam: everything between an admitted observation and positions in physical units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.golden import Proof
from edge_runtime.contracts.messages import ActionChunk, Observation
from edge_runtime.policies.context import Context
from edge_runtime.policies.sentences import Reading


@dataclass(frozen=True)
class Actions:
    """What a policy wants the robot to do, with the time it took.

    Attributes:
        position: (horizon, axes), absolute, each in its axis's unit. May be not finite: the caller checks.
        preprocess_ns: reading frames, resizing, normalising.
        model_ns: inside the inference library.
        postprocess_ns: everything after.
        strangeness: how far the pictures lay outside of what training showed, 0 inside; None if that is not known.
        under_way: how many actions at the beginning were asked for before, and are no wish of this answer.
    """

    position: NDArray[np.float64]
    preprocess_ns: int
    model_ns: int
    postprocess_ns: int
    strangeness: float | None = None
    under_way: int = 0


class Policy(Protocol):
    """One policy for one robot."""

    @property
    def digest(self) -> str:
        """Digest of the bundle it came from."""

    @property
    def proof(self) -> Proof:
        """Whether it does on this machine what it was trained to."""

    @property
    def action_dt_ns(self) -> int:
        """Time between two actions."""

    @property
    def horizon(self) -> int:
        """Number of actions of a chunk."""

    @property
    def trial_ns(self) -> int:
        """What a chunk took when it was loaded, median of some."""

    @property
    def action_scale(self) -> NDArray[np.float64]:
        """(joints,) how far its actions usually reach, above zero."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras it looks at."""

    @property
    def reads_instructions(self) -> bool:
        """Whether it is told what to do; one that is not does what it was trained for whenever the robot is armed."""

    @property
    def counters(self) -> Mapping[str, int]:
        """What it counted since it was made."""

    def read(self, sentence: str) -> Reading:
        """What it can make of `sentence`; only one that is readable may be given to `infer`."""

    def begin_anew(self) -> None:
        """Forget what was remembered: the next observation is the first of a run."""

    def remember(self, observation: Observation) -> None:
        """Take in what later observations need of this one, which was exposed after all before.

        Is quick, and may be called while `infer` is at work.

        Raises:
            FrameError: a frame is gone, or was overwritten while it was read.
        """

    def context_of(self, observation: Observation, under_way: ActionChunk | None) -> Context | None:
        """What `infer` needs besides; None where it lacks one of the observations before.

        Args:
            observation: the last one that was remembered.
            under_way: the chunk that control follows, as far as anybody here knows.
        """

    def infer(
        self, observation: Observation, instruction: str, chunk_sequence: int, context: Context | None = None
    ) -> Actions:
        """Actions for `observation`; the same arguments give the same actions.

        Args:
            context: of `context_of`; None: the observation stands for all those before it, and nothing is under way.

        Raises:
            FrameError: a frame is gone, or was overwritten while it was read.
            EngineError: the inference library failed.
        """
