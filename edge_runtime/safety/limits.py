"""What the kernel holds a robot to, validated before the kernel sees it.

The ranges that make a config acceptable are in one place, `kernel/config.c`; here they get the key's name. Trusts
nobody: a config that is built here is one that the kernel takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from edge_runtime.contracts.embodiment import joint_order_digest
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.native import ffi, lib

NO_TORQUE_LIMIT_NM = 1e6
NO_FORCE_LIMIT_N = 1e6
NO_MOMENT_LIMIT_NM = 1e6
NO_TOOL_SPEED_LIMIT_M_S = 1e3
"""The largest values that the kernel takes: a limit that no measurement reaches."""

_JOINT_FIELDS = (
    "q_min",
    "q_max",
    "dq_max",
    "ddq_max",
    "dddq_max",
    "tracking_max",
    "step_max",
)
_OPTIONAL_JOINT_FIELDS = ("tau_max", "retract_rad")
_SCALAR_FIELDS = (
    "tick_ns",
    "retract_speed_scale",
    "gripper_min_m",
    "gripper_max_m",
    "gripper_rate_m_s",
    "rest_speed_rad_s",
    "reset_tolerance_rad",
    "start_tolerance_rad",
    "start_tolerance_m",
    "frozen_travel_rad",
    "force_max_n",
    "moment_max_nm",
    "tool_speed_max_m_s",
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
)


class Geometry(Protocol):
    """Where the robot's links are and what they must keep away from; `edge_runtime.safety.kinematics` makes them."""

    @property
    def n_joints(self) -> int:
        """Joints of the model; the kernel takes one with exactly the config's."""

    def fill(self, native: Any) -> None:
        """Write the model, derived reaches included, into a `geometry_model` that is all zero."""


