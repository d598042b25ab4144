/* What is wrong with what came in: pure checks, all run, all reported. */
#include <math.h>

#include "motion.h"
#include "number.h"

#define TURN 6.283185307179586
/* rad: beyond, turns cannot be counted. */
#define ANGLE_MAX 1e6
/* m or rad: beyond, distances and angles lose their last digits. */
#define ODOMETRY_MAX 1e5

uint64_t check_clock(const kernel_state *state, const kernel_feedback *feedback, int64_t now_ns) {
    if (!state->has_now) return 0u;
    const int64_t gap = elapsed(now_ns, state->last_now_ns);
    if (gap <= 0) return KERNEL_BIT(CLOCK_BACKWARD);
    if (feedback->watchdog_ns != 0u && (uint64_t)gap > feedback->watchdog_ns) return KERNEL_BIT(CLOCK_GAP);
    return 0u;
}

double near_turn(double angle, double other) {
    if (magnitude(angle) > ANGLE_MAX) return angle;
    return angle + TURN * floor((other - angle) / TURN + 0.5);
}

static int all_finite(const double *values, uint32_t count) {
    for (uint32_t i = 0u; i < count; i++)
        if (!finite_number(values[i])) return 0;
    return 1;
}

static int wrenches_are_finite(const kernel_feedback *feedback) {
    for (uint32_t t = 0u; t < KERNEL_MAX_TOOLS; t++)
        if ((feedback->has_wrench >> t & 1u) && !all_finite(feedback->wrench[t], 6u)) return 0;
    return 1;
}

static int measures_numbers(const kernel_feedback *feedback, uint32_t n) {
    return all_finite(feedback->q, n) && all_finite(feedback->dq, n) &&
           (!feedback->has_torque || all_finite(feedback->tau, n)) && wrenches_are_finite(feedback) &&
           (!feedback->has_odometry || all_finite(feedback->odometry, 3u));
}

/* Whether it says where in the world the base is, so that distances there can be told. */
static int is_located(const kernel_feedback *feedback) {
    return feedback->has_odometry && magnitude(feedback->odometry[0]) <= ODOMETRY_MAX &&
           magnitude(feedback->odometry[1]) <= ODOMETRY_MAX && magnitude(feedback->odometry[2]) <= ODOMETRY_MAX;
}

uint64_t check_feedback(const kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                        int64_t now_ns) {
    uint64_t reasons = feedback->torn ? KERNEL_BIT(FEEDBACK_TORN) : 0u;
    if (!feedback->present) return reasons | KERNEL_BIT(FEEDBACK_STALE);
    if (feedback->n != config->n_axes) return reasons | KERNEL_BIT(FEEDBACK_SHAPE);
    const int64_t age = elapsed(now_ns, feedback->stamp_ns);
    if (age > config->feedback_max_age_ns) reasons |= KERNEL_BIT(FEEDBACK_STALE);
    if (age < -config->future_tolerance_ns) reasons |= KERNEL_BIT(FEEDBACK_FUTURE);
    if (state->has_feedback_seq &&
        (feedback->seq < state->feedback_seq || feedback->stamp_ns < state->feedback_stamp_ns))
        reasons |= KERNEL_BIT(FEEDBACK_SEQUENCE);
    if (!measures_numbers(feedback, config->n_axes)) reasons |= KERNEL_BIT(FEEDBACK_NOT_FINITE);
    if (needs_odometry(config) && !is_located(feedback)) reasons |= KERNEL_BIT(ODOMETRY_LOST);
    return reasons;
}

uint64_t check_stop_inputs(const kernel_feedback *feedback) {
    return (feedback->stop_line ? KERNEL_BIT(STOP_LINE) : 0u) |
           (feedback->driver_fault ? KERNEL_BIT(DRIVER_FAULT) : 0u);
}

static double length(const double *vector) {
    return sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2]);
}

/* An instant between two places of the trail of commands, or at an end of the trail. */
typedef struct {
    uint32_t older; /* the newer is the one before it */
    double part;    /* of the way from the older to the newer, 0 to 1 */
} trail_place;

static trail_place when(const kernel_state *state, int64_t stamp_ns) {
    uint32_t older = 1u;
    while (older < KERNEL_TRAIL - 1u && state->trail_ns[older] > stamp_ns) older++;
    const double gap = (double)elapsed(state->trail_ns[older - 1u], state->trail_ns[older]);
    return (trail_place){older, clamp((double)elapsed(stamp_ns, state->trail_ns[older]) / gap, 0.0, 1.0)};
}

int64_t trail_step_ns(const kernel_config *config) { return config->feedback_max_age_ns / (KERNEL_TRAIL - 2); }

static double told(const kernel_state *state, trail_place at, uint32_t i) {
    return at.part * state->trail[at.older - 1u][i] + (1.0 - at.part) * state->trail[at.older][i];
}

