"""One robot type: its joints in order, their rated limits, its gripper and its cameras.

Joint order is part of the contract: `Embodiment.joint_digest` travels with every observation, chunk and bundle, and
a mismatch is a refusal. The rated limits here are the maker's; what a robot is allowed to use is its own safety file,
which can only be tighter.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence

import msgspec

MAX_SIDE_PX = 8192


def joint_order_digest(joint_names: Sequence[str]) -> str:
    """SHA-256 (64 lower-case hex digits) of the joint names, in order, joined by newlines."""
    return hashlib.sha256("\n".join(joint_names).encode()).hexdigest()


_RANGE_MAX_RAD = 4.0 * math.pi + 1e-3
_SPEED_MAX_RAD_S = 30.0
_OPENING_MAX_M = 1.0
_GRIPPER_SPEED_MAX_M_S = 5.0
_RATE_MIN_HZ, _RATE_MAX_HZ = 0.01, 10_000.0


def looks_like_degrees(low_rad: float | None, high_rad: float | None, speed_rad_s: float | None) -> str | None:
    """What in these limits no arm has in radians, a range of more than two turns or a speed above 30 rad/s, or None."""
    ends = [end for end in (low_rad, high_rad) if end is not None and math.isfinite(end)]
    if ends and max(max(ends) - min(ends), *map(abs, ends)) > _RANGE_MAX_RAD:
        low, high = ("no end" if end is None else f"{end:g}" for end in (low_rad, high_rad))
        return f"its range is {low} to {high} rad, more than two turns"
    if speed_rad_s is not None and speed_rad_s > _SPEED_MAX_RAD_S:
        return f"its speed limit is {speed_rad_s:g} rad/s"
    return None


class Joint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One revolute joint with the maker's rated limits. Velocity, acceleration, jerk and torque are magnitudes."""

    name: str
    """The joint's name, as the policy's bundle and the driver know it."""
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
    limits_in_rad: bool = False
    """Confirms limits that look like degrees, such as those of a joint that turns without end."""

    def __post_init__(self) -> None:
        if not self.position_min_rad < self.position_max_rad:
            raise ValueError(f"joint {self.name}: position_min_rad must be below position_max_rad")
        if not (math.isfinite(self.position_min_rad) and math.isfinite(self.position_max_rad)):
            remedy = (
                "one that turns without end gets a range that it never reaches, -1000 to 1000, and limits_in_rad = true"
            )
            raise ValueError(f"joint {self.name}: its range must have finite ends: {remedy}")
        for field in ("velocity_max_rad_s", "acceleration_max_rad_s2", "jerk_max_rad_s3", "torque_max_nm"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"joint {self.name}: {field} must be finite and above zero, got {value!r}")
        found = looks_like_degrees(self.position_min_rad, self.position_max_rad, self.velocity_max_rad_s)
        if found and not self.limits_in_rad:
            cure = "Write radians; if they already are, or the joint turns without end, add limits_in_rad = true"
            raise ValueError(f"joint {self.name}: {found}: is that in degrees? {cure}")


class Gripper(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A parallel gripper, commanded by the distance between its fingers."""

    opening_max_m: float
    """Largest distance between the fingers, at most 1."""
    speed_max_m_s: float
    """Rated speed of that distance, at most 5."""

    def __post_init__(self) -> None:
        for field in ("opening_max_m", "speed_max_m_s"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"gripper: {field} must be finite and above zero, got {value!r}")
        for field, most in (("opening_max_m", _OPENING_MAX_M), ("speed_max_m_s", _GRIPPER_SPEED_MAX_M_S)):
            value = getattr(self, field)
            if value > most:
                question = "is that in millimetres, percent or degrees? It is metres between the fingers"
                raise ValueError(f"gripper: {field} is {value:g}, no gripper's is above {most:g}: {question}")


class Camera(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One colour camera, 8-bit RGB, row-major. Its name is also part of names in shared memory and on the page."""

    name: str
    """The camera's name, as the policy's bundle and the driver know it: 1 to 32 letters, digits, dashes or
    underscores."""
    width_px: int
    """Width of its pictures, 1 to 8192."""
    height_px: int
    """Height of its pictures, 1 to 8192."""
    rate_hz: float
    """Pictures a second, 0.01 to 10000."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", self.name):
            raise ValueError(f"camera {self.name!r}: a name has 1 to 32 letters, digits, dashes or underscores")
        if not (1 <= self.width_px <= MAX_SIDE_PX and 1 <= self.height_px <= MAX_SIDE_PX):
            raise ValueError(f"camera {self.name}: width_px and height_px must lie between 1 and {MAX_SIDE_PX}")
        if not _RATE_MIN_HZ <= self.rate_hz <= _RATE_MAX_HZ:
            between = f"between {_RATE_MIN_HZ:g} and {_RATE_MAX_HZ:g}"
            raise ValueError(f"camera {self.name}: rate_hz must lie {between}, got {self.rate_hz!r}")


class Embodiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One robot type, as its driver, its bundles and its hub know it."""

    name: str
    """The robot type's name. A bundle made for another one is refused."""
    joints: tuple[Joint, ...]
    gripper: Gripper
    cameras: tuple[Camera, ...]
    home_rad: tuple[float, ...]
    """A posture to be at home in, one value for each joint."""

    def __post_init__(self) -> None:
        names = self.joint_names
        if not 1 <= len(names) <= 16:
            raise ValueError(f"an embodiment has 1 to 16 joints, got {len(names)}")
        if len(set(names)) != len(names):
            raise ValueError("joint names must differ from each other")
        if len(self.home_rad) != len(names):
            raise ValueError(f"home_rad needs {len(names)} values, got {len(self.home_rad)}")
        for joint, home_rad in zip(self.joints, self.home_rad, strict=True):
            if not joint.position_min_rad <= home_rad <= joint.position_max_rad:
                raise ValueError(f"home_rad of {joint.name} lies outside its position limits")
        if len({camera.name for camera in self.cameras}) != len(self.cameras):
            raise ValueError("camera names must differ from each other")

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Joint names in the order of every joint vector of this robot."""
        return tuple(joint.name for joint in self.joints)

    @property
    def joint_digest(self) -> str:
        """Digest of the joint order, see `joint_order_digest`."""
        return joint_order_digest(self.joint_names)
