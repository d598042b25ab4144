"""Allowed hours, rate limit, least throughput and progress: values in, values out."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.ota.transfer.schedule import (
    AllowedHours,
    Progress,
    ProgressMeter,
    SystemClock,
    Throughput,
    TokenBucket,
)

S = 1_000_000_000
DAY = datetime(2026, 3, 1)


def at(text: str) -> datetime:
    hours, minutes, seconds = map(int, text.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds)


@pytest.mark.parametrize(
    ("windows", "time", "opens_in_s"),
    [
        ((), "12:00:00", 0),
        (("22:00-06:30",), "22:00:00", 0),
        (("22:00-06:30",), "23:59:59", 0),
        (("22:00-06:30",), "00:00:00", 0),
        (("22:00-06:30",), "06:29:59", 0),
        (("22:00-06:30",), "06:30:00", 15 * 3600 + 1800),
        (("22:00-06:30",), "21:59:59", 1),
        (("08:00-17:00",), "07:59:30", 30),
        (("08:00-17:00",), "08:00:00", 0),
        (("08:00-17:00",), "16:59:59", 0),
        (("08:00-17:00",), "17:00:00", 15 * 3600),
        (("01:00-02:00", "13:00-14:00"), "12:00:00", 3600),
        (("01:00-02:00", "13:00-14:00"), "13:30:00", 0),
        (("01:00-02:00", "13:00-14:00"), "14:00:00", 11 * 3600),
        (("00:00-00:00",), "15:00:00", 0),
        (("05:00-05:00",), "04:59:59", 0),
    ],
)
def test_hours(windows: tuple[str, ...], time: str, opens_in_s: int) -> None:
    hours = AllowedHours.parse(*windows)
    assert hours.allow(at(time)) == (opens_in_s == 0)
    assert hours.opens_in_s(at(time)) == opens_in_s


@given(
    st.lists(st.tuples(st.integers(0, 1439), st.integers(0, 1439)), max_size=4),
    st.integers(0, 86399),
)
def test_hours_open_when_they_say_and_not_before(windows: list[tuple[int, int]], second: int) -> None:
    hours, now = AllowedHours(tuple(windows)), DAY + timedelta(seconds=second)
    wait_s = hours.opens_in_s(now)
    assert 0 <= wait_s < 86400
    assert hours.allow(now + timedelta(seconds=wait_s))
    if wait_s:
        assert not hours.allow(now + timedelta(seconds=wait_s - 1))


@pytest.mark.parametrize("text", ["", "22-06", "24:00-06:00", "22:00-06:60", "22:00 - 06:00", "22:00-06:00x"])
def test_text_that_is_no_window_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no window"):
        AllowedHours.parse("01:00-02:00", text)


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 3 * S)), min_size=1, max_size=50))
def test_a_rate_limit_holds_over_every_span(parts: list[tuple[int, int]]) -> None:
    rate, burst, now_ns = 1000.0, 2000, 5 * S
    bucket = TokenBucket(rate, burst, now_ns)
    taken: list[tuple[int, int]] = []
    for size, idle_ns in parts:
        now_ns += idle_ns
        taken.append((now_ns, size))
        now_ns += round(bucket.take(size, now_ns) * 1e9)
    for first in range(len(taken)):
        total = 0
        for when_ns, size in taken[first:]:
            # The last part of a span came before it was accounted for.
            assert total <= burst + rate * (when_ns - taken[first][0]) / 1e9 + 1
            total += size


def test_a_rate_limit_asks_for_no_wait_below_its_rate() -> None:
    bucket = TokenBucket(1000.0, 1000, 0)
    assert [bucket.take(500, second * S) for second in range(20)] == [0.0] * 20
    assert bucket.take(3000, 20 * S) == pytest.approx(2.0)


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_a_rate_limit_without_sense_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="positive rate"):
        TokenBucket(rate, burst, 0)


def test_only_waiting_makes_a_server_slow() -> None:
    slow = Throughput(100.0, 10.0)
    assert [slow.too_slow(99, S) for _ in range(9)] == [False] * 9
    assert slow.too_slow(99, S)
    fine = Throughput(100.0, 10.0)
    assert not any(fine.too_slow(100, S) for _ in range(100))
    at_once = Throughput(100.0, 10.0)
    assert not any(at_once.too_slow(1, 0) for _ in range(100))


def test_a_fast_start_does_not_excuse_a_slow_rest() -> None:
    rule = Throughput(100.0, 10.0)
    assert not rule.too_slow(1_000_000, 10 * S)
    assert [rule.too_slow(1, 5 * S) for _ in range(2)] == [False, True]


def test_progress_tells_rate_and_time_left() -> None:
    meter = ProgressMeter(0)
    assert meter.take(0, 10_000, 0) == Progress(0, 10_000, 0.0, None)
    assert meter.take(1000, 10_000, S) == Progress(1000, 10_000, 1000.0, 9.0)
    for second in range(2, 10):
        assert meter.take(second * 1000, 10_000, second * S).rate_bytes_s == pytest.approx(1000.0)
    again = meter.take(8500, 10_000, 9 * S + S // 2)
    assert again.done_bytes == 8500
    assert 850 < again.rate_bytes_s < 1000
    last = meter.take(50_000, 10_000, 10 * S)
    assert (last.done_bytes, last.eta_s) == (10_000, 0.0)


def test_the_system_clock_moves_and_knows_its_zone() -> None:
    clock = SystemClock()
    before_ns = clock.now_ns()
    clock.wait(0.01)
    assert clock.now_ns() - before_ns >= 10_000_000
    assert clock.local_time().tzinfo is not None
