"""A driver's cycles without a port: read, then follow or hold, as the SDK's loop calls them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.errors import DriverError
from edge_runtime.drivers.sdk import Driver, Sample

Target = Callable[[float], "tuple[NDArray[np.float64], NDArray[np.float64]]"]


def cycle(driver: Driver, seconds: float, target: Target | None = None) -> list[Sample]:
    """So many seconds of cycles; `target` says for a time since the beginning what is followed, or it holds."""
    samples, start_s = [], time.monotonic()
    while (t_s := time.monotonic() - start_s) < seconds:
        samples.append(driver.read())
        if target is None:
            driver.hold()
        else:
            driver.follow(*target(t_s))
        time.sleep(0.001)
    return samples


def cycle_until(driver: Driver, done: Callable[[Sample], bool], seconds: float = 8.0) -> Sample:
    """Cycles that hold, until a sample is such."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        sample = driver.read()
        driver.hold()
        if done(sample):
            return sample
        time.sleep(0.001)
    raise AssertionError(f"not within {seconds:g} s: {sample}, {driver.note}")


def cycle_to_its_end(driver: Driver, seconds: float = 5.0, target: Target | None = None) -> DriverError:
    """Cycles until one raises what ends a driver; then what the SDK does: hold and close."""
    try:
        cycle(driver, seconds, target)
    except DriverError as error:
        driver.hold()
        driver.close()
        return error
    raise AssertionError(f"it goes on after {seconds:g} s: {driver.note}")


class Along:
    """One axis from `start` at a speed.

    Attributes:
        last: the newest target.
    """

    def __init__(self, start: NDArray[np.float64], axis: int, speed: float) -> None:
        self._start, self._axis, self._speed = start, axis, speed
        self.last = start

    def __call__(self, t_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        self.last, dq = self._start.copy(), np.zeros(len(self._start))
        self.last[self._axis] += self._speed * t_s
        dq[self._axis] = self._speed
        return self.last, dq
