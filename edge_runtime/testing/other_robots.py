"""Robots of many shapes, to run what has to work for every one of them: an embodiment each, and settings to go with it.

Limits are such as robots of that shape have. None of them is a maker's.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edge_runtime.config.embodiment_file import embodiment_toml
from edge_runtime.contracts.axes import (
    AnyAxis,
    BaseLinear,
    BaseYaw,
    BinaryGripper,
    Continuous,
    JawGripper,
    ParallelGripper,
    Prismatic,
    Revolute,
)
from edge_runtime.contracts.embodiment import Camera, Embodiment, Group

CAMERA = Camera(name="scene", width_px=64, height_px=48, rate_hz=20.0)


def revolute(name: str, home_rad: float = 0.0, *, low: float = -2.5, high: float = 2.5, speed: float = 2.0) -> Revolute:
    """A joint that turns; radians and rad/s."""
    return Revolute(
        name=name,
        position_min_rad=low,
        position_max_rad=high,
        velocity_max_rad_s=speed,
        acceleration_max_rad_s2=10.0,
        jerk_max_rad_s3=5000.0,
        torque_max_nm=40.0,
        home_rad=home_rad,
    )


def continuous(name: str, home_rad: float = 0.0) -> Continuous:
    """A joint that turns without end."""
    return Continuous(
        name=name,
        velocity_max_rad_s=1.4,
        acceleration_max_rad_s2=5.0,
        jerk_max_rad_s3=1000.0,
        torque_max_nm=40.0,
        home_rad=home_rad,
    )


def prismatic(name: str, home_m: float, *, low: float, high: float, speed: float = 0.5) -> Prismatic:
    """A joint that slides; metres and m/s."""
    return Prismatic(
        name=name,
        position_min_m=low,
        position_max_m=high,
        velocity_max_m_s=speed,
        acceleration_max_m_s2=2.0,
        jerk_max_m_s3=200.0,
        force_max_n=400.0,
        home_m=home_m,
    )


def base() -> tuple[BaseLinear, BaseYaw]:
    """What a base with two driven wheels can do: drive forwards or backwards, and turn."""
    forwards = BaseLinear(name="base_x", along="x", velocity_max_m_s=0.6, acceleration_max_m_s2=1.0, jerk_max_m_s3=20.0)
    turn = BaseYaw(name="base_yaw", velocity_max_rad_s=1.5, acceleration_max_rad_s2=3.0, jerk_max_rad_s3=60.0)
    return forwards, turn


def parallel_gripper(name: str = "gripper") -> ParallelGripper:
    """Two fingers, up to 80 mm apart."""
    return ParallelGripper(name=name, opening_max_m=0.08, speed_max_m_s=0.2, force_max_n=70.0)


def arm(prefix: str, count: int, gripper: str | None) -> Group:
    """An arm of that many joints that turn, and of a parallel gripper if it has a name."""
    bent = (0.0, 0.4, -0.8, 0.3, 0.5, 0.0, 0.2)
    axes: list[AnyAxis] = [revolute(f"{prefix}{i + 1}", bent[i]) for i in range(count)]
    if gripper is not None:
        axes.append(parallel_gripper(gripper))
    return Group(name=prefix.rstrip("_") or "arm", kind="arm", axes=tuple(axes))


def _hand(name: str, fingers: int, joints: int, also: Iterable[AnyAxis] = ()) -> Embodiment:
    axes: list[AnyAxis] = list(also)
    for finger in range(fingers):
        axes.append(revolute(f"finger{finger}_0", low=-0.4, high=0.4, speed=5.0))
        axes += [revolute(f"finger{finger}_{i}", 0.3, low=-0.2, high=1.7, speed=5.0) for i in range(1, joints)]
    return Embodiment(name=name, groups=(Group(name="hand", kind="hand", axes=tuple(axes)),), cameras=(CAMERA,))


def gantry() -> Embodiment:
    """Three axes that slide."""
    axes = (
        prismatic("x", 0.0, low=-0.5, high=0.5),
        prismatic("y", 0.0, low=-0.4, high=0.4),
        prismatic("z", 0.3, low=0.0, high=0.6, speed=0.3),
    )
    return Embodiment(name="gantry", groups=(Group(name="gantry", kind="arm", axes=axes),), cameras=(CAMERA,))


def jaw_arm() -> Embodiment:
    """Five joints and a jaw that turns, six motors of one kind: as arms of hobby servos are made."""
    names = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
    jaw = JawGripper(name="gripper", closed_rad=-0.17, open_rad=1.75, speed_max_rad_s=5.0, torque_max_nm=3.0)
    axes: tuple[AnyAxis, ...] = (*(revolute(name, low=-1.7, high=1.7, speed=5.0) for name in names), jaw)
    return Embodiment(name="jaw_arm", groups=(Group(name="arm", kind="arm", axes=axes),), cameras=(CAMERA,))


def two_arms(joints: int = 6) -> Embodiment:
    """Two arms of that many joints with a gripper each: the grippers stand in the middle and at the end."""
    groups = tuple(arm(f"{side}_", joints, f"{side}_gripper") for side in ("left", "right"))
    return Embodiment(name=f"two_arms_{joints}", groups=groups, cameras=(CAMERA,))


def hand_16() -> Embodiment:
    """A hand of four fingers with four joints each."""
    return _hand("hand_16", 4, 4)


def hand_24() -> Embodiment:
    """Four fingers of five joints each, on a wrist of four."""
    wrist = [revolute(f"wrist_{i}", low=-0.6, high=0.6) for i in range(4)]
    return _hand("hand_24", 4, 5, wrist)


def mobile_manipulator() -> Embodiment:
    """A base that drives and turns, a lift on it, and on that an arm of six joints with a parallel gripper."""
    lift = Group(name="torso", kind="torso", axes=(prismatic("lift", 0.2, low=0.0, high=0.6, speed=0.2),))
    groups = (Group(name="base", kind="base", axes=base()), lift, arm("joint", 6, "gripper"))
    return Embodiment(name="mobile_manipulator", groups=groups, cameras=(CAMERA,))


def bare_arm() -> Embodiment:
    """An arm of six joints with no gripper, and no camera."""
    return Embodiment(name="bare_arm", groups=(arm("joint", 6, None),))


def continuous_arm() -> Embodiment:
    """Seven joints of which every second one turns without end, and a suction cup that is on or off."""
    joints: list[AnyAxis] = [
        continuous(f"joint{i}") if i % 2 else revolute(f"joint{i}", 0.5, low=-2.2, high=2.2, speed=1.4)
        for i in range(1, 8)
    ]
    arm_of = Group(name="arm", kind="arm", axes=(*joints, BinaryGripper(name="suction")))
    return Embodiment(name="continuous_arm", groups=(arm_of,), cameras=(CAMERA,))


OTHER_ROBOTS: dict[str, Embodiment] = {
    robot.name: robot
    for robot in (
        gantry(),
        jaw_arm(),
        two_arms(6),
        two_arms(7),
        hand_16(),
        hand_24(),
        mobile_manipulator(),
        bare_arm(),
        continuous_arm(),
    )
}
"""All of them, by name."""


def safety_toml(embodiment: Embodiment) -> str:
    """A safety file that allows what the axes are rated for, and nine tenths of their speed."""
    lines = ["feedback_timeout_s = 0.1", "tracking_error_max_rad = 0.15"]
    for axis in embodiment.axes:
        rate = axis.rate_unit.replace("/", "_").replace("^", "")
        if axis.is_gripper:
            lines += ["", f"[grippers.{axis.name}]"]
            lines += (
                [] if isinstance(axis, BinaryGripper) else [f"speed_max_{rate} = {round(0.9 * axis.speed_max, 6)!r}"]
            )
        else:
            unit = axis.unit.replace("/", "_") if axis.is_velocity else rate
            lines += ["", f"[joints.{axis.name}]", f"velocity_max_{unit} = {round(0.9 * axis.speed_max, 6)!r}"]
    return "\n".join(lines) + "\n"


def write_settings(folder: Path, embodiment: Embodiment, *, driver: str = "./driver.py", safety: str = "") -> Path:
    """Write embodiment.toml, safety.toml and robot.toml of a robot without a policy; the path of the last one.

    Args:
        folder: where to; it exists.
        embodiment: the robot type.
        driver: what robot.toml names as its driver.
        safety: the text of the safety file, if not that of `safety_toml`.
    """
    (folder / "embodiment.toml").write_text(embodiment_toml(embodiment), encoding="utf-8")
    (folder / "safety.toml").write_text(safety or safety_toml(embodiment), encoding="utf-8")
    robot = folder / "robot.toml"
    keys = {"name": f"{embodiment.name}-1", "driver": driver, "embodiment": "embodiment.toml", "safety": "safety.toml"}
    robot.write_text("[robot]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items()), encoding="utf-8")
    return robot
