"""What names of joints and links say: a side, and a kind of limb. Hints for proposals, nothing more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

LimbKind = Literal["arm", "torso", "head", "hand", "leg"]

_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=[0-9])")
_SIDES = {"left": "left", "l": "left", "lh": "left", "right": "right", "r": "right", "rh": "right"}
_LIMBS: tuple[tuple[LimbKind, frozenset[str]], ...] = (
    ("head", frozenset({"head", "neck", "laser", "camera", "eye", "eyes"})),
    ("leg", frozenset({"leg", "hip", "thigh", "calf", "knee", "ankle", "foot", "haa", "hfe", "kfe", "shin"})),
    ("arm", frozenset({"arm", "shoulder", "elbow", "wrist", "forearm"})),
    ("torso", frozenset({"torso", "waist", "lift", "spine", "trunk", "column"})),
)
_FINGERS = ("finger", "gripper", "jaw", "claw", "pinch", "knuckle", "grasp", "tong", "hand")
_WHEELS = ("wheel", "caster", "castor", "drivewhl", "roller")
_OMNI = ("mecanum", "omni", "swedish", "roller")


def words(name: str) -> list[str]:
    """The words of a name, lower case: "vx300s_left/waist" has vx, 300s, left and waist."""
    return [word.lower() for word in _SPLIT.split(name) if word]


def side_of(names: Iterable[str]) -> str | None:
    """ "left" or "right" where every one of the names says that one; None else."""
    sides = set()
    for name in names:
        found = {_SIDES[word] for word in words(name) if word in _SIDES}
        sides.add(found.pop() if len(found) == 1 else _first_side(name))
    return sides.pop() if len(sides) == 1 else None


def _first_side(name: str) -> str | None:
    return next((_SIDES[word] for word in words(name) if word in _SIDES), None)


def limb_of(names: Sequence[str]) -> LimbKind | None:
    """What most of the names call the limb, None where they call it nothing."""
    counts = {kind: sum(bool(known & set(words(name))) for name in names) for kind, known in _LIMBS}
    best = max(counts, key=lambda kind: counts[kind])
    return best if counts[best] else None


def is_finger(name: str) -> bool:
    """Whether it calls itself a part of a gripper."""
    return any(word in name.lower() for word in _FINGERS)


def is_wheel(name: str) -> bool:
    """Whether it calls itself a wheel, or what carries one."""
    return any(word in name.lower() for word in _WHEELS)


def is_omnidirectional(names: Iterable[str]) -> bool:
    """Whether one of them says that the wheels roll sideways too."""
    return any(word in name.lower() for name in names for word in _OMNI)


def unique(name: str, taken: Iterable[str]) -> str:
    """The name, with a number behind it if it is taken."""
    used = set(taken)
    number, found = 2, name
    while found in used:
        found, number = f"{name}_{number}", number + 1
    return found
