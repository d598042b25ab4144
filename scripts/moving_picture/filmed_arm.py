"""The simulated arm as a driver that also writes down where everything stood, 20 times a second, for drawing later."""

from __future__ import annotations

import dataclasses

import msgspec

from edge_runtime.drivers.sim.declaration import DRIVER as SIM
from edge_runtime.drivers.sim.driver import SimDriver
from edge_runtime.drivers.sim.observations import Exposure
from edge_runtime.service import Arguments, StopSignal

FILM = "film.jsonl"
"""In the run's folder: one instant a line, as `Instant`."""


class Instant(msgspec.Struct, frozen=True):
    """Where everything stood at `stamp_ns` (CLOCK_MONOTONIC); `configuration` is the plant's."""

    stamp_ns: int
    seed: int
    split: str
    configuration: tuple[float, ...]


class FilmedArm(SimDriver):
    """Changes nothing of what the arm does."""

    def __init__(self, arguments: Arguments) -> None:
        self._film = (arguments.run_dir / FILM).open("wb")
        super().__init__(arguments)

    def close(self) -> None:
        """Have all of it on the disk."""
        self._film.close()

    def _exposure(self, now_ns: int) -> Exposure:
        exposure = super()._exposure(now_ns)
        instant = Instant(now_ns, exposure.seed, exposure.split, tuple(exposure.configuration.tolist()))
        self._film.write(msgspec.json.encode(instant) + b"\n")
        return exposure


def drive(arguments: Arguments, stop: StopSignal) -> None:
    """Be the filmed arm until `stop`."""
    driver = FilmedArm(arguments)
    with driver:
        driver.real_time(stop)
        driver.close()


DRIVER = dataclasses.replace(SIM, start=drive)
