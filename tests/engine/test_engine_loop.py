"""The engine at work, on real sockets: heard and alive however long a chunk takes, and ended when nothing comes."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_runtime.bundles.installed import Installed
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.engine_status import EngineStatus, InstructionAnswer
from edge_runtime.contracts.errors import EngineError
from edge_runtime.contracts.messages import ActionChunk, Heartbeat, Message, Observation, OperatorCommand, OperatorKind
from edge_runtime.contracts.topics import (
    ACTION_CHUNK,
    ENGINE_STATUS,
    HEARTBEAT_ENGINE,
    OBSERVATION,
    OPERATOR,
    POLICY_STATUS,
)
from edge_runtime.engine import engine_loop
from edge_runtime.engine import planner as planner_module
from edge_runtime.engine.engine_loop import EngineLoop, Sockets
from edge_runtime.engine.planner import Planner
from edge_runtime.engine.policy import Actions
from edge_runtime.engine.warm_standby import WarmStandby
from edge_runtime.ipc.bus import Publisher, Refusals, Sender, Subscriber
from edge_runtime.policies.context import Context
from edge_runtime.testing.small_bundles import small_bundle
from tests.engine.test_planner import Bench, HandClock, StillPolicy

PATIENCE_S = 20.0


@dataclass
class HeldPolicy(StillPolicy):
    """Infers as long as the test holds it, then answers, or raises `error`."""

    begun: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    def infer(
        self, observation: Observation, instruction: str, chunk_sequence: int, context: Context | None = None
    ) -> Actions:
        self.begun.set()
        self.may_go_on.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        return super().infer(observation, instruction, chunk_sequence, context)


class Stop:
    """What a signal would set."""

    def __init__(self) -> None:
        self.is_set = False

    def __bool__(self) -> bool:
        return self.is_set


class Engine:
    """A loop on a thread, and the two ends of its sockets."""

    def __init__(self, work: Path, embodiment: Embodiment, policy: StillPolicy, stack: ExitStack) -> None:
        run_dir = work / "run"
        run_dir.mkdir()
        clock, refusals = HandClock(), Refusals()
        planner = Planner(policy, embodiment, clock, replan_interval_ns=0, refusals=refusals)
        self.bench = Bench(embodiment, clock, policy, refusals, planner)
        self.observations = stack.enter_context(Publisher(OBSERVATION, run_dir))
        self.operator = stack.enter_context(Sender(OPERATOR, run_dir))
        subscriber = stack.enter_context(Subscriber((OBSERVATION, OPERATOR), run_dir, process="engine"))
        said = (ACTION_CHUNK, HEARTBEAT_ENGINE, ENGINE_STATUS, POLICY_STATUS)
        publishers = [stack.enter_context(Publisher(topic, run_dir)) for topic in said]
        self.heard = stack.enter_context(Subscriber((ACTION_CHUNK, HEARTBEAT_ENGINE, ENGINE_STATUS), run_dir))
        installed = Installed(small_bundle(work / "shipped", "0"), work / "root")
        idle = StillPolicy()
        policies = WarmStandby(installed, lambda _: idle, idle, "", 5, subscriber.refusals, in_background=False)
        self.loop = EngineLoop(planner, policies, Sockets(subscriber, *publishers), clock)
        self.stop = Stop()
        self.has_ended_whole: bool | None = None
        self.raised: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.has_ended_whole = self.loop.run(self.stop)  # type: ignore[arg-type]
        except BaseException as error:
            self.raised = error

    def instruct(self, number: int, instruction: str) -> None:
        self.operator.send(OperatorCommand(id=number, kind=OperatorKind.INSTRUCT, stamp_ns=0, instruction=instruction))

    def until(self, is_wanted: Callable[[Message], bool], act: Callable[[], None] = lambda: None) -> Message:
        """The first message that `is_wanted`, repeating `act` before each look."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            act()
            for message in self.heard.receive(0.05):
                if is_wanted(message):
                    return message
        raise AssertionError("no such message")

    def follow(self, number: int, instruction: str) -> None:
        def is_followed(message: Message) -> bool:
            return (
                isinstance(message, EngineStatus)
                and (message.instruction_id, message.answer) == (number, InstructionAnswer.FOLLOWED)
                and message.instruction == instruction
            )

        self.until(is_followed, lambda: self.instruct(number, instruction))

    def observe(self, sequence: int) -> None:
        self.bench.clock.time_ns += 1_000_000_000
        self.observations.send(self.bench.observe(sequence))

    def end(self) -> None:
        self.stop.is_set = True
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


