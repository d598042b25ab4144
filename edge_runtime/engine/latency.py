"""Percentiles over the last hundred inferences, for the heartbeat."""

from __future__ import annotations

from collections import deque

import numpy as np

_WINDOW = 100


class LatencyWindow:
    """The last 100 durations of one kind."""

    def __init__(self) -> None:
        self._durations_ns: deque[int] = deque(maxlen=_WINDOW)

    def add(self, duration_ns: int) -> None:
        """One more; the oldest leaves when there are more than 100."""
        self._durations_ns.append(duration_ns)

    def median_ns(self) -> int:
        """The middle one, of an even number the later; there has to be one."""
        return sorted(self._durations_ns)[len(self._durations_ns) // 2]

    def gauges(self, name: str) -> dict[str, float]:
        """``<name>_p50_ms`` and ``<name>_p99_ms``; empty before the first."""
        if not self._durations_ns:
            return {}
        p50_ns, p99_ns = np.percentile(self._durations_ns, (50, 99)).tolist()
        return {f"{name}_p50_ms": round(p50_ns / 1e6, 3), f"{name}_p99_ms": round(p99_ns / 1e6, 3)}
