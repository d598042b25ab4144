"""From pictures to observations: a thread for each camera, and an observation for each picture of the slowest one.

Guarantees: an observation holds a picture of every camera, none much older than the others, and the robot's state at
the instant of its exposure; where that is not to be had, none is sent and it is counted. Nobody waits for a slow camera
but its own thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from edge_runtime.contracts.embodiment import Camera
from edge_runtime.contracts.errors import DriverError
from edge_runtime.contracts.messages import FrameRef
from edge_runtime.drivers.sdk.link import DriverLink
from edge_runtime.drivers.sdk.pacing import Pacer
from edge_runtime.ipc.frames import Pixels

Picture = Callable[[str, Pixels], "int | None"]

_JOIN_TIMEOUT_S = 3.0


class CameraThreads:
    """The cameras of one driver. A context manager: entering starts them.

    Args:
        link: gets the frames and the observations.
        cameras: of the embodiment. The first of those with the lowest rate sets the pace.
        picture: as `Driver.picture`.

    Attributes:
        missed: times that a camera had no picture.
    """

    def __init__(self, link: DriverLink, cameras: Sequence[Camera], picture: Picture) -> None:
        self._link = link
        self._cameras = tuple(cameras)
        self._picture = picture
        self._first = min(self._cameras, key=lambda camera: camera.rate_hz).name
        self._newest: dict[str, FrameRef] = {}
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._work, args=(camera,), name=f"camera {camera.name}", daemon=True)
            for camera in self._cameras
        ]
        self.missed = 0

    def __enter__(self) -> CameraThreads:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(_JOIN_TIMEOUT_S)

    def check(self) -> None:
        """Raise what ended a camera's thread, if something has."""
        if self._error is not None:
            raise self._error

    def _work(self, camera: Camera) -> None:
        ring = self._link.rings[camera.name]
        pacer = Pacer(round(1e9 / camera.rate_hz))
        last_ns = -1
        try:
            while not self._stopping.is_set():
                pacer.wait()
                exposure_ns = self._picture(camera.name, ring.slot())
                if exposure_ns is None or exposure_ns == last_ns:
                    self.missed += 1
                    continue
                if exposure_ns < last_ns:
                    raise DriverError(f"picture of {camera.name}", "was exposed before the one before it")
                self._link.require_past(exposure_ns, f"picture of {camera.name}: its exposure")
                last_ns = exposure_ns
                self._newest[camera.name] = ring.commit(exposure_ns)
                if camera.name == self._first:
                    self._observe(exposure_ns)
        except BaseException as error:
            self._error = error

    def _observe(self, exposure_ns: int) -> None:
        frames = [self._newest.get(camera.name) for camera in self._cameras]
        self._link.telemetry.observe_whole(exposure_ns, self._link.history.at(exposure_ns), frames)
