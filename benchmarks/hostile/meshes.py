"""Judges what is really there: collision shapes of the robot's own description, in MuJoCo, at commanded positions.

Of the robot's own files count the promises alone: which capsules of which links are kept apart, and by how much. Joints
that are not controlled, and a gripper's, stand anywhere in the range that is promised to be covered.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import trimesh

from benchmarks.hostile.body import Body, in_world
from benchmarks.hostile.commands import Findings
from benchmarks.hostile.drive import Array
from edge_runtime.safety.kinematics import KinematicsFile
from edge_runtime.safety.kinematics.packages import Packages
from edge_runtime.safety.limits import KernelConfig

SLACK_M = 2e-5
"""What iterative distances of convex shapes may be off by."""
_NEAR_M = 0.01
"""How far beyond what is allowed distances are measured."""
_ROUND_CORNERS = 48


@dataclass(frozen=True)
class _Outline:
    """Corners of a shape in its own frame, grown by a radius."""

    corners: Array
    radius_m: float


class Meshes:
    """One robot, as its description has it.

    Args:
        description: URDF or MJCF.
        file: what the kinematics file promises.
        config: of the kernel.
        folder: for meshes in a form that MuJoCo reads.
    """

    def __init__(self, description: Path, file: KinematicsFile, config: KernelConfig, folder: Path) -> None:
        self._body = Body(config)
        self._file, self._config = file, config
        spec = _loaded(description, folder)
        solid = [geom for geom in spec.geoms if geom.contype or geom.conaffinity]
        for number, geom in enumerate(spec.geoms):
            geom.name = f"judged{number}"
        for pair in list(spec.pairs):
            spec.delete(pair)
        links: dict[str, list[str]] = {}
        for geom in solid:
            links.setdefault(geom.parent.name, []).append(geom.name)
        for geom in spec.geoms:
            geom.contype = geom.conaffinity = 0
        for mesh in spec.meshes:
            mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
        self._promised = self._promises(links)
        for (one, two), allowed_m in self._promised.items():
            margin = max(0.0, allowed_m + _NEAR_M)
            spec.add_pair(geomname1=one, geomname2=two, margin=margin, gap=0.0, condim=1)
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        named = {(self.model.geom(a).id, self.model.geom(b).id): m for (a, b), m in self._promised.items()}
        self._allowed_m = {pair[::turn]: m for pair, m in named.items() for turn in (1, -1)}
        self._joints = [(self.model.joint(joint.name), joint) for joint in file.joints if self._has(joint.name)]
        self._held = [
            (self.model.joint(held.name), held) for held in file.held if self._has(held.name) and held.covered
        ]
        self._outlines = self._in_world(links)
        self._rotation, self._origin = self._placed()
        self.links, self.pairs = len(links), len(self._promised)

    def judge(self, q: Array, places: Array, draw: np.random.Generator, found: Findings) -> None:
        """Look at (postures, axes) commands; `places` are where the base is, (postures, 3)."""
        at = np.array([joint.qposadr[0] for joint, _ in self._joints], int)
        positions = self._positions(q)
        held = np.array([joint.qposadr[0] for joint, _ in self._held], int)
        ends = np.array([[one.low, one.high] for _, one in self._held]).reshape(-1, 2)
        anywhere = ends[:, 0] + (ends[:, 1] - ends[:, 0]) * np.clip(draw.uniform(-0.3, 1.3, (len(q), len(held))), 0, 1)
        geoms = list(self._outlines)
        rotations = np.empty((len(q), len(geoms), 3, 3))
        origins = np.empty((len(q), len(geoms), 3))
        model, data = self.model, self.data
        anchors = np.empty((len(q), len(self._joints), 6))
        numbers = np.array([joint.id for joint, _ in self._joints], int)
        for row in range(len(q)):
            data.qpos[at] = positions[row]
            data.qpos[held] = anywhere[row]
            mujoco.mj_kinematics(model, data)
            if self._allowed_m:
                mujoco.mj_collision(model, data)
                if data.ncon:
                    self._contacts(found)
            anchors[row, :, :3], anchors[row, :, 3:] = data.xanchor[numbers], data.xaxis[numbers]
            if geoms:
                rotations[row] = data.geom_xmat[geoms].reshape(-1, 3, 3)
                origins[row] = data.geom_xpos[geoms]
        found.meshes += len(q)
        self._same_kinematics(q, anchors, found)
        self._surroundings(rotations, origins, places, found)

    def _contacts(self, found: Findings) -> None:
        data = self.data
        for (one, two), distance_m in zip(data.contact.geom[: data.ncon], data.contact.dist[: data.ncon], strict=True):
            allowed_m = self._allowed_m[int(one), int(two)]
            if allowed_m >= 0.0:
                found.nearest_mesh_m = min(found.nearest_mesh_m, float(distance_m))
            if distance_m < min(0.0, allowed_m) - SLACK_M or (distance_m < 0.0 <= allowed_m):
                found.contacts += 1
            elif distance_m < 0.0:
                found.allowed_contacts += 1
            if distance_m < allowed_m - SLACK_M:
                names = [self.model.body(self.model.geom_bodyid[geom]).name for geom in (one, two)]
                found.beyond(
                    f"shapes of {' and '.join(names)} nearer than {allowed_m * 1e3:.3f} mm",
                    np.array([True]),
                    np.array([distance_m]),
                )

    def _same_kinematics(self, q: Array, anchors: Array, found: Findings) -> None:
        """MuJoCo's axes of joints are where the judge of capsules has them."""
        frames = self._body.frames(q)
        for column, (joint, ours) in enumerate(self._joints):
            rotation, origin = frames[self._number(ours.name)]
            off = np.abs(rotation[:, :, 2] @ self._rotation.T - anchors[:, column, 3:])
            found.kinematics_m = max(found.kinematics_m, float(off.max(initial=0.0)))
            if joint.type[0] == mujoco.mjtJoint.mjJNT_HINGE:
                # Any point on the axis of a joint that turns is its anchor.
                between = anchors[:, column, :3] - origin @ self._rotation.T - self._origin
                beside = np.cross(between, anchors[:, column, 3:])
                found.kinematics_m = max(found.kinematics_m, float(np.abs(beside).max(initial=0.0)))

    def _surroundings(self, rotations: Array, origins: Array, places: Array, found: Findings) -> None:
        """Every corner of every shape that the world's planes and zones count for."""
        model = self._body.model
        allowed_m = self._config.clearance_min_m
        for number, outline in enumerate(self._outlines.values()):
            if not model.planes and not model.keepouts:
                break
            turned = self._rotation.T @ rotations[:, number]
            origin = (origins[:, number] - self._origin) @ self._rotation
            c, s = np.cos(places[:, 2]), np.sin(places[:, 2])
            yaw = np.zeros((len(places), 3, 3))
            yaw[:, 0, 0], yaw[:, 0, 1], yaw[:, 1, 0], yaw[:, 1, 1], yaw[:, 2, 2] = c, -s, s, c, 1.0
            turned, origin = yaw @ turned, in_world(origin, places)
            for plane in model.planes:
                normal = np.array(plane.normal)
                corners_m = (normal @ turned) @ outline.corners.T
                off_m = corners_m.min(axis=1) + origin @ normal - outline.radius_m - plane.offset_m - allowed_m
                found.beyond("a corner behind a plane", off_m < -1e-6, off_m)
            for zone in model.keepouts:
                for some in np.array_split(np.arange(len(places)), max(1, len(places) // 200)):
                    corners = outline.corners @ np.swapaxes(turned[some], 1, 2) + origin[some, None]
                    beyond = np.maximum(0.0, np.maximum(np.array(zone.min_m) - corners, corners - np.array(zone.max_m)))
                    off_m = np.linalg.norm(beyond, axis=2).min(axis=1) - outline.radius_m - zone.radius_m
                    found.beyond("a corner in a zone", off_m < 0.0, off_m)

    def _positions(self, q: Array) -> Array:
        axis = {name: number for number, name in enumerate(self._config.axis_names)}
        columns = [one.ratio * q[:, axis[one.axis_name]] + one.at_zero for _, one in self._joints]
        return np.stack(columns, axis=1) if columns else np.zeros((len(q), 0))

    def _promises(self, links: dict[str, list[str]]) -> dict[tuple[str, str], float]:
        """Every two shapes on different links whose capsules are kept apart, with the distance that is promised."""
        clearance_m = self._config.clearance_min_m
        promised = {frozenset(pair): clearance_m for pair in self._file.pairs}
        promised |= {frozenset(pair): min(clearance_m, self._file.apart_m) for pair in self._file.apart}
        promised |= {frozenset(near.pair): min(near.at_least_m, clearance_m) for near in self._file.near}
        kept = {frozenset(pair) for pair in self._body.model.pairs}
        # A pair that has to be watched and is not is one that a person lets touch.
        watched = {frozenset(pair) for pair in self._file.pairs}
        watched |= {frozenset(near.pair) for near in self._file.near if not near.proved}
        let_touch = {frozenset(pair) for pair in self._file.neighbours} | (watched - kept)
        of_link: dict[str, list[str]] = {}
        for capsule in self._file.capsules:
            of_link.setdefault(capsule.source_link or capsule.name, []).append(capsule.name)
        # Where a link has as many capsules as shapes, they are in the same order; else any of them may hold a shape.
        holders = {
            shape: of_link.get(link, [])[number : number + 1]
            if len(of_link.get(link, ())) == len(shapes)
            else of_link.get(link, [])
            for link, shapes in links.items()
            for number, shape in enumerate(shapes)
        }
        judged: dict[tuple[str, str], float] = {}
        for one_link, two_link in combinations(links, 2):
            for one, two in product(links[one_link], links[two_link]):
                pairs = [frozenset(pair) for pair in product(holders[one], holders[two])]
                if pairs and all(pair in promised and pair not in let_touch for pair in pairs):
                    judged[one, two] = min(promised[pair] for pair in pairs)
        return judged

    def _has(self, name: str) -> bool:
        return bool(mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_JOINT, name) >= 0)

    def _number(self, joint: str) -> int:
        return [one.name for one in self._file.joints].index(joint)

    def _in_world(self, links: dict[str, list[str]]) -> dict[int, _Outline]:
        wanted: dict[str, bool] = {}
        for capsule in self._file.capsules:
            link = capsule.source_link or capsule.name
            wanted[link] = wanted.get(link, True) and capsule.in_world
        names = [geom for link, geoms in links.items() if wanted.get(link, False) for geom in geoms]
        return {self.model.geom(name).id: _outline(self.model, self.model.geom(name).id) for name in names}

    def _placed(self) -> tuple[Array, Array]:
        """Where the robot's base is in MuJoCo's world: the turn and shift that lay its joints on each other."""
        mujoco.mj_resetData(self.model, self.data)
        q = np.zeros((1, len(self._config.axis_names)))
        for joint, position in zip(self._joints, self._positions(q)[0], strict=True):
            self.data.qpos[joint[0].qposadr[0]] = position
        mujoco.mj_kinematics(self.model, self.data)
        frames = self._body.frames(q)
        ours, theirs = [], []
        for joint, one in self._joints:
            rotation, origin = (each[0] for each in frames[self._number(one.name)])
            if joint.type[0] != mujoco.mjtJoint.mjJNT_HINGE:
                continue
            anchor, axis = self.data.xanchor[joint.id], self.data.xaxis[joint.id]
            ours += [origin, origin + rotation[:, 2]]
            theirs += [anchor, anchor + axis]
        if len(ours) < 4:
            return np.eye(3), np.zeros(3)
        mine, other = np.array(ours), np.array(theirs)
        left, _, right = np.linalg.svd((mine - mine.mean(axis=0)).T @ (other - other.mean(axis=0)))
        flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(right.T @ left.T))])
        turn = right.T @ flip @ left.T
        return turn, other.mean(axis=0) - turn @ mine.mean(axis=0)


