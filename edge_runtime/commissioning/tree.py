"""A source tree, and the questions about it that tell fingers from limbs: what carries what, and where."""

from __future__ import annotations

import numpy as np

from edge_runtime.safety.kinematics.source import Array, Kind, SourceJoint, SourceTree, pose


class Tree:
    """A source tree with the questions that are asked of it."""

    def __init__(self, tree: SourceTree) -> None:
        self.tree = tree
        self.by_name = {joint.name: joint for joint in tree.joints}
        self._above: dict[str, SourceJoint] = {joint.child: joint for joint in tree.joints}

    def moving(self) -> list[SourceJoint]:
        """Joints that move by themselves."""
        return [joint for joint in self.tree.joints if joint.moves and joint.mimic is None]

    def carrier(self, link: str) -> SourceJoint | None:
        """The next joint above that moves by itself or with another."""
        joint = self._above.get(link)
        while joint is not None and not joint.moves:
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
        while joint is not None and not joint.moves:
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
            if joint.parent in known and not joint.moves:
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

    def points(self, places: dict[str, Array], link: str) -> Array:
        """(n, 3) points of all shapes from a link outwards, in the root's frame."""
        clouds = [
            shape.centres_m @ places[one][:3, :3].T + places[one][:3, 3]
            for one in self.beyond(link)
            for shape in self.tree.shapes.get(one, ())
        ]
        return np.concatenate(clouds) if clouds else np.zeros((0, 3))


def is_endless(joint: SourceJoint) -> bool:
    """Whether its range lacks an end."""
    return joint.position_min is None or joint.position_max is None


def _moved(joint: SourceJoint, position: float) -> Array:
    """Pose of the child's frame at this position, in its frame at 0."""
    axis = np.asarray(joint.axis)
    if not joint.moves or position == 0.0:
        return np.eye(4)
    if joint.kind is Kind.PRISMATIC:
        return pose(np.eye(3), position * axis)
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return pose(np.eye(3) + np.sin(position) * cross + (1.0 - np.cos(position)) * cross @ cross, (0.0, 0.0, 0.0))
