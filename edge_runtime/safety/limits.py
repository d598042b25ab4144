"""What the kernel holds a robot to, validated before the kernel sees it.

The ranges that make a config acceptable are in one place, `kernel/config.c`; here they get the key's name. Trusts
nobody: a config that is built here is one that the kernel takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.native import ffi, lib

NO_EFFORT_LIMIT = 1e6
NO_FORCE_LIMIT_N = 1e6
NO_MOMENT_LIMIT_NM = 1e6
NO_TOOL_SPEED_LIMIT_M_S = 1e3
"""The largest values that the kernel takes: a limit that no measurement reaches."""
CONTINUOUS_RANGE_RAD = 1e5
"""Of an axis that turns without end: it is told angles between minus and plus so much, about 16,000 turns either way of
where it was armed."""
MAX_TOOLS: int = lib.KERNEL_MAX_TOOLS

_AXIS_FIELDS = (
    "q_min",
    "q_max",
    "dq_max",
    "ddq_max",
    "dddq_max",
    "tracking_max",
    "step_max",
)
_OPTIONAL_AXIS_FIELDS = {
    "tau_max": NO_EFFORT_LIMIT,
    "retract": 0.0,
    "rest_speed": 0.05,
    "reset_tolerance": 0.05,
    "start_tolerance": 0.005,
    "frozen_travel": 0.05,
}
"""What stands for each axis where a config says nothing."""
_TOOL_FIELDS = {
    "force_max_n": NO_FORCE_LIMIT_N,
    "moment_max_nm": NO_MOMENT_LIMIT_NM,
    "tool_speed_max_m_s": NO_TOOL_SPEED_LIMIT_M_S,
}
_SCALAR_FIELDS = (
    "tick_ns",
    "retract_speed_scale",
    "manipulability_slow_below",
    "manipulability_stop_below",
    "clearance_min_m",
    "feedback_max_age_ns",
    "setpoint_max_age_ns",
    "observation_max_age_ns",
    "future_tolerance_ns",
    "play_max_ns",
    "hold_timeout_ns",
    "retract_timeout_ns",
    "debounce_ticks",
    "jam_ticks",
)
_UNUSED = 1.0
"""In the native config, where a value has no meaning for its axis: a gripper's acceleration may be infinite."""


class AxisKind(IntEnum):
    """What an axis is to the kernel; `kernel.h` says what each is held to."""

    BOUNDED = lib.KERNEL_AXIS_BOUNDED
    CONTINUOUS = lib.KERNEL_AXIS_CONTINUOUS
    VELOCITY = lib.KERNEL_AXIS_VELOCITY
    GRIPPER = lib.KERNEL_AXIS_GRIPPER

    @property
    def is_joint(self) -> bool:
        """Whether its value is a position that is part of the robot's stop."""
        return self in (AxisKind.BOUNDED, AxisKind.CONTINUOUS)


class EndSpeed(NamedTuple):
    """A velocity limit that falls towards an end of the range: `max(0, sqrt(slope * |zero - q|) - offset)`.

    Attributes:
        slope: above 0, in (rad/s)² per rad, or (m/s)² per m.
        offset: rad/s or m/s, 0 or above.
        zero: position where the root is 0, rad or m.
    """

    slope: float
    offset: float
    zero: float


class BaseAxes(NamedTuple):
    """Which axes drive the base along x and y and turn it about z; None: it has none such."""

    x: int | None = None
    y: int | None = None
    yaw: int | None = None


_NO_BASE = BaseAxes()


class Geometry(Protocol):
    """Where the robot's links are and what they must keep away from; `edge_runtime.safety.kinematics` makes them."""

    @property
    def n_axes(self) -> int:
        """Axes of the robot; the kernel takes a model with exactly the config's."""

    def fill(self, native: Any) -> None:
        """Write the model, derived reaches included, into a `geometry_model` that is all zero."""


