"""`config.c` once more, line for line."""

from __future__ import annotations

from edge_runtime.native import lib
from edge_runtime.safety.reference.number import in_range
from edge_runtime.safety.reference.structs import MAX_AXES, Config
from edge_runtime.safety.reference_geometry_check import GeometryError
from edge_runtime.safety.reference_geometry_check import check as geometry_check

_STOP_PHASE_MAX_S = 60.0
_START_TOLERANCE_MAX = 0.01
_OK: int = lib.KERNEL_CONFIG_OK


def _check_joint(config: Config, i: int) -> int:
    dq_max = config.dq_max[i]
    ddq_max = config.ddq_max[i]
    error = _OK
    if not in_range(config.q_min[i], -1e3, 1e3):
        error = lib.KERNEL_CONFIG_Q_MIN
    elif not config.q_min[i] < config.q_max[i] <= 1e3:
        error = lib.KERNEL_CONFIG_Q_MAX
    elif not in_range(dq_max, 1e-3, 1e3):
        error = lib.KERNEL_CONFIG_DQ_MAX
    elif not in_range(ddq_max, 1e-3, 1e5) or dq_max > _STOP_PHASE_MAX_S * ddq_max:
        error = lib.KERNEL_CONFIG_DDQ_MAX
    elif not in_range(config.dddq_max[i], 1e-2, 1e8) or ddq_max > _STOP_PHASE_MAX_S * config.dddq_max[i]:
        error = lib.KERNEL_CONFIG_DDDQ_MAX
    elif not in_range(config.tracking_max[i], 1e-9, 1e3):
        error = lib.KERNEL_CONFIG_TRACKING_MAX
    elif not in_range(config.tau_max[i], 1e-9, 1e6):
        error = lib.KERNEL_CONFIG_TAU_MAX
    elif not in_range(config.step_max[i], 1e-9, 1e3):
        error = lib.KERNEL_CONFIG_STEP_MAX
    elif config.retracts and not in_range(config.retract_rad[i], config.q_min[i], config.q_max[i]):
        error = lib.KERNEL_CONFIG_RETRACT_RAD
    return error


def _first_false(checks: tuple[tuple[bool, int], ...]) -> int:
    for holds, error in checks:
        if not holds:
            return error
    return _OK


def _check_times(config: Config) -> int:
    return _first_false(
        (
            (config.feedback_max_age_ns > 0, lib.KERNEL_CONFIG_FEEDBACK_MAX_AGE_NS),
            (config.setpoint_max_age_ns > 0, lib.KERNEL_CONFIG_SETPOINT_MAX_AGE_NS),
            (config.observation_max_age_ns > 0, lib.KERNEL_CONFIG_OBSERVATION_MAX_AGE_NS),
            (config.future_tolerance_ns >= 0, lib.KERNEL_CONFIG_FUTURE_TOLERANCE_NS),
            (config.play_max_ns >= 0, lib.KERNEL_CONFIG_PLAY_MAX_NS),
            (config.hold_timeout_ns > 0, lib.KERNEL_CONFIG_HOLD_TIMEOUT_NS),
            (config.retract_timeout_ns > 0, lib.KERNEL_CONFIG_RETRACT_TIMEOUT_NS),
            (1 <= config.debounce_ticks <= 10000, lib.KERNEL_CONFIG_DEBOUNCE_TICKS),
        )
    )


def _check_scalars(config: Config) -> int:
    gripper_range = -1e3 <= config.gripper_min_m < config.gripper_max_m <= 1e3
    return _first_false(
        (
            (in_range(config.retract_speed_scale, 1e-9, 1.0), lib.KERNEL_CONFIG_RETRACT_SPEED_SCALE),
            (gripper_range, lib.KERNEL_CONFIG_GRIPPER_RANGE_M),
            (in_range(config.gripper_rate_m_s, 1e-9, 1e3), lib.KERNEL_CONFIG_GRIPPER_RATE_M_S),
            (in_range(config.rest_speed_rad_s, 1e-9, 1e3), lib.KERNEL_CONFIG_REST_SPEED_RAD_S),
            (in_range(config.reset_tolerance_rad, 1e-9, 1e3), lib.KERNEL_CONFIG_RESET_TOLERANCE_RAD),
            (in_range(config.start_tolerance_rad, 0.0, _START_TOLERANCE_MAX), lib.KERNEL_CONFIG_START_TOLERANCE_RAD),
            (in_range(config.start_tolerance_m, 0.0, _START_TOLERANCE_MAX), lib.KERNEL_CONFIG_START_TOLERANCE_M),
            (in_range(config.frozen_travel_rad, 1e-9, 1e3), lib.KERNEL_CONFIG_FROZEN_TRAVEL_RAD),
            (in_range(config.force_max_n, 1e-9, 1e6), lib.KERNEL_CONFIG_FORCE_MAX_N),
            (in_range(config.moment_max_nm, 1e-9, 1e6), lib.KERNEL_CONFIG_MOMENT_MAX_NM),
            (in_range(config.tool_speed_max_m_s, 1e-3, 1e3), lib.KERNEL_CONFIG_TOOL_SPEED_MAX_M_S),
            (in_range(config.clearance_min_m, 0.0, 1.0), lib.KERNEL_CONFIG_CLEARANCE_MIN_M),
        )
    )


def _check_geometry(config: Config) -> tuple[int, int]:
    slow = config.manipulability_slow_below
    stop = config.manipulability_stop_below
    error, index = geometry_check(config.geometry)
    if error is not GeometryError.OK:
        return lib.KERNEL_CONFIG_GEOMETRY, index
    n = config.geometry.n_joints
    if n not in (0, config.n_joints):
        return lib.KERNEL_CONFIG_GEOMETRY, index
    if slow == 0.0 and stop == 0.0:
        return _OK, index
    if n == 0 or not 0.0 <= stop < slow <= 1e6:
        return lib.KERNEL_CONFIG_MANIPULABILITY, index
    return _OK, index


def kernel_config_check(config: Config) -> tuple[int, int]:
    """`kernel_config_check`: the error, and the index of the culprit."""
    if not 1 <= config.n_joints <= MAX_AXES:
        return lib.KERNEL_CONFIG_N_AXES, 0
    if not 100000 <= config.tick_ns <= 20000000:
        return lib.KERNEL_CONFIG_TICK_NS, 0
    for i in range(config.n_joints):
        error = _check_joint(config, i)
        if error != _OK:
            return error, i
    error = _check_scalars(config)
    if error == _OK:
        error = _check_times(config)
    return _check_geometry(config) if error == _OK else (error, 0)
