/* See kernel.h. edge_runtime/safety/reference repeats these files line for line; change both or neither: the
 * differential test compares them bit for bit. */
#include "kernel.h"

#include <stddef.h>

#include "motion.h"
#include "number.h"

_Static_assert((int)KERNEL_MAX_AXES == (int)GEOMETRY_MAX_AXES && (int)KERNEL_MAX_TOOLS == (int)GEOMETRY_MAX_TOOLS,
               "the same robot");

#define WATCHDOG_MAX_NS 1000000000u
#define STOP_INPUTS (KERNEL_BIT(STOP_LINE) | KERNEL_BIT(DRIVER_FAULT))
#define CLOCK_BAD (KERNEL_BIT(CLOCK_BACKWARD) | KERNEL_BIT(CLOCK_GAP))
#define FOLLOWING_BAD \
    (KERNEL_BIT(TRACKING_ERROR) | KERNEL_BIT(ENCODER_FROZEN) | KERNEL_BIT(TORQUE) | KERNEL_BIT(FORCE))

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
                        [KERNEL_EVENT_HOLD_TIMEOUT] = TO(STOPPING),
                        [KERNEL_EVENT_RETRACT] = TO(RETRACTING)},
    [KERNEL_STOPPING] = {[KERNEL_EVENT_TRIP] = TO(STOPPING),
                         [KERNEL_EVENT_DISARM] = TO(STOPPING),
                         [KERNEL_EVENT_SETTLED] = TO(READY),
                         [KERNEL_EVENT_SETTLED_LATCHED] = TO(FAULT)},
    [KERNEL_FAULT] = {[KERNEL_EVENT_TRIP] = TO(FAULT),
                      [KERNEL_EVENT_RESET] = TO(READY)},
    [KERNEL_RETRACTING] = {[KERNEL_EVENT_TRIP] = TO(STOPPING),
                           [KERNEL_EVENT_DISARM] = TO(STOPPING),
                           [KERNEL_EVENT_RETRACTED] = TO(STOPPING)},
};

uint32_t kernel_transition(uint32_t state, uint32_t event) {
    if (state >= KERNEL_STATE_COUNT || event >= KERNEL_EVENT_COUNT) return KERNEL_STATE_COUNT;
    const uint32_t to = TRANSITIONS[state][event];
    return to == 0u ? (uint32_t)KERNEL_STATE_COUNT : to - 1u;
}

static int armed(uint32_t state) {
    return state == KERNEL_ACTIVE || state == KERNEL_HOLDING || state == KERNEL_STOPPING || state == KERNEL_RETRACTING;
}

/* An event that has no place in the table is a contradiction: the driver is to hold by its own means. */
static void apply(kernel_state *state, uint32_t event) {
    const uint32_t to = kernel_transition(state->state, event);
    if (to == KERNEL_STATE_COUNT) state->faults |= KERNEL_BIT(INTERNAL);
    state->state = to == KERNEL_STATE_COUNT ? (uint32_t)KERNEL_FAULT : to;
}

static double fastest_tool_m_s(const kernel_config *config) {
    uint32_t t = 0u;
    double fastest_m_s = config->tool_speed_max_m_s[t];
    while (++t < config->geometry.n_tools) fastest_m_s = larger(fastest_m_s, config->tool_speed_max_m_s[t]);
    return fastest_m_s;
}

void kernel_init(kernel_state *state, const kernel_config *config) {
    *state = (kernel_state){.tightening = {1.0, fastest_tool_m_s(config)}};
}

static void place_on_trail(kernel_state *state, const kernel_config *config, uint32_t k, int64_t now_ns) {
    state->trail_ns[k] = now_ns;
    for (uint32_t i = 0u; i < 5u; i++) state->trail_path[k][i] = state->path[i];
    for (uint32_t i = 0u; i < config->n_axes; i++) state->trail[k][i] = told_now(state, config, i);
}

/* Remembers what is commanded from now on: a place of its own for every so many ticks, so that together they reach back to
 * the oldest sample that counts as feedback. */
static void leave_trail(kernel_state *state, const kernel_config *config, int64_t now_ns) {
    if (elapsed(state->trail_ns[0], state->trail_ns[1]) >= trail_step_ns(config))
        for (uint32_t k = KERNEL_TRAIL - 1u; k > 0u; k--) {
            state->trail_ns[k] = state->trail_ns[k - 1u];
            for (uint32_t i = 0u; i < 5u; i++) state->trail_path[k][i] = state->trail_path[k - 1u][i];
            for (uint32_t i = 0u; i < config->n_axes; i++) state->trail[k][i] = state->trail[k - 1u][i];
        }
    place_on_trail(state, config, 0u, now_ns);
}

