"""Robots for the judge, described in MJCF: one arm beside a post, two arms on one body, and a hand.

Their shapes are boxes, cylinders and spheres as well as capsules, so that what the kernel believes of them differs from
what they are, and only ever to the safe side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

CLEARANCE_M = 0.01


@dataclass(frozen=True)
class Robot:
    """A description, and what an integrator would add to it.

    Attributes:
        name: for reports.
        mjcf: the description.
        joints: those that are controlled, in order.
        home_rad: a posture in which nothing touches.
        held: joints that nobody controls, which the judge moves at random over their ranges.
        root: the body that carries it all; what is not below it is no part of the robot.
        velocity_max_rad_s, acceleration_max_rad_s2, jerk_max_rad_s3: of every joint.
    """

    name: str
    mjcf: str
    joints: tuple[str, ...]
    home_rad: tuple[float, ...]
    held: tuple[str, ...] = ()
    root: str = "frame"
    velocity_max_rad_s: float = 2.5
    acceleration_max_rad_s2: float = 12.0
    jerk_max_rad_s3: float = 6000.0

    def write(self, folder: Path) -> Path:
        """The description as a file."""
        path = folder / f"{self.name}.xml"
        path.write_text(self.mjcf, encoding="utf-8")
        return path


def one_arm() -> Robot:
    """Six joints of a table-top arm with elbow and wrist, box and cylinder links, and a post that stands beside it."""
    root, frame = _model("one_arm")
    _geom(frame, "foot", "cylinder", "0 0 0.05", size="0.09 0.05")
    _geom(frame, "post", "capsule", fromto="0.28 0.22 0.05 0.28 0.22 0.9", size="0.03")
    end = _arm(frame, "", "0 0 0.12", sides=("box", "cylinder", "capsule"))
    _gripper(end, "")
    joints = tuple(f"j{i}" for i in range(1, 7))
    return Robot("one_arm", _text(root), joints, (0.0, -0.6, 1.5, 0.0, 0.9, 0.0), held=("finger_left", "finger_right"))


def two_arms() -> Robot:
    """Two arms of six joints, half a metre apart on one trunk, each with a gripper."""
    root, frame = _model("two_arms")
    _geom(frame, "trunk", "box", "-0.12 0 0.25", size="0.06 0.2 0.25")
    held = []
    for side, y_m in (("left_", 0.27), ("right_", -0.27)):
        end = _arm(frame, side, f"0 {y_m} 0.4", sides=("capsule", "cylinder", "capsule"))
        held += _gripper(end, side)
    joints = tuple(f"{side}j{i}" for side in ("left_", "right_") for i in range(1, 7))
    home_rad = (0.4, -0.5, 1.5, 0.0, 0.8, 0.0, -0.4, -0.5, 1.5, 0.0, 0.8, 0.0)
    return Robot("two_arms", _text(root), joints, home_rad, held=tuple(held))


def hand() -> Robot:
    """Four fingers of four joints on a palm; the thumb stands against the others."""
    root, frame = _model("hand")
    _geom(frame, "palm", "box", "0 0 0.05", size="0.02 0.055 0.05")
    names: list[str] = []
    places = (("index", "0 0.045 0.105", "0 0 0"), ("middle", "0 0 0.11", "0 0 0"), ("ring", "0 -0.045 0.105", "0 0 0"))
    for finger, place, turn in (*places, ("thumb", "0.055 0.02 0.04", "0 0.5 0")):
        names += _finger(frame, finger, place, turn)
    home_rad = (0.0, 0.2, 0.2, 0.2) * 3 + (0.0, 0.1, 0.1, 0.1)
    return Robot("hand", _text(root), tuple(names), home_rad, velocity_max_rad_s=6.0, acceleration_max_rad_s2=60.0)


def _model(name: str) -> tuple[ElementTree.Element, ElementTree.Element]:
    root = ElementTree.Element("mujoco", model=name)
    ElementTree.SubElement(root, "compiler", angle="radian", autolimits="true")
    return root, _body(ElementTree.SubElement(root, "worldbody"), "frame", "0 0 0")


def _arm(parent: ElementTree.Element, prefix: str, place: str, sides: Sequence[str]) -> ElementTree.Element:
    """Shoulder (two axes), elbow, wrist (three axes); the body that a tool goes on."""
    upper, fore, wrist = sides
    body = _body(parent, f"{prefix}shoulder", place)
    _hinge(body, f"{prefix}j1", "0 0 1", "-2.9 2.9")
    _geom(body, f"{prefix}shoulder", "cylinder", "0 0 0.04", size="0.055 0.05")
    body = _body(body, f"{prefix}upper", "0 0 0.09")
    _hinge(body, f"{prefix}j2", "0 1 0", "-1.9 1.9")
    if upper == "box":
        _geom(body, f"{prefix}upper", "box", "0 0 0.15", size="0.035 0.045 0.15")
    else:
        _geom(body, f"{prefix}upper", upper, fromto="0 0 0 0 0 0.3", size="0.045")
    body = _body(body, f"{prefix}fore", "0 0 0.32")
    _hinge(body, f"{prefix}j3", "0 1 0", "-2.6 2.6")
    _geom(body, f"{prefix}fore", fore, fromto="0.02 0 0.04 0.02 0 0.24", size="0.038")
    body = _body(body, f"{prefix}wrist1", "0 0 0.28")
    _hinge(body, f"{prefix}j4", "0 0 1", "-2.9 2.9")
    _geom(body, f"{prefix}wrist1", wrist, fromto="0 -0.02 0 0 0.02 0", size="0.032")
    body = _body(body, f"{prefix}wrist2", "0 0 0.05")
    _hinge(body, f"{prefix}j5", "0 1 0", "-2.1 2.1")
    _geom(body, f"{prefix}wrist2", "sphere", "0 0 0.03", size="0.034")
    body = _body(body, f"{prefix}wrist3", "0 0 0.08")
    _hinge(body, f"{prefix}j6", "0 0 1", "-3 3")
    _geom(body, f"{prefix}palm", "box", "0 0 0.015", size="0.02 0.05 0.015")
    return body


def _gripper(parent: ElementTree.Element, prefix: str) -> list[str]:
    names = []
    for side, y in (("left", 1.0), ("right", -1.0)):
        body = _body(parent, f"{prefix}finger_{side}", f"0 {0.005 * y} 0.03")
        names.append(f"{prefix}finger_{side}")
        ElementTree.SubElement(
            body, "joint", name=names[-1], type="slide", axis=f"0 {y} 0", range="0 0.04", damping="1"
        )
        _geom(body, f"{prefix}finger_{side}", "box", "0 0 0.035", size="0.012 0.005 0.035")
    return names


def _finger(parent: ElementTree.Element, name: str, place: str, turn: str) -> list[str]:
    body = _body(parent, f"{name}_knuckle", place, turn)
    _hinge(body, f"{name}_1", "1 0 0", "-0.45 0.45")
    _geom(body, f"{name}_knuckle", "sphere", "0 0 0.008", size="0.011")
    names, along_m = [f"{name}_1"], 0.02
    for number, (link, length_m) in enumerate((("proximal", 0.045), ("middle", 0.03), ("tip", 0.025)), 2):
        body = _body(body, f"{name}_{link}", f"0 0 {along_m}")
        along_m = length_m + 0.006
        _hinge(body, f"{name}_{number}", "0 1 0" if name != "thumb" else "0 -1 0", "-0.2 1.7")
        _geom(body, f"{name}_{link}", "capsule", fromto=f"0 0 0.004 0 0 {length_m}", size="0.0085")
        names.append(f"{name}_{number}")
    return names


def _body(parent: ElementTree.Element, name: str, place: str, turn: str = "0 0 0") -> ElementTree.Element:
    return ElementTree.SubElement(parent, "body", name=name, pos=place, euler=turn)


def _hinge(body: ElementTree.Element, name: str, axis: str, ends: str) -> None:
    ElementTree.SubElement(body, "joint", name=name, type="hinge", axis=axis, range=ends)


def _geom(body: ElementTree.Element, name: str, kind: str, place: str = "", **shape: str) -> None:
    at = {"pos": place} if place else {}
    ElementTree.SubElement(body, "geom", name=f"{name}_shape", type=kind, **at, **shape)


def _text(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")
