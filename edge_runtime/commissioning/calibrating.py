"""From motors to the robot's own angles, one axis at a time, with a person who moves it: nothing moves by itself.

An axis is put to a known value and then moved the way that counts as positive, or is put to both ends of its range.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from edge_runtime.config.calibration_file import AxisCalibration, calibration_toml
from edge_runtime.contracts.axes import AnyAxis, BinaryGripper
from edge_runtime.contracts.errors import ConfigError

MOVED_RAD, MOVED_M = 0.05, 0.005
"""What an axis has to be moved by, for its direction to show."""
RANGE_SHARE = 0.2
"""The way between the measured ends may differ from the range by this share of it."""


class Person(Protocol):
    """Who moves the robot, and says so."""

    def ask(self, question: str, raw: Callable[[], float], unit: str) -> str:
        """One line, while the live value of the axis is shown; empty for Enter alone.

        Raises:
            ConfigError: there is no answer to be had.
        """
        ...

    def tell(self, words: str) -> None:
        """Say something."""
        ...


def can_be_calibrated(axis: AnyAxis) -> bool:
    """Whether it has a place to count from: not the velocity of a base, nor what is open or closed alone."""
    return not (axis.is_velocity or isinstance(axis, BinaryGripper))


def calibrate_axis(
    axis: AnyAxis, raw: Callable[[], float], person: Person, before: AxisCalibration | None
) -> AxisCalibration | None:
    """Its sign and offset, None if the person leaves it as it is.

    Args:
        raw: what the hardware says of it now.
        before: what is known of it already; its period stays.
    """
    while True:
        answer = person.ask(
            f"{axis.name}: put it to a place that you know, and type its value there in {axis.unit} (such as 0); "
            "`ends` to measure both ends of its range; Enter to leave it as it is.",
            raw,
            axis.unit,
        ).strip()
        if not answer:
            return None
        if answer == "ends":
            found = _from_ends(axis, raw, person)
        else:
            try:
                value = float(answer)
            except ValueError:
                value = float("nan")
            if not abs(value) <= 1e3:
                person.tell(f"expected a number in {axis.unit}, `ends`, or Enter alone, got {answer!r}")
                continue
            found = _from_place(axis, value, raw, person)
        if found is not None:
            sign, offset = found
            key = "offset_m" if axis.unit == "m" else "offset_rad"
            period = None if before is None else before.period_rad
            person.tell(f"{axis.name}: sign {sign:+d}, offset {offset:.6g} {axis.unit}")
            return AxisCalibration(sign=sign, period_rad=period, **{key: float(f"{offset:.9g}")})


def _from_place(axis: AnyAxis, value: float, raw: Callable[[], float], person: Person) -> tuple[int, float] | None:
    at = raw()
    person.ask(
        f"Now move {axis.name} the way that counts as positive in its description, by {_least(axis):g} {axis.unit} at "
        "least, and press Enter.",
        raw,
        axis.unit,
    )
    moved = raw() - at
    if abs(moved) < _least(axis):
        person.tell(f"it moved by {moved:.4g} {axis.unit} only, from which no direction shows: once more")
        return None
    sign = 1 if moved > 0.0 else -1
    return sign, at - sign * value


def _from_ends(axis: AnyAxis, raw: Callable[[], float], person: Person) -> tuple[int, float] | None:
    if not axis.has_range:
        person.tell(f"{axis.name} turns without end, and has none to go to")
        return None
    ends = []
    for name, value in (("lower", axis.low), ("upper", axis.high)):
        person.ask(
            f"Put {axis.name} to the {name} end of its range, {value:g} {axis.unit}, and press Enter.", raw, axis.unit
        )
        ends.append(raw())
    way, span = ends[1] - ends[0], axis.high - axis.low
    if abs(abs(way) - span) > RANGE_SHARE * span:
        person.tell(f"from end to end it is {abs(way):.4g} {axis.unit}, and its range is {span:.4g}: once more")
        return None
    sign = 1 if way > 0.0 else -1
    return sign, 0.5 * (ends[0] - sign * axis.low + ends[1] - sign * axis.high)


def _least(axis: AnyAxis) -> float:
    return MOVED_M if axis.unit == "m" else MOVED_RAD


def write_calibration(path: Path, robot_toml: Path, date: str, by: str, axes: Mapping[str, AxisCalibration]) -> bool:
    """Write the file, and name it in robot.toml where that does not; whether it was named there anew.

    Raises:
        ConfigError: a file that can't be written, or a robot.toml without a [robot].
    """
    try:
        _replace(path, calibration_toml(date, by, axes))
        text = robot_toml.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        if any(line.strip().startswith("calibration") and "=" in line for line in lines):
            return False
        section = next((number for number, line in enumerate(lines) if line.strip() == "[robot]"), None)
        if section is None:
            raise ConfigError("robot.calibration", f'{robot_toml.name} has no [robot]: add calibration = "{path.name}"')
        lines.insert(section + 1, f'calibration = "{path.name}"\n')
        _replace(robot_toml, "".join(lines))
    except OSError as error:
        raise ConfigError(str(error.filename), f"{error.strerror}") from error
    return True


def _replace(path: Path, text: str) -> None:
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, path.stat().st_mode & 0o777 if path.exists() else 0o644)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
