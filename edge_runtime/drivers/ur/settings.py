"""`[driver]` of a UR arm, and which robots it fits."""

from __future__ import annotations

import math

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.config.toml_file import Section
from edge_runtime.contracts.axes import Revolute
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.sdk.settings import driver_settings

JOINTS = (
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
)
"""Names in Universal Robots' own description, in the order of the controller."""


class UrSettings(Section, frozen=True):
    """What robot.toml says of the controller."""

    host: str
    """Address of the controller. Example: `"192.168.1.10"`."""
    rate_hz: float | None = None
    """Packages a second, 50 to 500. Left out: 500 on an e-Series, 125 on a CB3."""
    lookahead_s: float = 0.05
    """How far `servoj` smooths, 0.03 to 0.2: the arm follows so much later."""
    gain: float = 300.0
    """How stiffly `servoj` follows, 100 to 2000."""
    stop_rad_s2: float = 8.0
    """How hard each joint is braked where commands cease, 1 to 40."""
    watchdog_s: float = 0.1
    """The controller stops its program, and the arm with it, where it hears nothing for so long, 0.02 to 1."""
    silence_s: float = 0.25
    """A controller that sends nothing new for so long is lost, 0.02 to 2."""
    wrench: bool | None = None
    """Whether the force at the tool is reported. Left out: on an e-Series, which measures it; a CB3 only estimates it
    from motor currents."""

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("host must be the address of the controller")
        for name, low, high in (
            ("rate_hz", 50.0, 500.0),
            ("lookahead_s", 0.03, 0.2),
            ("gain", 100.0, 2000.0),
            ("stop_rad_s2", 1.0, 40.0),
            ("watchdog_s", 0.02, 1.0),
            ("silence_s", 0.02, 2.0),
        ):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{name} must lie between {low:g} and {high:g}, got {value!r}")


def require_settings(config: RobotConfig) -> None:
    """Check `[driver]`.

    Raises:
        ConfigError: names the key.
    """
    driver_settings(config, UrSettings)


def require_ur(embodiment: Embodiment) -> None:
    """Check that `embodiment` is an arm as a UR controller drives it.

    Raises:
        ConfigError: names what it is not.
    """
    if len(embodiment.axes) != len(JOINTS) or not all(isinstance(axis, Revolute) for axis in embodiment.axes):
        found = ", ".join(embodiment.axis_names)
        problem = f"a UR controller drives six revolute joints and nothing else, from base to wrist; found: {found}"
        raise ConfigError("groups", problem)
    if set(embodiment.axis_names) == set(JOINTS) and embodiment.axis_names != JOINTS:
        raise ConfigError("groups", f"the controller's order is {', '.join(JOINTS)}")
    if embodiment.cameras:
        raise ConfigError("cameras", "the driver of a UR arm has no cameras of its own: leave them out")
