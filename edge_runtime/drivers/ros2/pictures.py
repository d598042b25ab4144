"""Images of ROS 2 as pictures of this runtime."""

from __future__ import annotations

import numpy as np

from edge_runtime.contracts.errors import DriverError
from edge_runtime.drivers.ros2.messages import Image
from edge_runtime.ipc.frames import Pixels

_CHANNELS = {
    "rgb8": (3, [0, 1, 2]),
    "bgr8": (3, [2, 1, 0]),
    "rgba8": (4, [0, 1, 2]),
    "bgra8": (4, [2, 1, 0]),
    "mono8": (1, [0, 0, 0]),
}


def fill(camera: str, image: Image, pixels: Pixels) -> None:
    """Draw `image` into `pixels`, (height, width, 3) RGB.

    Raises:
        DriverError: it is of another size or encoding, or cut off.
    """
    height, width, _ = pixels.shape
    if (image.width, image.height) != (width, height):
        found = f"{image.width} x {image.height} px, the embodiment has {width} x {height}"
        raise DriverError(f"picture of {camera}", f"is of {found}")
    if image.encoding not in _CHANNELS:
        known = ", ".join(_CHANNELS)
        raise DriverError(f"picture of {camera}", f"is encoded as {image.encoding!r}; known are {known}")
    channels, order = _CHANNELS[image.encoding]
    if image.step < width * channels or len(image.data) != image.step * height:
        found = f"{len(image.data)} bytes in rows of {image.step}"
        raise DriverError(f"picture of {camera}", f"has {found}, expected {height} rows of {width * channels} or more")
    rows = image.data.reshape(height, image.step)[:, : width * channels]
    np.copyto(pixels, rows.reshape(height, width, channels)[:, :, order])
