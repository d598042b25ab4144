"""`config.c` once more, line for line."""

from __future__ import annotations

from edge_runtime.native import lib
from edge_runtime.safety.reference.number import in_range
from edge_runtime.safety.reference.structs import (
    BOUNDED,
    CONTINUOUS,
    GRIPPER,
    MAX_AXES,
    MAX_TOOLS,
    Config,
    is_gripper,
    is_joint,
    is_velocity,
)
from edge_runtime.safety.reference_geometry_check import GeometryError
from edge_runtime.safety.reference_geometry_check import check as geometry_check
from edge_runtime.safety.reference_geometry_check import check_ranges as geometry_check_ranges

_STOP_PHASE_MAX_S = 60.0
_START_TOLERANCE_MAX = 0.01
_OK: int = lib.KERNEL_CONFIG_OK


def _check_range(config: Config, i: int) -> int:
    most = 1e5 if config.axis_kind[i] == CONTINUOUS else 1e3
    if not in_range(config.q_min[i], -most, most):
        return int(lib.KERNEL_CONFIG_Q_MIN)
    if not config.q_min[i] < config.q_max[i] <= most:
        return int(lib.KERNEL_CONFIG_Q_MAX)
    if not in_range(config.start_tolerance[i], 0.0, _START_TOLERANCE_MAX):
        return int(lib.KERNEL_CONFIG_START_TOLERANCE)
    return _OK


def _check_end_speed(config: Config, i: int) -> int:
    for end in range(2):
        if config.end_speed_slope[end][i] == 0.0:
            continue
        if not (
            config.axis_kind[i] == BOUNDED
            and in_range(config.end_speed_slope[end][i], 0.0, 1e6)
            and in_range(config.end_speed_offset[end][i], 0.0, 1e3)
            and in_range(config.end_speed_zero[end][i], -1e4, 1e4)
        ):
            return int(lib.KERNEL_CONFIG_END_SPEED)
    return _OK


def _check_motion(config: Config, i: int) -> int:
    dq_max = config.dq_max[i]
    ddq_max = config.ddq_max[i]
    error = _OK
    if not in_range(dq_max, 1e-3, 1e3):
        error = lib.KERNEL_CONFIG_DQ_MAX
    elif not in_range(ddq_max, 1e-3, 1e5) or dq_max > _STOP_PHASE_MAX_S * ddq_max:
        error = lib.KERNEL_CONFIG_DDQ_MAX
    elif not in_range(config.dddq_max[i], 1e-2, 1e8) or ddq_max > _STOP_PHASE_MAX_S * config.dddq_max[i]:
        error = lib.KERNEL_CONFIG_DDDQ_MAX
    elif not in_range(config.step_max[i], 1e-9, 1e3):
        error = lib.KERNEL_CONFIG_STEP_MAX
    elif not in_range(config.rest_speed[i], 1e-9, 1e3):
        error = lib.KERNEL_CONFIG_REST_SPEED
    elif not in_range(config.frozen_travel[i], 1e-9, 1e3):
        error = lib.KERNEL_CONFIG_FROZEN_TRAVEL
    return error if error != _OK else _check_end_speed(config, i)


def _check_joint(config: Config, i: int) -> int:
    if not in_range(config.reset_tolerance[i], 1e-9, 1e3):
        return int(lib.KERNEL_CONFIG_RESET_TOLERANCE)
    if config.retracts and not in_range(config.retract[i], config.q_min[i], config.q_max[i]):
        return int(lib.KERNEL_CONFIG_RETRACT)
    return _OK


def _check_axis(config: Config, i: int) -> int:
    error = _OK
    farthest = 3.14 if config.axis_kind[i] == CONTINUOUS else 1e3
    if config.axis_kind[i] > GRIPPER:
        error = lib.KERNEL_CONFIG_AXIS_KIND
    elif not in_range(config.tracking_max[i], 1e-9, farthest):
        error = lib.KERNEL_CONFIG_TRACKING_MAX
    elif not in_range(config.tau_max[i], 1e-9, 1e6):
        error = lib.KERNEL_CONFIG_TAU_MAX
    elif not is_velocity(config, i):
        error = _check_range(config, i)
    if error != _OK:
        return error
    if is_gripper(config, i):
        return _OK if in_range(config.dq_max[i], 1e-9, 1e3) else int(lib.KERNEL_CONFIG_DQ_MAX)
    error = _check_motion(config, i)
    return _check_joint(config, i) if error == _OK and is_joint(config, i) else error


