"""A seven-joint arm with its body, for tests, and random ones of every shape."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, Literal

from edge_runtime.native import ffi, lib
from edge_runtime.safety.kinematics import (
    BASE,
    Capsule,
    GeometryModel,
    Keepout,
    KinematicJoint,
    KinematicsFile,
    Nearer,
    Plane,
    ToolPoint,
    box_planes,
)
from edge_runtime.safety.kinematics.file import tool_fields
from edge_runtime.safety.kinematics.model import Matrix, Vector

UPRIGHT: Matrix = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
FORWARD: Matrix = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0)
BACKWARD: Matrix = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0)
HOME_RAD = (0.0, -0.1727, 0.0, -2.4555, 0.0, 2.2828, 0.7854)


def arm(*, in_a_box: bool = True) -> GeometryModel:
    """An arm with the kinematics of a Franka; `in_a_box` puts walls, a table and two forbidden zones around it."""
    places: tuple[tuple[Matrix, Vector], ...] = (
        (UPRIGHT, (0.0, 0.0, 0.333)),
        (FORWARD, (0.0, 0.0, 0.0)),
        (BACKWARD, (0.0, -0.316, 0.0)),
        (BACKWARD, (0.0825, 0.0, 0.0)),
        (FORWARD, (-0.0825, 0.384, 0.0)),
        (BACKWARD, (0.0, 0.0, 0.0)),
        (BACKWARD, (0.088, 0.0, 0.0)),
    )
    names = tuple(f"joint{i + 1}" for i in range(7))
    joints = tuple(
        KinematicJoint(name=name, parent=parent, rotation=rotation, offset_m=offset_m)
        for name, parent, (rotation, offset_m) in zip(names, (BASE, *names), places, strict=False)
    )
    ends: tuple[tuple[str, Vector, Vector, float], ...] = (
        (BASE, (0.0, 0.0, 0.0), (0.0, 0.0, 0.14), 0.075),
        ("joint1", (0.0, 0.0, -0.19), (0.0, 0.0, 0.0), 0.06),
        ("joint2", (0.0, 0.0, -0.05), (0.0, 0.0, 0.05), 0.062),
        ("joint3", (0.0, 0.0, -0.20), (0.0, 0.0, -0.06), 0.055),
        ("joint4", (0.0, 0.0, -0.045), (0.0, 0.0, 0.045), 0.056),
        ("joint5", (0.0, 0.0, -0.27), (0.0, 0.01, -0.04), 0.05),
        ("joint6", (0.0, 0.0, -0.03), (0.0, 0.0, 0.05), 0.045),
        ("joint7", (0.0, 0.0, 0.03), (0.0, 0.0, 0.07), 0.04),
        ("joint7", (0.0, -0.04, 0.14), (0.0, 0.04, 0.14), 0.06),
    )
    capsules = tuple(
        Capsule(name=f"body{i}", link=link, a_m=a_m, b_m=b_m, radius_m=radius_m, in_world=link != BASE)
        for i, (link, a_m, b_m, radius_m) in enumerate(ends)
    )
    order = {BASE: 0} | {name: i + 1 for i, name in enumerate(names)}
    pairs = tuple(
        (one.name, other.name)
        for i, one in enumerate(capsules)
        for other in capsules[i:]
        if order[other.link] - order[one.link] >= 3
    )
    model = GeometryModel(
        joints=joints, capsules=capsules, pairs=pairs, tools=(ToolPoint(link="joint7", point_m=(0.0, 0.0, 0.2104)),)
    )
    if not in_a_box:
        return model
    return model.with_world(
        box_planes((-0.6, -0.8, 0.0), (0.9, 0.8, 1.3)),
        (
            Keepout(min_m=(0.3, 0.3, 0.0), max_m=(0.5, 0.5, 0.4)),
            Keepout(min_m=(0.5, -0.4, 0.3), max_m=(0.5, -0.4, 0.3), radius_m=0.1),
        ),
    )


def file_of(model: GeometryModel) -> KinematicsFile:
    """The body in a file that watches the model's pairs and lists all others as apart."""
    watched = {frozenset(pair) for pair in model.pairs}
    apart = [
        (one.name, other.name)
        for one, other in combinations(model.capsules, 2)
        if one.link != other.link and frozenset((one.name, other.name)) not in watched
    ]
    return KinematicsFile(
        **tool_fields(model.tools),
        joints=model.joints,
        capsules=model.capsules,
        pairs=model.pairs,
        apart=tuple(apart),
        apart_m=1.0,
        uncovered=(),
    )


