"""Distances of a robot's body in one posture, each by itself and by name: what the kernel's verdict is made of.

The distances are the kernel's own; who asks what it refused is given what it saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from edge_runtime.native import ffi, lib
from edge_runtime.safety.kinematics.model import GeometryModel


@dataclass(frozen=True, slots=True)
class Distance:
    """Between a capsule and one other thing; below zero by as much as they overlap.

    Attributes:
        capsule: its name.
        other: name of the other capsule, or None.
        plane, keepout: number of the plane or zone in the model, or None.
        nearer_m: how much less than the clearance of all others the kernel keeps between this pair.
    """

    distance_m: float
    capsule: str
    other: str | None = None
    plane: int | None = None
    keepout: int | None = None
    nearer_m: float = 0.0


def distances(model: GeometryModel, posture: Sequence[float]) -> Iterator[Distance]:
    """Every distance that the kernel keeps: of watched pairs, and of capsules from each plane and zone.

    Args:
        model: with its planes and zones.
        posture: (axes,) finite positions in rad or m, in the order of the model's axes; the base stands in the world's
            origin.
    """
    alone = model.with_world((), ())
    _, pairs_m = _clearance(alone, posture)
    nearer_m = {frozenset((one.first, one.second)): one.nearer_m for one in model.nearer}
    for (first, second), kept_m in zip(model.pairs, pairs_m, strict=True):
        # The kernel counts such a pair as further apart by as much.
        less_m = nearer_m.get(frozenset((first, second)), 0.0)
        yield Distance(kept_m - less_m, first, other=second, nearer_m=less_m)
    bare = msgspec.structs.replace(alone, pairs=(), nearer=())
    in_world = [(number, one.name) for number, one in enumerate(model.capsules) if one.in_world]
    for plane, half_space in enumerate(model.planes):
        world_m, _ = _clearance(bare.with_world((half_space,), ()), posture)
        yield from (Distance(world_m[number], name, plane=plane) for number, name in in_world)
    for keepout, zone in enumerate(model.keepouts):
        world_m, _ = _clearance(bare.with_world((), (zone,)), posture)
        yield from (Distance(world_m[number], name, keepout=keepout) for number, name in in_world)


def _clearance(model: GeometryModel, posture: Sequence[float]) -> tuple[list[float], list[float]]:
    native = ffi.new("geometry_model *")
    pose, clearance = ffi.new("geometry_pose *"), ffi.new("geometry_clearance *")
    model.fill(native)
    lib.geometry_pose_at(native, [0.0, 0.0, 0.0], [float(value) for value in posture], pose)
    lib.geometry_clearance_at(native, pose, clearance)
    return list(clearance.world_m[0 : len(model.capsules)]), list(clearance.pair_m[0 : len(model.pairs)])
