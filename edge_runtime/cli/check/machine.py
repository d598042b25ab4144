"""Rows about the computer: Python, processor, memory, packages, the C extension."""

from __future__ import annotations

import grp
import os
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from edge_runtime.cli.check.row import Level, Row
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import SharedMemoryError
from edge_runtime.needs import missing_packages, require_shared_memory

_MEMLOCK_NEEDED_BYTES = 64 << 20
_SERVICE_GROUP = "edge"


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
        command = "sudo cpupower frequency-set -g performance"
        yield Row("CPU", Level.WARN, found, "let it run at its full clock", command)
    else:
        yield Row("CPU", Level.OK, found)


def packages(config: RobotConfig) -> Iterator[Row]:
    """Is every Python package there that this robot's backend, driver and updates need?"""
    error = missing_packages(config)
    if error is None:
        yield Row("packages", Level.OK, f"all that {config.engine.backend} and driver {config.robot.driver} need")
    else:
        found = f"not installed: {', '.join(error.packages)}"
        yield Row("packages", Level.FAIL, found, "install them", error.remedy)


def shared_memory(config: RobotConfig) -> Iterator[Row]:
    """Can what the driver port and the cameras' rings need be had in /dev/shm? It is made, written to and removed."""
    try:
        size_bytes = require_shared_memory(config)
    except SharedMemoryError as error:
        yield Row("shared memory", Level.FAIL, error.problem, error.remedy, error.command)
    else:
        yield Row("shared memory", Level.OK, f"{size_bytes / 1e6:.1f} MB made, written and removed in /dev/shm")


def memory_lock(_config: RobotConfig) -> Iterator[Row]:
    """May the control loop keep its memory from being paged out?"""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY or soft >= _MEMLOCK_NEEDED_BYTES or os.geteuid() == 0:
        yield Row("memory lock", Level.OK, "unlimited" if soft == resource.RLIM_INFINITY else f"{soft >> 20} MiB")
        return
    remedy = "allow it to this user, who then logs in again (docker: --ulimit memlock=-1)"
    yield Row("memory lock", Level.WARN, f"{soft >> 10} KiB", remedy, limits_line("memlock", "unlimited"))


def limits_line(item: str, value: str) -> str:
    """The command that grants a limit of pam_limits(8) to a group that this user is in."""
    return f"echo '@{_group()} - {item} {value}' | sudo tee -a /etc/security/limits.d/edge-runtime.conf"


def udev_line(device: str) -> str:
    """The command that gives a group that this user is in a device."""
    rule = f'KERNEL=="{device}", GROUP="{_group()}", MODE="0660"'
    return f"echo '{rule}' | sudo tee -a /etc/udev/rules.d/99-edge-runtime.rules"


def _group() -> str:
    # Numbers without a name happen in containers.
    name_of = {entry.gr_gid: entry.gr_name for entry in grp.getgrall()}
    names = [name_of[number] for number in (os.getegid(), *os.getgroups()) if number in name_of]
    return names[0] if names and _SERVICE_GROUP not in names else _SERVICE_GROUP


def native(_config: RobotConfig) -> Iterator[Row]:
    """Is the C extension built?"""
    from edge_runtime.native import lib

    yield Row("native module", Level.OK, f"driver port version {lib.DP_VERSION}")
