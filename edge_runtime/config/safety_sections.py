"""`safety.toml` as written: each table, each key with its unit, and what a value can be at all.

Whether a limit suits the robot is for `safety_file` to say, which knows what the robot is.
"""

from __future__ import annotations

import math

import msgspec

from edge_runtime.config.toml_file import Section, require_positive

Vector = tuple[float, float, float]

START_TOLERANCE_MAX = 0.01
"""Of both start tolerances, rad and m, as in the kernel: arming moves the command by as much at once."""

_YEAR_S = 31_536_000.0
_JAM_MAX_S = 60.0
_TRACKING_HIGHEST = {
    "tracking_error_max_rad": 1.0,
    "tracking_error_max_m": 0.5,
    "tracking_error_max_m_s": 1.0,
    "tracking_error_max_rad_s": 1.0,
}
_HIGHEST = {
    **_TRACKING_HIGHEST,
    "frozen_encoder_travel_rad": 0.5,
    "frozen_encoder_travel_m": 0.2,
    "rest_speed_rad_s": 0.5,
    "rest_speed_m_s": 0.2,
    "reset_tolerance_rad": 0.5,
    "reset_tolerance_m": 0.2,
}
"""Beyond these a protection would be there in name alone."""


def require_at_most(section: msgspec.Struct, highest: dict[str, float]) -> None:
    """Raise ValueError for the first of these fields that is neither None nor at most so large."""
    for name, most in highest.items():
        value = getattr(section, name)
        if value is not None and value > most:
            raise ValueError(f"{name} must be at most {most}, got {value!r}")


def require_positive_each(section: msgspec.Struct, *names: str) -> None:
    """Raise ValueError for the first value of these tables that is not finite and above zero."""
    for name in names:
        for key, value in getattr(section, name).items():
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name}.{key} must be finite and above zero, got {value!r}")


class NearEnd(Section, frozen=True, kw_only=True):
    """`velocity_near_min`, `velocity_near_max`: how fast a joint may go towards an end, from how far it is.

    Towards the maximum at most `sqrt(slope * (zero - position)) - offset`, towards the minimum likewise with
    `position - zero`: as the maker of the FR3 states it.
    """

    slope: float
    """Of the square of the speed, in the joint's unit per s². Example: `12.0`."""
    offset: float = 0.0
    """What is taken off the speed, in the joint's unit per s. Example: `0.3`."""
    zero: float
    """The position that the formula counts from, in the joint's unit. Example: `2.7501`."""

    def __post_init__(self) -> None:
        require_positive(self, "slope")
        if not (math.isfinite(self.offset) and self.offset >= 0.0):
            raise ValueError(f"offset must be finite and not negative, got {self.offset!r}")
        if not math.isfinite(self.zero):
            raise ValueError(f"zero must be finite, got {self.zero!r}")


class JointSection(Section, frozen=True):
    """`[joints.NAME]`, one for each joint and each axis of a base: a joint that slides has metres and newtons,
    a base has no range. What is left out becomes the tightest that rating and description know.
    """

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
    setpoint_step_max_rad: float | None = None
    """A setpoint further than this from the last command is refused. Left out: 0.5. Example: `0.5`."""
    tracking_error_max_rad: float | None = None
    """In place of the file's own `tracking_error_max_rad`. Example: `0.1`."""
    position_min_m: float | None = None
    """Lower end of the range. Example: `0.0`."""
    position_max_m: float | None = None
    """Upper end of the range. Example: `0.6`."""
    velocity_max_m_s: float | None = None
    """Largest speed. Example: `0.25`."""
    acceleration_max_m_s2: float | None = None
    """Largest acceleration. Example: `1.0`."""
    jerk_max_m_s3: float | None = None
    """Largest jerk. Example: `20.0`."""
    force_max_n: float | None = None
    """A measured force of the joint's own drive above this, for `contact.debounce_s`, stops the robot. Example:
    `300.0`."""
    setpoint_step_max_m: float | None = None
    """A setpoint further than this from the last command is refused. Left out: 0.1. Example: `0.1`."""
    tracking_error_max_m: float | None = None
    """In place of the file's own `tracking_error_max_m`. Example: `0.01`."""
    setpoint_step_max_m_s: float | None = None
    """Of a base that drives: a velocity further than this from the last command is refused. Left out: 0.5. Example:
    `0.5`."""
    tracking_error_max_m_s: float | None = None
    """In place of the file's own `tracking_error_max_m_s`. Example: `0.2`."""
    setpoint_step_max_rad_s: float | None = None
    """Of a base that turns: a velocity further than this from the last command is refused. Left out: 1.0. Example:
    `1.0`."""
    tracking_error_max_rad_s: float | None = None
    """In place of the file's own `tracking_error_max_rad_s`. Example: `0.4`."""
    velocity_near_min: NearEnd | None = None
    velocity_near_max: NearEnd | None = None

    def __post_init__(self) -> None:
        require_positive(self, *_TRACKING_HIGHEST)
        require_at_most(self, _TRACKING_HIGHEST)


