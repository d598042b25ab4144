"""What a robot moves: one class for each kind of axis, with the maker's rated limits in its own SI unit.

A vector of a robot has one value for each of its axes. Of a joint it is a position in rad or m, of a base's axis a
velocity in m/s or rad/s, of a gripper how far it is open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

_RANGE_MAX_RAD = 4.0 * math.pi + 1e-3
_SPEED_MAX_RAD_S = 30.0
_RANGE_MAX_M = 10.0
_SPEED_MAX_M_S = 10.0
_OPENING_MAX_M = 1.0
_GRIPPER_SPEED_MAX_M_S = 5.0

Unit = Literal["rad", "m", "rad/s", "m/s", "of open"]


def looks_like_degrees(low_rad: float | None, high_rad: float | None, speed_rad_s: float | None) -> str | None:
    """What in these limits no arm has in radians, a range of more than two turns or a speed above 30 rad/s, or None."""
    return _implausible(low_rad, high_rad, speed_rad_s, "rad", _RANGE_MAX_RAD, "more than two turns", _SPEED_MAX_RAD_S)


def looks_like_millimetres(low_m: float | None, high_m: float | None, speed_m_s: float | None) -> str | None:
    """What in these limits no sliding axis has in metres, a range or a speed above 10, or None."""
    return _implausible(low_m, high_m, speed_m_s, "m", _RANGE_MAX_M, f"more than {_RANGE_MAX_M:g} m", _SPEED_MAX_M_S)


def _implausible(
    low: float | None, high: float | None, speed: float | None, unit: str, most: float, much: str, fastest: float
) -> str | None:
    ends = [end for end in (low, high) if end is not None and math.isfinite(end)]
    if ends and max(max(ends) - min(ends), *map(abs, ends)) > most:
        written = ("no end" if end is None else f"{end:g}" for end in (low, high))
        return f"its range is {' to '.join(written)} {unit}, {much}"
    if speed is not None and speed > fastest:
        return f"its speed limit is {speed:g} {unit}/s"
    return None


_SPEED_RAD = {
    "speed_max": "velocity_max_rad_s",
    "acceleration_max": "acceleration_max_rad_s2",
    "jerk_max": "jerk_max_rad_s3",
}
_SPEED_M = {
    "speed_max": "velocity_max_m_s",
    "acceleration_max": "acceleration_max_m_s2",
    "jerk_max": "jerk_max_m_s3",
}


class Axis(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """One axis. Velocity, acceleration, jerk, torque and force are magnitudes.

    Attributes:
        what: what errors call it.
        rated: by neutral name, the field of each limit that a maker rates an axis of this kind for.
        home_field: where it is at home; empty: at 0.
        unit: of its value in the robot's vectors.
        rate_unit: of the change of that value in a second.
        effort_unit: of what moves it.
        is_gripper: it holds things: what it grips may keep it from where it is told to be.
        is_velocity: its value is a velocity.
        has_range: it has two ends.
    """

    name: str
    """Its name, as the policy's bundle and the driver know it."""

    what: ClassVar[str] = "joint"
    rated: ClassVar[Mapping[str, str]] = {}
    home_field: ClassVar[str] = ""
    unit: ClassVar[Unit]
    rate_unit: ClassVar[str]
    effort_unit: ClassVar[str]
    is_gripper: ClassVar[bool] = False
    is_velocity: ClassVar[bool] = False
    has_range: ClassVar[bool] = True

    def _rating(self, limit: str, without: float) -> float:
        field = self.rated.get(limit)
        return without if field is None else float(getattr(self, field))

    @property
    def low(self) -> float:
        """Lower end of the range of its value; -inf without one."""
        return self._rating("low", -math.inf)

    @property
    def high(self) -> float:
        """Upper end of the range of its value; inf without one."""
        return self._rating("high", math.inf)

    @property
    def speed_max(self) -> float:
        """Rated speed: of its value, or for a velocity its largest magnitude; inf for one that has two places alone."""
        return self._rating("speed_max", math.inf)

    @property
    def acceleration_max(self) -> float:
        """Rated acceleration; inf for a gripper, which has none."""
        return self._rating("acceleration_max", math.inf)

    @property
    def jerk_max(self) -> float:
        """Rated jerk; inf for a gripper, which has none."""
        return self._rating("jerk_max", math.inf)

    @property
    def effort_max(self) -> float | None:
        """Rated torque or force, None where none is rated."""
        field = self.rated.get("effort_max")
        return None if field is None else getattr(self, field)

    @property
    def home(self) -> float:
        """Its value at home; a base stands still, a gripper is open."""
        return float(getattr(self, self.home_field)) if self.home_field else 0.0

    def _require_positive(self) -> None:
        """All rated magnitudes; one that may be left out is None."""
        for limit, field in self.rated.items():
            value = getattr(self, field)
            if limit not in ("low", "high") and value is not None and not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{self.what} {self.name}: {field} must be finite and above zero, got {value!r}")

    def _require_range(self) -> None:
        low, high = self.rated["low"], self.rated["high"]
        if not self.low < self.high:
            raise ValueError(f"{self.what} {self.name}: {low} must be below {high}")
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            remedy = 'a joint that turns without end is of kind = "continuous" and has none'
            raise ValueError(f"{self.what} {self.name}: its range must have finite ends: {remedy}")

    def _require_home(self) -> None:
        if not self.low <= self.home <= self.high:
            raise ValueError(f"home of {self.name} lies outside its position limits")


