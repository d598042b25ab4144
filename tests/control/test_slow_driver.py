"""A driver with a slow bus, through port and loop: a perfect robot is followed at speed, and a frozen one is found."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.control.plan import PlanResult
from edge_runtime.safety import Reason, State
from tests.control.control_process import wave
from tests.control.stepped import SteppedLoop

LIMITS: dict[str, Any] = {
    "dq_max": (3.6,) * 3,
    "ddq_max": (20.0,) * 3,
    "tracking_max": (0.15,) * 3,
    "feedback_max_age_ns": 100_000_000,
}


@pytest.mark.parametrize("period_ticks", [1, 10, 16, 20, 33])
@pytest.mark.parametrize("frozen", [False, True])
def test_at_two_radians_a_second(period_ticks: int, frozen: bool) -> None:
    with SteppedLoop(limits=LIMITS) as stepped:
        stepped.arm()
        robot = stepped.robot
        assert stepped.loop.set_plan(wave(1, stepped.now_ns, 3.0, amplitude_rad=2.4)) is PlanResult.OK
        furthest_rad = 0.0
        stuck = robot.q
        for k in range(2500):
            if not frozen or k < 400:
                stuck = robot.q
            stepped.tick(measures=False)
            if k % period_ticks == 0:
                stepped.plant.write_feedback(stepped.now_ns, stuck, robot.zero)
            furthest_rad = max(furthest_rad, robot.q[0])
        counters = stepped.loop.counters()
        if frozen:
            assert counters.state is State.FAULT
            assert Reason.ENCODER_FROZEN in counters.faults
        else:
            assert (counters.faults, counters.state) == (Reason(0), State.ACTIVE)
            assert furthest_rad > 2.3
