"""Joints that go with another one, as `<mimic>` in URDF and `<equality><joint>` in MJCF say it.

Guarantees that none of them is taken for standing still while what it goes with moves. One that goes with a controlled
joint is covered over its whole way if it slides and only carries shapes, and refused by name if it carries a controlled
joint or the tool, or turns and carries anything: the kernel's model has one joint for each that is controlled. One that
goes with a held joint is held where that one puts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics.source import Array, Kind, SourceJoint, SourceTree, pose


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


def without_mimics(tree: SourceTree, joint_names: Sequence[str], tool: str | None, notes: list[str]) -> SourceTree:
    """The same robot with every joint that goes with another, and is not controlled itself, as one that is held.

    Args:
        tree: as read.
        joint_names: the controlled joints.
        tool: name of the link or point that is the tool; None: the last controlled joint carries it.
        notes: what was decided is added.

    Raises:
        ConfigError: names the joint that goes with another and can't be followed, and says why and what to do.
    """
    by_name = {joint.name: joint for joint in tree.joints}
    laws = {joint.name: _law(joint, by_name) for joint in tree.joints}
    drivers = {laws[name].joint: name for name in reversed(list(joint_names)) if name in laws and laws[name].multiplier}
    tool_link = tree.points[tool][0] if tool in tree.points else tool
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
            _require_coverable(tree, joint, goes, joint_names, tool_link)
            joint = _held_along(joint, goes, by_name[driver], notes)
        elif joint.mimic is not None:
            joint = _held_along(joint, law, by_name[law.joint], notes)
        joints.append(joint)
    return replace(tree, joints=tuple(joints))


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


def _require_coverable(
    tree: SourceTree, joint: SourceJoint, goes: _Linear, joint_names: Sequence[str], tool_link: str | None
) -> None:
    carried = _carried(tree, joint)
    shapes = [link for link in carried if tree.shapes.get(link)]
    controlled = [other.name for other in tree.joints if other.name in joint_names and other.parent in carried]
    if controlled:
        what = f"carries the joint {controlled[0]}"
    elif tool_link in carried:
        what = f"carries the tool, {tool_link}"
    elif shapes and joint.kind is Kind.REVOLUTE:
        what = f"carries {shapes[0]}"
    else:
        return
    raise ConfigError(
        f"joint {joint.name}",
        f"goes with {goes.joint} ({goes.multiplier:g} times its position, and {goes.offset:g}), and {what}: a joint "
        "that moves with another can't be followed, and held still it would be elsewhere. Name it among the joints of "
        "the embodiment, so that policy and driver give its position, or take it and what it carries out of the "
        "description",
    )


def _carried(tree: SourceTree, joint: SourceJoint) -> list[str]:
    links = [joint.child]
    for other in tree.joints:
        if other.parent in links:
            links.append(other.child)
    return links


def _held_along(joint: SourceJoint, goes: _Linear, source: SourceJoint, notes: list[str]) -> SourceJoint:
    """Counted from where `source` puts it at 0, which is where a held joint stands."""
    low, high = goes.range_of(source)
    notes.append(
        f"joint {joint.name} goes with {source.name}: {goes.multiplier:g} times its position, and {goes.offset:g}"
    )
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
