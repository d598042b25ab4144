"""What a policy with a history is fed of the observations before the newest: kept at their instants, found again.

Pictures are kept at the size that is fed, in the camera's own bytes. Pure: stamps in, observations out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import History

_MOST = 1024
"""Observations that are kept at most, whatever their rate; the oldest leaves."""


@dataclass(frozen=True)
class Moment:
    """One observation, as much of it as is fed again later.

    Attributes:
        exposure_ns: its instant.
        pictures: by tensor, (height_px, width_px, 3) uint8 RGB at the size that is fed.
        state: normalized; None where it is not fed again.
    """

    exposure_ns: int
    pictures: Mapping[str, NDArray[np.uint8]]
    state: NDArray[np.float32] | None


class Past:
    """The observations of one policy, oldest first.

    Args:
        history: of its contract.
        action_dt_ns: time between two of its actions.
    """

    def __init__(self, history: History, action_dt_ns: int) -> None:
        self._history = history
        self._before_ns = history.before_ns(action_dt_ns)
        self._kept: deque[Moment] = deque(maxlen=_MOST)
        self._begun_ns = 0

    def keep(self, moment: Moment) -> None:
        """One more, exposed after all those before; what no later one can need is let go."""
        oldest_ns = moment.exposure_ns - self._before_ns[0] - self._history.tolerance_ns
        while self._kept and self._kept[0].exposure_ns < oldest_ns:
            self._kept.popleft()
        if not self._kept:
            self._begun_ns = moment.exposure_ns
        self._kept.append(moment)

    def forget(self) -> None:
        """The next one is the first."""
        self._kept.clear()

    def of_newest(self) -> tuple[Moment, ...] | None:
        """The newest with those that are fed beside it, oldest first; None where one of them was not observed.

        What lies before the first observation is as the contract has it for the start. The first of all is one, and
        the first after a silence that no instant reaches across.
        """
        newest = self._kept[-1]
        found = [self._nearest(newest.exposure_ns - before_ns) for before_ns in self._before_ns]
        return None if None in found else tuple(moment for moment in found if moment is not None)

    def _nearest(self, instant_ns: int) -> Moment | None:
        stamps = [moment.exposure_ns for moment in self._kept]
        at = bisect_left(stamps, instant_ns)
        beside = [self._kept[number] for number in (at - 1, at) if 0 <= number < len(stamps)]
        nearest = min(beside, key=lambda moment: abs(moment.exposure_ns - instant_ns))
        if abs(nearest.exposure_ns - instant_ns) <= self._history.tolerance_ns:
            return nearest
        is_repeated = self._history.at_start == "repeat_first" and instant_ns < self._begun_ns
        # The first is there still: it is let go only once no instant lies before it.
        return self._kept[0] if is_repeated else None
