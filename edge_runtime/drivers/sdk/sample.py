"""What is measured of a robot, and where it was at an instant of the last two seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = Sequence[float] | NDArray[np.float64]

_HISTORY = 2048
"""Samples that are kept to tell where the robot was when a picture was exposed: two seconds at 1 kHz."""

_APART_MAX_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured at one instant, in SI units and in the order of the embodiment's joints.

    Attributes:
        stamp_ns: of `time.monotonic_ns()`, when the values were measured, not when they arrived.
        q: (joints,) positions; positive turns the way that the embodiment's limits and the kinematics mean.
        dq: (joints,) velocities.
        gripper_m: distance between the fingers, 0 when closed or where there is no gripper.
        tau: (joints,) motor torques without what carries the arm's own weight; None where they are not measured.
        wrench: (6,) force N, then moment Nm at the tool; None where it is not measured.
        stop_line: a protective or emergency stop of the robot is open.
        fault: the robot follows no commands, whatever the reason.
    """

    stamp_ns: int
    q: Vector
    dq: Vector
    gripper_m: float = 0.0
    tau: Vector | None = None
    wrench: Vector | None = None
    stop_line: bool = False
    fault: bool = False


class History:
    """The last samples. One thread adds, any thread may ask."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=_HISTORY)

    def add(self, sample: Sample) -> None:
        """One more, later than all before. Copied: a driver may measure into the same arrays again."""
        q, dq = np.array(sample.q, dtype=np.float64), np.array(sample.dq, dtype=np.float64)
        self._samples.append(Sample(sample.stamp_ns, q, dq, float(sample.gripper_m)))

    def at(self, instant_ns: int) -> Sample | None:
        """What was measured at an instant, linearly between two samples; None with the nearest more than 0.1 s away."""
        after: Sample | None = None
        for sample in reversed(self._samples.copy()):
            if sample.stamp_ns <= instant_ns:
                return _between(sample, after, instant_ns)
            after = sample
        return after if after is not None and after.stamp_ns - instant_ns <= _APART_MAX_NS else None


def _between(before: Sample, after: Sample | None, instant_ns: int) -> Sample | None:
    if after is None:
        return before if instant_ns - before.stamp_ns <= _APART_MAX_NS else None
    if min(instant_ns - before.stamp_ns, after.stamp_ns - instant_ns) > _APART_MAX_NS:
        return None
    share = (instant_ns - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)

    def mix(first: Vector, second: Vector) -> NDArray[np.float64]:
        return (1.0 - share) * np.asarray(first, dtype=np.float64) + share * np.asarray(second, dtype=np.float64)

    gripper_m = float(mix([before.gripper_m], [after.gripper_m])[0])
    return Sample(instant_ns, mix(before.q, after.q), mix(before.dq, after.dq), gripper_m)
