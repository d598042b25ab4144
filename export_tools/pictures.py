"""What a policy's training pictures looked like, in the manifest's five figures, as the engine measures them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import PictureFigures, PictureRange
from edge_runtime.policies.out_of_distribution import figures_of

_DIGITS = 100.0


def range_of(pictures: NDArray[np.uint8]) -> PictureRange:
    """Lowest and highest figures over `pictures`, (count, height, width, 3) RGB at the size that is fed, count ≥ 1."""
    figures = np.array([msgspec.structs.astuple(figures_of(picture)) for picture in pictures])
    return PictureRange(
        pictures=len(pictures),
        low=_rounded(figures.min(axis=0), math.floor),
        high=_rounded(figures.max(axis=0), math.ceil),
    )


def _rounded(figures: NDArray[Any], outwards: Callable[[float], int]) -> PictureFigures:
    values = (outwards(value * _DIGITS) / _DIGITS for value in figures.tolist())
    return PictureFigures(**dict(zip(PictureFigures.__struct_fields__, values, strict=True)))