def _check_tool(config: Config, t: int) -> int:
    return _first_false(
        (
            (in_range(config.force_max_n[t], 1e-9, 1e6), lib.KERNEL_CONFIG_FORCE_MAX_N),
            (in_range(config.moment_max_nm[t], 1e-9, 1e6), lib.KERNEL_CONFIG_MOMENT_MAX_NM),
            (in_range(config.tool_speed_max_m_s[t], 1e-3, 1e3), lib.KERNEL_CONFIG_TOOL_SPEED_MAX_M_S),
        )
    )


def _check_base(config: Config) -> int:
    drives = {i for i in range(config.n_axes) if is_velocity(config, i)}
    known: set[int] = set()
    for axis in config.base_axis:
        if axis == -1:
            continue
        if axis not in drives or axis in known:
            return int(lib.KERNEL_CONFIG_BASE_AXIS)
        known.add(axis)
    return int(lib.KERNEL_CONFIG_BASE_AXIS) if config.has_odometry and known != drives else _OK


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
            (1 <= config.jam_ticks <= 1000000, lib.KERNEL_CONFIG_JAM_TICKS),
        )
    )


def _check_scalars(config: Config) -> int:
    return _first_false(
        (
            (in_range(config.retract_speed_scale, 1e-9, 1.0), lib.KERNEL_CONFIG_RETRACT_SPEED_SCALE),
            (in_range(config.clearance_min_m, 0.0, 1.0), lib.KERNEL_CONFIG_CLEARANCE_MIN_M),
        )
    )


def _moves_links(config: Config) -> tuple[bool, int]:
    model = config.geometry
    for j in range(model.n_joints):
        if not is_joint(config, model.joints[j].axis):
            return False, j
    return True, 0


def _suits(config: Config) -> tuple[bool, int]:
    """Whether the geometry is one of these axes, and the culprit."""
    model = config.geometry
    if model.n_axes != config.n_axes:
        return False, 0
    good, index = _moves_links(config)
    if not good:
        return False, index
    error, index = geometry_check_ranges(model, config.q_min, config.q_max)
    return error is GeometryError.OK, index


def _check_geometry(config: Config) -> tuple[int, int]:
    slow = config.manipulability_slow_below
    stop = config.manipulability_stop_below
    error, index = geometry_check(config.geometry)
    if error is not GeometryError.OK:
        return lib.KERNEL_CONFIG_GEOMETRY, index
    if config.geometry.n_capsules != 0:
        good, index = _suits(config)
        if not good:
            return lib.KERNEL_CONFIG_GEOMETRY, index
    if slow == 0.0 and stop == 0.0:
        return _OK, index
    if config.geometry.n_tools == 0 or not 0.0 <= stop < slow <= 1e6:
        return lib.KERNEL_CONFIG_MANIPULABILITY, index
    return _OK, index


def kernel_config_check(config: Config) -> tuple[int, int]:
    """`kernel_config_check`: the error, and the index of the culprit."""
    if not 1 <= config.n_axes <= MAX_AXES:
        return lib.KERNEL_CONFIG_N_AXES, 0
    if not 100000 <= config.tick_ns <= 20000000:
        return lib.KERNEL_CONFIG_TICK_NS, 0
    for check, count in ((_check_axis, config.n_axes), (_check_tool, MAX_TOOLS)):
        for i in range(count):
            error = check(config, i)
            if error != _OK:
                return error, i
    for whole in (_check_base, _check_scalars, _check_times):
        error = whole(config)
        if error != _OK:
            return error, 0
    return _check_geometry(config)
