"""`number.h` once more: arithmetic that has a result for every input, and the operations of C that Python lacks."""

from __future__ import annotations

import math

_INT64_MAX = 2**63 - 1
_INT64_MIN = -(2**63)


def smaller(a: float, b: float) -> float:
    return b if b < a else a


def larger(a: float, b: float) -> float:
    return b if b > a else a


def magnitude(x: float) -> float:
    return -x if x < 0.0 else x


def clamp(x: float, low: float, high: float) -> float:
    return larger(low, smaller(x, high))


def finite_number(x: float) -> bool:
    return magnitude(x) <= 1.7976931348623157e308


def in_range(x: float, low: float, high: float) -> bool:
    return low <= x <= high


def elapsed(a: int, b: int) -> int:
    return max(_INT64_MIN, min(_INT64_MAX, a - b))


def floor(x: float) -> float:
    """C's `floor`, which takes infinities and NaN and keeps the sign of a zero."""
    return float(math.floor(x)) if x != 0.0 and math.isfinite(x) else x


def ceil(x: float) -> float:
    """C's `ceil`, likewise."""
    return math.copysign(float(math.ceil(x)), x) if math.isfinite(x) else x


def divide(a: float, b: float) -> float:
    """IEEE 754, where Python raises."""
    if b != 0.0:
        return a / b
    if a == 0.0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)
