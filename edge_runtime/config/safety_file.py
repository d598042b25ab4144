"""The limits that come of `safety.toml`: the tightest of that file, the robot's description and the maker's rating.

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

from edge_runtime.config.axis_keys import LOWER, RATED, UPPER, keys_of, kind_of, suffix_of
from edge_runtime.config.limit_sources import Source
from edge_runtime.config.safety_sections import START_TOLERANCE_MAX as START_TOLERANCE_MAX
from edge_runtime.config.safety_sections import ContactSection as ContactSection
from edge_runtime.config.safety_sections import FallbackSection as FallbackSection
from edge_runtime.config.safety_sections import GeometrySection as GeometrySection
from edge_runtime.config.safety_sections import GripperSection as GripperSection
from edge_runtime.config.safety_sections import HalfSpaceSection as HalfSpaceSection
from edge_runtime.config.safety_sections import JointSection as JointSection
from edge_runtime.config.safety_sections import NearEnd as NearEnd
from edge_runtime.config.safety_sections import SafetyFile as SafetyFile
from edge_runtime.config.safety_sections import Vector as Vector
from edge_runtime.config.toml_file import stem_of
from edge_runtime.contracts.axes import AnyAxis, BinaryGripper, ParallelGripper
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.contracts.manifest import MotionLimits

SETPOINT_STEPS = {"rad": 0.5, "m": 0.1, "m/s": 0.5, "rad/s": 1.0}
"""How far a setpoint may be from the last command where nothing is said, by the axis's unit."""
JAMMED_FROM = 0.25
"""Share of its range that a gripper is off its command when it counts as jammed."""


class AxisLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one axis is held to, each in its own unit; None: an axis of this kind has no such limit.

    Attributes:
        kind: of the axis, as in embodiment.toml.
        low, high: the range of its value; of a base's axis that of its velocity. A continuous joint has none.
        speed_max, acceleration_max, jerk_max: of a base's axis, `speed_max` is the largest velocity. A gripper has no
            acceleration and jerk, a binary one no speed.
        effort_max: measured torque or force, Nm or N.
        setpoint_step_max: how far a setpoint may be from the last command.
        tracking_error_max: how far the measurement may be from the command of its instant; a gripper that is further is
            called jammed.
        frozen_travel: how far a command may go while the measurement repeats to the bit; of a base's axis a velocity.
        rest_speed: faster it is not at rest.
        reset_tolerance: how far from its last command it may be for a reset.
        start_tolerance: how far outside its range it may be for arming.
        near_low, near_high: how fast it may go towards an end, from how far.
    """

    kind: str
    low: float | None = None
    high: float | None = None
    speed_max: float | None = None
    acceleration_max: float | None = None
    jerk_max: float | None = None
    effort_max: float | None = None
    setpoint_step_max: float | None = None
    tracking_error_max: float | None = None
    frozen_travel: float | None = None
    rest_speed: float | None = None
    reset_tolerance: float | None = None
    start_tolerance: float | None = None
    near_low: NearEnd | None = None
    near_high: NearEnd | None = None


class ToolLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one tool is held to; None: to nothing."""

    name: str
    speed_max_m_s: float | None
    force_max_n: float | None
    moment_max_nm: float | None


class SafetyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one robot is held to.

    Attributes:
        axes: by name, in the embodiment's order.
        joint_names: the axes that are no gripper, in order.
        tools: in the order of the kinematics file; without one a single tool, of which no speed is known.
        jam_after_s: after how long off its command a gripper is called jammed.
        fallback: with its `retract` by name, never `retract_rad`.
        kinematics: the content of that file as it was read.
        calibration: digest of the robot's calibration; None: it has none.
    """

    axes: dict[str, AxisLimits]
    joint_names: tuple[str, ...]
    tools: tuple[ToolLimits, ...]
    feedback_timeout_s: float
    jam_after_s: float
    fallback: FallbackSection
    contact: ContactSection
    geometry: GeometrySection | None
    kinematics: dict[str, Any] | None = None
    calibration: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) of the canonical JSON of these limits, geometry and calibration included; in every
        safety report."""
        fields = msgspec.structs.asdict(self)
        if self.calibration is None:
            del fields["calibration"]
        return hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()

    @property
    def motion(self) -> MotionLimits:
        """What a bundle may ask a minimum of: a value for each joint and axis of the base, in its own unit."""
        joints = [self.axes[name] for name in self.joint_names]
        return MotionLimits(
            velocity_rad_s=tuple(_known(joint.speed_max) for joint in joints),
            acceleration_rad_s2=tuple(_known(joint.acceleration_max) for joint in joints),
            jerk_rad_s3=tuple(_known(joint.jerk_max) for joint in joints),
            tool_speed_m_s=min(
                (tool.speed_max_m_s for tool in self.tools if tool.speed_max_m_s is not None), default=None
            ),
        )


