"""Stamps of another machine's clock, on this one's monotonic clock.

The least delay that was seen between a stamp and its arrival is taken for the difference of the clocks: what was on its
way longer than that is stamped as much earlier than it arrived, so that a late sample is seen to be late. A stamp is at
most as much too late as the fastest way takes, never earlier than it should be by more than the clocks drift apart in
`WINDOW_S`. Refuses to go on where one of the clocks was set.
"""

from __future__ import annotations

from edge_runtime.contracts.errors import DriverError

WINDOW_S = 10.0
"""Clocks drift: a delay counts for so long, or twice that."""

LEAP_MAX_S = 0.5


class ForeignClock:
    """One other clock. Use it from one thread.

    Args:
        whose: what errors call it, as "the controller's clock".
    """

    def __init__(self, whose: str) -> None:
        self._whose = whose
        self._window_ends_ns = 0
        self._least_ns: int | None = None
        self._least_before_ns: int | None = None
        self._last_ns = -1

    def local_ns(self, stamp_ns: int, arrival_ns: int) -> int:
        """When it was by `time.monotonic_ns()`, of a stamp that is later than the one before.

        Args:
            stamp_ns: of the other clock.
            arrival_ns: of `time.monotonic_ns()`; the result is at most that, and after the one before.

        Raises:
            DriverError: the stamp leaps against the time of arrival by more than `LEAP_MAX_S`: the clock was set, or
                what comes now is that late.
        """
        delay_ns = arrival_ns - stamp_ns
        known = [least for least in (self._least_ns, self._least_before_ns) if least is not None]
        if known and abs(delay_ns - min(known)) > LEAP_MAX_S * 1e9:
            leap_s = (delay_ns - min(known)) / 1e9
            what = f"is {leap_s:.2f} s behind" if leap_s > 0.0 else f"leapt ahead by {-leap_s:.2f} s"
            raise DriverError(self._whose, f"{what}: it was set, or samples are held up on their way")
        if arrival_ns >= self._window_ends_ns:
            self._window_ends_ns = arrival_ns + round(WINDOW_S * 1e9)
            self._least_before_ns, self._least_ns = self._least_ns, None
        self._least_ns = delay_ns if self._least_ns is None else min(self._least_ns, delay_ns)
        least_ns = min(self._least_ns, self._least_ns if self._least_before_ns is None else self._least_before_ns)
        self._last_ns = min(arrival_ns, max(stamp_ns + least_ns, self._last_ns + 1))
        return self._last_ns
