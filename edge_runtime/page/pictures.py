"""The newest picture of every camera as JPEG, for whoever looks: listens and encodes only while somebody does."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from edge_runtime.contracts.errors import FrameError
from edge_runtime.contracts.installation import is_there
from edge_runtime.contracts.messages import FrameRef, Observation
from edge_runtime.contracts.topics import OBSERVATION
from edge_runtime.ipc.bus import Subscriber
from edge_runtime.ipc.frames import FrameReader

_POLL_S = 0.1
_IDLE_S = 0.2
_WANTED_S = 3.0
_INTERVAL_S = 0.09
_QUALITY = 90


def can_be_made() -> bool:
    """Whether what makes pictures is installed here."""
    return is_there("cv2")


class Pictures:
    """Pictures of the robot in `run_dir`, by a thread of its own."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._changed = threading.Condition()
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._wanted_until_s: dict[str, float] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="pictures", daemon=True)
        self._thread.start()

    def next(self, camera: str, after: int, timeout_s: float) -> tuple[int, bytes] | None:
        """Number and JPEG of the first picture of `camera` with another number than `after`; None on timeout or end."""

        def newer() -> bool:
            return self._stopping or self._newest.get(camera, (after, b""))[0] != after

        with self._changed:
            self._wanted_until_s[camera] = time.monotonic() + timeout_s + _WANTED_S
            if not self._changed.wait_for(newer, timeout_s) or self._stopping:
                return None
            return self._newest[camera]

    def close(self) -> None:
        """Stop listening and wake everybody who waits."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(2.0)

    def _is_wanted(self, camera: str | None = None) -> bool:
        now_s = time.monotonic()
        with self._changed:
            return any(until_s > now_s for name, until_s in self._wanted_until_s.items() if camera in (None, name))

    def _work(self) -> None:
        while not self._stopping:
            if self._is_wanted():
                self._listen()
            else:
                time.sleep(_IDLE_S)

    def _listen(self) -> None:
        """Take pictures while somebody looks."""
        reader = FrameReader()
        due_s = 0.0
        with Subscriber((OBSERVATION,), self._run_dir) as subscriber:
            while not self._stopping and self._is_wanted():
                observations = [m for m in subscriber.receive(_POLL_S) if isinstance(m, Observation)]
                now_s = time.monotonic()
                if observations and now_s >= due_s:
                    due_s = now_s + _INTERVAL_S
                    for ref in observations[-1].frames:
                        if self._is_wanted(ref.camera):
                            self._encode(reader, ref)

    def _encode(self, reader: FrameReader, ref: FrameRef) -> None:
        import cv2

        options: list[Any] = [
            cv2.IMWRITE_JPEG_QUALITY,
            _QUALITY,
            # Small pictures of coloured things, shown large: halved colour resolution would be seen.
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ]
        try:
            with reader.view(ref) as pixels:
                bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        except FrameError:
            # Overwritten before it was looked at: the next one is on its way.
            return
        done, jpeg = cv2.imencode(".jpg", bgr, options)
        if done:
            with self._changed:
                self._newest[ref.camera] = (ref.exposure_ns, jpeg.tobytes())
                self._changed.notify_all()
