/* What is wrong with what came in: pure checks, all run, all reported. */
#include <math.h>

#include "motion.h"
#include "number.h"

uint64_t check_clock(const kernel_state *state, const kernel_feedback *feedback, int64_t now_ns) {
    if (!state->has_now) return 0u;
    const int64_t gap = elapsed(now_ns, state->last_now_ns);
    if (gap <= 0) return KERNEL_BIT(CLOCK_BACKWARD);
    if (feedback->watchdog_ns != 0u && (uint64_t)gap > feedback->watchdog_ns) return KERNEL_BIT(CLOCK_GAP);
    return 0u;
}

static int all_finite(const double *values, uint32_t count) {
    for (uint32_t i = 0u; i < count; i++)
        if (!finite_number(values[i])) return 0;
    return 1;
}

static int wrench_is_finite(const kernel_feedback *feedback) {
    for (uint32_t i = 0u; i < 6u; i++)
        if (!finite_number(feedback->wrench[i])) return 0;
    return 1;
}

static int measures_numbers(const kernel_feedback *feedback, uint32_t n) {
    return finite_number(feedback->gripper_m) && all_finite(feedback->q, n) && all_finite(feedback->dq, n) &&
           (!feedback->has_torque || all_finite(feedback->tau, n)) &&
           (!feedback->has_wrench || wrench_is_finite(feedback));
}

uint64_t check_feedback(const kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                        int64_t now_ns) {
    uint64_t reasons = feedback->torn ? KERNEL_BIT(FEEDBACK_TORN) : 0u;
    if (!feedback->present) return reasons | KERNEL_BIT(FEEDBACK_STALE);
    if (feedback->n != config->n_joints) return reasons | KERNEL_BIT(FEEDBACK_SHAPE);
    const int64_t age = elapsed(now_ns, feedback->stamp_ns);
    if (age > config->feedback_max_age_ns) reasons |= KERNEL_BIT(FEEDBACK_STALE);
    if (age < -config->future_tolerance_ns) reasons |= KERNEL_BIT(FEEDBACK_FUTURE);
    if (state->has_feedback_seq &&
        (feedback->seq < state->feedback_seq || feedback->stamp_ns < state->feedback_stamp_ns))
        reasons |= KERNEL_BIT(FEEDBACK_SEQUENCE);
    if (!measures_numbers(feedback, config->n_joints)) reasons |= KERNEL_BIT(FEEDBACK_NOT_FINITE);
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

static double told_rad(const kernel_state *state, trail_place at, uint32_t i) {
    return at.part * state->trail_rad[at.older - 1u][i] + (1.0 - at.part) * state->trail_rad[at.older][i];
}

/* A joint that works, and lags by one sample of its driver at most, shows in each sample something that it was told since
 * the sample before, but for a step of its encoder. So a sample tells the least and the most that the joint can be at, and
 * samples that repeat each other to the bit tell it of one position. Where one of them needs more than another allows, by
 * more than frozen_travel_rad, no position is left: the encoder is frozen.
 *
 * No false alarm, while that step is no larger than the travel: two samples in a row share the command of the first one's
 * instant, so it takes three, and a turning point between them only widens what they allow. What is remembered may be off
 * between two places of the trail, by A h^2 / 8 for an acceleration A and a time h; that at the least of one sample and at
 * the most of another comes on top of the travel.
 *
 * Found, where the command goes one way: by the first sample whose predecessor came a tick or more after that travel. */
static int is_frozen(kernel_state *state, const kernel_config *config, double measured_rad, uint32_t i,
                     trail_place before, trail_place now) {
    double least = smaller(told_rad(state, before, i), told_rad(state, now, i));
    double most = larger(told_rad(state, before, i), told_rad(state, now, i));
    for (uint32_t k = now.older; k < before.older; k++) {
        least = smaller(least, state->trail_rad[k][i]);
        most = larger(most, state->trail_rad[k][i]);
    }
    if (measured_rad == state->measured_rad[i]) {
        least = larger(least, state->shown_least_rad[i]);
        most = smaller(most, state->shown_most_rad[i]);
    }
    state->measured_rad[i] = measured_rad;
    state->shown_least_rad[i] = least;
    state->shown_most_rad[i] = most;
    const double apart_s = (double)(trail_step_ns(config) + config->tick_ns) * 1e-9;
    return least - most > config->frozen_travel_rad + 0.25 * config->ddq_max[i] * apart_s * apart_s;
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
    /* A joint keeps what it is told for a tick. */
    const trail_place before = when(state, elapsed(state->feedback_stamp_ns, config->tick_ns));
    const trail_place now = when(state, feedback->stamp_ns);
    uint64_t reasons = 0u;
    int over_torque = 0;
    for (uint32_t i = 0u; i < config->n_joints; i++) {
        const double measured_rad = feedback->q[i];
        if (magnitude(told_rad(state, now, i) - measured_rad) > config->tracking_max[i])
            reasons |= KERNEL_BIT(TRACKING_ERROR);
        if (!again && is_frozen(state, config, measured_rad, i, before, now)) reasons |= KERNEL_BIT(ENCODER_FROZEN);
        over_torque |= feedback->has_torque && magnitude(feedback->tau[i]) > config->tau_max[i];
    }
    const int over_force = feedback->has_wrench && (length(feedback->wrench) > config->force_max_n ||
                                                    length(feedback->wrench + 3) > config->moment_max_nm);
    if (lasts(config, over_torque, &state->over_torque, &state->torque_since_ns, feedback->stamp_ns))
        reasons |= KERNEL_BIT(TORQUE);
    if (lasts(config, over_force, &state->over_force, &state->force_since_ns, feedback->stamp_ns))
        reasons |= KERNEL_BIT(FORCE);
    return reasons;
}

uint64_t check_values(const kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint) {
    if (!setpoint->present) return KERNEL_BIT(SETPOINT_NONE);
    if (setpoint->n != config->n_joints || !(setpoint->speed_scale > 0.0 && setpoint->speed_scale <= 1.0))
        return KERNEL_BIT(SETPOINT_SHAPE);
    if (!finite_number(setpoint->gripper_m) || !all_finite(setpoint->q, config->n_joints))
        return KERNEL_BIT(SETPOINT_NOT_FINITE);
    for (uint32_t i = 0u; i < config->n_joints; i++)
        if (magnitude(setpoint->q[i] - state->q[i]) > config->step_max[i])
            return KERNEL_BIT(SETPOINT_STEP);
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
