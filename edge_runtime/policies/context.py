"""What a policy is given beside an observation and an instruction: what it saw before, and what is under way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.messages import ActionChunk
from edge_runtime.policies.past import Moment

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Context:
    """For one observation; empty for a policy that neither looks back nor was trained for a delay.

    Attributes:
        moments: the observations that are fed, oldest first, the newest last.
        under_way: (trained_delay, axes), the actions that are asked for until the policy's own begin;
            None: there are none, and all of its own count.
    """

    moments: tuple[Moment, ...] = ()
    under_way: Float64 | None = None


def actions_at(chunk: ActionChunk, due_ns: NDArray[np.int64]) -> Float64 | None:
    """What `chunk` asks for at these instants, in order: (instants, axes).

    Between two of its actions it is in proportion; the last stands for what comes after it. None where the chunk ended
    before the first instant.
    """
    own_ns = chunk.exposure_ns + chunk.dt_ns * np.arange(1, len(chunk.position) + 1)
    if due_ns[0] > own_ns[-1]:
        return None
    actions = np.array(chunk.position)
    # Counted from the first instant: as floating point, stamps of a machine that has run for months lose nanoseconds.
    at, own = (stamps.astype(np.int64) - due_ns[0] for stamps in (due_ns, own_ns))
    return np.column_stack([np.interp(at, own, column) for column in actions.T])
