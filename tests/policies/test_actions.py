"""A policy's numbers in physical units: statistics of each kind, and outputs of each kind in the robot's own order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_runtime.contracts.manifest import (
    GripperOpening,
    GripperSwitch,
    Held,
    JointPositions,
    JointVelocities,
    MeanStd,
    MinMax,
    Outputs,
    Padding,
    Quantiles,
    Unscaled,
)
from edge_runtime.policies.golden import observation_of
from edge_runtime.policies.transforms import ActionTransform, Normalizer
from tests.other_families import FINGER, JOINTS, LEFT, OPENING_MAX_M, RIGHT, two_armed

ROBOT = two_armed()
POSTURE = np.array((*(0.1 * number for number in range(13)), 0.04))


def transform(*groups: Any, horizon: int = 3) -> ActionTransform:
    return ActionTransform(Outputs(horizon=horizon, action_dt_ns=100_000_000, trained_delay=0, groups=groups), ROBOT)


def test_ranges_become_minus_one_to_one() -> None:
    for statistics in (
        MinMax(low=(-2.0, 0.0), high=(2.0, 1.0)),
        Quantiles(low=(-2.0, 0.0), high=(2.0, 1.0), clip=False),
    ):
        both = Normalizer([(statistics, 2)])
        np.testing.assert_allclose(both.normalize(np.array([[-2.0, 1.0], [0.0, 2.0]])), [[-1.0, 1.0], [0.0, 3.0]])
        np.testing.assert_allclose(both.denormalize(np.float32([[-1.0, 1.0], [0.0, 3.0]])), [[-2.0, 1.0], [0.0, 2.0]])


def test_clipped_quantiles_end_at_their_ends_and_leave_the_others_alone() -> None:
    clipped = Normalizer([(Quantiles(low=(0.0,), high=(1.0,), clip=True), 1), (MeanStd(mean=(0.0,), std=(1.0,)), 1)])
    np.testing.assert_allclose(clipped.normalize(np.array([9.0, 9.0])), [1.0, 9.0])
    np.testing.assert_allclose(clipped.denormalize(np.float32([-7.0, -7.0])), [0.0, -7.0])


@pytest.mark.parametrize("kind", [MinMax, Quantiles])
def test_a_range_without_width_is_refused(kind: Any) -> None:
    more = {"clip": True} if kind is Quantiles else {}
    with pytest.raises(ValueError, match="each low below its high"):
        kind(low=(1.0,), high=(1.0,), **more)


def test_each_group_lands_on_its_own_joints() -> None:
    actions = transform(
        JointPositions(joints=(FINGER,), relative_to="zero", statistics=Unscaled()),
        Padding(width=2),
        JointPositions(joints=LEFT, relative_to="observed", statistics=MeanStd(mean=(0.0,) * 6, std=(0.5,) * 6)),
        GripperSwitch(open_is="below", threshold=0.5, statistics=Unscaled()),
        Held(joints=RIGHT, gripper=False),
    )
    normalized = np.zeros((3, 10), np.float32)
    normalized[:, 0] = 0.7
    normalized[:, 1:3] = 99.0
    normalized[:, 3:9] = 0.2
    normalized[:, 9] = [0.0, 0.6, np.nan]
    asked = actions.to_physical(normalized, observation_of(ROBOT, POSTURE))
    expected = POSTURE[:13].copy()
    expected[6:12] += 0.1
    expected[12] = 0.7
    np.testing.assert_allclose(asked[:, :-1], np.tile(expected, (3, 1)), atol=1e-6)
    np.testing.assert_array_equal(asked[:, -1], [OPENING_MAX_M, 0.0, np.nan])


def test_velocities_and_changes_add_up_from_where_the_robot_was() -> None:
    hold = Held(joints=(*LEFT, FINGER), gripper=True)
    rates = transform(JointVelocities(joints=RIGHT, statistics=Unscaled()), hold)
    changes = transform(JointPositions(joints=RIGHT, relative_to="previous", statistics=Unscaled()), hold)
    for actions, step in ((rates, 0.1 * 0.5), (changes, 0.5)):
        asked = actions.to_physical(np.full((3, 6), 0.5, np.float32), observation_of(ROBOT, POSTURE))
        np.testing.assert_allclose(asked[:, 0], POSTURE[0] + step * np.arange(1, 4))
        np.testing.assert_allclose(asked[:, -1], 0.04)


@pytest.mark.parametrize(("unit", "value"), [("m", 0.025), ("fraction_open", 0.25), ("fraction_closed", 0.75)])
def test_a_gripper_s_opening_is_in_the_unit_that_the_contract_says(unit: Any, value: float) -> None:
    actions = transform(Held(joints=JOINTS, gripper=False), GripperOpening(unit=unit, statistics=Unscaled()))
    asked = actions.to_physical(np.full((3, 1), value, np.float32), observation_of(ROBOT, POSTURE))
    np.testing.assert_allclose(asked[:, -1], 0.025)


def test_how_far_actions_reach_follows_the_kind_of_output() -> None:
    std = MeanStd(mean=(0.0,) * 6, std=(0.2,) * 6)
    reach = transform(
        JointVelocities(joints=RIGHT, statistics=std),
        JointPositions(joints=LEFT, relative_to="zero", statistics=std),
        Held(joints=(FINGER,), gripper=True),
        horizon=10,
    ).scale
    np.testing.assert_allclose(reach[:6], 0.2 * 0.1 * 5)
    np.testing.assert_allclose(reach[6:12], 0.2)
    assert reach[12] > 0.0
