"""The plan's curve: through every knot, smooth between them, nothing after the last."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_runtime.control.plan import Plan, evaluate_plan

MS = 1_000_000


def make_plan(t_ns: list[int], q: list[float]) -> Plan:
    return Plan(
        seq=1,
        chunk_seq=1,
        observation_ns=0,
        t_ns=np.array(t_ns, dtype=np.int64),
        q=np.column_stack([np.array(q, dtype=np.float64), np.linspace(0.0, 0.08, len(t_ns))]),
    )


def curve(plan: Plan, instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return evaluate_plan(plan, instants_ns, (False, True))


gaps = st.lists(st.integers(5 * MS, 200 * MS), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(gaps=gaps, data=st.data())
def test_it_passes_through_every_knot(gaps: list[int], data: st.DataObject) -> None:
    t_ns = [10**9, *(10**9 + np.cumsum(gaps)).tolist()]
    q = data.draw(st.lists(st.floats(-3, 3), min_size=len(t_ns), max_size=len(t_ns)))
    plan = make_plan(t_ns, q)
    values = curve(plan, plan.t_ns)
    assert values[:, 0] == pytest.approx(q, abs=1e-15)
    assert values[:, 1] == pytest.approx(plan.q[:, 1], abs=1e-15)


@settings(max_examples=40, deadline=None)
@given(gaps=gaps, start=st.floats(-3, 3), speed=st.floats(-2, 2))
def test_a_straight_line_stays_straight(gaps: list[int], start: float, speed: float) -> None:
    t_ns = np.concatenate([[0], np.cumsum(gaps)]).astype(np.int64)
    plan = make_plan(t_ns.tolist(), [start + speed * t * 1e-9 for t in t_ns])
    instants_ns = np.linspace(0, t_ns[-1], 200).astype(np.int64)
    assert curve(plan, instants_ns)[:, 0] == pytest.approx(start + speed * instants_ns * 1e-9, abs=1e-12)


def test_velocity_has_no_steps_at_knots() -> None:
    t_ns = np.array([0, 50, 90, 200, 250], dtype=np.int64) * MS
    plan = make_plan(t_ns.tolist(), [0.0, 0.3, 0.1, -0.4, 0.2])
    step_ns = 1000
    for knot_ns in t_ns[1:-1]:
        before, at, after = curve(plan, np.array([knot_ns - step_ns, knot_ns, knot_ns + step_ns]))[:, 0]
        assert (at - before) / (step_ns * 1e-9) == pytest.approx((after - at) / (step_ns * 1e-9), abs=1e-2)


def test_tangents_are_those_of_the_parabola_through_three_knots() -> None:
    """A parabola sampled unevenly comes back exactly, except in the end segments, whose ends know one slope only."""
    t_s = np.array([0.0, 0.05, 0.12, 0.15, 0.3, 0.31])
    plan = make_plan((t_s * 1e9).astype(np.int64).tolist(), (3.0 * t_s**2 - t_s).tolist())
    inner_s = np.linspace(0.05, 0.3, 100)
    values = curve(plan, (inner_s * 1e9).astype(np.int64))[:, 0]
    assert values == pytest.approx(3.0 * inner_s**2 - inner_s, abs=1e-8)


def test_before_the_first_knot_it_waits_and_after_the_last_there_is_nothing() -> None:
    plan = make_plan([100 * MS, 200 * MS], [1.0, 2.0])
    values = curve(plan, np.array([-(2**63), 0, 100 * MS, 200 * MS, 200 * MS + 1, 2**63 - 1]))[:, 0]
    assert values[:4].tolist() == [1.0, 1.0, 1.0, 2.0]
    assert np.isnan(values[4:]).all()


def test_one_knot_is_a_plan() -> None:
    values = curve(make_plan([5], [0.7]), np.array([0, 5, 6]))[:, 0]
    assert values[:2].tolist() == [0.7, 0.7]
    assert math.isnan(values[2])


@pytest.mark.parametrize(
    ("t_ns", "q"),
    [
        ([0, 0], [0.0, 0.0]),
        ([1, 0], [0.0, 0.0]),
        ([0, 2**62], [0.0, 0.0]),
        ([-(2**63), 2**63 - 1], [0.0, 0.0]),
        ([0, 1], [0.0, math.nan]),
        ([0, 1], [math.inf, 0.0]),
    ],
)
def test_hostile_plans_are_refused(t_ns: list[int], q: list[float]) -> None:
    with pytest.raises(ValueError, match="refuse"):
        curve(make_plan(t_ns, q), np.array([0]))
