"""Where things lie at the start of an episode, and how they look. Pure draws from a generator; no simulator here.

The layout rule is the same for every object, so the layout never tells which object is meant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

N_OBJECTS = 3
WORKSPACE_X_M = (0.41, 0.62)
WORKSPACE_Y_M = (-0.19, 0.19)
REST_HEIGHT_M = {"cube": 0.03, "ball": 0.033, "cylinder": 0.03}

# The finger is 3 cm wide and a cube's corner reaches 4.2 cm: with these gaps an object can be swept either way along y
# without brushing a neighbour.
LANE_GAP_X_M = 0.09
LANE_GAP_Y_M = 0.22

HOME_Q_RAD: tuple[float, ...] = (0.0, -0.1727, 0.0, -2.4555, 0.0, 2.2828, 0.7854)
_START_SPREAD_RAD = np.array([0.30, 0.12, 0.12, 0.12, 0.08, 0.10, 0.12])

_RGB: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.08, 0.08),
    "green": (0.08, 0.62, 0.14),
    "blue": (0.08, 0.22, 0.90),
    "yellow": (0.95, 0.85, 0.08),
    "purple": (0.58, 0.12, 0.72),
}


@dataclass(frozen=True)
class Layout:
    """Start of one episode. Positions are in the world frame; yaw turns an object about +z."""

    position_m: Array  # (3, 2) x, y
    yaw_rad: Array  # (3,)
    q: Array  # (7,)
    gripper_opening_m: float
    table_rgb: Array  # (3,)


def _lanes_free(xy: Array) -> bool:
    for a in range(N_OBJECTS):
        for b in range(a + 1, N_OBJECTS):
            gap = np.abs(xy[a] - xy[b])
            if gap[0] < LANE_GAP_X_M and gap[1] < LANE_GAP_Y_M:
                return False
    return True


def draw_layout(rng: np.random.Generator) -> Layout:
    """Draw positions until no object lies in another's lane (about one draw in ten passes)."""
    low = np.array([WORKSPACE_X_M[0], WORKSPACE_Y_M[0]])
    high = np.array([WORKSPACE_X_M[1], WORKSPACE_Y_M[1]])
    while True:
        xy = rng.uniform(low, high, size=(N_OBJECTS, 2))
        if _lanes_free(xy):
            break
    return Layout(
        position_m=xy,
        yaw_rad=rng.uniform(-0.4, 0.4, size=N_OBJECTS),
        q=np.array(HOME_Q_RAD) + rng.uniform(-1.0, 1.0, size=7) * _START_SPREAD_RAD,
        gripper_opening_m=float(rng.uniform(0.0, 0.06)),
        table_rgb=np.array([0.60, 0.55, 0.48]) + rng.uniform(-0.06, 0.06, size=3),
    )


def draw_colour(name: str, rng: np.random.Generator) -> Array:
    """(4,) opaque RGBA in [0, 1] near the named colour."""
    rgb = np.clip(np.array(_RGB[name]) + rng.uniform(-0.05, 0.05, size=3), 0.0, 1.0)
    return np.concatenate([rgb, [1.0]])
