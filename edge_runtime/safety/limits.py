"""What the kernel holds a robot to, validated before the kernel sees it.

The ranges that make a config acceptable are in one place, `kernel/config.c`; here they get the key's name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from contracts.embodiment import joint_order_digest
from contracts.errors import ConfigError
from edge_runtime.native import ffi, lib

_JOINT_FIELDS = ("q_min_rad", "q_max_rad", "dq_max_rad_s", "ddq_max_rad_s2", "tracking_max_rad")
_SCALAR_FIELDS = (
    "tick_ns",
    "gripper_min_m",
    "gripper_max_m",
    "gripper_rate_m_s",
    "rest_speed_rad_s",
    "reset_tolerance_rad",
    "feedback_max_age_ns",
    "setpoint_max_age_ns",
    "observation_max_age_ns",
    "future_tolerance_ns",
    "hold_timeout_ns",
)


@dataclass(frozen=True, kw_only=True)
class KernelConfig:
    """Limits of one robot. Joint tuples have one value per joint, in the order of `joint_names`.

    Attributes:
        joint_names: 1 to 16 different names; their digest must be the driver port's.
        q_min_rad, q_max_rad: range of each joint, within ±1000.
        dq_max_rad_s: largest speed, 0.001 to 1000.
        ddq_max_rad_s2: largest acceleration, 0.001 to 100000; also what a stop decelerates with.
        tracking_max_rad: largest distance of the measurement from the command while armed; above, the robot stops.
        gripper_min_m, gripper_max_m, gripper_rate_m_s: opening and its largest rate.
        tick_ns: period of the loop, 0.1 to 20 ms.
        rest_speed_rad_s: a joint measured faster than this refuses arming and reset.
        reset_tolerance_rad: a reset is refused with the robot further than this from the held command.
        feedback_max_age_ns: older feedback stops an armed robot.
        setpoint_max_age_ns: a setpoint computed longer ago is refused.
        observation_max_age_ns: a setpoint whose observation is older is refused.
        future_tolerance_ns: how far ahead of now a stamp may be.
        hold_timeout_ns: holding for longer disarms.

    Raises:
        ConfigError: names the key, and for a joint's value the joint.
    """

    joint_names: tuple[str, ...]
    q_min_rad: tuple[float, ...]
    q_max_rad: tuple[float, ...]
    dq_max_rad_s: tuple[float, ...]
    ddq_max_rad_s2: tuple[float, ...]
    tracking_max_rad: tuple[float, ...]
    gripper_min_m: float
    gripper_max_m: float
    gripper_rate_m_s: float
    tick_ns: int = 1_000_000
    rest_speed_rad_s: float = 0.05
    reset_tolerance_rad: float = 0.05
    feedback_max_age_ns: int = 20_000_000
    setpoint_max_age_ns: int = 20_000_000
    observation_max_age_ns: int = 2_000_000_000
    future_tolerance_ns: int = 5_000_000
    hold_timeout_ns: int = 60_000_000_000

    def __post_init__(self) -> None:
        for field in _JOINT_FIELDS:
            if len(getattr(self, field)) != len(self.joint_names):
                raise ConfigError(field, f"needs one value for each of the {len(self.joint_names)} joints")
        if len(set(self.joint_names)) != len(self.joint_names):
            raise ConfigError("joint_names", "names must differ from each other")
        if len(self.joint_names) > lib.KERNEL_MAX_JOINTS:
            raise ConfigError("joint_names", f"at most {lib.KERNEL_MAX_JOINTS} joints")
        for field in _SCALAR_FIELDS:
            value = getattr(self, field)
            if field.endswith("_ns") and not (isinstance(value, int) and abs(value) < 2**62):
                raise ConfigError(field, f"a whole number of nanoseconds is needed, got {value!r}")
            if not math.isfinite(value):
                raise ConfigError(field, f"must be finite, got {value!r}")
        joint = ffi.new("uint32_t *")
        error = lib.kernel_config_check(self.to_native(), joint)
        if error != lib.KERNEL_CONFIG_OK:
            name = ffi.typeof("kernel_config_error").elements[error]
            field = name.removeprefix("KERNEL_CONFIG_").lower()
            values = getattr(self, field, None)
            if isinstance(values, tuple):
                raise ConfigError(field, f"{values[joint[0]]!r} is not possible for joint {self.joint_names[joint[0]]}")
            raise ConfigError(field, f"{values!r} is not possible" if values is not None else "not possible")

    @property
    def joint_digest(self) -> str:
        """Digest of the joint order, 64 hex digits."""
        return joint_order_digest(self.joint_names)

    def to_native(self) -> object:
        """A new `kernel_config *` with these values, owned by the caller."""
        config = ffi.new("kernel_config *")
        config.n_joints = len(self.joint_names)
        for field in _JOINT_FIELDS:
            getattr(config, field)[0 : len(self.joint_names)] = [float(value) for value in getattr(self, field)]
        for field in _SCALAR_FIELDS:
            setattr(config, field, getattr(self, field))
        return config
