"""The engine process: ``python -m edge_runtime.engine --config robot.toml --run-dir DIR [--lockstep]``."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path

import cv2

from edge_runtime.bundles.installed import Installed
from edge_runtime.bundles.kept_proofs import KeptProofs
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import ConfigError, UnprovenError
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.text import PrintableFormatter
from edge_runtime.contracts.topics import (
    ACTION_CHUNK,
    CHUNK_RECEIPT,
    ENGINE_STATUS,
    HEARTBEAT_ENGINE,
    OBSERVATION,
    OPERATOR,
    POLICY_ORDER,
    POLICY_STATUS,
)
from edge_runtime.engine.engine_loop import EngineLoop, Sockets
from edge_runtime.engine.engines import Engines
from edge_runtime.engine.planner import Planner
from edge_runtime.engine.policy import Policy
from edge_runtime.engine.proof import load_proved
from edge_runtime.engine.unproven import say_why_nothing_serves
from edge_runtime.engine.warm_standby import Load, WarmStandby, boot
from edge_runtime.ipc.bus import Publisher, Subscriber
from edge_runtime.ipc.clock import open_clock
from edge_runtime.ipc.lifeline import lifeline
from edge_runtime.policies.processor import threads_for
from edge_runtime.processes import port_name
from edge_runtime.service import Arguments, StopSignal, run_service


def serve(arguments: Arguments, stop: StopSignal) -> None:
    """Answer the newest observation with a chunk, again and again, until told to stop."""
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
    load: Load = partial(load_proved, config=config, engines=Engines.of(config), kept=KeptProofs.of(config, run_dir))
    if arguments.lockstep:
        load = partial(_in_virtual_time, load=load, config=config)
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
        policies = WarmStandby(
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
        loop = EngineLoop(planner, policies, Sockets(subscriber, chunks, heartbeats, work, statuses), clock)
        has_ended_whole = loop.run(stop)
    if not has_ended_whole:
        _end_in_the_middle_of_work()


def _in_virtual_time(folder: Path, load: Load, config: RobotConfig) -> Policy:
    """A policy that can find its past where observations come in even steps: without a chunk, time stands still.

    Raises:
        ConfigError: it looks back to where there is no observation.
    """
    contract, interval_s = read_manifest(folder).policy, config.lockstep.observation_interval_s
    history, interval_ns = contract.inputs.history, round(interval_s * 1e9)
    for before_ns in contract.before_ns:
        past_ns = before_ns % interval_ns
        if history is not None and min(past_ns, interval_ns - past_ns) > history.tolerance_ns:
            problem = (
                f"the policy looks back {before_ns / 1e6:g} ms, and observations come every {interval_s * 1e3:g} ms"
            )
            raise ConfigError(
                "lockstep.observation_interval_s", f"{problem}: set it to {before_ns / 1e9:g}, or a part of it"
            )
    return load(folder)


def _end_in_the_middle_of_work() -> None:
    """An ordinary end would take apart what the threads that load and infer still work with."""
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    said = logging.StreamHandler()
    said.setFormatter(PrintableFormatter("engine: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[said])
    run_service("Turn the newest observation into an action chunk, continuously.", serve)