def _known(limit: float | None) -> float:
    assert limit is not None, "every joint has it"
    return limit


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
    _require_names(file, file_name, embodiment)
    grippers = _gripper_sections(file, file_name, embodiment)
    axes = {
        axis.name: _axis_limits(file, file_name, axis, grippers.get(axis.name), sources) for axis in embodiment.axes
    }
    if file.geometry is not None and file.geometry.odometry and not embodiment.base_axes:
        problem = f"{embodiment.name} has no axis of a base: what does not drive has no odometry (in {file_name})"
        raise ConfigError("geometry.odometry", problem)
    return SafetyLimits(
        axes=axes,
        joint_names=embodiment.joint_names,
        tools=_tools(file, file_name, kinematics),
        feedback_timeout_s=file.feedback_timeout_s,
        jam_after_s=file.gripper_jam_after_s,
        fallback=_fallback(file, file_name, embodiment, axes),
        contact=file.contact,
        geometry=file.geometry,
        kinematics=kinematics,
    )


def _require_names(file: SafetyFile, file_name: str, embodiment: Embodiment) -> None:
    grippers = [axis.name for axis in embodiment.grippers]
    for table, sections, names, others in (
        ("joints", file.joints, list(embodiment.joint_names), grippers),
        ("grippers", file.grippers, grippers, list(embodiment.joint_names)),
    ):
        for name in sections:
            if name in others:
                other = "grippers" if table == "joints" else "joints"
                problem = f"{name} is {_a_kind(embodiment, name)}: its table is [{other}.{name}] (in {file_name})"
                raise ConfigError(f"{table}.{name}", problem)
            if name not in names:
                has = f"has only {', '.join(names)}" if names else "has none"
                raise ConfigError(f"{table}.{name}", f"{embodiment.name} {has} (in {file_name})")


def _a_kind(embodiment: Embodiment, name: str) -> str:
    return f"of kind {kind_of(embodiment.axes[embodiment.index_of(name)])}"


def _gripper_sections(file: SafetyFile, file_name: str, embodiment: Embodiment) -> dict[str, GripperSection]:
    """The grippers' tables, with the key of the lone gripper among them."""
    speed_m_s, key = file.gripper_speed_max_m_s, "gripper_speed_max_m_s"
    if speed_m_s is None:
        return file.grippers
    parallel = [axis for axis in embodiment.grippers if isinstance(axis, ParallelGripper)]
    if len(parallel) != 1 or len(embodiment.grippers) != 1:
        names = ", ".join(f"[grippers.{axis.name}]" for axis in embodiment.grippers)
        have = f"it has {names}" if names else "it has none: take the key out"
        problem = f"it is for a robot whose only gripper is a parallel one, and {embodiment.name} is none; {have}"
        raise ConfigError(key, f"{problem} (in {file_name})")
    name = parallel[0].name
    section = file.grippers.get(name, GripperSection())
    if section.speed_max_m_s is not None:
        raise ConfigError(key, f"grippers.{name}.speed_max_m_s says the same: take one of the two out (in {file_name})")
    if speed_m_s > parallel[0].speed_max:
        raise _looser(key, speed_m_s, parallel[0].speed_max, f"the rating of {embodiment.name}", file_name)
    return {**file.grippers, name: msgspec.structs.replace(section, speed_max_m_s=speed_m_s)}


