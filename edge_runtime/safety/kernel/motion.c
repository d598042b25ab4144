/* The next command: shaped axis by axis towards the setpoint, then taken only as far as its stop is verified. */
#include "motion.h"

#include <math.h>

#include "number.h"

/* Part of a limit below which it counts as touched rather than acting: rounding. */
#define TOUCH 1e-9
#define ARRIVED 1e-9
/* Part of the jerk that the approach to a falling velocity limit uses: the rest is for its bend. */
#define CURVE_JERK 0.75
#define BISECTIONS 6
#define LANDING_BISECTIONS 10

/* Where a joint is to go: position now and speed, one tick before and speed there. */
typedef struct {
    double now, before, speed, speed_before;
} joint_target;

/* Velocity in force for an axis. */
typedef struct {
    profile_limits limits;
    double speed_max; /* with every scale in it */
    double fall[2];   /* largest acceleration with which it meets a velocity limit that falls towards an end: [0] down */
    double end[2];    /* that limit where it is, [0] down */
} axis_bounds;

static double flip(int flipped, double x) { return flipped ? -x : x; }

/* The acceleration that lands on a speed this far away, up or down. */
static double rate_towards(double distance, const profile_limits *limits) {
    return flip(distance < 0.0, landing_rate(magnitude(distance), limits->jerk_max, limits->tick));
}

/* The accelerations that the next tick may have: jerk, acceleration, and landing on the speed limit. */
static void allowed(const profile_state *joint, const axis_bounds *bounds, double *low, double *high) {
    const profile_limits *limits = &bounds->limits;
    const double step = limits->jerk_max * limits->tick;
    const double least = larger(joint->a - step, -limits->accel_max);
    const double most = smaller(joint->a + step, limits->accel_max);
    *high = clamp(smaller(rate_towards(bounds->speed_max - joint->v, limits), bounds->fall[1]), least, most);
    *low = clamp(-smaller(rate_towards(bounds->speed_max + joint->v, limits), bounds->fall[0]), least, *high);
}

static double landing_error(const profile_state *relative, double a, const profile_limits *limits) {
    stop_profile profile;
    stop_profile_of(profile_tick(*relative, a, limits), limits, &profile);
    return profile.q_end;
}

/* Seen from the moving target, and from the side where the joint is not yet there: the largest acceleration whose stop
 * does not end beyond it. Reaches it as fast as the limits allow, at its speed, and from where it came. */
static double chase(const profile_state *joint, const joint_target *target, const axis_bounds *bounds) {
    const int above = joint->q > target->before;
    const profile_state relative = {.q = flip(above, joint->q - target->before),
                                    .v = flip(above, joint->v - target->speed)};
    double least, most;
    allowed(joint, bounds, &least, &most);
    double low = above ? -most : least;
    double high = above ? -least : most;
    if (landing_error(&relative, high, &bounds->limits) <= 0.0) return flip(above, high);
    for (int i = 0; i < LANDING_BISECTIONS; i++) {
        const double middle = 0.5 * (low + high);
        if (landing_error(&relative, middle, &bounds->limits) <= 0.0)
            low = middle;
        else
            high = middle;
    }
    return flip(above, low);
}

static int within(double value, double limit) { return magnitude(value) <= limit * (1.0 + TOUCH); }

/* The acceleration that puts the joint on its target with this tick, and whether it may be taken: if the limits allow it
 * and, for a joint that was not on its target, also the next one, with which it would stay there if the target keeps its
 * acceleration. */
static int meet(const profile_state *joint, const joint_target *target, const axis_bounds *bounds, double v_max,
                double *accel) {
    const profile_limits *limits = &bounds->limits;
    const double tick = limits->tick;
    const double step = limits->jerk_max * tick;
    const double v = (target->now - joint->q) / tick;
    const double a = (v - joint->v) / tick;
    *accel = a;
    if (!(within(v, bounds->speed_max) && within(a, limits->accel_max) && within(a - joint->a, step))) return 0;
    if (v > bounds->end[1] || -v > bounds->end[0]) return 0;
    if (magnitude(target->before - joint->q) <= TOUCH * v_max * tick) return 1;
    const double a_target = (target->speed - target->speed_before) / tick;
    const double a_next = (target->speed + a_target * tick - v) / tick;
    return within(a_next, limits->accel_max) && within(a_next - a, step) && within(a_target - a_next, step);
}

