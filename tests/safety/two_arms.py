"""Robots with two arms and with hands, as a URDF and an MJCF of our own, and how far their parts really are apart.

Distances are MuJoCo's, of the shapes in the description: neither capsules nor the kernel's geometry take part.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import mujoco
import numpy as np

_SIDES = {"left": 0.22, "right": -0.22}

# Of one arm's joints: axis, where it sits on the link before, and its range.
_JOINTS = (
    ("0 0 1", "0 0 0.06", 2.9),
    ("0 1 0", "0 0 0.10", 1.9),
    ("0 1 0", "0 0 0.26", 2.4),
    ("1 0 0", "0 0 0.08", 2.9),
    ("0 1 0", "0 0 0.18", 1.9),
    ("0 0 1", "0 0 0.08", 2.9),
)
# Of one arm's links: radius, length and where the cylinder's middle is.
_CYLINDERS = (
    ((0.05, 0.08, "0 0 0.04"),),
    ((0.04, 0.22, "0 0 0.13"),),
    ((0.045, 0.06, "0 0 0.02"),),
    ((0.035, 0.16, "0 0 0.10"),),
    ((0.035, 0.06, "0 0 0.02"),),
    ((0.03, 0.06, "0 0 0.04"), (0.02, 0.12, "0 0.05 0.11"), (0.02, 0.12, "0 -0.05 0.11")),
)


def two_arms_urdf(folder: Path) -> Path:
    """12 joints and 16 cylinders on one pedestal."""
    parts = ['<robot name="two_arms"><mujoco><compiler fusestatic="false" discardvisual="true"/></mujoco>']
    parts.append('<link name="torso"/>')
    for side, y_m in _SIDES.items():
        parent = "torso"
        for number, ((axis, place, reach), cylinders) in enumerate(zip(_JOINTS, _CYLINDERS, strict=True)):
            name = f"{side}_{number + 1}"
            place = f"0 {y_m} 0.06" if number == 0 else place
            parts.append(
                f'<joint name="{name}" type="revolute"><parent link="{parent}"/><child link="{name}_link"/>'
                f'<origin xyz="{place}"/><axis xyz="{axis}"/>'
                f'<limit lower="{-reach}" upper="{reach}" velocity="2" effort="50"/></joint><link name="{name}_link">'
                '<inertial><mass value="1"/><inertia ixx="0.1" iyy="0.1" izz="0.1" ixy="0" ixz="0" iyz="0"/></inertial>'
            )
            parts += [
                f'<collision><origin xyz="{middle}"/><geometry><cylinder radius="{radius}" length="{length}"/>'
                "</geometry></collision>"
                for radius, length, middle in cylinders
            ]
            parts.append("</link>")
            parent = f"{name}_link"
    path = folder / "two_arms.urdf"
    path.write_text("\n".join([*parts, "</robot>"]), encoding="utf-8")
    return path


def table_arms_mjcf(folder: Path) -> Path:
    """Two arms of six joints face each other across a table; each ends in two fingers that slide."""
    arms = [_table_arm(side, x_m, turn) for side, x_m, turn in (("left", -0.35, 0.0), ("right", 0.35, 3.14159))]
    path = folder / "table_arms.xml"
    path.write_text(
        '<mujoco><compiler angle="radian"/><default><geom mass="0.1"/></default><worldbody><body name="beam">'
        '<geom name="beam" type="box" size="0.3 0.03 0.02" pos="0 0 -0.06"/>'
        f"{''.join(arms)}</body></worldbody></mujoco>",
        encoding="utf-8",
    )
    return path


def _table_arm(side: str, x_m: float, turn: float) -> str:
    fingers = "".join(
        f'<body name="{side}_finger{k}" pos="0.1 {0.02 * sign} 0"><joint name="{side}_slide{k}" type="slide" '
        f'axis="0 {sign} 0" range="0 0.03"/><geom name="{side}_finger{k}" type="box" size="0.05 0.006 0.012"/></body>'
        for k, sign in ((1, 1), (2, -1))
    )

    def hinge(name: str, axis: str, reach: str) -> str:
        return f'<joint name="{side}_{name}" axis="{axis}" range="{reach}"/>'

    def rod(name: str, size: str, pos: str) -> str:
        return f'<geom name="{side}_{name}" type="box" size="{size}" pos="{pos}"/>'

    return (
        f'<body name="{side}_base" pos="{x_m} 0 0" euler="0 0 {turn}">{hinge("waist", "0 0 1", "-3 3")}'
        f"{rod('waist', '0.04 0.04 0.05', '0 0 0.05')}"
        f'<body name="{side}_upper" pos="0 0 0.1">{hinge("shoulder", "0 1 0", "-1.8 1.2")}'
        f"{rod('upper', '0.03 0.03 0.12', '0 0 0.15')}"
        f'<body name="{side}_lower" pos="0 0 0.3">{hinge("elbow", "0 1 0", "-1.7 1.6")}'
        f"{rod('lower', '0.11 0.025 0.025', '0.14 0 0')}"
        f'<body name="{side}_fore" pos="0.25 0 0">{hinge("forearm", "1 0 0", "-3 3")}'
        f"{rod('fore', '0.02 0.03 0.03', '0.03 0 0')}"
        f'<body name="{side}_wrist" pos="0.06 0 0">{hinge("wrist", "0 1 0", "-1.8 2.1")}'
        f"{rod('wrist', '0.02 0.025 0.025', '0.03 0 0')}"
        f'<body name="{side}_hand" pos="0.06 0 0">{hinge("roll", "1 0 0", "-3 3")}'
        f"{rod('hand', '0.03 0.05 0.02', '0.04 0 0')}"
        f"{fingers}</body></body></body></body></body></body>"
    )


JAW_MJCF = """<mujoco><compiler angle="radian"/><default><geom mass="0.1"/></default><worldbody><body name="foot">
  <geom type="cylinder" size="0.05 0.03"/>
  <body name="column" pos="0 0 0.05"><joint name="pan" axis="0 0 1" range="-1.9 1.9"/>
    <geom type="capsule" size="0.03" fromto="0 0 0 0 0 0.08"/>
    <body name="arm" pos="0 0 0.1"><joint name="lift" axis="0 1 0" range="-1.7 1.7"/>
      <geom type="box" size="0.015 0.02 0.08" pos="0 0 0.1"/>
      <body name="gripper" pos="0 0 0.2"><joint name="roll" axis="0 0 1" range="-2.7 2.7"/>
        <geom type="box" size="0.03 0.02 0.02" pos="0 0 0.03"/>
        <geom type="box" size="0.004 0.015 0.04" pos="0.02 0 0.09"/>
        <body name="jaw" pos="-0.02 0 0.05"><joint name="jaw" axis="0 1 0" range="-1.75 0.17"/>
          <geom name="jaw" type="box" size="0.004 0.015 0.04" pos="0 0 0.045"/>
          <body name="tip" pos="0 0 0.085"><joint name="tip" axis="0 1 0" range="-0.2 1.2"/>
            <geom name="tip" type="capsule" size="0.006" fromto="0 -0.01 0 0.01 0.01 0.03"/>
            <body name="pad" pos="0.01 0 0.03"><joint name="pad" type="slide" axis="1 0 0" range="0 0.01"/>
              <geom name="pad" type="box" size="0.004 0.01 0.006"/></body></body></body></body></body></body>
  <body name="beacon" pos="0.3 0 0"><joint name="beacon" axis="0 0 1" range="-1 1"/>
    <geom type="box" size="0.1 0.01 0.01" pos="0.1 0 0"/></body>