/* As if it had always been commanded to be where it is. */
static void begin_trail(kernel_state *state, const kernel_config *config, int64_t now_ns) {
    for (uint32_t k = 0u; k < KERNEL_TRAIL; k++) place_on_trail(state, config, k, now_ns);
}

static void copy_measurement(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback) {
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        const int drives = is_velocity(config, i);
        state->q[i] = drives ? 0.0 : feedback->q[i];
        state->dq[i] = 0.0;
        state->ddq[i] = 0.0;
        state->measured[i] = drives ? feedback->dq[i] : feedback->q[i];
    }
    state->has_target = 0u;
    state->has_command = 0u;
}

static void fill_digest(uint8_t *to, const uint8_t *from) {
    for (uint32_t i = 0u; i < KERNEL_DIGEST_BYTES; i++) to[i] = from[i];
}

static void fill(kernel_verdict *verdict, const kernel_state *state, const kernel_config *config,
                 const motion_result *result) {
    *verdict = (kernel_verdict){.state = state->state};
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        verdict->q[i] = state->q[i];
        verdict->dq[i] = state->dq[i];
        verdict->ddq[i] = state->ddq[i];
    }
    verdict->accepted = result->accepted;
    verdict->speed_scale = result->speed_scale;
    verdict->stop_margin = result->stop.margin;
    verdict->stop_margin_m = result->stop.margin_m;
    verdict->stop_margin_axis = result->stop.margin_axis;
    verdict->time_to_rest_s = result->stop.ticks * ((double)config->tick_ns * 1e-9);
    verdict->reasons = result->reasons;
    verdict->faults = state->faults;
    fill_digest(verdict->config_digest, config->digest);
}

/* Holding goes on until its time is over. */
static uint64_t hold(kernel_state *state, const kernel_config *config, int64_t now_ns) {
    if (elapsed(now_ns, state->hold_since_ns) <= config->hold_timeout_ns) return 0u;
    state->retract_since_ns = now_ns;
    apply(state, config->retracts ? KERNEL_EVENT_RETRACT : KERNEL_EVENT_HOLD_TIMEOUT);
    return KERNEL_BIT(HOLD_TIMEOUT);
}

static uint64_t decide_setpoint(kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint,
                                int64_t now_ns) {
    const uint64_t policy = check_policy(config, setpoint, now_ns);
    const uint64_t refused = check_setpoint(state, config, setpoint, now_ns) | (policy & KERNEL_BIT(POLICY_LOST));
    if (!refused) {
        apply(state, KERNEL_EVENT_SETPOINT);
        return policy;
    }
    if (state->state == KERNEL_ACTIVE) state->hold_since_ns = now_ns;
    apply(state, KERNEL_EVENT_SETPOINT_LOST);
    return policy | refused | hold(state, config, now_ns);
}

static uint64_t decide_retraction(kernel_state *state, const kernel_config *config, int64_t now_ns) {
    const int late = elapsed(now_ns, state->retract_since_ns) > config->retract_timeout_ns;
    if (late || motion_retracted(state, config)) apply(state, KERNEL_EVENT_RETRACTED);
    return late ? KERNEL_BIT(RETRACT_TIMEOUT) : 0u;
}

/* Lets what was found change the state; the reasons, with those that only show here. */
static uint64_t decide(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                       const kernel_setpoint *setpoint, int64_t now_ns, uint64_t reasons) {
    const uint64_t feedback_bad = reasons & FEEDBACK_BAD;
    uint64_t trips = reasons & STOP_INPUTS;
    if (armed(state->state)) {
        if (!feedback_bad) reasons |= check_following(state, config, feedback);
        trips |= reasons & (FEEDBACK_BAD | CLOCK_BAD | FOLLOWING_BAD);
    }
    if (trips) {
        state->faults |= trips;
        apply(state, KERNEL_EVENT_TRIP);
        return reasons;
    }
    switch (state->state) {
    case KERNEL_SILENT:
    case KERNEL_READY:
        apply(state, feedback_bad ? KERNEL_EVENT_FEEDBACK_LOST : KERNEL_EVENT_FEEDBACK_GOOD);
        return reasons;
    case KERNEL_ACTIVE:
    case KERNEL_HOLDING: return reasons | decide_setpoint(state, config, setpoint, now_ns);
    case KERNEL_RETRACTING: return reasons | decide_retraction(state, config, now_ns);
    default: return reasons;
    }
}

