"""From one instant of the plant to an observation on the bus: pictures drawn into the rings, references sent.

Pictures are drawn by a second plant that is only ever posed, so that drawing and stepping never touch the same data:
in real time the drawing has a thread of its own, in lockstep it is part of the tick.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_runtime.contracts.messages import FrameRef
from edge_runtime.drivers.sdk.sample import Sample
from edge_runtime.drivers.sdk.telemetry import Telemetry
from edge_runtime.drivers.sim.plant import Plant
from edge_runtime.drivers.sim.task import Split
from edge_runtime.ipc.frames import FrameRing

_START_TIMEOUT_S = 30.0
_JOIN_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Exposure:
    """All that an observation of one instant is made of. `configuration` is the plant's."""

    exposure_ns: int
    seed: int
    split: Split
    configuration: npt.NDArray[np.float64]
    position: tuple[float, ...]
    velocity: tuple[float, ...]


class Cameras:
    """The simulated cameras, which draw into `rings`. Used by one thread only, which owns the OpenGL context."""

    def __init__(self, rings: Mapping[str, FrameRing]) -> None:
        self._plant = Plant()
        self._scene: tuple[int, Split] | None = None
        self._rings = rings

    def take(self, exposure: Exposure) -> tuple[FrameRef, ...]:
        """Draw what every camera saw at `exposure` and commit the frames.

        Raises:
            MissingSystemPackageError: the machine cannot draw off screen; names the packages.
        """
        if self._scene != (exposure.seed, exposure.split):
            self._plant.reset(exposure.seed, exposure.split)
            self._scene = (exposure.seed, exposure.split)
        self._plant.pose(exposure.configuration)
        refs = []
        for name, ring in self._rings.items():
            self._plant.render(name, ring.slot())
            refs.append(ring.commit(exposure.exposure_ns))
        return tuple(refs)

    def close(self) -> None:
        """Free the OpenGL context."""
        self._plant.close()


class Observer:
    """Turns exposures into observations, at once (`observe`) or in a thread of its own (`start`, then `post`).

    Args:
        cameras: see `Cameras`.
        telemetry: sends observations, in whichever thread draws.
    """

    def __init__(self, cameras: Cameras, telemetry: Telemetry) -> None:
        self._cameras = cameras
        self._telemetry = telemetry
        self._waiting: Exposure | None = None
        self._wake = threading.Condition()
        self._stopping = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="cameras", daemon=True)
        self.skipped = 0
        self.draw_ms = 0.0

    def observe(self, exposure: Exposure) -> None:
        """Draw and send now."""
        started_ns = time.monotonic_ns()
        frames = self._cameras.take(exposure)
        self.draw_ms = (time.monotonic_ns() - started_ns) / 1e6
        state = Sample(exposure.exposure_ns, exposure.position, exposure.velocity)
        self._telemetry.observe(exposure.exposure_ns, state, frames)

    def start(self, first: Exposure) -> None:
        """Start the thread that draws what is posted; returns when it has drawn `first`.

        Raises:
            EdgeError: it can't draw.
        """
        self._thread.start()
        self.post(first)
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while self._telemetry.observations == 0 and self._thread.is_alive() and time.monotonic() < deadline_s:
            time.sleep(0.005)
        if self._error is not None:
            raise self._error

    def post(self, exposure: Exposure) -> None:
        """Hand an exposure to the thread without waiting; one that it has not begun with is replaced and counted.

        Raises:
            EdgeError: what stopped the thread.
        """
        if self._error is not None:
            raise self._error
        with self._wake:
            self.skipped += self._waiting is not None
            self._waiting = exposure
            self._wake.notify()

    def close(self) -> None:
        """Stop the thread and let go of the cameras."""
        if self._thread.is_alive():
            with self._wake:
                self._stopping = True
                self._wake.notify()
            self._thread.join(_JOIN_TIMEOUT_S)
        else:
            self._cameras.close()

    def _work(self) -> None:
        try:
            while (exposure := self._next()) is not None:
                self.observe(exposure)
        except BaseException as error:
            self._error = error
        finally:
            # OpenGL contexts belong to the thread that made them.
            self._cameras.close()

    def _next(self) -> Exposure | None:
        with self._wake:
            self._wake.wait_for(lambda: self._waiting is not None or self._stopping)
            exposure, self._waiting = self._waiting, None
            return None if self._stopping else exposure
