"""Where a part may be that a joint moves that is not controlled: all of it, over the joint's whole range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_runtime.safety.kinematics.enclose import enclosing_capsule
from edge_runtime.safety.kinematics.source import Array, Shape

_STEP_RAD = 0.2
_MANY_BALLS = 300


@dataclass(frozen=True, eq=False)
class Slide:
    """Along a way, in the frame of the link that carries everything; the part is given at its beginning."""

    way_m: Array

    def swept(self, shape: Shape) -> Shape:
        """A hull that holds the shape wherever it is on its way."""
        return shape.joined(Shape(shape.centres_m + self.way_m, shape.radii_m, shape.axes))


@dataclass(frozen=True, eq=False)
class Turn:
    """About an axis through a point, in the frame of the link that carries everything; the part is given at 0 rad."""

    point_m: Array
    axis: Array
    low_rad: float
    high_rad: float

    def swept(self, shape: Shape) -> Shape:
        """A hull that holds the shape at every angle: an arc lies between its chords and the tangents outside."""
        if len(shape.radii_m) > _MANY_BALLS:
            a_m, b_m, radius_m = enclosing_capsule(shape)
            shape = Shape(np.stack((a_m, b_m)), np.full(2, radius_m), shape.axes)
        steps = max(1, math.ceil((self.high_rad - self.low_rad) / _STEP_RAD))
        half_step_rad = 0.5 * (self.high_rad - self.low_rad) / steps
        arms = shape.centres_m - self.point_m
        along = np.outer(arms @ self.axis, self.axis)
        across = arms - along
        ahead = np.cross(self.axis, across)
        centres = [
            self.point_m + along + outward * (math.cos(angle) * across + math.sin(angle) * ahead)
            for angle in np.linspace(self.low_rad, self.high_rad, steps + 1)
            for outward in (1.0, 1.0 / math.cos(half_step_rad))
        ]
        return Shape(np.concatenate(centres), np.tile(shape.radii_m, len(centres)), shape.axes)


Sweep = Slide | Turn


def swept(shape: Shape, sweeps: Sequence[Sweep]) -> Shape:
    """Everywhere that a chain of such joints can bring the shape; `sweeps` from the first joint of the chain on."""
    for sweep in reversed(sweeps):
        shape = sweep.swept(shape)
    return shape
