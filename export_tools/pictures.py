"""What a policy's training pictures looked like, in the manifest's five figures; the engine measures with the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import PictureFigures, PictureRange

_DIGITS = 100.0


def range_of(pictures: NDArray[np.uint8]) -> PictureRange:
    """Lowest and highest figures over `pictures`, (count, height, width, 3) RGB at the size that is fed, count ≥ 1."""
    figures = np.array([_figures(picture.astype(np.float64)) for picture in pictures])
    return PictureRange(
        pictures=len(pictures),
        low=_rounded(figures.min(axis=0), math.floor),
        high=_rounded(figures.max(axis=0), math.ceil),
    )


def _rounded(figures: NDArray[Any], outwards: Callable[[float], int]) -> PictureFigures:
    values = (outwards(value * _DIGITS) / _DIGITS for value in figures.tolist())
    return PictureFigures(**dict(zip(PictureFigures.__struct_fields__, values, strict=True)))


def _figures(picture: NDArray[Any]) -> tuple[float, ...]:
    steps = np.abs(np.diff(picture, axis=1))
    return (*picture.mean(axis=(0, 1)), picture.std(axis=(0, 1)).mean(), steps.mean())