class Revolute(Axis, frozen=True, tag="revolute"):
    """A joint that turns between two ends."""

    position_min_rad: float
    """Lower end of the rated range."""
    position_max_rad: float
    """Upper end of the rated range."""
    velocity_max_rad_s: float
    """Rated speed."""
    acceleration_max_rad_s2: float
    """Rated acceleration."""
    jerk_max_rad_s3: float
    """Rated jerk."""
    torque_max_nm: float
    """Rated torque."""
    home_rad: float
    """Where it is at home."""
    limits_in_rad: bool = False
    """Confirms limits that look like degrees."""

    rated: ClassVar[Mapping[str, str]] = {
        "low": "position_min_rad",
        "high": "position_max_rad",
        **_SPEED_RAD,
        "effort_max": "torque_max_nm",
    }
    home_field: ClassVar[str] = "home_rad"
    unit: ClassVar[Unit] = "rad"
    rate_unit: ClassVar[str] = "rad/s"
    effort_unit: ClassVar[str] = "Nm"

    def __post_init__(self) -> None:
        self._require_range()
        self._require_positive()
        found = looks_like_degrees(self.low, self.high, self.speed_max)
        if found and not self.limits_in_rad:
            cure = "Write radians; if they already are, add limits_in_rad = true"
            raise ValueError(f"joint {self.name}: {found}: is that in degrees? {cure}")
        self._require_home()


class Continuous(Axis, frozen=True, tag="continuous"):
    """A joint that turns without end. Its positions are told modulo a turn, by the driver and to the driver."""

    velocity_max_rad_s: float
    """Rated speed."""
    acceleration_max_rad_s2: float
    """Rated acceleration."""
    jerk_max_rad_s3: float
    """Rated jerk."""
    torque_max_nm: float
    """Rated torque."""
    home_rad: float = 0.0
    """Where it is at home, -pi to pi."""

    rated: ClassVar[Mapping[str, str]] = {**_SPEED_RAD, "effort_max": "torque_max_nm"}
    home_field: ClassVar[str] = "home_rad"
    unit: ClassVar[Unit] = "rad"
    rate_unit: ClassVar[str] = "rad/s"
    effort_unit: ClassVar[str] = "Nm"
    has_range: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._require_positive()
        found = looks_like_degrees(None, None, self.speed_max)
        if found:
            raise ValueError(f"joint {self.name}: {found}: is that in degrees? Write radians")
        if not -math.pi - 1e-9 <= self.home_rad <= math.pi + 1e-9:
            raise ValueError(f"joint {self.name}: home_rad must lie between -pi and pi, got {self.home_rad!r}")


class Prismatic(Axis, frozen=True, tag="prismatic"):
    """A joint that slides: a lift, a gantry's axis, a rail."""

    position_min_m: float
    """Lower end of the rated range."""
    position_max_m: float
    """Upper end of the rated range."""
    velocity_max_m_s: float
    """Rated speed."""
    acceleration_max_m_s2: float
    """Rated acceleration."""
    jerk_max_m_s3: float
    """Rated jerk."""
    force_max_n: float
    """Rated force."""
    home_m: float
    """Where it is at home."""
    limits_in_m: bool = False
    """Confirms limits that look like millimetres."""

    rated: ClassVar[Mapping[str, str]] = {
        "low": "position_min_m",
        "high": "position_max_m",
        **_SPEED_M,
        "effort_max": "force_max_n",
    }
    home_field: ClassVar[str] = "home_m"
    unit: ClassVar[Unit] = "m"
    rate_unit: ClassVar[str] = "m/s"
    effort_unit: ClassVar[str] = "N"

    def __post_init__(self) -> None:
        self._require_range()
        self._require_positive()
        found = looks_like_millimetres(self.low, self.high, self.speed_max)
        if found and not self.limits_in_m:
            cure = "Write metres; if they already are, add limits_in_m = true"
            raise ValueError(f"joint {self.name}: {found}: is that in millimetres? {cure}")
        self._require_home()


class BaseAxis(Axis, frozen=True):
    """A velocity of a mobile base, the same either way. What all directions have in common."""

    what: ClassVar[str] = "base axis"
    is_velocity: ClassVar[bool] = True

    @property
    def low(self) -> float:
        return -self.speed_max

    @property
    def high(self) -> float:
        return self.speed_max


class BaseLinear(BaseAxis, frozen=True, tag="base_linear"):
    """Velocity of a mobile base along an axis of its own: x is forwards, y to the left."""

    along: Literal["x", "y"]
    """The axis of the base."""
    velocity_max_m_s: float
    """Rated speed, either way."""
    acceleration_max_m_s2: float
    """Rated acceleration."""
    jerk_max_m_s3: float
    """Rated jerk."""

    rated: ClassVar[Mapping[str, str]] = _SPEED_M
    unit: ClassVar[Unit] = "m/s"
    rate_unit: ClassVar[str] = "m/s^2"
    effort_unit: ClassVar[str] = "N"

    def __post_init__(self) -> None:
        self._require_positive()
        found = looks_like_millimetres(None, None, self.speed_max)
        if found:
            raise ValueError(f"base axis {self.name}: {found}: is that in millimetres? Write metres")