def random_model(generator: random.Random, *, tidy: bool = False, of_any_kind: bool = False) -> GeometryModel:
    """A tree of joints with anything around it; `tidy` ones have right angles and short decimals, where ties happen.

    `of_any_kind`: some joints slide, several go with one axis, axes move nothing, a base moves, tools are none to four;
    otherwise each joint turns and has an axis of its own, and there is one tool.
    """

    def number(half: float) -> float:
        return generator.randint(-4, 4) * 0.1 if tidy else generator.uniform(-half, half)

    def vector(half: float) -> Vector:
        return number(half), number(half), number(half)

    n_joints = generator.choice((1, 2, 4, 5, 6, 7, 8, 48 if of_any_kind else 16))
    names = [f"j{i}" for i in range(n_joints)]
    branching = generator.choice((0.0, 0.3))
    joints = tuple(
        KinematicJoint(
            name=name,
            parent=generator.choice([BASE, *names[:i]]) if generator.random() < branching else [BASE, *names][i],
            rotation=random_rotation(generator, tidy=tidy),
            offset_m=vector(0.4),
        )
        for i, name in enumerate(names)
    )
    axes: tuple[str, ...] = ()
    if of_any_kind:
        joints = _driven(generator, joints, number)
        axes = _order(generator, joints)
    n_capsules = generator.randint(1, 10)
    capsules = []
    for i in range(n_capsules):
        a_m = vector(0.3)
        capsules.append(
            Capsule(
                name=f"c{i}",
                link=generator.choice([BASE, *names]),
                a_m=a_m,
                b_m=a_m if generator.random() < 0.15 else vector(0.3),
                radius_m=generator.uniform(0.01, 0.1),
                in_world=generator.random() < 0.9,
            )
        )
    pairs = [(a.name, b.name) for a, b in combinations(capsules, 2) if a.link != b.link]
    pairs = [pair if generator.random() < 0.5 else pair[::-1] for pair in pairs]
    generator.shuffle(pairs)
    watched = pairs[: generator.randint(0, 20)]
    zones = []
    for _ in range(generator.randint(0, 4)):
        low, size = vector(1.0), vector(0.5)
        flat = [generator.random() < 0.3 for _ in range(3)]
        high = tuple(x if level else x + abs(more) for x, more, level in zip(low, size, flat, strict=True))
        zones.append(Keepout(min_m=low, max_m=high, radius_m=generator.choice((0.0, 0.05))))
    planes = tuple(
        Plane(normal=random_rotation(generator, tidy=tidy)[0:3], offset_m=number(1.0))
        for _ in range(generator.randint(0, 4))
    )
    return GeometryModel(
        joints=joints,
        capsules=tuple(capsules),
        pairs=tuple(watched),
        nearer=tuple(
            Nearer(first=first, second=second, nearer_m=number(0.3) ** 2)
            for first, second in watched
            if generator.random() < 0.2
        ),
        tools=tuple(
            ToolPoint(
                name=f"t{i}" if i else "tool",
                link=generator.choice([BASE, *names, names[-1], names[-1]]),
                point_m=vector(0.2),
            )
            for i in range(generator.randint(0, 4) if of_any_kind else 1)
        ),
        planes=planes,
        keepouts=tuple(zones),
        axes=axes,
        has_base=of_any_kind and generator.random() < 0.4,
    )


