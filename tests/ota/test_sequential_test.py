"""The exact test: against fractions and enumeration, what it promises for any length, and how it grows."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import islice
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.ota.probation.sequential_test import is_worse, looks, tail

COUNTS = st.integers(0, 60).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))
ALPHA = st.sampled_from([0.5, 0.05, 0.01])


def exact_tail(bad: int, of: int, bad_before: int, of_before: int) -> Fraction:
    """By counting which of all attempts may have been the ones on trial."""
    total, total_bad = of + of_before, bad + bad_before
    ways = sum(comb(total_bad, k) * comb(total - total_bad, of - k) for k in range(max(bad, 0), min(of, total_bad) + 1))
    return Fraction(ways, comb(total, of))


def test_the_chance_is_that_of_counting() -> None:
    for of in range(9):
        for of_before in range(9):
            for bad in range(of + 1):
                for bad_before in range(of_before + 1):
                    expected = float(exact_tail(bad, of, bad_before, of_before))
                    assert tail(bad, of, bad_before, of_before) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("bad", "of", "bad_before", "of_before"),
    [
        (40, 300, 60, 1000),
        (3, 2000, 1, 5000),
        (10, 2592, 2000, 5000),
        (2592, 2592, 2000, 5000),
        (700, 2000, 1000, 3000),
    ],
)
def test_the_chance_of_large_counts_is_that_of_counting(bad: int, of: int, bad_before: int, of_before: int) -> None:
    expected = float(exact_tail(bad, of, bad_before, of_before))
    assert tail(bad, of, bad_before, of_before) == pytest.approx(expected, rel=1e-8, abs=1e-300)


def test_shares_of_all_looks_never_add_up_to_more_than_one() -> None:
    numbers, shares = zip(*islice(looks(10**300), 200), strict=True)
    assert numbers[:5] == (6, 9, 14, 21, 32)
    assert 0.99 < sum(shares) < 1.0


@pytest.mark.parametrize("alpha", [0.5, 0.2])
@pytest.mark.parametrize("of_before", [4, 20])
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6, 0.9])
def test_false_alarms_stay_below_alpha_however_often_one_looks(alpha: float, of_before: int, rate: float) -> None:
    """All histories up to 40 attempts and all records, by their probabilities; asked after each attempt."""
    alarms = sum(
        comb(of_before, bad)
        * rate**bad
        * (1 - rate) ** (of_before - bad)
        * alarm_probability(bad, of_before, rate, alpha)
        for bad in range(of_before + 1)
    )
    assert alarms <= alpha
    # Where it can be used up at all, or the bound would show nothing.
    assert rate in (0.05, 0.9) or of_before == 4 or alarms > alpha / 20


def alarm_probability(bad_before: int, of_before: int, rate: float, alpha: float, attempts: int = 40) -> float:
    """That the test has ever said yes."""
    quiet = {0: 1.0}
    alarmed = 0.0
    for of in range(1, attempts + 1):
        after: dict[int, float] = {}
        for bad, probability in quiet.items():
            for more, chance in ((1, rate), (0, 1 - rate)):
                after[bad + more] = after.get(bad + more, 0.0) + probability * chance
        yes = {bad for bad in after if says_yes(bad, of, bad_before, of_before, alpha)}
        alarmed += sum(after.pop(bad) for bad in yes)
        quiet = after
    return alarmed


@cache
def says_yes(bad: int, of: int, bad_before: int, of_before: int, alpha: float) -> bool:
    return is_worse(bad, of, bad_before, of_before, alpha=alpha)


@settings(deadline=None)
@given(COUNTS, COUNTS, ALPHA)
def test_more_that_is_bad_is_never_better(now: tuple[int, int], before: tuple[int, int], alpha: float) -> None:
    (bad, of), (bad_before, of_before) = now, before
    if not is_worse(bad, of, bad_before, of_before, alpha=alpha):
        return
    assert is_worse(bad + 1, of + 1, bad_before, of_before, alpha=alpha)
    assert bad == of or is_worse(bad + 1, of, bad_before, of_before, alpha=alpha)
    assert bad_before == 0 or is_worse(bad, of, bad_before - 1, of_before, alpha=alpha)


@settings(deadline=None)
@given(COUNTS, COUNTS, ALPHA)
def test_more_that_is_good_is_never_worse(now: tuple[int, int], before: tuple[int, int], alpha: float) -> None:
    (bad, of), (bad_before, of_before) = now, before
    if not is_worse(bad, of, bad_before, of_before, alpha=alpha):
        assert not is_worse(bad, of + 1, bad_before, of_before, alpha=alpha)


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=60), COUNTS, ALPHA)
def test_a_yes_between_looks_is_one_at_a_look_whatever_the_order_was(
    went_bad: list[bool], before: tuple[int, int], alpha: float
) -> None:
    """What makes asking after each attempt free: the looks alone, all going well until the next, say it too."""
    if is_worse(sum(went_bad), len(went_bad), *before, alpha=alpha):
        assert any(tail(sum(went_bad[:at]), at, *before) <= alpha * share for at, share in looks(len(went_bad)))


def test_nothing_to_compare_with_says_nothing() -> None:
    assert not is_worse(500, 500, 0, 0, alpha=0.5)
    assert not is_worse(0, 0, 5, 100, alpha=0.5)


def test_a_bundle_that_fails_always_is_found_out_by_a_short_record() -> None:
    needed = next(n for n in range(1, 50) if is_worse(n, n, 1, 20, alpha=0.025))
    assert needed == 5
