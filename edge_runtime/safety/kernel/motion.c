/* The next command: shaped joint by joint towards the setpoint, then taken only as far as its stop is verified. */
#include "motion.h"

#include <math.h>

#include "number.h"

/* Part of a limit below which it counts as touched rather than acting: rounding. */
#define TOUCH 1e-9
#define ARRIVED_RAD 1e-9
#define BISECTIONS 6
#define LANDING_BISECTIONS 10

/* Where a joint is to go: position now and speed, one tick before and speed there. */
typedef struct {
    double now, before, speed, speed_before;
} joint_target;

/* Velocity in force for joint i. */
typedef struct {
    profile_limits limits;
    double speed_max; /* with every scale in it */
} joint_bounds;

static double flip(int flipped, double x) { return flipped ? -x : x; }

/* The acceleration that lands on a speed this far away, up or down. */
static double rate_towards(double distance, const profile_limits *limits) {
    return flip(distance < 0.0, landing_rate(magnitude(distance), limits->jerk_max, limits->tick));
}

/* The accelerations that the next tick may have: jerk, acceleration, and landing on the speed limit. */
static void allowed(const profile_state *joint, const joint_bounds *bounds, double *low, double *high) {
    const profile_limits *limits = &bounds->limits;
    const double step = limits->jerk_max * limits->tick;
    const double least = larger(joint->a - step, -limits->accel_max);
    const double most = smaller(joint->a + step, limits->accel_max);
    *high = clamp(rate_towards(bounds->speed_max - joint->v, limits), least, most);
    *low = clamp(-rate_towards(bounds->speed_max + joint->v, limits), least, *high);
}

static double landing_error(const profile_state *relative, double a, const profile_limits *limits) {
    stop_profile profile;
    stop_profile_of(profile_tick(*relative, a, limits), limits, &profile);
    return profile.q_end;
}

/* Seen from the moving target, and from the side where the joint is not yet there: the largest acceleration whose stop
 * does not end beyond it. Reaches it as fast as the limits allow, at its speed, and from where it came. */
