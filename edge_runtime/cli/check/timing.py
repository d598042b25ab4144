"""Rows about time: what the control loop is permitted here, and how late it wakes."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator

import numpy as np

from edge_runtime.cli.check.machine import limits_line, udev_line
from edge_runtime.cli.check.row import Level, Row
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.drivers.registry import declaration_of

_LOOP_S = 2.0
_REAL_ARM_WATCHDOG_NS = 20_000_000
"""What a real arm allows, for a driver that doesn't declare what it does."""
_TURN_S = 0.1
_DMA_LATENCY = "/dev/cpu_dma_latency"


def loop(config: RobotConfig) -> Iterator[Row]:
    """Runs the control loop on a port of its own for two seconds, and grades it as control does before it arms."""
    from edge_runtime.control.limits import TICK_NS, kernel_config
    from edge_runtime.control.native_loop import ControlLoop, Granted
    from edge_runtime.control.timing_grade import GRADES, SelfTest
    from edge_runtime.ipc.port import DriverPort

    embodiment = config.embodiment
    watchdog_ns, whose = _watchdog(config)
    self_test = SelfTest(min(config.control.self_test_s, _LOOP_S / 2), TICK_NS, watchdog_ns)
    lateness_ns = []
    name = f"edge-check-{secrets.token_hex(6)}"
    with (
        DriverPort.create(name, len(embodiment.axes), embodiment.joint_digest, watchdog_ns=watchdog_ns),
        DriverPort.attach(name) as port,
        ControlLoop(
            port,
            kernel_config(config.safety, embodiment),
            priority=config.control.realtime_priority,
            cpu=config.control.cpu if config.control.cpu >= 0 else None,
        ) as running,
    ):
        # A little longer than both windows of the self-test take, so that the second one is complete.
        end_s = time.monotonic() + _LOOP_S + 2 * _TURN_S
        while time.monotonic() < end_s:
            time.sleep(_TURN_S)
            ticks = running.drain_reports()
            lateness_ns.append(np.array(ticks["wake_lateness_ns"]))
            self_test.add(ticks)
        granted, overruns = running.counters().granted, running.counters().overruns
    if config.control.realtime_priority:
        given = Granted.PRIORITY in granted
        found = f"SCHED_FIFO {config.control.realtime_priority} {'granted' if given else 'not permitted'}"
        if given:
            yield Row("real-time priority", Level.OK, found)
        else:
            remedy = "allow it to this user, who then logs in again (docker: --cap-add=sys_nice --ulimit rtprio=98)"
            yield Row("real-time priority", Level.WARN, found, remedy, limits_line("rtprio", "98"))
    if Granted.DMA_LATENCY in granted:
        yield Row("CPU sleep", Level.OK, "CPU kept out of deep sleep")
    else:
        remedy = f"write access to {_DMA_LATENCY} for this user, after a restart (docker: --device {_DMA_LATENCY})"
        yield Row("CPU sleep", Level.WARN, f"{_DMA_LATENCY} can't be opened", remedy, udev_line("cpu_dma_latency"))
    if config.control.cpu >= 0 and Granted.CPU not in granted:
        cores = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        remedy = "[control] cpu in robot.toml: one of them, or -1 for no pinning"
        yield Row("core of the loop", Level.WARN, f"core {config.control.cpu} can't be had; there are: {cores}", remedy)
    lateness_us = np.concatenate(lateness_ns) / 1e3
    p50_us, p99_us = np.percentile(lateness_us, (50, 99)).tolist()
    found = f"{p50_us:.0f} / {p99_us:.0f} / {lateness_us.max():.0f} µs late (p50 / p99 / max), {overruns} overruns"
    graded = self_test.grade or GRADES[-1]
    allowed = f"{graded.speed_scale:.0%} of the speed limits" if graded.speed_scale else "can't be armed"
    found += f": grade {graded.name} for {whose} of {watchdog_ns / 1e6:.0f} ms, {allowed}"
    level = Level.FAIL if not graded.speed_scale else Level.OK if graded is GRADES[0] else Level.WARN
    remedy = "a quieter machine, a core of its own ([control] cpu), or a PREEMPT_RT kernel"
    yield Row(f"loop, {_LOOP_S:.0f} s at 1 kHz", level, found, "" if level is Level.OK else remedy)


def _watchdog(config: RobotConfig) -> tuple[int, str]:
    """After how long without a command the driver stops by itself, and whose figure that is."""
    declared_ns = declaration_of(config).watchdog_ns
    if declared_ns is None:
        return _REAL_ARM_WATCHDOG_NS, f"a usual arm's watchdog (driver {config.robot.driver} declares none)"
    return declared_ns, f"the watchdog of driver {config.robot.driver}"
