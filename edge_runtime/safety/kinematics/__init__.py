"""What the kernel knows of the robot's body, compiled from URDF or MJCF, stored in a file that people can read."""

from edge_runtime.safety.kinematics.compile import Compiled, compile_file
from edge_runtime.safety.kinematics.file import KinematicsFile, NearPair, read_kinematics, write_kinematics
from edge_runtime.safety.kinematics.limits import SourceLimits
from edge_runtime.safety.kinematics.model import (
    BASE,
    Capsule,
    GeometryModel,
    HeldJoint,
    Keepout,
    KinematicJoint,
    Nearer,
    Plane,
    ToolPoint,
    box_planes,
)
from edge_runtime.safety.kinematics.watch import Watch, load_kinematics, watch_of, watched_body

__all__ = [
    "BASE",
    "Capsule",
    "Compiled",
    "GeometryModel",
    "HeldJoint",
    "Keepout",
    "KinematicJoint",
    "KinematicsFile",
    "NearPair",
    "Nearer",
    "Plane",
    "SourceLimits",
    "ToolPoint",
    "Watch",
    "box_planes",
    "compile_file",
    "load_kinematics",
    "read_kinematics",
    "watch_of",
    "watched_body",
    "write_kinematics",
]
