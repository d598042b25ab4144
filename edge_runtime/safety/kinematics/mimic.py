"""Joints that go with another one, as `<mimic>` in URDF and `<equality><joint>` in MJCF say it.

Guarantees that none of them is taken for standing still while what it goes with moves. One that goes with a controlled
joint is moved by the same axis, as far as it carries anything. One that goes with a held joint is held where that one
puts it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics.source import Array, Kind, SourceJoint, SourceTree, links_below, pose

_ROUNDING = 1e-9


@dataclass(frozen=True)
class _Linear:
    """q = multiplier * q of `joint` + offset."""

    joint: str
    multiplier: float
    offset: float

    def after(self, inner: _Linear) -> _Linear:
        return _Linear(inner.joint, self.multiplier * inner.multiplier, self.multiplier * inner.offset + self.offset)

    def backwards(self, joint: str) -> _Linear:
        return _Linear(joint, 1.0 / self.multiplier, -self.offset / self.multiplier)

    def range_of(self, source: SourceJoint) -> tuple[float | None, float | None]:
        if self.multiplier == 0.0:
            return self.offset, self.offset
        if source.position_min is None or source.position_max is None:
            return None, None
        ends = [self.multiplier * end + self.offset for end in (source.position_min, source.position_max)]
        return min(ends), max(ends)


@dataclass(frozen=True)
class Drive:
    """What moves a joint: its position is `ratio` times that of the axis, and `at_zero`."""

    axis: str
    ratio: float = 1.0
    at_zero: float = 0.0


def coupled(
    tree: SourceTree, joint_names: Sequence[str], tools: Sequence[str], notes: list[str]
) -> tuple[SourceTree, dict[str, Drive]]:
    """The same robot with every joint that goes with a held one as one that is held itself, and what moves each of the
    others: controlled ones themselves, and those that go with one of them and carry anything.

    Args:
        tree: as read.
        joint_names: the controlled joints.
        tools: names of links or points that are tools.
        notes: what was decided is added.

    Raises:
        ConfigError: names a joint that goes with what it can't go with.
    """
    by_name = {joint.name: joint for joint in tree.joints}
    laws = {joint.name: _law(joint, by_name) for joint in tree.joints}
    drivers = {laws[name].joint: name for name in reversed(list(joint_names)) if name in laws and laws[name].multiplier}
    tool_links = {tree.points[tool][0] if tool in tree.points else tool for tool in tools}
    drives = {name: Drive(name) for name in joint_names}
    joints = []
    for joint in tree.joints:
        law = laws[joint.name]
        driver = drivers.get(law.joint)
        if joint.name in joint_names:
            if joint.mimic is not None:
                notes.append(
                    f"joint {joint.name} goes with {joint.mimic.joint} in the description; here it is controlled"
                )
        elif driver is not None and law.multiplier != 0.0:
            goes = law.after(laws[driver].backwards(driver))
            if _matters(tree, joint, joint_names, tool_links):
                drives[joint.name] = Drive(driver, goes.multiplier, goes.offset)
                notes.append(f"{_words(joint, goes)}, and is moved by the same axis")
                notes += _not_kept(joint, goes, by_name[driver])
            else:
                joint = _held_along(joint, goes, by_name[driver], notes)
        elif joint.mimic is not None:
            joint = _held_along(joint, law, by_name[law.joint], notes)
        joints.append(joint)
    return replace(tree, joints=tuple(joints)), drives


def _law(joint: SourceJoint, by_name: dict[str, SourceJoint]) -> _Linear:
    """What the joint goes with in the end, through however many others."""
    law, at, seen = _Linear(joint.name, 1.0, 0.0), joint, [joint.name]
    while at.mimic is not None:
        source = by_name.get(at.mimic.joint)
        if source is None:
            raise ConfigError(f"joint {at.name}", f"mimics {at.mimic.joint}, and there is no joint of that name")
        if source.kind is Kind.FIXED:
            problem = f"mimics {source.name}, which is fixed: make {at.name} fixed as well, or name a joint that moves"
            raise ConfigError(f"joint {at.name}", problem)
        if source.name in seen:
            raise ConfigError(f"joint {at.name}", f"mimics itself, by way of {', '.join((*seen[1:], source.name))}")
        law = law.after(_Linear(source.name, at.mimic.multiplier, at.mimic.offset))
        at = source
        seen.append(at.name)
    return law


def _matters(tree: SourceTree, joint: SourceJoint, joint_names: Sequence[str], tool_links: set[str]) -> bool:
    """Whether it carries anything that must be where it is."""
    carried = links_below(tree.joints, joint.child)
    moved = any(other.name in joint_names and other.parent in carried for other in tree.joints)
    return moved or any(link in tool_links or tree.shapes.get(link) or tree.drawn.get(link) for link in carried)


def _words(joint: SourceJoint, goes: _Linear) -> str:
    return f"joint {joint.name} goes with {goes.joint}: {goes.multiplier:g} times its position, and {goes.offset:g}"


def _not_kept(joint: SourceJoint, goes: _Linear, axis: SourceJoint) -> Iterator[str]:
    """Limits of its own that its axis lets it go beyond."""
    own, lead = joint.limits, axis.limits
    ends = [goes.multiplier * end + goes.offset for end in (lead.low, lead.high) if end is not None]
    low, high = (min(ends), max(ends)) if len(ends) == 2 else (-math.inf, math.inf)
    stated = [end for end in (own.low, own.high) if end is not None]
    if stated and (low < stated[0] - _ROUNDING or high > stated[-1] + _ROUNDING):
        yield f"joint {joint.name}: its own range is not kept, it goes from {low:g} to {high:g} with {axis.name}"
    if own.speed_max is not None and (
        lead.speed_max is None or abs(goes.multiplier) * lead.speed_max > own.speed_max + _ROUNDING
    ):
        yield f"joint {joint.name}: its own speed limit is not kept, only that of {axis.name}"


def _held_along(joint: SourceJoint, goes: _Linear, source: SourceJoint, notes: list[str]) -> SourceJoint:
    """Counted from where `source` puts it at 0, which is where a held joint stands."""
    low, high = goes.range_of(source)
    notes.append(_words(joint, goes))
    return replace(
        joint,
        X_PC=joint.X_PC @ _moved(joint, goes.offset),
        position_min=None if low is None else low - goes.offset,
        position_max=None if high is None else high - goes.offset,
        mimic=None,
    )


def _moved(joint: SourceJoint, position: float) -> Array:
    """Pose of the child's frame at this position, in its frame at 0."""
    axis = np.asarray(joint.axis)
    if joint.kind is not Kind.REVOLUTE:
        return pose(np.eye(3), position * axis)
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return pose(np.eye(3) + np.sin(position) * cross + (1.0 - np.cos(position)) * cross @ cross, (0.0, 0.0, 0.0))
