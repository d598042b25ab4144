"""Requests of operators on their way to the loop: what a dead process was asked arms nobody, and no stop gets lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from contracts.messages import OperatorCommand, OperatorKind, SafetyReport
from edge_runtime.bus import Refusals
from edge_runtime.clock import VirtualClock
from edge_runtime.config import SIM_CONFIG, load_config
from edge_runtime.control.black_box import BlackBox, Origin
from edge_runtime.control.stop_mark import StopMark, forget_stop
from edge_runtime.control.supervisor import Supervisor
from edge_runtime.operator import ADVICE
from edge_runtime.robots.port import FeedbackFlag
from edge_runtime.safety import State
from tests.control.control_process import make_config
from tests.control.stepped import SteppedLoop
from tests.control.test_intake import EMBODIMENT

CONFIG = msgspec.structs.replace(load_config(SIM_CONFIG), embodiment=EMBODIMENT)


class Bench:
    """A loop that is ready, and the supervisor of a control process that was started just now."""

    def __init__(self, stepped: SteppedLoop, folder: Path) -> None:
        self.stepped = stepped
        self.supervisor = Supervisor(
            CONFIG,
            bundle_digest=None,
            port=stepped.port,
            loop=stepped.loop,
            black_box=BlackBox(stepped.loop, make_config(), folder, Origin("arm", "", None)),
            stop_mark=StopMark(folder),
            clock=VirtualClock(stepped.port),
            refusals=Refusals(),
        )
        self._id = 0

    def command(self, kind: OperatorKind) -> OperatorCommand:
        self._id += 1
        return OperatorCommand(id=self._id, kind=kind, stamp_ns=time.monotonic_ns())

    def ask(self, command: OperatorCommand) -> str | None:
        self.supervisor.take_operator(command)
        self.supervisor.drain()
        report: SafetyReport = self.supervisor.report()
        return report.answer_to(command)

    def state(self) -> State:
        return self.stepped.loop.counters().state


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with SteppedLoop() as stepped:
        stepped.tick(2)
        yield Bench(stepped, tmp_path)


def test_an_arm_that_a_process_before_this_one_was_asked_for_is_not_carried_out(bench: Bench) -> None:
    old = msgspec.structs.replace(bench.command(OperatorKind.ARM), stamp_ns=time.monotonic_ns() - 10_000_000_000)
    assert bench.ask(old) == "refused_restarted"
    assert bench.state() is State.READY
    assert "refused_restarted" in ADVICE
    assert bench.ask(bench.command(OperatorKind.ARM)) == "done"
    assert bench.state() is State.HOLDING


def test_a_stop_counts_however_old_it_is(bench: Bench) -> None:
    old = msgspec.structs.replace(bench.command(OperatorKind.STOP), stamp_ns=1)
    assert bench.ask(old) == "done"
    assert bench.state() is State.FAULT


def test_a_stop_that_the_loop_did_not_take_is_not_answered_and_its_repetition_is_carried_out(bench: Bench) -> None:
    stop, disarm = bench.command(OperatorKind.STOP), bench.command(OperatorKind.DISARM)
    bench.stepped.loop.stop(timeout_s=0.1)
    assert bench.ask(stop) is None
    assert "not running" in str(bench.ask(disarm)), "what is no stop is told to have failed"
    bench.stepped.loop.start()
    bench.stepped.tick(2)
    assert bench.ask(stop) == "done"
    assert bench.state() is State.FAULT


def test_a_persons_stop_outlives_the_process_until_a_person_resets_it(tmp_path: Path) -> None:
    for kinds, begins in (
        ((OperatorKind.STOP,), State.READY),
        ((), State.FAULT),
        ((OperatorKind.RESET,), State.FAULT),
        ((), State.READY),
    ):
        with SteppedLoop() as stepped:
            bench = Bench(stepped, tmp_path)
            stepped.tick(2)
            assert bench.state() is begins
            for kind in kinds:
                assert bench.ask(bench.command(kind)) == "done"


def test_an_opened_stop_line_outlives_the_process_too_and_another_fault_does_not(tmp_path: Path) -> None:
    for flag, begins in (
        (FeedbackFlag.DRIVER_FAULT, State.READY),
        (FeedbackFlag.STOP_LINE, State.READY),
        (None, State.FAULT),
    ):
        with SteppedLoop() as stepped:
            bench = Bench(stepped, tmp_path)
            stepped.tick(2)
            assert bench.state() is begins
            if flag is not None:
                robot = stepped.robot
                stepped.plant.write_feedback(
                    stepped.now_ns + 1_000_000, robot.q_rad, robot.dq_rad_s, robot.zero, 0.0, flag
                )
                stepped.tick(measures=False)
                bench.supervisor.drain()
    forget_stop(tmp_path)
    assert not StopMark(tmp_path).is_set()


def test_a_stop_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    with SteppedLoop() as stepped:
        bench = Bench(stepped, tmp_path / "gone")
        stepped.tick(2)
        assert bench.ask(bench.command(OperatorKind.STOP)) == "done"
        assert bench.state() is State.FAULT
        assert bench.supervisor.note() == "stop mark: No such file or directory"
