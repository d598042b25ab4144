"""From a motion to rest along its own direction, for robots that brake by being told where to be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.drivers.sdk.sample import Vector


class Braking:
    """Targets from a motion to rest: along its direction, every axis at rest at the same instant. Pure.

    Args:
        q: (axes,) last target, each in its axis's unit.
        dq: (axes,) how fast it moved.
        rates: (axes,) how hard each axis may be braked, above 0; `inf` for one that needs no time.
        now_s: any clock's time, that later times are of too.
    """

    def __init__(self, q: Vector, dq: Vector, rates: Vector, now_s: float) -> None:
        self._q, self._dq = np.asarray(q, dtype=np.float64), np.asarray(dq, dtype=np.float64)
        self._start_s = now_s
        self._duration_s = float(np.max(np.abs(self._dq) / np.asarray(rates, dtype=np.float64)))

    def q(self, now_s: float) -> NDArray[np.float64]:
        """(axes,) where to be."""
        t_s = min(max(now_s - self._start_s, 0.0), self._duration_s)
        way_s = t_s - t_s**2 / (2.0 * self._duration_s) if self._duration_s > 0.0 else 0.0
        return self._q + self._dq * way_s

    def dq(self, now_s: float) -> NDArray[np.float64]:
        """(axes,) how fast."""
        left_s = self._duration_s - max(now_s - self._start_s, 0.0)
        return self._dq * (left_s / self._duration_s) if left_s > 0.0 else np.zeros_like(self._dq)

    def rests_s(self, now_s: float) -> float:
        """For how long the target has been at rest; below 0 while it moves."""
        return now_s - self._start_s - self._duration_s
