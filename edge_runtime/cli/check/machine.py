"""Rows about the computer: Python, processor, memory, the C extension."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from edge_runtime.cli.check.row import Level, Row
from edge_runtime.config import RobotConfig

_SHM_NEEDED_BYTES = 64 << 20
_MEMLOCK_NEEDED_BYTES = 64 << 20


def python(_config: RobotConfig) -> Iterator[Row]:
    """Is this Python new enough?"""
    version = platform.python_version()
    fit = sys.version_info >= (3, 10)
    yield Row("Python", Level.OK if fit else Level.FAIL, version, "" if fit else "Python 3.10 or newer")


def cpu(_config: RobotConfig) -> Iterator[Row]:
    """How many cores, and who sets their clock."""
    count = len(os.sched_getaffinity(0))
    governor_file = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    try:
        governor = governor_file.read_text(encoding="ascii").strip()
    except OSError:
        governor = "not adjustable here"
    found = f"{count} cores, governor {governor}"
    if count < 2:
        yield Row("CPU", Level.WARN, found, "control, engine and driver share one core: expect late chunks")
    elif governor in ("powersave", "ondemand", "schedutil", "conservative"):
        yield Row("CPU", Level.WARN, found, "sudo cpupower frequency-set -g performance")
    else:
        yield Row("CPU", Level.OK, found)


def shared_memory(_config: RobotConfig) -> Iterator[Row]:
    """Room for the driver port and the cameras' rings."""
    try:
        space = os.statvfs("/dev/shm")
    except OSError as error:
        yield Row("shared memory", Level.FAIL, f"/dev/shm: {error.strerror}", "mount -t tmpfs tmpfs /dev/shm")
        return
    free_bytes = space.f_bavail * space.f_frsize
    found = f"{free_bytes >> 20} MiB free in /dev/shm"
    if free_bytes < _SHM_NEEDED_BYTES:
        yield Row("shared memory", Level.WARN, found, "give it 64 MiB (docker: --shm-size=64m)")
    else:
        yield Row("shared memory", Level.OK, found)


def memory_lock(_config: RobotConfig) -> Iterator[Row]:
    """May the control loop keep its memory from being paged out?"""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY or soft >= _MEMLOCK_NEEDED_BYTES or os.geteuid() == 0:
        yield Row("memory lock", Level.OK, "unlimited" if soft == resource.RLIM_INFINITY else f"{soft >> 20} MiB")
        return
    remedy = "memlock unlimited in /etc/security/limits.conf (docker: --ulimit memlock=-1)"
    yield Row("memory lock", Level.WARN, f"{soft >> 10} KiB", remedy)


def native(_config: RobotConfig) -> Iterator[Row]:
    """Is the C extension built?"""
    from edge_runtime.native import lib

    yield Row("native module", Level.OK, f"driver port version {lib.DP_VERSION}")