class BaseYaw(BaseAxis, frozen=True, tag="base_yaw"):
    """Turning velocity of a mobile base, positive to the left."""

    velocity_max_rad_s: float
    """Rated speed, either way."""
    acceleration_max_rad_s2: float
    """Rated acceleration."""
    jerk_max_rad_s3: float
    """Rated jerk."""

    rated: ClassVar[Mapping[str, str]] = _SPEED_RAD
    unit: ClassVar[Unit] = "rad/s"
    rate_unit: ClassVar[str] = "rad/s^2"
    effort_unit: ClassVar[str] = "Nm"

    def __post_init__(self) -> None:
        self._require_positive()
        found = looks_like_degrees(None, None, self.speed_max)
        if found:
            raise ValueError(f"base axis {self.name}: {found}: is that in degrees? Write radians")


class Gripper(Axis, frozen=True):
    """An axis that holds things: kept to its range and its rate. What all kinds of gripper have in common."""

    what: ClassVar[str] = "gripper"
    is_gripper: ClassVar[bool] = True

    @property
    def closed(self) -> float:
        """Its value when closed."""
        return 0.0

    @property
    def open(self) -> float:
        """Its value when wide open."""
        return 1.0

    @property
    def low(self) -> float:
        return min(self.closed, self.open)

    @property
    def high(self) -> float:
        return max(self.closed, self.open)

    @property
    def home(self) -> float:
        return self.open


class ParallelGripper(Gripper, frozen=True, tag="parallel_gripper"):
    """A parallel gripper, commanded by the distance between its fingers."""

    opening_max_m: float
    """Largest distance between the fingers, at most 1."""
    speed_max_m_s: float
    """Rated speed of that distance, at most 5."""
    force_max_n: float | None = None
    """Rated grip. Left out: unknown. Example: `70.0`."""

    rated: ClassVar[Mapping[str, str]] = {"speed_max": "speed_max_m_s", "effort_max": "force_max_n"}
    unit: ClassVar[Unit] = "m"
    rate_unit: ClassVar[str] = "m/s"
    effort_unit: ClassVar[str] = "N"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.opening_max_m) and self.opening_max_m > 0.0):
            problem = f"opening_max_m must be finite and above zero, got {self.opening_max_m!r}"
            raise ValueError(f"gripper {self.name}: {problem}")
        self._require_positive()
        for field, most in (("opening_max_m", _OPENING_MAX_M), ("speed_max_m_s", _GRIPPER_SPEED_MAX_M_S)):
            value = getattr(self, field)
            if value > most:
                question = "is that in millimetres, percent or degrees? It is metres between the fingers"
                raise ValueError(f"gripper {self.name}: {field} is {value:g}, none's is above {most:g}: {question}")

    @property
    def open(self) -> float:
        return self.opening_max_m


class JawGripper(Gripper, frozen=True, tag="jaw_gripper"):
    """A gripper that is commanded by an angle: one jaw, or fingers that its description couples to that angle."""

    closed_rad: float
    """Its angle when closed."""
    open_rad: float
    """Its angle when wide open, above or below `closed_rad`."""
    speed_max_rad_s: float
    """Rated speed."""
    torque_max_nm: float | None = None
    """Rated torque. Left out: unknown. Example: `3.0`."""

    rated: ClassVar[Mapping[str, str]] = {"speed_max": "speed_max_rad_s", "effort_max": "torque_max_nm"}
    unit: ClassVar[Unit] = "rad"
    rate_unit: ClassVar[str] = "rad/s"
    effort_unit: ClassVar[str] = "Nm"

    def __post_init__(self) -> None:
        self._require_positive()
        if not (math.isfinite(self.closed_rad) and math.isfinite(self.open_rad)) or self.closed_rad == self.open_rad:
            raise ValueError(f"gripper {self.name}: closed_rad and open_rad must be finite, and differ")
        found = looks_like_degrees(self.low, self.high, self.speed_max)
        if found:
            raise ValueError(f"gripper {self.name}: {found}: is that in degrees or percent? Write radians")

    @property
    def closed(self) -> float:
        return self.closed_rad

    @property
    def open(self) -> float:
        return self.open_rad


class BinaryGripper(Gripper, frozen=True, tag="binary_gripper"):
    """A gripper that knows open and closed alone, such as a suction cup: 1 is open, or off."""

    unit: ClassVar[Unit] = "of open"
    rate_unit: ClassVar[str] = "of open/s"
    effort_unit: ClassVar[str] = "N"


AnyGripper = ParallelGripper | JawGripper | BinaryGripper
AnyAxis = Revolute | Continuous | Prismatic | BaseLinear | BaseYaw | ParallelGripper | JawGripper | BinaryGripper
