/* What a config must satisfy before the kernel may trust it; the ranges keep every intermediate result finite, and
 * every stop shorter than two minutes. */
#include "kernel.h"
#include "number.h"

#define STOP_PHASE_MAX_S 60.0
/* Metres or radians: arming moves the command by as much at once. */
#define START_TOLERANCE_MAX 0.01

static int check_joint(const kernel_config *config, uint32_t i) {
    const double dq_max = config->dq_max[i];
    const double ddq_max = config->ddq_max[i];
    if (!in_range(config->q_min[i], -1e3, 1e3)) return KERNEL_CONFIG_Q_MIN;
    if (!(config->q_max[i] > config->q_min[i] && config->q_max[i] <= 1e3)) return KERNEL_CONFIG_Q_MAX;
    if (!in_range(dq_max, 1e-3, 1e3)) return KERNEL_CONFIG_DQ_MAX;
    if (!in_range(ddq_max, 1e-3, 1e5) || dq_max > STOP_PHASE_MAX_S * ddq_max) return KERNEL_CONFIG_DDQ_MAX;
    if (!in_range(config->dddq_max[i], 1e-2, 1e8) || ddq_max > STOP_PHASE_MAX_S * config->dddq_max[i])
        return KERNEL_CONFIG_DDDQ_MAX;
    if (!in_range(config->tracking_max[i], 1e-9, 1e3)) return KERNEL_CONFIG_TRACKING_MAX;
    if (!in_range(config->tau_max[i], 1e-9, 1e6)) return KERNEL_CONFIG_TAU_MAX;
    if (!in_range(config->step_max[i], 1e-9, 1e3)) return KERNEL_CONFIG_STEP_MAX;
    if (config->retracts && !in_range(config->retract_rad[i], config->q_min[i], config->q_max[i]))
        return KERNEL_CONFIG_RETRACT_RAD;
    return KERNEL_CONFIG_OK;
}

static int check_times(const kernel_config *config) {
    if (config->feedback_max_age_ns <= 0) return KERNEL_CONFIG_FEEDBACK_MAX_AGE_NS;
    if (config->setpoint_max_age_ns <= 0) return KERNEL_CONFIG_SETPOINT_MAX_AGE_NS;
    if (config->observation_max_age_ns <= 0) return KERNEL_CONFIG_OBSERVATION_MAX_AGE_NS;
    if (config->future_tolerance_ns < 0) return KERNEL_CONFIG_FUTURE_TOLERANCE_NS;
    if (config->play_max_ns < 0) return KERNEL_CONFIG_PLAY_MAX_NS;
    if (config->hold_timeout_ns <= 0) return KERNEL_CONFIG_HOLD_TIMEOUT_NS;
    if (config->retract_timeout_ns <= 0) return KERNEL_CONFIG_RETRACT_TIMEOUT_NS;
    if (config->debounce_ticks < 1u || config->debounce_ticks > 10000u) return KERNEL_CONFIG_DEBOUNCE_TICKS;
    return KERNEL_CONFIG_OK;
}

static int check_scalars(const kernel_config *config) {
    if (!in_range(config->retract_speed_scale, 1e-9, 1.0)) return KERNEL_CONFIG_RETRACT_SPEED_SCALE;
    if (!(config->gripper_min_m >= -1e3 && config->gripper_max_m > config->gripper_min_m &&
          config->gripper_max_m <= 1e3))
        return KERNEL_CONFIG_GRIPPER_RANGE_M;
    if (!in_range(config->gripper_rate_m_s, 1e-9, 1e3)) return KERNEL_CONFIG_GRIPPER_RATE_M_S;
    if (!in_range(config->rest_speed_rad_s, 1e-9, 1e3)) return KERNEL_CONFIG_REST_SPEED_RAD_S;
    if (!in_range(config->reset_tolerance_rad, 1e-9, 1e3)) return KERNEL_CONFIG_RESET_TOLERANCE_RAD;
    if (!in_range(config->start_tolerance_rad, 0.0, START_TOLERANCE_MAX)) return KERNEL_CONFIG_START_TOLERANCE_RAD;
    if (!in_range(config->start_tolerance_m, 0.0, START_TOLERANCE_MAX)) return KERNEL_CONFIG_START_TOLERANCE_M;
    if (!in_range(config->frozen_travel_rad, 1e-9, 1e3)) return KERNEL_CONFIG_FROZEN_TRAVEL_RAD;
    if (!in_range(config->force_max_n, 1e-9, 1e6)) return KERNEL_CONFIG_FORCE_MAX_N;
    if (!in_range(config->moment_max_nm, 1e-9, 1e6)) return KERNEL_CONFIG_MOMENT_MAX_NM;
    if (!in_range(config->tool_speed_max_m_s, 1e-3, 1e3)) return KERNEL_CONFIG_TOOL_SPEED_MAX_M_S;
    if (!in_range(config->clearance_min_m, 0.0, 1.0)) return KERNEL_CONFIG_CLEARANCE_MIN_M;
    return KERNEL_CONFIG_OK;
}

static int check_geometry(const kernel_config *config, uint32_t *index) {
    const double slow = config->manipulability_slow_below;
    const double stop = config->manipulability_stop_below;
    if (geometry_check(&config->geometry, index) != GEOMETRY_OK) return KERNEL_CONFIG_GEOMETRY;
    const uint32_t n = config->geometry.n_joints;
    if (n != 0u && n != config->n_joints) return KERNEL_CONFIG_GEOMETRY;
    /* Without geometry there is no manipulability to be slow below. */
    if (slow == 0.0 && stop == 0.0) return KERNEL_CONFIG_OK;
    if (n == 0u || !(stop >= 0.0 && slow > stop && slow <= 1e6)) return KERNEL_CONFIG_MANIPULABILITY;
    return KERNEL_CONFIG_OK;
}

int kernel_config_check(const kernel_config *config, uint32_t *index) {
    int error;
    *index = 0u;
    if (config->n_joints < 1u || config->n_joints > KERNEL_MAX_AXES) return KERNEL_CONFIG_N_AXES;
    if (config->tick_ns < 100000 || config->tick_ns > 20000000) return KERNEL_CONFIG_TICK_NS;
    for (uint32_t i = 0u; i < config->n_joints; i++) {
        error = check_joint(config, i);
        if (error != KERNEL_CONFIG_OK) {
            *index = i;
            return error;
        }
    }
    error = check_scalars(config);
    if (error == KERNEL_CONFIG_OK) error = check_times(config);
    return error == KERNEL_CONFIG_OK ? check_geometry(config, index) : error;
}
