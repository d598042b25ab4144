"""Figures over many episodes."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.evaluation.figures import percentiles, wilson_interval


@given(trials=st.integers(1, 500), data=st.data())
def test_wilson_interval_holds_the_rate_and_shrinks(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    low, high = wilson_interval(successes, trials)
    assert 0.0 <= low <= successes / trials <= high <= 1.0
    wider = wilson_interval(successes, trials)
    tighter = wilson_interval(4 * successes, 4 * trials)
    assert tighter[1] - tighter[0] < wider[1] - wider[0]


def test_wilson_interval_of_a_known_case() -> None:
    low, high = wilson_interval(90, 100)
    assert math.isclose(low, 0.8256, abs_tol=1e-4)
    assert math.isclose(high, 0.9448, abs_tol=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_percentiles_of_nothing() -> None:
    assert percentiles([]) is None
    assert percentiles([1.0, 2.0, 3.0]) == {"p50": 2.0, "p99": 2.98, "count": 3}
