/* See kernel.h. edge_runtime/safety/reference.py repeats this file line for line; change both or neither: the
 * differential test compares them bit for bit. */
#include "kernel.h"

#include <math.h>
#include <stddef.h>

#define FEEDBACK_BAD                                                                                      \
    (KERNEL_REASON_FEEDBACK_SHAPE | KERNEL_REASON_FEEDBACK_NOT_FINITE | KERNEL_REASON_FEEDBACK_STALE |    \
     KERNEL_REASON_FEEDBACK_FUTURE | KERNEL_REASON_FEEDBACK_SEQUENCE)
#define STOP_INPUTS (KERNEL_REASON_STOP_LINE | KERNEL_REASON_DRIVER_FAULT)
#define CLOCK_BAD (KERNEL_REASON_CLOCK_BACKWARD | KERNEL_REASON_CLOCK_GAP)
/* Excess, relative to the velocity limit, below which a bound counts as touched rather than acting: rounding. */
#define TOUCH 1e-9

/* The whole life of a robot. A zero is no such pair: it changes nothing. */
#define TO(name) (KERNEL_##name + 1)
static const uint8_t TRANSITIONS[KERNEL_STATE_COUNT][KERNEL_EVENT_COUNT] = {
    [KERNEL_SILENT] = {[KERNEL_EVENT_FEEDBACK_GOOD] = TO(READY),
                       [KERNEL_EVENT_FEEDBACK_LOST] = TO(SILENT),
                       [KERNEL_EVENT_DISARM] = TO(SILENT),
                       [KERNEL_EVENT_TRIP] = TO(FAULT)},
    [KERNEL_READY] = {[KERNEL_EVENT_FEEDBACK_GOOD] = TO(READY),
                      [KERNEL_EVENT_FEEDBACK_LOST] = TO(SILENT),
                      [KERNEL_EVENT_TRIP] = TO(FAULT),
                      [KERNEL_EVENT_ARM] = TO(HOLDING),
                      [KERNEL_EVENT_DISARM] = TO(READY)},
    [KERNEL_ACTIVE] = {[KERNEL_EVENT_TRIP] = TO(STOPPING),
                       [KERNEL_EVENT_DISARM] = TO(STOPPING),
                       [KERNEL_EVENT_SETPOINT] = TO(ACTIVE),
                       [KERNEL_EVENT_SETPOINT_LOST] = TO(HOLDING)},
    [KERNEL_HOLDING] = {[KERNEL_EVENT_TRIP] = TO(STOPPING),
                        [KERNEL_EVENT_DISARM] = TO(STOPPING),
                        [KERNEL_EVENT_SETPOINT] = TO(ACTIVE),
                        [KERNEL_EVENT_SETPOINT_LOST] = TO(HOLDING),
                        [KERNEL_EVENT_HOLD_TIMEOUT] = TO(STOPPING)},
    [KERNEL_STOPPING] = {[KERNEL_EVENT_TRIP] = TO(STOPPING),
                         [KERNEL_EVENT_DISARM] = TO(STOPPING),
                         [KERNEL_EVENT_SETTLED] = TO(READY),
                         [KERNEL_EVENT_SETTLED_LATCHED] = TO(FAULT)},
    [KERNEL_FAULT] = {[KERNEL_EVENT_TRIP] = TO(FAULT),
                      [KERNEL_EVENT_RESET] = TO(READY)},
};

uint32_t kernel_transition(uint32_t state, uint32_t event) {
    if (state >= KERNEL_STATE_COUNT || event >= KERNEL_EVENT_COUNT) return KERNEL_STATE_COUNT;
    const uint32_t to = TRANSITIONS[state][event];
    return to == 0u ? (uint32_t)KERNEL_STATE_COUNT : to - 1u;
}

static int armed(uint32_t state) {
    return state == KERNEL_ACTIVE || state == KERNEL_HOLDING || state == KERNEL_STOPPING;
}

static void apply(kernel_state *state, uint32_t event) {
    const uint32_t to = kernel_transition(state->state, event);
    if (to == KERNEL_STATE_COUNT) {
        state->faults |= KERNEL_REASON_INTERNAL;
        state->state = armed(state->state) ? KERNEL_STOPPING : KERNEL_FAULT;
        return;
    }
    state->state = to;
}

