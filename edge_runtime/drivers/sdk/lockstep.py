"""Virtual time: a simulation moves the clock, and waits at each step for those who answer it."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge_runtime.contracts.errors import LockstepError
from edge_runtime.ipc.port import Command, DriverPort, PortRole
from edge_runtime.service import StopSignal

TICK_NS = 1_000_000
"""Of control: the clock moves by so much at a time."""
START_NS = 1_000_000_000
IDLE_TICK_S = 0.0005
"""Of real time, between two ticks in which nothing moves."""
_TIMEOUT_S = 15.0
_LOOK_S = 0.05


class Lockstep:
    """What a simulation waits for in virtual time.

    Args:
        port: its own, with a virtual clock.
        service: is called while it waits, with an instant of the real clock, ns.
    """

    def __init__(self, port: DriverPort, service: Callable[[int], None]) -> None:
        self._port, self._service = port, service

    def command_of(self, now_ns: int, stop: StopSignal, moves: Callable[[], bool]) -> Command | None:
        """Control's command for the tick at `now_ns`; None where no control lives to give one.

        Args:
            moves: whether the robot moves; one that rests does not wait long.

        Raises:
            LockstepError: control did not answer a robot in motion in time.
        """
        deadline_s = time.monotonic() + _TIMEOUT_S
        while not stop:
            if not self._port.is_claimed(PortRole.CONTROL):
                return None
            try:
                return self._port.wait_command(now_ns, _LOOK_S)
            except LockstepError:
                if not moves():
                    return self._port.read_command()
                if time.monotonic() > deadline_s:
                    raise
            self._service(time.monotonic_ns())
        return None

    def wait_for_chunk(self, exposure_ns: int, stop: StopSignal) -> None:
        """Until control has dealt with what came of the observation exposed then, or lives no more.

        Raises:
            LockstepError: it did not in time.
        """
        deadline_s = time.monotonic() + _TIMEOUT_S
        while not stop and self._port.is_claimed(PortRole.CONTROL):
            try:
                return self._port.wait_observation_ack(exposure_ns, _LOOK_S)
            except LockstepError:
                if time.monotonic() > deadline_s:
                    raise
            self._service(time.monotonic_ns())
        return None
