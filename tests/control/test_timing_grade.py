"""Grades of a machine's timing: lines of the table, and windows of ticks without power."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from edge_runtime.control.native_loop import REPORT_DTYPE
from edge_runtime.control.timing_grade import GRADES, Jitter, SelfTest, grade, measure
from edge_runtime.safety import State

MS = 1_000_000
WATCHDOG_NS = 20 * MS


def ticks(lateness_us: list[float], *, start_ms: int = 0, state: State = State.READY) -> Any:
    """What a loop reports that woke so late, one deadline after the other, and skipped those that had passed."""
    made = []
    slot = start_ms
    for late_us in lateness_us:
        late_ns = round(late_us * 1e3)
        slot += late_ns // MS
        made.append((slot * MS, late_ns))
        slot += 1
    reports = np.zeros(len(made), dtype=REPORT_DTYPE)
    reports["tick_ns"], reports["wake_lateness_ns"] = np.array(made, dtype=np.int64).reshape(-1, 2).T
    reports["state"] = state
    return reports


def graded(lateness_us: list[float], watchdog_ns: int = WATCHDOG_NS) -> str:
    reports = ticks(lateness_us)
    return grade(measure(reports["tick_ns"], reports["wake_lateness_ns"], MS), MS, watchdog_ns).name


def test_the_table_falls_from_full_speed_to_no_arming() -> None:
    scales = [line.speed_scale for line in GRADES]
    assert scales[0] == 1.0
    assert scales[-1] == 0.0
    assert scales == sorted(scales, reverse=True)
    for better, worse in itertools.pairwise(GRADES):
        assert better.missed_max < worse.missed_max
        assert better.lateness_p99_max_ticks < worse.lateness_p99_max_ticks
        assert better.gap_max_watchdogs <= worse.gap_max_watchdogs


def test_what_is_measured() -> None:
    # Woken 2.3 ms late, the loop skips two slots; its next tick is on time.
    reports = ticks([20.0] * 10 + [2300.0] + [20.0] * 7)
    jitter = measure(reports["tick_ns"], reports["wake_lateness_ns"], MS)
    assert jitter.missed == pytest.approx(2 / 20)
    assert jitter.gap_max_ns == 3_280_000
    first_late = ticks([5000.0] + [20.0] * 5)
    assert measure(first_late["tick_ns"], first_late["wake_lateness_ns"], MS).gap_max_ns == 6_000_000


@pytest.mark.parametrize(
    ("lateness_us", "expected"),
    [
        ([20.0] * 1000, "A"),
        ([20.0] * 990 + [5000.0], "A"),  # one pause of five ticks in a second
        ([20.0] * 985 + [9000.0], "A"),
        ([20.0] * 985 + [9100.0], "C"),  # ten ticks between two commands: half the watchdog
        ([20.0] * 985 + [18_900.0], "C"),
        ([20.0] * 985 + [19_100.0], "D"),  # the driver's watchdog has stopped the robot
        ([20.0] * 980 + [600.0] * 20, "B"),
        ([20.0] * 960 + [2500.0] * 12, "C"),
        ([20.0] * 960 + [1900.0] * 20, "B"),
        ([20.0] * 100 + [8000.0] * 2, "D"),
    ],
)
def test_lines_of_the_table(lateness_us: list[float], expected: str) -> None:
    assert graded(lateness_us) == expected


def test_each_limit_alone_costs_the_grade() -> None:
    good = Jitter(missed=0.01, lateness_p99_ns=0.5 * MS, gap_max_ns=WATCHDOG_NS // 2)
    assert grade(good, MS, WATCHDOG_NS).name == "A"
    for field, value in (("missed", 0.011), ("lateness_p99_ns", 0.51 * MS), ("gap_max_ns", WATCHDOG_NS // 2 + 1)):
        worse = Jitter(**{**{name: getattr(good, name) for name in good.__slots__}, field: value})
        assert grade(worse, MS, WATCHDOG_NS).name != "A", field


def test_a_driver_without_a_watchdog_sets_no_longest_gap() -> None:
    assert graded([20.0] * 5000 + [40_000.0], watchdog_ns=0) == "A"
    assert graded([20.0] * 5000 + [40_000.0]) == "D"


def test_a_window_is_graded_when_it_is_whole() -> None:
    test = SelfTest(1.0, MS, WATCHDOG_NS)
    assert test.add(ticks([20.0] * 999)) is None
    first = test.add(ticks([20.0], start_ms=999))
    assert first is not None
    assert first.name == "A"
    assert test.add(ticks([700.0] * 500, start_ms=1000)) is None
    assert test.grade is first


def test_the_better_of_two_windows_counts() -> None:
    test = SelfTest(0.1, MS, WATCHDOG_NS)
    good, fair, bad = [20.0] * 100, [700.0] * 100, [20.0] * 80 + [19_500.0]
    windows = [bad, bad, fair, good, bad, bad, bad, fair]
    grades = [test.add(ticks(window, start_ms=100 * k)) for k, window in enumerate(windows)]
    names = ["" if grade is None else grade.name for grade in grades]
    assert names == ["", "D", "B", "A", "A", "D", "D", "B"], "and none before the second, if the first is the worst"


def test_armed_ticks_are_not_graded_and_break_a_window() -> None:
    test = SelfTest(0.1, MS, WATCHDOG_NS)
    assert test.add(ticks([20.0] * 99)) is None
    for state in State:
        if state.is_armed:
            assert test.add(ticks([5000.0] * 200, start_ms=99, state=state)) is None
    assert test.add(ticks([20.0] * 99, start_ms=3000)) is None
    assert test.add(ticks([], start_ms=3099)) is None
    assert test.add(ticks([20.0], start_ms=3099)) is not None
