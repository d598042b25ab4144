"""Robots whose other side is a simulated peer: their settings, for tests and benchmarks."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from edge_runtime.contracts.axes import Revolute
from edge_runtime.contracts.embodiment import Camera, Embodiment, Group
from edge_runtime.drivers.ur.settings import JOINTS
from edge_runtime.testing.other_robots import arm, base, safety_toml, write_settings
from edge_runtime.testing.peers import ros2_control
from edge_runtime.testing.peers.process import Peer
from edge_runtime.testing.peers.ur_program import HOME_RAD

_TURN_RAD = 6.28
_NUMBERS = iter(range(1, 250))


def loopback_address() -> str:
    """An address of this machine that no other test has: the ports of a UR controller are always the same."""
    return f"127.{100 + os.getpid() // 250 % 100}.{1 + os.getpid() % 250}.{next(_NUMBERS)}"


def ur5e() -> Embodiment:
    """A UR5e. Its acceleration, jerk and torque are assumed."""
    axes = tuple(
        Revolute(
            name=name,
            position_min_rad=-_TURN_RAD if name != "elbow_joint" else -3.14,
            position_max_rad=_TURN_RAD if name != "elbow_joint" else 3.14,
            velocity_max_rad_s=3.14,
            acceleration_max_rad_s2=8.0,
            jerk_max_rad_s3=4000.0,
            torque_max_nm=150.0 if place < 3 else 28.0,
            home_rad=home,
        )
        for place, (name, home) in enumerate(zip(JOINTS, HOME_RAD, strict=True))
    )
    return Embodiment(name="ur5e", groups=(Group(name="arm", kind="arm", axes=axes),))


def write_ur(folder: Path, address: str, more: str = "") -> Path:
    """Settings of a UR5e at `address`, with `more` lines of `[driver]`; the path of its robot.toml."""
    robot = ur5e()
    path = write_settings(folder, robot, driver="ur", safety=safety_toml(robot))
    _add(path, f'[driver]\nhost = "{address}"\n{more}\n')
    return path


def ros2_robot(*, with_base: bool = False, with_camera: bool = False) -> Embodiment:
    """Three joints and a gripper, with or without a base and a camera."""
    groups = [arm("axis_", 3, "gripper")]
    if with_base:
        groups.append(Group(name="base", kind="base", axes=base()))
    cameras = (Camera(name="front", width_px=64, height_px=48, rate_hz=20.0),) if with_camera else ()
    return Embodiment(name="ros2_robot", groups=tuple(groups), cameras=cameras)


def ros2_setup(transport: str, **more: Any) -> ros2_control.Setup:
    """The other side of that robot: its joints have names of their own, and one finger is what is measured."""
    home = [0.0, 0.4, -0.8, 0.04]
    joints = ["joint_1", "joint_2", "joint_3", "finger_joint"]
    # Domains of DDS are ports, of which a machine has one of each.
    domain = os.getpid() % 100 if transport == "dds" else 0
    endpoint = f"tcp/127.0.0.1:{_free_port()}" if transport == "zenoh" else ""
    return ros2_control.Setup(transport, joints, home, domain=domain, endpoint=endpoint, **more)


def write_ros2(folder: Path, setup: ros2_control.Setup, more: str = "") -> Path:
    """Settings of that robot; the path of its robot.toml. `more` is lines of `[driver]`."""
    robot = ros2_robot(with_base=setup.has_base, with_camera=setup.has_image)
    path = write_settings(folder, robot, driver="ros2", safety=safety_toml(robot))
    is_trajectory = setup.controller == "trajectory"
    lines = [
        "[driver]",
        f'transport = "{setup.transport}"',
        f"domain = {setup.domain}",
        f"rate_hz = {setup.rate_hz}",
        f'connect = ["{setup.endpoint}"]' if setup.endpoint else "",
        f"cyclonedds_uri = '{ros2_control.LOOPBACK}'" if setup.transport == "dds" else "",
        f'wrenches = ["{ros2_control.WRENCH}"]' if setup.has_wrench else "",
        more,
        *(f'[driver.axes.axis_{i}]\njoint = "joint_{i}"' for i in (1, 2, 3)),
        '[driver.axes.gripper]\njoint = "finger_joint"\nratio = 2.0',
        "[driver.base]" if setup.has_base else "",
        f'[driver.images]\nfront = "{ros2_control.IMAGE}"' if setup.has_image else "",
        "[[driver.commands]]",
        f'topic = "{ros2_control.TRAJECTORY if is_trajectory else ros2_control.POSITIONS}"',
        f'kind = "{setup.controller}"',
    ]
    _add(path, "\n".join(line for line in lines if line) + "\n")
    return path


def ros2_peer(setup: ros2_control.Setup) -> Peer:
    """The process of that other side, not yet entered."""
    fields = {name: getattr(setup, name) for name in setup.__struct_fields__}
    return Peer("ros2_control", json.dumps(fields))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _add(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "\n" + text, encoding="utf-8")
