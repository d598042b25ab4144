"""What a description shows of a robot's build: its chains of joints, grippers, hands and wheels, and places for tools.

Guarantees that every joint that moves by itself is in exactly one place: a group, a gripper, the base, or left out.
Everything here is a proposal, which a person may answer otherwise; nothing of it is checked by the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from edge_runtime.commissioning import names
from edge_runtime.commissioning.grippers import FoundGripper, grippers_of
from edge_runtime.commissioning.names import LimbKind
from edge_runtime.commissioning.tree import Tree, is_endless
from edge_runtime.safety.kinematics.source import Kind, SourceJoint, SourceTree

BaseKind = Literal["none", "differential", "omnidirectional", "joints"]

_FINGER_REACH_MAX_M = 0.30
_TOOL_WORDS = (
    "tool0",
    "tcp",
    "pinch",
    "grasp",
    "gripper_frame",
    "end_effector",
    "ee_link",
    "eef",
    "attachment",
    "tool",
)


@dataclass(frozen=True)
class FoundGroup:
    """A limb: joints in the order from the base outwards."""

    name: str
    kind: LimbKind
    joints: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """What a description shows.

    Attributes:
        groups: limbs, in the order of the tree.
        grippers: in the order of the tree.
        base: how the robot drives: by wheels, or by joints of the description that shift and turn all of it.
        base_joints: of `base` "joints": those that are x, y and yaw, in this order, None where there is none.
        wheels: joints of wheels, which are no axes.
        held: joints that slide or turn all of the robot without a range and are no part of a base.
        tools: proposed tool of each limb that has one, by the limb's name: a link or point of the description.
        lowest_m: z of the lowest point of what stands still, in the frame of the base.
    """

    groups: tuple[FoundGroup, ...]
    grippers: tuple[FoundGripper, ...]
    base: BaseKind
    base_joints: tuple[str | None, str | None, str | None]
    wheels: tuple[str, ...]
    held: tuple[str, ...]
    tools: dict[str, str] = field(default_factory=dict)
    lowest_m: float = 0.0


def survey(tree: SourceTree) -> Survey:
    """Look at all joints of a description."""
    known = Tree(tree)
    base, base_joints, held = _base_of_joints(known)
    wheels = _wheels(known)
    if wheels and base == "none":
        base = "omnidirectional" if names.is_omnidirectional(wheels) or len(wheels) == 3 else "differential"
    has_legs = any(names.limb_of([joint.name]) == "leg" for joint in known.moving())
    if base == "none" and not has_legs and any(joint.kind is Kind.FREE for joint in tree.joints):
        base = "omnidirectional"
    rest = [j for j in known.moving() if j.name not in wheels and j.name not in held and j.name not in base_joints]
    hands = list(_hands(known, rest))
    in_hands = {name for _, joints in hands for name in joints}
    grippers = grippers_of(known, [joint for joint in rest if joint.name not in in_hands])
    in_grippers = {name for gripper in grippers for name in gripper.joints}
    limbs = [joint for joint in rest if joint.name not in in_hands and joint.name not in in_grippers]
    groups = _groups(known, limbs, hands)
    return Survey(
        groups=groups,
        grippers=_named(grippers, groups),
        base=base,
        base_joints=base_joints,
        wheels=wheels,
        held=held,
        tools=dict(_tools(known, groups, in_grippers)),
        lowest_m=_lowest_m(known, wheels),
    )


def _base_of_joints(known: Tree) -> tuple[BaseKind, tuple[str | None, str | None, str | None], tuple[str, ...]]:
    """Slides without a range, and a turn without one between them, that shift all of the robot over the floor."""
    chain: list[SourceJoint] = []
    at: SourceJoint | None = None
    while True:
        following = [j for j in known.moving() if known.above(j) is at]
        if len(following) != 1 or not is_endless(following[0]):
            break
        at = following[0]
        chain.append(at)
    places = known.poses({})
    found: dict[str, str] = {}
    held = []
    for joint in chain:
        axis = places[joint.child][:3, :3] @ np.asarray(joint.axis)
        what = int(np.abs(axis).argmax())
        place = {0: "x", 1: "y"}.get(what) if joint.kind is Kind.PRISMATIC else ("yaw" if what == 2 else None)
        if place is not None and place not in found:
            found[place] = joint.name
        elif joint.kind is Kind.PRISMATIC:
            held.append(joint.name)
    if not any(known.by_name[name].kind is Kind.PRISMATIC for name in found.values()):
        # A turn alone is an axis without end, as that of a turntable.
        return "none", (None, None, None), tuple(held)
    return "joints", (found.get("x"), found.get("y"), found.get("yaw")), tuple(held)


def _wheels(known: Tree) -> tuple[str, ...]:
    found = []
    for joint in known.moving():
        beyond = [other for other in known.moving() if other.parent in known.beyond(joint.child)]
        calls = names.is_wheel(joint.name) or names.is_wheel(joint.child)
        if joint.kind is Kind.REVOLUTE and calls and all(names.is_wheel(other.name) for other in beyond):
            found.append(joint.name)
    return tuple(found)


def _hands(known: Tree, joints: Sequence[SourceJoint]) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """Palms with three or more chains of finger length: the joint that carries each, and the joints of its fingers."""
    of_body: dict[str, list[SourceJoint]] = {}
    for joint in joints:
        of_body.setdefault(known.body(joint.parent), []).append(joint)
    for roots in of_body.values():
        chains = [chain for root in roots if (chain := _chain(known, joints, root)) and _is_finger(known, chain)]
        if len(chains) >= 3:
            carrier = known.above(chains[0][0])
            yield None if carrier is None else carrier.name, tuple(joint.name for chain in chains for joint in chain)


def _chain(known: Tree, joints: Sequence[SourceJoint], root: SourceJoint) -> list[SourceJoint]:
    """The joints from `root` outwards, empty where they branch."""
    chain = [root]
    while True:
        following = [joint for joint in joints if known.above(joint) is chain[-1]]
        if not following:
            return chain
        if len(following) > 1:
            return []
        chain.append(following[0])


def _is_finger(known: Tree, chain: Sequence[SourceJoint]) -> bool:
    if len(chain) > 7 or any(joint.kind is not Kind.REVOLUTE for joint in chain):
        return False
    if names.limb_of([joint.name for joint in chain]) in ("leg", "head"):
        return False
    places = known.poses({})
    origin_m = places[chain[0].child][:3, 3]
    reach_m = max(
        (float(np.linalg.norm(point_m - origin_m)) for point_m in known.points(places, chain[0].child)),
        default=float(np.linalg.norm(places[chain[-1].child][:3, 3] - origin_m)),
    )
    return reach_m <= _FINGER_REACH_MAX_M


def _groups(
    known: Tree, joints: Sequence[SourceJoint], hands: Sequence[tuple[str | None, tuple[str, ...]]]
) -> tuple[FoundGroup, ...]:
    """Limbs: chains that end where the tree branches."""
    ours = {joint.name for joint in joints}

    def above(joint: SourceJoint) -> str | None:
        at = known.above(joint)
        while at is not None and at.name not in ours:
            at = known.above(at)
        return None if at is None else at.name

    children: dict[str | None, list[SourceJoint]] = {}
    for joint in joints:
        children.setdefault(above(joint), []).append(joint)
    found: list[FoundGroup] = []

    def segment(root: SourceJoint) -> None:
        chain = [root]
        while len(following := children.get(chain[-1].name, [])) == 1:
            chain.append(following[0])
        is_trunk = bool(following)
        joint_names = tuple(joint.name for joint in chain)
        called = names.limb_of(joint_names) or "arm"
        # What ends in nothing else is no trunk, whatever its first joint is called.
        kind: LimbKind = "torso" if is_trunk else "arm" if called == "torso" else called
        found.append(FoundGroup(_group_name(kind, chain, found), kind, joint_names))
        for joint in following:
            segment(joint)

    for root in children.get(None, []):
        segment(root)
    for _, fingers in hands:
        side = names.side_of(fingers)
        name = names.unique("hand" if side is None else f"{side}_hand", [group.name for group in found])
        found.append(FoundGroup(name, "hand", fingers))
    return tuple(found)


def _group_name(kind: LimbKind, chain: Sequence[SourceJoint], found: Sequence[FoundGroup]) -> str:
    side = names.side_of([joint.name for joint in chain]) or names.side_of([joint.child for joint in chain])
    return names.unique(kind if side is None else f"{side}_{kind}", [group.name for group in found])


def _named(grippers: Sequence[FoundGripper], groups: Sequence[FoundGroup]) -> tuple[FoundGripper, ...]:
    taken = {name for group in groups for name in group.joints}
    found: list[FoundGripper] = []
    for gripper in grippers:
        name = gripper.name
        if gripper.kind == "parallel_gripper" and len(grippers) > 1:
            limb = next((group.name for group in groups if gripper.carrier in group.joints), "")
            side = names.side_of([limb]) or names.side_of(gripper.joints)
            name = "gripper" if side is None else f"{side}_gripper"
        name = names.unique(name, {*taken, *(one.name for one in found)})
        found.append(
            FoundGripper(
                name, gripper.kind, gripper.joints, gripper.closed, gripper.open, gripper.opening_m, gripper.carrier
            )
        )
    return tuple(found)


def _tools(known: Tree, groups: Sequence[FoundGroup], fingers: set[str]) -> Iterator[tuple[str, str]]:
    """For each arm the link or point at its end that is called a tool, or the last link that it carries rigidly."""
    arms = [group for group in groups if group.kind == "arm"] or [group for group in groups if group.kind == "hand"]
    for group in arms[:4]:
        carried = known.rigid(known.by_name[group.joints[-1]].child)
        points = [name for name, (link, _) in known.tree.points.items() if link in carried]
        for word in _TOOL_WORDS:
            named = [name for name in (*points, *carried) if word in name.lower()]
            if named:
                yield group.name, named[-1]
                break
        else:
            # The deepest link, where the fingers are or the flange is.
            held = [known.by_name[name].parent for name in fingers if known.by_name[name].parent in carried]
            yield group.name, held[0] if held else carried[-1]


def _lowest_m(known: Tree, wheels: Sequence[str]) -> float:
    """Of the links that no joint moves, and of the wheels."""
    places = known.poses({})
    standing = [link for link in places if known.carrier(link) is None]
    standing += [link for name in wheels for link in known.rigid(known.by_name[name].child)]
    lows = [
        float(np.min((shape.centres_m @ places[link][:3, :3].T + places[link][:3, 3])[:, 2] - shape.radii_m))
        for link in standing
        for shape in known.tree.shapes.get(link, ())
    ]
    return min(lows, default=0.0)
