"""The update agent: ``python -m edge_runtime.ota --config robot.toml --run-dir DIR``.

Runs at the lowest priority there is, and may be killed at any point: the next one goes on where this one was.
"""

from __future__ import annotations

import logging
import os
import time

from contracts.errors import OtaError
from contracts.messages import ControlState
from edge_runtime.ota.agent import Agent, EndableClock, Hands
from edge_runtime.ota.diary import Entry
from edge_runtime.ota.floor import Floor
from edge_runtime.ota.patient import PatientTransport
from edge_runtime.ota.runner import Runner
from edge_runtime.ota.settings import reporting_of, settings_of
from edge_runtime.ota.status_report import Reporting, send_report
from edge_runtime.ota.transport import HttpTransport
from edge_runtime.service import Arguments, StopSignal, run_service
from edge_runtime.status import Watcher

_POLL_S = 0.5
_CHECK_AGAIN_S = 10.0
_AT_WORK = frozenset({ControlState.ACTIVE, ControlState.HOLDING, ControlState.STOPPING, ControlState.RETRACTING})


def serve(arguments: Arguments, stop: StopSignal) -> None:
    """Ask again and again what this robot should run, until told to stop."""
    settings, reporting = settings_of(arguments.config), reporting_of(arguments.config)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    clock = EndableClock(lambda: bool(stop))
    floor = Floor(settings.floor)
    with Watcher(arguments.run_dir) as robot, HttpTransport(settings.network, clock) as transport:

        def is_at_work() -> bool:
            robot.receive(0.0)
            return robot.control_state in _AT_WORK

        hands = Hands(settings, transport, clock, lambda: bool(stop))
        with Runner(settings.root, settings.shipped, floor, hands) as runner:
            runner.recover()
            agent = Agent(
                settings,
                runner,
                PatientTransport(transport, clock),
                floor,
                is_busy=is_at_work,
                should_end=lambda: bool(stop),
            )
            turn_due_ns = check_due_ns = clock.now_ns()
            while not stop:
                if clock.now_ns() >= turn_due_ns:
                    _tell(agent.turn(time.time()))
                    _report(reporting, runner, transport)
                    turn_due_ns = clock.now_ns() + round(settings.check_interval_s * 1e9)
                elif agent.waits_for_check and clock.now_ns() >= check_due_ns and not is_at_work():
                    _tell(agent.examine(time.time()))
                    _report(reporting, runner, transport)
                    check_due_ns = clock.now_ns() + round(_CHECK_AGAIN_S * 1e9)
                time.sleep(_POLL_S)


def _report(reporting: Reporting | None, runner: Runner, transport: HttpTransport) -> None:
    """Nothing waits for a report, and nothing is decided by whether it arrived."""
    if reporting is None:
        return
    try:
        send_report(reporting, transport, runner.journal, runner.slots.active)
    except OtaError as error:
        logging.info("the hub was not told: %s", error)


def _tell(entry: Entry) -> None:
    logging.info("%s %s: %s %s", entry.state, entry.release or "nothing", entry.refusal or "well:", entry.detail)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="ota: %(message)s")
    run_service("Bring updates of the bundle to this robot, checked, without being in its way.", serve)
