"""The kinematic driver: any embodiment goes where it is told, inside its limits, and a base measures where it is."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.drivers.kinematic.driver import LAG_S, KinematicPlant
from edge_runtime.testing import DriverConformance
from edge_runtime.testing.other_robots import (
    OTHER_ROBOTS,
    continuous_arm,
    gantry,
    jaw_arm,
    mobile_manipulator,
    write_settings,
)

STEP_S = 0.002


def go(plant: KinematicPlant, q: np.ndarray, dq: np.ndarray, seconds: float) -> None:
    for _ in range(round(seconds / STEP_S)):
        plant.follow(q, dq)
        plant.step(STEP_S)


@pytest.mark.parametrize("robot", OTHER_ROBOTS.values(), ids=OTHER_ROBOTS)
def test_every_axis_arrives_where_it_is_told_to_be_and_never_leaves_its_range_or_speed(robot: Embodiment) -> None:
    plant = KinematicPlant(robot)
    low, high = (np.array([getattr(axis, end) for axis in robot.axes]) for end in ("low", "high"))
    speed = np.array([axis.speed_max for axis in robot.axes])
    is_base = np.array([axis.is_velocity for axis in robot.axes])
    rng = np.random.default_rng(1)
    for _ in range(20):
        wanted = rng.uniform(np.maximum(low, -3.0), np.minimum(high, 3.0))
        for _ in range(200):
            before = plant.q.copy()
            plant.follow(np.where(is_base, 0.0, wanted), np.where(is_base, wanted, 0.0))
            plant.step(STEP_S)
            assert ((plant.q >= low - 1e-12) & (plant.q <= high + 1e-12))[~is_base].all()
            assert (np.abs(plant.q - before) <= speed * STEP_S + 1e-12)[~is_base].all()
    go(plant, np.where(is_base, 0.0, wanted), np.where(is_base, wanted, 0.0), 8.0)
    reached = np.where(is_base, plant.dq, plant.q)
    difference = np.where(
        [not (a.has_range or a.is_velocity) for a in robot.axes], _turn(reached - wanted), reached - wanted
    )
    assert np.abs(difference).max() < 1e-6


def _turn(angle: np.ndarray) -> np.ndarray:
    return np.mod(angle + math.pi, 2.0 * math.pi) - math.pi


def test_it_follows_with_the_lag_that_it_states() -> None:
    robot = gantry()
    plant = KinematicPlant(robot)
    start, wanted = plant.q.copy(), plant.q.copy()
    wanted[0] += 1e-4
    plant.follow(wanted, np.zeros(3))
    plant.step(LAG_S)
    assert plant.q[0] - start[0] == pytest.approx(1e-4 * (1.0 - math.exp(-1.0)))


def test_hold_stays_and_what_is_asked_beyond_a_range_ends_there() -> None:
    robot = jaw_arm()
    plant = KinematicPlant(robot)
    far = np.full(len(robot.axes), 99.0)
    go(plant, far, np.zeros(len(far)), 0.2)
    plant.hold()
    at = plant.q.copy()
    for _ in range(100):
        plant.step(STEP_S)
    assert (plant.q == at).all()
    go(plant, far, np.zeros(len(far)), 5.0)
    assert plant.q == pytest.approx([axis.high for axis in robot.axes])


def test_a_joint_without_end_takes_the_short_way_and_is_measured_modulo_a_turn() -> None:
    robot = continuous_arm()
    plant = KinematicPlant(robot)
    index = robot.axis_names.index("joint1")
    q = plant.q.copy()
    q[index] = 3.0
    go(plant, q, np.zeros(len(q)), 5.0)
    q[index] = -3.0
    go(plant, q, np.zeros(len(q)), 0.6)
    assert plant.q[index] == pytest.approx(2.0 * math.pi - 3.0, abs=1e-6)
    assert plant.measured()[index] == pytest.approx(-3.0, abs=1e-6)


def test_a_base_drives_round_a_circle_and_knows_it() -> None:
    robot = mobile_manipulator()
    plant = KinematicPlant(robot)
    dq = np.zeros(len(robot.axes))
    dq[robot.axis_names.index("base_x")], dq[robot.axis_names.index("base_yaw")] = 0.3, 0.6
    go(plant, plant.q.copy(), dq, 2.0)
    centre = plant.odometry.copy()
    go(plant, plant.q.copy(), dq, 2.0 * math.pi / 0.6)
    # Once round it is where it was, a turn further on.
    assert plant.odometry[:2] == pytest.approx(centre[:2], abs=2e-3)
    assert plant.odometry[2] - centre[2] == pytest.approx(2.0 * math.pi, abs=5e-3)
    go(plant, plant.q.copy(), np.zeros(len(dq)), 2.0)
    assert np.abs(plant.dq).max() < 1e-6


class _Kinematic(DriverConformance):
    robot_type: ClassVar[Embodiment]
    _folder: ClassVar[tempfile.TemporaryDirectory[str]]

    @classmethod
    def setup_class(cls) -> None:
        cls._folder = tempfile.TemporaryDirectory()
        cls.config = write_settings(Path(cls._folder.name), cls.robot_type, driver="kinematic")

    @classmethod
    def teardown_class(cls) -> None:
        cls._folder.cleanup()


@pytest.mark.realtime
@pytest.mark.in_company
class TestJawArm(_Kinematic):
    """What control relies on, with a robot of hobby servos."""

    robot_type = jaw_arm()


@pytest.mark.realtime
@pytest.mark.in_company
class TestMobileManipulator(_Kinematic):
    """And with one that drives, lifts and grips."""

    robot_type = mobile_manipulator()
