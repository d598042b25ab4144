"""`safety.toml` as written, and the limits that come of it: the tightest of that file, the robot's description and the
maker's rating.

Guarantees that no limit is looser than any of the three: one that asks for more is refused with both values, and one
that was left out becomes the tightest that is known. Refuses to know the kernel. These limits never travel in a
bundle, and at run time they can only be tightened.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from edge_runtime.config.toml_file import Section, require_positive
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.contracts.manifest import MotionLimits

Vector = tuple[float, float, float]

START_TOLERANCE_MAX = 0.01
"""Of both start tolerances, rad and m, as in the kernel: arming moves the command by as much at once."""

_YEAR_S = 31_536_000.0
_LOWER = ("position_min_rad",)
_UPPER = ("position_max_rad", "velocity_max_rad_s", "acceleration_max_rad_s2", "jerk_max_rad_s3", "torque_max_nm")


class JointSection(Section, frozen=True):
    """`[joints.NAME]`, one for each joint. What is left out becomes the tightest that rating and description know."""

    position_min_rad: float | None = None
    """Lower end of the range."""
    position_max_rad: float | None = None
    """Upper end of the range."""
    velocity_max_rad_s: float | None = None
    """Largest speed."""
    acceleration_max_rad_s2: float | None = None
    """Largest acceleration."""
    jerk_max_rad_s3: float | None = None
    """Largest jerk."""
    torque_max_nm: float | None = None
    """A measured torque above this, for `contact.debounce_s`, stops the robot. Example: `60.0`."""
    setpoint_step_max_rad: float = 0.5
    """A setpoint further than this from the last command is refused."""


class FallbackSection(Section, frozen=True):
    """`[fallback]`: what happens without a policy, step by step: play the plan, decelerate, hold, retract, disarm."""

    play_max_s: float = 1.0
    """Without a policy the rest of the plan is played for so long at most, 0 to 60."""
    observation_age_max_s: float = 5.0
    """Nothing is followed that was computed from an older observation, however slow the policy is, 0.1 to 60."""
    hold_timeout_s: float = 60.0
    """After holding for so long the robot retracts, or is disarmed where it is."""
    retract_rad: tuple[float, ...] | None = None
    """Posture to retract to, one value for each joint. Left out: it does not retract."""
    retract_speed_scale: float = 0.1
    """Share of the velocity limits while retracting, above 0 and at most 1."""
    retract_timeout_s: float = 30.0
    """A robot that has not arrived by then is disarmed where it is."""

    def __post_init__(self) -> None:
        require_positive(self, "hold_timeout_s", "retract_timeout_s")
        for name in ("hold_timeout_s", "retract_timeout_s"):
            if getattr(self, name) > _YEAR_S:
                raise ValueError(f"{name} must be at most {_YEAR_S:.0f}, a year, got {getattr(self, name)!r}")
        if not 0.0 <= self.play_max_s <= 60.0:
            raise ValueError("play_max_s must lie between 0 and 60")
        if not 0.1 <= self.observation_age_max_s <= 60.0:
            raise ValueError("observation_age_max_s must lie between 0.1 and 60")
        if not 0.0 < self.retract_speed_scale <= 1.0:
            raise ValueError("retract_speed_scale must lie above 0, and at most at 1")


class ContactSection(Section, frozen=True):
    """`[contact]`: force and moment at the tool, where the driver measures them, and torque of the joints."""

    force_max_n: float | None = None
    """A measured force at the tool above this stops the robot. Left out: no limit. Example: `40.0`."""
    moment_max_nm: float | None = None
    """A measured moment at the tool above this stops the robot. Left out: no limit. Example: `8.0`."""
    debounce_s: float = 0.005
    """Force, moment or torque has to be too large for so long, at most 1."""

    def __post_init__(self) -> None:
        require_positive(self, "force_max_n", "moment_max_nm", "debounce_s")
        if self.debounce_s > 1.0:
            raise ValueError(f"debounce_s must be at most 1, got {self.debounce_s!r}")


class BoxSection(Section, frozen=True):
    """`[geometry.workspace]`: a box along the axes of the robot's base."""

    min_m: Vector
    """Corner with the smallest coordinates. Example: `[-0.8, -0.8, 0.0]`."""
    max_m: Vector
    """Corner with the largest coordinates. Example: `[0.8, 0.8, 1.2]`."""

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.min_m, *self.max_m))):
            raise ValueError("the corners of a box must be finite")
        if not all(low <= high for low, high in zip(self.min_m, self.max_m, strict=True)):
            raise ValueError("min_m must not be above max_m")


