"""What is measured of a robot, and where it was at an instant of the last two seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.axes import Continuous
from edge_runtime.contracts.embodiment import Embodiment

Vector = Sequence[float] | NDArray[np.float64]

_HISTORY = 2048
"""Samples that are kept to tell where the robot was when a picture was exposed: two seconds at 1 kHz."""

_APART_MAX_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured at one instant, in SI units and in the order of the embodiment's axes.

    Attributes:
        stamp_ns: of `time.monotonic_ns()`, when the values were measured, not when they arrived.
        q: (axes,) where each is, rad or m; positive turns the way that the embodiment's limits and the kinematics mean.
            Of a gripper how far it is open; of a base's axis 0. One that turns without end may be told modulo a turn.
        dq: (axes,) how fast each moves; of a base's axis what it drives at.
        tau: (axes,) torque Nm or force N of the motors without what carries the robot's own weight; None where they are
            not measured.
        wrench: (6,) force N, then moment Nm at the first tool; or one for each tool, None of a tool that measures none.
            None where none is measured.
        odometry: (3,) of the base in the world, x m, y m, yaw rad; None where it is not measured.
        stop_line: a protective or emergency stop of the robot is open.
        fault: the robot follows no commands, whatever the reason.
    """

    stamp_ns: int
    q: Vector
    dq: Vector
    tau: Vector | None = None
    wrench: Vector | Sequence[Vector | None] | None = None
    odometry: Vector | None = None
    stop_line: bool = False
    fault: bool = False


class History:
    """The last samples of one robot. One thread adds, any thread may ask."""

    def __init__(self, embodiment: Embodiment) -> None:
        self._samples: deque[Sample] = deque(maxlen=_HISTORY)
        self._turns = np.array([isinstance(axis, Continuous) for axis in embodiment.axes])

    def add(self, sample: Sample) -> None:
        """One more, later than all before. Copied: a driver may measure into the same arrays again."""
        q, dq = np.array(sample.q, dtype=np.float64), np.array(sample.dq, dtype=np.float64)
        self._samples.append(Sample(sample.stamp_ns, q, dq))

    def at(self, instant_ns: int) -> Sample | None:
        """What was measured at an instant, linearly between two samples; None with the nearest more than 0.1 s away."""
        after: Sample | None = None
        for sample in reversed(self._samples.copy()):
            if sample.stamp_ns <= instant_ns:
                return self._between(sample, after, instant_ns)
            after = sample
        return after if after is not None and after.stamp_ns - instant_ns <= _APART_MAX_NS else None

    def _between(self, before: Sample, after: Sample | None, instant_ns: int) -> Sample | None:
        if after is None:
            return before if instant_ns - before.stamp_ns <= _APART_MAX_NS else None
        if min(instant_ns - before.stamp_ns, after.stamp_ns - instant_ns) > _APART_MAX_NS:
            return None
        share = (instant_ns - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)
        q0, q1 = np.asarray(before.q), np.asarray(after.q)
        # On the shorter way: what a joint without ends is told to be at may have leaped by a turn.
        q1 = np.where(self._turns, q0 + np.remainder(q1 - q0 + np.pi, 2.0 * np.pi) - np.pi, q1)
        dq = (1.0 - share) * np.asarray(before.dq) + share * np.asarray(after.dq)
        return Sample(instant_ns, (1.0 - share) * q0 + share * q1, dq)
