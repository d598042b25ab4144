"""Says of a commanded posture whether links are nearer to each other than the robot's claims sheet promises.

Where links are and how far apart comes from MuJoCo and the robot's description; of the compiler only its promises are
taken: the clearance, and the pairs that are near at home with the distance that they keep. That neighbouring links
touch at home is looked at here again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from edge_runtime.safety.kinematics import KinematicsFile
from tests.safety.judge.robots import Robot

SLACK_M = 2e-5
"""What MuJoCo's iterative distances between boxes and cylinders may be off by."""
_FAR_M = 1.0


@dataclass
class Findings:
    """What a run came to: the smallest distance beyond what is allowed, and the postures in which it was none."""

    ticks: int = 0
    closest_m: float = _FAR_M
    reached: set[tuple[str, str]] = field(default_factory=set)
    violations: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        """Another run of the same robot."""
        self.ticks += other.ticks
        self.closest_m = min(self.closest_m, other.closest_m)
        self.reached |= other.reached
        self.violations += other.violations
        self.examples = [*self.examples, *other.examples][:3]


class Judge:
    """One robot, as its description has it.

    Args:
        robot: its description, its commanded joints, and those that move where they like.
        description: that description as a MJCF file.
        file: what the compiler promises.
        clearance_m: what is promised of everything else.
        obstacle: a shape of the surroundings that every link which moves keeps off, too.
    """

    def __init__(
        self, robot: Robot, description: Path, file: KinematicsFile, clearance_m: float, obstacle: str | None = None
    ) -> None:
        self.model = mujoco.MjModel.from_xml_path(str(description))
        self.data = mujoco.MjData(self.model)
        self._at = [self.model.joint(name).qposadr[0] for name in robot.joints]
        self._held = [self.model.joint(name) for name in robot.held]
        self._names = [self.model.geom(i).name or f"geom{i}" for i in range(self.model.ngeom)]
        self._bodies = self.model.geom_bodyid
        self._obstacle = -1 if obstacle is None else self.model.geom(obstacle).id
        root = self.model.body(robot.root).rootid[0]
        self._of_robot = [i for i in range(self.model.ngeom) if self.model.body_rootid[self._bodies[i]] == root]
        self.ranges = np.array([self.model.joint(name).range for name in robot.joints])
        self.move_to(robot.home_rad)
        self.pairs = self._watched(file, clearance_m)
        first, second = np.array([pair[:2] for pair in self.pairs]).T
        self._first, self._second = first, second
        self._allowed_m = np.array([pair[2] for pair in self.pairs])
        radius_m = self.model.geom_rbound
        self._reach_m = radius_m[first] + radius_m[second]

    def move_to(self, q: NDArray[np.float64] | tuple[float, ...]) -> None:
        """Put the commanded joints there."""
        self.data.qpos[self._at] = q
        mujoco.mj_kinematics(self.model, self.data)

    def move_held(self, draw: np.random.Generator) -> None:
        """Put the others anywhere, by the next `move_to`."""
        for joint in self._held:
            self.data.qpos[joint.qposadr[0]] = draw.choice([*joint.range, draw.uniform(*joint.range)])

    def name(self, pair: int) -> tuple[str, str]:
        """Names of the two shapes."""
        return self._names[self._first[pair]], self._names[self._second[pair]]

    def distance_m(self, pair: int, most_m: float = _FAR_M) -> float:
        """Of a pair where the robot is now."""
        first, second = int(self._first[pair]), int(self._second[pair])
        return float(mujoco.mj_geomDistance(self.model, self.data, first, second, most_m, None))

    def look(self, found: Findings, near_m: float = 0.004) -> None:
        """Judge where the robot is now. Pairs within `near_m` of what is allowed count as reached."""
        found.ticks += 1
        for pair in self.near(near_m):
            allowed_m = float(self._allowed_m[pair])
            left_m = self.distance_m(pair, allowed_m + near_m) - allowed_m
            found.closest_m = min(found.closest_m, left_m)
            found.reached.add(self.name(pair))
            if left_m < -SLACK_M:
                found.violations += 1
                if len(found.examples) < 3:
                    q = np.round(self.data.qpos, 6).tolist()
                    found.examples.append(f"{' and '.join(self.name(pair))}: {left_m * 1e3:.3f} mm beyond, at {q}")

    def near(self, within_m: float) -> list[int]:
        """Pairs that are within so much of what is allowed where the robot is now."""
        place_m = self.data.geom_xpos
        between_m = np.linalg.norm(place_m[self._first] - place_m[self._second], axis=1) - self._reach_m
        near = np.flatnonzero(between_m < self._allowed_m + within_m).tolist()
        limit_m = self._allowed_m + within_m
        return [pair for pair in near if self.distance_m(pair, float(limit_m[pair])) < limit_m[pair]]

    def _watched(self, file: KinematicsFile, clearance_m: float) -> list[tuple[int, int, float]]:
        """Every pair of shapes that can move against each other, with the distance that is promised."""
        promised = {frozenset(near.pair): min(near.at_least_m, clearance_m) for near in file.near}
        neighbours = {frozenset(pair) for pair in file.neighbours}
        watched = []
        for first, second in combinations(self._of_robot, 2):
            if self._carriers(first)[0] == self._carriers(second)[0]:
                continue
            names = {self._capsule_of(file, first), self._capsule_of(file, second)}
            if frozenset(names) in neighbours:
                assert self._are_joined(first, second), f"{names} are no neighbours"
                continue
            watched.append((first, second, promised.get(frozenset(names), clearance_m)))
        if self._obstacle >= 0:
            moved = [geom for geom in self._of_robot if self._carriers(geom)[0] >= 0]
            watched += [(geom, self._obstacle, clearance_m) for geom in moved]
        return watched

    def _capsule_of(self, file: KinematicsFile, geom: int) -> str:
        """Capsules are called after bodies, numbered where one has several shapes."""
        body = int(self._bodies[geom])
        name = self.model.body(body).name
        of_body = [one for one in range(self.model.ngeom) if self._bodies[one] == body]
        numbered = f"{name}_{of_body.index(geom) + 1}"
        known = {capsule.name for capsule in file.capsules}
        assert {name, numbered} & known, f"{name} of the description is in no capsule"
        return numbered if numbered in known else name

    def _are_joined(self, first: int, second: int) -> bool:
        """Whether one commanded joint joins them, with nothing but held ones on either side."""
        return self._carriers(first)[1:2] == self._carriers(second)[:1] or (
            self._carriers(second)[1:2] == self._carriers(first)[:1]
        )

    def _carriers(self, geom: int) -> list[int]:
        """The commanded joints that carry it, nearest first, and -1 for the ground."""
        carriers, body = [], int(self._bodies[geom])
        while body:
            joint = int(self.model.body_jntadr[body])
            if self.model.body_jntnum[body] and self.model.jnt_qposadr[joint] in self._at:
                carriers.append(joint)
            body = int(self.model.body_parentid[body])
        return [*carriers, -1]
