"""How much a policy agrees with what it wanted a moment ago.

Sees a policy that changes its mind from picture to picture: noise, flicker, two answers to one scene. Does not see one
that is wrong in the same way every time: in front of a black picture this one settles and agrees with itself. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

_OVERLAP_MIN = 2


@dataclass(frozen=True)
class _Plan:
    exposure_ns: int
    instruction_id: int
    position: Float64


class ChunkConsistency:
    """Compares each chunk with the one before it.

    Args:
        scale: (joints,) how large the policy's motions usually are; what a disagreement is measured in.
        dt_ns: time between two actions.
    """

    def __init__(self, scale: Float64, dt_ns: int) -> None:
        self._scale = scale
        self._dt_ns = dt_ns
        self._last: _Plan | None = None

    def disagreement(self, exposure_ns: int, instruction_id: int, position: Float64) -> float | None:
        """Root mean square of the difference to the chunk before, in `scale`; the chunk is the next one's measure.

        Rows are compared that are due at the same time, and, because a robot that was held or slowed is behind its
        plan, at every smaller shift down to row by row; the best of these counts. None without a chunk before that
        overlaps, and after a new instruction, which is meant to change the plan.
        """
        last, self._last = self._last, _Plan(exposure_ns, instruction_id, position)
        if last is None or last.instruction_id != instruction_id or len(last.position) != len(position):
            return None
        elapsed = round((exposure_ns - last.exposure_ns) / self._dt_ns)
        horizon = len(position)
        if not 0 <= elapsed <= horizon - _OVERLAP_MIN:
            return None
        return min(
            float(np.sqrt(np.mean(((last.position[k:] - position[: horizon - k]) / self._scale) ** 2)))
            for k in range(elapsed + 1)
        )