@dataclass(frozen=True, kw_only=True)
class KernelConfig:
    """Limits of one robot. Joint tuples have one value per joint, in the order of `joint_names`.

    Attributes:
        joint_names: 1 to 16 different names; their digest must be the driver port's.
        q_min, q_max: range of each joint, within ±1000.
        dq_max: largest speed, 0.001 to 1000.
        ddq_max: largest acceleration, 0.001 to 100000; also what a stop decelerates with.
        dddq_max: largest jerk, 0.01 to 1e8, of every command, stops included.
        tracking_max: largest distance of the measurement from the command of its instant while armed; above, the
            robot stops.
        step_max: a setpoint further than this from the last command is refused, not followed.
        tau_max: largest measured torque while armed; empty: no limit.
        retract_rad: posture to go to when held too long; empty: disarm where it is.
        retract_speed_scale: of the velocity limits, on the way there.
        gripper_min_m, gripper_max_m, gripper_rate_m_s: opening and its largest rate.
        tick_ns: period of the loop, 0.1 to 20 ms.
        rest_speed_rad_s: a joint measured faster than this refuses arming and reset.
        reset_tolerance_rad: a reset is refused with the robot further than this from the held command.
        start_tolerance_rad: a joint measured so far outside its range may be armed, and starts at the end of it; a
            robot measured so near to where it was left, in all joints, starts there. 0 to 0.01.
        start_tolerance_m: likewise the gripper outside its range, 0 to 0.01.
        frozen_travel_rad: a joint commanded so far while three samples or more repeat each other to the bit stops the
            robot; no less than a step of the coarsest encoder.
        force_max_n, moment_max_nm: largest measured force and moment at the tool while armed.
        tool_speed_max_m_s: of the tool point; acts with geometry only.
        manipulability_slow_below, manipulability_stop_below: speed is scaled down between the two, to a tenth at the
            second; both 0: never. Act with geometry only.
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
        digest: SHA-256 of the limits this config was made from; in every verdict.
        geometry: None: no clearance, tool speed or singularity is looked at.

    Raises:
        ConfigError: names the key, and for a joint's value the joint.
    """

    joint_names: tuple[str, ...]
    q_min: tuple[float, ...]
    q_max: tuple[float, ...]
    dq_max: tuple[float, ...]
    ddq_max: tuple[float, ...]
    dddq_max: tuple[float, ...]
    tracking_max: tuple[float, ...]
    step_max: tuple[float, ...]
    gripper_min_m: float
    gripper_max_m: float
    gripper_rate_m_s: float
    tau_max: tuple[float, ...] = ()
    retract_rad: tuple[float, ...] = ()
    retract_speed_scale: float = 0.1
    tick_ns: int = 1_000_000
    rest_speed_rad_s: float = 0.05
    reset_tolerance_rad: float = 0.05
    start_tolerance_rad: float = 0.005
    start_tolerance_m: float = 0.003
    frozen_travel_rad: float = 0.05
    force_max_n: float = NO_FORCE_LIMIT_N
    moment_max_nm: float = NO_MOMENT_LIMIT_NM
    tool_speed_max_m_s: float = NO_TOOL_SPEED_LIMIT_M_S
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
    digest: bytes = bytes(lib.KERNEL_DIGEST_BYTES)
    geometry: Geometry | None = None

    def __post_init__(self) -> None:
        n = len(self.joint_names)
        for field in (*_JOINT_FIELDS, *_OPTIONAL_JOINT_FIELDS):
            length = len(getattr(self, field))
            if length != n and not (field in _OPTIONAL_JOINT_FIELDS and length == 0):
                raise ConfigError(field, f"needs one value for each of the {n} joints")
        if len(set(self.joint_names)) != n:
            raise ConfigError("joint_names", "names must differ from each other")
        if n > lib.KERNEL_MAX_AXES:
            raise ConfigError("joint_names", f"at most {lib.KERNEL_MAX_AXES} joints")
        for field in _SCALAR_FIELDS:
            value = getattr(self, field)
            if field.endswith("_ns") and not (isinstance(value, int) and abs(value) < 2**62):
                raise ConfigError(field, f"a whole number of nanoseconds is needed, got {value!r}")
            if not math.isfinite(value):
                raise ConfigError(field, f"must be finite, got {value!r}")
        if not (isinstance(self.debounce_ticks, int) and 0 <= self.debounce_ticks < 2**32):
            raise ConfigError("debounce_ticks", f"a whole number of ticks is needed, got {self.debounce_ticks!r}")
        if len(self.digest) != lib.KERNEL_DIGEST_BYTES:
            raise ConfigError("digest", f"needs {lib.KERNEL_DIGEST_BYTES} bytes, got {len(self.digest)}")
        index = ffi.new("uint32_t *")
        error = lib.kernel_config_check(self.to_native(), index)
        if error != lib.KERNEL_CONFIG_OK:
            name = ffi.typeof("kernel_config_error").elements[error]
            raise self._refused(name.removeprefix("KERNEL_CONFIG_").lower(), index[0])

    def _refused(self, field: str, index: int) -> ConfigError:
        values = getattr(self, field, None)
        if field == "geometry":
            return ConfigError(field, f"the kernel refuses the model, at number {index}")
        if isinstance(values, tuple):
            return ConfigError(field, f"{values[index]!r} is not possible for joint {self.joint_names[index]}")
        return ConfigError(field, f"{values!r} is not possible" if values is not None else "not possible")

    @property
    def joint_digest(self) -> str:
        """Digest of the joint order, 64 hex digits."""
        return joint_order_digest(self.joint_names)

    @property
    def retracts(self) -> bool:
        """Whether there is a posture to go to when held too long."""
        return bool(self.retract_rad)

    @property
    def frozen_found_rad(self) -> float:
        """A frozen encoder is found by the second sample after its joint's command has gone so far one way.

        That is `frozen_travel_rad`, a tick's way, and twice what remembered commands may be off: once because the
        kernel allows for it, once because it may hide as much of the travel.
        """
        apart_s = float(self.feedback_max_age_ns // (lib.KERNEL_TRAIL - 2) + self.tick_ns) * 1e-9
        limits = zip(self.dq_max, self.ddq_max, strict=True)
        return self.frozen_travel_rad + max(v * self.tick_ns * 1e-9 + 0.5 * a * apart_s * apart_s for v, a in limits)

    @property
    def torque_limits_nm(self) -> tuple[float, ...]:
        """`tau_max` as the kernel has it: one value per joint."""
        return self.tau_max or (NO_TORQUE_LIMIT_NM,) * len(self.joint_names)

    def to_native(self) -> Any:
        """A new `kernel_config *` with these values, owned by the caller."""
        n = len(self.joint_names)
        config = ffi.new("kernel_config *")
        config.n_joints = n
        config.retracts = self.retracts
        for field in _JOINT_FIELDS:
            getattr(config, field)[0:n] = [float(value) for value in getattr(self, field)]
        config.tau_max[0:n] = [float(value) for value in self.torque_limits_nm]
        if self.retracts:
            config.retract_rad[0:n] = [float(value) for value in self.retract_rad]
        for field in _SCALAR_FIELDS:
            setattr(config, field, getattr(self, field))
        config.digest[0 : lib.KERNEL_DIGEST_BYTES] = list(self.digest)
        if self.geometry is not None:
            self.geometry.fill(config.geometry)
        return config