Start = Callable[[StillPolicy], Engine]


@pytest.fixture
def start(tmp_path: Path, embodiment: Embodiment) -> Iterator[Start]:
    with ExitStack() as stack:
        engines: list[Engine] = []

        def start(policy: StillPolicy) -> Engine:
            engines.append(Engine(tmp_path, embodiment, policy, stack))
            return engines[-1]

        yield start
        for engine in engines:
            policy = engine.bench.policy
            if isinstance(policy, HeldPolicy):
                policy.may_go_on.set()
            engine.end()


def test_while_a_chunk_takes_long_operators_are_answered_and_it_is_alive(start: Start) -> None:
    policy = HeldPolicy()
    engine = start(policy)
    engine.follow(1, "touch the red cube")
    engine.observe(1)
    assert policy.begun.wait(PATIENCE_S)
    engine.follow(2, "touch the blue cube")
    first = engine.until(lambda message: isinstance(message, Heartbeat))
    second = engine.until(lambda message: isinstance(message, Heartbeat))
    assert isinstance(first, Heartbeat)
    assert isinstance(second, Heartbeat)
    assert second.sequence > first.sequence
    engine.observe(2)
    engine.observe(3)
    time.sleep(0.2)
    policy.may_go_on.set()
    # The first one's instruction was overtaken, and of what came meanwhile the newest counts.
    chunk = engine.until(lambda message: isinstance(message, ActionChunk))
    assert isinstance(chunk, ActionChunk)
    assert (chunk.observation_sequence, chunk.instruction_id) == (3, 2)
    assert [asked[0] for asked in policy.asked] == [1, 3]


def test_what_the_library_raises_ends_the_engine_with_it(start: Start) -> None:
    policy = HeldPolicy(error=EngineError("the library failed"))
    policy.may_go_on.set()
    engine = start(policy)
    engine.follow(1, "touch the red cube")
    engine.observe(1)
    engine.thread.join(PATIENCE_S)
    assert engine.raised is policy.error


def test_it_ends_at_once_and_says_so_if_an_inference_would_not(start: Start) -> None:
    policy = HeldPolicy()
    engine = start(policy)
    engine.follow(1, "touch the red cube")
    engine.observe(1)
    assert policy.begun.wait(PATIENCE_S)
    engine.end()
    assert engine.has_ended_whole is False


def test_at_rest_it_ends_whole(start: Start) -> None:
    engine = start(StillPolicy())
    engine.follow(1, "touch the red cube")
    engine.end()
    assert engine.has_ended_whole is True


def test_an_inference_that_hangs_takes_the_engine_with_it(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    hung: list[int] = []
    monkeypatch.setattr(planner_module, "_PATIENCE_NS", 300_000_000)
    monkeypatch.setattr(engine_loop, "_end_hung", hung.append)
    policy = HeldPolicy()
    engine = start(policy)
    engine.follow(1, "touch the red cube")
    engine.observe(1)
    deadline_s = time.monotonic() + PATIENCE_S
    while not hung:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert hung[0] > 300_000_000


def test_no_policy_stays_in_memory_because_it_was_asked_last(start: Start) -> None:
    policy = StillPolicy()
    gone = weakref.ref(policy)
    engine = start(policy)
    engine.follow(1, "touch the red cube")
    engine.observe(1)
    engine.until(lambda message: isinstance(message, ActionChunk))
    engine.bench.policy = StillPolicy()
    engine.bench.planner.change(engine.bench.policy)
    del policy
    # The engine has sent the plan, and may not have come to its next turn yet.
    deadline_s = time.monotonic() + 5.0
    while gone() is not None and time.monotonic() < deadline_s:
        gc.collect()
        time.sleep(0.01)
    assert gone() is None
