"""A loop that keeps its rate by absolute deadlines: woken late, it does not shift what comes after."""

from __future__ import annotations

import os
import time
from contextlib import suppress


class Pacer:
    """Deadlines of CLOCK_MONOTONIC, one every `interval_ns`. Use it from one thread.

    Attributes:
        missed: deadlines that passed while the loop was away.
    """

    def __init__(self, interval_ns: int) -> None:
        if interval_ns <= 0:
            raise ValueError("interval_ns must be above 0")
        self._interval_ns = interval_ns
        self._due_ns = time.monotonic_ns()
        self.missed = 0
        self._lateness_max_ns = 0

    def wait(self) -> int:
        """Sleep until the next deadline; how many deadlines before it were missed, 0 for a loop that is in time."""
        self._due_ns += self._interval_ns
        late_ns = time.monotonic_ns() - self._due_ns
        if late_ns < 0:
            time.sleep(-late_ns / 1e9)
            late_ns = time.monotonic_ns() - self._due_ns
        missed = late_ns // self._interval_ns
        self._due_ns += missed * self._interval_ns
        self._lateness_max_ns = max(self._lateness_max_ns, late_ns)
        self.missed += missed
        return missed

    def take_lateness_max_ns(self) -> int:
        """The latest wake since the last call."""
        latest_ns, self._lateness_max_ns = self._lateness_max_ns, 0
        return latest_ns


def driver_priority(control_priority: int) -> int:
    """A driver's real-time priority, below that of the control loop; 0 where that has none."""
    return max(1, control_priority - 10) if control_priority > 0 else 0


def become_realtime(control_priority: int) -> None:
    """Ask for that priority, for this thread alone; without the right to it, go on."""
    priority = driver_priority(control_priority)
    if priority > 0:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
