"""A base that moves, as descriptions have it: it is where the robot's tree begins, and its own motion is no joint's.

A description lets a base move by one joint, `planar` or `floating` in URDF and `<freejoint>` in MJCF, or by a chain of
joints that slide without end, with one that turns about the vertical among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics.source import Kind, SourceJoint, SourceTree, links_below

_UPRIGHT = 1e-6


def from_the_base(tree: SourceTree, joint_names: Sequence[str] | None) -> tuple[SourceTree, bool]:
    """The tree from its base on, and whether the base moves.

    Args:
        tree: as read.
        joint_names: the controlled joints, which are no base's; None: not known yet.

    Raises:
        ConfigError: names a joint that floats, and is not the one that carries the base.
    """
    driving = _driving(tree, joint_names or ())
    for joint in tree.joints:
        if joint.kind is Kind.FREE and joint not in driving:
            problem = "lets float what it carries: only the base of a robot may, which all of the robot stands on"
            raise ConfigError(f"joint {joint.name}", problem)
    if not driving:
        return tree, False
    root = driving[-1].child
    # MJCF's reader puts links between a body and its joints, which have no frame that anybody knows: the body has.
    root = next((joint.child for joint in tree.joints if joint.parent == root and root.startswith(joint.child)), root)
    links = links_below(tree.joints, root)
    names = ", ".join(joint.name for joint in driving)
    notes = [f"the base moves ({names}): the robot begins at {root}, and the base's motion is no joint's"]
    left = [link for link in tree.shapes if link not in links and tree.shapes[link]]
    if left:
        notes.append(f"what is not on the base is no part of the robot, and nothing keeps it off: {', '.join(left)}")
    rooted = replace(
        tree,
        root=root,
        joints=tuple(joint for joint in tree.joints if joint.parent in links),
        shapes={link: shapes for link, shapes in tree.shapes.items() if link in links},
        drawn={link: shapes for link, shapes in tree.drawn.items() if link in links},
        points={name: point for name, point in tree.points.items() if point[0] in links},
        notes=(*tree.notes, *notes),
    )
    return rooted, True


def _driving(tree: SourceTree, joint_names: Sequence[str]) -> list[SourceJoint]:
    """The joints that move the base, from the world on."""
    found: list[SourceJoint] = []
    reached, turned = {tree.root}, False
    for joint in tree.joints:
        if joint.parent not in reached or joint.name in joint_names:
            continue
        is_endless = joint.moves and not joint.has_end and joint.mimic is None
        slides = is_endless and joint.kind is Kind.PRISMATIC
        # Of an arm on the base, the first joint may turn without end as well: only the first such one is the base's.
        turns = is_endless and not slides and not turned and bool(found) and abs(joint.axis[2]) > 1.0 - _UPRIGHT
        if joint.kind is Kind.FIXED:
            reached.add(joint.child)
        elif joint.kind is Kind.FREE or slides or turns:
            found.append(joint)
            turned = turned or turns or joint.kind is Kind.FREE
            reached = {joint.child}
    return found
