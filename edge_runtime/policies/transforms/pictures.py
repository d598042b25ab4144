"""Frames of a camera to the tensor that a policy looks at."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import CameraInput, Crop, Pad, ScaledPixels

Pixels = NDArray[np.uint8]


class ImageTransform:
    """Brings frames of one camera to what a bundle wants, straight into the tensor that is fed.

    Attributes:
        picture: (height_px, width_px, 3) uint8 RGB at the size that is fed, reused for every frame.
        tensor: what is fed, with a first dimension of 1; the picture itself where that is what the policy looks at.
    """

    def __init__(self, camera: CameraInput) -> None:
        self._camera = camera
        self.picture: Pixels = np.zeros((camera.height_px, camera.width_px, 3), dtype=np.uint8)
        self._scale = camera.scale if isinstance(camera.scale, ScaledPixels) else None
        if self._scale is not None:
            self._mean = np.array(self._scale.mean, dtype=np.float32)
            self._std = np.array(self._scale.std, dtype=np.float32)
        if isinstance(camera.resize, Pad):
            self.picture[:] = camera.resize.value
        if self._scale is None and camera.colours == "rgb" and camera.layout == "hwc":
            self.tensor: NDArray[Any] = self.picture[np.newaxis]
        else:
            shape = (3, *self.picture.shape[:2]) if camera.layout == "chw" else self.picture.shape
            self.tensor = np.zeros((1, *shape), dtype=np.uint8 if self._scale is None else np.float32)

    def fill(self, pixels: Pixels) -> None:
        """Resize `pixels`, (height, width, 3) uint8 RGB, into `tensor`: the only copy a frame sees in this process."""
        source, target = self._windows(pixels)
        _resize(source, target, self._camera)
        if self.tensor.base is self.picture:
            return
        self.tensor[0] = self.fed(self.picture)

    def fed(self, picture: Pixels) -> NDArray[Any]:
        """A picture like `picture` as the policy looks at it: one of `tensor`, without the first dimension."""
        turned: NDArray[Any] = picture if self._camera.colours == "rgb" else picture[:, :, ::-1]
        if self._scale is not None:
            turned = (turned.astype(np.float32) / 255.0 - self._mean) / self._std
        return turned.transpose(2, 0, 1) if self._camera.layout == "chw" else turned

    def _windows(self, pixels: Pixels) -> tuple[Pixels, Pixels]:
        """What of `pixels` is looked at, and where in the picture it goes."""
        rule, (height, width) = self._camera.resize, pixels.shape[:2]
        high, wide = self.picture.shape[:2]
        if isinstance(rule, Pad):
            shrink = max(width / wide, height / high)
            new_wide, new_high = max(1, int(width / shrink)), max(1, int(height / shrink))
            share = {"top_left": 0.0, "centre": 0.5, "bottom_right": 1.0}[rule.anchor]
            left, top = int((wide - new_wide) * share), int((high - new_high) * share)
            return pixels, self.picture[top : top + new_high, left : left + new_wide]
        if isinstance(rule, Crop):
            shrink = min(width / wide, height / high) * rule.fraction
            cut_wide, cut_high = max(1, round(wide * shrink)), max(1, round(high * shrink))
            left, top = (width - cut_wide) // 2, (height - cut_high) // 2
            return pixels[top : top + cut_high, left : left + cut_wide], self.picture
        return pixels, self.picture


def _resize(source: Pixels, target: Pixels, camera: CameraInput) -> None:
    if source.shape == target.shape:
        np.copyto(target, source)
        return
    (height, width), (high, wide) = source.shape[:2], target.shape[:2]
    if camera.antialias == "triangle":
        rows, columns = _triangles(height, high), _triangles(width, wide)
        narrow = np.einsum("xw,hwc->hxc", columns, source.astype(np.float32), optimize=True)
        np.copyto(target, np.rint(np.einsum("yh,hxc->yxc", rows, narrow, optimize=True)).clip(0, 255), casting="unsafe")
        return
    if camera.interpolation == "nearest":
        interpolation = cv2.INTER_NEAREST_EXACT
    elif camera.antialias == "area" and width >= wide and height >= high:
        # Area averaging looks at every source pixel, so that small objects don't flicker between frames.
        interpolation = cv2.INTER_AREA
    else:
        interpolation = cv2.INTER_LINEAR
    if target.flags.c_contiguous:
        cv2.resize(source, (wide, high), dst=target, interpolation=interpolation)
    else:
        np.copyto(target, cv2.resize(source, (wide, high), interpolation=interpolation))


@lru_cache(maxsize=64)
def _triangles(size: int, new_size: int) -> NDArray[np.float32]:
    """(new_size, size) weights of a bilinear filter that is as wide as two new pixels, or two old ones if those are.

    Source: Pillow, `src/libImaging/Resample.c`, whose bilinear filter torchvision's and JAX's are like.
    """
    shrink = size / new_size
    support = max(shrink, 1.0)
    middle = (np.arange(new_size) + 0.5) * shrink
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(size) + 0.5 - middle[:, np.newaxis]) / support)
    weights /= weights.sum(axis=1, keepdims=True)
    weights.flags.writeable = False
    return weights.astype(np.float32)
