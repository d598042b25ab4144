"""What a description shows of a robot's build: its chains of joints, grippers, hands and wheels, and where tools may be.

Guarantees that every joint that moves by itself is in exactly one place: a group, a gripper, the base, or left out.
Everything here is a proposal, which a person may answer otherwise; nothing of it is checked by the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from edge_runtime.commissioning import names
from edge_runtime.commissioning.names import LimbKind
from edge_runtime.safety.kinematics.source import Array, Kind, SourceJoint, SourceTree, pose

BaseKind = Literal["none", "differential", "omnidirectional", "joints"]

_FINGER_TRAVEL_MAX_M = 0.25
_FINGER_REACH_MAX_M = 0.30
_SAME_TRAVEL = 0.02
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
class FoundGripper:
    """Joints that hold things together: two fingers that slide, or a jaw that turns.

    Attributes:
        name: proposed for its axis.
        kind: how it is commanded.
        joints: that drive it; of a pair of fingers that the description does not couple, both.
        closed, open: of the first joint, in rad or m.
        opening_m: of a parallel gripper, what all of its fingers travel.
        carrier: the joint that carries it; None: it stands on the base.
    """

    name: str
    kind: Literal["parallel_gripper", "jaw_gripper"]
    joints: tuple[str, ...]
    closed: float
    open: float
    opening_m: float
    carrier: str | None


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


class Tree:
    """A source tree with the questions that are asked of it."""

    def __init__(self, tree: SourceTree) -> None:
        self.tree = tree
        self.by_name = {joint.name: joint for joint in tree.joints}
        self._above: dict[str, SourceJoint] = {joint.child: joint for joint in tree.joints}

    def moving(self) -> list[SourceJoint]:
        """Joints that move by themselves."""
        return [joint for joint in self.tree.joints if joint.kind is not Kind.FIXED and joint.mimic is None]

    def carrier(self, link: str) -> SourceJoint | None:
        """The next joint above that moves by itself or with another."""
        joint = self._above.get(link)
        while joint is not None and joint.kind is Kind.FIXED:
            joint = self._above.get(joint.parent)
        return joint

    def driver(self, joint: SourceJoint) -> SourceJoint:
        """The joint that it goes with in the end: itself, if it moves by itself."""
        seen = {joint.name}
        while joint.mimic is not None and joint.mimic.joint in self.by_name and joint.mimic.joint not in seen:
            joint = self.by_name[joint.mimic.joint]
            seen.add(joint.name)
        return joint

    def above(self, joint: SourceJoint) -> SourceJoint | None:
        """The next joint towards the base that moves by itself, or drives the one that is there."""
        found = self.carrier(joint.parent)
        return None if found is None else self.driver(found)

    def followers(self, joint: SourceJoint) -> list[SourceJoint]:
        """Joints that go with it."""
        return [other for other in self.tree.joints if other is not joint and self.driver(other) is joint]

    def body(self, link: str) -> str:
        """One name for all links that are rigidly joined: the link right at the joint that carries them."""
        joint = self._above.get(link)
        while joint is not None and joint.kind is Kind.FIXED:
            link, joint = joint.parent, self._above.get(joint.parent)
        return link

    def beyond(self, link: str) -> list[str]:
        """Links that a link carries, itself first."""
        links = [link]
        known = {link}
        for joint in self.tree.joints:
            if joint.parent in known:
                known.add(joint.child)
                links.append(joint.child)
        return links

    def rigid(self, link: str) -> list[str]:
        """Links that are rigidly joined to it, from it outwards."""
        links = [link]
        known = {link}
        for joint in self.tree.joints:
            if joint.parent in known and joint.kind is Kind.FIXED:
                known.add(joint.child)
                links.append(joint.child)
        return links

    def poses(self, positions: dict[str, float]) -> dict[str, Array]:
        """Poses of all links in the root's frame; joints that are not named stand at 0, those that follow go along."""
        found = {self.tree.root: np.eye(4)}
        for joint in self.tree.joints:
            found[joint.child] = found[joint.parent] @ joint.X_PC @ _moved(joint, self._position(joint, positions))
        return found

    def _position(self, joint: SourceJoint, positions: dict[str, float]) -> float:
        value, factor, at, seen = 0.0, 1.0, joint, {joint.name}
        while at.name not in positions and at.mimic is not None and at.mimic.joint in self.by_name:
            value += factor * at.mimic.offset
            factor *= at.mimic.multiplier
            at = self.by_name[at.mimic.joint]
            if at.name in seen:
                break
            seen.add(at.name)
        return value + factor * positions.get(at.name, 0.0)


