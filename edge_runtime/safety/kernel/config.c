/* What a config must satisfy before the kernel may trust it; the ranges keep every intermediate result finite, and
 * every stop shorter than two minutes. */
#include "motion.h"
#include "number.h"

#define STOP_PHASE_MAX_S 60.0
/* Metres or radians: arming moves the command by as much at once. */
#define START_TOLERANCE_MAX 0.01

/* Of every kind but a velocity: the ends, and what arming takes for them. */
static int check_range(const kernel_config *config, uint32_t i) {
    const double most = config->axis_kind[i] == KERNEL_AXIS_CONTINUOUS ? 1e5 : 1e3;
    if (!in_range(config->q_min[i], -most, most)) return KERNEL_CONFIG_Q_MIN;
    if (!(config->q_max[i] > config->q_min[i] && config->q_max[i] <= most)) return KERNEL_CONFIG_Q_MAX;
    if (!in_range(config->start_tolerance[i], 0.0, START_TOLERANCE_MAX)) return KERNEL_CONFIG_START_TOLERANCE;
    return KERNEL_CONFIG_OK;
}

static int check_end_speed(const kernel_config *config, uint32_t i) {
    for (uint32_t end = 0u; end < 2u; end++) {
        if (config->end_speed_slope[end][i] == 0.0) continue;
        if (!(config->axis_kind[i] == KERNEL_AXIS_BOUNDED && in_range(config->end_speed_slope[end][i], 0.0, 1e6) &&
              in_range(config->end_speed_offset[end][i], 0.0, 1e3) &&
              in_range(config->end_speed_zero[end][i], -1e4, 1e4)))
            return KERNEL_CONFIG_END_SPEED;
    }
    return KERNEL_CONFIG_OK;
}

/* Of every kind but a gripper: what its motion is held to. */
static int check_motion(const kernel_config *config, uint32_t i) {
    const double dq_max = config->dq_max[i];
    const double ddq_max = config->ddq_max[i];
    if (!in_range(dq_max, 1e-3, 1e3)) return KERNEL_CONFIG_DQ_MAX;
    if (!in_range(ddq_max, 1e-3, 1e5) || dq_max > STOP_PHASE_MAX_S * ddq_max) return KERNEL_CONFIG_DDQ_MAX;
    if (!in_range(config->dddq_max[i], 1e-2, 1e8) || ddq_max > STOP_PHASE_MAX_S * config->dddq_max[i])
        return KERNEL_CONFIG_DDDQ_MAX;
    if (!in_range(config->step_max[i], 1e-9, 1e3)) return KERNEL_CONFIG_STEP_MAX;
    if (!in_range(config->rest_speed[i], 1e-9, 1e3)) return KERNEL_CONFIG_REST_SPEED;
    if (!in_range(config->frozen_travel[i], 1e-9, 1e3)) return KERNEL_CONFIG_FROZEN_TRAVEL;
    return check_end_speed(config, i);
}

static int check_joint(const kernel_config *config, uint32_t i) {
    if (!in_range(config->reset_tolerance[i], 1e-9, 1e3)) return KERNEL_CONFIG_RESET_TOLERANCE;
    if (config->retracts && !in_range(config->retract[i], config->q_min[i], config->q_max[i]))
        return KERNEL_CONFIG_RETRACT;
    return KERNEL_CONFIG_OK;
}

static int check_axis(const kernel_config *config, uint32_t i) {
    int error = KERNEL_CONFIG_OK;
    /* Half a turn away and half a turn back are the same place. */
    const double farthest = config->axis_kind[i] == KERNEL_AXIS_CONTINUOUS ? 3.14 : 1e3;
    if (config->axis_kind[i] > KERNEL_AXIS_GRIPPER) return KERNEL_CONFIG_AXIS_KIND;
    if (!in_range(config->tracking_max[i], 1e-9, farthest)) return KERNEL_CONFIG_TRACKING_MAX;
    if (!in_range(config->tau_max[i], 1e-9, 1e6)) return KERNEL_CONFIG_TAU_MAX;
    if (!is_velocity(config, i)) error = check_range(config, i);
    if (error != KERNEL_CONFIG_OK) return error;
    if (is_gripper(config, i)) return in_range(config->dq_max[i], 1e-9, 1e3) ? KERNEL_CONFIG_OK : KERNEL_CONFIG_DQ_MAX;
    error = check_motion(config, i);
    return error == KERNEL_CONFIG_OK && is_joint(config, i) ? check_joint(config, i) : error;
}