static double smaller(double a, double b) { return b < a ? b : a; }
static double larger(double a, double b) { return b > a ? b : a; }
static double clamp(double x, double low, double high) { return larger(low, smaller(x, high)); }
static double magnitude(double x) { return x < 0.0 ? -x : x; }
/* False for NaN and for both infinities. */
static int finite(double x) { return magnitude(x) <= 1.7976931348623157e308; }

/* a - b, held at the ends of int64 instead of overflowing. */
static int64_t elapsed(int64_t a, int64_t b) {
    if (b < 0 && a > INT64_MAX + b) return INT64_MAX;
    if (b > 0 && a < INT64_MIN + b) return INT64_MIN;
    return a - b;
}

/* Fastest velocity from which braking with accel stays within distance (reference 2A, s(d)). */
static double braking_speed(double distance, double accel, double tick) {
    return distance > 0.0 ? larger(0.0, sqrt(2.0 * accel * distance) - 0.5 * accel * tick) : 0.0;
}

/* What is still travelled when every following tick takes accel off the speed. */
static double braking_distance(double speed, double accel, double tick) {
    const double step = accel * tick;
    const double n = floor(speed / step);
    return tick * (n * speed - step * (n * (n + 1.0)) * 0.5);
}

/* The exact form of the bound braking_speed() (reference 2A, beta): it reaches distance = 0 in whole ticks. */
static double landing_speed(double distance, double accel, double tick) {
    const double step = accel * tick;
    const double y = distance / (step * tick);
    const double n = floor((sqrt(1.0 + 8.0 * y) - 1.0) * 0.5);
    return step * (n + (y - n * (n + 1.0) * 0.5) / (n + 1.0));
}

static int in_range(double x, double low, double high) { return x >= low && x <= high; }

void kernel_init(kernel_state *state) { *state = (kernel_state){0}; }

static uint64_t check_clock(const kernel_state *state, const kernel_feedback *feedback, int64_t now_ns) {
    if (!state->has_now) return 0u;
    const int64_t gap = elapsed(now_ns, state->last_now_ns);
    if (gap <= 0) return KERNEL_REASON_CLOCK_BACKWARD;
    if (feedback->watchdog_ns != 0u && (uint64_t)gap > feedback->watchdog_ns) return KERNEL_REASON_CLOCK_GAP;
    return 0u;
}

static uint64_t check_feedback(const kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                               int64_t now_ns) {
    uint64_t reasons = feedback->torn ? (uint64_t)KERNEL_REASON_FEEDBACK_TORN : 0u;
    if (!feedback->present) return reasons | KERNEL_REASON_FEEDBACK_STALE;
    if (feedback->n != config->n_joints) return reasons | KERNEL_REASON_FEEDBACK_SHAPE;
    const int64_t age = elapsed(now_ns, feedback->stamp_ns);
    if (age > config->feedback_max_age_ns) reasons |= KERNEL_REASON_FEEDBACK_STALE;
    if (age < -config->future_tolerance_ns) reasons |= KERNEL_REASON_FEEDBACK_FUTURE;
    if (state->has_feedback_seq &&
        (feedback->seq < state->feedback_seq || feedback->stamp_ns < state->feedback_stamp_ns))
        reasons |= KERNEL_REASON_FEEDBACK_SEQUENCE;
    int bad = !finite(feedback->gripper_m);
    for (uint32_t i = 0; i < config->n_joints; i++)
        bad |= !finite(feedback->q_rad[i]) || !finite(feedback->dq_rad_s[i]);
    return bad ? reasons | KERNEL_REASON_FEEDBACK_NOT_FINITE : reasons;
}

static uint64_t check_stop_inputs(const kernel_feedback *feedback) {
    return (feedback->stop_line ? (uint64_t)KERNEL_REASON_STOP_LINE : 0u) |
           (feedback->driver_fault ? (uint64_t)KERNEL_REASON_DRIVER_FAULT : 0u);
}

static uint64_t check_tracking(const kernel_state *state, const kernel_config *config,
                               const kernel_feedback *feedback) {
    for (uint32_t i = 0; i < config->n_joints; i++)
        if (magnitude(state->q_rad[i] - feedback->q_rad[i]) > config->tracking_max_rad[i])
            return KERNEL_REASON_TRACKING_ERROR;
    return 0u;
}

