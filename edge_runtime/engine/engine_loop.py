"""The engine at work: one thread turns observations into chunks, the other attends to whoever waits meanwhile.

No hand-over lies between an observation and its chunk: one thread receives, infers and sends. The thread that called
`EngineLoop.run` looks after it, and where an inference takes long it hears operators and orders and gives the signs of
life instead. Everything but the inference itself, sockets and planner included, is done in turns under one lock. What
shows control that an inference hangs is that nothing new comes of it; one that will not come back ends the engine.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass

from edge_runtime.contracts.messages import ChunkReceipt, Observation, OperatorCommand
from edge_runtime.contracts.updates import PolicyOrder
from edge_runtime.engine.planner import Planner, Question
from edge_runtime.engine.warm_standby import WarmStandby
from edge_runtime.ipc.bus import Publisher, Subscriber
from edge_runtime.ipc.clock import Clock, MonotonicClock
from edge_runtime.service import Beats, StopSignal

_POLL_S = 0.02
_LOOK_S = 0.05
"""An inference that takes no longer leaves nobody waiting: what came meanwhile is heard after it."""


@dataclass(frozen=True)
class Sockets:
    """What the engine hears and says; used by whichever thread has the turn."""

    subscriber: Subscriber
    chunks: Publisher
    heartbeats: Publisher
    work: Publisher
    statuses: Publisher


class EngineLoop:
    """Chunks, heartbeats and statuses, until told to stop. `run` may be called once.

    Here no name may keep a policy alive that nobody wants any more: there is memory for two.
    """

    def __init__(self, planner: Planner, policies: WarmStandby, sockets: Sockets, clock: Clock) -> None:
        self._planner, self._policies, self._sockets, self._clock = planner, policies, sockets, clock
        self._real_time = MonotonicClock()
        self._beats = Beats("engine", sockets.subscriber.refusals)
        self._turn = threading.Lock()
        self._waiting: list[Observation] = []
        self._is_news = False
        self._inferring_since_ns = 0
        self._is_over = False
        self._failure: BaseException | None = None

    def run(self, stop: StopSignal) -> bool:
        """Work until `stop`; returns whether all threads have ended.

        Otherwise one is still loading or inferring and can't be told to stop: the process has to end in the middle.

        Raises:
            EngineError: the inference library failed.
        """
        worker = threading.Thread(target=self._work, name="inference", daemon=True)
        worker.start()
        while worker.is_alive() and not stop:
            worker.join(_LOOK_S)
            if self._inferring_ns() > _LOOK_S * 1e9:
                self._attend()
        self._is_over = True
        while worker.is_alive():
            if self._inferring_since_ns:
                return False
            worker.join(_POLL_S)
        if self._failure is not None:
            raise self._failure
        return not self._policies.loading

    def _work(self) -> None:
        try:
            while not self._is_over:
                self._work_once()
        except BaseException as error:  # raised where somebody can act on it
            self._failure = error

    def _work_once(self) -> None:
        with self._turn:
            self._hear(_POLL_S)
            question = self._begin()
            if question is None:
                self._report()
                return
        actions = question.infer()
        with self._turn:
            self._inferring_since_ns = 0
            if (chunk := self._planner.finish(question, actions)) is not None:
                self._sockets.chunks.send(chunk)
            self._report()

    def _attend(self) -> None:
        with self._turn:
            if not self._inferring_since_ns:
                return
            self._hear(0.0)
            self._planner.pass_over(self._waiting[:-1])
            del self._waiting[:-1]
            self._report()
            if (busy_ns := self._inferring_ns()) > self._planner.patience_ns:
                _end_hung(busy_ns)

    def _hear(self, timeout_s: float) -> None:
        for message in self._sockets.subscriber.receive(timeout_s):
            if isinstance(message, OperatorCommand):
                self._is_news |= self._planner.instruct(message)
            elif isinstance(message, Observation):
                self._waiting.append(message)
            elif isinstance(message, ChunkReceipt):
                self._planner.learn(message)
            elif isinstance(message, PolicyOrder):
                self._policies.take(message)

    def _begin(self) -> Question | None:
        if (other := self._policies.tend(self._clock.now_ns())) is not None:
            self._planner.change(other)
            self._is_news = True
        question = self._planner.begin(self._waiting)
        self._waiting.clear()
        if question is not None:
            self._inferring_since_ns = self._real_time.now_ns()
        return question

    def _inferring_ns(self) -> int:
        since_ns = self._inferring_since_ns
        return self._real_time.now_ns() - since_ns if since_ns else 0

    def _report(self) -> None:
        is_due = self._beats.due(self._real_time.now_ns())
        if is_due:
            beat = self._beats.next(self._clock.now_ns(), self._planner.counters, self._planner.gauges)
            self._sockets.heartbeats.send(beat)
        if is_due or self._is_news:
            self._sockets.work.send(self._planner.status())
            self._is_news = False
        if (status := self._policies.status(self._clock.now_ns())) is not None:
            self._sockets.statuses.send(status)


def _end_hung(busy_ns: int) -> None:
    """Only another process can go on: this one's library can't be told to stop."""
    logging.error("an inference has hung for %.0f s: the engine ends, and is started again", busy_ns * 1e-9)
    logging.shutdown()
    os._exit(1)
