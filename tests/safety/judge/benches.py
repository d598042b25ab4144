"""Robots before the judge: each with the kernel that it gets, compiled from its own description."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.control.limits import kernel_config
from edge_runtime.safety.kinematics import KinematicsFile, compile_file, read_kinematics, watched_body
from edge_runtime.safety.limits import AxisKind, KernelConfig
from tests.safety.judge.drive import drive
from tests.safety.judge.judge import Findings, Judge
from tests.safety.judge.robots import CLEARANCE_M, Robot, hand, one_arm, two_arms

WORLD = SIM_CONFIG.parents[1] / "world.xml"


@dataclass(frozen=True)
class Bench:
    """One robot, its judge and its kernel."""

    robot: Robot
    judge: Judge
    config: KernelConfig

    def drive(self, ticks: int, seed: int) -> Findings:
        """What came of it."""
        return drive(self.robot, self.judge, self.config, ticks, seed)


def described(robot: Robot, folder: Path) -> Bench:
    """A robot of `robots.py`, compiled as `edge-runtime kinematics` does it."""
    path = robot.write(folder)
    file = compile_file(path, robot.joints, robot.home_rad).file
    judge = Judge(robot, path, file, CLEARANCE_M)
    return Bench(robot, judge, _config(robot, judge, file))


def shipped(folder: Path) -> Bench:  # noqa: ARG001 (the others need one)
    """The simulated arm over its table, with its own limits and kinematics file."""
    config = load_config(SIM_CONFIG)
    embodiment, geometry = config.embodiment, config.safety.geometry
    assert geometry is not None
    robot = Robot(
        "shipped",
        WORLD.read_text(encoding="utf-8"),
        embodiment.joint_names,
        tuple(embodiment.home[i] for i in embodiment.joint_indices),
        held=("finger_left", "finger_right"),
        root="link0",
    )
    file = read_kinematics(SIM_CONFIG.parent / geometry.kinematics)
    judge = Judge(robot, WORLD, file, geometry.clearance_min_m, obstacle="table")
    return Bench(robot, judge, kernel_config(config.safety, embodiment))


BENCHES: dict[str, Callable[[Path], Bench]] = {
    "shipped": shipped,
    "one_arm": lambda folder: described(one_arm(), folder),
    "two_arms": lambda folder: described(two_arms(), folder),
    "hand": lambda folder: described(hand(), folder),
}


def _config(robot: Robot, judge: Judge, file: KinematicsFile) -> KernelConfig:
    n = len(robot.joints)
    return KernelConfig(
        axis_names=robot.joints,
        axis_kinds=(AxisKind.BOUNDED,) * n,
        q_min=tuple(judge.ranges[:, 0].tolist()),
        q_max=tuple(judge.ranges[:, 1].tolist()),
        dq_max=(robot.velocity_max_rad_s,) * n,
        ddq_max=(robot.acceleration_max_rad_s2,) * n,
        dddq_max=(robot.jerk_max_rad_s3,) * n,
        tracking_max=(0.2,) * n,
        step_max=(10.0,) * n,
        clearance_min_m=CLEARANCE_M,
        geometry=watched_body(file, CLEARANCE_M),
    )
