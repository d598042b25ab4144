"""Requests of operators on their way to the loop: what a dead process was asked arms nobody, and no stop gets lost."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_runtime.client.explanations import ANSWERS
from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.contracts.messages import (
    Asker,
    OperatorCommand,
    OperatorKind,
    RequestResult,
    StopCause,
)
from edge_runtime.control.operator_requests import PACE
from edge_runtime.control.proof_watch import PATIENCE_NS
from edge_runtime.control.request_ledger import AFTER_STOP, RESTARTED
from edge_runtime.control.standing_orders import StandingOrders
from edge_runtime.ipc.port import FeedbackFlag
from edge_runtime.safety import State
from tests.control.stepped import SteppedLoop
from tests.control.supervised import CONFIG, MS, Bench, RealClock, engine_status


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with SteppedLoop() as stepped:
        stepped.tick(2)
        yield Bench(stepped, tmp_path)


def test_an_arm_that_a_process_before_this_one_was_asked_for_is_not_carried_out(bench: Bench) -> None:
    old = msgspec.structs.replace(bench.command(OperatorKind.ARM), stamp_ns=time.monotonic_ns() - 10_000_000_000)
    assert bench.ask(old) == "refused_restarted"
    assert bench.state() is State.READY
    assert RESTARTED == "refused_restarted"
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
    failed = bench.answer(disarm)
    assert failed is not None, "what is no stop is told to have failed"
    assert failed.answer is RequestResult.FAILED
    assert "not running" in failed.detail
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
                stepped.plant.write_feedback(stepped.now_ns + 1_000_000, robot.q, robot.dq, flags=flag)
                stepped.tick(measures=False)
                bench.supervisor.drain()
    assert StandingOrders(tmp_path).stopped_by is StopCause.STOP_LINE


def open_stop_line(stepped: SteppedLoop) -> None:
    robot = stepped.robot
    stamp_ns = stepped.now_ns + 1_000_000
    stepped.plant.write_feedback(stamp_ns, robot.q, robot.dq, flags=FeedbackFlag.STOP_LINE)
    stepped.tick(measures=False)
    stepped.tick(2)


@pytest.mark.parametrize("cause", list(StopCause))
@pytest.mark.parametrize("restarts", [False, True])
def test_after_a_persons_stop_only_a_person_arms(tmp_path: Path, cause: StopCause, restarts: bool) -> None:
    with SteppedLoop() as stepped:
        stepped.tick(2)
        bench = Bench(stepped, tmp_path)
        assert bench.ask(bench.command(OperatorKind.ARM, Asker.PROGRAM)) == "done", "nobody has stopped it"
        if cause is StopCause.STOP_LINE:
            open_stop_line(stepped)
        else:
            stops = {StopCause.OPERATOR_STOP: OperatorKind.STOP, StopCause.OPERATOR_DISARM: OperatorKind.DISARM}
            assert bench.ask(bench.command(stops[cause])) == "done"
            stepped.tick(2)

        def program_can_do_nothing() -> None:
            for kind in (OperatorKind.ARM, OperatorKind.RESET):
                assert bench.ask(bench.command(kind, Asker.PROGRAM)) == AFTER_STOP
            assert bench.supervisor.report().stopped_by is cause
            assert not bench.state().is_armed

        program_can_do_nothing()
        if bench.state() is State.FAULT:
            assert bench.ask(bench.command(OperatorKind.RESET)) == "done"
            program_can_do_nothing()
        assert bench.state() is State.READY
        if restarts:
            # Another process of control, which has the folder and nothing else of this one.
            bench = Bench(stepped, tmp_path)
            program_can_do_nothing()
        assert bench.ask(bench.command(OperatorKind.ARM)) == "done"
        assert bench.supervisor.report().stopped_by is None
        assert bench.ask(bench.command(OperatorKind.DISARM, Asker.PROGRAM)) == "done"
        stepped.tick(2)
        assert bench.ask(bench.command(OperatorKind.ARM, Asker.PROGRAM)) == "done", (
            "a program's own disarm binds nobody"
        )


def test_an_arm_of_a_person_that_is_refused_ends_no_stop(bench: Bench) -> None:
    assert bench.ask(bench.command(OperatorKind.STOP)) == "done"
    assert bench.ask(bench.command(OperatorKind.ARM)) == "refused_state"
    assert bench.ask(bench.command(OperatorKind.RESET)) == "done"
    assert bench.ask(bench.command(OperatorKind.ARM, Asker.PROGRAM)) == AFTER_STOP


def test_a_stop_binds_programs_whoever_sent_it(bench: Bench) -> None:
    assert bench.ask(bench.command(OperatorKind.STOP, Asker.PROGRAM)) == "done"
    assert bench.ask(bench.command(OperatorKind.RESET, Asker.PROGRAM)) == AFTER_STOP


@pytest.mark.parametrize("state", [State.READY, State.FAULT])
def test_a_persons_disarm_counts_where_there_is_nothing_to_disarm(bench: Bench, state: State) -> None:
    if state is State.FAULT:
        robot = bench.stepped.robot
        stamp_ns = bench.stepped.now_ns + 1_000_000
        fault = FeedbackFlag.DRIVER_FAULT
        bench.stepped.plant.write_feedback(stamp_ns, robot.q, robot.dq, flags=fault)
        bench.stepped.tick(measures=False)
        bench.stepped.tick(2)
    assert bench.state() is state
    bench.ask(bench.command(OperatorKind.DISARM))
    for kind in (OperatorKind.RESET, OperatorKind.ARM):
        assert bench.ask(bench.command(kind, Asker.PROGRAM)) == AFTER_STOP


def test_a_program_may_go_on_after_a_fault_that_no_person_meant(bench: Bench) -> None:
    robot = bench.stepped.robot
    stamp_ns = bench.stepped.now_ns + 1_000_000
    fault = FeedbackFlag.DRIVER_FAULT
    bench.stepped.plant.write_feedback(stamp_ns, robot.q, robot.dq, flags=fault)
    bench.stepped.tick(measures=False)
    bench.stepped.tick(2)
    assert bench.state() is State.FAULT
    for kind in (OperatorKind.RESET, OperatorKind.ARM):
        assert bench.ask(bench.command(kind, Asker.PROGRAM)) == "done"


def test_reduced_speed_is_reported_and_outlives_the_process(tmp_path: Path) -> None:
    limit_m_s = CONFIG.safety.geometry.reduced_tool_speed_m_s if CONFIG.safety.geometry is not None else None
    with SteppedLoop(limits={"tool_speed_max_m_s": (1.0,)}) as stepped:
        stepped.tick(2)
        bench = Bench(stepped, tmp_path)
        assert bench.supervisor.report().reduced is None
        assert bench.ask(bench.command(OperatorKind.REDUCE_SPEED)) == "done"
        for again in (bench, Bench(stepped, tmp_path)):
            reduced = again.supervisor.report().reduced
            assert reduced is not None
            assert (reduced.tool_speed_max_m_s, reduced.speed_scale) == (limit_m_s, 1.0)
            assert stepped.loop.snapshot().tightening.tool_speed_max_m_s == limit_m_s
        assert again.ask(again.command(OperatorKind.RESTORE_SPEED)) == "done"
        assert Bench(stepped, tmp_path).supervisor.report().reduced is None


def test_a_stop_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    with SteppedLoop() as stepped:
        bench = Bench(stepped, tmp_path / "gone")
        stepped.tick(2)
        assert bench.ask(bench.command(OperatorKind.STOP)) == "done"
        assert bench.state() is State.FAULT
        assert bench.supervisor.note() == "standing orders of the operator can't be kept: No such file or directory"


@pytest.fixture
def unproved(tmp_path: Path) -> Iterator[Bench]:
    with SteppedLoop() as stepped:
        stepped.tick(2)
        yield Bench(stepped, tmp_path, proved=False)


def _detail(bench: Bench, command: OperatorCommand) -> tuple[str, str] | None:
    bench.ask(command)
    given = bench.supervisor.report().answer_to(command)
    return None if given is None else (given.answer, given.detail)


def _old(bench: Bench) -> OperatorCommand:
    """An arming that has been asked for longer than anybody waits for an engine."""
    bench.supervisor._requests._since_ns = 0
    command = bench.command(OperatorKind.ARM)
    return msgspec.structs.replace(command, stamp_ns=command.stamp_ns - PATIENCE_NS)


def test_nothing_is_armed_for_an_engine_that_is_not_there_and_a_moment_is_waited_for_one(unproved: Bench) -> None:
    bench = unproved
    arm = bench.command(OperatorKind.ARM)
    assert bench.ask(arm) is None, "it may come up"
    assert _detail(bench, _old(bench)) == (
        "refused_unproven",
        "no engine has reported yet that its policy was proved here",
    )
    bench.engine_pid = os.getpid()
    bench.engine_says()
    again = bench.command(OperatorKind.ARM)
    assert bench.ask(again) == "done"
    assert bench.state() is State.HOLDING


def test_an_engine_that_says_nothing_of_its_policy_is_not_armed_for(unproved: Bench) -> None:
    unproved.engine_pid = os.getpid()
    assert unproved.ask(unproved.command(OperatorKind.ARM)) is None
    answer = _detail(unproved, _old(unproved))
    assert answer is not None
    assert answer[0] == "refused_unproven"
    assert "has not said yet" in answer[1]


def test_a_policy_that_does_something_else_here_is_refused_at_once_with_the_joint(bench: Bench) -> None:
    bench.engine_says(ProofVerdict.DIFFERS, "joint4 is off by 0.0846 rad (p99), 0.01 is allowed")
    answer = _detail(bench, bench.command(OperatorKind.ARM))
    assert answer == ("refused_unproven", "joint4 is off by 0.0846 rad (p99), 0.01 is allowed")
    assert bench.state() is State.READY
    assert "refused_unproven" in ANSWERS


def test_who_arms_a_policy_that_nothing_was_held_against_is_told(bench: Bench) -> None:
    bench.engine_says(ProofVerdict.NO_DATA, "it carries no golden pairs")
    assert _detail(bench, bench.command(OperatorKind.ARM)) == ("done", "it carries no golden pairs")
    assert bench.state() is State.HOLDING


def test_an_engine_that_was_started_again_has_to_say_it_again(bench: Bench) -> None:
    bench.engine_pid = os.getppid()
    assert bench.ask(bench.command(OperatorKind.ARM)) is None, "the word of the one before does not count"
    bench.engine_says()
    assert bench.ask(bench.command(OperatorKind.ARM)) == "done"


def test_other_requests_than_arming_ask_for_no_proof(unproved: Bench) -> None:
    assert unproved.ask(unproved.command(OperatorKind.STOP)) == "done"
    assert unproved.ask(unproved.command(OperatorKind.RESET)) == "done"


@pytest.fixture
def real_time(tmp_path: Path) -> Iterator[Bench]:
    """Armed already, and timed well enough to move."""
    with SteppedLoop(priority=0) as stepped:
        bench = Bench(stepped, tmp_path, clock=RealClock(stepped))
        stepped.tick(1100)
        bench.supervisor.drain()
        yield bench


def test_a_policy_that_cannot_act_here_is_refused_at_arming_by_name(real_time: Bench) -> None:
    bench = real_time
    bench.supervisor.take_engine_status(engine_status(1, latency_ns=450 * MS))
    command = bench.command(OperatorKind.ARM)
    assert bench.ask(command) == PACE
    answer = bench.supervisor.report().answer_to(command)
    assert answer is not None
    assert answer.detail == "a chunk takes 0.45 s here, so that its plan has to reach 0.95 s; it reaches 0.80 s"
    assert bench.state() is State.READY
    assert PACE in ANSWERS
    bench.supervisor.take_engine_status(engine_status(1, latency_ns=450 * MS, horizon_ns=1600 * MS))
    assert bench.ask(bench.command(OperatorKind.ARM)) == "done"


def test_arming_waits_a_moment_for_an_engine_that_comes_up_to_say_how_fast_it_is(real_time: Bench) -> None:
    bench = real_time
    early = bench.command(OperatorKind.ARM)
    assert bench.ask(early) is None, "nothing is known of the policy yet"
    bench.supervisor.take_engine_status(engine_status(1, latency_ns=450 * MS))
    assert bench.ask(early) == PACE
    assert bench.state() is State.READY


def test_arming_does_not_wait_for_ever_for_an_engine(real_time: Bench) -> None:
    arm = real_time.command(OperatorKind.ARM)
    assert real_time.ask(arm) is None
    time.sleep(1.1)
    # After a silence its word of before does not count.
    real_time.engine_lives()
    real_time.engine_says()
    assert real_time.ask(arm) == "done"


def test_a_person_accepts_that_a_stopped_robot_was_moved_and_no_program_does(bench: Bench) -> None:
    stepped = bench.stepped
    assert bench.ask(bench.command(OperatorKind.ARM)) == "done"
    stepped.tick(5)
    assert bench.ask(bench.command(OperatorKind.STOP)) == "done"
    stepped.tick(100)
    assert bench.state() is State.FAULT
    stepped.robot.q = stepped.robot.q + np.array([0.4, 0.0, 0.0, 0.0])
    stepped.tick(5)
    assert bench.ask(bench.command(OperatorKind.RESET)) == "refused_mismatch"
    assert bench.ask(bench.command(OperatorKind.RESET_MOVED, Asker.PROGRAM)) == "refused_after_stop"
    assert bench.state() is State.FAULT
    assert bench.ask(bench.command(OperatorKind.RESET_MOVED)) == "done"
    stepped.tick(5)
    assert bench.ask(bench.command(OperatorKind.ARM)) == "done"
    stepped.tick(5)
    assert stepped.robot.q[0] == pytest.approx(0.4), "it goes on from where it is"