def _driven(
    generator: random.Random, joints: tuple[KinematicJoint, ...], number: Callable[[float], float]
) -> tuple[KinematicJoint, ...]:
    """The joints, some of them sliding, some going with an axis that moves others too; at most 30 axes."""
    found: list[KinematicJoint] = []
    axes: list[str] = []
    for joint in joints:
        kind: Literal["revolute", "prismatic"] = generator.choice(("revolute", "revolute", "prismatic"))
        axis = generator.choice(axes) if axes and (generator.random() < 0.3 or len(axes) == 30) else None
        if axis is None:
            axes.append(joint.name)
        is_plain = axis is None and generator.random() < 0.5
        ratio, at_zero = (1.0, 0.0) if is_plain else (generator.choice((-1.0, 0.5, number(2.0))), number(1.0))
        found.append(
            KinematicJoint(
                name=joint.name,
                rotation=joint.rotation,
                offset_m=joint.offset_m,
                parent=joint.parent,
                kind=kind,
                axis=axis,
                ratio=ratio,
                at_zero=at_zero,
                extent_m=abs(ratio) * MOST + abs(at_zero) if kind == "prismatic" else None,
            )
        )
    return tuple(found)


def _order(generator: random.Random, joints: tuple[KinematicJoint, ...]) -> tuple[str, ...]:
    """Axes of the robot in any order, with some that move no joint."""
    axes = [*dict.fromkeys(joint.axis_name for joint in joints), *("gripper", "base_x")[: generator.randint(0, 2)]]
    generator.shuffle(axes)
    return tuple(axes)


MOST = 3.5
"""No axis of a joint that slides, and no joint that `random_posture` moves by up to 0.3, goes further, in rad or m."""


def random_posture(generator: random.Random, model: GeometryModel, *, tidy: bool = False) -> list[float]:
    """Positions of the axes, now and then many turns; `tidy` ones are mostly 0."""
    span = generator.choice((3.0, 3.0, 1e3))
    sliding = {joint.axis_name for joint in model.joints if joint.slides}
    return [
        0.0 if tidy and generator.random() < 0.8 else generator.uniform(-1.0, 1.0) * (3.0 if axis in sliding else span)
        for axis in model.axis_names
    ]


def random_place(generator: random.Random) -> tuple[float, float, float]:
    """x, y and yaw of a base."""
    return generator.uniform(-5.0, 5.0), generator.uniform(-5.0, 5.0), generator.uniform(-4.0, 4.0)


def random_rotation(generator: random.Random, *, tidy: bool = False) -> Matrix:
    """Any rotation; `tidy` ones leave the axes where they are or swap them."""
    if tidy:
        return generator.choice((UPRIGHT, UPRIGHT, FORWARD, BACKWARD))
    w, x, y, z = (generator.gauss(0.0, 1.0) for _ in range(4))
    norm = math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w / norm, x / norm, y / norm, z / norm
    return (
        *(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)),
        *(2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)),
        *(2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)),
    )


class NativeGeometry:
    """The C functions of one model, with Python lists in and out."""

    def __init__(self, model: GeometryModel) -> None:
        self.model = ffi.new("geometry_model *")
        model.fill(self.model)
        self._pose = ffi.new("geometry_pose *")
        self._clearance = ffi.new("geometry_clearance *")

    def move_to(self, q: list[float], base: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        """All other functions tell of the posture set here; `base`: x, y and yaw."""
        lib.geometry_pose_at(self.model, list(base), q, self._pose)
        lib.geometry_clearance_at(self.model, self._pose, self._clearance)

    def pose(self) -> tuple[list[list[float]], list[list[float]]]:
        """Rotation and origin of each link."""
        n = self.model.n_joints
        return [list(self._pose.rotation[i]) for i in range(n)], [list(self._pose.origin_m[i]) for i in range(n)]

    def base(self) -> tuple[list[float], list[float]]:
        """Rotation and origin of the base."""
        return list(self._pose.base_rotation), list(self._pose.base_origin_m)

    def clearance(self) -> tuple[list[float], list[float]]:
        """`world_m` and `pair_m`."""
        clearance = self._clearance
        return list(clearance.world_m[0 : self.model.n_capsules]), list(clearance.pair_m[0 : self.model.n_pairs])

    def tool_columns(self, tool: int = 0) -> list[list[float]]:
        """Velocity of a tool's point per rad/s or m/s of each joint."""
        columns: Any = ffi.new(f"double[{lib.GEOMETRY_MAX_LINKS}][3]")
        lib.geometry_tool_columns(self.model, self._pose, tool, columns)
        return [list(columns[i]) for i in range(self.model.n_joints)]

    def manipulability(self, tool: int = 0) -> float:
        """Of a tool."""
        return float(lib.geometry_manipulability(self.model, self._pose, tool))
