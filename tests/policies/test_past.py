"""Observations are found again at their instants, actions under way by when they are due, and both as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_runtime.contracts.manifest import (
    ActionSteps,
    GripperOpening,
    Held,
    History,
    JointPositions,
    JointVelocities,
    MeanStd,
    Offsets,
    Outputs,
    Padding,
    Quantiles,
)
from edge_runtime.contracts.messages import ActionChunk, InferenceTiming
from edge_runtime.policies.context import actions_at
from edge_runtime.policies.decoders.flow import integrate_flow
from edge_runtime.policies.golden import observation_of
from edge_runtime.policies.past import Moment, Past
from edge_runtime.policies.transforms import ActionTransform
from tests.other_families import FINGER, LEFT, RIGHT, two_armed

MS = 1_000_000
DT_NS = 100 * MS


def past(**changes: Any) -> Past:
    fields: dict[str, Any] = {
        "tensors": ("state",),
        "instants": ActionSteps(observations=3, every=1),
        "tolerance_ns": 20 * MS,
        "axis": "time",
        "at_start": "repeat_first",
    }
    return Past(History(**{**fields, **changes}), DT_NS)


def moments(kept: Past, *exposures_ms: int) -> list[int] | None:
    """Keep observations of these exposures; those that are fed for the last one, by exposure."""
    for exposure_ms in exposures_ms:
        kept.keep(Moment(exposure_ms * MS, {}, None))
    found = kept.of_newest()
    return None if found is None else [moment.exposure_ns // MS for moment in found]


@pytest.mark.parametrize(
    ("exposures", "expected"),
    [
        ((1000,), [1000, 1000, 1000]),
        ((1000, 1100), [1000, 1000, 1100]),
        ((1000, 1100, 1200), [1000, 1100, 1200]),
        # The nearest stands for an instant, before or after it.
        ((1000, 1070, 1110, 1200), [1000, 1110, 1200]),
        ((1000, 1093, 1108, 1200), [1000, 1093, 1200]),
        # The limit of what stands for it.
        ((1000, 1120, 1200), [1000, 1120, 1200]),
        ((1000, 1121, 1200), None),
        ((1000, 1079, 1200), None),
        # A silence that an instant reaches across is a gap, a longer one is another start.
        ((1000, 1100, 1200, 1400), None),
        ((1000, 1100, 1200, 5000), [5000, 5000, 5000]),
        ((1000, 1100, 1200, 5000, 5100), [5000, 5000, 5100]),
        ((1000, 1100, 1200, 5000, 5100, 5200), [5000, 5100, 5200]),
    ],
)
def test_each_instant_has_the_observation_that_is_nearest(exposures: tuple[int, ...], expected: list[int]) -> None:
    assert moments(past(), *exposures) == expected


def test_at_the_start_it_waits_where_the_contract_says_so() -> None:
    kept = past(at_start="wait")
    assert [moments(kept, exposure) for exposure in (1000, 1100, 1200)] == [None, None, [1000, 1100, 1200]]


def test_offsets_need_not_be_even() -> None:
    assert moments(past(instants=Offsets(before_ns=(250 * MS, 50 * MS, 0))), *range(1000, 1301, 50)) == [
        1050,
        1250,
        1300,
    ]


def test_what_no_later_one_can_need_is_let_go() -> None:
    kept = past()
    for exposure_ms in range(0, 60_000, 10):
        moments(kept, exposure_ms)
    assert len(kept._kept) == 23


def chunk(first_rad: float, exposure_ns: int) -> ActionChunk:
    return ActionChunk(
        sequence=0,
        observation_sequence=0,
        exposure_ns=exposure_ns,
        published_ns=exposure_ns,
        dt_ns=DT_NS,
        joint_digest="0" * 64,
        bundle_digest="0" * 64,
        instruction_id=0,
        position=tuple((first_rad + 0.1 * k, 0.0, 0.01 * (k + 1)) for k in range(4)),
        timing=InferenceTiming(received_ns=0, preprocess_ns=0, model_ns=0, postprocess_ns=0),
    )


def test_actions_under_way_are_found_by_when_they_are_due() -> None:
    # A year after the start of the clock, where a float holds no nanosecond.
    began_ns = 31_536_000 * 1_000_000_000 + 1
    asked = chunk(1.0, began_ns)
    due_ns = began_ns + np.array([150, 250, 350, 450], np.int64) * MS
    found = actions_at(asked, due_ns)
    assert found is not None
    np.testing.assert_allclose(found[:, 0], (1.05, 1.15, 1.25, 1.3), atol=1e-12)
    np.testing.assert_allclose(found[:, 2], (0.015, 0.025, 0.035, 0.04), atol=1e-12)
    assert actions_at(asked, began_ns + np.array([400], np.int64) * MS) is not None
    assert actions_at(asked, began_ns + np.array([401], np.int64) * MS) is None


def test_a_flow_begins_with_what_is_given_before_each_step_and_at_the_end() -> None:
    given = np.array([[5.0], [6.0]], np.float32)
    noise = np.ones((1, 4, 1), np.float32)
    seen: list[list[float]] = []

    def velocity(x: np.ndarray[Any, Any], _time: float) -> np.ndarray[Any, Any]:
        seen.append(x[0, :2, 0].tolist())
        return np.full_like(x, np.nan) if len(seen) == 3 else np.ones_like(x)

    x = integrate_flow(velocity, noise, 2, begins_with=given)
    assert seen == [[5.0, 6.0], [5.0, 6.0]]
    np.testing.assert_allclose(x[0, :, 0], (5.0, 6.0, 2.0, 2.0))
    np.testing.assert_array_equal(noise, 1.0)


def test_what_was_said_comes_back_from_what_was_asked_for() -> None:
    robot = two_armed()
    statistics = MeanStd(mean=tuple(0.01 * k for k in range(6)), std=tuple(0.1 + 0.01 * k for k in range(6)))
    bounds = Quantiles(low=(-1.0,) * 3, high=(2.0,) * 3, clip=False)
    outputs = Outputs(
        horizon=5,
        action_dt_ns=DT_NS,
        trained_delay=0,
        groups=(
            JointPositions(joints=RIGHT, relative_to="previous", statistics=statistics),
            Padding(width=2),
            JointVelocities(joints=LEFT[:3], statistics=bounds),
            GripperOpening(unit="fraction_closed", statistics=MeanStd(mean=(0.5,), std=(0.4,))),
            JointPositions(joints=LEFT[3:], relative_to="observed", statistics=bounds),
            JointPositions(joints=(FINGER,), relative_to="zero", statistics=MeanStd(mean=(0.2,), std=(3.0,))),
            Held(joints=(), gripper=False),
        ),
    )
    transform = ActionTransform(outputs, robot)
    observation = observation_of(robot, np.array((*robot.home[:-1], 0.03)))
    said = np.random.default_rng(0).uniform(-1.0, 1.0, (5, outputs.width)).astype(np.float32)
    said[:, 6:8] = 0.0
    back = transform.to_normalized(transform.to_physical(said, observation), observation)
    np.testing.assert_allclose(back, said, atol=1e-5)
