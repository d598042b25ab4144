"""Limits of a description that can't be what they say: refused with a question, before anything is built on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_runtime.contracts.axes import looks_like_degrees, looks_like_millimetres
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics.source import Kind, SourceTree

_LONGEST_M = 3.0


def require_plausible_sizes(tree: SourceTree) -> None:
    """Refuse shapes that no link of a robot has, as a mesh in millimetres makes them.

    Raises:
        ConfigError: names the link and its size.
    """
    for link, shapes in tree.shapes.items():
        for shape in shapes:
            low_m = np.min(shape.centres_m - shape.radii_m[:, None], axis=0)
            high_m = np.max(shape.centres_m + shape.radii_m[:, None], axis=0)
            longest_m = float(np.max(high_m - low_m))
            if longest_m > _LONGEST_M:
                raise ConfigError(
                    f"link {link}",
                    f"one of its shapes is {longest_m:g} m long: is that in millimetres? Write "
                    'scale="0.001 0.001 0.001" at its mesh; if it is that long, compile with --sizes-in-m',
                )


def require_plausible(tree: SourceTree, joint_names: Sequence[str], *, limits_in_rad: bool, limits_in_m: bool) -> None:
    """Refuse limits of controlled joints that leave no range, or that look like degrees or millimetres and were not
    confirmed.

    Raises:
        ConfigError: names the joint and the values.
    """
    for joint in tree.joints:
        if joint.name not in joint_names:
            continue
        slides = joint.kind is Kind.PRISMATIC
        low, high, speed = joint.limits.low, joint.limits.high, joint.limits.speed_max
        if low is not None and high is not None and not low < high:
            unit = "m" if slides else "rad"
            problem = f"its limits leave no range: from {low:g} to {high:g} {unit}. State its lower and upper limit"
            raise ConfigError(f"joint {joint.name}", problem)
        if slides and (low is None or high is None):
            problem = "slides, and how far is not said: give it a range in the description, with both ends"
            raise ConfigError(f"joint {joint.name}", problem)
        found = (looks_like_millimetres if slides else looks_like_degrees)(low, high, speed)
        if found and not (limits_in_m if slides else limits_in_rad):
            wrong, unit, flag = _MILLIMETRES if slides else _DEGREES
            cure = f"Write the description in {unit}; if it already is, compile with {flag}"
            raise ConfigError(f"joint {joint.name}", f"{found}: is that in {wrong}? {cure}")


_DEGREES = "degrees", "radians", "--limits-in-rad"
_MILLIMETRES = "millimetres", "metres", "--limits-in-m"