class HalfSpaceSection(Section, frozen=True):
    """`[[geometry.half_spaces]]`: where the arm may be, such as above a table."""

    name: str
    """What it is called in messages and on the claims sheet."""
    normal: Vector
    """Direction in which the arm may be; brought to unit length."""
    offset_m: float
    """Points p of the arm keep `normal . p >= offset_m`."""

    def __post_init__(self) -> None:
        length = math.hypot(*self.normal)
        if not (math.isfinite(length) and length > 0.0 and math.isfinite(self.offset_m)):
            raise ValueError(f"half-space {self.name}: normal must have a length, and all values must be finite")


class KeepOutSection(BoxSection, frozen=True):
    """`[[geometry.keep_out]]`: where the arm may not be, a box or a sphere."""

    name: str
    """What it is called in messages and on the claims sheet. Example: `"screen"`."""
    radius_m: float = 0.0
    """The box is grown by this on all sides; with equal corners it is a sphere. Example: `0.05`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.radius_m) and self.radius_m >= 0.0):
            raise ValueError(f"keep-out zone {self.name}: radius_m must be finite and not negative")


class GeometrySection(Section, frozen=True):
    """`[geometry]`: what links and tool must keep away from, and how fast the tool may be, in the frame of the robot's
    base.

    Without the section nothing of it is checked.
    """

    kinematics: str
    """Path of `kinematics.toml`, relative to this file; `edge-runtime kinematics` makes it."""
    clearance_min_m: float = 0.01
    """Links keep this distance from each other, from half-spaces and from zones, 0 to 1."""
    tool_speed_max_m_s: float = 1.0
    """Largest speed of the tool point."""
    reduced_tool_speed_m_s: float = 0.25
    """Largest speed of the tool point in reduced-speed mode."""
    manipulability_slow_below: float = 0.0
    """Below this manipulability the arm slows down, near a singular posture. Both 0: never."""
    manipulability_stop_below: float = 0.0
    """At this manipulability a tenth of the speed is left. Both 0: never."""
    workspace: BoxSection | None = None
    """A box that all links stay inside of."""
    may_touch: tuple[tuple[str, str], ...] = ()
    """Pairs of capsules, or of links for all of theirs, that nothing keeps apart, because a person wrote so here.
    Example: `[["left_finger", "right_finger"]]`."""
    half_spaces: tuple[HalfSpaceSection, ...] = ()
    keep_out: tuple[KeepOutSection, ...] = ()

    def __post_init__(self) -> None:
        require_positive(self, "tool_speed_max_m_s", "reduced_tool_speed_m_s")
        if self.reduced_tool_speed_m_s > self.tool_speed_max_m_s:
            raise ValueError("reduced_tool_speed_m_s must not be above tool_speed_max_m_s")
        if not 0.0 <= self.clearance_min_m <= 1.0:
            raise ValueError("clearance_min_m must lie between 0 and 1")
        low, high = self.manipulability_stop_below, self.manipulability_slow_below
        if not (0.0 <= low < high < math.inf or low == high == 0.0):
            raise ValueError("manipulability_stop_below must lie below manipulability_slow_below, or both be 0")
        names = [space.name for space in self.half_spaces] + [zone.name for zone in self.keep_out]
        if len(set(names)) != len(names):
            raise ValueError("names of half-spaces and keep-out zones must differ from each other")


class SafetyFile(Section, frozen=True):
    """`safety.toml` as written."""

    joints: dict[str, JointSection]
    gripper_speed_max_m_s: float
    """Largest speed of the gripper's opening."""
    feedback_timeout_s: float
    """Feedback older than this stops the robot, at most 0.5. Five cycles of the driver at least."""
    tracking_error_max_rad: float
    """A joint measured further than this from its command stops the robot, at most 1."""
    frozen_encoder_travel_rad: float = 0.05
    """A joint that is commanded so far while its measurement repeats to the bit stops the robot, at most 0.5. No less
    than a step of the coarsest encoder."""
    rest_speed_rad_s: float = 0.05
    """Arming and reset are refused while a joint moves faster, at most 0.5."""
    reset_tolerance_rad: float = 0.05
    """A reset is refused with a joint further than this from its last command, at most 0.5."""
    start_tolerance_rad: float = 0.005
    """A joint that is measured so far outside its range may still be armed, and starts at the range's end, at most
    0.01."""
    start_tolerance_m: float = 0.003
    """The same for the gripper, at most 0.01."""
    fallback: FallbackSection = FallbackSection()
    contact: ContactSection = ContactSection()
    geometry: GeometrySection | None = None

    def __post_init__(self) -> None:
        require_positive(
            self,
            *("gripper_speed_max_m_s", "feedback_timeout_s", "tracking_error_max_rad", "frozen_encoder_travel_rad"),
            *("rest_speed_rad_s", "reset_tolerance_rad"),
        )
        # Beyond these a protection would be there in name alone.
        for name, highest in (
            *(("feedback_timeout_s", 0.5), ("tracking_error_max_rad", 1.0), ("rest_speed_rad_s", 0.5)),
            *(("start_tolerance_rad", START_TOLERANCE_MAX), ("start_tolerance_m", START_TOLERANCE_MAX)),
            *(("frozen_encoder_travel_rad", 0.5), ("reset_tolerance_rad", 0.5)),
        ):
            if getattr(self, name) > highest:
                raise ValueError(f"{name} must be at most {highest}, got {getattr(self, name)!r}")
        for name in ("start_tolerance_rad", "start_tolerance_m"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)!r}")


class JointLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one joint is held to: fields of `JointSection`, none of them missing."""

    position_min_rad: float
    position_max_rad: float
    velocity_max_rad_s: float
    acceleration_max_rad_s2: float
    jerk_max_rad_s3: float
    torque_max_nm: float
    setpoint_step_max_rad: float


class SafetyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one robot is held to. `joints` are in the embodiment's order; `kinematics` is that file as it was read."""

    joints: dict[str, JointLimits]
    gripper_opening_max_m: float
    gripper_speed_max_m_s: float
    feedback_timeout_s: float
    tracking_error_max_rad: float
    frozen_encoder_travel_rad: float
    rest_speed_rad_s: float
    reset_tolerance_rad: float
    start_tolerance_rad: float
    start_tolerance_m: float
    fallback: FallbackSection
    contact: ContactSection
    geometry: GeometrySection | None
    kinematics: dict[str, Any] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) of the canonical JSON of these limits, geometry included; in every safety report."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    @property
    def motion(self) -> MotionLimits:
        """What a bundle may ask a minimum of."""
        joints = self.joints.values()
        return MotionLimits(
            velocity_rad_s=tuple(joint.velocity_max_rad_s for joint in joints),
            acceleration_rad_s2=tuple(joint.acceleration_max_rad_s2 for joint in joints),
            jerk_rad_s3=tuple(joint.jerk_max_rad_s3 for joint in joints),
            tool_speed_m_s=self.geometry.tool_speed_max_m_s if self.geometry is not None else None,
        )


class Source(msgspec.Struct, frozen=True):
    """A source of limits of the joints: field names of `JointLimits` by joint, None where one is not known."""

    name: str
    joints: Mapping[str, Mapping[str, float | None]]


def rating_of(embodiment: Embodiment) -> Source:
    """The maker's rated limits."""
    fields = (*_LOWER, *_UPPER)
    return Source(
        f"the rating of {embodiment.name}",
        {joint.name: {field: getattr(joint, field) for field in fields} for joint in embodiment.joints},
    )


class _DescribedJoint(msgspec.Struct):
    name: str
    limits: dict[str, float] = {}


class _Description(msgspec.Struct):
    joints: tuple[_DescribedJoint, ...]


def description_of(kinematics: dict[str, Any], embodiment: Embodiment, file_name: str) -> Source:
    """The limits that the robot's own description (URDF or MJCF) stated when `kinematics` was made from it.

    Raises:
        ConfigError: not a kinematics file, or of a robot with other joints.
    """
    try:
        description = msgspec.convert(kinematics, _Description)
    except msgspec.ValidationError as error:
        raise ConfigError("geometry.kinematics", f"{file_name} is no kinematics file: {error}") from error
    names = tuple(joint.name for joint in description.joints)
    if names != embodiment.joint_names:
        problem = f"{file_name} has the joints {', '.join(names)}, and {embodiment.name} has not, in this order"
        raise ConfigError("geometry.kinematics", problem)
    return Source(file_name, {joint.name: joint.limits for joint in description.joints})