static double chase(const profile_state *joint, const joint_target *target, const joint_bounds *bounds) {
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
static int meet(const profile_state *joint, const joint_target *target, const joint_bounds *bounds, double v_max,
                double *accel) {
    const profile_limits *limits = &bounds->limits;
    const double tick = limits->tick;
    const double step = limits->jerk_max * tick;
    const double v = (target->now - joint->q) / tick;
    const double a = (v - joint->v) / tick;
    *accel = a;
    if (!(within(v, bounds->speed_max) && within(a, limits->accel_max) && within(a - joint->a, step))) return 0;
    if (magnitude(target->before - joint->q) <= TOUCH * v_max * tick) return 1;
    const double a_target = (target->speed - target->speed_before) / tick;
    const double a_next = (target->speed + a_target * tick - v) / tick;
    return within(a_next, limits->accel_max) && within(a_next - a, step) && within(a_target - a_next, step);
}

static uint64_t touched(double value, double limit, uint64_t reason) {
    return magnitude(value) >= limit * (1.0 - TOUCH) ? reason : 0u;
}

/* The limits that keep a joint with this acceleration from its target; between all of them it is about to land there. */
static uint64_t acting(const profile_state *joint, double accel, const joint_bounds *bounds, double v_max) {
    const profile_limits *limits = &bounds->limits;
    const uint64_t speed = bounds->speed_max < v_max ? KERNEL_BIT(LIMIT_SPEED_SCALE) : KERNEL_BIT(LIMIT_VELOCITY);
    const uint64_t reasons = touched(joint->v + limits->tick * accel, bounds->speed_max, speed) |
                             touched(accel, limits->accel_max, KERNEL_BIT(LIMIT_ACCELERATION)) |
                             touched(accel - joint->a, limits->jerk_max * limits->tick, KERNEL_BIT(LIMIT_JERK));
    return reasons ? reasons : KERNEL_BIT(LIMIT_ACCELERATION);
}

/* The acceleration wanted of one joint, inside what it may have; the limits that acted. */
static uint64_t shape(const profile_state *joint, joint_target target, const joint_bounds *bounds, double v_max,
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

static void joints_after(const kernel_state *state, const kernel_config *config, const double *accel,
                         profile_state *joints) {
    for (uint32_t i = 0u; i < config->n_joints; i++) {
        const profile_limits limits = joint_limits(config, i);
        const profile_state joint = {state->q[i], state->dq[i], state->ddq[i]};
        joints[i] = profile_tick(joint, accel[i], &limits);
    }
}

static void joints_between(const kernel_state *state, const kernel_config *config, const double *stop,
                           const double *wanted, double part, profile_state *joints) {
    double accel[KERNEL_MAX_AXES];
    for (uint32_t i = 0u; i < config->n_joints; i++) accel[i] = part * wanted[i] + (1.0 - part) * stop[i];
    joints_after(state, config, accel, joints);
}

static void take(kernel_state *state, const kernel_config *config, const profile_state *joints) {
    for (uint32_t i = 0u; i < config->n_joints; i++) {
        state->q[i] = clamp(joints[i].q, config->q_min[i], config->q_max[i]);
        state->dq[i] = joints[i].v;
        state->ddq[i] = joints[i].a;
    }
}

/* Looks at the stop from these joints with at most STOP_POSES of *poses. */
static uint64_t verify(const kernel_state *state, const kernel_config *config, const profile_state *joints,
                       uint32_t *poses, stop_certificate *stop) {
    uint32_t left = (uint32_t)smaller((double)*poses, STOP_POSES);
    *poses -= left;
    const uint64_t reasons = verify_stop(config, state->tightening.tool_speed_max_m_s, joints, &left, stop);
    *poses += left;
    return reasons;
}

static void stop_accelerations(const kernel_state *state, const kernel_config *config, double *stop) {
    for (uint32_t i = 0u; i < config->n_joints; i++) {
        const profile_limits limits = joint_limits(config, i);
        stop[i] = stop_accel(state->dq[i], state->ddq[i], &limits);
    }
}

/* The wanted accelerations if their stop is verified, else as near to them as a verified stop allows, by one factor for
 * all joints, else the stop. */
static void move(kernel_state *state, const kernel_config *config, const double *wanted, motion_result *result) {
    double stop[KERNEL_MAX_AXES];
    profile_state joints[KERNEL_MAX_AXES];
    stop_certificate certificate;
    uint32_t poses = TICK_POSES;
    stop_accelerations(state, config, stop);
    joints_after(state, config, wanted, joints);
    const uint64_t refused = verify(state, config, joints, &poses, &result->stop);
    if (refused) {
        double low = 0.0;
        double high = 1.0;
        for (int i = 0; i < BISECTIONS; i++) {
            const double middle = 0.5 * (low + high);
            joints_between(state, config, stop, wanted, middle, joints);
            if (verify(state, config, joints, &poses, &certificate)) {
                high = middle;
            } else {
                low = middle;
                result->stop = certificate;
            }
        }
        joints_between(state, config, stop, wanted, low, joints);
        if (low == 0.0) {
            poses = MARGIN_POSES;
            (void)verify(state, config, joints, &poses, &result->stop);
        }
        result->accepted = low;
        result->reasons |= refused;
    } else {
        result->accepted = 1.0;
    }
    take(state, config, joints);
}

void motion_brake(kernel_state *state, const kernel_config *config, motion_result *result) {
    double stop[KERNEL_MAX_AXES];
    profile_state joints[KERNEL_MAX_AXES];
    uint32_t poses = MARGIN_POSES;
    stop_accelerations(state, config, stop);
    joints_after(state, config, stop, joints);
    (void)verify(state, config, joints, &poses, &result->stop);
    take(state, config, joints);
    state->has_target = 0u;
}

static uint64_t follow_gripper(kernel_state *state, const kernel_config *config, double gripper_m, double tick) {
    const double opening = clamp(gripper_m, config->gripper_min_m, config->gripper_max_m);
    const double reach = config->gripper_rate_m_s * tick;
    const int acts = opening != gripper_m || magnitude(opening - state->gripper_m) > reach;
    state->gripper_m = clamp(opening, state->gripper_m - reach, state->gripper_m + reach);
    return acts ? KERNEL_BIT(LIMIT_GRIPPER) : 0u;
}

void motion_follow(kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint,
                   motion_result *result) {
    const double tick = (double)config->tick_ns * 1e-9;
    const double posture = posture_speed_scale(config, state->q);
    const double told = smaller(state->tightening.speed_scale, setpoint->speed_scale);
    double wanted[KERNEL_MAX_AXES];
    result->speed_scale = smaller(told, posture);
    for (uint32_t i = 0u; i < config->n_joints; i++) {
        const double v_max = config->dq_max[i];
        const joint_bounds bounds = {joint_limits(config, i), v_max * result->speed_scale};
        const profile_state joint = {state->q[i], state->dq[i], state->ddq[i]};
        joint_target target;
        target.now = clamp(setpoint->q[i], config->q_min[i], config->q_max[i]);
        target.before = state->has_target ? state->target_rad[i] : joint.q;
        target.speed = (target.now - target.before) / tick;
        target.speed_before = state->target_rad_s[i];
        if (target.now != setpoint->q[i]) result->reasons |= KERNEL_BIT(LIMIT_POSITION);
        uint64_t reasons = shape(&joint, target, &bounds, v_max, &wanted[i]);
        if (posture < told && (reasons & KERNEL_BIT(LIMIT_SPEED_SCALE)))
            reasons ^= KERNEL_BIT(LIMIT_SPEED_SCALE) | KERNEL_BIT(LIMIT_SINGULARITY);
        result->reasons |= reasons;
        state->target_rad[i] = target.now;
        state->target_rad_s[i] = target.speed;
    }
    state->has_target = 1u;
    result->reasons |= follow_gripper(state, config, setpoint->gripper_m, tick);
    move(state, config, wanted, result);
}

void motion_retract(kernel_state *state, const kernel_config *config, motion_result *result) {
    const double told = smaller(state->tightening.speed_scale, config->retract_speed_scale);
    double wanted[KERNEL_MAX_AXES];
    result->speed_scale = smaller(told, posture_speed_scale(config, state->q));
    for (uint32_t i = 0u; i < config->n_joints; i++) {
        const double v_max = config->dq_max[i];
        const joint_bounds bounds = {joint_limits(config, i), v_max * result->speed_scale};
        const profile_state joint = {state->q[i], state->dq[i], state->ddq[i]};
        const joint_target target = {config->retract_rad[i], config->retract_rad[i], 0.0, 0.0};
        (void)shape(&joint, target, &bounds, v_max, &wanted[i]);
    }
    move(state, config, wanted, result);
}

int motion_at_rest(const kernel_state *state, const kernel_config *config) {
    for (uint32_t i = 0u; i < config->n_joints; i++)
        if (state->dq[i] != 0.0 || state->ddq[i] != 0.0) return 0;
    return 1;
}

int motion_retracted(const kernel_state *state, const kernel_config *config) {
    for (uint32_t i = 0u; i < config->n_joints; i++)
        if (magnitude(state->q[i] - config->retract_rad[i]) > ARRIVED_RAD) return 0;
    return motion_at_rest(state, config);
}
