"""`[driver]` of robot.toml for a Gymnasium environment: which one it is, and what its vectors and pictures mean."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.config.toml_file import Section
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.sdk.settings import driver_settings


class AxisSection(Section, frozen=True):
    """`[driver.axes.NAME]`: where one axis of the embodiment is in actions and observations."""

    action: int
    """Its place in the action."""
    observation: str
    """Where an observation has its value: keys and places with dots between, such as "agent_pos.0"."""
    mode: Literal["position", "delta"] = "position"
    """What the action is: `position`, where to be (of a base's axis how fast to drive); `delta`, by how much to move
    from where it is."""
    action_scale: float = 1.0
    """One unit of the axis, in the action's unit."""
    action_offset: float = 0.0
    """The action at zero of the axis."""
    observation_scale: float | None = None
    """One unit of the axis, in the observation's unit. Left out: as in the action of a `position`, else 1."""
    observation_offset: float | None = None
    """The observation at zero of the axis. Left out: as in the action of a `position`, else 0."""

    def __post_init__(self) -> None:
        for name in ("action_scale", "observation_scale"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value != 0.0):
                raise ValueError(f"{name} must be finite and not zero, got {value!r}")
        for name in ("action_offset", "observation_offset"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} must be finite, got {value!r}")
        if self.action < 0:
            raise ValueError(f"action must be 0 or above, got {self.action}")


class CameraSection(Section, frozen=True):
    """`[driver.cameras.NAME]`: where the pictures of one camera of the embodiment come from."""

    observation: str | None = None
    """Where an observation has its picture, such as "pixels.top". Left out: the environment renders it."""


class SuccessSection(Section, frozen=True):
    """`[driver.success]`: when an episode has succeeded; any one of these is enough. One is needed."""

    info: str | None = None
    """A key of `info` that is true then, such as "is_success"."""
    reward_min: float | None = None
    """The reward of one step is as much."""
    terminated: bool = False
    """The environment ends the episode."""

    def __post_init__(self) -> None:
        if self.info is None and self.reward_min is None and not self.terminated:
            raise ValueError("success needs one of info, reward_min and terminated = true")


class GymSettings(Section, frozen=True, kw_only=True):
    """`[driver]`."""

    env: str
    """The environment's id."""
    module: str | None = None
    """A module that registers it when it is imported. Left out: Gymnasium itself knows it."""
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    """What `gymnasium.make` is given besides."""
    instruction: str
    """What is asked for in an episode, in words."""
    step_s: float | None = None
    """Time of one step of the environment, 0.001 to 1. Left out: as its `render_fps` says."""
    time_limit_s: float = 60.0
    """An episode that is undecided for so long has failed, above 0 to 3600."""
    axes: dict[str, AxisSection]
    """Every axis of the embodiment, by name."""
    cameras: dict[str, CameraSection] = msgspec.field(default_factory=dict)
    """Cameras of the embodiment whose pictures are in observations; any other one is rendered."""
    fixed_actions: dict[str, float] = msgspec.field(default_factory=dict)
    """Values of the action that no axis drives, by place."""
    success: SuccessSection

    def __post_init__(self) -> None:
        if not self.instruction.strip():
            raise ValueError("instruction must say what is asked for, in words")
        if self.step_s is not None and not 0.001 <= self.step_s <= 1.0:
            raise ValueError(f"step_s must lie between 0.001 and 1, got {self.step_s!r}")
        if not 0.0 < self.time_limit_s <= 3600.0:
            raise ValueError(f"time_limit_s must be above 0 and at most 3600, got {self.time_limit_s!r}")
        for key, value in self.fixed_actions.items():
            if not (key.isdecimal() and math.isfinite(value)):
                raise ValueError(f"fixed_actions: {key!r} = {value!r} is no place of an action with a finite value")
        places = [axis.action for axis in self.axes.values()] + [int(key) for key in self.fixed_actions]
        for place in places:
            if places.count(place) > 1:
                raise ValueError(f"value {place} of the action is set twice")


def settings_of(config: RobotConfig) -> GymSettings:
    """`[driver]` of this robot.

    Raises:
        ConfigError: names the key.
    """
    settings = driver_settings(config, GymSettings)
    names = config.embodiment.axis_names
    for name in (*names, *settings.axes):
        if name not in names:
            raise ConfigError(f"driver.axes.{name}", f"the embodiment has no such axis; its axes: {', '.join(names)}")
        if name not in settings.axes:
            raise ConfigError(f"driver.axes.{name}", "is missing: where actions and observations have this axis")
    cameras = [camera.name for camera in config.embodiment.cameras]
    for name in settings.cameras:
        if name not in cameras:
            known = ", ".join(cameras) or "none"
            raise ConfigError(f"driver.cameras.{name}", f"the embodiment has no such camera; its cameras: {known}")
    return settings


def require_settings(config: RobotConfig) -> None:
    """Check `[driver]`, without Gymnasium.

    Raises:
        ConfigError: names the key.
    """
    settings_of(config)
