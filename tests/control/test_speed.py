"""The tightest cap wins, and an armed robot is never made faster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge_runtime.config.safety_file import GeometrySection
from edge_runtime.control.speed import SpeedLimit
from edge_runtime.control.timing_grade import GRADES
from edge_runtime.safety import Result
from tests.control.stepped import SteppedLoop

A, B, C, D = GRADES
CELL = GeometrySection(kinematics="arm.toml", tool_speed_max_m_s=1.0, reduced_tool_speed_m_s=0.25)


@pytest.fixture
def stepped() -> Iterator[SteppedLoop]:
    with SteppedLoop(limits={"tool_speed_max_m_s": (1.0,)}) as stepped:
        stepped.tick(2)
        yield stepped


def in_force(stepped: SteppedLoop) -> tuple[float, float]:
    """Speed scale and tool speed, as the kernel holds them."""
    tightening = stepped.loop.snapshot().tightening
    return tightening.speed_scale, tightening.tool_speed_max_m_s


def test_a_grade_caps_the_joints(stepped: SteppedLoop) -> None:
    speed = SpeedLimit(stepped.loop, CELL)
    assert speed.may_arm
    assert speed.grade_name == ""
    for grade in (A, C, B, A):
        speed.grade(grade)
        assert in_force(stepped) == (grade.speed_scale, 1.0)
        assert speed.grade_name == grade.name


def test_the_worst_grade_does_not_arm_until_a_better_one_comes(stepped: SteppedLoop) -> None:
    speed = SpeedLimit(stepped.loop, CELL)
    may_arm = []
    for grade in (D, B):
        speed.grade(grade)
        may_arm.append(speed.may_arm)
    assert may_arm == [False, True]
    assert in_force(stepped) == (0.5, 1.0)


def test_reduced_speed_is_one_of_the_tool_where_its_speed_is_known(stepped: SteppedLoop) -> None:
    speed = SpeedLimit(stepped.loop, CELL)
    speed.grade(B)
    assert speed.reduce(True) is Result.DONE
    assert in_force(stepped) == (0.5, 0.25)
    speed.grade(A)
    assert in_force(stepped) == (1.0, 0.25), "a new grade does not end it"
    assert speed.reduce(False) is Result.DONE
    assert in_force(stepped) == (1.0, 1.0)


def test_without_geometry_reduced_speed_is_one_of_the_joints(stepped: SteppedLoop) -> None:
    speed = SpeedLimit(stepped.loop, None)
    speed.grade(B)
    speed.reduce(True)
    assert in_force(stepped) == (0.25, 1.0)
    speed.grade(A)
    assert in_force(stepped) == (0.25, 1.0)


def test_an_armed_robot_can_be_slowed_down_but_not_set_free(stepped: SteppedLoop) -> None:
    speed = SpeedLimit(stepped.loop, CELL)
    stepped.arm()
    assert speed.reduce(True) is Result.DONE
    assert speed.reduce(False) is Result.REFUSED_LOOSER
    assert in_force(stepped) == (1.0, 0.25)
    stepped.loop.disarm()
    stepped.tick(2)
    assert speed.reduce(False) is Result.DONE


def test_a_grade_that_comes_after_arming_frees_nothing_and_keeps_reduced_speed_possible(stepped: SteppedLoop) -> None:
    speed = SpeedLimit(stepped.loop, CELL)
    speed.grade(C)
    stepped.arm()
    for late in (A, D):
        speed.grade(late)
        assert in_force(stepped) == (0.25, 1.0)
    assert not speed.may_arm
    assert speed.reduce(True) is Result.DONE
    assert in_force(stepped) == (0.25, 0.25)
    stepped.loop.disarm()
    stepped.tick(2)
    speed.grade(A)
    assert in_force(stepped) == (1.0, 0.25), "the next window counts"
    assert speed.grade_name == "A"