void kernel_step(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                 const kernel_setpoint *setpoint, int64_t now_ns, kernel_verdict *verdict) {
    motion_result result = {.speed_scale = state->tightening.speed_scale, .stop = NO_STOP};
    const uint64_t found = check_clock(state, feedback, now_ns) | check_feedback(state, config, feedback, now_ns) |
                           check_stop_inputs(feedback);
    state->last_now_ns = now_ns;
    state->has_now = 1u;
    result.reasons = decide(state, config, feedback, setpoint, now_ns, found);
    if (!(found & FEEDBACK_BAD)) {
        state->feedback_seq = feedback->seq;
        state->feedback_stamp_ns = feedback->stamp_ns;
        state->has_feedback_seq = 1u;
        locate_base(state, config, feedback);
    }
    carry_base(state, config);
    const uint32_t moves = state->state;
    switch (moves) {
    case KERNEL_ACTIVE: motion_follow(state, config, setpoint, &result); break;
    case KERNEL_RETRACTING: motion_retract(state, config, &result); break;
    case KERNEL_HOLDING: motion_brake(state, config, &result); break;
    case KERNEL_STOPPING:
        motion_brake(state, config, &result);
        if (motion_at_rest(state, config))
            apply(state, state->faults ? KERNEL_EVENT_SETTLED_LATCHED : KERNEL_EVENT_SETTLED);
        break;
    case KERNEL_READY: copy_measurement(state, config, feedback); /* fall through */
    default: rest_margin(config, state->q, &result.stop); /* SILENT and FAULT: what was last said, at rest */
    }
    if (armed(moves)) {
        leave_trail(state, config, now_ns);
        for (uint32_t i = 0u; i < config->n_axes; i++) state->left[i] = state->q[i];
        state->has_left = 1u;
    }
    fill(verdict, state, config, &result);
    if (moves == KERNEL_ACTIVE) fill_digest(verdict->bundle_digest, setpoint->bundle_digest);
}

void kernel_rehearse(const kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoints,
                     uint32_t count, kernel_verdict *verdicts) {
    kernel_state trial = *state;
    for (uint32_t k = 0u; k < count; k++) {
        motion_result result = {.reasons = check_values(&trial, config, &setpoints[k]),
                                .speed_scale = trial.tightening.speed_scale};
        if (result.reasons)
            motion_brake(&trial, config, &result);
        else
            motion_follow(&trial, config, &setpoints[k], &result);
        fill(&verdicts[k], &trial, config, &result);
    }
}

static int not_at_rest(const kernel_config *config, const kernel_feedback *feedback) {
    for (uint32_t i = 0u; i < config->n_axes; i++)
        if (!is_gripper(config, i) && magnitude(feedback->dq[i]) > config->rest_speed[i]) return 1;
    return 0;
}

/* A position in the turn of the measurement. */
static double in_turn_of(const kernel_config *config, const kernel_feedback *feedback, double q, uint32_t i) {
    return config->axis_kind[i] == KERNEL_AXIS_CONTINUOUS ? near_turn(q, feedback->q[i]) : q;
}

/* Whether a robot that was left at the edge of what it may still is where it was left, but for noise and sag. */
static int is_where_left(const kernel_state *state, const kernel_config *config, const kernel_feedback *feedback) {
    for (uint32_t i = 0u; i < config->n_axes; i++)
        if (is_joint(config, i) && magnitude(feedback->q[i] - in_turn_of(config, feedback, state->left[i], i)) >
                                       config->start_tolerance[i])
            return 0;
    return (int)state->has_left;
}

/* Where a motion may start that is measured here, and whether it may: KERNEL_DONE, or what speaks against it. */
static int start_posture(const kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                         profile_state *axes) {
    const int left = is_where_left(state, config, feedback);
    kernel_base base = {.lag_m = 0.0};
    stop_certificate stop;
    uint32_t poses = STOP_POSES;
    for (uint32_t k = 0u; needs_odometry(config) && k < 3u; k++) base.pose[k] = feedback->odometry[k];
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        axes[i] = (profile_state){0.0, 0.0, 0.0};
        if (is_velocity(config, i)) continue;
        const double inside = clamp(feedback->q[i], config->q_min[i], config->q_max[i]);
        if (magnitude(feedback->q[i] - inside) > config->start_tolerance[i]) return KERNEL_REFUSED_OUTSIDE_LIMITS;
        axes[i].q = left && is_joint(config, i) ? in_turn_of(config, feedback, state->left[i], i) : inside;
    }
    return verify_stop(config, state->tightening.tool_speed_max_m_s, &base, axes, &poses, &stop)
               ? KERNEL_REFUSED_GEOMETRY
               : KERNEL_DONE;
}

