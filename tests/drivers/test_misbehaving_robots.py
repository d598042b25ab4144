"""A robot that misbehaves under the whole of it: driver, port, 1 kHz loop and the kernel, which has to stop it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.ipc.port import FeedbackFlag
from edge_runtime.safety import Reason, State
from edge_runtime.testing.driven_robot import DrivenRobot
from edge_runtime.testing.peers.process import Peer
from edge_runtime.testing.peers.robots import loopback_address, ros2_peer, ros2_setup, write_ros2, write_ur

pytestmark = [pytest.mark.realtime, pytest.mark.in_company]

KINDS = {"ur": "rtde_control", "ros2_dds": "cyclonedds", "ros2_zenoh": "zenoh"}
GONE = Reason.FEEDBACK_STALE | Reason.DRIVER_FAULT


@pytest.fixture(params=sorted(KINDS))
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Peer, DrivenRobot]]:
    """The other side, and the robot with its driver."""
    pytest.importorskip(KINDS[request.param])
    # A machine that is busy with other tests is neither a lost robot nor a lost driver.
    patient = "silence_s = 1.0"
    with ExitStack() as stack:
        if request.param == "ur":
            address = loopback_address()
            config = write_ur(tmp_path, address, f"{patient}\nwatchdog_s = 0.5")
            peer = stack.enter_context(Peer("ur_controller", address))
        else:
            setup = ros2_setup(request.param.removeprefix("ros2_"))
            config = write_ros2(tmp_path, setup, patient)
            peer = stack.enter_context(ros2_peer(setup))
        yield peer, stack.enter_context(DrivenRobot(config))


FAULTS = {
    "nan": Reason.FEEDBACK_NOT_FINITE,
    "jump 0.5": Reason.TRACKING_ERROR,
    "late 0.3": GONE,
    "silent 60": GONE,
    "gone": GONE,
    "power_cycle": GONE,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_kernel_stops_it_and_it_stays_stopped(both: tuple[Peer, DrivenRobot], fault: str) -> None:
    peer, robot = both
    words = fault.split()
    if words[0] == "nan" and robot.config.robot.driver == "ros2":
        words = ["fault", "nan"]
    end_s = time.monotonic() + 10.0
    while robot.feedback().flags & FeedbackFlag.DRIVER_FAULT and time.monotonic() < end_s:
        time.sleep(0.02)
    with robot.armed() as loop:
        start = robot.feedback()
        target = robot.posture(start)
        target[0] += 0.5
        loop.set_plan(robot.plan(start, target))
        time.sleep(0.8)
        assert loop.counters().state is State.ACTIVE
        peer.tell(*words)
        end_s = time.monotonic() + 3.0
        while (counters := loop.counters()).state is not State.FAULT and time.monotonic() < end_s:
            time.sleep(0.005)
        assert counters.state is State.FAULT, counters
        assert counters.faults & FAULTS[fault], counters.faults
        time.sleep(0.5)
        peer.tell("well")
        time.sleep(0.5)
        before = np.array(list(_places(peer)))
        time.sleep(0.5)
        assert loop.counters().state is State.FAULT, "it went on without a person"
        np.testing.assert_allclose(list(_places(peer)), before, atol=1e-4)


def _places(peer: Peer) -> list[float]:
    q = peer.tell("state")["q"]
    return list(q.values()) if isinstance(q, dict) else q
