"""The newest picture of every camera as JPEG, for whoever looks."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2

from edge_runtime.contracts.errors import FrameError
from edge_runtime.contracts.messages import Observation
from edge_runtime.contracts.topics import OBSERVATION
from edge_runtime.ipc.bus import Subscriber
from edge_runtime.ipc.frames import FrameReader

_POLL_S = 0.1
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    92,
    # Small pictures of coloured things, shown large: halved colour resolution would be seen.
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]


class Pictures:
    """Listens to observations in a thread of its own, and encodes only while a page is open."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._changed = threading.Condition()
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._viewers = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="pictures", daemon=True)
        self._thread.start()

    def next(self, camera: str, after: int, timeout_s: float) -> tuple[int, bytes] | None:
        """Number and JPEG of the first picture of `camera` with another number than `after`; None on timeout or end."""

        def newer() -> bool:
            return self._stopping or self._newest.get(camera, (after, b""))[0] != after

        with self._changed:
            if not self._changed.wait_for(newer, timeout_s) or self._stopping:
                return None
            return self._newest[camera]

    @property
    def closed(self) -> bool:
        """Whether no more pictures will come."""
        return self._stopping

    def watch(self, viewers: int) -> None:
        """So many viewers more (or fewer)."""
        with self._changed:
            self._viewers += viewers

    def close(self) -> None:
        """Stop listening and wake everybody who waits."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(2.0)

    def _work(self) -> None:
        reader = FrameReader()
        with Subscriber((OBSERVATION,), self._run_dir) as subscriber:
            while not self._stopping:
                observations = [m for m in subscriber.receive(_POLL_S) if isinstance(m, Observation)]
                if observations and self._viewers:
                    self._encode(reader, observations[-1])

    def _encode(self, reader: FrameReader, observation: Observation) -> None:
        for ref in observation.frames:
            try:
                with reader.view(ref) as pixels:
                    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
            except FrameError:
                # Overwritten before it was looked at: the next one is on its way.
                continue
            done, jpeg = cv2.imencode(".jpg", bgr, _JPEG)
            if done:
                with self._changed:
                    self._newest[ref.camera] = (ref.exposure_ns, jpeg.tobytes())
                    self._changed.notify_all()
