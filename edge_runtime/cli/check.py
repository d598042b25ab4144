"""`edge-runtime check`: is this machine, and this bundle on it, fit to drive the robot? Says what to do where not."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.errors import EdgeError
from contracts.messages import Observation
from edge_runtime.cli import pace
from edge_runtime.config import RobotConfig, load_config
from edge_runtime.installed import Installed, verified

_INFERENCES = 30
_LOOP_S = 2.0
_WATCHDOG_NS = 20_000_000
"""What a real arm allows; a simulated one more."""
_SHM_NEEDED_BYTES = 64 << 20
_MEMLOCK_NEEDED_BYTES = 64 << 20


class Level(Enum):
    """How a row came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Row:
    """One thing that was looked at. `remedy` says what to do, empty where all is well."""

    name: str
    level: Level
    found: str
    remedy: str = ""


def check(options: argparse.Namespace, console: Console) -> int:
    """Print the table; 1 if any row failed."""
    config = load_config(options.config)
    rows = list(_rows(config))
    table = Table(title=f"{config.robot.name} on {platform.node() or 'this machine'}", title_justify="left")
    for column in ("", "what", "found", "what to do"):
        table.add_column(column, overflow="fold")
    styles = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}
    for row in rows:
        # As `Text`: names of sections and extras stand in brackets, which markup would swallow.
        table.add_row(Text(row.level.value, styles[row.level]), row.name, Text(row.found), Text(row.remedy))
    console.print(table)
    failed = sum(row.level is Level.FAIL for row in rows)
    console.print(f"{failed} failed" if failed else "fit", highlight=False)
    return 1 if failed else 0


def _rows(config: RobotConfig) -> Iterator[Row]:
    yield _python()
    yield _cpu()
    yield _shared_memory()
    yield _memory_lock()
    native = _guarded("native module", _native)
    yield native
    if native.level is Level.OK:
        yield _guarded("safety limits", lambda: _limits(config))
        yield _guarded("stop line", lambda: _stop_line(config))
        yield from _loop(config)
    bundle = _guarded("bundle", lambda: _bundle(config))
    yield bundle
    if bundle.level is Level.OK:
        yield _guarded("inference", lambda: _inference(config))
    if config.robot.driver == "sim":
        yield _guarded("drawing", lambda: _drawing(config))


def _guarded(name: str, look: Callable[[], Row]) -> Row:
    try:
        return look()
    except (EdgeError, ImportError) as error:
        remedy = "pip install -e '.[robot,sim]' in this folder" if isinstance(error, ImportError) else ""
        return Row(name, Level.FAIL, str(error), remedy)


def _python() -> Row:
    version = platform.python_version()
    fit = sys.version_info >= (3, 10)
    return Row("Python", Level.OK if fit else Level.FAIL, version, "" if fit else "Python 3.10 or newer")


def _cpu() -> Row:
    count = len(os.sched_getaffinity(0))
    governor_file = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    try:
        governor = governor_file.read_text(encoding="ascii").strip()
    except OSError:
        governor = "not adjustable here"
    found = f"{count} cores, governor {governor}"
    if count < 2:
        return Row("CPU", Level.WARN, found, "control, engine and driver share one core: expect late chunks")
    if governor in ("powersave", "ondemand", "schedutil", "conservative"):
        return Row("CPU", Level.WARN, found, "sudo cpupower frequency-set -g performance")
    return Row("CPU", Level.OK, found)


def _shared_memory() -> Row:
    try:
        space = os.statvfs("/dev/shm")
    except OSError as error:
        return Row("shared memory", Level.FAIL, f"/dev/shm: {error.strerror}", "mount -t tmpfs tmpfs /dev/shm")
    free_bytes = space.f_bavail * space.f_frsize
    found = f"{free_bytes >> 20} MiB free in /dev/shm"
    if free_bytes < _SHM_NEEDED_BYTES:
        return Row("shared memory", Level.WARN, found, "give it 64 MiB (docker: --shm-size=64m)")
    return Row("shared memory", Level.OK, found)


def _memory_lock() -> Row:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY or soft >= _MEMLOCK_NEEDED_BYTES or os.geteuid() == 0:
        return Row("memory lock", Level.OK, "unlimited" if soft == resource.RLIM_INFINITY else f"{soft >> 20} MiB")
    remedy = "memlock unlimited in /etc/security/limits.conf (docker: --ulimit memlock=-1)"
    return Row("memory lock", Level.WARN, f"{soft >> 10} KiB", remedy)


def _native() -> Row:
    from edge_runtime.native import lib

    return Row("native module", Level.OK, f"driver port version {lib.DP_VERSION}")


