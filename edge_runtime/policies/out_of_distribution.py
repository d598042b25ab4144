"""How much a picture looks like those a policy was trained on, in five numbers a camera.

Sees a covered, dark, overexposed, washed-out, noisy, blurred or discoloured picture. Does not see what is in it:
another object, a mirrored or shifted picture with the usual colours, or one that no longer changes, are familiar. Pure.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import PictureFigures, PictureRange

_NARROWEST = 1.0
"""A range narrower than one step of 255 would call the camera's own noise strange."""


def figures_of(pixels: NDArray[np.uint8]) -> PictureFigures:
    """The figures of `pixels`, (height, width, 3) RGB, as the manifest defines them."""
    mean, deviation = cv2.meanStdDev(pixels)
    steps = cv2.mean(cv2.absdiff(pixels[:, 1:], pixels[:, :-1]))
    red, green, blue = (min(float(value), 255.0) for value in mean[:, 0])
    return PictureFigures(
        red=red, green=green, blue=blue, contrast=float(deviation.mean()), sharpness=float(sum(steps[:3])) / 3.0
    )


def strangeness(figures: PictureFigures, trained_on: PictureRange) -> float:
    """How far the strangest of the figures lies outside of what training showed, in widths of that; 0 inside."""
    worst = 0.0
    for name in figures.__struct_fields__:
        value, low, high = (getattr(part, name) for part in (figures, trained_on.low, trained_on.high))
        worst = max(worst, max(low - value, value - high) / max(high - low, _NARROWEST))
    return worst
