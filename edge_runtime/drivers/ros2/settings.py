"""`[driver]` of a robot behind ROS 2 topics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.config.toml_file import Section
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.sdk.settings import driver_settings


def _require_topics(*topics: str) -> None:
    for topic in topics:
        if not (topic.startswith("/") and len(topic) > 1):
            raise ValueError(f"a topic is a full name, as /joint_states, got {topic!r}")


class AxisSection(Section, frozen=True):
    """One axis of the embodiment as the robot's own description has it: value = ratio * joint + offset."""

    joint: str | None = None
    """Name of the joint in JointState. Left out: the axis's own name."""
    ratio: float = 1.0
    """Units of the axis for each unit of the joint: 2.0 for a gripper's opening of which one finger is measured."""
    offset: float = 0.0
    """Value of the axis where the joint is at 0."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.ratio) and self.ratio != 0.0 and math.isfinite(self.offset)):
            raise ValueError("ratio must be a number other than 0, and offset a number")


class CommandSection(Section, frozen=True):
    """One controller that takes positions."""

    topic: str
    """Where it listens. Example: `"/forward_position_controller/commands"`."""
    kind: Literal["positions", "trajectory"]
    """`positions`: Float64MultiArray, as forward_command_controller takes; `trajectory`: JointTrajectory, as
    joint_trajectory_controller takes."""
    axes: tuple[str, ...] = ()
    """Axes of the embodiment in the order of the controller's `joints`. Left out: all that are no base's."""
    horizon_s: float = 0.1
    """Of a trajectory: when the arm is to be where it is told, 0.01 to 1."""

    def __post_init__(self) -> None:
        _require_topics(self.topic)
        if not 0.01 <= self.horizon_s <= 1.0:
            raise ValueError(f"horizon_s must lie between 0.01 and 1, got {self.horizon_s!r}")


class BaseSection(Section, frozen=True):
    """A base that is driven by its velocity."""

    command: str = "/cmd_vel"
    """Where its controller takes a Twist."""
    stamped: bool = False
    """Whether it takes a TwistStamped instead."""
    odometry: str = "/odom"
    """Where its Odometry comes from."""

    def __post_init__(self) -> None:
        _require_topics(self.command, self.odometry)


class Ros2Settings(Section, frozen=True):
    """What robot.toml says of the topics."""

    transport: Literal["dds", "zenoh"]
    """`dds`: Cyclone DDS, which talks to every ROS 2 middleware on DDS; `zenoh`: rmw_zenoh's, through its router."""
    commands: tuple[CommandSection, ...] = ()
    """The controllers: each axis that is no base's belongs to one."""
    domain: int = 0
    """As ROS_DOMAIN_ID, 0 to 232."""
    connect: tuple[str, ...] = ("tcp/127.0.0.1:7447",)
    """Of Zenoh: the router."""
    cyclonedds_uri: str | None = None
    """Of DDS: Cyclone's configuration, XML or file://PATH. Left out: the variable CYCLONEDDS_URI's."""
    rate_hz: float = 100.0
    """How often joint_state_broadcaster publishes, 20 to 1000: the driver's cycles."""
    silence_s: float = 0.25
    """A publisher that says nothing new for so long is gone, 0.02 to 2."""
    joint_states: str = "/joint_states"
    """Where JointState comes from, with every joint in each message."""
    stamps: Literal["header", "arrival"] = "header"
    """When values were measured: by the header's stamp, on this clock by the least delay seen; or when they arrived."""
    effort: bool = False
    """Whether JointState's effort is reported as torque: Nm and N of the motors without the arm's own weight alone."""
    axes: dict[str, AxisSection] = msgspec.field(default_factory=dict)
    """By axis: how it is called and counted there."""
    base: BaseSection | None = None
    """Left out: no base."""
    wrenches: tuple[str, ...] = ()
    """WrenchStamped of each tool's sensor, in the order of the tools."""
    images: dict[str, str] = msgspec.field(default_factory=dict)
    """By camera: where its Image comes from."""

    def __post_init__(self) -> None:
        _require_topics(self.joint_states, *self.wrenches, *self.images.values())
        for name, low, high in (("domain", 0, 232), ("rate_hz", 20.0, 1000.0), ("silence_s", 0.02, 2.0)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie between {low:g} and {high:g}, got {getattr(self, name)!r}")
        if not self.connect:
            raise ValueError("connect names one endpoint at least, as tcp/127.0.0.1:7447")


def settings_of(config: RobotConfig) -> Ros2Settings:
    """`[driver]`, which fits this robot.

    Raises:
        ConfigError: names the key.
    """
    settings, embodiment = driver_settings(config, Ros2Settings), config.embodiment
    driven = [name for index, name in enumerate(embodiment.axis_names) if index not in embodiment.base_indices]
    _require_known("driver.axes", list(settings.axes), driven)
    commanded: list[str] = []
    for index, command in enumerate(settings.commands):
        _require_known(f"driver.commands[{index}].axes", command.axes, driven)
        commanded += command.axes or driven
    _require_each_once("driver.commands", commanded, driven)
    _require_each_once("driver.images", list(settings.images), [camera.name for camera in embodiment.cameras])
    _require_base(settings, embodiment)
    return settings


def require_settings(config: RobotConfig) -> None:
    """Check `[driver]`, and the packages of its transport.

    Raises:
        ConfigError: names the key.
    """
    settings_of(config)


def _require_base(settings: Ros2Settings, embodiment: Embodiment) -> None:
    if embodiment.base_axes and settings.base is None:
        raise ConfigError("driver.base", "is missing: the embodiment has a base")
    if settings.base is not None and not embodiment.base_axes:
        raise ConfigError("driver.base", "the embodiment has no base: leave the table out")


def _require_known(key: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(key, f"there is no {name!r}: the robot has {', '.join(known) or 'none'}")


def _require_each_once(key: str, names: Sequence[str], known: Sequence[str]) -> None:
    _require_known(key, names, known)
    for name in known:
        if names.count(name) != 1:
            problem = f"{name!r} must be there once, is there {names.count(name)} times"
            raise ConfigError(key, problem)
