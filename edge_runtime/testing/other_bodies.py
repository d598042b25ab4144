"""Descriptions to go with the robots of many shapes: a URDF each, in which links stand on each other like beads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.contracts.axes import AnyAxis, Continuous, JawGripper, ParallelGripper, Prismatic
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.safety.kinematics import compile_file, write_kinematics
from edge_runtime.testing.other_robots import safety_toml, write_settings

Vector = tuple[float, float, float]

_ROOT = "root_link"
_SLIDES: dict[str, Vector] = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0)}
"""Axes of a gantry; anything else slides upwards."""


@dataclass(frozen=True)
class _Bead:
    """How far apart joints are, and how thick the link between them, metres."""

    spacing_m: float
    radius_m: float


_ARM, _FINGER = _Bead(0.2, 0.035), _Bead(0.045, 0.009)


def urdf_of(robot: Embodiment) -> str:
    """A description of the robot: every joint with its rated limits, a shape on every link, and fingers that open.

    A base is no joint in it: its frame is that of the root link. A parallel gripper is two fingers that slide, and a
    jaw a joint of the gripper's own name.
    """
    arms = [group for group in robot.groups if group.kind not in ("base", "torso")]
    carried_by = _ROOT
    lines = [f'<robot name="{robot.name}">', *_link(_ROOT, _Bead(0.1, 0.06))]
    for group in robot.groups:
        if group.kind == "torso":
            lines += _chain(group.axes, carried_by, (0.0, 0.0, 0.1), _ARM)
            carried_by = f"{group.axes[-1].name}_link"
    for number, group in enumerate(arms):
        aside_m = 1.0 * (number - 0.5 * (len(arms) - 1))
        fingers = list(dict.fromkeys(axis.name.split("_")[0] for axis in group.axes if _is_finger(axis)))
        arm = [axis for axis in group.axes if not axis.is_gripper and not _is_finger(axis)]
        last = f"{arm[-1].name}_link" if arm else carried_by
        lines += _chain(arm, carried_by, (0.0, aside_m, 0.15), _ARM)
        for place, finger in enumerate(fingers):
            joints = [axis for axis in group.axes if axis.name.startswith(f"{finger}_")]
            lines += _chain(joints, last, (0.0, 0.05 * (place - 0.5 * (len(fingers) - 1)), 0.15), _FINGER)
        for axis in group.axes:
            lines += _fingers(axis, last)
    return "\n".join([*lines, "</robot>"]) + "\n"


def write_settings_with_body(
    folder: Path, robot: Embodiment, *, driver: str = "./driver.py", geometry: str = "", more: str = ""
) -> Path:
    """Write `write_settings`'s files, robot.urdf, and kinematics.toml made from it; the path of robot.toml.

    Making the body of a hand takes some seconds.

    Args:
        folder: where to; it exists.
        robot: the robot type.
        driver: what robot.toml names as its driver.
        geometry: more keys of `[geometry]`, and tables below it.
        more: tables of the safety file.
    """
    (folder / "robot.urdf").write_text(urdf_of(robot), encoding="utf-8")
    joints = [axis for axis in robot.axes if not axis.is_gripper and not axis.is_velocity]
    compiled = compile_file(
        folder / "robot.urdf",
        [axis.name for axis in joints],
        [axis.home for axis in joints],
        grippers={axis.name: (axis.low, axis.high) for axis in robot.grippers},
        has_base=bool(robot.base_axes),
    )
    write_kinematics(folder / "kinematics.toml", compiled.file, compiled.notes)
    safety = f'{safety_toml(robot)}{more}\n[geometry]\nkinematics = "kinematics.toml"\n{geometry}\n'
    return write_settings(folder, robot, driver=driver, safety=safety)


def _is_finger(axis: AnyAxis) -> bool:
    return axis.name.startswith("finger")


def _chain(axes: Sequence[AnyAxis], parent: str, origin_m: Vector, bead: _Bead) -> Iterator[str]:
    for number, axis in enumerate(axes):
        if isinstance(axis, Prismatic):
            along = _SLIDES.get(axis.name, (0.0, 0.0, 1.0))
        else:
            along = (0.0, 1.0, 0.0) if number % 2 or _is_finger(axis) else (0.0, 0.0, 1.0)
        yield from _joint(axis, parent, origin_m, along)
        yield from _link(f"{axis.name}_link", bead)
        parent, origin_m = f"{axis.name}_link", (0.0, 0.0, bead.spacing_m)


def _joint(axis: AnyAxis, parent: str, origin_m: Vector, along: Vector) -> Iterator[str]:
    kind = "prismatic" if isinstance(axis, Prismatic) else "continuous" if isinstance(axis, Continuous) else "revolute"
    span = f'lower="{axis.low!r}" upper="{axis.high!r}" ' if axis.has_range else ""
    yield f'  <joint name="{axis.name}" type="{kind}">'
    yield from _frames(parent, f"{axis.name}_link", origin_m, along)
    yield f'    <limit {span}velocity="{axis.speed_max!r}" effort="{axis.effort_max or 10.0!r}"/>'
    yield "  </joint>"


def _fingers(axis: AnyAxis, parent: str) -> Iterator[str]:
    if isinstance(axis, JawGripper):
        yield from _joint(axis, parent, (0.0, 0.02, 0.15), (1.0, 0.0, 0.0))
        yield from _link(f"{axis.name}_link", _FINGER)
    elif isinstance(axis, ParallelGripper):
        for side, sign in (("left", 1.0), ("right", -1.0)):
            name = f"{axis.name}_{side}_finger"
            yield f'  <joint name="{name}" type="prismatic">'
            yield from _frames(parent, f"{name}_link", (0.0, 0.02 * sign, 0.15), (0.0, sign, 0.0))
            most = f'upper="{0.5 * axis.opening_max_m!r}" velocity="{0.5 * axis.speed_max_m_s!r}"'
            yield f'    <limit lower="0.0" {most} effort="{axis.force_max_n or 10.0!r}"/>'
            yield "  </joint>"
            yield from _link(f"{name}_link", _FINGER)


def _frames(parent: str, child: str, origin_m: Vector, along: Vector) -> Iterator[str]:
    yield f'    <parent link="{parent}"/><child link="{child}"/>'
    yield f'    <origin xyz="{_numbers(origin_m)}"/><axis xyz="{_numbers(along)}"/>'


def _link(name: str, bead: _Bead) -> Iterator[str]:
    length_m = bead.spacing_m - 2.0 * bead.radius_m
    shape = f'<cylinder radius="{bead.radius_m!r}" length="{max(length_m, 0.02):g}"/>'
    origin = _numbers((0.0, 0.0, 0.5 * bead.spacing_m))
    yield f'  <link name="{name}"><collision><origin xyz="{origin}"/><geometry>{shape}</geometry></collision></link>'


def _numbers(values: Vector) -> str:
    return " ".join(f"{value:g}" for value in values)
