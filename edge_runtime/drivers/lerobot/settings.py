"""`[driver]` of robot.toml for LeRobot: which robot it is, and which of its axes have other names or units there."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.config.toml_file import Section
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.sdk.settings import driver_settings

Unit = Literal["degrees", "normalized", "percent", "rad", "m", "mm", "m/s", "rad/s", "degrees/s"]
_OWN_OPTIONS = ("type", "id", "port", "calibration_dir", "cameras")


class AxisSection(Section, frozen=True):
    """`[driver.axes.NAME]`: how one axis of the embodiment is called and measured in LeRobot."""

    key: str | None = None
    """Its feature, in observations and actions. Left out: the axis's name with `.pos`, of a base's axis `x.vel`,
    `y.vel` or `theta.vel`."""
    unit: Unit | None = None
    """What LeRobot tells it in. Left out: as its motor is set up, where the robot has a bus of LeRobot's."""
    reversed: bool = False
    """Whether it turns or opens the other way."""
    offset_rad: float | None = None
    """Added to what LeRobot tells, after `reversed`, of an axis in rad."""
    offset_m: float | None = None
    """The same of an axis in m."""

    def __post_init__(self) -> None:
        for name in ("offset_rad", "offset_m"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} must be finite, got {value!r}")


class LeRobotSettings(Section, frozen=True):
    """`[driver]`."""

    type: str
    """LeRobot's robot type, such as "so101_follower", or that of a plug-in."""
    id: str
    """Its name in LeRobot, by which its calibration file is called."""
    port: str | None = None
    """Its serial port, for a type that has one."""
    calibration_dir: str | None = None
    """Folder of its calibration file, relative to robot.toml. Left out: LeRobot's own."""
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    """Whatever else its type takes, as LeRobot calls it."""
    cameras: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    """LeRobot's cameras by the names that the embodiment has for them, each as LeRobot is told: type, width, ..."""
    camera_latency_s: float | None = None
    """How long before its arrival a picture was exposed, 0 to 1. Left out: one interval of its camera."""
    axes: dict[str, AxisSection] = msgspec.field(default_factory=dict)
    """Axes that are called or measured otherwise in LeRobot."""
    rate_max_hz: float = 60.0
    """Cycles a second at most, 10 to 500; less where the robot takes less."""

    def __post_init__(self) -> None:
        if not 10.0 <= self.rate_max_hz <= 500.0:
            raise ValueError(f"rate_max_hz must lie between 10 and 500, got {self.rate_max_hz!r}")
        if self.camera_latency_s is not None and not 0.0 <= self.camera_latency_s <= 1.0:
            raise ValueError("camera_latency_s must lie between 0 and 1")
        for name in _OWN_OPTIONS:
            if name in self.options:
                raise ValueError(f"options.{name}: {name} stands in [driver] itself")
        if self.options.get("max_relative_target") is not None:
            raise ValueError(
                "options.max_relative_target: leave it out: it reads the bus once more before each write, and what the "
                "robot may do is limited by safety.toml"
            )


def settings_of(config: RobotConfig) -> LeRobotSettings:
    """`[driver]` of this robot.

    Raises:
        ConfigError: names the key.
    """
    settings = driver_settings(config, LeRobotSettings)
    for name in settings.axes:
        if name not in config.embodiment.axis_names:
            known = ", ".join(config.embodiment.axis_names)
            raise ConfigError(f"driver.axes.{name}", f"the embodiment has no such axis; its axes: {known}")
    cameras = {camera.name for camera in config.embodiment.cameras}
    for name in settings.cameras:
        if name not in cameras:
            known = ", ".join(sorted(cameras)) or "none"
            raise ConfigError(f"driver.cameras.{name}", f"the embodiment has no such camera; its cameras: {known}")
    return settings


def require_settings(config: RobotConfig) -> None:
    """Check `[driver]`, without LeRobot.

    Raises:
        ConfigError: names the key.
    """
    settings_of(config)
