"""Graphs, and how the normalized actions come out of them."""

from __future__ import annotations

import math
from enum import Enum
from typing import Literal

from edge_runtime.contracts.manifest.parts import Part


class GraphRole(str, Enum):
    """When a graph is run. Stable strings.

    `encode`: once an observation, in the order in which they are listed; there may be any number of them.
    `step`: again and again, by the decoder; there is one at most, listed last.

    What a graph returns is fed to those after it under the same name; the decoder's result comes from the last one.
    """

    ENCODE = "encode"
    STEP = "step"


class CacheTensor(Part, frozen=True):
    """What a step returns as `output` is fed to the next one as `input`; the first is fed what `encode` returns as
    `input`."""

    input: str
    output: str


class Graph(Part, frozen=True, omit_defaults=True):
    """One ONNX file. `external_data` are the blobs beside it that hold its weights, as the file names them."""

    role: GraphRole
    path: str
    external_data: tuple[str, ...] = ()
    cache: tuple[CacheTensor, ...] = ()

    def __post_init__(self) -> None:
        if self.cache and self.role is not GraphRole.STEP:
            raise ValueError("a cache is what a step hands to the next one: this graph is run once")


class FlowDecoder(Part, frozen=True, tag_field="kind", tag="flow"):
    """Euler integration of the flow from noise, at `time_from`, to the action, at `time_to`, in `steps` equal steps.

    The step graph takes `x` (1, horizon, width) and `time` (1,) and returns `velocity`, like x: how x changes with
    time. `noise_seed` seeds the noise of the first chunk; chunk k uses seed + k, so that a run can be repeated.
    `fixed_noise` uses `noise_seed` for every chunk: less variety, smoother seams.
    """

    x: str
    time: str
    velocity: str
    steps: int
    time_from: float
    time_to: float
    noise_seed: int
    fixed_noise: bool

    def __post_init__(self) -> None:
        if not (math.isfinite(self.time_from) and math.isfinite(self.time_to)) or self.time_from == self.time_to:
            raise ValueError("a flow needs two different, finite times")


class DiffusionDecoder(Part, frozen=True, tag_field="kind", tag="diffusion"):
    """DDIM from noise to the action, without noise between: `steps` of the `training_steps` of the schedule.

    The step graph takes `x` (1, horizon, width) and `time` (1,), the number of the training step, and returns `output`,
    like x: the noise that is in it, the action itself, or the velocity between, as `predicts` says. `clip`: the action
    that a step expects is kept inside so much of zero. Seeds are as of `FlowDecoder`.
    """

    x: str
    time: str
    output: str
    predicts: Literal["noise", "action", "velocity"]
    schedule: Literal["linear", "squared_cosine"]
    training_steps: int
    steps: int
    clip: float | None
    noise_seed: int
    fixed_noise: bool


class TokensDecoder(Part, frozen=True, tag_field="kind", tag="tokens"):
    """Action tokens, one for each dimension of each action, each the likeliest of `bins` equal ones over -1 … 1.

    The bins are the tokens from `first_token` on, the lowest value first, or last with `highest_first`. `logits` is
    (1, rows, vocabulary), floating point. With a step graph the tokens come one after the other: the last row of what
    `encode` gives is of the first one, and the step graph takes each as `token`, integer (1, 1), with the cache that
    its graph names, and gives the row of the next. Without one the last horizon times width rows are all of them.
    """

    logits: str
    first_token: int
    bins: int
    highest_first: bool
    token: str | None = None


class RegressionDecoder(Part, frozen=True, tag_field="kind", tag="regression"):
    """The graphs give the chunk itself, (1, horizon, width), as `actions`."""

    actions: str


Decoder = FlowDecoder | DiffusionDecoder | TokensDecoder | RegressionDecoder