/* An axis that works, and lags by one sample of its driver at most, shows in each sample something that it was told since
 * the sample before, but for a step of its encoder. So a sample tells the least and the most that the axis can be at, and
 * samples that repeat each other to the bit tell it of one position. Where one of them needs more than another allows, by
 * more than frozen_travel, no position is left: the encoder is frozen.
 *
 * No false alarm, while that step is no larger than the travel: two samples in a row share the command of the first one's
 * instant, so it takes three, and a turning point between them only widens what they allow. What is remembered may be off
 * between two places of the trail, by A h^2 / 8 for an acceleration A (of a velocity: a jerk) and a time h; that at the least of one sample and at
 * the most of another comes on top of the travel.
 *
 * Found, where the command goes one way: by the first sample whose predecessor came a tick or more after that travel. */
static int is_frozen(kernel_state *state, const kernel_config *config, double measured, uint32_t i,
                     trail_place before, trail_place now) {
    double least = smaller(told(state, before, i), told(state, now, i));
    double most = larger(told(state, before, i), told(state, now, i));
    for (uint32_t k = now.older; k < before.older; k++) {
        least = smaller(least, state->trail[k][i]);
        most = larger(most, state->trail[k][i]);
    }
    if (measured == state->measured[i]) {
        least = larger(least, state->shown_least[i]);
        most = smaller(most, state->shown_most[i]);
    }
    state->measured[i] = measured;
    state->shown_least[i] = least;
    state->shown_most[i] = most;
    const double apart_s = (double)(trail_step_ns(config) + config->tick_ns) * 1e-9;
    const double bend = is_velocity(config, i) ? config->dddq_max[i] : config->ddq_max[i];
    return least - most > config->frozen_travel[i] + 0.25 * bend * apart_s * apart_s;
}

/* The measurement of axis i in the turn of what it was told. */
static double measurement_of(const kernel_config *config, const kernel_feedback *feedback, double told_then, uint32_t i) {
    switch (config->axis_kind[i]) {
    case KERNEL_AXIS_VELOCITY: return feedback->dq[i];
    case KERNEL_AXIS_CONTINUOUS: return near_turn(feedback->q[i], told_then);
    default: return feedback->q[i];
    }
}

/* What a gripper holds keeps it from where it is told to be: that is no fault, but one may want to know. */
static uint64_t check_gripper(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                              double told_then, uint32_t i) {
    const uint32_t bit = (uint32_t)1u << i;
    const int apart = magnitude(told_then - feedback->q[i]) > config->tracking_max[i];
    const int over = feedback->has_torque && magnitude(feedback->tau[i]) > config->tau_max[i];
    state->measured[i] = feedback->q[i];
    state->apart_ticks[i] = apart ? state->apart_ticks[i] + (state->apart_ticks[i] < config->jam_ticks) : 0u;
    state->over_grip = over ? state->over_grip | bit : state->over_grip & ~bit;
    return (state->apart_ticks[i] == config->jam_ticks ? KERNEL_BIT(GRIPPER_JAMMED) : 0u) |
           (over ? KERNEL_BIT(GRIPPER_FORCE) : 0u);
}

/* Whether samples too large have come for as long as the debounce time, to the nearest tick. One sample alone is that only
 * where one tick is enough. */
static int lasts(const kernel_config *config, int over, uint32_t *was_over, int64_t *since_ns, int64_t stamp_ns) {
    if (over && !*was_over) *since_ns = stamp_ns;
    *was_over = (uint32_t)over;
    const int64_t half_ticks = 2 * (int64_t)config->debounce_ticks - 3;
    return over && elapsed(stamp_ns, *since_ns) >= half_ticks * (config->tick_ns / 2);
}

uint64_t check_following(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback) {
    /* A sample that comes by again, under its number or with its stamp, says nothing more. */
    const int again = feedback->seq == state->feedback_seq || feedback->stamp_ns == state->feedback_stamp_ns;
    /* An axis keeps what it is told for a tick. */
    const trail_place before = when(state, elapsed(state->feedback_stamp_ns, config->tick_ns));
    const trail_place now = when(state, feedback->stamp_ns);
    uint64_t reasons = 0u;
    int over_torque = 0;
    int over_force = 0;
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        const double told_then = told(state, now, i);
        if (is_gripper(config, i)) {
            reasons |= check_gripper(state, config, feedback, told_then, i);
            continue;
        }
        const double measured = measurement_of(config, feedback, told_then, i);
        if (magnitude(told_then - measured) > config->tracking_max[i]) reasons |= KERNEL_BIT(TRACKING_ERROR);
        if (!again && is_frozen(state, config, measured, i, before, now)) reasons |= KERNEL_BIT(ENCODER_FROZEN);
        over_torque |= feedback->has_torque && magnitude(feedback->tau[i]) > config->tau_max[i];
    }
    for (uint32_t t = 0u; t < KERNEL_MAX_TOOLS; t++)
        over_force |= (feedback->has_wrench >> t & 1u) && (length(feedback->wrench[t]) > config->force_max_n[t] ||
                                                           length(feedback->wrench[t] + 3) > config->moment_max_nm[t]);
    if (lasts(config, over_torque, &state->over_torque, &state->torque_since_ns, feedback->stamp_ns))
        reasons |= KERNEL_BIT(TORQUE);
    if (lasts(config, over_force, &state->over_force, &state->force_since_ns, feedback->stamp_ns))
        reasons |= KERNEL_BIT(FORCE);
    return reasons;
}

