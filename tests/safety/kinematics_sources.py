"""One small arm as URDF and as MJCF: a skew axis, a fixed link, a finger that slides, a flap that nobody controls."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

URDF = """<?xml version="1.0"?>
<robot name="small">
  <link name="foot"><collision><origin xyz="0 0 0.1"/><geometry><cylinder radius="0.1" length="0.2"/></geometry>
  </collision></link>
  <joint name="turn" type="revolute"><parent link="foot"/><child link="column"/><origin xyz="0 0 0.25"/>
    <axis xyz="0 0 1"/><limit lower="-2.5" upper="2.0" velocity="1.5" effort="40"/></joint>
  <link name="column"><collision><origin xyz="0 0 0.15"/><geometry><capsule radius="0.06" length="0.2"/></geometry>
  </collision></link>
  <joint name="lift" type="continuous"><parent link="column"/><child link="boom"/>
    <origin xyz="0.05 0 0.3" rpy="0.3 -0.2 0.9"/><axis xyz="0.6 0 -0.8"/><limit velocity="2" effort="30"/></joint>
  <link name="boom"><collision><origin xyz="0.2 0 0" rpy="0 1.5 0.2"/><geometry><box size="0.06 0.05 0.4"/></geometry>
  </collision></link>
  <joint name="bracket" type="fixed"><parent link="boom"/><child link="plate"/><origin xyz="0.4 0 0.02" rpy="0.1 0 0"/>
  </joint>
  <link name="plate"><collision><geometry><sphere radius="0.04"/></geometry></collision></link>
  <joint name="flap" type="revolute"><parent link="plate"/><child link="lid"/><origin xyz="0 0.03 0"/>
    <axis xyz="0 1 0"/><limit lower="-1" upper="1" velocity="1" effort="1"/></joint>
  <link name="lid"><collision><geometry><sphere radius="0.02"/></geometry></collision></link>
  <joint name="wrist" type="revolute"><parent link="plate"/><child link="hand"/><origin xyz="0.05 0 0.01"/>
    <limit lower="-1" upper="1" velocity="0" effort="0"/></joint>
  <link name="hand"><collision><origin xyz="0.05 0 0"/><geometry>MESH</geometry></collision></link>
  <joint name="grip" type="prismatic"><parent link="hand"/><child link="finger"/><origin xyz="0.1 0.01 0"/>
    <axis xyz="0 1 0"/><limit lower="0.01" upper="0.05" velocity="0.1" effort="5"/></joint>
  <link name="finger"><collision><geometry><sphere radius="0.015"/></geometry></collision></link>
  <joint name="end" type="fixed"><parent link="hand"/><child link="tip"/><origin xyz="0.16 0 0.02"/></joint>
  <link name="tip"/>
</robot>
"""

MJCF = """<mujoco model="small">
  <compiler angle="radian" autolimits="true" eulerseq="XYZ"/>
  <default><geom mass="0.1"/></default>
  ASSET
  <worldbody>
    <geom type="plane" size="1 1 1"/>
    <body name="crate" pos="1 0 0"><freejoint/><geom type="box" size="0.1 0.1 0.1"/></body>
    <body name="foot" pos="0.5 -0.2 0.7" euler="0.1 0.2 0.3">
      <geom type="cylinder" pos="0 0 0.1" size="0.1 0.1"/>
      <body name="column" pos="0 0 0.25">
        <joint name="turn" axis="0 0 1" range="-2.5 2.0"/>
        <geom type="capsule" pos="0 0 0.15" size="0.06 0.1"/>
        <body name="boom" pos="0.05 0 0.3" euler="0.3 -0.2 0.9">
          <joint name="lift" axis="3 0 -4"/>
          <geom type="box" pos="0.2 0 0" euler="0 1.5 0.2" size="0.03 0.025 0.2"/>
          <geom type="box" size="0.3 0.3 0.3" contype="0" conaffinity="0"/>
          <body name="plate" pos="0.4 0 0.02" euler="0.1 0 0">
            <geom type="sphere" size="0.04"/>
            <body name="lid" pos="0 0.03 0">
              <joint name="flap" axis="0 1 0" range="-1 1"/>
              <geom type="sphere" size="0.02"/>
            </body>
            <body name="hand" pos="0.05 0 0.01">
              <joint name="wrist" axis="1 0 0" range="-1 1"/>
              MESH
              <site name="tip" pos="0.16 0 0.02"/>
              <body name="finger" pos="0.1 0.01 0">
                <joint name="grip" type="slide" axis="0 1 0" range="0.01 0.05"/>
                <geom type="sphere" size="0.015"/>
              </body>
            </body>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="turn" gear="20" forcerange="-2 1.5"/>
    <motor joint="lift" forcerange="-30 30"/>
    <motor joint="lift" forcerange="-50 50"/>
  </actuator>
</mujoco>
"""

BOX_M = (0.1, 0.06, 0.04)
_CORNERS = [(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
_QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


def stl(size: tuple[float, float, float], *, text: bool = False) -> bytes:
    """A box as STL."""
    corners = np.array(_CORNERS) * size
    triangles = [corners[list(three)] for a, b, c, d in _QUADS for three in ((a, b, c), (a, c, d))]
    if text:
        corner_lines = [[f"vertex {x:.9g} {y:.9g} {z:.9g}" for x, y, z in one.tolist()] for one in triangles]
        rows = ["\n".join(["facet", "outer loop", *lines, "endloop", "endfacet"]) for lines in corner_lines]
        return "\n".join(["solid box", *rows, "endsolid box"]).encode()
    body = b"".join(struct.pack("<12fH", 0, 0, 0, *one.ravel(), 0) for one in triangles)
    return b"solid but binary".ljust(80) + struct.pack("<I", len(triangles)) + body


def write_urdf(folder: Path, text: str = URDF, mesh: str = '<box size="0.1 0.06 0.04"/>') -> Path:
    """The arm in a file; `mesh` is the shape of its hand."""
    path = folder / "small.urdf"
    path.write_text(text.replace("MESH", mesh), encoding="utf-8")
    return path


def write_mjcf(folder: Path, text: str = MJCF, *, mesh: bool = False) -> Path:
    """The arm in a file; with `mesh` its hand is the mesh file `box.stl`."""
    path = folder / "small.xml"
    shape = 'type="mesh" mesh="box"' if mesh else 'type="box" size="0.05 0.03 0.02"'
    asset = '<asset><mesh name="box" file="box.stl"/></asset>' if mesh else ""
    path.write_text(text.replace("MESH", f'<geom pos="0.05 0 0" {shape}/>').replace("ASSET", asset), encoding="utf-8")
    return path
