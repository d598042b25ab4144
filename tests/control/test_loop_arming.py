"""Arming starts from nothing: no plan made before it moves the robot after it."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.ipc.port import DriverPort
from edge_runtime.safety import Result, State
from tests.control.control_process import make_config, wait_for, wave
from tests.control.perfect_driver import DriverProcess

pytestmark = pytest.mark.realtime


@pytest.mark.parametrize("delay_s", [0.0, 0.2], ids=["the plan in force", "a plan that waits for its time"])
def test_a_plan_from_before_the_arming_is_forgotten(delay_s: float) -> None:
    name = f"test-arming-{os.getpid()}"
    with (
        DriverProcess(name),
        DriverPort.attach(name, timeout_s=20.0) as port,
        ControlLoop(port, make_config()) as loop,
    ):
        wait_for(loop, State.READY)
        assert loop.arm() is Result.DONE
        plan = wave(1, port.now_ns(), 5.0)
        loop.set_plan(replace(plan, active_from_ns=port.now_ns() + round(delay_s * 1e9)))
        time.sleep(0.1)
        assert loop.disarm() is Result.DONE
        wait_for(loop, State.READY)
        assert loop.arm() is Result.DONE
        loop.drain_reports()
        time.sleep(0.4)
        reports = loop.drain_reports()
        assert set(reports["state"]) == {State.HOLDING}
        assert not reports["plan_seq"].any()
        loop.set_plan(wave(2, port.now_ns(), 0.5))
        wait_for(loop, State.ACTIVE)
