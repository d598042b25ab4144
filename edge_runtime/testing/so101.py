"""An SO-101 as LeRobot drives it, for tests and benchmarks: its settings, and the calibration of its servos."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from edge_runtime.contracts.axes import JawGripper, Revolute
from edge_runtime.contracts.embodiment import Camera, Embodiment, Group
from edge_runtime.testing.feetech_servos import STEP_RAD, FeetechServos
from edge_runtime.testing.other_robots import safety_toml, write_settings

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
ID = "test_arm"


def embodiment(servos: FeetechServos, cameras: Sequence[Camera] = ()) -> Embodiment:
    """Five joints over their calibrated ranges, and a jaw."""
    ranges = {name: (row["range_max"] - row["range_min"]) * STEP_RAD for name, row in servos.calibration().items()}
    joints = [
        Revolute(
            name=name,
            position_min_rad=round(-ranges[name] / 2.0, 3),
            position_max_rad=round(ranges[name] / 2.0, 3),
            velocity_max_rad_s=3.0,
            acceleration_max_rad_s2=20.0,
            jerk_max_rad_s3=5000.0,
            torque_max_nm=2.9,
            home_rad=0.0,
        )
        for name in JOINTS
    ]
    jaw = JawGripper(name="gripper", closed_rad=-0.17, open_rad=1.75, speed_max_rad_s=3.0)
    arm = Group(name="arm", kind="arm", axes=(*joints, jaw))
    return Embodiment(name="so101", groups=(arm,), cameras=tuple(cameras))


def write_so101(
    folder: Path, servos: FeetechServos, *, python: Path | None = None, driver: str = "", cameras: Sequence[Camera] = ()
) -> Path:
    """Settings of an SO-101 with these servos; the path of its robot.toml.

    Args:
        folder: where to; it exists.
        python: whose packages have LeRobot, if not this one's.
        driver: more lines of `[driver]`.
    """
    robot = embodiment(servos, cameras)
    # Five cycles of the slowest bus.
    safety = safety_toml(robot).replace("feedback_timeout_s = 0.1", "feedback_timeout_s = 0.2")
    path = write_settings(folder, robot, driver="lerobot", safety=safety)
    (folder / "calibration").mkdir(exist_ok=True)
    (folder / "calibration" / f"{ID}.json").write_text(json.dumps(servos.calibration()), encoding="utf-8")
    lines = [] if python is None else [f'driver_python = "{python}"', ""]
    lines += ["[driver]", 'type = "so101_follower"', f'id = "{ID}"', f'port = "{servos.port}"']
    lines += ['calibration_dir = "calibration"', driver, ""]
    path.write_text(path.read_text(encoding="utf-8") + "\n".join(lines), encoding="utf-8")
    return path


def step_of(name: str, servos: FeetechServos, q_rad: float) -> float:
    """The step at which a joint's servo is when the joint is at `q_rad`."""
    row = servos.calibration()[name]
    return (row["range_min"] + row["range_max"]) / 2.0 + q_rad / (2.0 * math.pi) * 4095.0
