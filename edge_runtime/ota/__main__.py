"""The update agent: ``python -m edge_runtime.ota --config robot.toml --run-dir DIR``.

May be killed at any point: the next one goes on where this one was. One thread sits on the bus and keeps the robot on
the bundle that it should have (`lifecycle/activation.py`), the other one takes its time (`agent/worker.py`).
"""

from __future__ import annotations

import contextlib
import logging
import time

from edge_runtime.bundles.installed import Installed
from edge_runtime.bundles.slots import Slot, SlotFile
from edge_runtime.contracts.errors import OtaError
from edge_runtime.contracts.text import PrintableFormatter
from edge_runtime.ota.agent.agent import Agent
from edge_runtime.ota.agent.agent_bus import AgentBus
from edge_runtime.ota.agent.history import History
from edge_runtime.ota.agent.settings import reporting_of, settings_of
from edge_runtime.ota.agent.shared import Shared
from edge_runtime.ota.agent.status_report import Reporting, send_report
from edge_runtime.ota.agent.worker import Worker
from edge_runtime.ota.lifecycle.activation import Activation
from edge_runtime.ota.lifecycle.desired_policy import DesiredPolicy, acting
from edge_runtime.ota.lifecycle.effects import Effects, EndableClock
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.ota.store.scrub import Scrub
from edge_runtime.ota.transfer.retrying_transport import RetryingTransport
from edge_runtime.ota.transfer.transport import HttpTransport
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.service import Arguments, StopSignal, run_service


def serve(arguments: Arguments, stop: StopSignal) -> None:
    """Keep the robot on what it should run, until told to stop."""
    settings, reporting = settings_of(arguments.config), reporting_of(arguments.config)
    installed = Installed.of(arguments.config)
    floor = Floor(settings.floor, SlotFile(settings.root / "slots"))
    history, shared, orders = History(settings.store), Shared(), DesiredPolicy()

    def should_end() -> bool:
        return bool(stop) or shared.interrupt.is_set()

    clock = EndableClock(should_end)
    with contextlib.ExitStack() as stack:
        transport = stack.enter_context(HttpTransport(settings.network, clock))
        agent_bus = stack.enter_context(AgentBus(arguments.run_dir, orders))

        def must_wait() -> bool:
            return agent_bus.is_at_work and not settings.in_motion

        effects = Effects(
            settings,
            transport,
            clock,
            agent_bus,
            lambda: installed.shipped_digest,
            should_end=should_end,
            must_wait=must_wait,
        )
        runner = stack.enter_context(Runner(settings.root, settings.shipped, floor, effects))
        # What takes long is the worker's: here the robot is only brought back to a bundle that it may run.
        shared.interrupt.set()
        runner.recover()
        shared.interrupt.clear()
        activation = Activation(settings, installed, runner, effects, agent_bus, orders, history, shared)
        patient = RetryingTransport(transport, clock)
        agent = Agent(settings, runner, effects, patient, floor, history, shared, must_wait=must_wait)
        scrub = Scrub(
            settings.store,
            runner.store,
            settings.shipped,
            lambda: runner.slots,
            shared.lock,
            patient,
            clock,
            settings.fetch,
            settings.scrub,
        )
        worker = Worker(
            agent,
            runner,
            scrub,
            shared,
            lambda: acting(runner.slots, orders.engine(time.monotonic_ns()), installed.digest_of),
            lambda acts: _report(reporting, runner, transport, acts, history),
            interval_s=settings.check_interval_s,
            must_wait=must_wait,
            should_end=should_end,
        )
        stack.enter_context(worker)
        while not stop:
            agent_bus.pump()
            activation.look(time.monotonic())
            worker.require_alive()
        activation.end()


def _report(
    reporting: Reporting | None, runner: Runner, transport: HttpTransport, acts: Slot, history: History
) -> None:
    """Nothing waits for a report, and nothing is decided by whether it arrived."""
    if reporting is None:
        return
    try:
        newest = history.newest
        said = ("", "") if newest is None else (newest.refusal, newest.detail)
        send_report(reporting, transport, runner.journal, acts, *said)
    except OtaError as error:
        logging.info("the report did not reach the hub: %s", error)


if __name__ == "__main__":
    said = logging.StreamHandler()
    said.setFormatter(PrintableFormatter("ota: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[said])
    for library in ("httpx", "securesystemslib", "tuf"):
        logging.getLogger(library).setLevel(logging.WARNING)
    run_service("Bring updates of the bundle to this robot, checked, without being in its way.", serve)
