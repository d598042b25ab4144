"""From motion to rest: along the way, no faster than it may be braked, every axis at once."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.drivers.sdk.braking import Braking


def test_it_rests_after_the_slowest_axis_and_keeps_its_direction() -> None:
    braking = Braking([1.0, 2.0, 0.0], [1.0, -0.5, 0.0], [4.0, 1.0, 1.0], 10.0)
    times = np.linspace(10.0, 11.0, 1001)
    q = np.array([braking.q(t) for t in times])
    speed = np.diff(q, axis=0) / 0.001
    slowing = np.diff(speed, axis=0) / 0.001
    assert np.max(np.abs(slowing) / [4.0, 1.0, 1.0]) < 1.0 + 1e-6
    np.testing.assert_allclose(q[-1], [1.0 + 0.25, 2.0 - 0.125, 0.0])
    assert braking.rests_s(10.7) == pytest.approx(0.2)
    way = q - [1.0, 2.0, 0.0]
    np.testing.assert_allclose(way[:, 1], -0.5 * way[:, 0], atol=1e-12)


def test_speeds_are_those_of_the_places() -> None:
    braking = Braking([0.0], [0.8], [2.0], 0.0)
    for t in (0.0, 0.1, 0.39, 0.4, 5.0):
        slope = (braking.q(t + 1e-6) - braking.q(t)) / 1e-6
        np.testing.assert_allclose(braking.dq(t), slope, atol=1e-5)


def test_what_needs_no_time_and_what_stands_rests_at_once() -> None:
    for braking in (Braking([1.0], [3.0], [np.inf], 0.0), Braking([1.0], [0.0], [2.0], 0.0)):
        np.testing.assert_array_equal(braking.q(1.0), [1.0])
        np.testing.assert_array_equal(braking.dq(0.0), [0.0])
        assert braking.rests_s(0.0) == 0.0
