"""Small descriptions of robots of many shapes, as makers write them; made of cylinders and boxes."""

from __future__ import annotations

from collections.abc import Sequence


def link(name: str, shape: str = '<cylinder radius="0.03" length="0.16"/>', z_m: float = 0.1, extra: str = "") -> str:
    origin = f'<origin xyz="0 0 {z_m}"/>'
    collision = f"<collision>{origin}<geometry>{shape}</geometry></collision>" if shape else ""
    return f'<link name="{name}">{collision}{extra}</link>'


def joint(
    name: str,
    parent: str,
    child: str,
    *,
    kind: str = "revolute",
    xyz: Sequence[float] = (0.0, 0.0, 0.2),
    axis: str = "0 1 0",
    limit: str = 'lower="-1.5" upper="1.5" velocity="2" effort="20"',
    mimic: str = "",
) -> str:
    place = " ".join(map(str, xyz))
    ends = f"<limit {limit}/>" if limit else ""
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin xyz="{place}"/><axis xyz="{axis}"/>{ends}{mimic}</joint>'
    )


def robot(*parts: str) -> str:
    return f'<?xml version="1.0"?>\n<robot name="own">{"".join(parts)}</robot>\n'


BASE = link("base", '<cylinder radius="0.05" length="0.1"/>', 0.05)


def chain(prefix: str, count: int, on: str, xyz: Sequence[float] = (0.0, 0.0, 0.1)) -> str:
    """An arm: the first joint turns about z."""
    parts = []
    for number in range(1, count + 1):
        parts.append(link(f"{prefix}link{number}"))
        axis = "0 0 1" if number == 1 else "0 1 0"
        parts.append(joint(f"{prefix}joint{number}", on, f"{prefix}link{number}", xyz=xyz, axis=axis))
        on, xyz = f"{prefix}link{number}", (0.0, 0.0, 0.2)
    return "".join(parts)


def fingers(on: str, prefix: str = "", mimic: bool = True) -> str:
    """Two that slide."""
    follows = f'<mimic joint="{prefix}finger_left"/>' if mimic else ""
    limit = 'lower="0" upper="0.03" velocity="0.05" effort="20"'
    box = '<box size="0.02 0.01 0.05"/>'
    return (
        link(f"{prefix}left_pad", box, 0.03)
        + link(f"{prefix}right_pad", box, 0.03)
        + joint(f"{prefix}finger_left", on, f"{prefix}left_pad", kind="prismatic", axis="0 1 0", limit=limit)
        + joint(
            f"{prefix}finger_right",
            on,
            f"{prefix}right_pad",
            kind="prismatic",
            axis="0 -1 0",
            limit=limit,
            mimic=follows,
        )
    )


def _hand(fingers_of: int = 4, joints: int = 3) -> str:
    parts = [link("palm", '<box size="0.1 0.1 0.03"/>', 0.0)]
    for finger in range(fingers_of):
        on, xyz = "palm", (0.0, -0.06 + 0.04 * finger, 0.03)
        for number in range(joints):
            name = f"f{finger}_{number}"
            parts.append(link(f"{name}_link", '<cylinder radius="0.006" length="0.02"/>', 0.016))
            limit = 'lower="0" upper="1.4" velocity="5" effort="1"'
            parts.append(joint(name, on, f"{name}_link", xyz=xyz, limit=limit))
            on, xyz = f"{name}_link", (0.0, 0.0, 0.034)
    return robot(*parts)


_WHEEL = '<cylinder radius="0.05" length="0.03"/>'
_LIFT = 'lower="0" upper="0.4" velocity="0.1" effort="500"'

