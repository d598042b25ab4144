"""Arming where the kernel itself has driven to: noise and sag at the edge of the limits do not keep a robot from being
armed again, and no command leaves the limits for it. What is further off is refused, gripper included."""

from __future__ import annotations

import random
from typing import Any

import pytest

from edge_runtime.native import ffi, lib
from edge_runtime.safety import AxisKind, Kernel, Reason, Request, Result, State
from edge_runtime.safety.clearance import distances
from tests.safety.geometry_robot import HOME_RAD, arm
from tests.safety.robot import Robot, make_config


def at_the_end(**changes: Any) -> Robot:
    """Driven to the upper end of its first joint, stopped, and reset."""
    robot = Robot(Kernel(make_config(q_max=(1.0, 2.5), **changes)))
    robot.arm()
    for _ in range(2500):
        robot.step([1.5, 0.0])
    assert robot.q[0] == 1.0
    stop_and_reset(robot)
    return robot


def stop_and_reset(robot: Robot) -> None:
    robot.request(Request.STOP)
    robot.run_until(State.FAULT)
    assert robot.request(Request.RESET) is Result.DONE
    robot.step()


def test_a_robot_at_the_end_of_its_range_can_be_armed_again_in_spite_of_noise() -> None:
    robot = at_the_end()
    generator = random.Random(1)
    for _ in range(1000):
        measured = (1.0 + generator.gauss(0.0, 1e-4), 0.0)
        robot.step(q=measured)
        assert robot.request(Request.ARM, q=measured) is Result.DONE
        assert robot.step(q=measured).q[0] <= 1.0
        assert robot.request(Request.DISARM) is Result.DONE
        robot.run_until(State.READY)


@pytest.mark.parametrize("sag_rad", [0.0002, 0.002, 0.0049])
def test_sag_beyond_the_end_starts_at_the_end(sag_rad: float) -> None:
    for robot in (at_the_end(), Robot(Kernel(make_config(q_max=(1.0, 2.5))), [1.0, 0.0])):
        measured = (1.0 + sag_rad, 0.0)
        robot.step(q=measured)
        assert robot.request(Request.ARM, q=measured) is Result.DONE
        for _ in range(200):
            verdict = robot.step([1.5, 0.0], q=measured)
            assert (verdict.state, verdict.faults) == (State.ACTIVE, Reason(0))
            assert verdict.q[0] <= 1.0


@pytest.mark.parametrize(("tolerance_rad", "sag_rad"), [(0.005, 0.0051), (0.0, 1e-12), (0.01, 0.0101)])
def test_more_than_the_tolerance_is_refused(tolerance_rad: float, sag_rad: float) -> None:
    robot = at_the_end(start_tolerance=(tolerance_rad,) * 2)
    measured = (1.0 + sag_rad, 0.0)
    robot.step(q=measured)
    assert robot.request(Request.ARM, q=measured) is Result.REFUSED_OUTSIDE_LIMITS


def test_a_robot_left_at_the_edge_of_its_room_can_be_armed_again_and_moved() -> None:
    """Driven until a wall holds it, it rests at exactly the distance that is kept; sag takes it nearer."""
    config = make_config(
        7,
        q_min=tuple(q - 1.0 for q in HOME_RAD),
        q_max=tuple(q + 1.0 for q in HOME_RAD),
        geometry=arm(),
        clearance_min_m=0.01,
    )
    robot = Robot(Kernel(config), HOME_RAD)
    robot.arm()
    beyond = (0.9, *HOME_RAD[1:])
    for _ in range(3000):
        verdict = robot.step(beyond)
    assert Reason.LIMIT_GEOMETRY in verdict.reasons
    stop_and_reset(robot)
    measured = (robot.q[0] + 0.002, *robot.q[1:])
    assert min(one.distance_m for one in distances(arm(), measured)) < 0.01
    fresh = Robot(Kernel(config), measured)
    fresh.step()
    assert fresh.request(Request.ARM) is Result.REFUSED_GEOMETRY, "one that control did not bring there stays refused"
    robot.step(q=measured)
    assert robot.request(Request.ARM, q=measured) is Result.DONE
    for _ in range(3000):
        verdict = robot.step(HOME_RAD)
        assert verdict.stop_margin_m >= 0.01 - 1e-12
        assert not verdict.faults
    assert robot.q == pytest.approx(HOME_RAD, abs=1e-6)


def test_where_it_was_left_counts_for_all_joints_or_for_none() -> None:
    robot = at_the_end()
    measured = (1.0 + 0.002, 0.3)
    robot.step(q=measured)
    assert robot.request(Request.ARM, q=measured) is Result.DONE
    assert robot.step(q=measured).q == (1.0, 0.3)


@pytest.mark.parametrize("opening_m", [50.0, 1.7, 0.5, 0.0855, -0.01, -0.0055])
def test_a_gripper_measured_outside_its_range_is_not_armed(opening_m: float) -> None:
    """Percent, radians, or another gripper: 0 to 0.08 m is expected."""
    robot = Robot(Kernel(make_config(2, AxisKind.GRIPPER)), [0.0, 0.0, opening_m])
    robot.step()
    assert robot.request(Request.ARM) is Result.REFUSED_OUTSIDE_LIMITS
    assert robot.kernel.state is State.READY


@pytest.mark.parametrize("opening_m", [-0.0029, 0.0, 0.04, 0.08, 0.0829])
def test_the_gripper_starts_from_where_it_is_and_keeps_its_rate(opening_m: float) -> None:
    robot = Robot(Kernel(make_config(2, AxisKind.GRIPPER)), [0.0, 0.0, opening_m])
    robot.arm()
    before_m = min(max(opening_m, 0.0), 0.08)
    for k in range(900):
        wanted_m = 0.08 if k < 450 else 0.0
        verdict = robot.step([0.0, 0.0, wanted_m])
        assert abs(verdict.q[2] - before_m) <= 0.2e-3 * (1.0 + 1e-12)
        assert 0.0 <= verdict.q[2] <= 0.08
        before_m = verdict.q[2]


def test_the_tolerance_has_a_ceiling_in_the_kernel() -> None:
    native = make_config().to_native()
    index = ffi.new("uint32_t *")
    native.start_tolerance[1] = 0.0101
    assert lib.kernel_config_check(native, index) == lib.KERNEL_CONFIG_START_TOLERANCE
    assert index[0] == 1
    native.start_tolerance[1] = 0.01
    assert lib.kernel_config_check(native, index) == lib.KERNEL_CONFIG_OK