_WORLD = "what the robot stands on"


def _loaded(description: Path, folder: Path) -> mujoco.MjSpec:
    """The description, with the meshes of a URDF under names of their own, in a format that MuJoCo reads."""
    root = ElementTree.parse(description).getroot()
    if root.tag != "robot":
        return mujoco.MjSpec.from_file(str(description))
    packages = Packages(description)
    for link in root.findall("link"):
        for part in [*link.findall("visual"), *link.findall("inertial")]:
            link.remove(part)
    for number, mesh in enumerate(root.iter("mesh")):
        whole = trimesh.load_scene(packages.file(mesh.attrib["filename"]), process=False).to_geometry()
        (folder / f"mesh{number}.stl").write_bytes(trimesh.exchange.stl.export_stl(whole))
        mesh.set("filename", f"mesh{number}.stl")
    # Shapes of the first link are left out by MuJoCo, which makes it a part of the world.
    children = {child.attrib["link"] for child in root.iter("child")}
    first = next(name for link in root.findall("link") if (name := link.attrib["name"]) not in children)
    ElementTree.SubElement(root, "link", name=_WORLD)
    foot = ElementTree.SubElement(root, "joint", name=_WORLD, type="fixed")
    ElementTree.SubElement(foot, "parent", link=_WORLD)
    ElementTree.SubElement(foot, "child", link=first)
    shapes = len(list(root.iter("collision")))
    settings = ElementTree.SubElement(ElementTree.SubElement(root, "mujoco"), "compiler")
    for key, value in (
        ("meshdir", str(folder)),
        ("fusestatic", "false"),
        ("boundmass", "0.001"),
        ("boundinertia", "0.000001"),
    ):
        settings.set(key, value)
    spec = mujoco.MjSpec.from_string(ElementTree.tostring(root, encoding="unicode"))
    assert len(spec.geoms) == shapes, f"MuJoCo has {len(spec.geoms)} of {shapes} shapes"
    return spec


def _outline(model: mujoco.MjModel, geom: int) -> _Outline:
    kind, (x, y, z) = mujoco.mjtGeom(int(model.geom_type[geom])), model.geom_size[geom]
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = model.geom_dataid[geom]
        start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        corners = np.array(model.mesh_vert[start : start + count], np.float64)
        # Only the convex hull's: first how many, then as many of its edges as of its faces, then which.
        graph = model.mesh_graph[model.mesh_graphadr[mesh] :]
        return _Outline(corners[graph[2 + graph[0] : 2 + 2 * graph[0]]], 0.0)
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        return _Outline(np.array(list(product((-x, x), (-y, y), (-z, z)))), 0.0)
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return _Outline(np.zeros((1, 3)), float(x))
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        return _Outline(np.array([[0.0, 0.0, -y], [0.0, 0.0, y]]), float(x))
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        angle = np.arange(_ROUND_CORNERS) * (2.0 * np.pi / _ROUND_CORNERS)
        ring = np.stack((x * np.cos(angle), x * np.sin(angle)), axis=1)
        return _Outline(np.array([(*point, end) for point in ring for end in (-y, y)]), 0.0)
    raise ValueError(f"a shape of kind {kind.name} is not judged")
