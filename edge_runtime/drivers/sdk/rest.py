"""From motion to rest inside the rated acceleration, for a driver whose commands have ceased."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment

Vector = NDArray[np.float64]


class RampToRest:
    """Where to be on the way to rest. Every axis decelerates by itself; one without a rated acceleration stops at once.

    Args:
        q, dq: (axes,) what was followed last; of a base's axis dq.
        now_ns: when.

    Attributes:
        is_over: it is at rest, and has been told so.
    """

    def __init__(self, embodiment: Embodiment, q: Vector, dq: Vector, now_ns: int) -> None:
        self._most = np.array([axis.acceleration_max for axis in embodiment.axes])
        self._q, self._dq = np.array(q, dtype=np.float64), np.array(dq, dtype=np.float64)
        self._then_ns = now_ns
        self.is_over = False

    def at(self, now_ns: int) -> tuple[Vector, Vector]:
        """(axes,) positions and velocities at `now_ns`, which never goes back."""
        elapsed_s = max(0, now_ns - self._then_ns) / 1e9
        self._then_ns = now_ns
        # The whole way to rest, or as far as this time allows; infinite deceleration is none.
        lasts_s = np.minimum(np.abs(self._dq) / self._most, elapsed_s)
        lost = np.where(np.isfinite(self._most), np.where(np.isfinite(self._most), self._most, 0.0) * lasts_s, np.inf)
        after = np.sign(self._dq) * np.maximum(np.abs(self._dq) - lost, 0.0)
        self._q = self._q + (self._dq + after) / 2.0 * lasts_s
        self._dq = after
        self.is_over = not np.any(after)
        return self._q, self._dq
