"""The engine process: ``python -m edge_runtime.engine --config robot.toml --run-dir DIR [--lockstep]``."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import partial

import cv2

from contracts.errors import UnprovenError
from contracts.messages import ChunkReceipt, Observation, OperatorCommand
from contracts.text import PrintableFormatter
from contracts.topics import (
    ACTION_CHUNK,
    CHUNK_RECEIPT,
    ENGINE_STATUS,
    HEARTBEAT_ENGINE,
    OBSERVATION,
    OPERATOR,
    POLICY_ORDER,
    POLICY_STATUS,
)
from contracts.updates import PolicyOrder
from edge_runtime.bus import Publisher, Subscriber
from edge_runtime.clock import MonotonicClock, open_clock
from edge_runtime.engine.engines import Engines
from edge_runtime.engine.inference import Inference
from edge_runtime.engine.planner import Planner
from edge_runtime.engine.policies import Policies, boot
from edge_runtime.engine.proof import load_proved
from edge_runtime.engine.unproven import say_why_nothing_serves
from edge_runtime.installed import Installed
from edge_runtime.kept_proofs import KeptProofs
from edge_runtime.lifeline import lifeline
from edge_runtime.policies.processor import threads_for
from edge_runtime.processes import port_name
from edge_runtime.service import Arguments, Beats, StopSignal, run_service

_POLL_S = 0.02


def serve(arguments: Arguments, stop: StopSignal) -> None:
    """Answer the newest observation with a chunk, again and again, until told to stop.

    Chunks are computed on a thread of their own: this one hears, and gives signs of life, however long that takes.
    """
    config, run_dir = arguments.config, arguments.run_dir
    threads = threads_for(config.engine.threads)
    if threads < config.engine.threads:
        logging.warning(
            "[engine] threads = %d is more than the processors of this process: running %d",
            config.engine.threads,
            threads,
        )
    cv2.setNumThreads(threads)
    installed = Installed.of(config)
    load = partial(load_proved, config=config, engines=Engines.of(config), kept=KeptProofs.of(config, run_dir))
    statuses = Publisher(POLICY_STATUS, run_dir)
    booted = None
    while booted is None:
        try:
            booted = boot(installed, load, lambda: bool(stop), statuses.send)
        except UnprovenError as error:
            say_why_nothing_serves(installed, str(error), run_dir, statuses.send, lambda: bool(stop))
            if stop:
                return
            continue
        if booted is None:
            _end_in_the_middle_of_work()
            return
    clock = open_clock(port_name(run_dir), lockstep=arguments.lockstep)
    real_time = MonotonicClock()
    with (
        Subscriber((OPERATOR, OBSERVATION, CHUNK_RECEIPT, POLICY_ORDER), run_dir, process="engine") as subscriber,
        Publisher(ACTION_CHUNK, run_dir) as chunks,
        Publisher(HEARTBEAT_ENGINE, run_dir) as heartbeats,
        Publisher(ENGINE_STATUS, run_dir) as work,
        statuses,
        lifeline(port_name(run_dir)) as problem,
    ):
        if problem:
            logging.warning(problem)
        policies = Policies(
            installed,
            load,
            *booted,
            clock.now_ns(),
            subscriber.refusals,
            # A session with threads of its own would leave them at the lower priority for good.
            in_background=threads == 1,
        )
        # There is memory for two, and a name here would keep a third one alive.
        del booted
        planner = Planner(
            policies.serving,
            config.embodiment,
            clock,
            replan_interval_ns=round(config.engine.replan_interval_s * 1e9),
            refusals=subscriber.refusals,
        )
        beats = Beats("engine", subscriber.refusals)
        inference = Inference()
        subscriber.wake_by(inference.fileno())
        waiting: list[Observation] = []
        is_news = False
        while not stop:
            messages = subscriber.receive(_POLL_S)
            commands = [message for message in messages if isinstance(message, OperatorCommand)]
            waiting += [message for message in messages if isinstance(message, Observation)]
            for message in messages:
                if isinstance(message, ChunkReceipt):
                    planner.learn(message)
                elif isinstance(message, PolicyOrder):
                    policies.take(message)
            is_news |= sum(map(planner.instruct, commands)) > 0
            _send_finished(inference, planner, chunks)
            if inference.busy:
                planner.pass_over(waiting[:-1])
                del waiting[:-1]
            else:
                if (other := policies.tend(clock.now_ns())) is not None:
                    planner.change(other)
                    is_news = True
                has_begun = _begin(inference, planner, waiting, real_time.now_ns())
                waiting.clear()
                if has_begun:
                    # What is left to say waits for the next turn: the interpreter is wanted elsewhere now.
                    continue
            if (busy_ns := inference.busy_ns(real_time.now_ns())) > planner.patience_ns:
                _end_hung(busy_ns)
            is_due = beats.due(real_time.now_ns())
            if is_due:
                heartbeats.send(beats.next(clock.now_ns(), planner.counters, planner.gauges))
            if is_due or is_news:
                work.send(planner.status())
                is_news = False
            if (status := policies.status(clock.now_ns())) is not None:
                statuses.send(status)
    if policies.loading or inference.busy:
        _end_in_the_middle_of_work()


def _send_finished(inference: Inference, planner: Planner, chunks: Publisher) -> None:
    """Here and below no name may keep a policy alive that nobody wants any more: there is memory for two."""
    if (done := inference.take()) is not None and (chunk := planner.finish(*done)) is not None:
        chunks.send(chunk)


def _begin(inference: Inference, planner: Planner, observations: Sequence[Observation], now_ns: int) -> bool:
    if (question := planner.begin(observations)) is None:
        return False
    inference.begin(question, now_ns)
    return True


def _end_hung(busy_ns: int) -> None:
    """Only another process can go on: this one's library can't be told to stop."""
    logging.error("nothing has come of an inference for %.0f s: it hangs, and takes the engine with it", busy_ns * 1e-9)
    logging.shutdown()
    os._exit(1)


def _end_in_the_middle_of_work() -> None:
    """An ordinary end would take apart what the threads that load and infer still work with."""
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    said = logging.StreamHandler()
    said.setFormatter(PrintableFormatter("engine: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[said])
    run_service("Turn the newest observation into an action chunk, continuously.", serve)
