"""What the kernel knows of the robot's body, compiled from URDF or MJCF, stored in a file that people can read."""

from edge_runtime.safety.kinematics.file import load_kinematics, write_kinematics
from edge_runtime.safety.kinematics.model import (
    BASE,
    Capsule,
    GeometryModel,
    Keepout,
    KinematicJoint,
    Plane,
    SourceLimits,
    ToolPoint,
    box_planes,
)

__all__ = [
    "BASE",
    "Capsule",
    "GeometryModel",
    "Keepout",
    "KinematicJoint",
    "Plane",
    "SourceLimits",
    "ToolPoint",
    "box_planes",
    "load_kinematics",
    "write_kinematics",
]
