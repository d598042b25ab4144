"""What the kernel knows of the robot's body, compiled from URDF or MJCF, stored in a file that people can read."""

from edge_runtime.safety.kinematics.compile import Compiled, compile_file
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
    "Compiled",
    "GeometryModel",
    "Keepout",
    "KinematicJoint",
    "Plane",
    "SourceLimits",
    "ToolPoint",
    "box_planes",
    "compile_file",
    "load_kinematics",
    "write_kinematics",
]
