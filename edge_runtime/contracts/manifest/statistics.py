"""Statistics: how a policy's own numbers and physical units are turned into each other, dimension by dimension.

Each is linear: ``physical = scale * normalized + offset``. A group without statistics says so (`Unscaled`); one that
says nothing is refused by the reader.
"""

from __future__ import annotations

import math

from edge_runtime.contracts.manifest.parts import Part

Floats = tuple[float, ...]


class MeanStd(Part, frozen=True, tag_field="kind", tag="mean_std"):
    """``normalized = (physical - mean) / std``."""

    mean: Floats
    std: Floats

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise ValueError("normalization needs as many means as deviations")
        if not all(map(math.isfinite, self.mean)) or not all(math.isfinite(s) and s > 0.0 for s in self.std):
            raise ValueError("normalization needs finite means and deviations above zero")

    @property
    def size(self) -> int | None:
        """Number of dimensions; None: any."""
        return len(self.mean)

    @property
    def scale(self) -> Floats:
        """What a normalized 1 is, in physical units."""
        return self.std

    @property
    def offset(self) -> Floats:
        """What a normalized 0 is, in physical units."""
        return self.mean


class _Range(Part, frozen=True, tag_field="kind"):
    low: Floats
    high: Floats

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not self.low:
            raise ValueError("a range needs as many lows as highs")
        if not all(map(math.isfinite, (*self.low, *self.high))):
            raise ValueError("a range needs finite ends")
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError("a range needs each low below its high: a dimension that never moved has none")

    @property
    def size(self) -> int | None:
        return len(self.low)

    @property
    def scale(self) -> Floats:
        return tuple((high - low) / 2.0 for low, high in zip(self.low, self.high, strict=True))

    @property
    def offset(self) -> Floats:
        return tuple((high + low) / 2.0 for low, high in zip(self.low, self.high, strict=True))


class MinMax(_Range, frozen=True, tag="min_max"):
    """Lowest and highest of training become -1 and 1."""


class Quantiles(_Range, frozen=True, tag="quantiles"):
    """Two quantiles of training, such as the first and the 99th percentile, become -1 and 1.

    `clip`: normalized values were kept inside -1 … 1 in training, and so they are here.
    """

    clip: bool


class Unscaled(Part, frozen=True, tag_field="kind", tag="none"):
    """The policy's numbers are in physical units."""

    @property
    def size(self) -> int | None:
        return None

    @property
    def scale(self) -> Floats:
        return (1.0,)

    @property
    def offset(self) -> Floats:
        return (0.0,)


Statistics = MeanStd | MinMax | Quantiles | Unscaled


def require_size(statistics: Statistics, width: int, what: str) -> None:
    """Check that `statistics` have `width` dimensions.

    Raises:
        ValueError: names `what` they are of.
    """
    if statistics.size is not None and statistics.size != width:
        raise ValueError(f"statistics of {what} need {width} dimensions, found {statistics.size}")
