"""The control process: ``python -m edge_runtime.control``. Starts the 1 kHz loop and supervises it; comes up silent."""

from __future__ import annotations

import contextlib
import math
import os
import time
from functools import partial

from edge_runtime.bundles.installed import Installed, require_ours
from edge_runtime.client.run_dir import recordings_folder
from edge_runtime.contracts.engine_status import EngineStatus
from edge_runtime.contracts.errors import HandshakeError, PortError
from edge_runtime.contracts.messages import ActionChunk, Heartbeat, JogCommand, OperatorCommand
from edge_runtime.contracts.topics import (
    ACTION_CHUNK,
    CHUNK_RECEIPT,
    ENGINE_STATUS,
    HEARTBEAT_CONTROL,
    HEARTBEAT_ENGINE,
    JOG,
    JOG_STATUS,
    OPERATOR,
    POLICY_STATUS,
    SAFETY_REPORT,
)
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.control.black_box import BlackBox, Origin
from edge_runtime.control.known_bundles import KnownBundles
from edge_runtime.control.limits import kernel_config
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.control.standing_orders import StandingOrders
from edge_runtime.control.stop_line import StopLine
from edge_runtime.control.supervisor import Supervisor
from edge_runtime.control.without_policy import holding
from edge_runtime.ipc.bus import Publisher, Refusals, Subscriber
from edge_runtime.ipc.clock import MonotonicClock, VirtualClock
from edge_runtime.ipc.port import DriverPort, PortRole
from edge_runtime.pace import pace_of
from edge_runtime.processes import port_name
from edge_runtime.service import Arguments, Beats, StopSignal, run_service

_REPORT_INTERVAL_S = 0.9 / SAFETY_REPORT.rate_hz
"""Counted from the last chunk, which is followed by a report at once: a chunk should never wait while one is made."""

_TURN_S = 0.02
"""Longest wait for a message; the loop's ring of tick reports holds eight seconds, four hundred times as much."""


def _put_supervisor_before_ordinary_work() -> None:
    """So that a chunk is not kept waiting by whatever else the machine does; ZeroMQ's threads, made later, inherit it.

    Lowest of all real-time priorities: the loop, a driver and the system's own threads go first. Nothing is lost where
    it is not permitted; `edge-runtime check` tells.
    """
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def _clock_name(virtual: bool) -> str:
    return "virtual" if virtual else "monotonic"


def control(arguments: Arguments, stop: StopSignal) -> None:
    """Supervise until `stop`; leaves the robot at rest and silent."""
    config, run_dir = arguments.config, arguments.run_dir
    if not arguments.lockstep and config.control.realtime_priority > 0:
        _put_supervisor_before_ordinary_work()
    bundles = None if arguments.hold else KnownBundles(Installed.of(config), partial(require_ours, config=config))
    bundle_digest = None if bundles is None else bundles.boot()
    refusals = Refusals()
    limits = kernel_config(config.safety, config.embodiment)
    if bundles is None:
        limits = holding(limits)
    units = tuple(axis.unit for axis in config.embodiment.axes)
    origin = Origin(config.robot.name, config.safety.digest, bundle_digest, units)
    with (
        contextlib.nullcontext() if config.stop_line is None else StopLine(config.stop_line) as stop_line,
        DriverPort.attach(port_name(run_dir), timeout_s=30.0) as port,
        # Entered before the loop, and so left after it has stopped: its last moments count.
        BlackBox(
            loop := ControlLoop(
                port,
                limits,
                priority=config.control.realtime_priority,
                cpu=config.control.cpu if config.control.cpu >= 0 else None,
                # Virtual time waits for the engine: it can die there, but not be late.
                stall_timeout_s=0.0 if arguments.lockstep else config.control.engine_timeout_s,
                # Until the engine has said how fast its policy is.
                progress_timeout_s=0.0 if arguments.lockstep else pace_of(0.0, math.inf, config).progress_timeout_s,
                stop_line=stop_line,
            ),
            limits,
            recordings_folder(run_dir),
            origin,
        ) as black_box,
        loop,
        Publisher(SAFETY_REPORT, run_dir) as reports,
        Publisher(CHUNK_RECEIPT, run_dir) as receipts,
        Publisher(HEARTBEAT_CONTROL, run_dir) as heartbeats,
        Publisher(JOG_STATUS, run_dir) as jog_status,
        Subscriber(
            (OPERATOR, JOG, ENGINE_STATUS, ACTION_CHUNK, HEARTBEAT_ENGINE, POLICY_STATUS),
            run_dir,
            refusals,
            process="control",
        ) as subscriber,
    ):
        # With the driver's clock and this process's apart, neither timing nor a stalled policy would be looked at.
        if port.virtual_clock != arguments.lockstep:
            raise HandshakeError("clock", _clock_name(arguments.lockstep), _clock_name(port.virtual_clock))
        supervisor = Supervisor(
            config,
            bundles=bundles,
            bundle_digest=bundle_digest,
            port=port,
            loop=loop,
            black_box=black_box,
            orders=StandingOrders(run_dir),
            clock=VirtualClock(port) if arguments.lockstep else MonotonicClock(),
            refusals=refusals,
        )
        beats = Beats("control", refusals)
        report_due_s = time.monotonic()
        while not stop:
            if not port.is_claimed(PortRole.DRIVER):
                raise PortError("the driver has gone; its successor brings a new port, which a new control attaches to")
            report_is_due = time.monotonic() >= report_due_s
            for message in subscriber.receive(_TURN_S):
                if isinstance(message, ActionChunk):
                    receipt = supervisor.take_chunk(message)
                    if receipt is not None:
                        receipts.send(receipt)
                    report_is_due = True
                elif isinstance(message, OperatorCommand):
                    supervisor.take_operator(message)
                    report_is_due = True
                elif isinstance(message, JogCommand):
                    supervisor.take_jog(message)
                elif isinstance(message, Heartbeat):
                    supervisor.take_heartbeat(message)
                elif isinstance(message, PolicyStatus):
                    supervisor.take_policy_status(message)
                elif isinstance(message, EngineStatus):
                    supervisor.take_engine_status(message)
            if report_is_due:
                report_due_s = time.monotonic() + _REPORT_INTERVAL_S
                for followed in supervisor.drain():
                    receipts.send(followed)
                reports.send(supervisor.report())
                jog_status.send(supervisor.jog_status())
                if beats.due(time.monotonic_ns()):
                    beat = beats.next(
                        supervisor.now_ns(), supervisor.counters(), supervisor.gauges(), supervisor.note()
                    )
                    heartbeats.send(beat)


if __name__ == "__main__":
    run_service("Control: the only process that commands the robot.", control, holds=True)
