"""The capsule around a hull of balls, and whether a capsule holds one.

Guarantees that every ball lies inside, up to rounding; the smallest volume among the axes it looks at, not among all.
"""

from __future__ import annotations

import numpy as np

from edge_runtime.safety.kinematics.model import Capsule
from edge_runtime.safety.kinematics.source import Array, Shape

_WIDTHS = 61
_WIDEST = 1.6
_CENTRING_STEPS = 60
_ROUNDING_M = 1e-6


def enclosing_capsule(shape: Shape) -> tuple[Array, Array, float]:
    """Ends of the segment and radius."""
    centres_m, radii_m = shape.centres_m, shape.radii_m
    if len(centres_m) <= 2 and np.ptp(radii_m) == 0.0:
        return centres_m[0], centres_m[-1], float(radii_m[0])
    best: tuple[float, Array, Array, float] | None = None
    for axis in _axes(shape):
        found = _along(axis, centres_m, radii_m)
        # Axes of like worth differ by rounding: the first one is kept, on every machine.
        if best is None or found[0] < best[0] * (1.0 - 1e-6):
            best = found
    assert best is not None
    return best[1], best[2], best[3]


def holds(capsule: Capsule, shape: Shape) -> bool:
    """Whether the hull lies inside the capsule, both in one frame."""
    a_m, along_m = np.array(capsule.a_m), np.subtract(capsule.b_m, capsule.a_m)
    share = np.clip((shape.centres_m - a_m) @ along_m / max(float(along_m @ along_m), 1e-12), 0.0, 1.0)
    off_m = np.linalg.norm(shape.centres_m - a_m - share[:, None] * along_m, axis=1)
    return bool((off_m + shape.radii_m).max() <= capsule.radius_m + _ROUNDING_M)


def _axes(shape: Shape) -> Array:
    """The shape's own, and the principal ones of its points."""
    spread = shape.centres_m - shape.centres_m.mean(axis=0)
    principal: Array = np.linalg.eigh(spread.T @ spread)[1]
    return np.concatenate((shape.axes.T, principal.T))


def _along(axis: Array, centres_m: Array, radii_m: Array) -> tuple[float, Array, Array, float]:
    """Volume, ends and radius of the best capsule along an axis."""
    side = np.cross(axis, np.eye(3)[int(np.argmin(np.abs(axis)))])
    side /= np.linalg.norm(side)
    flat_m = centres_m @ np.column_stack((side, np.cross(axis, side)))
    heights_m = centres_m @ axis
    middle_m = _middle(flat_m, radii_m)
    off_axis_m = np.linalg.norm(flat_m - middle_m, axis=1)
    narrowest_m = float((off_axis_m + radii_m).max())
    best: tuple[float, float, float, float] | None = None
    for radius_m in narrowest_m * np.linspace(1.0, _WIDEST, _WIDTHS):
        # A ball may lie so far beyond the segment's end.
        beyond_m = np.sqrt(np.maximum((radius_m - radii_m) ** 2 - off_axis_m**2, 0.0))
        low_m, high_m = float((heights_m + beyond_m).min()), float((heights_m - beyond_m).max())
        if low_m > high_m:
            low_m = high_m = 0.5 * (low_m + high_m)
        volume = radius_m**2 * ((high_m - low_m) + 4.0 / 3.0 * radius_m)
        if best is None or volume < best[0] * (1.0 - 1e-9):
            best = volume, low_m, high_m, float(radius_m)
    assert best is not None
    volume, low_m, high_m, radius_m = best
    root_m = middle_m[0] * side + middle_m[1] * np.cross(axis, side)
    return volume, root_m + low_m * axis, root_m + high_m * axis, radius_m


def _middle(flat_m: Array, radii_m: Array) -> Array:
    """Nearly the middle of the smallest circle around circles: the middle of their extent, or what a walk towards the
    furthest one in ever smaller steps finds (Badoiu and Clarkson 2003), where that is clearly better."""

    def width_m(middle_m: Array) -> float:
        return float((np.linalg.norm(flat_m - middle_m, axis=1) + radii_m).max())

    low_m, high_m = (flat_m - radii_m[:, None]).min(axis=0), (flat_m + radii_m[:, None]).max(axis=0)
    start_m: Array = 0.5 * (low_m + high_m)
    found_m = walker_m = start_m
    for step in range(1, _CENTRING_STEPS):
        away_m = np.linalg.norm(flat_m - walker_m, axis=1) + radii_m
        walker_m = walker_m + (flat_m[int(away_m.argmax())] - walker_m) / (step + 1)
        if width_m(walker_m) < width_m(found_m):
            found_m = walker_m
    return found_m if width_m(found_m) < 0.99 * width_m(start_m) else start_m