def _limits(config: RobotConfig) -> Row:
    from edge_runtime.cli.claims import features_off
    from edge_runtime.control.limits import kernel_config

    kernel_config(config.safety, config.embodiment)
    found = f"{config.safety.digest[:12]}, tighter than rated"
    if config.safety.geometry is None:
        return Row("safety limits", Level.WARN, f"{found}; no geometry", "[geometry] in the safety file")
    off = len(list(features_off(config)))
    return Row("safety limits", Level.OK, f"{found}; edge-runtime claims has the sheet, {off} features are off")


def _stop_line(config: RobotConfig) -> Row:
    from edge_runtime.control.stop_line import StopLine

    section = config.stop_line
    if section is None:
        return Row("stop line", Level.OK, "none of this computer ([stop_line] in robot.toml); the driver may have one")
    where = f"line {section.line} of {section.chip}, closed is {section.closed}"
    with StopLine(section) as line:
        if line.is_open:
            return Row("stop line", Level.WARN, f"{where}: open", "close it: until then the robot can't be armed")
        return Row("stop line", Level.OK, f"{where}: closed. Open it once and check again: that has to show")


def _loop(config: RobotConfig) -> Iterator[Row]:
    """Runs the control loop on a port of its own for two seconds; no robot listens there."""
    from edge_runtime.control.grade import GRADES, grade, measure
    from edge_runtime.control.limits import TICK_NS, kernel_config
    from edge_runtime.control.native_loop import ControlLoop, Granted
    from edge_runtime.robots.port import DriverPort

    name = f"edge-check-{secrets.token_hex(6)}"
    try:
        with (
            DriverPort.create(name, config.embodiment.joint_names, watchdog_ns=_WATCHDOG_NS),
            DriverPort.attach(name) as port,
            ControlLoop(
                port,
                kernel_config(config.safety, config.embodiment),
                priority=config.control.realtime_priority,
                cpu=config.control.cpu if config.control.cpu >= 0 else None,
            ) as loop,
        ):
            time.sleep(_LOOP_S)
            granted, overruns = loop.counters().granted, loop.counters().overruns
            ticks = loop.drain_reports()
            jitter = measure(ticks["tick_ns"], ticks["wake_lateness_ns"], TICK_NS)
    except EdgeError as error:
        yield Row("control loop", Level.FAIL, str(error))
        return
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


def _bundle(config: RobotConfig) -> Row:
    manifest, boot = Installed.of(config).boot_first(partial(verified, config=config))
    size_mb = sum(blob.size_bytes for blob in manifest.blobs) / 1e6
    found = f"{manifest.name} {manifest.version}, {manifest.precision}, {size_mb:.1f} MB, {manifest.digest[:12]}"
    found += f"; made for {manifest.policy.embodiment}"
    if boot.passed_over:
        problems = "; ".join(boot.passed_over)
        remedy = "the update agent's log says what becomes of it"
        return Row("bundle", Level.WARN, f"{found}; runs in place of a better one: {problems}", remedy)
    return Row("bundle", Level.OK, found)


def _inference(config: RobotConfig) -> Row:
    from edge_runtime.engine.bundle_policy import BundlePolicy
    from edge_runtime.engine.engines import Engines
    from edge_runtime.frames import FrameRing

    embodiment = config.embodiment
    load = partial(BundlePolicy.load, embodiment=embodiment, threads=config.engine.threads, engines=Engines.of(config))
    policy, _ = Installed.of(config).boot_first(load)
    took_s = []
    with ExitStack() as stack:
        rings = [
            stack.enter_context(
                FrameRing.create(f"edge-frames-check-{secrets.token_hex(6)}", c.name, c.width_px, c.height_px)
            )
            for c in embodiment.cameras
        ]
        for sequence in pace.for_a_while(range(_INFERENCES)):
            for ring in rings:
                ring.slot()[:] = 100
            now_ns = time.monotonic_ns()
            observation = Observation(
                sequence=sequence,
                exposure_ns=now_ns,
                published_ns=now_ns,
                joint_digest=embodiment.joint_digest,
                position_rad=embodiment.home_rad,
                velocity_rad_s=(0.0,) * len(embodiment.joints),
                gripper_opening_m=embodiment.gripper.opening_max_m,
                frames=tuple(ring.commit(now_ns) for ring in rings),
            )
            policy.infer(observation, "touch the red cube", sequence)
            took_s.append((time.monotonic_ns() - now_ns) / 1e9)
    level, found, remedy = pace.verdict(took_s, policy.manifest.policy, config)
    return Row("inference", Level(level), found, remedy)


def _drawing(config: RobotConfig) -> Row:
    from edge_runtime.robots.sim.plant import Plant

    plant = Plant()
    try:
        plant.reset(0, "eval")
        camera = config.embodiment.cameras[0]
        picture = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
        plant.render(camera.name, picture)
        started_ns = time.monotonic_ns()
        for _ in range(10):
            plant.render(camera.name, picture)
        return Row(
            "drawing", Level.OK, f"off screen through EGL, {(time.monotonic_ns() - started_ns) / 1e7:.1f} ms a picture"
        )
    finally:
        plant.close()
