"""The ROS 2 messages that are spoken, as common_interfaces defines them; each field says its ROS type.

What travels (`cdr.py`), what a DDS topic is registered as (`dds.py`) and the hash of a type (`type_hash.py`) are all
made from these classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

Int32 = Annotated[int, "int32"]
UInt32 = Annotated[int, "uint32"]
UInt8 = Annotated[int, "uint8"]
Float64 = Annotated[float, "float64"]
String = Annotated[str, "string"]
Strings = Annotated[tuple[str, ...], "string[]"]
Float64s = Annotated[NDArray[np.float64], "float64[]"]
Covariance = Annotated[NDArray[np.float64], "float64[36]"]
UInt8s = Annotated[NDArray[np.uint8], "uint8[]"]


def _none() -> NDArray[np.float64]:
    return np.zeros(0)


class Message:
    """Base of all. `ros_type` is the type's name in ROS."""

    ros_type: ClassVar[str]

    @classmethod
    def dds_type(cls) -> str:
        """The type's name on the wire: sensor_msgs::msg::dds_::JointState_."""
        package, kind, name = cls.ros_type.split("/")
        return f"{package}::{kind}::dds_::{name}_"


@dataclass(frozen=True)
class Time(Message):
    """A stamp."""

    ros_type = "builtin_interfaces/msg/Time"
    sec: Int32 = 0
    nanosec: UInt32 = 0

    @property
    def ns(self) -> int:
        """In nanoseconds since the clock's zero."""
        return self.sec * 1_000_000_000 + self.nanosec

    @classmethod
    def of_ns(cls, ns: int) -> Time:
        """From nanoseconds."""
        return cls(*divmod(ns, 1_000_000_000))


@dataclass(frozen=True)
class Duration(Message):
    """A span of time."""

    ros_type = "builtin_interfaces/msg/Duration"
    sec: Int32 = 0
    nanosec: UInt32 = 0


@dataclass(frozen=True)
class Header(Message):
    """When, and in which frame."""

    ros_type = "std_msgs/msg/Header"
    stamp: Time = Time()
    frame_id: String = ""


@dataclass(frozen=True)
class JointState(Message):
    """Of joints in any order: rad or m, rad/s or m/s, Nm or N. An array may be empty."""

    ros_type = "sensor_msgs/msg/JointState"
    header: Header = Header()
    name: Strings = ()
    position: Float64s = field(default_factory=_none)
    velocity: Float64s = field(default_factory=_none)
    effort: Float64s = field(default_factory=_none)


@dataclass(frozen=True)
class MultiArrayDimension(Message):
    """Of a MultiArrayLayout."""

    ros_type = "std_msgs/msg/MultiArrayDimension"
    label: String = ""
    size: UInt32 = 0
    stride: UInt32 = 0


@dataclass(frozen=True)
class MultiArrayLayout(Message):
    """Of a Float64MultiArray; empty for a plain list."""

    ros_type = "std_msgs/msg/MultiArrayLayout"
    dim: tuple[MultiArrayDimension, ...] = ()
    data_offset: UInt32 = 0


@dataclass(frozen=True)
class Float64MultiArray(Message):
    """What a forward_command_controller takes: one value for each of its joints, in its order."""

    ros_type = "std_msgs/msg/Float64MultiArray"
    layout: MultiArrayLayout = MultiArrayLayout()
    data: Float64s = field(default_factory=_none)


@dataclass(frozen=True)
class JointTrajectoryPoint(Message):
    """Where to be, and when."""

    ros_type = "trajectory_msgs/msg/JointTrajectoryPoint"
    positions: Float64s = field(default_factory=_none)
    velocities: Float64s = field(default_factory=_none)
    accelerations: Float64s = field(default_factory=_none)
    effort: Float64s = field(default_factory=_none)
    time_from_start: Duration = Duration()


@dataclass(frozen=True)
class JointTrajectory(Message):
    """What a joint_trajectory_controller takes."""

    ros_type = "trajectory_msgs/msg/JointTrajectory"
    header: Header = Header()
    joint_names: Strings = ()
    points: tuple[JointTrajectoryPoint, ...] = ()


@dataclass(frozen=True)
class Vector3(Message):
    """x, y, z."""

    ros_type = "geometry_msgs/msg/Vector3"
    x: Float64 = 0.0
    y: Float64 = 0.0
    z: Float64 = 0.0


@dataclass(frozen=True)
class Point(Message):
    """x, y, z, in m."""

    ros_type = "geometry_msgs/msg/Point"
    x: Float64 = 0.0
    y: Float64 = 0.0
    z: Float64 = 0.0


@dataclass(frozen=True)
class Quaternion(Message):
    """An orientation."""

    ros_type = "geometry_msgs/msg/Quaternion"
    x: Float64 = 0.0
    y: Float64 = 0.0
    z: Float64 = 0.0
    w: Float64 = 1.0


@dataclass(frozen=True)
class Pose(Message):
    """Where, and how turned."""

    ros_type = "geometry_msgs/msg/Pose"
    position: Point = Point()
    orientation: Quaternion = Quaternion()


@dataclass(frozen=True)
class Twist(Message):
    """m/s and rad/s."""

    ros_type = "geometry_msgs/msg/Twist"
    linear: Vector3 = Vector3()
    angular: Vector3 = Vector3()


@dataclass(frozen=True)
class TwistStamped(Message):
    """A twist at an instant."""

    ros_type = "geometry_msgs/msg/TwistStamped"
    header: Header = Header()
    twist: Twist = Twist()


@dataclass(frozen=True)
class Wrench(Message):
    """N and Nm."""

    ros_type = "geometry_msgs/msg/Wrench"
    force: Vector3 = Vector3()
    torque: Vector3 = Vector3()


@dataclass(frozen=True)
class WrenchStamped(Message):
    """A wrench at an instant."""

    ros_type = "geometry_msgs/msg/WrenchStamped"
    header: Header = Header()
    wrench: Wrench = Wrench()


@dataclass(frozen=True)
class PoseWithCovariance(Message):
    """A pose, and how sure it is."""

    ros_type = "geometry_msgs/msg/PoseWithCovariance"
    pose: Pose = Pose()
    covariance: Covariance = field(default_factory=lambda: np.zeros(36))


@dataclass(frozen=True)
class TwistWithCovariance(Message):
    """A twist, and how sure it is."""

    ros_type = "geometry_msgs/msg/TwistWithCovariance"
    twist: Twist = Twist()
    covariance: Covariance = field(default_factory=lambda: np.zeros(36))


@dataclass(frozen=True)
class Odometry(Message):
    """Where a base is, in the frame of the header, and how it moves, in the frame of the child."""

    ros_type = "nav_msgs/msg/Odometry"
    header: Header = Header()
    child_frame_id: String = ""
    pose: PoseWithCovariance = field(default_factory=PoseWithCovariance)
    twist: TwistWithCovariance = field(default_factory=TwistWithCovariance)


@dataclass(frozen=True)
class Image(Message):
    """A picture, row by row."""

    ros_type = "sensor_msgs/msg/Image"
    header: Header = Header()
    height: UInt32 = 0
    width: UInt32 = 0
    encoding: String = ""
    is_bigendian: UInt8 = 0
    step: UInt32 = 0
    data: UInt8s = field(default_factory=lambda: np.zeros(0, np.uint8))