def survey(tree: SourceTree) -> Survey:
    """Look at all joints of a description."""
    known = Tree(tree)
    base, base_joints, held = _base_of_joints(known)
    wheels = _wheels(known)
    if wheels and base == "none":
        base = "omnidirectional" if names.is_omnidirectional(wheels) or len(wheels) == 3 else "differential"
    rest = [j for j in known.moving() if j.name not in wheels and j.name not in held and j.name not in base_joints]
    hands = list(_hands(known, rest))
    in_hands = {name for _, joints in hands for name in joints}
    grippers = _grippers(known, [joint for joint in rest if joint.name not in in_hands])
    in_grippers = {name for gripper in grippers for name in gripper.joints}
    limbs = [joint for joint in rest if joint.name not in in_hands and joint.name not in in_grippers]
    groups = _groups(known, limbs, hands)
    return Survey(
        groups=groups,
        grippers=_named(known, grippers, groups),
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
        if len(following) != 1 or not _is_endless(following[0]):
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


def _is_endless(joint: SourceJoint) -> bool:
    return joint.position_min is None or joint.position_max is None


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
        (float(np.linalg.norm(point_m - origin_m)) for point_m in _points(known, places, chain[0].child)),
        default=float(np.linalg.norm(places[chain[-1].child][:3, 3] - origin_m)),
    )
    return reach_m <= _FINGER_REACH_MAX_M


def _points(known: Tree, places: dict[str, Array], link: str) -> Array:
    """(n, 3) points of all shapes from a link outwards, in the root's frame."""
    clouds = [
        shape.centres_m @ places[one][:3, :3].T + places[one][:3, 3]
        for one in known.beyond(link)
        for shape in known.tree.shapes.get(one, ())
    ]
    return np.concatenate(clouds) if clouds else np.zeros((0, 3))


def _grippers(known: Tree, joints: Sequence[SourceJoint]) -> list[FoundGripper]:
    """Leaves of the tree that slide or turn as fingers do, in pairs where they slide."""
    carrying = {known.above(joint) for joint in joints}
    leaves = [joint for joint in joints if joint not in carrying and not _is_endless(joint)]
    of_body: dict[str, list[SourceJoint]] = {}
    for joint in leaves:
        of_body.setdefault(known.body(joint.parent), []).append(joint)
    found = []
    for fingers in of_body.values():
        sliding = [
            joint for joint in fingers if joint.kind is Kind.PRISMATIC and _travel(joint) <= _FINGER_TRAVEL_MAX_M
        ]
        pairs = [joint for joint in sliding if _slides_as_finger(known, joint, sliding)]
        if pairs:
            found.append(_parallel(known, pairs))
        found += [
            _jaw(known, joint) for joint in fingers if joint.kind is Kind.REVOLUTE and _turns_as_finger(known, joint)
        ]
    return found


def _travel(joint: SourceJoint) -> float:
    assert joint.position_min is not None
    assert joint.position_max is not None
    return joint.position_max - joint.position_min


def _slides_as_finger(known: Tree, joint: SourceJoint, beside: Sequence[SourceJoint]) -> bool:
    if known.followers(joint) or names.is_finger(joint.name) or names.is_finger(joint.child):
        return True
    return any(abs(_travel(other) - _travel(joint)) < _SAME_TRAVEL for other in beside if other is not joint)


def _turns_as_finger(known: Tree, joint: SourceJoint) -> bool:
    body = known.body(joint.parent)
    coupled = any(known.body(other.parent) == body for other in known.followers(joint))
    return coupled or names.is_finger(joint.name)


def _parallel(known: Tree, fingers: list[SourceJoint]) -> FoundGripper:
    first = fingers[0]
    closed = _closed_end(known, first, {joint.name: joint for joint in fingers})
    assert first.position_min is not None
    assert first.position_max is not None
    is_open = first.position_max if closed == first.position_min else first.position_min
    travels = [_travel(joint) for joint in fingers]
    travels += [
        abs(other.mimic.multiplier) * _travel(first)
        for other in known.followers(first)
        if other.mimic is not None and other.kind is Kind.PRISMATIC
    ]
    carrier = known.above(first)
    return FoundGripper(
        name="gripper",
        kind="parallel_gripper",
        joints=tuple(joint.name for joint in fingers),
        closed=closed,
        open=is_open,
        opening_m=sum(sorted(travels)[-2:]),
        carrier=None if carrier is None else carrier.name,
    )


def _jaw(known: Tree, joint: SourceJoint) -> FoundGripper:
    closed = _closed_end(known, joint, {joint.name: joint})
    assert joint.position_min is not None
    assert joint.position_max is not None
    carrier = known.above(joint)
    return FoundGripper(
        name=joint.name,
        kind="jaw_gripper",
        joints=(joint.name,),
        closed=closed,
        open=joint.position_max if closed == joint.position_min else joint.position_min,
        opening_m=0.0,
        carrier=None if carrier is None else carrier.name,
    )


