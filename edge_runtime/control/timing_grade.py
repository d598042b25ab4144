"""How well this machine keeps time, as a grade that caps the robot's speed.

A missed tick makes the command stand still for a millisecond in mid-motion: a jolt that the kernel's limits, which
count ticks, can't see, and that is the harder the faster the robot moves. So a machine that misses ticks moves slower.
What is graded was measured by the running loop itself while the robot was not armed. Pure: arrays in, grade out.

The lines. Missed ticks: libfranka's communication test warns below 95 % of commands in time, and calls a machine below
90 % probably not sufficient. Lateness: within half a tick, a driver at the loop's rate gets each command in its own
cycle. Longest gap between two commands: at the driver's watchdog the robot stops by itself, so half of it is the margin
that is left for the load to come. Windows follow each other until the robot is armed, and the better of the last two
counts: one pause of a virtual machine's host is bad luck, two in two windows are what this machine is like.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_runtime.safety import State

_ARMED = tuple(state for state in State if state.is_armed)


@dataclass(frozen=True, slots=True)
class Grade:
    """One line of the table: a machine gets the first grade whose limits it keeps, all of them.

    Attributes:
        name: one letter.
        speed_scale: of every joint's velocity limit; 0 does not arm.
        missed_max: share of tick slots without a tick, 0 to 1.
        lateness_p99_max_ticks: 99th percentile of waking after the deadline, in ticks.
        gap_max_watchdogs: longest time between two commands, in the driver's watchdog.
    """

    name: str
    speed_scale: float
    missed_max: float
    lateness_p99_max_ticks: float
    gap_max_watchdogs: float


GRADES: tuple[Grade, ...] = (
    Grade("A", 1.0, missed_max=0.01, lateness_p99_max_ticks=0.5, gap_max_watchdogs=0.5),
    Grade("B", 0.5, missed_max=0.05, lateness_p99_max_ticks=2.0, gap_max_watchdogs=0.5),
    Grade("C", 0.25, missed_max=0.10, lateness_p99_max_ticks=5.0, gap_max_watchdogs=1.0),
    Grade("D", 0.0, missed_max=1.0, lateness_p99_max_ticks=np.inf, gap_max_watchdogs=np.inf),
)


@dataclass(frozen=True, slots=True)
class Jitter:
    """What was measured over some ticks in a row."""

    missed: float
    lateness_p99_ns: float
    gap_max_ns: int


def measure(tick_ns: npt.NDArray[np.int64], lateness_ns: npt.NDArray[np.int64], period_ns: int) -> Jitter:
    """Jitter of at least one tick: (ticks,) instants they stand for, ascending, and how late each woke."""
    slots = int(tick_ns[-1] - tick_ns[0]) // period_ns + 1
    woke_ns = tick_ns + np.mod(lateness_ns, period_ns)
    gaps_ns = np.diff(woke_ns, prepend=woke_ns[0] - lateness_ns[0] - period_ns)
    return Jitter(1.0 - len(tick_ns) / slots, float(np.percentile(lateness_ns, 99)), int(gaps_ns.max()))


def grade(jitter: Jitter, period_ns: int, watchdog_ns: int) -> Grade:
    """The first grade of the table that `jitter` keeps to; a driver without a watchdog (0) sets no longest gap."""
    for candidate in GRADES[:-1]:
        if (
            jitter.missed <= candidate.missed_max
            and jitter.lateness_p99_ns <= candidate.lateness_p99_max_ticks * period_ns
            and (watchdog_ns == 0 or jitter.gap_max_ns <= candidate.gap_max_watchdogs * watchdog_ns)
        ):
            return candidate
    return GRADES[-1]


class SelfTest:
    """Grades a loop from its own tick reports, window after window, whenever it is not armed.

    Args:
        length_s: of a window.
        period_ns: of the loop.
        watchdog_ns: the driver's own.
    """

    def __init__(self, length_s: float, period_ns: int, watchdog_ns: int) -> None:
        self._length_ns = round(length_s * 1e9)
        self._period_ns = period_ns
        self._watchdog_ns = watchdog_ns
        self._tick_ns: list[npt.NDArray[np.int64]] = []
        self._lateness_ns: list[npt.NDArray[np.int64]] = []
        self._before: Grade | None = None
        self.grade: Grade | None = None

    def add(self, ticks: npt.NDArray[Any]) -> Grade | None:
        """Take in tick reports, oldest first; the new grade if they complete a window. The worst takes two of them.

        An armed tick throws the window under way away: it was not long enough, and the next one starts after it.
        """
        armed = np.flatnonzero(np.isin(ticks["state"], _ARMED))
        if armed.size:
            self._tick_ns.clear()
            self._lateness_ns.clear()
            ticks = ticks[armed[-1] + 1 :]
        if len(ticks) == 0:
            return None
        self._tick_ns.append(np.array(ticks["tick_ns"]))
        self._lateness_ns.append(np.array(ticks["wake_lateness_ns"]))
        if self._tick_ns[-1][-1] - self._tick_ns[0][0] < self._length_ns - self._period_ns:
            return None
        jitter = measure(np.concatenate(self._tick_ns), np.concatenate(self._lateness_ns), self._period_ns)
        now, before = grade(jitter, self._period_ns, self._watchdog_ns), self._before
        self._before = now
        self._tick_ns.clear()
        self._lateness_ns.clear()
        if before is not None or now is not GRADES[-1]:
            self.grade = min(now, before or now, key=GRADES.index)
        return self.grade