static uint64_t check_setpoint(kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint,
                               int64_t now_ns) {
    uint64_t reasons = 0u;
    if (!setpoint->present) return KERNEL_REASON_SETPOINT_NONE;
    if (state->has_setpoint_seq && setpoint->seq <= state->setpoint_seq)
        reasons |= KERNEL_REASON_SETPOINT_SEQUENCE;
    else if (state->has_setpoint_seq && setpoint->seq - state->setpoint_seq > 1u)
        reasons |= KERNEL_REASON_SETPOINT_SKIPPED;
    if (!(reasons & KERNEL_REASON_SETPOINT_SEQUENCE)) {
        state->setpoint_seq = setpoint->seq;
        state->has_setpoint_seq = 1u;
    }
    if (setpoint->n != config->n_joints) return reasons | KERNEL_REASON_SETPOINT_SHAPE;
    const int64_t age = elapsed(now_ns, setpoint->stamp_ns);
    const int64_t observation_age = elapsed(now_ns, setpoint->observation_ns);
    if (age > config->setpoint_max_age_ns) reasons |= KERNEL_REASON_SETPOINT_STALE;
    if (observation_age > config->observation_max_age_ns) reasons |= KERNEL_REASON_OBSERVATION_STALE;
    if (age < -config->future_tolerance_ns || observation_age < -config->future_tolerance_ns)
        reasons |= KERNEL_REASON_SETPOINT_FUTURE;
    int bad = !finite(setpoint->gripper_m);
    for (uint32_t i = 0; i < config->n_joints; i++) bad |= !finite(setpoint->q_rad[i]);
    return bad ? reasons | KERNEL_REASON_SETPOINT_NOT_FINITE : reasons;
}

/* Moves joint i towards the velocity wanted, inside the invariant; the reasons of the bounds that acted. */
static uint64_t move(kernel_state *state, const kernel_config *config, uint32_t i, double wanted, double tick) {
    const double q = state->q_rad[i];
    const double v = state->dq_rad_s[i];
    const double v_max = config->dq_max_rad_s[i];
    const double step = config->ddq_max_rad_s2[i] * tick;
    const double up = braking_speed(config->q_max_rad[i] - q, config->ddq_max_rad_s2[i], tick);
    const double down = braking_speed(q - config->q_min_rad[i], config->ddq_max_rad_s2[i], tick);
    const double high = smaller(smaller(v + step, v_max), up);
    const double low = larger(larger(v - step, -v_max), -down);
    /* low <= high by the invariant; when rounding breaks that by an ulp, the side that brakes wins. */
    const double u = v > 0.0 ? smaller(larger(wanted, low), high) : larger(smaller(wanted, high), low);
    uint64_t reasons = 0u;
    if (magnitude(wanted - u) > TOUCH * v_max) {
        if (magnitude(wanted) > v_max) reasons |= KERNEL_REASON_LIMIT_VELOCITY;
        if (wanted > v + step || wanted < v - step) reasons |= KERNEL_REASON_LIMIT_ACCELERATION;
        if (wanted > up || wanted < -down) reasons |= KERNEL_REASON_LIMIT_BRAKING;
    }
    state->q_rad[i] = clamp(q + tick * u, config->q_min_rad[i], config->q_max_rad[i]);
    state->dq_rad_s[i] = u;
    return reasons;
}

/* Follows the setpoint. Where the last command met the last target, the velocity that meets this one is taken as it
 * is: an in-limits trajectory passes unchanged. Where it lags, it moves with the target and closes the gap at a speed
 * from which it can land on it, with half of the acceleration: the other half is left to follow the target's own. */
static uint64_t follow(kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint, double tick) {
    uint64_t reasons = 0u;
    for (uint32_t i = 0; i < config->n_joints; i++) {
        const double q = state->q_rad[i];
        const double target = clamp(setpoint->q_rad[i], config->q_min_rad[i], config->q_max_rad[i]);
        if (target != setpoint->q_rad[i]) reasons |= KERNEL_REASON_LIMIT_POSITION;
        const double before = state->has_target ? state->target_rad[i] : q;
        const double accel = 0.5 * config->ddq_max_rad_s2[i];
        double target_speed = (target - before) / tick;
        double gap = before - q;
        if (magnitude(target_speed) > config->dq_max_rad_s[i] * (1.0 + TOUCH)) {
            /* A jump, not a motion. */
            target_speed = 0.0;
            gap = target - q;
        }
        double wanted = (target - q) / tick;
        if (magnitude(gap) > accel * tick * tick) {
            const double closing = landing_speed(magnitude(gap), accel, tick);
            wanted = target_speed + (gap < 0.0 ? -closing : closing);
        }
        reasons |= move(state, config, i, wanted, tick);
        state->target_rad[i] = target;
    }
    state->has_target = 1u;
    const double opening = clamp(setpoint->gripper_m, config->gripper_min_m, config->gripper_max_m);
    const double reach = config->gripper_rate_m_s * tick;
    if (opening != setpoint->gripper_m || magnitude(opening - state->gripper_m) > reach)
        reasons |= KERNEL_REASON_LIMIT_GRIPPER;
    state->gripper_m = clamp(opening, state->gripper_m - reach, state->gripper_m + reach);
    return reasons;
}

