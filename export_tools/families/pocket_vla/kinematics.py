"""Forward kinematics and Jacobian of the simulated arm, for a whole batch of poses at once, in NumPy.

The constants are the published Franka Denavit-Hartenberg values, as in `edge_runtime/drivers/sim/world.xml`; a test
holds this file and the simulator together. World frame W is the robot's base frame; tool frame T sits between the
fingertips, its z axis along the fingers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_HALF_PI = np.pi / 2
# Before each joint: rotation about x (rad), then translation (m) in the parent's frame.
_LINKS: tuple[tuple[float, tuple[float, float, float]], ...] = (
    (0.0, (0.0, 0.0, 0.333)),
    (-_HALF_PI, (0.0, 0.0, 0.0)),
    (_HALF_PI, (0.0, -0.316, 0.0)),
    (_HALF_PI, (0.0825, 0.0, 0.0)),
    (-_HALF_PI, (-0.0825, 0.384, 0.0)),
    (_HALF_PI, (0.0, 0.0, 0.0)),
    (_HALF_PI, (0.088, 0.0, 0.0)),
)
_TOOL_OFFSET_M = 0.107 + 0.1034
_HAND_YAW_RAD = -np.pi / 4


def tool_pose_and_jacobian(q: Array) -> tuple[Array, Array, Array]:
    """Tool pose and geometric Jacobian for joint positions (B, 7).

    Returns position p_WT (B, 3) in m, rotation R_WT (B, 3, 3), and J (B, 6, 7): rows 0-2 are the tool's linear velocity
    for each joint velocity, rows 3-5 its angular velocity, both in the world frame.
    """
    batch = q.shape[0]
    R = np.broadcast_to(np.eye(3), (batch, 3, 3))
    p = np.zeros((batch, 3))
    origins = np.empty((batch, 7, 3))
    axes = np.empty((batch, 7, 3))
    for i, (alpha, offset) in enumerate(_LINKS):
        p = p + R @ np.array(offset)
        ca, sa = np.cos(alpha), np.sin(alpha)
        R = R @ np.array([[1.0, 0.0, 0.0], [0.0, ca, -sa], [0.0, sa, ca]])
        origins[:, i] = p
        axes[:, i] = R[:, :, 2]
        R = _turn_about_z(R, q[:, i])
    p = p + R[:, :, 2] * _TOOL_OFFSET_M
    R = _turn_about_z(R, np.full(batch, _HAND_YAW_RAD))
    J = np.empty((batch, 6, 7))
    J[:, :3] = np.cross(axes, p[:, None] - origins).transpose(0, 2, 1)
    J[:, 3:] = axes.transpose(0, 2, 1)
    return p, R, J


def _turn_about_z(R: Array, angle_rad: Array) -> Array:
    """R @ Rz(angle), column by column: cheaper than a batched matrix product."""
    c, s = np.cos(angle_rad)[:, None], np.sin(angle_rad)[:, None]
    return np.stack([R[:, :, 0] * c + R[:, :, 1] * s, R[:, :, 1] * c - R[:, :, 0] * s, R[:, :, 2]], axis=2)


def joint_velocity(
    q: Array, pose: tuple[Array, Array, Array], v_tool_m_s: Array, q_rest_rad: Array, speed_limit_rad_s: float
) -> Array:
    """Damped least squares: joint velocities (B, 7) that move the tool at `v_tool_m_s` (B, 3), fingers held downward.

    `pose` is what `tool_pose_and_jacobian(q)` gave. The one spare degree of freedom drifts to `q_rest_rad` (7,).
    The whole vector is scaled so that no joint exceeds `speed_limit_rad_s`.
    Source: Buss, "Introduction to inverse kinematics", section 6.
    """
    _, R, J = pose
    # Half the sum of axis cross products is the small-angle rotation that brings R_WT to diag(1, -1, -1).
    wanted = np.diag([1.0, -1.0, -1.0])
    twist = 0.5 * np.cross(R.transpose(0, 2, 1), wanted[None]).sum(axis=1)
    task = np.concatenate([v_tool_m_s, 3.0 * twist], axis=1)
    drift = q_rest_rad - q
    gram = J @ J.transpose(0, 2, 1) + 1e-3 * np.eye(6)
    residual = task - (J @ drift[:, :, None])[:, :, 0]
    dq = drift + (J.transpose(0, 2, 1) @ np.linalg.solve(gram, residual[:, :, None]))[:, :, 0]
    peak = np.abs(dq).max(axis=1, keepdims=True)
    return np.asarray(dq * np.minimum(1.0, speed_limit_rad_s / np.maximum(peak, 1e-9)))