def _axis_limits(
    file: SafetyFile, file_name: str, axis: AnyAxis, gripper: GripperSection | None, sources: Sequence[Source]
) -> AxisLimits:
    table = f"{'grippers' if axis.is_gripper else 'joints'}.{axis.name}"
    section: msgspec.Struct | None = gripper or GripperSection() if axis.is_gripper else file.joints.get(axis.name)
    if section is None:
        raise ConfigError(table, f"missing: every {axis.what} needs limits of its own (in {file_name})")
    keys = keys_of(axis)
    _require_keys(section, table, axis, file_name)
    values: dict[str, Any] = {}
    for limit in RATED:
        if limit in keys:
            values[limit] = _limit(limit, f"{table}.{keys[limit]}", section, keys[limit], axis, sources, file_name)
    for limit in ("near_low", "near_high", "setpoint_step_max", "tracking_error_max"):
        if limit in keys:
            values[limit] = getattr(section, keys[limit])
    values |= _tolerances(file, file_name, axis, values)
    if axis.is_velocity:
        values |= {"low": -values["speed_max"], "high": values["speed_max"]}
    elif axis.is_gripper:
        values |= {"low": axis.low, "high": axis.high}
    limits = AxisLimits(kind=kind_of(axis), **values)
    if limits.low is not None and limits.high is not None and not limits.low < limits.high:
        raise ConfigError(f"{table}.{keys['low']}", f"must be below {keys['high']} (in {file_name})")
    for limit in (*UPPER[1:], "setpoint_step_max"):
        if limit in keys and values[limit] is not None and not 0.0 < values[limit] < math.inf:
            problem = f"must be finite and above zero, got {values[limit]!r} (in {file_name})"
            raise ConfigError(f"{table}.{keys[limit]}", problem)
    return limits


def _require_keys(section: msgspec.Struct, table: str, axis: AnyAxis, file_name: str) -> None:
    """Refuse keys of another kind of axis: a limit in another unit would hold nothing."""
    known = keys_of(axis).values()
    for key in section.__struct_fields__:
        if getattr(section, key) is None or key in known:
            continue
        same = [f"`{other}`" for other in known if stem_of(other) == stem_of(key)]
        cure = f"its key is {' or '.join(same)}" if same else f"it has {', '.join(known)}"
        raise ConfigError(f"{table}.{key}", f"{axis.name} is of kind {kind_of(axis)}: {cure} (in {file_name})")


def _limit(
    limit: str,
    whole_key: str,
    section: msgspec.Struct,
    key: str,
    axis: AnyAxis,
    sources: Sequence[Source],
    file_name: str,
) -> float | None:
    """The tightest that is known; None where nothing is, of what need not be known."""
    sign = -1.0 if limit in LOWER else 1.0
    stated_by = [(source.joints.get(axis.name, {}).get(key), source) for source in sources]
    known = [(stated, source) for stated, source in stated_by if stated is not None]
    value: float | None = getattr(section, key)
    if value is None:
        if not known and axis.is_gripper and limit == "effort_max":
            return None
        if not known:
            problem = "it can't be left out: neither the rating nor the description has it"
            raise ConfigError(whole_key, f"{problem} (in {file_name})")
        value = min((stated for stated, _ in known), key=lambda stated: sign * stated)
    if not math.isfinite(value):
        raise ConfigError(whole_key, f"must be finite, got {value!r} (in {file_name})")
    for stated, source in known:
        # Nothing is looser than what is no number: it would be a limit that nobody keeps.
        if math.isnan(stated):
            raise ConfigError(whole_key, f"{source.name} has {stated!r}, which is no limit")
        if sign * value > sign * stated:
            raise _looser(whole_key, value, stated, source.name, file_name)
    return value


