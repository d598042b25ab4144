"""The operator's requests: repeated until answered, and an error that says who refused or kept silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge_runtime.client.operator import Operator, gives_instructions
from edge_runtime.contracts.engine_status import EngineStatus, InstructionAnswer
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import (
    Answer,
    Asker,
    ControlState,
    EpisodeEnded,
    EpisodeJudge,
    EpisodeOutcome,
    Heartbeat,
    LoopTiming,
    Message,
    OperatorCommand,
    OperatorKind,
    SafetyReport,
    SceneAnswer,
    SceneOutcome,
    SceneStatus,
    StopCause,
)
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.topics import (
    ENGINE_STATUS,
    EPISODE_ENDED,
    HEARTBEAT_CONTROL,
    HEARTBEAT_DRIVER,
    HEARTBEAT_ENGINE,
    OPERATOR,
    SAFETY_REPORT,
    SCENE_COMMAND,
    SCENE_STATUS,
    UPDATE_STATUS,
    Topic,
)
from edge_runtime.contracts.updates import UpdateStatus
from edge_runtime.evaluation.episodes import EpisodeRunner
from edge_runtime.ipc.bus import Publisher, Subscriber

PARTS = ("driver", "engine", "control")


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with Operator(tmp_path, answer_timeout_s=20.0) as one:
        yield one


@pytest.fixture
def unheard(tmp_path: Path) -> Iterator[Operator]:
    """One that nobody is going to answer."""
    with Operator(tmp_path, answer_timeout_s=0.6) as one:
        yield one


def report(command: Message, answer: str, **changes: object) -> SafetyReport:
    assert isinstance(command, OperatorCommand)
    timing = LoopTiming(
        ticks=1,
        overruns=0,
        lateness_p50_ns=0,
        lateness_p99_ns=0,
        lateness_max_ns=0,
        cost_p50_ns=0,
        cost_p99_ns=0,
        realtime_priority=True,
    )
    fields: dict[str, object] = {
        "stamp_ns": 1,
        "state": ControlState.READY,
        "reasons": (),
        "interventions": 0,
        "chunk_sequence": None,
        "chunk_age_ns": None,
        "plan_left_ns": 0,
        "bundle_digest": None,
        "safety_digest": "",
        "stop_margin": 0.1,
        "stop_margin_axis": 0,
        "position_measured": (0.0,) * 7,
        "position_commanded": (0.0,) * 7,
        "loop": timing,
        "engine_alive": True,
        "answers": (Answer(id=command.id, kind=command.kind, answer=answer),),
    }
    return SafetyReport(**{**fields, **changes})  # type: ignore[arg-type]


def engine_status(command: Message) -> EngineStatus:
    """The engine follows `command`."""
    assert isinstance(command, OperatorCommand)
    return EngineStatus(
        stamp_ns=1,
        pid=1,
        bundle="b" * 64,
        instruction_id=command.id,
        answer=InstructionAnswer.FOLLOWED,
        latency_ns=1,
        horizon_ns=1,
        asked=command.instruction,
        instruction=command.instruction,
    )


@contextmanager
def answering(
    run_dir: Path, listen: Topic, speak: Topic, answer: Callable[[Message], Message]
) -> Iterator[list[Message]]:
    """A process that answers the second time it is asked: the first request may be lost, as any message may."""
    heard: list[Message] = []
    done = threading.Event()

    def work() -> None:
        with (
            Subscriber((listen,), run_dir, process=listen.receivers[0]) as subscriber,
            Publisher(speak, run_dir) as publisher,
        ):
            while not done.is_set():
                for message in subscriber.receive(0.02):
                    heard.append(message)
                    if len(heard) >= 2:
                        publisher.send(answer(message))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield heard
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("ask", "process"),
    [
        (lambda operator: operator.arm(), "control"),
        (lambda operator: operator.stop(), "control"),
        (lambda operator: operator.instruct("touch the red cube"), "engine"),
        (lambda operator: operator.lay_out(3, "eval"), "driver"),
    ],
    ids=["arm", "stop", "instruct", "lay out"],
)
def test_silence_is_an_error_that_names_the_silent(
    unheard: Operator, ask: Callable[[Operator], None], process: str
) -> None:
    started_s = time.monotonic()
    with pytest.raises(OperatorError, match="did not answer") as caught:
        ask(unheard)
    assert 0.5 < time.monotonic() - started_s < 10.0
    assert (caught.value.process, caught.value.answered) == (process, False)


def test_a_request_is_repeated_under_one_id_until_it_is_answered(operator: Operator, tmp_path: Path) -> None:
    with answering(tmp_path, OPERATOR, SAFETY_REPORT, lambda command: report(command, "done")) as heard:
        operator.arm()
    assert len(heard) >= 2
    assert len({command.id for command in heard if isinstance(command, OperatorCommand)}) == 1


def test_an_outcome_is_repeated_until_the_update_agent_has_heard_it(operator: Operator, tmp_path: Path) -> None:
    def status(outcome: Message) -> UpdateStatus:
        assert isinstance(outcome, EpisodeEnded)
        digest = "a" * 64
        return UpdateStatus(
            stamp_ns=1, pid=1, state=UpdateState.IDLE, running=digest, running_counter=0, outcome_heard=outcome.id
        )

    started_ns = time.monotonic_ns()
    with answering(tmp_path, EPISODE_ENDED, UPDATE_STATUS, status) as heard:
        operator.tell_outcome(
            EpisodeOutcome.FAILURE, started_ns, score=0.25, instruction="touch the red cube", reason="dropped it"
        )
    (outcome,) = {message for message in heard if isinstance(message, EpisodeEnded)}
    assert (outcome.outcome, outcome.score, outcome.judge) == (EpisodeOutcome.FAILURE, 0.25, EpisodeJudge.PROGRAM)
    assert (outcome.instruction, outcome.reason) == ("touch the red cube", "dropped it")
    assert started_ns == outcome.started_ns <= outcome.ended_ns <= time.monotonic_ns()


def test_an_outcome_that_nobody_has_heard_is_an_error(unheard: Operator) -> None:
    with pytest.raises(OperatorError, match="did not answer") as caught:
        unheard.tell_outcome(EpisodeOutcome.SUCCESS, time.monotonic_ns())
    assert caught.value.process == "ota"


def test_a_refusal_is_an_error_with_the_reason(operator: Operator, tmp_path: Path) -> None:
    with (
        answering(tmp_path, OPERATOR, SAFETY_REPORT, lambda c: report(c, "refused_moving")),  # type: ignore[attr-defined]
        pytest.raises(OperatorError, match="arm: control refused: refused_moving") as caught,
    ):
        operator.arm()
    assert caught.value.answered


def test_a_refusal_that_a_person_can_mend_says_how(operator: Operator, tmp_path: Path) -> None:
    with (
        answering(tmp_path, OPERATOR, SAFETY_REPORT, lambda c: report(c, "refused_mismatch")),  # type: ignore[attr-defined]
        pytest.raises(
            OperatorError,
            match=r"refused_mismatch: the robot is not where .*moved by hand: `edge-runtime operator reset --moved ",
        ),
    ):
        operator.reset()


def test_what_a_program_asks_is_a_programs_request_and_what_a_person_asks_is_hers(tmp_path: Path) -> None:
    for asker, options in ((Asker.PROGRAM, {}), (Asker.PERSON, {"asker": Asker.PERSON})):
        with (
            Operator(tmp_path, answer_timeout_s=20.0, **options) as operator,
            answering(tmp_path, OPERATOR, SAFETY_REPORT, lambda command: report(command, "done")) as heard,
        ):
            operator.arm()
        assert {command.asker for command in heard if isinstance(command, OperatorCommand)} == {asker}


def test_an_instruction_counts_when_the_engine_follows_it(operator: Operator, tmp_path: Path) -> None:
    with answering(tmp_path, replace(OPERATOR, receivers=("engine",)), ENGINE_STATUS, engine_status):
        operator.instruct("touch the red cube")
    assert operator.watcher.status().instruction == "touch the red cube"


def test_a_sentence_that_the_policy_cannot_read_is_a_refusal_by_name(operator: Operator, tmp_path: Path) -> None:
    def unreadable(command: Message) -> EngineStatus:
        return msgspec.structs.replace(
            engine_status(command),
            answer=InstructionAnswer.REFUSED_UNREADABLE,
            instruction="",
            detail="the policy does not know: mug",
        )

    with (
        answering(tmp_path, replace(OPERATOR, receivers=("engine",)), ENGINE_STATUS, unreadable),
        pytest.raises(
            OperatorError, match=r"engine refused: refused_unreadable: .*the policy does not know: mug"
        ) as caught,
    ):
        operator.instruct("touch the mug")
    assert (caught.value.answered, caught.value.answer) == (True, "refused_unreadable")
    status = operator.watcher.status()
    assert (status.instruction, status.instruction_refused) == ("", "touch the mug")
    assert status.instruction_line == "none: 'touch the mug' was refused: the policy does not know: mug"


def test_a_policy_that_follows_no_instructions_says_that_arming_starts_it(operator: Operator, tmp_path: Path) -> None:
    def reads_none(command: Message) -> EngineStatus:
        return msgspec.structs.replace(
            engine_status(command),
            answer=InstructionAnswer.READS_NONE,
            instruction="",
            detail="this policy follows no instructions",
        )

    with (
        answering(tmp_path, replace(OPERATOR, receivers=("engine",)), ENGINE_STATUS, reads_none),
        pytest.raises(OperatorError, match=r"reads_none: .*follows no instructions.*[Aa]rm") as caught,
    ):
        operator.instruct("touch the red cube")
    assert caught.value.answer == InstructionAnswer.READS_NONE.value
    assert operator.watcher.status().instruction_line == "none: this policy follows no instructions"


def test_an_instruction_that_another_operator_s_overtook_says_so(operator: Operator, tmp_path: Path) -> None:
    def overtaken(command: Message) -> EngineStatus:
        return msgspec.structs.replace(engine_status(command), instruction_id=2**62)

    with (
        answering(tmp_path, replace(OPERATOR, receivers=("engine",)), ENGINE_STATUS, overtaken),
        pytest.raises(OperatorError, match="refused_overtaken"),
    ):
        operator.instruct("touch the red cube")


def test_what_was_overtaken_or_refused_does_not_come_back_with_another_engine(
    operator: Operator, tmp_path: Path
) -> None:
    """The one who was overtaken still lives; the one who overtook it may have gone long ago."""
    with answering(tmp_path, replace(OPERATOR, receivers=("engine",)), ENGINE_STATUS, engine_status) as heard:
        operator.instruct("touch the red cube")
        newest = heard[-1]
    later = msgspec.structs.replace(engine_status(newest), instruction_id=2**62)
    began_anew = msgspec.structs.replace(
        later, pid=2, instruction_id=0, answer=InstructionAnswer.NONE, asked="", instruction=""
    )
    with (
        Subscriber((OPERATOR,), tmp_path, process="engine") as subscriber,
        Publisher(ENGINE_STATUS, tmp_path) as statuses,
    ):
        for status in (later, began_anew):
            said = operator.watcher.engine

            def is_heard(before: EngineStatus | None = said, status: EngineStatus = status) -> bool:
                statuses.send(status)
                return operator.watcher.engine is not before and operator.watcher.engine == status

            assert operator.wait_until(is_heard, 10.0)
        operator.wait_until(lambda: False, 0.3)
        assert subscriber.receive(0.1) == []


def test_a_scene_that_may_not_be_laid_out_now(operator: Operator, tmp_path: Path) -> None:
    def status(command: Message) -> SceneStatus:
        return SceneStatus(
            stamp_ns=1,
            answered_id=command.id,  # type: ignore[attr-defined]
            answer=SceneAnswer.NOT_ALLOWED_NOW,
            seed=0,
            split="eval",
            instruction="",
            swapped_instruction="",
            outcome=SceneOutcome.RUNNING,
            reason="",
            elapsed_s=0.0,
        )

    with (
        answering(tmp_path, SCENE_COMMAND, SCENE_STATUS, status),
        pytest.raises(OperatorError, match="driver refused: not_allowed_now"),
    ):
        operator.lay_out(3, "eval")


def test_a_robot_may_have_two_operators(operator: Operator, tmp_path: Path) -> None:
    with (
        Operator(tmp_path, answer_timeout_s=20.0) as second,
        answering(tmp_path, OPERATOR, SAFETY_REPORT, lambda command: report(command, "done")),
    ):
        second.stop()
        operator.disarm()


def test_what_somebody_else_has_stopped_is_not_reset_by_the_way(unheard: Operator, tmp_path: Path) -> None:
    beats = [Heartbeat(process=p, pid=1, stamp_ns=1, sequence=1, counters={}, refusals={}, gauges={}) for p in PARTS]
    command = OperatorCommand(id=1, kind=OperatorKind.STOP, stamp_ns=1)
    faults = ("feedback_stale", "operator_stop")
    cause = StopCause.OPERATOR_STOP
    stopped = report(command, "done", state=ControlState.FAULT, faults=faults, stopped_by=cause)
    reset = report(command, "done", state=ControlState.READY, stopped_by=cause)
    tripped = report(command, "done", state=ControlState.FAULT, faults=("feedback_stale",))
    with (
        Publisher(SAFETY_REPORT, tmp_path) as reports,
        Publisher(HEARTBEAT_DRIVER, tmp_path) as driver,
        Publisher(HEARTBEAT_ENGINE, tmp_path) as engine,
        Publisher(HEARTBEAT_CONTROL, tmp_path) as control,
    ):
        said = [stopped]

        def speak() -> None:
            reports.send(said[0])
            for publisher, beat in zip((driver, engine, control), beats, strict=True):
                publisher.send(beat)

        unheard.on_wait = speak
        # Latched beside it is a fault of which more is to be said than how to go on.
        for latched, step in ((stopped, "See the driver's log"), (reset, "To continue: `edge-runtime operator")):
            said[0] = latched
            assert unheard.wait_until(lambda state=latched.state: unheard.watcher.control_state is state, 20.0)
            with pytest.raises(OperatorError, match=rf"was stopped by an operator\. {step}"):
                unheard.wait_ready(20.0)
            assert unheard.stopped_by is cause
        said[0] = tripped
        assert unheard.wait_until(lambda: unheard.stopped_by is None, 20.0)
        with pytest.raises(OperatorError, match="reset: control did not answer"):
            unheard.wait_ready(20.0)


def test_whoever_runs_episodes_is_seen_to_give_the_instructions(tmp_path: Path) -> None:
    assert not gives_instructions(tmp_path)
    with Operator(tmp_path) as first, Operator(tmp_path) as second, ExitStack() as stack:
        runners = [stack.enter_context(EpisodeRunner(operator)) for operator in (first, second)]
        for operator, runner in zip((first, second), runners, strict=True):
            operator.on_wait = interrupt
            with pytest.raises(InterruptedError):
                runner.run(1, "eval")
            assert gives_instructions(tmp_path)
    assert not gives_instructions(tmp_path)


def interrupt() -> None:
    raise InterruptedError


def test_ids_grow_from_one_operator_to_the_next(tmp_path: Path) -> None:
    last = 0
    for _ in range(3):
        with Operator(tmp_path) as operator:
            ids = [operator._next_id() for _ in range(3)]
        assert last < ids[0] < ids[1] < ids[2]
        last = ids[2]