def _closed_end(known: Tree, joint: SourceJoint, together: dict[str, SourceJoint]) -> float:
    """The end of the joint's range at which what it moves is nearer to what it closes on."""
    assert joint.position_min is not None
    assert joint.position_max is not None
    ends = (joint.position_min, joint.position_max)
    gaps = [_gap_m(known, joint, together, end) for end in ends]
    if None in gaps or math.isclose(gaps[0] or 0.0, gaps[1] or 0.0, abs_tol=1e-4):
        return min(ends, key=abs)
    return ends[int(np.argmin(np.array(gaps, dtype=np.float64)))]


def _gap_m(known: Tree, joint: SourceJoint, together: dict[str, SourceJoint], end: float) -> float | None:
    """Distance between the far end of the finger and that of the fingers against it, or the nearest of what stands."""
    positions = {joint.name: end}
    for other in together.values():
        if other is not joint:
            positions[other.name] = _mirrored(known, joint, other, end)
    places = known.poses(positions)
    mount = known.body(joint.parent)
    mine = _tip(known, places, joint)
    beside = [
        other
        for other in known.tree.joints
        if other is not joint and other.kind is not Kind.FIXED and known.body(other.parent) == mount
    ]
    tips = [tip for other in beside if (tip := _tip(known, places, other)) is not None]
    if mine is None:
        return None
    if tips:
        # Of the two links of one finger the tips go together: the one against it is the farthest.
        return max(float(np.linalg.norm(tip - mine)) for tip in tips)
    standing = [
        shape.centres_m @ places[link][:3, :3].T + places[link][:3, 3]
        for link in known.rigid(mount)
        for shape in known.tree.shapes.get(link, ())
    ]
    if not standing:
        return None
    cloud = np.concatenate(standing)
    away_m = np.linalg.norm(cloud - places[joint.child][:3, 3], axis=1)
    facing = cloud[away_m >= 0.5 * away_m.max()]
    nearest_m = np.sort(np.linalg.norm(facing - mine, axis=1))
    return float(nearest_m[: max(1, len(nearest_m) // 20)].mean())


def _mirrored(known: Tree, joint: SourceJoint, other: SourceJoint, end: float) -> float:
    """Where a finger is that nothing couples to `joint`, when that one is at an end: as far open."""
    assert joint.position_min is not None
    assert joint.position_max is not None
    assert other.position_min is not None
    assert other.position_max is not None
    share = (end - joint.position_min) / max(_travel(joint), 1e-9)
    faces = _axis_in_root(known, joint) @ _axis_in_root(known, other) < 0.0
    middles = (joint.position_min + joint.position_max, other.position_min + other.position_max)
    if not faces and middles[0] * middles[1] < 0.0:
        share = 1.0 - share
    return other.position_min + share * _travel(other)


def _tip(known: Tree, places: dict[str, Array], joint: SourceJoint) -> Array | None:
    """Middle of the part of a finger that is furthest from its joint; of one that slides, of all of it."""
    points = _points(known, places, joint.child)
    if not len(points):
        return None
    away_m = np.linalg.norm(points - places[joint.child][:3, 3], axis=1)
    share = 0.0 if joint.kind is Kind.PRISMATIC else 0.8
    tip: Array = points[away_m >= share * away_m.max()].mean(axis=0)
    return tip


def _axis_in_root(known: Tree, joint: SourceJoint) -> Array:
    axis: Array = known.poses({})[joint.child][:3, :3] @ np.asarray(joint.axis)
    return axis


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
        kind: LimbKind = "torso" if is_trunk else names.limb_of(joint_names) or "arm"
        found.append(FoundGroup(_group_name(known, kind, chain, found), kind, joint_names))
        for joint in following:
            segment(joint)

    for root in children.get(None, []):
        segment(root)
    for _, fingers in hands:
        side = names.side_of(fingers)
        name = names.unique("hand" if side is None else f"{side}_hand", [group.name for group in found])
        found.append(FoundGroup(name, "hand", fingers))
    return tuple(found)


def _group_name(known: Tree, kind: LimbKind, chain: Sequence[SourceJoint], found: Sequence[FoundGroup]) -> str:
    side = names.side_of([joint.name for joint in chain]) or names.side_of([joint.child for joint in chain])
    return names.unique(kind if side is None else f"{side}_{kind}", [group.name for group in found])


def _named(known: Tree, grippers: Sequence[FoundGripper], groups: Sequence[FoundGroup]) -> tuple[FoundGripper, ...]:
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


def _moved(joint: SourceJoint, position: float) -> Array:
    """Pose of the child's frame at this position, in its frame at 0."""
    axis = np.asarray(joint.axis)
    if joint.kind is Kind.FIXED or position == 0.0:
        return np.eye(4)
    if joint.kind is Kind.PRISMATIC:
        return pose(np.eye(3), position * axis)
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return pose(np.eye(3) + np.sin(position) * cross + (1.0 - np.cos(position)) * cross @ cross, (0.0, 0.0, 0.0))
