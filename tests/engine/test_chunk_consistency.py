"""Agreement of consecutive chunks: what lowers it, what must not, and when there is nothing to compare."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_runtime.engine.chunk_consistency import ChunkConsistency, Float64

DT_NS = 50_000_000
SCALE_RAD = np.array([0.1, 0.2])
HORIZON = 8


def line(start: int) -> Float64:
    """Rows of one straight motion, from action `start` on."""
    steps = np.arange(start, start + HORIZON, dtype=np.float64)
    return np.column_stack([0.05 * steps, -0.02 * steps])


@pytest.fixture
def consistency() -> ChunkConsistency:
    made = ChunkConsistency(SCALE_RAD, DT_NS)
    assert made.disagreement(0, 1, line(0)) is None
    return made


@pytest.mark.parametrize("steps", [1, 2, HORIZON - 2])
def test_a_motion_that_goes_on_as_planned_agrees(consistency: ChunkConsistency, steps: int) -> None:
    assert consistency.disagreement(steps * DT_NS, 1, line(steps)) == pytest.approx(0.0, abs=1e-12)


def test_a_robot_that_was_held_agrees_when_it_wants_the_same_again(consistency: ChunkConsistency) -> None:
    assert consistency.disagreement(4 * DT_NS, 1, line(0)) == pytest.approx(0.0, abs=1e-12)
    assert consistency.disagreement(8 * DT_NS, 1, line(2)) == pytest.approx(0.0, abs=1e-12)


def test_another_motion_is_told_in_units_of_the_usual_one(consistency: ChunkConsistency) -> None:
    other = line(0) + 0.5 * SCALE_RAD
    assert consistency.disagreement(0, 1, other) == pytest.approx(0.5)
    assert consistency.disagreement(2 * DT_NS, 1, -line(2)) == pytest.approx(_of(other, -line(2), 2))


def test_the_last_chunk_is_the_measure_and_not_an_older_one(consistency: ChunkConsistency) -> None:
    other = line(0) + 3.0 * SCALE_RAD
    assert consistency.disagreement(0, 1, other) == pytest.approx(3.0)
    assert consistency.disagreement(0, 1, other) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("exposure_ns", "instruction_id", "rows"),
    [
        ((HORIZON - 1) * DT_NS, 1, HORIZON),
        (-DT_NS, 1, HORIZON),
        (DT_NS, 2, HORIZON),
        (DT_NS, 1, HORIZON - 1),
    ],
    ids=["too late to overlap", "before the last", "another instruction", "another horizon"],
)
def test_nothing_to_compare(consistency: ChunkConsistency, exposure_ns: int, instruction_id: int, rows: int) -> None:
    assert consistency.disagreement(exposure_ns, instruction_id, line(0)[:rows]) is None
    assert consistency.disagreement(exposure_ns + DT_NS, instruction_id, line(1)[:rows]) == pytest.approx(
        0.0, abs=1e-12
    )


def _of(last: Float64, new: Float64, most: int) -> float:
    """The definition, the long way round."""
    candidates = []
    for shift in range(most + 1):
        squares = [
            ((last[row + shift, joint] - new[row, joint]) / SCALE_RAD[joint]) ** 2
            for row in range(HORIZON - shift)
            for joint in range(2)
        ]
        candidates.append(math.sqrt(sum(squares) / len(squares)))
    return min(candidates)