@dataclass(frozen=True, kw_only=True)
class KernelConfig:
    """Limits of one robot. Axis tuples have one value per axis, in the order of `axis_names`, in the axis's SI unit.

    Attributes:
        axis_names: 1 to 32 different names.
        axis_kinds: what each of them is.
        joint_digest: of the embodiment, 64 hex digits; the driver port's must be the same.
        q_min, q_max: range of each axis, within ±1000, of a continuous one ±100000. Of a velocity axis without meaning.
        dq_max: largest speed, 0.001 to 1000; of a gripper its rate, of a velocity axis its largest value.
        ddq_max: largest acceleration, 0.001 to 100000; also what a stop decelerates with. Of a gripper without meaning.
        dddq_max: largest jerk, 0.01 to 1e8, of every command, stops included. Of a gripper without meaning.
        tracking_max: largest distance of the measurement from the command of its instant while armed; above, the
            robot stops. Of a velocity axis the distance of velocities; of a continuous one at most 3.14. A gripper that
            is further off for `jam_ticks` is told to be jammed, and does not stop the robot.
        step_max: a setpoint further than this from the last command is refused, not followed. Not of grippers.
        tau_max: largest measured torque or force while armed; empty: no limit. A gripper with more does not close
            further, and does not stop the robot.
        retract: posture to go to when held too long; empty: disarm where it is. A base stands, grippers stay.
        rest_speed: an axis measured faster than this refuses arming and reset; empty: 0.05.
        reset_tolerance: a reset is refused with a joint further than this from the held command; empty: 0.05.
        start_tolerance: a joint or gripper measured so far outside its range may be armed, and starts at the end of it;
            a robot measured so near to where it was left, in all joints, starts there. 0 to 0.01; empty: 0.005.
        frozen_travel: an axis commanded so far while three samples or more repeat each other to the bit stops the
            robot; no less than a step of its encoder. Of a velocity axis a change of velocity. Empty: 0.05.
        end_speed_min, end_speed_max: velocity limits of bounded axes that fall towards the lower and the upper end;
            None for an axis without; empty: none has one.
        closes_up: grippers that close towards `q_max`; empty: all close towards `q_min`.
        base_axes: what the velocity axes do.
        has_odometry: the driver measures where the base is: with a geometry that has a base, it is kept off planes and
            zones, and the robot stops where odometry is lost.
        retract_speed_scale: of the velocity limits, on the way to `retract`.
        tick_ns: period of the loop, 0.1 to 20 ms.
        force_max_n, moment_max_nm: largest measured force and moment at each tool while armed; fewer than there are
            tools: the others have no limit.
        tool_speed_max_m_s: of each tool's point, likewise; in the world, the base's motion included. Acts with geometry
            only.
        manipulability_slow_below, manipulability_stop_below: speed is scaled down between the two, to a tenth at the
            second; both 0: never. Act with geometry only, and by the tool that is nearest to a singularity.
        clearance_min_m: kept from every plane, zone and paired capsule, 0 to 1.
        feedback_max_age_ns: older feedback stops an armed robot.
        setpoint_max_age_ns: a setpoint computed longer ago is refused.
        observation_max_age_ns: a setpoint whose observation is older is refused.
        future_tolerance_ns: how far ahead of now a stamp may be.
        play_max_ns: how long the plan of a lost policy is still followed.
        hold_timeout_ns: holding for longer retracts, or disarms.
        retract_timeout_ns: retracting for longer disarms where it is.
        debounce_ticks: torque and force stop the robot when samples over so many ticks in a row are too large, 1 to
            10000; with more than one tick that takes two samples.
        jam_ticks: see `tracking_max`, 1 to 1000000.
        digest: SHA-256 of the limits this config was made from; in every verdict.
        geometry: None: no clearance, tool speed or singularity is looked at.

    Raises:
        ConfigError: names the key, and for an axis's value the axis.
    """

    axis_names: tuple[str, ...]
    axis_kinds: tuple[AxisKind, ...]
    q_min: tuple[float, ...]
    q_max: tuple[float, ...]
    dq_max: tuple[float, ...]
    ddq_max: tuple[float, ...]
    dddq_max: tuple[float, ...]
    tracking_max: tuple[float, ...]
    step_max: tuple[float, ...]
    joint_digest: str = ""
    tau_max: tuple[float, ...] = ()
    retract: tuple[float, ...] = ()
    rest_speed: tuple[float, ...] = ()
    reset_tolerance: tuple[float, ...] = ()
    start_tolerance: tuple[float, ...] = ()
    frozen_travel: tuple[float, ...] = ()
    end_speed_min: tuple[EndSpeed | None, ...] = ()
    end_speed_max: tuple[EndSpeed | None, ...] = ()
    closes_up: tuple[bool, ...] = ()
    base_axes: BaseAxes = _NO_BASE
    has_odometry: bool = False
    retract_speed_scale: float = 0.1
    tick_ns: int = 1_000_000
    force_max_n: tuple[float, ...] = ()
    moment_max_nm: tuple[float, ...] = ()
    tool_speed_max_m_s: tuple[float, ...] = ()
    manipulability_slow_below: float = 0.0
    manipulability_stop_below: float = 0.0
    clearance_min_m: float = 0.01
    feedback_max_age_ns: int = 20_000_000
    setpoint_max_age_ns: int = 20_000_000
    observation_max_age_ns: int = 2_000_000_000
    future_tolerance_ns: int = 5_000_000
    play_max_ns: int = 1_000_000_000
    hold_timeout_ns: int = 60_000_000_000
    retract_timeout_ns: int = 30_000_000_000
    debounce_ticks: int = 5
    jam_ticks: int = 500
    digest: bytes = bytes(lib.KERNEL_DIGEST_BYTES)
    geometry: Geometry | None = None

    def __post_init__(self) -> None:
        n = len(self.axis_names)
        if len(set(self.axis_names)) != n:
            raise ConfigError("axis_names", "names must differ from each other")
        if n > lib.KERNEL_MAX_AXES:
            raise ConfigError("axis_names", f"at most {lib.KERNEL_MAX_AXES} axes")
        self._require_lengths(n)
        self._require_numbers()
        index = ffi.new("uint32_t *")
        error = lib.kernel_config_check(self.to_native(), index)
        if error != lib.KERNEL_CONFIG_OK:
            name = ffi.typeof("kernel_config_error").elements[error]
            raise self._refused(name.removeprefix("KERNEL_CONFIG_").lower(), index[0])

    def _require_lengths(self, n: int) -> None:
        for field in ("axis_kinds", *_AXIS_FIELDS):
            if len(getattr(self, field)) != n:
                raise ConfigError(field, f"needs one value for each of the {n} axes")
        for field in (
            *_OPTIONAL_AXIS_FIELDS,
            "end_speed_min",
            "end_speed_max",
            "closes_up",
        ):
            if len(getattr(self, field)) not in (0, n):
                raise ConfigError(field, f"needs one value for each of the {n} axes, or none at all")
        for field in _TOOL_FIELDS:
            if len(getattr(self, field)) > MAX_TOOLS:
                raise ConfigError(field, f"at most {MAX_TOOLS} tools")

    def _require_numbers(self) -> None:
        for field in _SCALAR_FIELDS:
            value = getattr(self, field)
            if field.endswith("_ns") and not (isinstance(value, int) and abs(value) < 2**62):
                raise ConfigError(field, f"a whole number of nanoseconds is needed, got {value!r}")
            if field.endswith("_ticks") and not (isinstance(value, int) and 0 <= value < 2**32):
                raise ConfigError(field, f"a whole number of ticks is needed, got {value!r}")
            if not math.isfinite(value):
                raise ConfigError(field, f"must be finite, got {value!r}")
        for place in self.base_axes:
            if place is not None and not 0 <= place < len(self.axis_names):
                raise ConfigError("base_axes", f"there is no axis number {place!r}")
        if len(self.digest) != lib.KERNEL_DIGEST_BYTES:
            raise ConfigError(
                "digest",
                f"needs {lib.KERNEL_DIGEST_BYTES} bytes, got {len(self.digest)}",
            )

    def _refused(self, field: str, index: int) -> ConfigError:
        if field == "geometry":
            return ConfigError(field, f"the kernel refuses the model, at number {index}")
        if field == "base_axis":
            return ConfigError(
                "base_axes",
                "each names a velocity axis of its own, and with odometry none is left out",
            )
        if field == "axis_kind":
            return ConfigError(
                "axis_kinds",
                f"{self.axis_kinds[index]!r} is not possible for {self.axis_names[index]}",
            )
        if field == "end_speed":
            ends = [one[index] for one in (self.end_speed_min, self.end_speed_max) if one]
            return ConfigError(field, f"{ends!r} is not possible for {self.axis_names[index]}")
        if field in _TOOL_FIELDS:
            return ConfigError(
                field,
                f"{getattr(self, field)[index]!r} is not possible for tool {index}",
            )
        values = getattr(self, field, None)
        if isinstance(values, tuple):
            of = "joint" if self.axis_kinds[index].is_joint else "axis"
            value = values[index] if values else _OPTIONAL_AXIS_FIELDS[field]
            return ConfigError(field, f"{value!r} is not possible for {of} {self.axis_names[index]}")
        return ConfigError(
            field,
            f"{values!r} is not possible" if values is not None else "not possible",
        )

    @property
    def n_axes(self) -> int:
        """How many there are."""
        return len(self.axis_names)

    @property
    def retracts(self) -> bool:
        """Whether there is a posture to go to when held too long."""
        return bool(self.retract)

    @property
    def needs_odometry(self) -> bool:
        """Whether the robot may only be armed while its base is known to be somewhere: see `has_odometry`."""
        native = self.to_native()
        return bool(self.has_odometry and native.geometry.has_base) and bool(
            native.geometry.n_planes + native.geometry.n_keepouts
        )

    @property
    def fastest_tool_m_s(self) -> float:
        """The largest tool speed that any tool may have: what a tightening starts from."""
        speeds = self.of_tools("tool_speed_max_m_s")
        return max(speeds[: max(1, self.to_native().geometry.n_tools)])

    def of_axes(self, field: str) -> tuple[float, ...]:
        """An optional axis field as the kernel has it: one value per axis."""
        values: tuple[float, ...] = getattr(self, field)
        return values or (_OPTIONAL_AXIS_FIELDS[field],) * self.n_axes

    def of_tools(self, field: str) -> tuple[float, ...]:
        """A tool field as the kernel has it: one value for each tool that there may be."""
        values: tuple[float, ...] = getattr(self, field)
        return values + (_TOOL_FIELDS[field],) * (MAX_TOOLS - len(values))

    @property
    def frozen_found(self) -> tuple[float, ...]:
        """A frozen encoder is found by the second sample after its axis's command has gone so far one way.

        That is `frozen_travel`, a tick's way, and twice what remembered commands may be off: once because the kernel
        allows for it, once because it may hide as much of the travel. Nothing is found of a gripper.
        """
        apart_s = float(self.feedback_max_age_ns // (lib.KERNEL_TRAIL - 2) + self.tick_ns) * 1e-9
        found = []
        for i, (kind, travel) in enumerate(zip(self.axis_kinds, self.of_axes("frozen_travel"), strict=True)):
            is_velocity = kind is AxisKind.VELOCITY
            rate, bend = (self.ddq_max, self.dddq_max) if is_velocity else (self.dq_max, self.ddq_max)
            way = rate[i] * self.tick_ns * 1e-9 + 0.5 * bend[i] * apart_s * apart_s
            found.append(math.inf if kind is AxisKind.GRIPPER else travel + way)
        return tuple(found)

    def to_native(self) -> Any:
        """A new `kernel_config *` with these values, owned by the caller."""
        n = self.n_axes
        config = ffi.new("kernel_config *")
        config.n_axes = n
        config.retracts = self.retracts
        config.axis_kind[0:n] = [int(kind) for kind in self.axis_kinds]
        for field in _AXIS_FIELDS:
            getattr(config, field)[0:n] = [float(value) for value in getattr(self, field)]
        for field in _OPTIONAL_AXIS_FIELDS:
            getattr(config, field)[0:n] = [float(value) for value in self.of_axes(field)]
        for i, kind in enumerate(self.axis_kinds):
            if kind is AxisKind.GRIPPER:
                config.ddq_max[i] = config.dddq_max[i] = _UNUSED
        for end, limits in enumerate((self.end_speed_min, self.end_speed_max)):
            for i, limit in enumerate(limits):
                if limit is not None:
                    config.end_speed_slope[end][i] = limit.slope
                    config.end_speed_offset[end][i] = limit.offset
                    config.end_speed_zero[end][i] = limit.zero
        for field in _TOOL_FIELDS:
            getattr(config, field)[0:MAX_TOOLS] = [float(value) for value in self.of_tools(field)]
        for field in _SCALAR_FIELDS:
            setattr(config, field, getattr(self, field))
        config.base_axis[0:3] = [-1 if place is None else place for place in self.base_axes]
        config.has_odometry = self.has_odometry
        config.closes_up = sum(1 << i for i, up in enumerate(self.closes_up) if up)
        config.digest[0 : lib.KERNEL_DIGEST_BYTES] = list(self.digest)
        if self.geometry is not None:
            self.geometry.fill(config.geometry)
        return config
