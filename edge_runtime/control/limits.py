"""From the robot's own safety file to what the kernel holds it to."""

from __future__ import annotations

from contracts.embodiment import Embodiment
from contracts.topics import ACTION_CHUNK
from edge_runtime.config import SafetyFile
from edge_runtime.safety import KernelConfig

_PLAN_REACH_NS = 1_000_000_000
"""An action may still be followed so long after its chunk was as old as a chunk may get."""


def kernel_config(safety: SafetyFile, embodiment: Embodiment) -> KernelConfig:
    """Limits of `safety` in the joint order of `embodiment`.

    Raises:
        ConfigError: a limit that the kernel can't hold, named.
    """
    limits = [safety.joints[name] for name in embodiment.joint_names]
    return KernelConfig(
        joint_names=embodiment.joint_names,
        q_min_rad=tuple(joint.position_min_rad for joint in limits),
        q_max_rad=tuple(joint.position_max_rad for joint in limits),
        dq_max_rad_s=tuple(joint.velocity_max_rad_s for joint in limits),
        ddq_max_rad_s2=tuple(joint.acceleration_max_rad_s2 for joint in limits),
        tracking_max_rad=(safety.tracking_error_max_rad,) * len(limits),
        gripper_min_m=0.0,
        gripper_max_m=embodiment.gripper.opening_max_m,
        gripper_rate_m_s=safety.gripper_speed_max_m_s,
        feedback_max_age_ns=round(safety.feedback_timeout_s * 1e9),
        observation_max_age_ns=round(ACTION_CHUNK.max_age_s * 1e9) + _PLAN_REACH_NS,
    )