static void brake(kernel_state *state, const kernel_config *config, double tick) {
    for (uint32_t i = 0; i < config->n_joints; i++) (void)move(state, config, i, 0.0, tick);
    state->has_target = 0u;
}

static void copy_measurement(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback) {
    for (uint32_t i = 0; i < config->n_joints; i++) {
        state->q_rad[i] = feedback->q_rad[i];
        state->dq_rad_s[i] = 0.0;
    }
    state->gripper_m = feedback->gripper_m;
    state->has_target = 0u;
    state->has_command = 0u;
}

static int at_rest(const kernel_state *state, const kernel_config *config) {
    for (uint32_t i = 0; i < config->n_joints; i++)
        if (state->dq_rad_s[i] != 0.0) return 0;
    return 1;
}

static void fill(kernel_verdict *verdict, const kernel_state *state, const kernel_config *config, uint64_t reasons,
                 double tick) {
    *verdict = (kernel_verdict){0};
    verdict->state = state->state;
    verdict->reasons = reasons;
    verdict->faults = state->faults;
    verdict->gripper_m = state->gripper_m;
    for (uint32_t i = 0; i < config->n_joints; i++) {
        const double q = state->q_rad[i];
        const double v = state->dq_rad_s[i];
        const double speed = magnitude(v);
        const double distance = braking_distance(speed, config->ddq_max_rad_s2[i], tick);
        const double up = config->q_max_rad[i] - (v > 0.0 ? q + distance : q);
        const double down = (v < 0.0 ? q - distance : q) - config->q_min_rad[i];
        const double margin = smaller(up, down);
        verdict->q_rad[i] = q;
        verdict->dq_rad_s[i] = v;
        verdict->time_to_rest_s = larger(verdict->time_to_rest_s, speed / config->ddq_max_rad_s2[i]);
        if (i == 0u || margin < verdict->stop_margin_rad) {
            verdict->stop_margin_rad = margin;
            verdict->stop_margin_joint = i;
        }
    }
}

/* Lets what was found change the state; adds to reasons what only shows here. */
static uint64_t decide(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                       const kernel_setpoint *setpoint, int64_t now_ns, uint64_t reasons) {
    const uint64_t feedback_bad = reasons & FEEDBACK_BAD;
    uint64_t trips = reasons & STOP_INPUTS;
    if (armed(state->state)) {
        if (!feedback_bad) reasons |= check_tracking(state, config, feedback);
        trips |= reasons & (FEEDBACK_BAD | CLOCK_BAD | KERNEL_REASON_TRACKING_ERROR);
    }
    if (trips) {
        state->faults |= trips;
        apply(state, KERNEL_EVENT_TRIP);
        return reasons;
    }
    if (state->state == KERNEL_SILENT || state->state == KERNEL_READY) {
        apply(state, feedback_bad ? KERNEL_EVENT_FEEDBACK_LOST : KERNEL_EVENT_FEEDBACK_GOOD);
        return reasons;
    }
    if (state->state != KERNEL_ACTIVE && state->state != KERNEL_HOLDING) return reasons;
    const uint64_t refused = check_setpoint(state, config, setpoint, now_ns);
    if (!refused) {
        apply(state, KERNEL_EVENT_SETPOINT);
        return reasons;
    }
    if (state->state == KERNEL_ACTIVE) state->hold_since_ns = now_ns;
    apply(state, KERNEL_EVENT_SETPOINT_LOST);
    if (elapsed(now_ns, state->hold_since_ns) > config->hold_timeout_ns) {
        apply(state, KERNEL_EVENT_HOLD_TIMEOUT);
        return reasons | refused | KERNEL_REASON_HOLD_TIMEOUT;
    }
    return reasons | refused;
}

