"""How fast a joint may be, and how far it still goes, when it brakes in whole ticks. Part of the reference: the same
operations in the same order as in `kernel.c`. Distances in rad, speeds in rad/s, `accel` in rad/s², `tick` in s."""

from __future__ import annotations

import math


def braking_speed(distance: float, accel: float, tick: float) -> float:
    """Fastest velocity from which braking with `accel` stays within `distance` (safety reference 2A, s)."""
    return max(0.0, math.sqrt(2.0 * accel * distance) - 0.5 * accel * tick) if distance > 0.0 else 0.0


def braking_distance(speed: float, accel: float, tick: float) -> float:
    """What is still travelled when every following tick takes `accel` off the speed."""
    step = accel * tick
    n = float(math.floor(speed / step))
    return tick * (n * speed - step * (n * (n + 1.0)) * 0.5)


def landing_speed(distance: float, accel: float, tick: float) -> float:
    """The exact form of the same bound (safety reference 2A, beta)."""
    step = accel * tick
    y = distance / (step * tick)
    n = float(math.floor((math.sqrt(1.0 + 8.0 * y) - 1.0) * 0.5))
    return step * (n + (y - n * (n + 1.0) * 0.5) / (n + 1.0))