</body></worldbody></mujoco>"""
"""An arm of three joints whose gripper is a jaw that turns, with a tip that turns on it and a pad that slides on that;
beside it something turns that no joint of the arm carries."""


class RealBody:
    """The shapes of a description as MuJoCo places and measures them."""

    def __init__(self, path: Path) -> None:
        self.model = mujoco.MjModel.from_xml_path(str(path))
        self.data = mujoco.MjData(self.model)

    def move_to(self, joints: Sequence[str], q: Sequence[float]) -> None:
        """Joints that are not named stay where they are."""
        for name, angle in zip(joints, q, strict=True):
            self.data.joint(name).qpos[0] = angle
        mujoco.mj_kinematics(self.model, self.data)

    def moving_pairs(self) -> list[tuple[int, int]]:
        """Geoms of bodies that are more than one joint apart."""
        weld = self.model.body_weldid
        parent = self.model.body_parentid
        bodies = self.model.geom_bodyid

        def neighbours(one: int, other: int) -> bool:
            a, b = weld[bodies[one]], weld[bodies[other]]
            return bool(a == b or weld[parent[a]] == b or weld[parent[b]] == a)

        return [pair for pair in combinations(range(self.model.ngeom), 2) if not neighbours(*pair)]

    def distance_m(self, pair: tuple[int, int], at_most_m: float = 0.5) -> float:
        """Of two geoms, below zero by as much as they overlap."""
        return float(mujoco.mj_geomDistance(self.model, self.data, *pair, at_most_m, None))

    def nearest_m(self, pairs: Sequence[tuple[int, int]], at_most_m: float = 0.5) -> float:
        """Smallest distance of all."""
        return min(self.distance_m(pair, at_most_m) for pair in pairs)

    def surface(self, geom: int, count: int = 200) -> np.ndarray:
        """Points (n, 3) in the world on a box or capsule."""
        generator = np.random.default_rng(geom)
        unit = generator.normal(size=(count, 3))
        unit /= np.linalg.norm(unit, axis=1)[:, None]
        size = self.model.geom_size[geom]
        if self.model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_BOX:
            corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
            points = np.concatenate((corners * size, np.sign(unit) * size))
        else:
            points = unit * size[0] + np.outer(np.sign(unit[:, 2]), (0.0, 0.0, size[1]))
        placed: np.ndarray = points @ self.data.geom_xmat[geom].reshape(3, 3).T + self.data.geom_xpos[geom]
        return placed
