"""A robot as URDF and MJCF describe it: one tree of links and joints with the balls that its shapes are hulls of.

X_PC is the pose of C in P, a 4 x 4 matrix. Metres, radians.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.safety.kinematics.limits import SourceLimits

Array = NDArray[np.float64]


class Kind(Enum):
    """How a joint moves."""

    FIXED = "fixed"
    REVOLUTE = "revolute"
    PRISMATIC = "prismatic"
    FREE = "free"
    """In a plane or anywhere: a base that drives, walks or flies."""


@dataclass(frozen=True, eq=False)
class Shape:
    """The hull of balls: `(n, 3)` centres in the frame of the link, their `(n,)` radii, and the shape's own axes, the
    columns of a rotation."""

    centres_m: Array
    radii_m: Array
    axes: Array = field(default_factory=lambda: np.eye(3))

    def placed(self, X_PL: Array) -> Shape:
        """The same in the frame P."""
        return Shape(self.centres_m @ X_PL[:3, :3].T + X_PL[:3, 3], self.radii_m, X_PL[:3, :3] @ self.axes)

    def joined(self, other: Shape) -> Shape:
        """The hull of both."""
        centres_m = np.concatenate((self.centres_m, other.centres_m))
        return Shape(centres_m, np.concatenate((self.radii_m, other.radii_m)), self.axes)


@dataclass(frozen=True)
class Mimic:
    """A joint that goes with another: its position is `multiplier` times that of `joint`, and `offset`, in rad or m."""

    joint: str
    multiplier: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, eq=False)
class SourceJoint:
    """A joint and the link that it carries.

    Attributes:
        X_PC: pose of the child's frame in the parent's, with the joint at 0.
        axis: in the child's frame, of unit length.
        position_min, position_max: ends of the range in rad or m; None: without end.
        limits: of a joint that turns or slides.
        mimic: the joint that it goes with; None: none.
    """

    name: str
    kind: Kind
    parent: str
    child: str
    X_PC: Array
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    position_min: float | None = None
    position_max: float | None = None
    limits: SourceLimits = field(default_factory=SourceLimits)
    mimic: Mimic | None = None

    @property
    def moves(self) -> bool:
        """Whether it turns or slides."""
        return self.kind in (Kind.REVOLUTE, Kind.PRISMATIC)

    @property
    def has_end(self) -> bool:
        """Whether its range has both ends."""
        return self.position_min is not None and self.position_max is not None


@dataclass(frozen=True, eq=False)
class SourceTree:
    """Links by name, the root first, and joints, each after the one that carries its parent.

    Attributes:
        shapes: of each link, in its frame.
        drawn: of links, what the description draws beside what is solid, in its frame; None: a shape that was not read.
        points: other names of places that may be the tool: link and place in its frame.
        notes: what the reader had to decide by itself.
    """

    root: str
    joints: tuple[SourceJoint, ...]
    shapes: dict[str, tuple[Shape, ...]]
    points: dict[str, tuple[str, Array]] = field(default_factory=dict)
    drawn: dict[str, tuple[Shape | None, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def links_below(joints: Sequence[SourceJoint], link: str) -> list[str]:
    """A link and all that it carries, however far out."""
    links = [link]
    for joint in joints:
        if joint.parent in links:
            links.append(joint.child)
    return links


def pose(rotation: Any, offset_m: Sequence[float] | Array) -> Array:
    """A 4 x 4 pose."""
    X = np.eye(4)
    X[:3, :3], X[:3, 3] = rotation, offset_m
    return X


def ball(radius_m: float) -> Shape:
    """A sphere around the origin."""
    return Shape(np.zeros((1, 3)), np.array([radius_m]))


def capsule(radius_m: float, half_length_m: float) -> Shape:
    """Along z, `half_length_m` from the middle to each ball's centre."""
    return Shape(np.array([[0.0, 0.0, -half_length_m], [0.0, 0.0, half_length_m]]), np.full(2, radius_m))


def box(half_x_m: float, half_y_m: float, half_z_m: float) -> Shape:
    """Around the origin."""
    signs = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
    return Shape(signs * (half_x_m, half_y_m, half_z_m), np.zeros(8))


_RIM_POINTS = 64


def cylinder(radius_m: float, half_length_m: float) -> Shape:
    """Along z; the rims are polygons around it, a thousandth wider."""
    angles = np.arange(_RIM_POINTS) * (2.0 * np.pi / _RIM_POINTS)
    outer_m = radius_m / np.cos(np.pi / _RIM_POINTS)
    rim = np.column_stack((outer_m * np.cos(angles), outer_m * np.sin(angles), np.zeros(_RIM_POINTS)))
    ends = np.array([[0.0, 0.0, -half_length_m], [0.0, 0.0, half_length_m]])
    return points(np.concatenate([rim + end for end in ends]))


def ellipsoid(half_axes_m: Sequence[float]) -> Shape:
    """A capsule around it: as thick as its second axis, as long as its longest."""
    order = np.argsort(half_axes_m)
    thick_m, long_m = half_axes_m[order[1]], half_axes_m[order[2]]
    ends = np.zeros((2, 3))
    ends[:, order[2]] = (thick_m - long_m, long_m - thick_m)
    return Shape(ends, np.full(2, thick_m))


def points(vertices_m: Array) -> Shape:
    """The hull of points."""
    return Shape(np.asarray(vertices_m, dtype=np.float64), np.zeros(len(vertices_m)))
