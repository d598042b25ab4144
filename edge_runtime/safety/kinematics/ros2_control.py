"""Limits that a URDF states in `<ros2_control>`, where controllers read them.

Guarantees that each is kept, refused, or named in a note. Kept are `min` and `max` of a joint's command interfaces, as
ros2_control takes them: as its range, and of speed, acceleration, jerk and effort as a magnitude in both directions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from xml.etree import ElementTree

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics.actuators import magnitude
from edge_runtime.safety.kinematics.limits import SourceLimits

_MAGNITUDES = {"velocity": "speed", "acceleration": "acceleration", "jerk": "jerk", "effort": "effort"}
_LIMITING = re.compile("min|max|limit", re.IGNORECASE)


def command_limits(robot: ElementTree.Element, notes: list[str], sliding: set[str]) -> dict[str, SourceLimits]:
    """What is stated of each joint that is named there.

    Args:
        robot: the root of the URDF.
        notes: limits that are not kept are added.
        sliding: names of the joints that slide.

    Raises:
        ConfigError: names the joint, and a limit that can't be read.
    """
    found: dict[str, SourceLimits] = {}
    for joint in robot.iterfind(".//ros2_control/joint"):
        name = joint.get("name", "")
        found.setdefault(name, SourceLimits())
        left: list[str] = []
        for interface in (joint, *joint):
            kind = "" if interface is joint else interface.get("name", "")
            is_kept = interface.tag == "command_interface" and (kind == "position" or kind in _MAGNITUDES)
            is_kept = is_kept and not _switched_off(joint) and not _switched_off(interface)
            ends: dict[str, list[float]] = {"min": [], "max": []}
            for param in interface.iterfind("param"):
                what, text = param.get("name", ""), (param.text or "").strip()
                if is_kept and what in ends and text:
                    ends[what].append(_number(name, f"{what} of its {kind}", text))
                elif _LIMITING.search(what) and text:
                    left.append(f"{what} = {text}" + (f" of its {kind} {interface.tag}" if kind else ""))
            found[name] = found[name].tightened(_limits(name, kind, ends["min"], ends["max"], slides=name in sliding))
        if left:
            notes.append(f"joint {name}: <ros2_control> states limits that are not kept: {', '.join(left)}")
    return found


def _switched_off(element: ElementTree.Element) -> bool:
    return any(limits.get("enable", "true").lower() == "false" for limits in element.iterfind("limits"))


def _limits(joint: str, kind: str, lows: Sequence[float], highs: Sequence[float], *, slides: bool) -> SourceLimits:
    low, high = max(lows, default=None), min(highs, default=None)
    if low is not None and high is not None and low > high:
        problem = f"<ros2_control> states a {kind} of at least {low:g} and at most {high:g}: nothing is between them"
        raise ConfigError(f"joint {joint}", problem)
    if kind == "position":
        return SourceLimits.of(slides=slides, low=low, high=high)
    # A limit of zero is none that anybody means.
    value = magnitude((*lows, *highs))
    return SourceLimits.of(slides=slides, **{_MAGNITUDES[kind]: value}) if value else SourceLimits()


def _number(joint: str, what: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        problem = f"<ros2_control> states {text!r} as {what}, which is no number: correct it, or take it out"
        raise ConfigError(f"joint {joint}", problem)
    return value
