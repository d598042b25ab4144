"""Observations from before: which of them a policy is fed beside the newest, and how they lie side by side."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from edge_runtime.contracts.manifest.parts import Part

MAX_OBSERVATIONS = 32


class ActionSteps(Part, frozen=True, tag_field="kind", tag="action_steps"):
    """So many `observations`, the newest among them, each `every` times the time between two actions after the last."""

    observations: int
    every: int

    def __post_init__(self) -> None:
        if not 2 <= self.observations <= MAX_OBSERVATIONS or self.every < 1:
            raise ValueError(f"a history has 2 to {MAX_OBSERVATIONS} observations, one action or more apart")


class Offsets(Part, frozen=True, tag_field="kind", tag="offsets"):
    """How long before the newest each was exposed, oldest first; the newest itself, 0, is the last."""

    before_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.before_ns) <= MAX_OBSERVATIONS or self.before_ns[-1] != 0:
            raise ValueError(f"a history has 2 to {MAX_OBSERVATIONS} observations, and the last is the newest: 0")
        if not all(older > newer for older, newer in pairwise(self.before_ns)):
            raise ValueError("offsets of a history stand oldest first, each once")


class History(Part, frozen=True):
    """Some inputs are fed with what was observed before, oldest first.

    Attributes:
        tensors: of those inputs: cameras and the state. All others are fed the newest observation alone.
        instants: when each of the observations was exposed.
        tolerance_ns: what was exposed this much before or after its instant, at most, stands for it; the nearest does.
            Without one there is no chunk.
        axis: "time": a further dimension behind the first, as long as there are observations. "features": side by side
            in the channels of a picture and in the last dimension of a state.
        at_start: what stands for instants before the first observation that was seen. "repeat_first": that one.
            "wait": nothing, and there is no chunk until there is a whole history.
    """

    tensors: tuple[str, ...]
    instants: ActionSteps | Offsets
    tolerance_ns: int
    axis: Literal["time", "features"]
    at_start: Literal["repeat_first", "wait"]

    def __post_init__(self) -> None:
        if not self.tensors:
            raise ValueError("a history names the tensors that are fed with it")
        if self.tolerance_ns < 0:
            raise ValueError("tolerance_ns of a history must not be negative")

    @property
    def observations(self) -> int:
        """How many are fed at once."""
        if isinstance(self.instants, ActionSteps):
            return self.instants.observations
        return len(self.instants.before_ns)

    def before_ns(self, action_dt_ns: int) -> tuple[int, ...]:
        """How long before the newest each was exposed, oldest first, the newest, 0, last."""
        if isinstance(self.instants, Offsets):
            return self.instants.before_ns
        step_ns = self.instants.every * action_dt_ns
        return tuple(step_ns * back for back in reversed(range(self.instants.observations)))