static int request_arm(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                       int64_t now_ns) {
    profile_state axes[KERNEL_MAX_AXES];
    if (state->state != KERNEL_READY) return KERNEL_REFUSED_STATE;
    if (check_feedback(state, config, feedback, now_ns) & FEEDBACK_BAD) return KERNEL_REFUSED_FEEDBACK;
    if (check_stop_inputs(feedback)) return KERNEL_REFUSED_STOP_LINE;
    if (feedback->watchdog_ns == 0u || feedback->watchdog_ns > WATCHDOG_MAX_NS) return KERNEL_REFUSED_NO_WATCHDOG;
    if (not_at_rest(config, feedback)) return KERNEL_REFUSED_MOVING;
    const int posture = start_posture(state, config, feedback, axes);
    if (posture != KERNEL_DONE) return posture;
    copy_measurement(state, config, feedback);
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        state->q[i] = state->shown_least[i] = state->shown_most[i] = axes[i].q;
        state->apart_ticks[i] = 0u;
    }
    for (uint32_t k = 0u; k < 5u; k++) state->path[k] = 0.0;
    begin_trail(state, config, now_ns);
    state->has_command = 1u;
    state->has_setpoint_seq = 0u;
    state->over_torque = 0u;
    state->over_force = 0u;
    state->over_grip = 0u;
    state->hold_since_ns = now_ns;
    apply(state, KERNEL_EVENT_ARM);
    return KERNEL_DONE;
}

/* Whether the robot is elsewhere than where it was told to hold. */
static int was_moved(const kernel_state *state, const kernel_config *config, const kernel_feedback *feedback) {
    for (uint32_t i = 0u; i < config->n_axes; i++)
        if (is_joint(config, i) && magnitude(in_turn_of(config, feedback, state->q[i], i) - feedback->q[i]) >
                                       config->reset_tolerance[i])
            return (int)state->has_command;
    return 0;
}

static int request_reset(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                         uint32_t request, int64_t now_ns) {
    if (state->state != KERNEL_FAULT) return KERNEL_REFUSED_STATE;
    /* After a driver restart its numbering starts anew: a reset may accept that, a running robot may not. */
    const uint64_t bad = FEEDBACK_BAD ^ KERNEL_BIT(FEEDBACK_SEQUENCE);
    if (check_feedback(state, config, feedback, now_ns) & bad) return KERNEL_REFUSED_FEEDBACK;
    if (check_stop_inputs(feedback)) return KERNEL_REFUSED_STOP_LINE;
    if (not_at_rest(config, feedback)) return KERNEL_REFUSED_MOVING;
    if (request == KERNEL_REQUEST_RESET && was_moved(state, config, feedback)) return KERNEL_REFUSED_MISMATCH;
    state->has_feedback_seq = 0u;
    state->faults = 0u;
    apply(state, KERNEL_EVENT_RESET);
    return KERNEL_DONE;
}

int kernel_request(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback, uint32_t request,
                   int64_t now_ns) {
    switch (request) {
    case KERNEL_REQUEST_ARM: return request_arm(state, config, feedback, now_ns);
    case KERNEL_REQUEST_RESET:
    case KERNEL_REQUEST_RESET_MOVED: return request_reset(state, config, feedback, request, now_ns);
    case KERNEL_REQUEST_DISARM:
        if (kernel_transition(state->state, KERNEL_EVENT_DISARM) == KERNEL_STATE_COUNT) return KERNEL_REFUSED_STATE;
        apply(state, KERNEL_EVENT_DISARM);
        return KERNEL_DONE;
    case KERNEL_REQUEST_STOP:
        state->faults |= KERNEL_BIT(OPERATOR_STOP);
        apply(state, KERNEL_EVENT_TRIP);
        return KERNEL_DONE;
    default: return KERNEL_REFUSED_UNKNOWN;
    }
}

int kernel_tighten(kernel_state *state, const kernel_config *config, const kernel_tightening *tightening) {
    if (!(tightening->speed_scale > 0.0 && tightening->speed_scale <= 1.0 && tightening->tool_speed_max_m_s > 0.0 &&
          tightening->tool_speed_max_m_s <= fastest_tool_m_s(config)))
        return KERNEL_REFUSED_VALUE;
    const kernel_tightening *before = &state->tightening;
    const int looser = tightening->speed_scale > before->speed_scale ||
                       tightening->tool_speed_max_m_s > before->tool_speed_max_m_s;
    if (looser && armed(state->state)) return KERNEL_REFUSED_LOOSER;
    state->tightening = *tightening;
    return KERNEL_DONE;
}
