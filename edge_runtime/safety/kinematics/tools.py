"""Which points of a robot are its tools: those that a person names, or the ends of its arms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.native import lib
from edge_runtime.safety.kinematics.model import BASE, Capsule, KinematicJoint, ToolPoint, Vector
from edge_runtime.safety.kinematics.place import Place
from edge_runtime.safety.kinematics.source import Array, SourceTree


def named_tools(tree: SourceTree, places: Mapping[str, Place], tools: Mapping[str, str]) -> Iterator[ToolPoint]:
    """The tools that a person named, by the links or points where they are.

    Raises:
        ConfigError: names the tool of which there is no such link or point.
    """
    for name, at in tools.items():
        link, point_m = tree.points.get(at, (at, np.zeros(3)))
        if link not in places:
            known = ", ".join([*tree.points, *places])
            raise ConfigError(f"tool {at}", f"no such link or site; there are {known}")
        yield ToolPoint(link=places[link].carrier, point_m=_in_carrier(places[link], point_m), name=name)


def tools_at_ends(
    places: Mapping[str, Place],
    joints: Sequence[KinematicJoint],
    capsules: Sequence[Capsule],
    notes: list[str],
) -> Iterator[ToolPoint]:
    """A tool at each end of the robot, or where there are more than the kernel takes, where they all begin.

    Args:
        notes: what was decided is added.
    """
    ends = _ends(joints)
    if len(ends) > lib.GEOMETRY_MAX_TOOLS:
        palm = _shared(joints, ends)
        ends = ends[-1:] if palm is BASE else [palm]
    for end in ends:
        of_end = [(point, one.source_link) for one in capsules if one.link == end for point in (one.a_m, one.b_m)]
        beyond = [link for link, place in places.items() if place.carrier == end]
        if of_end:
            point_m, link = max(of_end, key=lambda found: math.hypot(*found[0]))
            where = f"the far end of the capsules of {_called(end)}"
        else:
            link = max(beyond, key=lambda one: float(np.linalg.norm(places[one].X_CL[:3, 3])))
            point_m = _in_carrier(places[link], np.zeros(3))
            where = f"the frame of {link}, because {_called(end)} carries no shape"
        called = "tool" if len(ends) == 1 else end or "base"
        notes.append(f"no tool was named: {where}" if len(ends) == 1 else f"no tool was named: {called} is at {where}")
        yield ToolPoint(link=end, point_m=point_m, name=called)


def _called(end: str | None) -> str:
    return "the base" if end is BASE else f"the joint {end}"


def _ends(joints: Sequence[KinematicJoint]) -> list[str | None]:
    """Joints that carry no other one; the base where there is none."""
    carriers = {joint.parent for joint in joints}
    return [joint.name for joint in joints if joint.name not in carriers] or [BASE]


def _shared(joints: Sequence[KinematicJoint], ends: Sequence[str | None]) -> str | None:
    """The last joint that carries all of these."""
    parents = {joint.name: joint.parent for joint in joints}
    ways: list[list[str]] = []
    for end in ends:
        way: list[str] = []
        while end is not BASE:
            way.append(end)
            end = parents[end]
        ways.append(way)
    return next((joint for joint in ways[0] if all(joint in way for way in ways)), BASE)


def _in_carrier(place: Place, point_m: Array) -> Vector:
    placed = place.X_CL[:3, :3] @ point_m + place.X_CL[:3, 3]
    x, y, z = (round(float(value), 15) + 0.0 for value in placed)
    return x, y, z