void kernel_step(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                 const kernel_setpoint *setpoint, int64_t now_ns, kernel_verdict *verdict) {
    const double tick = (double)config->tick_ns * 1e-9;
    uint64_t reasons = check_clock(state, feedback, now_ns) | check_feedback(state, config, feedback, now_ns) |
                       check_stop_inputs(feedback);
    state->last_now_ns = now_ns;
    state->has_now = 1u;
    if (!(reasons & FEEDBACK_BAD)) {
        state->feedback_seq = feedback->seq;
        state->feedback_stamp_ns = feedback->stamp_ns;
        state->has_feedback_seq = 1u;
    }
    reasons = decide(state, config, feedback, setpoint, now_ns, reasons);
    switch (state->state) {
    case KERNEL_READY: copy_measurement(state, config, feedback); break;
    case KERNEL_ACTIVE: reasons |= follow(state, config, setpoint, tick); break;
    case KERNEL_HOLDING: brake(state, config, tick); break;
    case KERNEL_STOPPING:
        brake(state, config, tick);
        if (at_rest(state, config)) apply(state, state->faults ? KERNEL_EVENT_SETTLED_LATCHED : KERNEL_EVENT_SETTLED);
        break;
    default: break; /* SILENT and FAULT: what was last said, at rest */
    }
    fill(verdict, state, config, reasons, tick);
}

static int request_arm(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                       int64_t now_ns) {
    if (state->state != KERNEL_READY) return KERNEL_REFUSED_STATE;
    if (check_feedback(state, config, feedback, now_ns)) return KERNEL_REFUSED_FEEDBACK;
    if (check_stop_inputs(feedback)) return KERNEL_REFUSED_STOP_LINE;
    if (feedback->watchdog_ns == 0u) return KERNEL_REFUSED_NO_WATCHDOG;
    for (uint32_t i = 0; i < config->n_joints; i++) {
        if (magnitude(feedback->dq_rad_s[i]) > config->rest_speed_rad_s) return KERNEL_REFUSED_MOVING;
        if (!in_range(feedback->q_rad[i], config->q_min_rad[i], config->q_max_rad[i]))
            return KERNEL_REFUSED_OUTSIDE_LIMITS;
    }
    copy_measurement(state, config, feedback);
    state->gripper_m = clamp(feedback->gripper_m, config->gripper_min_m, config->gripper_max_m);
    state->has_command = 1u;
    state->has_setpoint_seq = 0u;
    state->hold_since_ns = now_ns;
    apply(state, KERNEL_EVENT_ARM);
    return KERNEL_DONE;
}

static int request_reset(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                         int64_t now_ns) {
    if (state->state != KERNEL_FAULT) return KERNEL_REFUSED_STATE;
    /* After a driver restart its numbering starts anew: a reset may accept that, a running robot may not. */
    kernel_state anew = *state;
    anew.has_feedback_seq = 0u;
    if (check_feedback(&anew, config, feedback, now_ns)) return KERNEL_REFUSED_FEEDBACK;
    if (check_stop_inputs(feedback)) return KERNEL_REFUSED_STOP_LINE;
    for (uint32_t i = 0; i < config->n_joints; i++) {
        if (magnitude(feedback->dq_rad_s[i]) > config->rest_speed_rad_s) return KERNEL_REFUSED_MOVING;
        if (state->has_command && magnitude(state->q_rad[i] - feedback->q_rad[i]) > config->reset_tolerance_rad)
            return KERNEL_REFUSED_MISMATCH;
    }
    state->has_feedback_seq = 0u;
    state->faults = 0u;
    apply(state, KERNEL_EVENT_RESET);
    return KERNEL_DONE;
}

int kernel_request(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback, uint32_t request,
                   int64_t now_ns) {
    switch (request) {
    case KERNEL_REQUEST_ARM: return request_arm(state, config, feedback, now_ns);
    case KERNEL_REQUEST_RESET: return request_reset(state, config, feedback, now_ns);
    case KERNEL_REQUEST_DISARM:
        if (kernel_transition(state->state, KERNEL_EVENT_DISARM) == KERNEL_STATE_COUNT) return KERNEL_REFUSED_STATE;
        apply(state, KERNEL_EVENT_DISARM);
        return KERNEL_DONE;
    case KERNEL_REQUEST_STOP:
        state->faults |= KERNEL_REASON_OPERATOR_STOP;
        apply(state, KERNEL_EVENT_TRIP);
        return KERNEL_DONE;
    default: return KERNEL_REFUSED_UNKNOWN;
    }
}
