"""Under the virtual clock the plant's time decides everything: two runs are equal to the last byte."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import numpy as np
import pytest

from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.ipc.port import DriverPort
from edge_runtime.safety import Result, State
from tests.control.control_process import make_config, wave
from tests.control.perfect_driver import LockstepPlant

OBSERVE_EVERY = 100
LATENCY_NS = 60_000_000


def run(name: str, ticks: int, nap_s: float = 0.0) -> tuple[list[bytes], bytes]:
    """A supervisor that answers each observation with a plan that becomes active after a set latency."""
    plant = LockstepPlant(name, ticks, OBSERVE_EVERY)
    with plant.port, DriverPort.attach(name) as port, ControlLoop(port, make_config()) as loop:
        plant.start()
        taken = []
        for k in range(1, ticks // OBSERVE_EVERY + 1):
            exposed_ns = k * OBSERVE_EVERY * 1_000_000
            while port.now_ns() < exposed_ns:
                time.sleep(0.0005)
            time.sleep(nap_s * (k % 3))
            if k == 1:
                # The command of this instant is out once the loop has seen it; time stands still now.
                port.wait_command(exposed_ns, timeout_s=5.0)
                assert loop.arm() is Result.DONE
            if k % 7:
                plan = wave(k, exposed_ns, 0.8, amplitude_rad=0.05 * (k % 5))
                loop.set_plan(replace(plan, active_from_ns=exposed_ns + LATENCY_NS))
            port.acknowledge_observation(exposed_ns)
            taken.append(loop.drain_reports())
        plant.join()
        assert plant.error is None
        taken.append(loop.drain_reports())
        assert loop.counters().reports_dropped == 0
    return plant.path, np.concatenate(taken).tobytes()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"test-lockstep-{os.getpid()}-{abs(hash(request.node.name)) % 10**6}"


def test_two_runs_are_equal_to_the_byte(name: str) -> None:
    path, reports = run(name, 3000)
    other_path, other_reports = run(name, 3000, nap_s=0.004)
    assert path == other_path
    assert reports == other_reports
    assert len(set(path)) > 500  # it moved


def test_a_plan_waits_for_its_time(name: str) -> None:
    plant = LockstepPlant(name, 400, OBSERVE_EVERY)
    with plant.port, DriverPort.attach(name) as port, ControlLoop(port, make_config()) as loop:
        plant.start()
        for k in range(1, 5):
            exposed_ns = k * 100_000_000
            port.wait_command(exposed_ns, timeout_s=5.0)
            if k == 1:
                assert loop.arm() is Result.DONE
                loop.set_plan(replace(wave(1, exposed_ns, 2.0), active_from_ns=exposed_ns + 30_000_000))
            if k == 2:
                # Two plans under way at once: each comes into force at its own time.
                loop.set_plan(replace(wave(2, exposed_ns, 2.0), active_from_ns=exposed_ns + 150_000_000))
            if k == 3:
                loop.set_plan(replace(wave(3, exposed_ns, 2.0), active_from_ns=exposed_ns + 80_000_000))
            port.acknowledge_observation(exposed_ns)
        plant.join()
        assert plant.error is None
        reports = loop.drain_reports()
    first = {int(seq): int(reports["tick_ns"][reports["plan_seq"] == seq][0]) for seq in (1, 2, 3)}
    assert first == {1: 130_000_000, 2: 350_000_000, 3: 380_000_000}
    before = reports[reports["tick_ns"] < 130_000_000]
    assert set(before["state"]) <= {State.READY, State.HOLDING}


def test_lockstep_is_faster_than_real_time(name: str) -> None:
    plant = LockstepPlant(name, 3000)
    with plant.port, DriverPort.attach(name) as port, ControlLoop(port, make_config()):
        plant.start()
        plant.join()
        assert plant.error is None
    assert plant.elapsed_s < 3.0
