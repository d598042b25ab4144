"""Between an axis in SI units and a feature of LeRobot: one straight line for each axis.

LeRobot tells a position in degrees, in -100 to 100 of the range that was calibrated, or in 0 to 100 of it. Nothing is
guessed: an axis whose feature or unit is not known is an error that names it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_runtime.contracts.axes import AnyAxis, AnyGripper, BaseLinear, BaseYaw
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.lerobot.settings import AxisSection, LeRobotSettings, Unit


@dataclass(frozen=True)
class Motor:
    """How one feature is told by a bus of LeRobot's.

    Attributes:
        unit: "degrees", "normalized" or "percent".
        range_rad: between the ends of its calibrated range.
    """

    unit: Unit
    range_rad: float


@dataclass(frozen=True)
class AxisMap:
    """One axis: `value = scale * feature + offset`, in the axis's own unit.

    Attributes:
        name: of the axis.
        key: of the feature, in observations and actions alike.
        is_velocity: its value is a velocity.
    """

    name: str
    key: str
    scale: float
    offset: float
    is_velocity: bool

    def value(self, feature: float) -> float:
        """The axis's value."""
        return self.scale * feature + self.offset

    def feature(self, value: float) -> float:
        """What LeRobot is told for it."""
        return (value - self.offset) / self.scale


def axis_maps(
    embodiment: Embodiment,
    settings: LeRobotSettings,
    observed: Mapping[str, Any],
    acted: Mapping[str, Any],
    motors: Mapping[str, Motor],
) -> tuple[AxisMap, ...]:
    """One for each axis, in the embodiment's order.

    Args:
        observed, acted: `observation_features` and `action_features` of the robot.
        motors: by feature, of those whose bus says how it is told.

    Raises:
        ConfigError: an axis whose feature the robot has not or whose unit is not known, a feature that nothing drives,
            or two axes of one feature.
    """
    maps = []
    for axis in embodiment.axes:
        section = settings.axes.get(axis.name, AxisSection())
        key = section.key or _key_of(axis, observed)
        for kind, features in (("observations", observed), ("actions", acted)):
            if key not in features:
                raise ConfigError(
                    f"driver.axes.{axis.name}.key",
                    f"{kind} of {settings.type} have no {key!r}; they have {_listed(features)}",
                )
        scale, offset = _line(axis, section, key, motors.get(key))
        maps.append(AxisMap(axis.name, key, scale, offset, axis.is_velocity))
    keys = [axis_map.key for axis_map in maps]
    for key in keys:
        if keys.count(key) > 1:
            names = ", ".join(axis_map.name for axis_map in maps if axis_map.key == key)
            raise ConfigError("driver.axes", f"{names} are all {key!r}")
    _require_driven(settings, acted, keys)
    return tuple(maps)


def _require_driven(settings: LeRobotSettings, acted: Mapping[str, Any], keys: Iterable[str]) -> None:
    # A motor that takes a position may be told a velocity and a torque with it, and goes without.
    driven = {key.rpartition(".")[0] or key for key in keys}
    left = [key for key in acted if (key.rpartition(".")[0] or key) not in driven]
    if left:
        raise ConfigError(
            "driver.axes", f"no axis of the embodiment drives {', '.join(left)} of {settings.type}: all of it moves"
        )


def _key_of(axis: AnyAxis, features: Mapping[str, Any]) -> str:
    if isinstance(axis, BaseLinear):
        return f"{axis.along}.vel"
    if isinstance(axis, BaseYaw):
        return "theta.vel"
    return axis.name if axis.name in features else f"{axis.name}.pos"


def _line(axis: AnyAxis, section: AxisSection, key: str, motor: Motor | None) -> tuple[float, float]:
    """Scale and offset."""
    where = f"driver.axes.{axis.name}"
    unit = section.unit or (motor.unit if motor is not None else _usual_unit(axis, key))
    if unit is None:
        raise ConfigError(
            f"{where}.unit", f"what {key!r} is told in is not known: degrees, normalized, percent, rad, m?"
        )
    offset = _own_offset(axis, section, where)
    sign = -1.0 if section.reversed else 1.0
    if unit in ("normalized", "percent"):
        low, high = _ends(axis, motor, where)
        if section.reversed:
            low, high = high, low
        first, last = (-100.0, 100.0) if unit == "normalized" else (0.0, 100.0)
        scale = (high - low) / (last - first)
        return scale, low - scale * first + offset
    scale, told = _SCALES[unit]
    if told != axis.unit:
        raise ConfigError(f"{where}.unit", f"{unit} of {key!r} can't be {axis.unit}, which {axis.name} is measured in")
    return sign * scale, offset


_SCALES: dict[str, tuple[float, str]] = {
    "degrees": (math.pi / 180.0, "rad"),
    "rad": (1.0, "rad"),
    "m": (1.0, "m"),
    "mm": (1e-3, "m"),
    "m/s": (1.0, "m/s"),
    "rad/s": (1.0, "rad/s"),
    "degrees/s": (math.pi / 180.0, "rad/s"),
}
"""What one of a unit is in SI, and in which."""


def _usual_unit(axis: AnyAxis, key: str) -> Unit | None:
    """As LeRobot's own bases have it."""
    if isinstance(axis, BaseLinear):
        return "m/s"
    if isinstance(axis, BaseYaw) and key == "theta.vel":
        return "degrees/s"
    return None


def _ends(axis: AnyAxis, motor: Motor | None, where: str) -> tuple[float, float]:
    """The axis's value at both ends of what LeRobot has calibrated."""
    if isinstance(axis, AnyGripper):
        return axis.closed, axis.open
    if motor is not None and axis.unit == "rad":
        return -motor.range_rad / 2.0, motor.range_rad / 2.0
    if axis.has_range and not axis.is_velocity:
        return axis.low, axis.high
    raise ConfigError(f"{where}.unit", f"{axis.name} has no two ends: a share of its range says nothing")


def _own_offset(axis: AnyAxis, section: AxisSection, where: str) -> float:
    given = {"rad": section.offset_rad, "m": section.offset_m}
    for unit, value in given.items():
        if value is not None and unit != axis.unit:
            raise ConfigError(f"{where}.offset_{unit}", f"{axis.name} is measured in {axis.unit}")
    return given.get(axis.unit) or 0.0


def _listed(features: Mapping[str, Any]) -> str:
    return ", ".join(key for key, kind in features.items() if not isinstance(kind, tuple)) or "none"
