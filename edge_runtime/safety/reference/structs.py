"""The structs of `kernel.h` and `motion.h` as Python numbers; axis arrays are as long as the robot has axes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edge_runtime.safety.reference_geometry import Geometry
from edge_runtime.safety.states import Reason, State

MAX_AXES = 32
MAX_TOOLS = 4
BOUNDED, CONTINUOUS, VELOCITY, GRIPPER = 0, 1, 2, 3
TRAIL = 8
NO_MARGIN_M = 1e9
NONE = Reason(0)
FEEDBACK_BAD = (
    Reason.FEEDBACK_SHAPE
    | Reason.FEEDBACK_NOT_FINITE
    | Reason.FEEDBACK_STALE
    | Reason.FEEDBACK_FUTURE
    | Reason.FEEDBACK_SEQUENCE
    | Reason.ODOMETRY_LOST
)

_AXIS_FIELDS = (
    "axis_kind",
    "q_min",
    "q_max",
    "dq_max",
    "ddq_max",
    "dddq_max",
    "tracking_max",
    "tau_max",
    "step_max",
    "retract",
    "rest_speed",
    "reset_tolerance",
    "start_tolerance",
    "frozen_travel",
)
_END_FIELDS = ("end_speed_slope", "end_speed_offset", "end_speed_zero")
_LISTS = ("tool_speed_max_m_s", "force_max_n", "moment_max_nm", "base_axis")


@dataclass(slots=True)
class Tightening:
    """`kernel_tightening`."""

    speed_scale: float
    tool_speed_max_m_s: float


@dataclass(slots=True)
class Config:
    """`kernel_config`, unchecked."""

    n_axes: int
    retracts: int
    tick_ns: int
    axis_kind: list[int]
    q_min: list[float]
    q_max: list[float]
    dq_max: list[float]
    ddq_max: list[float]
    dddq_max: list[float]
    tracking_max: list[float]
    tau_max: list[float]
    step_max: list[float]
    retract: list[float]
    rest_speed: list[float]
    reset_tolerance: list[float]
    start_tolerance: list[float]
    frozen_travel: list[float]
    end_speed_slope: list[list[float]]
    end_speed_offset: list[list[float]]
    end_speed_zero: list[list[float]]
    tool_speed_max_m_s: list[float]
    force_max_n: list[float]
    moment_max_nm: list[float]
    retract_speed_scale: float
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
    jam_ticks: int
    base_axis: list[int]
    has_odometry: int
    closes_up: int
    digest: bytes
    geometry: Geometry

    @classmethod
    def of(cls, native: Any) -> Config:
        """A copy of a cffi `kernel_config *`."""
        values: dict[str, Any] = {name: getattr(native, name) for name in cls.__slots__}
        n = min(native.n_axes, MAX_AXES)
        for name in _AXIS_FIELDS:
            values[name] = list(values[name][0:n])
        for name in _END_FIELDS:
            values[name] = [list(row[0:n]) for row in values[name]]
        for name in _LISTS:
            values[name] = list(values[name])
        values["digest"] = bytes(native.digest)
        values["geometry"] = Geometry.of(native.geometry)
        return cls(**values)


@dataclass(slots=True)
class Base:
    """`kernel_base`."""

    pose: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    told: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    lag_m: float = 0.0
    lag_rad: float = 0.0


@dataclass(slots=True)
class KernelState:
    """`kernel_state`."""

    q: list[float]
    dq: list[float]
    ddq: list[float]
    target: list[float]
    target_speed: list[float]
    measured: list[float]
    shown_least: list[float]
    shown_most: list[float]
    left: list[float]
    trail: list[list[float]]
    apart_ticks: list[int]
    tightening: Tightening
    trail_path: list[list[float]] = field(default_factory=lambda: [[0.0] * 5 for _ in range(TRAIL)])
    path: list[float] = field(default_factory=lambda: [0.0] * 5)
    odometry: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    base: Base = field(default_factory=Base)
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
    over_grip: int = 0


@dataclass(slots=True)
class StopCertificate:
    """`stop_certificate`."""

    margin: float = NO_MARGIN_M
    margin_m: float = NO_MARGIN_M
    ticks: float = 0.0
    margin_axis: int = 0
    looked: int = 0
    measured: int = 0


@dataclass(slots=True)
class MotionResult:
    """`motion_result`."""

    reasons: Reason
    accepted: float
    speed_scale: float
    stop: StopCertificate = field(default_factory=StopCertificate)


def is_gripper(config: Config, i: int) -> bool:
    """`is_gripper` of `motion.h`."""
    return config.axis_kind[i] == GRIPPER


def is_velocity(config: Config, i: int) -> bool:
    """`is_velocity` of `motion.h`."""
    return config.axis_kind[i] == VELOCITY


def is_joint(config: Config, i: int) -> bool:
    """`is_joint` of `motion.h`."""
    return config.axis_kind[i] <= CONTINUOUS


def needs_odometry(config: Config) -> bool:
    """`needs_odometry` of `motion.h`."""
    model = config.geometry
    return bool(config.has_odometry and model.has_base) and model.n_planes + model.n_keepouts > 0


def told_now(state: KernelState, config: Config, i: int) -> float:
    """`told_now` of `motion.h`."""
    return state.dq[i] if is_velocity(config, i) else state.q[i]