static uint64_t touched(double value, double limit, uint64_t reason) {
    return magnitude(value) >= limit * (1.0 - TOUCH) ? reason : 0u;
}

/* The limits that keep a joint with this acceleration from its target; between all of them it is about to land there. */
static uint64_t acting(const profile_state *joint, double accel, const axis_bounds *bounds, double v_max) {
    const profile_limits *limits = &bounds->limits;
    const uint64_t speed = bounds->speed_max < v_max ? KERNEL_BIT(LIMIT_SPEED_SCALE) : KERNEL_BIT(LIMIT_VELOCITY);
    const int falls = accel >= bounds->fall[1] || -accel >= bounds->fall[0];
    const uint64_t reasons = touched(joint->v + limits->tick * accel, bounds->speed_max, speed) |
                             (falls ? KERNEL_BIT(LIMIT_VELOCITY) : 0u) |
                             touched(accel, limits->accel_max, KERNEL_BIT(LIMIT_ACCELERATION)) |
                             touched(accel - joint->a, limits->jerk_max * limits->tick, KERNEL_BIT(LIMIT_JERK));
    return reasons ? reasons : KERNEL_BIT(LIMIT_ACCELERATION);
}

/* The acceleration wanted of one joint, inside what it may have; the limits that acted. */
static uint64_t shape(const profile_state *joint, joint_target target, const axis_bounds *bounds, double v_max,
                      double *accel) {
    const double step = bounds->limits.jerk_max * bounds->limits.tick;
    if (magnitude(target.speed) > v_max * (1.0 + TOUCH)) {
        /* A jump, not a motion. */
        target.before = target.now;
        target.speed = 0.0;
        target.speed_before = 0.0;
    }
    const int meets = meet(joint, &target, bounds, v_max, accel);
    if (!meets) *accel = chase(joint, &target, bounds);
    *accel = clamp(clamp(*accel, joint->a - step, joint->a + step), -bounds->limits.accel_max,
                   bounds->limits.accel_max);
    return meets ? 0u : acting(joint, *accel, bounds, v_max);
}

/* The acceleration wanted of an axis whose setpoint is a velocity, likewise: seen from the setpoint as it changes, the one
 * that lands on it. */
static uint64_t shape_velocity(const profile_state *axis, joint_target target, const axis_bounds *bounds, double v_max,
                               double *accel) {
    const profile_limits *limits = &bounds->limits;
    double least, most;
    double change = target.speed;
    allowed(axis, bounds, &least, &most);
    if (!within(change, limits->accel_max)) {
        /* A jump, not a motion. */
        target.before = target.now;
        change = 0.0;
    }
    *accel = clamp(rate_towards(target.before - axis->v, limits) + change, least, most);
    const int meets = magnitude(axis->v + limits->tick * *accel - target.now) <= TOUCH * v_max;
    return meets ? 0u : acting(axis, *accel, bounds, v_max);
}

static profile_state axis_of(const kernel_state *state, uint32_t i) {
    return (profile_state){state->q[i], state->dq[i], state->ddq[i]};
}

static void axes_after(const kernel_state *state, const kernel_config *config, const double *accel,
                       profile_state *axes) {
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        const profile_limits limits = axis_limits(config, i);
        if (!is_gripper(config, i)) axes[i] = profile_tick(axis_of(state, i), accel[i], &limits);
    }
}

static void axes_between(const kernel_state *state, const kernel_config *config, const double *stop,
                         const double *wanted, double part, profile_state *axes) {
    double accel[KERNEL_MAX_AXES];
    for (uint32_t i = 0u; i < config->n_axes; i++)
        if (!is_gripper(config, i)) accel[i] = part * wanted[i] + (1.0 - part) * stop[i];
    axes_after(state, config, accel, axes);
}

static void take(kernel_state *state, const kernel_config *config, const profile_state *axes) {
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        if (is_gripper(config, i)) continue;
        state->q[i] = is_velocity(config, i) ? axes[i].q : clamp(axes[i].q, config->q_min[i], config->q_max[i]);
        state->dq[i] = axes[i].v;
        state->ddq[i] = axes[i].a;
    }
    for (uint32_t k = 0u; k < 3u; k++) {
        const int32_t i = config->base_axis[k];
        if (i < 0) continue;
        state->path[k] = state->q[i];
        state->path[k == 2u ? 4 : 3] += magnitude(state->dq[i]) * ((double)config->tick_ns * 1e-9);
    }
}