class GripperSection(Section, frozen=True):
    """`[grippers.NAME]`, for a gripper that has limits of its own. What is left out is the rated one."""

    speed_max_m_s: float | None = None
    """Largest speed of the opening of a parallel gripper. Example: `0.1`."""
    speed_max_rad_s: float | None = None
    """Largest speed of a jaw. Example: `2.0`."""
    force_max_n: float | None = None
    """A parallel gripper does not close further while it measures more than this. Left out: the rated grip, if there is
    one. Example: `40.0`."""
    torque_max_nm: float | None = None
    """A jaw does not close further while it measures more than this. Left out: the rated torque, if there is one.
    Example: `1.5`."""


class FallbackSection(Section, frozen=True):
    """`[fallback]`: what happens without a policy, step by step: play the plan, decelerate, hold, retract, disarm."""

    play_max_s: float = 1.0
    """Without a policy the rest of the plan is played for so long at most, 0 to 60."""
    observation_age_max_s: float = 5.0
    """Nothing is followed that was computed from an older observation, however slow the policy is, 0.1 to 60."""
    hold_timeout_s: float = 60.0
    """After holding for so long the robot retracts, or is disarmed where it is."""
    retract: dict[str, float] | None = None
    """Posture to retract to: a value for each joint by its name, radians or metres. Left out: it does not retract.
    Example: `{ lift = 0.2, joint1 = 0.0 }`."""
    retract_rad: tuple[float, ...] | None = None
    """The same for a robot whose joints all turn: one value for each, in order."""
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
        if self.retract is not None and self.retract_rad is not None:
            raise ValueError("retract and retract_rad exclude each other")
        if not 0.0 < self.retract_speed_scale <= 1.0:
            raise ValueError("retract_speed_scale must lie above 0, and at most at 1")


