"""Limits of a joint as the description of a robot states them."""

from __future__ import annotations

from edge_runtime.config.toml_file import Section


class SourceLimits(Section, frozen=True):
    """Limits of a joint as the robot's description states them; what it does not state is left out. Of a joint that
    turns in rad and Nm, of one that slides in m and N."""

    position_min_rad: float | None = None
    """Lower end of the range."""
    position_max_rad: float | None = None
    """Upper end of the range."""
    velocity_max_rad_s: float | None = None
    """Largest speed. Example: `2.175`."""
    acceleration_max_rad_s2: float | None = None
    """Largest acceleration. Example: `15.0`."""
    jerk_max_rad_s3: float | None = None
    """Largest jerk. Example: `7500.0`."""
    torque_max_nm: float | None = None
    """Largest torque. Example: `87.0`."""
    position_min_m: float | None = None
    """Lower end of the range of a joint that slides. Example: `0.0`."""
    position_max_m: float | None = None
    """Upper end of the range of a joint that slides. Example: `0.6`."""
    velocity_max_m_s: float | None = None
    """Largest speed of a joint that slides. Example: `0.25`."""
    acceleration_max_m_s2: float | None = None
    """Largest acceleration of a joint that slides. Example: `1.0`."""
    jerk_max_m_s3: float | None = None
    """Largest jerk of a joint that slides. Example: `10.0`."""
    force_max_n: float | None = None
    """Largest force of a joint that slides. Example: `400.0`."""

    @classmethod
    def of(
        cls,
        *,
        slides: bool,
        low: float | None = None,
        high: float | None = None,
        speed: float | None = None,
        acceleration: float | None = None,
        jerk: float | None = None,
        effort: float | None = None,
    ) -> SourceLimits:
        """In the unit of the joint's kind."""
        fields = _SLIDING if slides else _TURNING
        return cls(**dict(zip(fields, (low, high, speed, acceleration, jerk, effort), strict=True)))

    @property
    def low(self) -> float | None:
        """Lower end of the range, in rad or m."""
        return self.position_min_rad if self.position_min_m is None else self.position_min_m

    @property
    def high(self) -> float | None:
        """Upper end of the range, in rad or m."""
        return self.position_max_rad if self.position_max_m is None else self.position_max_m

    @property
    def speed_max(self) -> float | None:
        """Largest speed, in rad/s or m/s."""
        return self.velocity_max_rad_s if self.velocity_max_m_s is None else self.velocity_max_m_s

    @property
    def acceleration_max(self) -> float | None:
        """Largest acceleration, in rad/s^2 or m/s^2."""
        return self.acceleration_max_rad_s2 if self.acceleration_max_m_s2 is None else self.acceleration_max_m_s2

    @property
    def jerk_max(self) -> float | None:
        """Largest jerk, in rad/s^3 or m/s^3."""
        return self.jerk_max_rad_s3 if self.jerk_max_m_s3 is None else self.jerk_max_m_s3

    @property
    def effort_max(self) -> float | None:
        """Largest torque or force, in Nm or N."""
        return self.torque_max_nm if self.force_max_n is None else self.force_max_n

    def tightened(self, other: SourceLimits) -> SourceLimits:
        """The tighter one of each limit that either of the two has."""
        tightest = {}
        for field in self.__struct_fields__:
            known = [value for value in (getattr(self, field), getattr(other, field)) if value is not None]
            tightest[field] = (max if field.startswith("position_min") else min)(known, default=None)
        return SourceLimits(**tightest)


_TURNING, _SLIDING = SourceLimits.__struct_fields__[:6], SourceLimits.__struct_fields__[6:]