DESCRIPTIONS: dict[str, str] = {
    "arm_without_gripper": robot(BASE, chain("", 4, "base")),
    "arm_with_fingers": robot(BASE, chain("", 4, "base"), fingers("link4")),
    "fingers_that_nothing_couples": robot(BASE, chain("", 3, "base"), fingers("link3", mimic=False)),
    "arm_with_a_jaw": robot(
        BASE,
        chain("", 3, "base"),
        link("fixed_jaw", '<box size="0.01 0.02 0.08"/>', 0.04),
        joint("mount", "link3", "fixed_jaw", kind="fixed", limit=""),
        link("moving_jaw", '<box size="0.01 0.02 0.08"/>', 0.04),
        joint(
            "gripper",
            "fixed_jaw",
            "moving_jaw",
            xyz=(0.03, 0.0, 0.0),
            limit='lower="-0.2" upper="1.6" velocity="4" effort="2"',
        ),
    ),
    "coupled_fingers": robot(
        BASE,
        chain("", 3, "base"),
        link("outer", '<box size="0.01 0.02 0.06"/>', 0.03),
        link("inner", '<box size="0.01 0.02 0.06"/>', 0.03),
        joint(
            "drive",
            "link3",
            "outer",
            xyz=(0.04, 0, 0.2),
            limit='lower="0" upper="0.6" velocity="2" effort="5"',
            axis="0 -1 0",
        ),
        joint(
            "follows",
            "link3",
            "inner",
            xyz=(-0.04, 0, 0.2),
            limit='lower="0" upper="0.6" velocity="2" effort="5"',
            mimic='<mimic joint="drive"/>',
        ),
    ),
    "two_arms": robot(
        link("base", '<box size="0.1 0.8 0.1"/>', 0.05),
        chain("left_", 3, "base", (0.0, 0.4, 0.1)),
        fingers("left_link3", "left_"),
        chain("right_", 3, "base", (0.0, -0.4, 0.1)),
        fingers("right_link3", "right_"),
    ),
    "hand": _hand(),
    "arm_on_a_lift_on_wheels": robot(
        link("base_footprint", ""),
        link("base", '<cylinder radius="0.2" length="0.1"/>', 0.1),
        joint("foot", "base_footprint", "base", kind="fixed", xyz=(0, 0, 0), limit=""),
        link("left_wheel", _WHEEL, 0.0),
        link("right_wheel", _WHEEL, 0.0),
        joint("left_wheel_joint", "base", "left_wheel", kind="continuous", xyz=(0, 0.22, 0.05), limit=""),
        joint("right_wheel_joint", "base", "right_wheel", kind="continuous", xyz=(0, -0.22, 0.05), limit=""),
        link("column"),
        joint("torso_lift", "base", "column", kind="prismatic", axis="0 0 1", limit=_LIFT),
        link("head", '<sphere radius="0.05"/>', 0.05),
        joint("head_pan", "column", "head", xyz=(-0.15, 0, 0.3), axis="0 0 1"),
        chain("arm_", 4, "column", (0.2, 0.0, 0.1)),
    ),
    "planar_base": robot(
        link("world", ""),
        link("base", '<cylinder radius="0.2" length="0.1"/>', 0.06),
        joint("drive", "world", "base", kind="planar", xyz=(0, 0, 0), axis="0 0 1", limit=""),
        chain("arm_", 3, "base"),
    ),
    "gantry": robot(
        link("base", '<box size="1.2 0.1 0.05"/>', 0.0),
        link("bridge", '<box size="0.05 0.05 0.05"/>', 0.0),
        joint(
            "x",
            "base",
            "bridge",
            kind="prismatic",
            axis="1 0 0",
            limit='lower="-0.4" upper="0.4" velocity="0.3" effort="200"',
        ),
        link("carriage", '<box size="0.05 0.05 0.05"/>', 0.0),
        joint(
            "y",
            "bridge",
            "carriage",
            kind="prismatic",
            axis="0 1 0",
            xyz=(0, 0, 0.2),
            limit='lower="-0.3" upper="0.3" velocity="0.3" effort="200"',
        ),
    ),
    "endless_joints": robot(
        BASE,
        link("turret"),
        joint("turn", "base", "turret", kind="continuous", axis="0 0 1", limit='velocity="1" effort="10"'),
        chain("", 2, "turret", (0.0, 0.0, 0.2)),
    ),
    "names_of_makers": robot(
        BASE,
        link("robot0:link.1"),
        joint("robot0:waist joint", "base", "robot0:link.1", axis="0 0 1"),
        link("vx/é &quot;2&quot;"),
        joint("base", "robot0:link.1", "vx/é &quot;2&quot;"),
    ),
}

TWO_ROOTS = """
<mujoco>
  <worldbody>
    <geom type="plane" size="2 2 0.1"/>
    {arms}
    <body name="cube" pos="0 0 0.5"><freejoint name="cube_joint"/><geom type="box" size="0.02 0.02 0.02"/></body>
  </worldbody>
</mujoco>
"""


def two_roots() -> str:
    """Two arms, each a body of its own in the world, and a cube that belongs to neither."""
    arms = "".join(
        f"""
    <body name="{side}/base" pos="0 {y} 0.05">
      <geom type="cylinder" size="0.05 0.05"/>
      <body name="{side}/upper" pos="0 0 0.1">
        <joint name="{side}/waist" axis="0 0 1" range="-3 3"/>
        <geom type="capsule" size="0.03" fromto="0 0 0 0 0 0.2"/>
        <body name="{side}/fore" pos="0 0 0.25">
          <joint name="{side}/elbow" axis="0 1 0" range="-1.5 1.5"/>
          <geom type="capsule" size="0.03" fromto="0 0 0 0 0 0.2"/>
          <site name="{side}/pinch" pos="0 0 0.3"/>
          <body name="{side}/f1" pos="0 0.02 0.25">
            <joint name="{side}/left_finger" type="slide" axis="0 1 0" range="0.02 0.05"/>
            <geom type="box" size="0.01 0.005 0.02"/>
          </body>
          <body name="{side}/f2" pos="0 -0.02 0.25">
            <joint name="{side}/right_finger" type="slide" axis="0 1 0" range="-0.05 -0.02"/>
            <geom type="box" size="0.01 0.005 0.02"/>
          </body>
        </body>
      </body>
    </body>"""
        for side, y in (("left", 0.4), ("right", -0.4))
    )
    return TWO_ROOTS.format(arms=arms)