class ContactSection(Section, frozen=True):
    """`[contact]`: force and moment at the tool, where the driver measures them, and torque of the joints."""

    force_max_n: float | None = None
    """A measured force at a tool above this stops the robot. Left out: no limit. Example: `40.0`."""
    moment_max_nm: float | None = None
    """A measured moment at a tool above this stops the robot. Left out: no limit. Example: `8.0`."""
    tool_forces_n: dict[str, float] = msgspec.field(default_factory=dict)
    """The same for one tool, by its name in kinematics.toml, in place of `force_max_n`. Example: `{ left = 25.0 }`."""
    tool_moments_nm: dict[str, float] = msgspec.field(default_factory=dict)
    """The same for one tool, in place of `moment_max_nm`. Example: `{ left = 5.0 }`."""
    debounce_s: float = 0.005
    """Force, moment or torque has to be too large for so long, at most 1."""

    def __post_init__(self) -> None:
        require_positive(self, "force_max_n", "moment_max_nm", "debounce_s")
        require_positive_each(self, "tool_forces_n", "tool_moments_nm")
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
    """Largest speed of each tool point."""
    tool_speeds_m_s: dict[str, float] = msgspec.field(default_factory=dict)
    """Largest speed of one tool point, by its name in kinematics.toml, in place of `tool_speed_max_m_s`. Example:
    `{ left = 0.5 }`."""
    reduced_tool_speed_m_s: float = 0.25
    """Largest speed of every tool point in reduced-speed mode."""
    manipulability_slow_below: float = 0.0
    """Below this manipulability the arm slows down, near a singular posture. Both 0: never."""
    manipulability_stop_below: float = 0.0
    """At this manipulability a tenth of the speed is left. Both 0: never."""
    odometry: bool = False
    """Whether the driver of a mobile base measures where it is. Half-spaces and zones then stand in the world that this
    is measured in, and losing it stops the robot; else they go with the base."""
    workspace: BoxSection | None = None
    """A box that all links stay inside of."""
    may_touch: tuple[tuple[str, str], ...] = ()
    """Pairs of capsules, or of links for all of theirs, that nothing keeps apart, because a person wrote so here.
    Example: `[["left_finger", "right_finger"]]`."""
    half_spaces: tuple[HalfSpaceSection, ...] = ()
    keep_out: tuple[KeepOutSection, ...] = ()

    def __post_init__(self) -> None:
        require_positive(self, "tool_speed_max_m_s", "reduced_tool_speed_m_s")
        require_positive_each(self, "tool_speeds_m_s")
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

    feedback_timeout_s: float
    """Feedback older than this stops the robot, at most 0.5. Five cycles of the driver at least."""
    tracking_error_max_rad: float | None = None
    """A joint measured further than this from its command stops the robot, at most 1. A joint that turns needs it, here
    or in its own table."""
    tracking_error_max_m: float = 0.02
    """The same for a joint that slides, at most 0.5."""
    tracking_error_max_m_s: float = 0.3
    """The same for a base that drives, at most 1: its measured velocity against its command."""
    tracking_error_max_rad_s: float = 0.5
    """The same for a base that turns, at most 1."""
    frozen_encoder_travel_rad: float = 0.05
    """A joint that is commanded so far while its measurement repeats to the bit stops the robot, at most 0.5. No less
    than a step of the coarsest encoder."""
    frozen_encoder_travel_m: float = 0.02
    """The same for a joint that slides, at most 0.2."""
    rest_speed_rad_s: float = 0.05
    """Arming and reset are refused while a joint moves faster, at most 0.5; likewise a base that turns."""
    rest_speed_m_s: float = 0.02
    """The same for a joint that slides and for a base that drives, at most 0.2."""
    reset_tolerance_rad: float = 0.05
    """A reset is refused with a joint further than this from its last command, at most 0.5."""
    reset_tolerance_m: float = 0.02
    """The same for a joint that slides, at most 0.2."""
    start_tolerance_rad: float = 0.005
    """A joint or a jaw that is measured so far outside its range may still be armed, and starts at the range's end, at
    most 0.01."""
    start_tolerance_m: float = 0.003
    """The same for a joint that slides and for a parallel gripper, at most 0.01."""
    gripper_speed_max_m_s: float | None = None
    """Largest speed of the opening of the only gripper. The same as `speed_max_m_s` in a table of its own."""
    gripper_jam_after_s: float = 1.0
    """A gripper that is measured further than a quarter of its range from its command for so long is called jammed,
    0.01 to 60: that is said, and stops nothing."""
    joints: dict[str, JointSection] = msgspec.field(default_factory=dict)
    grippers: dict[str, GripperSection] = msgspec.field(default_factory=dict)
    fallback: FallbackSection = FallbackSection()
    contact: ContactSection = ContactSection()
    geometry: GeometrySection | None = None

    def __post_init__(self) -> None:
        highest = {**_HIGHEST, "feedback_timeout_s": 0.5}
        require_positive(self, *highest, "gripper_speed_max_m_s")
        require_at_most(self, highest)
        if not 0.01 <= self.gripper_jam_after_s <= _JAM_MAX_S:
            problem = f"gripper_jam_after_s must lie between 0.01 and {_JAM_MAX_S:g}"
            raise ValueError(f"{problem}, got {self.gripper_jam_after_s!r}")
        # None of it is exact: zero is a tolerance too.
        for name in ("start_tolerance_rad", "start_tolerance_m"):
            if not 0.0 <= getattr(self, name) <= START_TOLERANCE_MAX:
                most = f"at most {START_TOLERANCE_MAX}, and not be negative"
                raise ValueError(f"{name} must be {most}, got {getattr(self, name)!r}")