def _tolerances(file: SafetyFile, file_name: str, axis: AnyAxis, own: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says of all axes of one unit, and what is usual where it says nothing."""
    unit = suffix_of(axis.unit)
    length = "m" if unit in ("m", "m_s") else "rad"
    if axis.is_gripper:
        start = START_TOLERANCE_MAX if isinstance(axis, BinaryGripper) else getattr(file, f"start_tolerance_{length}")
        return {"tracking_error_max": JAMMED_FROM * (axis.high - axis.low), "start_tolerance": start}
    step, tracking = own["setpoint_step_max"], own["tracking_error_max"]
    key = f"tracking_error_max_{unit}"
    tracking = getattr(file, key) if tracking is None else tracking
    if tracking is None:
        raise ConfigError(key, f"missing: {axis.name} needs it, at most 1 (in {file_name})")
    values = {
        "setpoint_step_max": SETPOINT_STEPS[axis.unit] if step is None else step,
        "tracking_error_max": tracking,
        "rest_speed": getattr(file, f"rest_speed_{length}_s"),
    }
    if axis.is_velocity:
        return {**values, "frozen_travel": tracking}
    return {
        **values,
        "frozen_travel": getattr(file, f"frozen_encoder_travel_{length}"),
        "reset_tolerance": getattr(file, f"reset_tolerance_{length}"),
        "start_tolerance": getattr(file, f"start_tolerance_{length}"),
    }


class _NamedTool(msgspec.Struct):
    name: str = "tool"


class _Tools(msgspec.Struct):
    tool: _NamedTool | None = None
    tools: tuple[_NamedTool, ...] = ()


def _tools(file: SafetyFile, file_name: str, kinematics: dict[str, Any] | None) -> tuple[ToolLimits, ...]:
    geometry, contact = file.geometry, file.contact
    if geometry is None or kinematics is None:
        names, whose = ["tool"], "a robot without [geometry]"
    else:
        try:
            described = msgspec.convert(kinematics, _Tools)
        except msgspec.ValidationError as error:
            raise ConfigError("geometry.kinematics", f"{geometry.kinematics} has no tools: {error}") from error
        names = [tool.name for tool in (described.tool, *described.tools) if tool is not None]
        whose = geometry.kinematics
    speeds_m_s = {} if geometry is None else geometry.tool_speeds_m_s
    for key, by_name in (
        ("geometry.tool_speeds_m_s", speeds_m_s),
        ("contact.tool_forces_n", contact.tool_forces_n),
        ("contact.tool_moments_nm", contact.tool_moments_nm),
    ):
        if unknown := [name for name in by_name if name not in names]:
            has = f"has {', '.join(names)}" if names else "has none"
            raise ConfigError(f"{key}.{unknown[0]}", f"there is no such tool: {whose} {has} (in {file_name})")
    return tuple(
        ToolLimits(
            name=name,
            speed_max_m_s=None if geometry is None else speeds_m_s.get(name, geometry.tool_speed_max_m_s),
            force_max_n=contact.tool_forces_n.get(name, contact.force_max_n),
            moment_max_nm=contact.tool_moments_nm.get(name, contact.moment_max_nm),
        )
        for name in names
    )


def _fallback(
    file: SafetyFile, file_name: str, embodiment: Embodiment, axes: Mapping[str, AxisLimits]
) -> FallbackSection:
    """Its posture by name, inside the limits."""
    fallback = file.fallback
    joints = {axis.name: axis for axis in embodiment.axes if not (axis.is_gripper or axis.is_velocity)}
    key = "fallback.retract"
    posture = fallback.retract
    if fallback.retract_rad is not None:
        key = "fallback.retract_rad"
        if any(axis.unit != "rad" for axis in joints.values()):
            names = ", ".join(joints)
            problem = f"not every joint of {embodiment.name} turns: write retract = {{ NAME = VALUE }} for {names}"
            raise ConfigError(key, f"{problem} (in {file_name})")
        if len(fallback.retract_rad) != len(joints):
            raise ConfigError(key, f"needs one value for each of the {len(joints)} joints (in {file_name})")
        posture = dict(zip(joints, fallback.retract_rad, strict=True))
    if posture is None:
        return fallback
    if set(posture) != set(joints):
        wrong = [name for name in posture if name not in joints]
        lacks = [name for name in joints if name not in posture]
        said = f"{', '.join(wrong)} is no joint" if wrong else f"{', '.join(lacks)} is missing"
        problem = f"{said}: it needs a value for each of {', '.join(joints)}, and for nothing else"
        raise ConfigError(key, f"{problem} (in {file_name})")
    for name in joints:
        value, limits = posture[name], axes[name]
        low = -math.pi if limits.low is None else limits.low
        high = math.pi if limits.high is None else limits.high
        if not low <= value <= high:
            raise ConfigError(key, f"{value} is outside the limits of {name} (in {file_name})")
    in_order = {name: posture[name] for name in joints}
    return msgspec.structs.replace(fallback, retract=in_order, retract_rad=None)


def _looser(key: str, value: float, limit: float, whose: str, file_name: str) -> ConfigError:
    return ConfigError(key, f"{value} is looser than the {limit} of {whose} (in {file_name})")
