"""The loop on a real port, against a real driver process, in real time: plans, holds, requests, faults."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from edge_runtime.contracts.errors import HandshakeError, PortError, SafetyError
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.control.plan import PlanResult
from edge_runtime.ipc.port import CommandState, DriverPort, PortRole
from edge_runtime.safety import Reason, Result, State
from tests.control.control_process import make_config, wait_for, wave
from tests.control.perfect_driver import DriverProcess, LockstepPlant

pytestmark = pytest.mark.realtime


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"test-loop-{os.getpid()}-{abs(hash(request.node.name)) % 10**6}"


@pytest.fixture
def port(name: str) -> Iterator[DriverPort]:
    with DriverProcess(name), DriverPort.attach(name, timeout_s=20.0) as port:
        yield port


@pytest.fixture
def loop(port: DriverPort) -> Iterator[ControlLoop]:
    with ControlLoop(port, make_config()) as loop:
        wait_for(loop, State.READY)
        yield loop


def test_a_plan_plays_out_then_holds_then_a_new_one_resumes(port: DriverPort, loop: ControlLoop) -> None:
    assert loop.arm() is Result.DONE
    wait_for(loop, State.HOLDING)
    loop.drain_reports()
    assert loop.set_plan(wave(1, port.now_ns(), 0.8)) is PlanResult.OK
    wait_for(loop, State.ACTIVE)
    wait_for(loop, State.HOLDING)
    time.sleep(0.3)
    assert loop.set_plan(wave(2, port.now_ns(), 0.3)) is PlanResult.OK
    wait_for(loop, State.ACTIVE)
    wait_for(loop, State.HOLDING)
    time.sleep(0.3)
    reports = loop.drain_reports()
    active = reports["state"] == State.ACTIVE
    assert set(reports["plan_seq"][active]) == {1, 2}
    assert set(reports["chunk_seq"][active]) == {10, 20}
    assert (reports["plan_seq"][~active] == 0).all()
    # A driver caught in the middle of a write on a shared core is survived with its last sample.
    holding = reports["reasons"][~active] & ~np.uint64(Reason.FEEDBACK_TORN)
    assert (holding == Reason.SETPOINT_NONE).all()
    # All the way, seam and stops included, the motion keeps to the limits.
    v = reports["dq_command"][:, :3]
    assert np.abs(v).max() > 0.2
    assert np.abs(np.diff(v, axis=0)).max() <= 10.0 * 1e-3 * (1 + 1e-9)
    assert (v[-1] == 0.0).all()


def test_the_end_of_the_loop_waits_for_a_long_stop(port: DriverPort) -> None:
    slow = make_config(dq_max=(0.5,) * 3, ddq_max=(0.2,) * 3)
    with ControlLoop(port, slow) as loop:
        wait_for(loop, State.READY)
        assert loop.arm() is Result.DONE
        ramp = wave(1, port.now_ns(), 4.0)
        assert (
            loop.set_plan(replace(ramp, q=np.linspace([0.0] * 4, [3.0] * 3 + [0.0], len(ramp.t_ns)))) is PlanResult.OK
        )
        time.sleep(2.6)
        speed_rad_s = loop.drain_reports()["dq_command"][-1, 0]
        assert speed_rad_s > 0.42
        assert loop.stop(), "at rest, more than two seconds later"


def test_refusals_of_plans(port: DriverPort, loop: ControlLoop) -> None:
    good = wave(5, port.now_ns(), 0.5)
    assert loop.set_plan(good) is PlanResult.OK
    assert loop.set_plan(good) is PlanResult.REFUSED_SEQUENCE
    assert loop.set_plan(replace(good, seq=6, t_ns=good.t_ns[::-1].copy())) is PlanResult.REFUSED_TIMES
    assert loop.set_plan(replace(good, seq=6, q=good.q[:, :2])) is PlanResult.REFUSED_AXES
    assert loop.set_plan(replace(good, seq=6, q=good.q * np.nan)) is PlanResult.REFUSED_NOT_FINITE
    for scale in (0.0, -0.5, 1.5, np.nan):
        assert loop.set_plan(replace(good, seq=6, speed_scale=scale)) is PlanResult.REFUSED_SPEED_SCALE
    empty = replace(good, seq=6, t_ns=good.t_ns[:0], q=good.q[:0])
    assert loop.set_plan(empty) is PlanResult.REFUSED_KNOTS
    with pytest.raises(ValueError, match="do not fit"):
        loop.set_plan(replace(good, seq=6, q=good.q[:3]))
    with pytest.raises(ValueError, match="32 bytes"):
        loop.set_plan(replace(good, seq=6, bundle_digest=b"short"))
    time.sleep(0.02)
    assert loop.counters().plans_taken == 1


def test_no_plan_is_torn_by_a_frantic_writer(port: DriverPort) -> None:
    """Plans whose every number says which plan it is, replaced as fast as Python can, with limits that let the command
    jump there: each tick shows one whole plan."""
    config = make_config(dq_max=(1e3,) * 3 + (100.0,), ddq_max=(1e5,) * 4, dddq_max=(1e8,) * 4)
    with ControlLoop(port, config) as loop:
        wait_for(loop, State.READY)
        assert loop.arm() is Result.DONE
        until_s = time.monotonic() + 1.0
        seq = 0
        while time.monotonic() < until_s:
            seq += 1
            plan = wave(seq, port.now_ns(), 5.0)
            value = (seq % 100) * 1e-4
            loop.set_plan(replace(plan, q=np.full_like(plan.q, value)))
        reports = loop.drain_reports()
        assert loop.counters().plans_refused == 0, "one that is put in while the mailbox is read is not counted twice"
    active = reports[(reports["plan_seq"] > 0) & (reports["state"] == State.ACTIVE)]
    assert len(set(active["plan_seq"])) > 100
    value = (active["plan_seq"] % 100) * 1e-4
    assert np.abs(active["q_command"][:, :4] - value[:, None]).max() < 1e-12
    assert (active["chunk_seq"] == active["plan_seq"] * 10).all()


def test_stopping_decelerates_and_leaves_silence(port: DriverPort, loop: ControlLoop) -> None:
    loop.arm()
    loop.set_plan(wave(1, port.now_ns(), 5.0, amplitude_rad=1.0))
    time.sleep(0.7)
    assert loop.stop()
    reports = loop.drain_reports()
    v = reports["dq_command"][:, 0]
    assert abs(v).max() > 0.5
    assert v[-1] == 0.0
    assert np.abs(np.diff(v)).max() <= 0.01 * (1 + 1e-9)
    command = port.read_command()
    assert command is not None
    assert command.state is CommandState.SILENT
    assert not loop.counters().running
    with pytest.raises(SafetyError, match="not running"):
        loop.arm()


def test_a_request_nobody_waits_for_is_withdrawn(loop: ControlLoop) -> None:
    withdrawn = 0
    for _ in range(20):
        armed = False
        with contextlib.suppress(SafetyError):
            armed = loop.arm(timeout_s=0.0) is Result.DONE
        time.sleep(0.01)
        assert loop.counters().state is (State.HOLDING if armed else State.READY)
        withdrawn += not armed
        if armed:
            loop.disarm()
            wait_for(loop, State.READY)
    assert withdrawn > 0


def test_operator_stop_latches(port: DriverPort, loop: ControlLoop) -> None:
    loop.arm()
    loop.set_plan(wave(1, port.now_ns(), 5.0))
    time.sleep(0.3)
    assert loop.request_stop() is Result.DONE
    wait_for(loop, State.FAULT)
    assert loop.counters().faults == Reason.OPERATOR_STOP
    assert loop.arm() is Result.REFUSED_STATE
    assert loop.reset() is Result.DONE
    wait_for(loop, State.READY)
    assert loop.arm() is Result.DONE


def test_a_plan_from_before_arming_is_forgotten(port: DriverPort, loop: ControlLoop) -> None:
    loop.set_plan(wave(1, port.now_ns(), 5.0))
    time.sleep(0.02)
    loop.set_plan(wave(2, port.now_ns(), 5.0))
    time.sleep(0.02)
    assert not loop.drain_reports()["plan_seq"].any(), "an arm without power follows no plan"
    assert loop.arm() is Result.DONE
    time.sleep(0.2)
    assert loop.counters().state is State.HOLDING
    loop.set_plan(wave(3, port.now_ns(), 5.0))
    wait_for(loop, State.ACTIVE)
    assert loop.counters().plan_seq == 3


def test_a_dead_driver_stops_and_latches(name: str) -> None:
    with (
        DriverProcess(name) as driver,
        DriverPort.attach(name, timeout_s=20.0) as port,
        ControlLoop(port, make_config()) as loop,
    ):
        wait_for(loop, State.READY)
        loop.arm()
        loop.set_plan(wave(1, port.now_ns(), 5.0))
        wait_for(loop, State.ACTIVE)
        driver.process.kill()
        wait_for(loop, State.FAULT)
        assert loop.counters().faults == Reason.FEEDBACK_STALE
        assert loop.reset() is Result.REFUSED_FEEDBACK


def test_a_driver_without_a_watchdog_is_not_armed(name: str) -> None:
    with (
        DriverProcess(name, watchdog_ns=0),
        DriverPort.attach(name, timeout_s=20.0) as port,
        ControlLoop(port, make_config()) as loop,
    ):
        wait_for(loop, State.READY)
        assert loop.arm() is Result.REFUSED_NO_WATCHDOG


def test_one_control_and_the_right_joints(port: DriverPort, loop: ControlLoop) -> None:
    with DriverPort.attach(port.name) as other:
        with pytest.raises(PortError, match="another live process"):
            ControlLoop(other, make_config())
        with pytest.raises(HandshakeError, match="joint_digest"):
            ControlLoop(other, make_config(joint_digest="0" * 64))
    assert loop.counters().running


def test_closing_the_port_does_not_pull_it_from_under_the_loop(name: str) -> None:
    with DriverProcess(name):
        port = DriverPort.attach(name, timeout_s=20.0)
        with ControlLoop(port, make_config()) as loop:
            port.close()
            wait_for(loop, State.READY)


def test_a_busy_interpreter_does_not_disturb_it(loop: ControlLoop) -> None:
    """A Python-driven loop loses four ticks of five here."""
    stop = threading.Event()

    def hog() -> None:
        while not stop.is_set():
            pass

    thread = threading.Thread(target=hog)
    thread.start()
    try:
        before, start_ns = loop.counters().ticks, time.monotonic_ns()
        time.sleep(1.0)
        ticks, elapsed_ns = loop.counters().ticks - before, time.monotonic_ns() - start_ns
    finally:
        stop.set()
        thread.join()
    assert ticks > 0.85 * elapsed_ns / 1e6


def start_control(name: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.control.control_process", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "moving"
    return process


def test_a_killed_control_shows_as_a_stale_stamp(port: DriverPort) -> None:
    control = start_control(port.name)
    assert port.is_claimed(PortRole.CONTROL)
    os.kill(control.pid, signal.SIGKILL)
    control.communicate()
    last = port.read_command()
    time.sleep(0.1)
    now = port.read_command()
    assert last is not None
    assert now is not None
    assert last.stamp_ns == now.stamp_ns < time.monotonic_ns() - 100_000_000
    assert now.state is CommandState.ACTIVE
    assert not port.is_claimed(PortRole.CONTROL)
    # The next control starts silent, whatever the last one left there.
    with ControlLoop(port, make_config()) as loop:
        wait_for(loop, State.READY)
        command = port.wait_command(now.stamp_ns + 1, timeout_s=1.0)
        assert not command.state.follows


def test_a_frozen_control_keeps_its_phase_and_does_not_go_on(port: DriverPort) -> None:
    control = start_control(port.name)
    os.kill(control.pid, signal.SIGSTOP)
    time.sleep(0.7)
    os.kill(control.pid, signal.SIGCONT)
    time.sleep(0.3)
    out, _ = control.communicate("\n", timeout=20.0)
    summary = json.loads(out)
    assert summary["overruns"] >= 600
    assert len(summary["phases"]) == 1
    # The driver's own watchdog (500 ms) stopped the robot meanwhile: going on would be a jump.
    assert Reason.CLOCK_GAP in Reason(summary["faults"])


def test_dropped_reports_are_counted(name: str) -> None:
    plant = LockstepPlant(name, ticks=9000)
    with plant.port, DriverPort.attach(name) as port, ControlLoop(port, make_config()) as loop:
        plant.start()
        plant.join()
        assert plant.error is None
        assert loop.counters().reports_dropped == 9000 - 8192
        reports = loop.drain_reports(5000)
        assert reports["tick_ns"].tolist() == list(range(1_000_000, 5_001_000_000, 1_000_000))
        assert len(loop.drain_reports()) == 3192
