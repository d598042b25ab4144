"""Golden pairs: observations that a bundle carries with the trained policy's plans, and what came of a check of them.

They ride as the blob `GOLDEN_NAME` of a bundle, a NumPy archive without pickled objects, written where it was exported:
`format` (one of `GOLDEN_FORMATS`), for each camera that the policy looks at the pictures as the robot delivers them,
uint8 RGB of (cases, height, width, 3) under `picture_key`, then `instruction` where the policy reads any, `state`
(cases, axes) and `plan` (cases, horizon, axes), both in the robot's order, each axis in its own unit.
Pictures go by camera and not by tensor, and before they are resized: which camera feeds which tensor, and how, is a
part of what the pairs prove. A policy that looks back has `before_ns`, how long before the others these were exposed,
(observations - 1,), oldest first, `state_before` (cases, observations - 1, axes), and the pictures of the cameras
whose history it is fed under `before_key` (cases, observations - 1, height, width, 3). One that was trained for a delay
has `under_way` (cases, trained_delay, axes), and its plan begins with these. `action_dt_ns` is the time between
two actions of a plan; pairs of format 2 may do without. A bundle without pairs is still a bundle.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

import msgspec

GOLDEN_NAME = "golden.npz"
GOLDEN_FORMAT = 3
"""The newest, which is written."""

GOLDEN_FORMATS = (2, 3)
NOT_FINITE = 1e300
"""Stands for an error that is no number: JSON has none."""


class ProofVerdict(str, Enum):
    """What is known of a policy on the machine that runs it. Stable strings: they travel and are shown.

    `unproven`: not looked at yet. `no_data`: there is nothing to compare it with, which is for a person to judge.
    """

    UNPROVEN = "unproven"
    MATCHED = "matched"
    NO_DATA = "no_data"
    DIFFERS = "differs"

    def __str__(self) -> str:
        return self.value

    @property
    def may_act(self) -> bool:
        """Whether a robot may be armed for it."""
        return self in (ProofVerdict.MATCHED, ProofVerdict.NO_DATA)


@dataclass(frozen=True)
class Proof:
    """A verdict, and in words what it comes from."""

    verdict: ProofVerdict = ProofVerdict.UNPROVEN
    detail: str = ""


def picture_key(camera: str) -> str:
    """Name of the array with the pictures of `camera`."""
    return f"camera_{camera}"


def before_key(camera: str) -> str:
    """Name of the array with the pictures of `camera` from before."""
    return f"before_{camera}"


class GoldenReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the engine of this machine made of a bundle's golden pairs.

    `error_p99_rad` has one value for each of `joint_names`, m for one that slides; `bound_p99_rad` is the one that the
    bundle was exported under. `gripper_flips` counts actions on the other side of half-open, `gripper_error_p99_m` is
    of the gripper that is furthest off for its bound, in its unit, and held to `gripper_bound_p99_m`. A plan matches
    with no flip and everything within.
    """

    bundle: str
    verdict: Literal["matched", "differs", "no_data"]
    cases: int = 0
    joint_names: tuple[str, ...] = ()
    error_p99_rad: tuple[float, ...] = ()
    bound_p99_rad: float = 0.0
    gripper_flips: int = 0
    gripper_error_p99_m: float = 0.0
    gripper_bound_p99_m: float = 0.0

    def __post_init__(self) -> None:
        if len(self.joint_names) != len(self.error_p99_rad):
            raise ValueError("a golden report has one error for each joint")

    @property
    def worst(self) -> str:
        """The joint that is furthest off and its angle, in words; empty without data."""
        if not self.error_p99_rad:
            return ""
        joint = max(range(len(self.error_p99_rad)), key=self.error_p99_rad.__getitem__)
        name, error_rad = self.joint_names[joint], self.error_p99_rad[joint]
        off = f"{error_rad:.4f} rad" if error_rad < NOT_FINITE else "no finite number"
        gripper = f", {self.gripper_flips} gripper flips" if self.gripper_flips else ""
        if self.gripper_error_p99_m > self.gripper_bound_p99_m:
            far = f"{self.gripper_error_p99_m * 1e3:.1f} mm" if self.gripper_error_p99_m < NOT_FINITE else "no number"
            gripper += f", the gripper by {far} (p99), {self.gripper_bound_p99_m * 1e3:g} mm are allowed"
        return f"{name} is off by {off} (p99), {self.bound_p99_rad:g} is allowed{gripper}, in {self.cases} golden pairs"
