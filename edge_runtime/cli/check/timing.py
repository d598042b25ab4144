"""Rows about time: what the control loop is permitted here, and how late it wakes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

import numpy as np

from edge_runtime.cli.check.row import Level, Row
from edge_runtime.config import RobotConfig

_LOOP_S = 2.0
_WATCHDOG_NS = 20_000_000
"""What a real arm allows; a simulated one more."""


def loop(config: RobotConfig) -> Iterator[Row]:
    """Runs the control loop on a port of its own for two seconds; no robot listens there."""
    from edge_runtime.control.grade import GRADES, grade, measure
    from edge_runtime.control.limits import TICK_NS, kernel_config
    from edge_runtime.control.native_loop import ControlLoop, Granted
    from edge_runtime.robots.port import DriverPort

    name = f"edge-check-{secrets.token_hex(6)}"
    with (
        DriverPort.create(name, config.embodiment.joint_names, watchdog_ns=_WATCHDOG_NS),
        DriverPort.attach(name) as port,
        ControlLoop(
            port,
            kernel_config(config.safety, config.embodiment),
            priority=config.control.realtime_priority,
            cpu=config.control.cpu if config.control.cpu >= 0 else None,
        ) as running,
    ):
        time.sleep(_LOOP_S)
        granted, overruns = running.counters().granted, running.counters().overruns
        ticks = running.drain_reports()
        jitter = measure(ticks["tick_ns"], ticks["wake_lateness_ns"], TICK_NS)
    if config.control.realtime_priority:
        given = Granted.PRIORITY in granted
        remedy = "rtprio 98 in /etc/security/limits.conf (docker: --cap-add=sys_nice --ulimit rtprio=98)"
        found = f"SCHED_FIFO {config.control.realtime_priority} {'granted' if given else 'not permitted'}"
        yield Row("real-time priority", Level.OK if given else Level.WARN, found, "" if given else remedy)
    quiet = Granted.DMA_LATENCY in granted
    found = "CPU kept out of deep sleep" if quiet else "/dev/cpu_dma_latency can't be opened"
    yield Row(
        "CPU sleep", Level.OK if quiet else Level.WARN, found, "" if quiet else "give this user write access to it"
    )
    lateness_us = ticks["wake_lateness_ns"] / 1e3
    p50_us, p99_us = np.percentile(lateness_us, (50, 99)).tolist()
    found = f"{p50_us:.0f} / {p99_us:.0f} / {lateness_us.max():.0f} µs late (p50 / p99 / max), {overruns} overruns"
    graded = grade(jitter, TICK_NS, _WATCHDOG_NS)
    allowed = f"{graded.speed_scale:.0%} of the speed limits" if graded.speed_scale else "no arming"
    found += f": grade {graded.name} for a watchdog of {_WATCHDOG_NS / 1e6:.0f} ms, {allowed}"
    calm = graded is GRADES[0]
    remedy = "a quieter machine, a core of its own ([control] cpu), or a PREEMPT_RT kernel"
    yield Row(f"loop, {_LOOP_S:.0f} s at 1 kHz", Level.OK if calm else Level.WARN, found, "" if calm else remedy)
