"""Control time, for everyone but the driver that may move it: monotonic or virtual, never wall time.

The virtual clock lives in the driver port's shared memory and is moved by the simulated plant; everything else runs
the same code on either clock.
"""

from __future__ import annotations

import time
from typing import Protocol

from edge_runtime.ipc.port import DriverPort


class Clock(Protocol):
    """Source of stamps for one process."""

    @property
    def virtual(self) -> bool:
        """Whether time only moves when the plant moves it (lockstep)."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary but fixed start; never goes back."""


class MonotonicClock:
    """CLOCK_MONOTONIC of this machine."""

    virtual = False

    def now_ns(self) -> int:
        """Nanoseconds of CLOCK_MONOTONIC."""
        return time.monotonic_ns()


class VirtualClock:
    """The clock that the simulated plant moves, read from the driver port."""

    virtual = True

    def __init__(self, port: DriverPort) -> None:
        self._port = port

    def now_ns(self) -> int:
        """Nanoseconds of virtual time."""
        return self._port.now_ns()


def open_clock(port_name: str, *, lockstep: bool, timeout_s: float = 30.0) -> Clock:
    """The clock of this run; in lockstep, waits up to `timeout_s` for the plant to bring it.

    Raises:
        PortError: lockstep, and no driver appeared in time.
    """
    if not lockstep:
        return MonotonicClock()
    return VirtualClock(DriverPort.attach(port_name, timeout_s=timeout_s))
