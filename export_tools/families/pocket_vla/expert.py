"""The teacher: a reactive rule from (joint positions, object position, verb) to the next 0.8 s of joint positions.

It has no memory and no phases, only a funnel: high above everything while far from the goal, down when aligned. So it
can label any state, also one that noise, or a half-trained policy, has led to. It reads ground truth; policies don't.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_runtime.drivers.sim.scene import HOME_Q_RAD
from export_tools.families.pocket_vla.kinematics import Array, joint_velocity, tool_pose_and_jacobian

HORIZON = 16
ACTION_DT_S = 0.05
ACTION_DIM = 8

_SUBSTEPS = 4
_HOVER_M = 0.13
_TOUCH_DEPTH_M = 0.03
_SWEEP_HEIGHT_M = 0.032
_BEHIND_M = 0.10
# Fingers closed are 2.8 cm thick along y, an object reaches about 3.2 cm from its centre.
_CONTACT_GAP_M = 0.046
_CRUISE_M_S = 0.30
_SWEEP_M_S = 0.16
_SPEED_LIMIT_RAD_S = 0.8


def tool_velocity(tool_m: Array, object_m: Array, push_sign: npt.NDArray[np.float64]) -> Array:
    """Wanted tool velocity (B, 3) in m/s, world frame.

    `tool_m` and `object_m` are (B, 3); `push_sign` (B,) is 0 for touch, +1 to push left (+y), -1 to push right.
    """
    pushing = push_sign != 0.0
    goal = object_m[:, :2].copy()
    goal[:, 1] -= push_sign * _BEHIND_M
    floor = np.where(pushing, _SWEEP_HEIGHT_M, _TOUCH_DEPTH_M)
    to_goal = goal - tool_m[:, :2]
    distance = np.hypot(to_goal[:, 0], to_goal[:, 1])
    # The funnel: the lowest height allowed at this distance from the goal; steeper beside an object than on it.
    slope = np.where(pushing, 0.06, 0.10)
    height = floor + np.clip((distance - 0.018) / slope, 0.0, 1.0) * (_HOVER_M - floor)
    below = np.clip((height - tool_m[:, 2]) / 0.04, 0.0, 1.0)
    speed = np.minimum(4.0 * distance, _CRUISE_M_S) * (1.0 - below)
    v = np.empty_like(tool_m)
    v[:, :2] = to_goal * (speed / np.maximum(distance, 1e-6))[:, None]
    v[:, 2] = np.clip(4.0 * (height - tool_m[:, 2]), -0.22, 0.30)

    ahead = push_sign * (object_m[:, 1] - tool_m[:, 1])
    aside = object_m[:, 0] - tool_m[:, 0]
    sweeping = pushing & (np.abs(aside) < 0.03) & (ahead > 0.03) & (ahead < 0.16) & (tool_m[:, 2] < 0.058)
    sweep = np.stack(
        [
            np.clip(5.0 * aside, -0.1, 0.1),
            push_sign * _SWEEP_M_S,
            np.clip(4.0 * (_SWEEP_HEIGHT_M - tool_m[:, 2]), -0.1, 0.1),
        ],
        axis=1,
    )
    return np.asarray(np.where(sweeping[:, None], sweep, v))


def plan(q: Array, object_m: Array, push_sign: npt.NDArray[np.float64]) -> Array:
    """The teacher's commands at 50, 100, … 800 ms from now: (B, 16, 8), joints in rad and gripper opening in m.

    `q` is (B, 7) now. The rule is run forward on the arm's kinematics; a pushed object is moved along.
    """
    q = q.copy()
    item = object_m.copy()
    rest = np.array(HOME_Q_RAD)
    out = np.zeros((q.shape[0], HORIZON, ACTION_DIM))
    dt = ACTION_DT_S / _SUBSTEPS
    for k in range(HORIZON):
        for _ in range(_SUBSTEPS):
            pose = tool_pose_and_jacobian(q)
            wanted = tool_velocity(pose[0], item, push_sign)
            q = q + dt * joint_velocity(q, pose, wanted, rest, _SPEED_LIMIT_RAD_S)
            item = _carried(pose[0], item, push_sign)
        out[:, k, :7] = q
    return out


def _carried(tool: Array, item: Array, push_sign: Array) -> Array:
    """Where the object is once the finger has pressed against it."""
    in_lane = (np.abs(item[:, 0] - tool[:, 0]) < 0.035) & (tool[:, 2] < 0.07)
    ahead = push_sign * (item[:, 1] - tool[:, 1])
    pressed = in_lane & (push_sign != 0.0) & (ahead > 0.0) & (ahead < _CONTACT_GAP_M)
    moved: Array = np.array(item)
    moved[:, 1] = np.where(pressed, tool[:, 1] + push_sign * _CONTACT_GAP_M, item[:, 1])
    return moved
