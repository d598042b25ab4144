"""What an operator is told of a refusal: the joint or the gripper, what was measured and what was expected."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.messages import MAX_DETAIL_CHARS, Answer, OperatorKind
from edge_runtime.control.limits import kernel_config
from edge_runtime.control.start_posture import refusal_detail
from edge_runtime.ipc.port import Feedback, FeedbackFlag
from edge_runtime.safety import Result, State
from tests.control.stepped import SteppedLoop
from tests.control.supervised import Bench

TICK_NS = 1_000_000


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with SteppedLoop() as stepped:
        stepped.tick(2)
        yield Bench(stepped, tmp_path)


def asked(bench: Bench, kind: OperatorKind, **spoiled: Any) -> Answer:
    """The answer to a request after a sample with these values."""
    robot = bench.stepped.robot
    n = len(robot.q)
    usual = {"stamp_ns": bench.stepped.now_ns + TICK_NS, "q": robot.q}
    still = {"dq": [0.0] * n}
    bench.stepped.plant.write_feedback(**(usual | still | spoiled))
    bench.stepped.tick(measures=False)
    command = bench.command(kind)
    bench.supervisor.take_operator(command)
    answer = bench.supervisor.report().answer_to(command)
    assert answer is not None
    return answer


def vector(bench: Bench, joint: int, value: float) -> list[float]:
    return [value if i == joint else 0.0 for i in range(len(bench.stepped.robot.q))]


def test_a_joint_outside_its_range_is_named_with_value_and_range(bench: Bench) -> None:
    answer = asked(bench, OperatorKind.ARM, q=vector(bench, 1, 2.7))
    assert answer.answer == "refused_outside_limits"
    assert answer.detail == "joint b is measured at 2.7 rad, its range is -2.5 to 2.5 rad"


def test_a_driver_that_reports_degrees_is_asked_for_radians(bench: Bench) -> None:
    answer = asked(bench, OperatorKind.ARM, q=vector(bench, 0, 90.0))
    assert "is that in degrees?" in answer.detail


@pytest.mark.parametrize("opening", [50.0, 1.7, 0.5, -0.01])
def test_a_gripper_in_other_units_is_named_with_value_and_range(bench: Bench, opening: float) -> None:
    answer = asked(bench, OperatorKind.ARM, q=vector(bench, 3, opening))
    assert answer.answer == "refused_outside_limits"
    assert f"gripper gripper is measured at an opening of {opening:g} m, 0 to 0.08 m are expected" in answer.detail
    assert bench.state() is State.READY


def test_a_joint_that_moves_is_named(bench: Bench) -> None:
    answer = asked(bench, OperatorKind.ARM, dq=vector(bench, 1, -0.2))
    assert (answer.answer, answer.detail) == (
        "refused_moving",
        "joint b is measured to move at 0.2 rad/s, at rest is up to 0.05",
    )


def test_a_joint_that_is_not_where_it_was_left_is_named(bench: Bench) -> None:
    assert asked(bench, OperatorKind.ARM).answer == "done"
    bench.stepped.tick(5)
    assert asked(bench, OperatorKind.STOP).answer == "done"
    bench.stepped.tick(50)
    assert bench.state() is State.FAULT
    answer = asked(bench, OperatorKind.RESET, q=vector(bench, 0, 0.0812))
    assert answer.answer == "refused_mismatch"
    assert answer.detail == "joint a is measured 81.2 mrad from where control left it, 50 mrad are allowed"


def test_an_open_stop_line_and_a_drivers_fault_are_told_apart(bench: Bench) -> None:
    for flag, words in (
        (FeedbackFlag.STOP_LINE, "the driver reports an open stop line"),
        (FeedbackFlag.DRIVER_FAULT, "the driver reports a fault"),
    ):
        asked(bench, OperatorKind.STOP, flags=flag)
        bench.stepped.tick(5)
        answer = asked(bench, OperatorKind.RESET, flags=flag)
        assert (answer.answer, answer.detail) == ("refused_stop_line", words)


FEEDBACK = Feedback(
    stamp_ns=0,
    seq=1,
    q=[0.0] * 8,  # type: ignore[arg-type]
    dq=[0.0] * 8,  # type: ignore[arg-type]
    tau=[0.0] * 8,  # type: ignore[arg-type]
    wrench=np.zeros((4, 6)),
    odometry=np.zeros(3),
    flags=FeedbackFlag(0),
    wrenches=0,
)
SHIPPED = load_config(SIM_CONFIG)


def detail(result: Result, feedback: Feedback | None = FEEDBACK, now_ns: int = 0, watchdog_ns: int = 1) -> str:
    """Of the shipped robot, standing at zero."""
    config = kernel_config(SHIPPED.safety, SHIPPED.embodiment)
    said = refusal_detail(
        result,
        SHIPPED.safety,
        SHIPPED.embodiment,
        config,
        feedback=feedback,
        held=(0.0,) * 8,
        watchdog_ns=watchdog_ns,
        now_ns=now_ns,
    )
    assert len(said) <= MAX_DETAIL_CHARS
    return said


@pytest.mark.parametrize(
    ("changes", "now_ns", "words"),
    [
        ({}, 250_000_000, "the newest sample is 250 ms old, 100 ms are allowed"),
        ({}, -50_000_000, "the newest sample is stamped 50 ms after now"),
        ({"q": [0.0, math.nan, *[0.0] * 6]}, 0, "the measured position of joint2 is nan"),
        ({"dq": [math.inf, *[0.0] * 7]}, 0, "the measured velocity of joint1 is inf"),
        ({"tau": [0.0] * 6 + [math.nan, 0.0]}, 0, "the measured torque of joint7 is nan"),
        ({"q": [0.0] * 7 + [math.nan]}, 0, "the measured position of gripper is nan"),
        ({"wrench": np.full((4, 6), math.nan)}, 0, "the measured force or moment is not a number"),
        ({}, 0, ""),
    ],
)
def test_what_is_wrong_with_feedback_is_said(changes: dict[str, Any], now_ns: int, words: str) -> None:
    assert detail(Result.REFUSED_FEEDBACK, dataclasses.replace(FEEDBACK, **changes), now_ns) == words


def test_a_driver_that_has_not_measured_is_told() -> None:
    assert detail(Result.REFUSED_FEEDBACK, None) == "the driver has not written any feedback"


@pytest.mark.parametrize(("watchdog_ns", "words"), [(0, "of none"), (2_500_000_000, "of 2.5 s")])
def test_the_drivers_watchdog_is_told(watchdog_ns: int, words: str) -> None:
    assert words in detail(Result.REFUSED_NO_WATCHDOG, watchdog_ns=watchdog_ns)


def test_what_is_too_near_is_told() -> None:
    low = dataclasses.replace(FEEDBACK, q=[0.0, 1.7, 0.0, -0.5, 0.0, 1.0, 0.0, 0.0])  # type: ignore[arg-type]
    assert re.search(
        r"^\S+ is [0-9.]+ mm (into|from) table top, 10 mm must be kept", detail(Result.REFUSED_GEOMETRY, low)
    )


def test_what_says_all_by_its_name_has_no_detail() -> None:
    assert detail(Result.REFUSED_STATE) == ""
    assert detail(Result.REFUSED_LOOSER) == ""
