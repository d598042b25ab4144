"""Between what hardware says and the robot's own values: offsets and signs, and a robot switched on a turn off.

Guarantees that nothing of the robot beyond its driver sees a value of the hardware, in either direction. A posture is
kept on disk at a clean stop, beside the calibration; what it is compared with is the first sample of the next start.
"""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_runtime.config.calibration_file import Calibration
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import DriverError
from edge_runtime.drivers.sdk.sample import Sample
from edge_runtime.ipc.frames import Pixels

if TYPE_CHECKING:
    from edge_runtime.drivers.sdk.driver import Driver

Array = NDArray[np.float64]

NEAR_SHARE = 0.15
"""Of a period: so near to a whole number of them a difference is one."""


class CalibratedDriver:
    """A driver whose hardware counts from other zeros, or the other way.

    Args:
        driver: of the hardware.
        calibration: of this robot.
        embodiment: its type.
    """

    def __init__(self, driver: Driver, calibration: Calibration, embodiment: Embodiment) -> None:
        self._driver = driver
        self._calibration, self._embodiment = calibration, embodiment
        self._sign, self._offset = np.array(calibration.sign), np.array(calibration.offset)
        self._last: Array | None = None

    @property
    def rate_hz(self) -> float | None:
        """As the driver has it."""
        return self._driver.rate_hz

    @property
    def note(self) -> str:
        """As the driver has it."""
        return self._driver.note

    def read(self) -> Sample:
        """What the hardware measures, in the robot's values.

        Raises:
            DriverError: the first sample is a turn away from where the robot was when it stopped, or from its range.
        """
        raw = self._driver.read()
        q = self._sign * (np.asarray(raw.q, dtype=np.float64) - self._offset)
        tau = None if raw.tau is None else self._sign * np.asarray(raw.tau, dtype=np.float64)
        sample = replace(raw, q=q, dq=self._sign * np.asarray(raw.dq, dtype=np.float64), tau=tau)
        if self._last is None:
            require_no_turn_off(self._calibration, self._embodiment, q, kept_posture(self._calibration.path))
            # It is good for one start: after an end that was not clean nobody knows how far the robot was moved.
            forget_posture(self._calibration.path)
        self._last = q
        return sample

    def follow(self, q: Array, dq: Array) -> None:
        """Tell the hardware its own values."""
        self._driver.follow(self._sign * q + self._offset, self._sign * dq)

    def hold(self) -> None:
        """As the driver does."""
        self._driver.hold()

    def picture(self, camera: str, pixels: Pixels) -> int | None:
        """As the driver does."""
        return self._driver.picture(camera, pixels)

    def close(self) -> None:
        """Close the driver, and keep the posture for the next start."""
        self._driver.close()
        if self._last is not None and bool(np.isfinite(self._last).all()):
            keep_posture(
                self._calibration.path, dict(zip(self._embodiment.axis_names, self._last.tolist(), strict=True))
            )


def posture_path(calibration: Path) -> Path:
    """Where the posture is kept."""
    return calibration.with_name(f"{calibration.stem}.posture.json")


def keep_posture(calibration: Path, posture: dict[str, float]) -> None:
    """Keep where the robot is at a clean stop; on a disk that can't be written it is not kept."""
    path = posture_path(calibration)
    partial = path.with_suffix(".partial")
    with suppress(OSError):
        with partial.open("w", encoding="utf-8") as file:
            json.dump(posture, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


def forget_posture(calibration: Path) -> bool:
    """Compare the next start with nothing; whether there was something.

    Raises:
        DriverError: the disk does not let it go.
    """
    path = posture_path(calibration)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DriverError(str(path), f"can't be removed: {error.strerror}") from error
    return True


def kept_posture(calibration: Path) -> dict[str, float]:
    """Where the robot was at the last clean stop, by axis; empty where nothing is known of it."""
    try:
        kept = json.loads(posture_path(calibration).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(kept, dict):
        return {}
    return {str(name): float(value) for name, value in kept.items() if isinstance(value, (int, float))}


def require_no_turn_off(calibration: Calibration, embodiment: Embodiment, q: Array, kept: dict[str, float]) -> None:
    """Refuse a robot that was switched on a turn off, or a period of a motor behind its gear.

    Args:
        q: (axes,) what it measures now.
        kept: where it was at the last clean stop.

    Raises:
        DriverError: names the axis and both places, and says what to do.
    """
    for axis, value, period in zip(embodiment.axes, q.tolist(), calibration.period, strict=True):
        if period <= 0.0 or not math.isfinite(value):
            continue
        was = kept.get(axis.name)
        if was is not None and (periods := _periods(value - was, period)):
            seen = f"{value:.4f} rad, and was at {was:.4f} rad when it stopped"
        elif axis.has_range and (periods := _periods_outside(value, axis.low, axis.high, period)):
            seen = f"{value:.4f} rad, outside of its range of {axis.low:g} to {axis.high:g} rad"
        else:
            continue
        raise DriverError(
            axis.name,
            f"is at {seen}: {periods:+d} times {period:.4f} rad away, as after it was switched on a turn off. Turn it "
            "back, or calibrate it anew; if it was moved there by hand: edge-runtime calibrate --moved",
        )


def _periods(difference: float, period: float) -> int:
    count = round(difference / period)
    return count if count and abs(difference - count * period) <= NEAR_SHARE * period else 0


def _periods_outside(value: float, low: float, high: float, period: float) -> int:
    """How many periods bring a value that is far outside of a range into it; 0: it is not far outside."""
    away = value - high if value > high else value - low if value < low else 0.0
    if abs(away) < NEAR_SHARE * period:
        return 0
    count = math.ceil((value - high) / period) if away > 0.0 else math.floor((value - low) / period)
    inside = value - count * period
    return count if low - 1e-9 <= inside <= high + 1e-9 else 0
