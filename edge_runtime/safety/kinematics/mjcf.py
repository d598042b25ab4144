"""Reads MJCF, as MuJoCo compiles it: defaults, includes, meshes and all.

The robot is the body under the world that carries the joints asked for, with everything below it, and the frame of
that body at rest becomes the world of the kernel. Where several bodies carry them, as the arms of a pair may, all of
those are the robot, and the world of the file is that of the kernel. If nobody asked, it is what actuators move, or
where there are none whatever has a hinge or a slide. What else stands in the file is surroundings, and stays out. A
body's collision geoms count, and others beside them are drawn; of a body that has none, all count. Limits of actuators
and tendons count as those of their joints; those that several joints share are named in a note.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import source
from edge_runtime.safety.kinematics.actuators import Stated, limits_force, magnitude
from edge_runtime.safety.kinematics.limits import SourceLimits
from edge_runtime.safety.kinematics.source import Array, Kind, Mimic, Shape, SourceJoint, SourceTree, pose


def read_mjcf(path: Path, joint_names: Sequence[str] | None = None) -> SourceTree:
    """The robot in the file.

    Args:
        path: MJCF.
        joint_names: joints of the robot; None: what actuators move is it.

    Raises:
        ConfigError: names the file, body, joint or geom, and what is wrong with it.
        ImportError: MuJoCo is not installed.
    """
    import mujoco

    try:
        spec = mujoco.MjSpec.from_file(str(path))
        # What is only drawn is read and named, not left out because the file says so.
        spec.compiler.discardvisual = False
        model = spec.compile()
    except ValueError as error:
        raise ConfigError(str(path), f"MuJoCo can't read it: {' '.join(str(error).split())}") from error
    return _Reader(mujoco, model, str(path), joint_names).tree()


class _Reader:
    def __init__(self, mujoco: Any, model: Any, path: str, joint_names: Sequence[str] | None) -> None:
        self.mujoco = mujoco
        self.model = model
        self.path = path
        self.joint_names = joint_names
        pairs = (model.pair_geom1, model.pair_geom2)
        self.in_pairs = {int(geom) for geoms in pairs for geom in geoms}

    def tree(self) -> SourceTree:
        model = self.model
        roots = self._roots(self.joint_names)
        bodies = [body for body in range(model.nbody) if int(model.body_rootid[body]) in roots]
        names = {body: self._body_name(body) for body in bodies}
        base = "world"
        self._require_open_chains(names, self.joint_names or ())
        joints: list[SourceJoint] = []
        shapes: dict[str, tuple[Shape, ...]] = {}
        drawn: dict[str, tuple[Shape | None, ...]] = {}
        for body in bodies:
            parent = base if body in roots else names[model.body_parentid[body]]
            X_PB = np.eye(4) if roots == {body} else self._pose(model.body_pos[body], model.body_quat[body])
            joints += self._joints(body, parent, names[body], X_PB)
            solid, beside = self._geoms(body)
            shapes[names[body]] = tuple(self._solid(geom, names[body]) for geom in solid)
            if beside:
                drawn[names[body]] = tuple(map(self._shape, beside))
        _require_different("body", [base, *(joint.child for joint in joints)])
        _require_different("joint", [joint.name for joint in joints])
        points = {
            model.site(site).name: (names[model.site_bodyid[site]], model.site_pos[site].copy())
            for site in range(model.nsite)
            if model.site_bodyid[site] in names and model.site(site).name
        }
        notes = (*self._frame(roots), *self._left_out(roots), *self._shared_limits(roots))
        if drawn:
            count = sum(map(len, drawn.values()))
            notes += (f"geoms that collide with nothing are taken as drawings: {count}, on {', '.join(drawn)}",)
        return SourceTree(root=base, joints=tuple(joints), shapes=shapes, points=points, drawn=drawn, notes=notes)

    def _frame(self, roots: set[int]) -> tuple[str, ...]:
        if len(roots) == 1:
            return ()
        names = " and ".join(self._body_name(root) for root in sorted(roots))
        return (f"the world is that of the file, in which {names} stand",)

    def _left_out(self, roots: set[int]) -> tuple[str, ...]:
        model = self.model
        others = [body for body in range(1, model.nbody) if model.body_rootid[body] == body and body not in roots]
        others += [0] if model.body_geomnum[0] else []
        if not others:
            return ()
        names = ", ".join(model.body(body).name or f"body {body}" for body in others)
        robot = " and ".join(self._body_name(root) for root in sorted(roots))
        return (f"what is not below {robot} is no part of the robot, and nothing keeps it off: {names}",)

    def _roots(self, joint_names: Sequence[str] | None) -> set[int]:
        model = self.model
        kinds = self._kinds()
        moving = [j for j in range(model.njnt) if int(model.jnt_type[j]) in kinds]
        if joint_names is not None:
            named = {self._joint_name(j): j for j in moving}
            wanted = [named[name] for name in joint_names if name in named]
        else:
            driven = {j for actuator in range(model.nu) for j in self._joints_at(actuator)}
            wanted = [j for j in moving if j in driven]
        roots = {int(model.body_rootid[model.jnt_bodyid[j]]) for j in wanted or moving}
        if not roots:
            raise ConfigError(self.path, "has no joint that turns or slides: nothing to control")
        return roots if wanted or joint_names is None else {min(roots)}

    def _kinds(self) -> dict[int, Kind]:
        types = self.mujoco.mjtJoint
        return {int(types.mjJNT_HINGE): Kind.REVOLUTE, int(types.mjJNT_SLIDE): Kind.PRISMATIC}

    def _joint_name(self, j: int) -> str:
        """The joint's own, or one after its body where the file gives none."""
        body = int(self.model.jnt_bodyid[j])
        number = j - int(self.model.body_jntadr[body]) + 1
        return str(self.model.joint(j).name) or f"{self._body_name(body)}_joint{number}"

    def _joints(self, body: int, parent: str, child: str, X_PB: Array) -> list[SourceJoint]:
        """Joints of one body turn it one after the other, each about its own anchor: a chain of links without shapes,
        which ends in the body."""
        model, types, kinds = self.model, self.mujoco.mjtJoint, self._kinds()
        found: list[SourceJoint] = []
        at, X = parent, X_PB
        for j in range(model.body_jntadr[body], model.body_jntadr[body] + model.body_jntnum[body]):
            name = self._joint_name(j)
            if int(model.jnt_type[j]) == int(types.mjJNT_FREE):
                under = f"{child} under {name}"
                found.append(SourceJoint(name=name, kind=Kind.FREE, parent=at, child=under, X_PC=X))
                at, X = under, np.eye(4)
                continue
            if int(model.jnt_type[j]) not in kinds:
                raise ConfigError(f"joint {name}", "is a ball joint: a robot has hinges and slides only")
            kind = kinds[int(model.jnt_type[j])]
            axis, at_rest = model.jnt_axis[j].copy(), float(model.qpos0[model.jnt_qposadr[j]])
            # Where a slide is anchored changes nothing, and its link keeps the frame of the body.
            anchor_m = model.jnt_pos[j] if kind is Kind.REVOLUTE else np.zeros(3)
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
                    limits=self._limits(j, low, high) if self._is_controlled(j) else SourceLimits(),
                    mimic=self._mimic(j),
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

    def _is_controlled(self, j: int) -> bool:
        moves = int(self.model.jnt_type[j]) in self._kinds()
        return moves and (self.joint_names is None or self._joint_name(j) in self.joint_names)

    def _limits(self, j: int, low: float | None, high: float | None) -> SourceLimits:
        model = self.model
        found = Stated(lows=[] if low is None else [low], highs=[] if high is None else [high])
        if model.jnt_actfrclimited[j]:
            found.efforts.append(magnitude(model.jnt_actfrcrange[j]))
        for tendon in range(model.ntendon):
            per_rad = _alone(self._joints_of(tendon), j)
            if per_rad is not None:
                found.add_tendon(model, tendon, per_rad)
        for actuator in range(model.nu):
            per_rad = _alone(self._joints_at(actuator), j)
            if per_rad is not None:
                found.add_actuator(self.mujoco, model, actuator, per_rad)
        slides = self._kinds()[int(model.jnt_type[j])] is Kind.PRISMATIC
        return found.limits(f"joint {self._joint_name(j)}", slides=slides)

    def _shared_limits(self, roots: set[int]) -> Iterator[str]:
        """Limits that are of no one controlled joint, and so of none that the kernel keeps."""
        model = self.model
        for tendon in range(model.ntendon):
            if model.tendon_limited[tendon] or limits_force(model, tendon):
                yield from self._shared(roots, f"tendon {model.tendon(tendon).name}", self._joints_of(tendon))
        for actuator in range(model.nu):
            limited = (model.actuator_ctrllimited, model.actuator_forcelimited, model.actuator_actlimited)
            if any(one[actuator] for one in limited):
                yield from self._shared(roots, f"actuator {model.actuator(actuator).name}", self._joints_at(actuator))

    def _shared(self, roots: set[int], what: str, joints: dict[int, float]) -> Iterator[str]:
        model = self.model
        of_robot = [j for j in sorted(joints) if int(model.body_rootid[model.jnt_bodyid[j]]) in roots]
        controlled = [self._joint_name(j) for j in of_robot if self._is_controlled(j)]
        if controlled and _alone(joints, of_robot[0]) is None:
            yield (
                f"the limits of {what} are not kept, because they are not of one joint alone: state what they mean for "
                f"{', '.join(controlled)} in the safety file"
            )

    def _joints_at(self, actuator: int) -> dict[int, float]:
        """Joints that an actuator moves, with how much longer it gets for each rad, before its gear; NaN if that
        changes."""
        model, types = self.model, self.mujoco.mjtTrn
        kind, at = int(model.actuator_trntype[actuator]), int(model.actuator_trnid[actuator, 0])
        if kind in (int(types.mjTRN_JOINT), int(types.mjTRN_JOINTINPARENT)):
            return {at: 1.0}
        if kind == int(types.mjTRN_TENDON):
            return self._joints_of(at)
        if kind in (int(types.mjTRN_SITE), int(types.mjTRN_SLIDERCRANK)):
            return dict.fromkeys(self._joints_above(int(model.site_bodyid[at])), math.nan)
        return {}

    def _mimic(self, j: int) -> Mimic | None:
        """Of `<equality><joint>`: y - y0 = a0 + a1 (x - x0) + ..., with the joints' references y0 and x0."""
        model = self.model
        name = self._joint_name(j)
        rows = [
            row
            for row in range(model.neq)
            if model.eq_type[row] == self.mujoco.mjtEq.mjEQ_JOINT
            and model.eq_active0[row]
            and model.eq_obj1id[row] == j
        ]
        if not rows:
            return None
        if len(rows) > 1:
            raise ConfigError(f"joint {name}", "is coupled by two <equality> constraints: one must say where it is")
        other = int(model.eq_obj2id[rows[0]])
        a0, a1, *higher = (float(value) for value in model.eq_data[rows[0]][:5])
        if other < 0:
            raise ConfigError(f"joint {name}", "is held by an <equality> of its own: take the joint out of the body")
        if any(higher):
            problem = f"goes with {self._joint_name(other)} by a polynomial that is no line: only a line can be read"
            raise ConfigError(f"joint {name}", problem)
        y0, x0 = (float(model.qpos0[model.jnt_qposadr[one]]) for one in (j, other))
        return Mimic(self._joint_name(other), a1, y0 + a0 - a1 * x0)

    def _require_open_chains(self, names: dict[int, str], joint_names: Sequence[str]) -> None:
        """Bodies and tendons that are tied to each other: a joint of the chain that is not controlled moves with those
        that are."""
        for what, joints in self._ties(names):
            known = {self._joint_name(j) for j in joints}
            controlled = known & set(joint_names)
            free = sorted(known - controlled)
            if controlled and free:
                raise ConfigError(
                    what,
                    f"tied by an <equality>, so that {', '.join(free)} moves with {', '.join(sorted(controlled))} in a "
                    "closed chain, which can't be followed: name all joints of the chain in the embodiment, or "
                    "describe the robot without it",
                )

    def _ties(self, names: dict[int, str]) -> Iterator[tuple[str, set[int]]]:
        """What is tied, and the joints that are so coupled; of this robot alone."""
        model, types = self.model, self.mujoco.mjtEq
        for row in range(model.neq):
            kind, first, second = int(model.eq_type[row]), int(model.eq_obj1id[row]), int(model.eq_obj2id[row])
            if not model.eq_active0[row]:
                continue
            if kind in (int(types.mjEQ_CONNECT), int(types.mjEQ_WELD)):
                if model.eq_objtype[row] == self.mujoco.mjtObj.mjOBJ_SITE:
                    first, second = (int(model.site_bodyid[site]) for site in (first, second))
                if first in names and (second in names or second == 0):
                    ends = " and ".join(str(model.body(end).name) for end in (first, second))
                    yield f"bodies {ends}", set(self._joints_above(first)) ^ set(self._joints_above(second))
            elif kind == int(types.mjEQ_TENDON):
                tendons = [tendon for tendon in (first, second) if tendon >= 0]
                joints = {j for tendon in tendons for j in self._joints_of(tendon) if model.jnt_bodyid[j] in names}
                yield f"tendon {model.tendon(tendons[0]).name}", joints

    def _joints_of(self, tendon: int) -> dict[int, float]:
        """Joints that change a tendon's length, with how much for each rad; NaN for one that runs through space."""
        model, types = self.model, self.mujoco.mjtWrap
        joints: dict[int, float] = {}
        bodies: list[int] = []
        first = int(model.tendon_adr[tendon])
        for wrap in range(first, first + int(model.tendon_num[tendon])):
            kind, at = int(model.wrap_type[wrap]), int(model.wrap_objid[wrap])
            if kind == int(types.mjWRAP_JOINT):
                joints[at] = joints.get(at, 0.0) + float(model.wrap_prm[wrap])
            elif kind == int(types.mjWRAP_SITE):
                bodies.append(int(model.site_bodyid[at]))
            elif kind in (int(types.mjWRAP_SPHERE), int(types.mjWRAP_CYLINDER)):
                bodies.append(int(model.geom_bodyid[at]))
        chains = [self._joints_above(body) for body in bodies]
        between = (j for chain in chains for j in chain if not all(j in other for other in chains))
        joints |= dict.fromkeys(between, math.nan)
        return {j: per_rad for j, per_rad in joints.items() if per_rad != 0.0}

    def _joints_above(self, body: int) -> list[int]:
        """Joints between the world and this body."""
        found: list[int] = []
        while body > 0:
            first = int(self.model.body_jntadr[body])
            found += range(first, first + int(self.model.body_jntnum[body]))
            body = int(self.model.body_parentid[body])
        return found

    def _geoms(self, body: int) -> tuple[list[int], list[int]]:
        """Geoms of a body that are solid, and those that are drawn beside them."""
        model = self.model
        geoms = range(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body])
        solid = [
            geom for geom in geoms if model.geom_contype[geom] or model.geom_conaffinity[geom] or geom in self.in_pairs
        ]
        solid = solid or list(geoms)
        return solid, [geom for geom in geoms if geom not in solid]

    def _solid(self, geom: int, body: str) -> Shape:
        shape = self._shape(geom)
        if shape is None:
            kind = self.mujoco.mjtGeom(int(self.model.geom_type[geom]))
            raise ConfigError(f"body {body}", f"a geom of type {kind.name} can't be part of a robot")
        return shape

    def _shape(self, geom: int) -> Shape | None:
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
            return None
        return found.placed(self._pose(model.geom_pos[geom], model.geom_quat[geom]))

    def _pose(self, offset_m: Array, quaternion: Array) -> Array:
        rotation = np.zeros(9)
        self.mujoco.mju_quat2Mat(rotation, quaternion)
        return pose(rotation.reshape(3, 3), offset_m)

    def _body_name(self, body: int) -> str:
        name = str(self.model.body(body).name)
        if name:
            return name
        name = f"body{body}"
        while self.mujoco.mj_name2id(self.model, self.mujoco.mjtObj.mjOBJ_BODY, name) >= 0:
            name += "_"
        return name


def _require_different(what: str, names: Sequence[str]) -> None:
    """Of two with one name the shapes of the first would be lost."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"{what} {name}", "is what two of them are called here: give one of them another name")
        seen.add(name)


def _alone(joints: dict[int, float], j: int) -> float | None:
    """How much for each rad of `j`, if that is constant and there is no other joint."""
    per_rad = joints.get(j, math.nan)
    return None if len(joints) > 1 or math.isnan(per_rad) else per_rad
