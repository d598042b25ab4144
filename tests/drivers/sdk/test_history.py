"""Where a robot was at an instant between two samples: of a joint without ends on the shorter way about."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_runtime.contracts.axes import Continuous
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.drivers.sdk.sample import History, Sample
from edge_runtime.testing.other_robots import OTHER_ROBOTS

ROBOT = next(
    robot
    for robot in OTHER_ROBOTS.values()
    if any(isinstance(axis, Continuous) for axis in robot.axes) and any(axis.has_range for axis in robot.axes)
)
TURNS = next(i for i, axis in enumerate(ROBOT.axes) if isinstance(axis, Continuous))
RANGED = next(i for i, axis in enumerate(ROBOT.axes) if axis.has_range)
MS = 1_000_000


def history(*places: float, axis: int = TURNS, embodiment: Embodiment = ROBOT) -> History:
    """One axis at `places`, one each tenth of a second from 0 on; its speed is the number of the sample, in rad/s."""
    kept = History(embodiment)
    for k, place in enumerate(places):
        q, dq = np.zeros(len(embodiment.axes)), np.zeros(len(embodiment.axes))
        q[axis], dq[axis] = place, k
        kept.add(Sample(k * 100 * MS, q, dq))
    return kept


def at(kept: History, instant_ns: int) -> Sample:
    sample = kept.at(instant_ns)
    assert sample is not None
    return sample


@pytest.mark.parametrize(
    ("before", "after", "quarter"),
    [
        (0.0, 0.4, 0.1),
        (math.pi - 0.1, -math.pi + 0.3, math.pi),  # over the seam, told modulo a turn
        (-math.pi + 0.1, math.pi - 0.3, -math.pi),
        (2.0 * math.pi - 0.1, 0.3, 2.0 * math.pi),  # told from 0 to a turn
        (0.1, 2.0 * math.pi - 0.3, 0.0),
        (6.0, 6.4, 6.1),  # told without end
        (20.0 * math.pi + 0.1, 0.5, 20.0 * math.pi + 0.2),  # the driver began to count anew
    ],
)
def test_a_joint_without_ends_was_on_the_shorter_way(before: float, after: float, quarter: float) -> None:
    q = np.asarray(at(history(before, after), 25 * MS).q)
    assert q[TURNS] == pytest.approx(quarter, abs=1e-12)
    assert not np.delete(q, TURNS).any()


def test_a_joint_with_a_range_was_on_the_way_between_though_it_is_long() -> None:
    """A leap of nearly a turn inside its range is a motion: it can't have gone the other way about."""
    assert at(history(-3.0, 3.0, axis=RANGED), 50 * MS).q[RANGED] == pytest.approx(0.0, abs=1e-12)


def test_a_turn_told_in_one_way_is_told_right_at_the_samples_themselves() -> None:
    kept = history(3.0, -3.0, 3.0)
    assert [at(kept, k * 100 * MS).q[TURNS] for k in range(3)] == pytest.approx([3.0, -3.0, 3.0])
    assert at(kept, 150 * MS).dq[TURNS] == pytest.approx(1.5)


def test_nothing_is_told_of_an_instant_far_from_any_sample() -> None:
    kept = history(0.0, 0.1)
    assert kept.at(100 * MS + 100 * MS) is not None
    assert kept.at(100 * MS + 100 * MS + 1) is None
    assert kept.at(-100 * MS) is not None
    assert kept.at(-100 * MS - 1) is None


def test_what_a_driver_measures_into_the_same_arrays_again_is_kept() -> None:
    kept, q, dq = History(ROBOT), np.zeros(len(ROBOT.axes)), np.zeros(len(ROBOT.axes))
    for k in range(2):
        q[TURNS] = 0.2 * k
        kept.add(Sample(k * MS, q, dq))
    assert at(kept, 0).q[TURNS] == 0.0
    assert at(kept, MS // 2).q[TURNS] == pytest.approx(0.1)