def tightest(
    file: SafetyFile,
    file_name: str,
    embodiment: Embodiment,
    sources: Sequence[Source],
    kinematics: dict[str, Any] | None = None,
) -> SafetyLimits:
    """What the robot is held to: the file's limits, filled up from the sources.

    Args:
        file: as read from `file_name`.
        sources: the rating, and what else knows limits; none may be tighter than what the file asks for.
        kinematics: the content of the file that `file.geometry` names.

    Raises:
        ConfigError: names the key, and for a limit that is too loose both values and whose the tighter one is.
    """
    rating_m_s = embodiment.gripper.speed_max_m_s
    if file.gripper_speed_max_m_s > rating_m_s:
        raise _looser("gripper_speed_max_m_s", file.gripper_speed_max_m_s, rating_m_s, embodiment.name, file_name)
    for name in file.joints:
        if name not in embodiment.joint_names:
            problem = f"{embodiment.name} has only {', '.join(embodiment.joint_names)} (in {file_name})"
            raise ConfigError(f"joints.{name}", problem)
    joints = {name: _joint_limits(file, file_name, name, sources) for name in embodiment.joint_names}
    _require_inside("fallback.retract_rad", file.fallback.retract_rad, joints, file_name)
    return SafetyLimits(
        joints=joints,
        gripper_opening_max_m=embodiment.gripper.opening_max_m,
        gripper_speed_max_m_s=file.gripper_speed_max_m_s,
        feedback_timeout_s=file.feedback_timeout_s,
        tracking_error_max_rad=file.tracking_error_max_rad,
        frozen_encoder_travel_rad=file.frozen_encoder_travel_rad,
        rest_speed_rad_s=file.rest_speed_rad_s,
        reset_tolerance_rad=file.reset_tolerance_rad,
        start_tolerance_rad=file.start_tolerance_rad,
        start_tolerance_m=file.start_tolerance_m,
        fallback=file.fallback,
        contact=file.contact,
        geometry=file.geometry,
        kinematics=kinematics,
    )


def _joint_limits(file: SafetyFile, file_name: str, name: str, sources: Sequence[Source]) -> JointLimits:
    key = f"joints.{name}"
    section = file.joints.get(name)
    if section is None:
        raise ConfigError(key, f"missing: every joint needs limits of its own (in {file_name})")
    values = {"setpoint_step_max_rad": section.setpoint_step_max_rad}
    for field in (*_LOWER, *_UPPER):
        sign = -1.0 if field in _LOWER else 1.0
        known = [(value, source) for source in sources if (value := source.joints.get(name, {}).get(field)) is not None]
        value = getattr(section, field)
        if value is None:
            if not known:
                problem = "it can't be left out: neither the rating nor the description has it"
                raise ConfigError(f"{key}.{field}", f"{problem} (in {file_name})")
            value = min((value for value, _ in known), key=lambda limit: sign * limit)
        if not math.isfinite(value):
            raise ConfigError(f"{key}.{field}", f"must be finite, got {value!r} (in {file_name})")
        for limit, source in known:
            # Nothing is looser than what is no number: it would be a limit that nobody keeps.
            if math.isnan(limit):
                raise ConfigError(f"{key}.{field}", f"{source.name} has {limit!r}, which is no limit")
            if sign * value > sign * limit:
                raise _looser(f"{key}.{field}", value, limit, source.name, file_name)
        values[field] = value
    limits = JointLimits(**values)
    if not limits.position_min_rad < limits.position_max_rad:
        raise ConfigError(f"{key}.position_min_rad", f"must be below position_max_rad (in {file_name})")
    for field in (*_UPPER[1:], "setpoint_step_max_rad"):
        if not 0.0 < values[field] < math.inf:
            problem = f"must be finite and above zero, got {values[field]!r} (in {file_name})"
            raise ConfigError(f"{key}.{field}", problem)
    return limits


def _looser(key: str, value: float, limit: float, whose: str, file_name: str) -> ConfigError:
    return ConfigError(key, f"{value} is looser than the {limit} of {whose} (in {file_name})")


def _require_inside(
    key: str, posture_rad: tuple[float, ...] | None, joints: Mapping[str, JointLimits], file_name: str
) -> None:
    if posture_rad is None:
        return
    if len(posture_rad) != len(joints):
        raise ConfigError(key, f"needs one value for each of the {len(joints)} joints (in {file_name})")
    for value, (name, limits) in zip(posture_rad, joints.items(), strict=True):
        if not limits.position_min_rad <= value <= limits.position_max_rad:
            raise ConfigError(key, f"{value} is outside the limits of {name} (in {file_name})")