static int check_tool(const kernel_config *config, uint32_t t) {
    if (!in_range(config->force_max_n[t], 1e-9, 1e6)) return KERNEL_CONFIG_FORCE_MAX_N;
    if (!in_range(config->moment_max_nm[t], 1e-9, 1e6)) return KERNEL_CONFIG_MOMENT_MAX_NM;
    if (!in_range(config->tool_speed_max_m_s[t], 1e-3, 1e3)) return KERNEL_CONFIG_TOOL_SPEED_MAX_M_S;
    return KERNEL_CONFIG_OK;
}

/* A base that is kept off things has no axis of which nothing is known. */
static int check_base(const kernel_config *config) {
    uint32_t drives = 0u;
    uint32_t known = 0u;
    for (uint32_t i = 0u; i < config->n_axes; i++) drives |= (uint32_t)is_velocity(config, i) << i;
    for (uint32_t k = 0u; k < 3u; k++) {
        const int32_t axis = config->base_axis[k];
        if (axis == -1) continue;
        if ((uint32_t)axis >= config->n_axes || !(drives >> axis & 1u) || (known >> axis & 1u))
            return KERNEL_CONFIG_BASE_AXIS;
        known |= (uint32_t)1u << axis;
    }
    return config->has_odometry && known != drives ? KERNEL_CONFIG_BASE_AXIS : KERNEL_CONFIG_OK;
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
    if (config->jam_ticks < 1u || config->jam_ticks > 1000000u) return KERNEL_CONFIG_JAM_TICKS;
    return KERNEL_CONFIG_OK;
}

static int check_scalars(const kernel_config *config) {
    if (!in_range(config->retract_speed_scale, 1e-9, 1.0)) return KERNEL_CONFIG_RETRACT_SPEED_SCALE;
    if (!in_range(config->clearance_min_m, 0.0, 1.0)) return KERNEL_CONFIG_CLEARANCE_MIN_M;
    return KERNEL_CONFIG_OK;
}

/* What grippers and a base do is looked at otherwise than by the motion of links. Needs *index at 0. */
static int moves_links(const kernel_config *config, uint32_t *index) {
    const geometry_model *model = &config->geometry;
    for (; *index < model->n_joints; (*index)++)
        if (!is_joint(config, (uint32_t)model->joints[*index].axis)) return 0;
    *index = 0u;
    return 1;
}

static int check_geometry(const kernel_config *config, uint32_t *index) {
    const geometry_model *model = &config->geometry;
    const double slow = config->manipulability_slow_below;
    const double stop = config->manipulability_stop_below;
    if (geometry_check(model, index) != GEOMETRY_OK) return KERNEL_CONFIG_GEOMETRY;
    if (model->n_capsules != 0u && (model->n_axes != config->n_axes || !moves_links(config, index) ||
                                    geometry_check_ranges(model, config->q_min, config->q_max, index) != GEOMETRY_OK))
        return KERNEL_CONFIG_GEOMETRY;
    /* Without geometry there is no manipulability to be slow below. */
    if (slow == 0.0 && stop == 0.0) return KERNEL_CONFIG_OK;
    if (model->n_tools == 0u || !(stop >= 0.0 && slow > stop && slow <= 1e6)) return KERNEL_CONFIG_MANIPULABILITY;
    return KERNEL_CONFIG_OK;
}

typedef int (*item_check)(const kernel_config *config, uint32_t index);

static int check_each(const kernel_config *config, item_check check, uint32_t count, uint32_t *index) {
    for (*index = 0u; *index < count; (*index)++) {
        const int error = check(config, *index);
        if (error != KERNEL_CONFIG_OK) return error;
    }
    *index = 0u;
    return KERNEL_CONFIG_OK;
}

int kernel_config_check(const kernel_config *config, uint32_t *index) {
    *index = 0u;
    if (config->n_axes < 1u || config->n_axes > KERNEL_MAX_AXES) return KERNEL_CONFIG_N_AXES;
    if (config->tick_ns < 100000 || config->tick_ns > 20000000) return KERNEL_CONFIG_TICK_NS;
    int error = check_each(config, check_axis, config->n_axes, index);
    if (error == KERNEL_CONFIG_OK) error = check_each(config, check_tool, KERNEL_MAX_TOOLS, index);
    if (error == KERNEL_CONFIG_OK) error = check_base(config);
    if (error == KERNEL_CONFIG_OK) error = check_scalars(config);
    if (error == KERNEL_CONFIG_OK) error = check_times(config);
    return error == KERNEL_CONFIG_OK ? check_geometry(config, index) : error;
}
