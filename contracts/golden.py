"""Golden pairs: observations that a bundle carries with the trained policy's plans, and what came of a check of them.

They ride as the blob `GOLDEN_NAME` of a bundle, a NumPy archive without pickled objects, written where it was exported:
one array of pictures for each image tensor of the policy, `instruction`, `state` (cases, joints + 1) and `plan` (cases,
horizon, joints + 1), both in rad, the gripper in m. A bundle without them is still a bundle.
"""

from __future__ import annotations

from typing import Literal

import msgspec

GOLDEN_NAME = "golden.npz"
NOT_FINITE = 1e300
"""Stands for an error that is no number: JSON has none."""


class GoldenReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the engine of this machine made of a bundle's golden pairs.

    `error_p99_rad` has one value a joint, in joint order; `bound_p99_rad` is the one the bundle was exported under.
    `gripper_flips` counts actions on the other side of half-open. A plan matches with no flip and every joint within.
    """

    bundle: str
    verdict: Literal["matched", "differs", "no_data"]
    cases: int = 0
    error_p99_rad: tuple[float, ...] = ()
    bound_p99_rad: float = 0.0
    gripper_flips: int = 0
