"""A loop on the virtual clock whose every tick the test makes itself: what happens in which tick is exact."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.ipc.port import Command, DriverPort
from edge_runtime.safety import KernelConfig, Result
from tests.control.control_process import make_config
from tests.control.perfect_driver import ROBOT, TICK_NS, PerfectRobot, port_of

_COUNT = iter(range(1_000_000))


class SteppedLoop:
    """Plant, port and loop. `tick()` is one millisecond of both sides; a context manager.

    Args:
        options: of `ControlLoop`.
        limits: changes to the test's usual config.
        embodiment: of another robot, which then has `config`.
        config: its limits.
    """

    def __init__(
        self,
        *,
        limits: dict[str, object] | None = None,
        embodiment: Embodiment = ROBOT,
        config: KernelConfig | None = None,
        **options: Any,
    ) -> None:
        self.now_ns = 0
        self._stack = ExitStack()
        name = f"test-stepped-{os.getpid()}-{next(_COUNT)}"
        self.plant = self._stack.enter_context(port_of(name, 100_000_000, virtual_clock=True, embodiment=embodiment))
        self.port = self._stack.enter_context(DriverPort.attach(name))
        self.robot = PerfectRobot(self.plant, embodiment)
        self.loop = self._stack.enter_context(
            ControlLoop(self.port, config or make_config(**(limits or {})), **options)
        )

    def tick(self, ticks: int = 1, *, measures: bool = True) -> Command:
        """Let time pass; the command of the last tick. Without `measures` the driver's block stays as it is."""
        for _ in range(ticks):
            self.now_ns += TICK_NS
            if measures:
                self.robot.measure(self.now_ns)
            self.plant.advance_clock(self.now_ns)
            command = self.plant.wait_command(self.now_ns, timeout_s=20.0)
            self.robot.obey(command, self.now_ns)
            self._wait_for_counters()
        return command

    def _wait_for_counters(self) -> None:
        """The command is out before the loop has counted the tick."""
        deadline_s = time.monotonic() + 20.0
        while self.loop.counters().tick_ns < self.now_ns:
            assert time.monotonic() < deadline_s

    def arm(self) -> None:
        """Tick until ready, and arm."""
        self.tick(2)
        assert self.loop.arm() is Result.DONE

    def __enter__(self) -> SteppedLoop:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()
