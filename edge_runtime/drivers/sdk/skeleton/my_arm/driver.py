"""The driver of my_arm: a made-up arm that goes where it is commanded. Replace what touches `_arm` by your hardware."""

from __future__ import annotations

import time

import numpy as np

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.drivers.sdk import Driver, Pixels, Sample, declare


class EchoArm(Driver):
    """Opens the hardware. Libraries that only it needs are imported here, so that `check` works without them."""

    def __init__(self, config: RobotConfig) -> None:
        self._q = np.array(config.embodiment.home)
        self._dq = np.zeros(len(self._q))
        self._read_ns = time.monotonic_ns()
        self._target = self._q

    def read(self) -> Sample:
        """Where each axis is, in its own unit and in the order of embodiment.toml; the gripper is the last."""
        now_ns = time.monotonic_ns()
        elapsed_s = (now_ns - self._read_ns) / 1e9
        self._dq = (self._target - self._q) / max(elapsed_s, 1e-3)
        self._q, self._read_ns = self._target, now_ns
        return Sample(now_ns, self._q, self._dq)

    def follow(self, q: np.ndarray, _dq: np.ndarray) -> None:
        """Send the targets on as they are: they are smooth, and inside all limits. `dq` is for a base."""
        self._target = q

    def hold(self) -> None:
        """Stay. Called in every cycle without a command to follow, also when control has died."""
        self._target = self._q

    def picture(self, camera: str, pixels: Pixels) -> int | None:
        """Fill the picture, and say when it was exposed."""
        exposure_ns = time.monotonic_ns()
        pixels[:] = np.uint8(exposure_ns >> 24 & 0xFF)
        pixels[:, : pixels.shape[1] // 2] = len(camera)
        return exposure_ns


DRIVER = declare(EchoArm, rate_hz=500.0, watchdog_s=0.1)
