"""Robots that LeRobot knows by a type: names of their axes as its datasets have them, and limits with their source.

No description comes with a type, so that nothing keeps such a robot off itself or a table until it is given one with
`--description`. Angles count from the middle that LeRobot's own calibration sets, in its sense of turning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from edge_runtime.commissioning.answers import GripperAnswer
from edge_runtime.safety.kinematics import SourceLimits
from edge_runtime.safety.kinematics.source import Kind, SourceJoint, SourceTree

_HALF_TURN = math.pi


@dataclass(frozen=True)
class TypeJoint:
    """A joint of a type: ends of its range in rad (a gripper's: closed, open), rated speed in rad/s, torque in Nm."""

    name: str
    low: float
    high: float
    speed: float
    torque: float


@dataclass(frozen=True)
class RobotType:
    """A robot by its LeRobot type.

    Attributes:
        arms: prefixes of the names of its arms; one empty one for a robot with one arm.
        joints: of one arm, the gripper last.
        source: where the limits are from.
        base: whether it drives in every direction.
    """

    arms: tuple[str, ...]
    joints: tuple[TypeJoint, ...]
    source: str
    base: bool = False

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Of all arms, without grippers."""
        return tuple(arm + joint.name for arm in self.arms for joint in self.joints[:-1])

    @property
    def grippers(self) -> dict[str, GripperAnswer]:
        """By the names of their axes."""
        last = self.joints[-1]
        return {
            arm + last.name: GripperAnswer(
                kind="jaw_gripper", joints=(arm + last.name,), closed=last.low, open=last.high
            )
            for arm in self.arms
        }

    def limits(self) -> dict[str, SourceLimits]:
        """Of every joint, grippers included, by its name."""
        return {
            arm + joint.name: SourceLimits.of(
                slides=False,
                low=min(joint.low, joint.high),
                high=max(joint.low, joint.high),
                speed=joint.speed,
                effort=joint.torque,
            )
            for arm in self.arms
            for joint in self.joints
        }

    def tightening(self, tree: SourceTree) -> SourceTree:
        """A description of the same robot, with the tighter one of each limit."""
        limits = self.limits()
        joints = tuple(
            replace(joint, limits=joint.limits.tightened(limits[joint.name])) if joint.name in limits else joint
            for joint in tree.joints
        )
        return replace(tree, joints=joints)

    def tree(self) -> SourceTree:
        """Its joints in chains, without places or shapes."""
        limits = self.limits()
        joints = []
        for arm in self.arms:
            parent = "base"
            for joint in self.joints:
                name = arm + joint.name
                joints.append(
                    SourceJoint(
                        name=name,
                        kind=Kind.REVOLUTE,
                        parent=parent,
                        child=f"{name} link",
                        X_PC=np.eye(4),
                        position_min=limits[name].low,
                        position_max=limits[name].high,
                        limits=limits[name],
                    )
                )
                parent = f"{name} link"
        return SourceTree(root="base", joints=tuple(joints), shapes={})


_STS3215 = (4.7, 1.9)
_XL430, _XL330 = (6.3, 1.5), (10.8, 0.5)
_SO101 = (
    TypeJoint("shoulder_pan", -1.91986, 1.91986, *_STS3215),
    TypeJoint("shoulder_lift", -1.74533, 1.74533, *_STS3215),
    TypeJoint("elbow_flex", -1.69, 1.69, *_STS3215),
    TypeJoint("wrist_flex", -1.65806, 1.65806, *_STS3215),
    TypeJoint("wrist_roll", -2.74385, 2.84121, *_STS3215),
    TypeJoint("gripper", -0.174533, 1.74533, *_STS3215),
)
_SO_SOURCE = (
    "ranges: the SO-101's URDF (new calibration) of TheRobotStudio/SO-ARM100; speed and torque: data sheet of the "
    "STS3215 at 7.4 V"
)
_DYNAMIXEL_SOURCE = (
    "speed and torque: e-manuals of XL430-W250 and XL330-M288; ranges: half a turn to each side, what the motors have: "
    "enter what the arm allows"
)
_KOCH = (
    TypeJoint("shoulder_pan", -_HALF_TURN, _HALF_TURN, *_XL430),
    TypeJoint("shoulder_lift", -_HALF_TURN, _HALF_TURN, *_XL430),
    TypeJoint("elbow_flex", -_HALF_TURN, _HALF_TURN, *_XL330),
    TypeJoint("wrist_flex", -_HALF_TURN, _HALF_TURN, *_XL330),
    TypeJoint("wrist_roll", -_HALF_TURN, _HALF_TURN, *_XL330),
    TypeJoint("gripper", 0.0, 1.5, *_XL330),
)
_OMX = (
    *(TypeJoint(joint.name, joint.low, joint.high, *_XL430) for joint in _KOCH[:3]),
    *_KOCH[3:],
)
_VIPERX = (
    TypeJoint("waist", -3.14158, 3.14158, 3.14, 10.6),
    TypeJoint("shoulder", -1.85005, 1.25664, 3.14, 21.2),
    TypeJoint("elbow", -1.76278, 1.6057, 3.14, 21.2),
    TypeJoint("forearm_roll", -3.14158, 3.14158, 3.14, 4.1),
    TypeJoint("wrist_angle", -1.8675, 2.23402, 3.14, 4.1),
    TypeJoint("wrist_rotate", -3.14158, 3.14158, 3.14, 4.1),
    TypeJoint("gripper", 0.0, 1.5, 3.14, 4.1),
)
_VIPERX_SOURCE = (
    "ranges: the ViperX 300 S of gym-aloha; speed: its URDF; torque: stall torque of XM540-W270 and XM430-W350; the "
    "shadow motors go with theirs"
)

ROBOT_TYPES: dict[str, RobotType] = {
    "so101_follower": RobotType(("",), _SO101, _SO_SOURCE),
    "so100_follower": RobotType(("",), _SO101, f"{_SO_SOURCE}; the SO-100 has the same joints"),
    "bi_so100_follower": RobotType(("left_", "right_"), _SO101, _SO_SOURCE),
    "bi_so101_follower": RobotType(("left_", "right_"), _SO101, _SO_SOURCE),
    "bi_so_follower": RobotType(("left_", "right_"), _SO101, _SO_SOURCE),
    "koch_follower": RobotType(("",), _KOCH, _DYNAMIXEL_SOURCE),
    "omx_follower": RobotType(("",), _OMX, _DYNAMIXEL_SOURCE),
    "viperx": RobotType(("",), _VIPERX, _VIPERX_SOURCE),
    "aloha": RobotType(("left_", "right_"), _VIPERX, _VIPERX_SOURCE),
    "lekiwi": RobotType(("arm_",), _SO101, _SO_SOURCE, base=True),
}
