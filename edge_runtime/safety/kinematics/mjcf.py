"""Reads MJCF, as MuJoCo compiles it: defaults, includes, meshes and all.

The robot is the body under the world that carries the joints asked for, with everything below it; the frame of that
body at rest becomes the world of the kernel. What else stands in the file is surroundings, and stays out. A body's
collision geoms count; of a body that has none, all do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contracts.errors import ConfigError
from edge_runtime.safety.kinematics import source
from edge_runtime.safety.kinematics.model import SourceLimits
from edge_runtime.safety.kinematics.source import Array, Kind, Shape, SourceJoint, SourceTree, pose


def read_mjcf(path: Path, joint_names: Sequence[str] | None = None) -> SourceTree:
    """The robot in the file.

    Args:
        path: MJCF.
        joint_names: joints of the robot; None: the first body with a hinge is it.

    Raises:
        ConfigError: names the file, body, joint or geom, and what is wrong with it.
        ImportError: MuJoCo is not installed.
    """
    import mujoco

    try:
        model = mujoco.MjModel.from_xml_path(str(path))
    except ValueError as error:
        raise ConfigError(str(path), f"MuJoCo can't read it: {' '.join(str(error).split())}") from error
    return _Reader(mujoco, model, str(path)).tree(joint_names)


class _Reader:
    def __init__(self, mujoco: Any, model: Any, path: str) -> None:
        self.mujoco = mujoco
        self.model = model
        self.path = path

    def tree(self, joint_names: Sequence[str] | None) -> SourceTree:
        model = self.model
        root = self._root(joint_names)
        bodies = [body for body in range(model.nbody) if model.body_rootid[body] == root]
        names = {body: self._body_name(body) for body in bodies}
        base = "world"
        joints: list[SourceJoint] = []
        shapes: dict[str, tuple[Shape, ...]] = {}
        for body in bodies:
            parent = base if body == root else names[model.body_parentid[body]]
            X_PB = np.eye(4) if body == root else self._pose(model.body_pos[body], model.body_quat[body])
            joints += self._joints(body, parent, names[body], X_PB)
            shapes[names[body]] = self._shapes(body, names[body])
        points = {
            model.site(site).name: (names[model.site_bodyid[site]], model.site_pos[site].copy())
            for site in range(model.nsite)
            if model.site_bodyid[site] in names and model.site(site).name
        }
        return SourceTree(root=base, joints=tuple(joints), shapes=shapes, points=points)

    def _root(self, joint_names: Sequence[str] | None) -> int:
        model = self.model
        hinges = [j for j in range(model.njnt) if model.jnt_type[j] == self.mujoco.mjtJoint.mjJNT_HINGE]
        named = {model.joint(j).name: j for j in hinges}
        if not hinges:
            raise ConfigError(self.path, "has no hinge")
        wanted = [named[name] for name in joint_names or () if name in named] or hinges[:1]
        roots = {int(model.body_rootid[model.jnt_bodyid[j]]) for j in wanted}
        if len(roots) != 1:
            raise ConfigError(self.path, "the joints belong to several robots")
        return roots.pop()

    def _joints(self, body: int, parent: str, child: str, X_PB: Array) -> list[SourceJoint]:
        """Joints of one body turn it one after the other, each about its own anchor: a chain of links without shapes,
        which ends in the body."""
        model, types = self.model, self.mujoco.mjtJoint
        found: list[SourceJoint] = []
        at, X = parent, X_PB
        for j in range(model.body_jntadr[body], model.body_jntadr[body] + model.body_jntnum[body]):
            name = model.joint(j).name
            if not name:
                raise ConfigError(f"body {child}", "has a joint without a name")
            kinds = {int(types.mjJNT_HINGE): Kind.REVOLUTE, int(types.mjJNT_SLIDE): Kind.PRISMATIC}
            if int(model.jnt_type[j]) not in kinds:
                raise ConfigError(f"joint {name}", "a robot has hinges and slides only; it must be fixed to the world")
            kind = kinds[int(model.jnt_type[j])]
            axis, anchor_m, at_rest = (
                model.jnt_axis[j].copy(),
                model.jnt_pos[j],
                float(model.qpos0[model.jnt_qposadr[j]]),
            )
            limited = bool(model.jnt_limited[j])
            low, high = (float(end) for end in model.jnt_range[j]) if limited else (None, None)
            # The file shows the robot with the joint at its reference, not at 0.
            X_rest = self._back(kind, axis, at_rest)
            found.append(
                SourceJoint(
                    name=name,
                    kind=kind,
                    parent=at,
                    child=f"{child} under {name}",
                    X_PC=X @ pose(np.eye(3), anchor_m) @ X_rest,
                    axis=tuple(axis.tolist()),
                    position_min=low,
                    position_max=high,
                    limits=self._limits(j, low, high) if kind is Kind.REVOLUTE else SourceLimits(),
                )
            )
            at, X = f"{child} under {name}", pose(np.eye(3), -anchor_m)
        found.append(SourceJoint(name=f"{child} fixed", kind=Kind.FIXED, parent=at, child=child, X_PC=X))
        return found

    def _back(self, kind: Kind, axis: Array, at_rest: float) -> Array:
        if kind is Kind.PRISMATIC:
            return pose(np.eye(3), -at_rest * axis)
        quaternion = np.zeros(4)
        self.mujoco.mju_axisAngle2Quat(quaternion, axis, -at_rest)
        return self._pose(np.zeros(3), quaternion)

    def _limits(self, j: int, low: float | None, high: float | None) -> SourceLimits:
        model = self.model
        torques_nm = []
        if model.jnt_actfrclimited[j]:
            torques_nm.append(float(np.abs(model.jnt_actfrcrange[j]).max()))
        for actuator in range(model.nu):
            on_joint = model.actuator_trntype[actuator] == self.mujoco.mjtTrn.mjTRN_JOINT
            if on_joint and model.actuator_trnid[actuator, 0] == j and model.actuator_forcelimited[actuator]:
                gear = abs(float(model.actuator_gear[actuator, 0]))
                torques_nm.append(gear * float(np.abs(model.actuator_forcerange[actuator]).max()))
        return SourceLimits(
            position_min_rad=low, position_max_rad=high, torque_max_nm=min(torques_nm) if torques_nm else None
        )

    def _shapes(self, body: int, name: str) -> tuple[Shape, ...]:
        model = self.model
        geoms = range(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body])
        solid = [geom for geom in geoms if model.geom_contype[geom] or model.geom_conaffinity[geom]]
        return tuple(self._shape(geom, name) for geom in solid or geoms)

    def _shape(self, geom: int, body: str) -> Shape:
        model, types = self.model, self.mujoco.mjtGeom
        x, y, z = (float(value) for value in model.geom_size[geom])
        kind = int(model.geom_type[geom])
        if kind == types.mjGEOM_SPHERE:
            found = source.ball(x)
        elif kind == types.mjGEOM_CAPSULE:
            found = source.capsule(x, y)
        elif kind == types.mjGEOM_CYLINDER:
            found = source.cylinder(x, y)
        elif kind == types.mjGEOM_BOX:
            found = source.box(x, y, z)
        elif kind == types.mjGEOM_ELLIPSOID:
            found = source.ellipsoid((x, y, z))
        elif kind == types.mjGEOM_MESH:
            mesh = model.geom_dataid[geom]
            start = model.mesh_vertadr[mesh]
            found = source.points(model.mesh_vert[start : start + model.mesh_vertnum[mesh]])
        else:
            raise ConfigError(f"body {body}", f"a geom of type {types(kind).name} can't be part of a robot")
        return found.placed(self._pose(model.geom_pos[geom], model.geom_quat[geom]))

    def _pose(self, offset_m: Array, quaternion: Array) -> Array:
        rotation = np.zeros(9)
        self.mujoco.mju_quat2Mat(rotation, quaternion)
        return pose(rotation.reshape(3, 3), offset_m)

    def _body_name(self, body: int) -> str:
        return str(self.model.body(body).name) or f"body{body}"
