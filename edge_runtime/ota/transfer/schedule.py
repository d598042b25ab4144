"""When bytes may flow, and how fast: allowed hours, a rate limit, a least throughput, and how far a download is.

Guarantees that each is decided from values and the instant alone. `SystemClock` is the one thing here that reads a
clock or sleeps; everything else takes what it says.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

MINUTES_A_DAY = 24 * 60
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)\Z")


class Clock(Protocol):
    """Time as a download needs it."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary but fixed start; never goes back."""

    def local_time(self) -> datetime:
        """The robot's wall clock in its own time zone; only allowed hours are judged by it."""

    def wait(self, seconds: float) -> None:
        """Return after `seconds`."""


class SystemClock:
    """This machine's clocks."""

    def now_ns(self) -> int:
        """Nanoseconds of CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def local_time(self) -> datetime:
        """Wall clock, in the time zone that the system is set to."""
        return datetime.now().astimezone()

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


@dataclass(frozen=True)
class AllowedHours:
    """Windows of the local day, as minutes from midnight: from the first (included) to the second (not included).

    A window whose end is not after its start goes across midnight; "00:00-00:00" is the whole day. Without any window
    every hour is allowed.
    """

    windows: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, *texts: str) -> AllowedHours:
        """From texts such as "22:00-06:30".

        Raises:
            ValueError: names the text that is no window.
        """
        windows = []
        for text in texts:
            match = _WINDOW.match(text)
            if match is None:
                raise ValueError(f"{text!r} is no window such as 22:00-06:30")
            start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
            windows.append((start_hour * 60 + start_minute, end_hour * 60 + end_minute))
        return cls(tuple(windows))

    def allow(self, local: datetime) -> bool:
        """Whether bytes may flow at this local time."""
        minute = local.hour * 60 + local.minute
        return not self.windows or any(
            start <= minute < end if start < end else minute >= start or minute < end for start, end in self.windows
        )

    def opens_in_s(self, local: datetime) -> int:
        """Seconds until a window opens, 0 inside of one. A change to or from summer time in between is not foreseen."""
        if self.allow(local):
            return 0
        second = (local.hour * 60 + local.minute) * 60 + local.second
        return min((start * 60 - second) % (MINUTES_A_DAY * 60) for start, _ in self.windows)


EVERY_HOUR = AllowedHours()


class TokenBucket:
    """A rate limit: over any span of time at most `burst_bytes` more than `rate_bytes_s` times its length.

    A part of the stream larger than the bucket is let through and paid for afterwards.
    """

    def __init__(self, rate_bytes_s: float, burst_bytes: int, now_ns: int) -> None:
        if rate_bytes_s <= 0.0 or burst_bytes < 1:
            raise ValueError("a rate limit needs a positive rate and burst")
        self._rate_bytes_s = rate_bytes_s
        self._burst_bytes = burst_bytes
        self._tokens = float(burst_bytes)
        self._at_ns = now_ns

    def take(self, size_bytes: int, now_ns: int) -> float:
        """Account for `size_bytes` that just came; returns the seconds to wait before asking for more."""
        filled = self._tokens + (now_ns - self._at_ns) / 1e9 * self._rate_bytes_s
        self._tokens = min(float(self._burst_bytes), filled) - size_bytes
        self._at_ns = now_ns
        return max(0.0, -self._tokens / self._rate_bytes_s)


class Throughput:
    """The least rate at which a server may send. Only waiting counts: reading slowly is no fault of its."""

    def __init__(self, least_bytes_s: float, window_s: float) -> None:
        self._least_bytes = least_bytes_s * window_s
        self._window_ns = int(window_s * 1e9)
        self._bytes = 0
        self._waited_ns = 0

    def too_slow(self, size_bytes: int, waited_ns: int) -> bool:
        """Account for a part that was waited for; whether a window's worth of waiting brought too little."""
        self._bytes += size_bytes
        self._waited_ns += waited_ns
        if self._waited_ns < self._window_ns:
            return False
        slow = self._bytes < self._least_bytes
        self._bytes = self._waited_ns = 0
        return slow


@dataclass(frozen=True)
class Progress:
    """How far a download is. `eta_s` is None before there is a rate."""

    done_bytes: int
    total_bytes: int
    rate_bytes_s: float
    eta_s: float | None


class ProgressMeter:
    """Turns bytes and instants into `Progress`, with the rate of about the last ten seconds."""

    TIME_CONSTANT_S = 10.0

    def __init__(self, now_ns: int) -> None:
        self._seen_bytes = 0
        self._at_ns = now_ns
        self._rate_bytes_s: float | None = None

    def take(self, done_bytes: int, total_bytes: int, now_ns: int) -> Progress:
        """The state at `now_ns`, no earlier than the last one. What has to come again may make `done_bytes` smaller."""
        done_bytes = min(done_bytes, total_bytes)
        passed_s = (now_ns - self._at_ns) / 1e9
        if passed_s > 0.0:
            rate = (done_bytes - self._seen_bytes) / passed_s
            weight = 1.0 if self._rate_bytes_s is None else min(1.0, passed_s / self.TIME_CONSTANT_S)
            self._rate_bytes_s = rate * weight + (self._rate_bytes_s or 0.0) * (1.0 - weight)
            self._seen_bytes, self._at_ns = done_bytes, now_ns
        rate_bytes_s = max(0.0, self._rate_bytes_s or 0.0)
        eta_s = (total_bytes - done_bytes) / rate_bytes_s if rate_bytes_s > 0.0 else None
        return Progress(done_bytes, total_bytes, rate_bytes_s, eta_s)