/* Somewhere on the way that it was told to go since the sample, which the sample may show a part of: no point of a way of
 * length L is further than L / 2 from the middle between its ends. What it turned meanwhile bends the way. */
void carry_base(kernel_state *state, const kernel_config *config) {
    double sine, cosine;
    if (!needs_odometry(config)) return;
    /* The command of the tick before the sample may have been carried out after it. */
    const double *then = state->trail_path[when(state, elapsed(state->feedback_stamp_ns, config->tick_ns)).older];
    const double *path = state->path;
    const double way_m = path[3] - then[3], turn_rad = path[4] - then[4];
    const double x_m = 0.5 * (path[0] - then[0]), y_m = 0.5 * (path[1] - then[1]);
    geometry_sine_cosine(state->odometry[2], &sine, &cosine);
    state->base = (kernel_base){.pose = {state->odometry[0] + (cosine * x_m - sine * y_m),
                                         state->odometry[1] + (sine * x_m + cosine * y_m),
                                         state->odometry[2] + 0.5 * (path[2] - then[2])},
                                .told = {path[0], path[1], path[2]},
                                .lag_m = 0.5 * way_m + turn_rad * way_m,
                                .lag_rad = 0.5 * turn_rad};
}

void locate_base(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback) {
    for (uint32_t k = 0u; needs_odometry(config) && k < 3u; k++) state->odometry[k] = feedback->odometry[k];
}

uint64_t check_values(const kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint) {
    if (!setpoint->present) return KERNEL_BIT(SETPOINT_NONE);
    if (setpoint->n != config->n_axes || !(setpoint->speed_scale > 0.0 && setpoint->speed_scale <= 1.0))
        return KERNEL_BIT(SETPOINT_SHAPE);
    if (!all_finite(setpoint->q, config->n_axes)) return KERNEL_BIT(SETPOINT_NOT_FINITE);
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        const double step = setpoint_of(state, config, setpoint, i) - told_now(state, config, i);
        if (!is_gripper(config, i) && magnitude(step) > config->step_max[i]) return KERNEL_BIT(SETPOINT_STEP);
    }
    return 0u;
}

static uint64_t check_number(kernel_state *state, const kernel_setpoint *setpoint) {
    if (state->has_setpoint_seq && setpoint->seq <= state->setpoint_seq) return KERNEL_BIT(SETPOINT_SEQUENCE);
    const int skipped = state->has_setpoint_seq && setpoint->seq - state->setpoint_seq > 1u;
    state->setpoint_seq = setpoint->seq;
    state->has_setpoint_seq = 1u;
    return skipped ? KERNEL_BIT(SETPOINT_SKIPPED) : 0u;
}

uint64_t check_setpoint(kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint,
                        int64_t now_ns) {
    uint64_t reasons = check_values(state, config, setpoint);
    if (!setpoint->present) return reasons;
    const int64_t age = elapsed(now_ns, setpoint->stamp_ns);
    const int64_t observation_age = elapsed(now_ns, setpoint->observation_ns);
    if (age > config->setpoint_max_age_ns) reasons |= KERNEL_BIT(SETPOINT_STALE);
    if (observation_age > config->observation_max_age_ns) reasons |= KERNEL_BIT(OBSERVATION_STALE);
    if (age < -config->future_tolerance_ns || observation_age < -config->future_tolerance_ns)
        reasons |= KERNEL_BIT(SETPOINT_FUTURE);
    return reasons | check_number(state, setpoint);
}

uint64_t check_policy(const kernel_config *config, const kernel_setpoint *setpoint, int64_t now_ns) {
    uint64_t reasons;
    switch (setpoint->policy) {
    case KERNEL_POLICY_ALIVE: return 0u;
    case KERNEL_POLICY_DEAD: reasons = KERNEL_BIT(POLICY_DEAD); break;
    case KERNEL_POLICY_STALLED: reasons = KERNEL_BIT(POLICY_STALLED); break;
    case KERNEL_POLICY_STUCK: reasons = KERNEL_BIT(POLICY_STUCK); break;
    default: return KERNEL_BIT(POLICY_LOST);
    }
    if (elapsed(now_ns, setpoint->policy_lost_ns) > config->play_max_ns) reasons |= KERNEL_BIT(POLICY_LOST);
    return reasons;
}
