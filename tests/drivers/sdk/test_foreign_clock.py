"""Stamps of another clock, on this one's: never late for having come late, and no clock that was set goes unnoticed."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.contracts.errors import DriverError
from edge_runtime.drivers.sdk.foreign_clock import ForeignClock

MS = 1_000_000


def test_a_late_sample_is_stamped_as_much_earlier() -> None:
    clock = ForeignClock("its clock")
    delays_ms = [3, 1, 2, 1, 40, 1]
    seen = [clock.local_ns(7 + k * 10 * MS, 10**12 + (k * 10 + delay) * MS) for k, delay in enumerate(delays_ms)]
    # From the first short way on: one millisecond after it was measured, by the least delay.
    assert [(at - 10**12) / MS for at in seen[1:]] == [11.0, 21.0, 31.0, 41.0, 51.0]


def test_stamps_rise_and_are_never_after_their_arrival() -> None:
    random = np.random.default_rng(1)
    clock, last = ForeignClock("its clock"), -1
    for k in range(5000):
        arrival = k * 2 * MS + int(random.exponential(3.0) * MS)
        at = clock.local_ns(k * 2 * MS, arrival) if arrival > last else last
        assert last <= at <= max(arrival, last)
        last = at


@pytest.mark.parametrize("parts", [1e-4, -1e-4])
def test_a_clock_that_drifts_is_followed(parts: float) -> None:
    clock = ForeignClock("its clock")
    worst = 0.0
    for k in range(60_000):
        true = k * 10 * MS
        worst = max(worst, abs(clock.local_ns(round(true * (1.0 + parts)), true + MS) - true) / MS)
    assert worst < 4.0, "ten minutes at a tenth of a per mille are sixty milliseconds"


@pytest.mark.parametrize(("leap_ms", "words"), [(600, "leapt ahead by 0.60 s"), (-600, "is 0.60 s behind")])
def test_a_clock_that_is_set_ends_it(leap_ms: int, words: str) -> None:
    clock = ForeignClock("its clock")
    clock.local_ns(10**9, 10**12)
    with pytest.raises(DriverError, match=words):
        clock.local_ns(10**9 + (10 + leap_ms) * MS, 10**12 + 10 * MS)
