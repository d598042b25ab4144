"""The structs of `kernel.h` and `motion.h` as Python numbers; joint arrays are as long as the robot has joints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edge_runtime.safety.reference_geometry import Geometry
from edge_runtime.safety.states import Reason, State

MAX_AXES = 16
TRAIL = 8
NO_MARGIN_M = 1e9
NONE = Reason(0)
FEEDBACK_BAD = (
    Reason.FEEDBACK_SHAPE
    | Reason.FEEDBACK_NOT_FINITE
    | Reason.FEEDBACK_STALE
    | Reason.FEEDBACK_FUTURE
    | Reason.FEEDBACK_SEQUENCE
)

_JOINT_FIELDS = (
    "q_min",
    "q_max",
    "dq_max",
    "ddq_max",
    "dddq_max",
    "tracking_max",
    "tau_max",
    "step_max",
    "retract_rad",
)


@dataclass(slots=True)
class Tightening:
    """`kernel_tightening`."""

    speed_scale: float
    tool_speed_max_m_s: float


@dataclass(slots=True)
class Config:
    """`kernel_config`, unchecked."""

    n_joints: int
    retracts: int
    tick_ns: int
    q_min: list[float]
    q_max: list[float]
    dq_max: list[float]
    ddq_max: list[float]
    dddq_max: list[float]
    tracking_max: list[float]
    tau_max: list[float]
    step_max: list[float]
    retract_rad: list[float]
    retract_speed_scale: float
    gripper_min_m: float
    gripper_max_m: float
    gripper_rate_m_s: float
    rest_speed_rad_s: float
    reset_tolerance_rad: float
    start_tolerance_rad: float
    start_tolerance_m: float
    frozen_travel_rad: float
    force_max_n: float
    moment_max_nm: float
    tool_speed_max_m_s: float
    manipulability_slow_below: float
    manipulability_stop_below: float
    clearance_min_m: float
    feedback_max_age_ns: int
    setpoint_max_age_ns: int
    observation_max_age_ns: int
    future_tolerance_ns: int
    play_max_ns: int
    hold_timeout_ns: int
    retract_timeout_ns: int
    debounce_ticks: int
    digest: bytes
    geometry: Geometry

    @classmethod
    def of(cls, native: Any) -> Config:
        """A copy of a cffi `kernel_config *`."""
        values: dict[str, Any] = {name: getattr(native, name) for name in cls.__slots__}
        for name in _JOINT_FIELDS:
            values[name] = list(values[name][0 : min(native.n_joints, MAX_AXES)])
        values["digest"] = bytes(native.digest)
        values["geometry"] = Geometry.of(native.geometry)
        return cls(**values)


@dataclass(slots=True)
class KernelState:
    """`kernel_state`."""

    q: list[float]
    dq: list[float]
    ddq: list[float]
    target_rad: list[float]
    target_rad_s: list[float]
    measured_rad: list[float]
    shown_least_rad: list[float]
    shown_most_rad: list[float]
    left_rad: list[float]
    trail_rad: list[list[float]]
    tightening: Tightening
    gripper_m: float = 0.0
    last_now_ns: int = 0
    hold_since_ns: int = 0
    retract_since_ns: int = 0
    feedback_stamp_ns: int = 0
    torque_since_ns: int = 0
    force_since_ns: int = 0
    trail_ns: list[int] = field(default_factory=lambda: [0] * TRAIL)
    feedback_seq: int = 0
    setpoint_seq: int = 0
    faults: Reason = NONE
    state: State = State.SILENT
    has_now: bool = False
    has_target: bool = False
    has_feedback_seq: bool = False
    has_setpoint_seq: bool = False
    has_command: bool = False
    has_left: bool = False
    over_torque: bool = False
    over_force: bool = False


@dataclass(slots=True)
class StopCertificate:
    """`stop_certificate`."""

    margin_rad: float = 0.0
    margin_m: float = NO_MARGIN_M
    ticks: float = 0.0
    margin_joint: int = 0
    looked: int = 0
    measured: int = 0


@dataclass(slots=True)
class MotionResult:
    """`motion_result`."""

    reasons: Reason
    accepted: float
    speed_scale: float
    stop: StopCertificate = field(default_factory=StopCertificate)