/* Looks at the stop from these axes with at most STOP_POSES of *poses. */
static uint64_t verify(const kernel_state *state, const kernel_config *config, const profile_state *axes,
                       uint32_t *poses, stop_certificate *stop) {
    uint32_t left = (uint32_t)smaller((double)*poses, STOP_POSES);
    *poses -= left;
    const uint64_t reasons = verify_stop(config, state->tightening.tool_speed_max_m_s, &state->base, axes, &left, stop);
    *poses += left;
    return reasons;
}

static void stop_accelerations(const kernel_state *state, const kernel_config *config, double *stop) {
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        const profile_limits limits = axis_limits(config, i);
        if (!is_gripper(config, i)) stop[i] = stop_accel(state->dq[i], state->ddq[i], &limits);
    }
}

/* Where axis i rests when it has been held too long, in the turn that it is in. */
static double retract_of(const kernel_state *state, const kernel_config *config, uint32_t i) {
    const double q = config->retract[i];
    return config->axis_kind[i] == KERNEL_AXIS_CONTINUOUS ? near_turn(q, state->q[i]) : q;
}

/* The wanted accelerations if their stop is verified, else as near to them as a verified stop allows, by one factor for
 * all axes, else the stop. */
static void move(kernel_state *state, const kernel_config *config, const double *wanted, motion_result *result) {
    double stop[KERNEL_MAX_AXES];
    profile_state axes[KERNEL_MAX_AXES];
    stop_certificate certificate;
    uint32_t poses = TICK_POSES;
    stop_accelerations(state, config, stop);
    axes_after(state, config, wanted, axes);
    const uint64_t refused = verify(state, config, axes, &poses, &result->stop);
    if (refused) {
        double low = 0.0;
        double high = 1.0;
        for (int i = 0; i < BISECTIONS; i++) {
            const double middle = 0.5 * (low + high);
            axes_between(state, config, stop, wanted, middle, axes);
            if (verify(state, config, axes, &poses, &certificate)) {
                high = middle;
            } else {
                low = middle;
                result->stop = certificate;
            }
        }
        axes_between(state, config, stop, wanted, low, axes);
        if (low == 0.0) {
            poses = MARGIN_POSES;
            (void)verify(state, config, axes, &poses, &result->stop);
        }
        result->accepted = low;
        result->reasons |= refused;
    } else {
        result->accepted = 1.0;
    }
    take(state, config, axes);
}

void motion_brake(kernel_state *state, const kernel_config *config, motion_result *result) {
    double stop[KERNEL_MAX_AXES];
    profile_state axes[KERNEL_MAX_AXES];
    uint32_t poses = MARGIN_POSES;
    stop_accelerations(state, config, stop);
    axes_after(state, config, stop, axes);
    (void)verify(state, config, axes, &poses, &result->stop);
    take(state, config, axes);
    state->has_target = 0u;
}

static uint64_t follow_gripper(kernel_state *state, const kernel_config *config, double wanted, uint32_t i) {
    const double goal = clamp(wanted, config->q_min[i], config->q_max[i]);
    const double reach = config->dq_max[i] * ((double)config->tick_ns * 1e-9);
    const int acts = goal != wanted || magnitude(goal - state->q[i]) > reach;
    const int held = (int)(state->over_grip >> i & 1u);
    const int up = (int)(config->closes_up >> i & 1u);
    const double low = held && !up ? state->q[i] : state->q[i] - reach;
    const double high = held && up ? state->q[i] : state->q[i] + reach;
    state->q[i] = clamp(goal, low, high);
    return acts ? KERNEL_BIT(LIMIT_GRIPPER) : 0u;
}

/* On the way towards an end where the velocity limit falls as the axis goes: seen from that limit, the acceleration that
 * lands on it. */
static double fall_towards(const kernel_config *config, uint32_t end, uint32_t i, const profile_state *axis, double most) {
    const double v = end == 0u ? -axis->v : axis->v;
    const double offset = config->end_speed_offset[end][i];
    const profile_limits limits = {config->ddq_max[i], CURVE_JERK * config->dddq_max[i],
                                   (double)config->tick_ns * 1e-9};
    const double rate = larger(0.0, 0.5 * config->end_speed_slope[end][i] * v / (most + offset));
    return rate_towards(most - v, &limits) - rate;
}

