/* What a config must satisfy before the kernel may trust it; the ranges keep every intermediate result finite. */
#include "kernel.h"

static int in_range(double x, double low, double high) { return x >= low && x <= high; }

int kernel_config_check(const kernel_config *config, uint32_t *joint) {
    *joint = 0u;
    if (config->n_joints < 1u || config->n_joints > KERNEL_MAX_JOINTS) return KERNEL_CONFIG_N_JOINTS;
    if (config->tick_ns < 100000 || config->tick_ns > 20000000) return KERNEL_CONFIG_TICK_NS;
    for (uint32_t i = 0; i < config->n_joints; i++) {
        *joint = i;
        if (!in_range(config->q_min_rad[i], -1e3, 1e3)) return KERNEL_CONFIG_Q_MIN_RAD;
        if (!in_range(config->q_max_rad[i], -1e3, 1e3) || config->q_max_rad[i] <= config->q_min_rad[i])
            return KERNEL_CONFIG_Q_MAX_RAD;
        if (!in_range(config->dq_max_rad_s[i], 1e-3, 1e3)) return KERNEL_CONFIG_DQ_MAX_RAD_S;
        if (!in_range(config->ddq_max_rad_s2[i], 1e-3, 1e5)) return KERNEL_CONFIG_DDQ_MAX_RAD_S2;
        if (!in_range(config->tracking_max_rad[i], 1e-9, 1e3)) return KERNEL_CONFIG_TRACKING_MAX_RAD;
    }
    *joint = 0u;
    if (!in_range(config->gripper_min_m, -1e3, 1e3) || !in_range(config->gripper_max_m, -1e3, 1e3) ||
        config->gripper_max_m <= config->gripper_min_m)
        return KERNEL_CONFIG_GRIPPER_RANGE_M;
    if (!in_range(config->gripper_rate_m_s, 1e-9, 1e3)) return KERNEL_CONFIG_GRIPPER_RATE_M_S;
    if (!in_range(config->rest_speed_rad_s, 1e-9, 1e3)) return KERNEL_CONFIG_REST_SPEED_RAD_S;
    if (!in_range(config->reset_tolerance_rad, 1e-9, 1e3)) return KERNEL_CONFIG_RESET_TOLERANCE_RAD;
    if (config->feedback_max_age_ns <= 0) return KERNEL_CONFIG_FEEDBACK_MAX_AGE_NS;
    if (config->setpoint_max_age_ns <= 0) return KERNEL_CONFIG_SETPOINT_MAX_AGE_NS;
    if (config->observation_max_age_ns <= 0) return KERNEL_CONFIG_OBSERVATION_MAX_AGE_NS;
    if (config->future_tolerance_ns < 0) return KERNEL_CONFIG_FUTURE_TOLERANCE_NS;
    if (config->hold_timeout_ns <= 0) return KERNEL_CONFIG_HOLD_TIMEOUT_NS;
    return KERNEL_CONFIG_OK;
}
