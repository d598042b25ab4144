"""`calibration.toml`: where the zero of each axis of this one robot is, and which way it turns.

A robot's value is `sign * (raw - offset)`, where raw is what its hardware says; velocities and efforts have the sign
alone. The file is the robot's own: it never travels in a bundle. Its digest is part of the limits' digest, so that
reports and recordings say with which one they were made.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge_runtime.config.toml_file import Section, read_toml
from edge_runtime.contracts.axes import AnyAxis, BinaryGripper
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError

_TURN = 2.0 * math.pi


class AxisCalibration(Section, frozen=True):
    """`[axes.NAME]`: one axis; what is left out is as the hardware says."""

    sign: int = 1
    """1: it turns the way that the description means; -1: the other way."""
    offset_rad: float | None = None
    """What the hardware says where the axis is at 0. Example: `0.12`."""
    offset_m: float | None = None
    """The same of an axis that slides, and of a parallel gripper. Example: `0.05`."""
    period_rad: float | None = None
    """How far off a robot may be that was switched on anew: a turn, or that of a motor behind its gear. Left out: a
    turn. Example: `0.698`."""

    def __post_init__(self) -> None:
        if self.sign not in (1, -1):
            raise ValueError(f"sign must be 1 or -1, got {self.sign!r}")
        for name in ("offset_rad", "offset_m"):
            value = getattr(self, name)
            if value is not None and not abs(value) <= 1e3:
                raise ValueError(f"{name} must be finite and within 1000, got {value!r}")
        if self.period_rad is not None and not 0.01 <= self.period_rad <= _TURN + 1e-9:
            raise ValueError(f"period_rad must lie between 0.01 and a turn, got {self.period_rad!r}")


class CalibrationFile(Section, frozen=True):
    """`calibration.toml` as written."""

    date: str
    """When it was made, by the clock of the robot. Example: `"2026-11-30T15:20:00+00:00"`."""
    by: str
    """Who made it. Example: `"Ada"`."""
    axes: dict[str, AxisCalibration]


class Calibration(msgspec.Struct, frozen=True):
    """Of every axis, in the embodiment's order.

    Attributes:
        path: of the file.
        date, by: when it was made, and who made it.
        sign, offset: (axes,) 1 or -1, and what the hardware says at 0, rad or m.
        period: (axes,) how far off an axis may be after it was switched on, rad; 0: not at all.
        named: axes that the file names.
    """

    path: Path
    date: str
    by: str
    sign: tuple[float, ...]
    offset: tuple[float, ...]
    period: tuple[float, ...]
    named: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) of signs and offsets: not of who made it, and when."""
        return hashlib.sha256(json.dumps([self.sign, self.offset]).encode()).hexdigest()


def read_calibration(path: Path, embodiment: Embodiment) -> Calibration:
    """The calibration in a file, for a robot of this type.

    Raises:
        ConfigError: names the key, and an axis that the robot has not.
    """
    file = read_toml(path, CalibrationFile)
    for name in file.axes:
        if name not in embodiment.axis_names:
            problem = f"{embodiment.name} has only {', '.join(embodiment.axis_names)} (in {path.name})"
            raise ConfigError(f"axes.{name}", problem)
    of_axes = [(axis, file.axes.get(axis.name, AxisCalibration())) for axis in embodiment.axes]
    return Calibration(
        path=path,
        date=file.date,
        by=file.by,
        sign=tuple(float(given.sign) for _, given in of_axes),
        offset=tuple(_offset(axis, given, path.name) for axis, given in of_axes),
        period=tuple(_period(axis, given) for axis, given in of_axes),
        named=tuple(axis.name for axis in embodiment.axes if axis.name in file.axes),
    )


def _offset(axis: AnyAxis, given: AxisCalibration, file_name: str) -> float:
    key, other = ("offset_m", "offset_rad") if axis.unit == "m" else ("offset_rad", "offset_m")
    takes = axis.unit in ("rad", "m")
    if getattr(given, other) is not None or (not takes and given.offset_rad is not None):
        may = key if takes else "no offset"
        raise ConfigError(f"axes.{axis.name}", f"is told in {axis.unit}, and takes {may} (in {file_name})")
    if isinstance(axis, BinaryGripper) and given.sign != 1:
        raise ConfigError(f"axes.{axis.name}.sign", f"is open or closed, and has no sign (in {file_name})")
    return getattr(given, key) or 0.0


def _period(axis: AnyAxis, given: AxisCalibration) -> float:
    # One without a range is told modulo a turn: it can't be a turn off, and behind a gear only by what it says.
    if axis.unit != "rad" or axis.is_gripper:
        return 0.0
    if given.period_rad is not None:
        return given.period_rad
    return _TURN if axis.has_range else 0.0


def calibration_toml(date: str, by: str, axes: Mapping[str, AxisCalibration]) -> str:
    """The text of a file."""
    lines = [
        "# Offsets and signs of this one robot, made by `edge-runtime calibrate`: value = sign * (raw - offset), where",
        "# raw is what the hardware says. The robot's software has to be started anew after a change.",
        f"date = {json.dumps(date)}",
        f"by = {json.dumps(by, ensure_ascii=False)}",
    ]
    for name, given in axes.items():
        key = json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
        lines += ["", f"[axes.{key}]"]
        lines += [f"{field} = {value!r}" for field, value in msgspec.structs.asdict(given).items() if value is not None]
    return "\n".join(lines) + "\n"