static axis_bounds bounds_of(const kernel_config *config, const profile_state *axis, uint32_t i, double scale) {
    axis_bounds bounds = {axis_limits(config, i), config->dq_max[i] * scale, {INFINITY, INFINITY}, {INFINITY, INFINITY}};
    for (uint32_t end = 0u; end < 2u; end++) {
        if (config->end_speed_slope[end][i] == 0.0) continue;
        bounds.end[end] = end_speed(config, end, i, axis->q + bounds.limits.tick * axis->v);
        bounds.fall[end] = fall_towards(config, end, i, axis, bounds.end[end]);
    }
    return bounds;
}

/* Where the setpoint has axis i, inside its limits. */
static double goal_of(const kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint, uint32_t i,
                      uint64_t *reasons) {
    const double wanted = setpoint_of(state, config, setpoint, i);
    if (is_velocity(config, i)) {
        const double goal = clamp(wanted, -config->dq_max[i], config->dq_max[i]);
        if (goal != wanted) *reasons |= KERNEL_BIT(LIMIT_VELOCITY);
        return goal;
    }
    const double goal = clamp(wanted, config->q_min[i], config->q_max[i]);
    if (goal != wanted) *reasons |= KERNEL_BIT(LIMIT_POSITION);
    return goal;
}

/* The acceleration that follows the setpoint with axis i; the limits that acted. */
static uint64_t follow_axis(kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint, double scale,
                            uint32_t i, double *accel) {
    const double tick = (double)config->tick_ns * 1e-9;
    const double v_max = config->dq_max[i];
    const profile_state axis = axis_of(state, i);
    const axis_bounds bounds = bounds_of(config, &axis, i, scale);
    uint64_t reasons = 0u;
    joint_target target;
    target.now = goal_of(state, config, setpoint, i, &reasons);
    target.before = state->has_target ? state->target[i] : told_now(state, config, i);
    target.speed = (target.now - target.before) / tick;
    target.speed_before = state->target_speed[i];
    state->target[i] = target.now;
    state->target_speed[i] = target.speed;
    return reasons | (is_velocity(config, i) ? shape_velocity(&axis, target, &bounds, v_max, accel)
                                             : shape(&axis, target, &bounds, v_max, accel));
}

void motion_follow(kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint,
                   motion_result *result) {
    const double posture = posture_speed_scale(config, state->q);
    const double told = smaller(state->tightening.speed_scale, setpoint->speed_scale);
    double wanted[KERNEL_MAX_AXES];
    result->speed_scale = smaller(told, posture);
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        if (is_gripper(config, i)) {
            result->reasons |= follow_gripper(state, config, setpoint->q[i], i);
            continue;
        }
        uint64_t reasons = follow_axis(state, config, setpoint, result->speed_scale, i, &wanted[i]);
        if (posture < told && (reasons & KERNEL_BIT(LIMIT_SPEED_SCALE)))
            reasons ^= KERNEL_BIT(LIMIT_SPEED_SCALE) | KERNEL_BIT(LIMIT_SINGULARITY);
        result->reasons |= reasons;
    }
    state->has_target = 1u;
    move(state, config, wanted, result);
}

void motion_retract(kernel_state *state, const kernel_config *config, motion_result *result) {
    const double told = smaller(state->tightening.speed_scale, config->retract_speed_scale);
    double wanted[KERNEL_MAX_AXES];
    stop_accelerations(state, config, wanted);
    result->speed_scale = smaller(told, posture_speed_scale(config, state->q));
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        if (!is_joint(config, i)) continue;
        const profile_state axis = axis_of(state, i);
        const axis_bounds bounds = bounds_of(config, &axis, i, result->speed_scale);
        const double goal = retract_of(state, config, i);
        const joint_target target = {goal, goal, 0.0, 0.0};
        (void)shape(&axis, target, &bounds, config->dq_max[i], &wanted[i]);
    }
    move(state, config, wanted, result);
}

int motion_at_rest(const kernel_state *state, const kernel_config *config) {
    for (uint32_t i = 0u; i < config->n_axes; i++)
        if (state->dq[i] != 0.0 || state->ddq[i] != 0.0) return 0;
    return 1;
}

int motion_retracted(const kernel_state *state, const kernel_config *config) {
    for (uint32_t i = 0u; i < config->n_axes; i++)
        if (is_joint(config, i) && magnitude(state->q[i] - retract_of(state, config, i)) > ARRIVED) return 0;
    return motion_at_rest(state, config);
}
