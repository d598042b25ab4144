/* The kernel's own rooms, seen from each other; nobody else includes this. */
#ifndef EDGE_RUNTIME_MOTION_H
#define EDGE_RUNTIME_MOTION_H

#include "kernel.h"
#include "profile.h"

/* Looks at the geometry that one stop may take, all stops of one tick together, and one whose margins alone are told: they
 * bound the cost of a tick. */
enum { STOP_POSES = 32, TICK_POSES = 64, MARGIN_POSES = 8 };

/* What a verified stop leaves. */
typedef struct {
    double margin; /* in the unit of margin_axis */
    double margin_m;
    double ticks; /* to rest */
    uint32_t margin_axis;
    uint32_t looked, measured; /* what it cost: looks at pairs, and how many of them took more than their balls */
} stop_certificate;

#define NO_STOP {.margin = KERNEL_NO_MARGIN_M, .margin_m = KERNEL_NO_MARGIN_M}

/* What one tick did. */
typedef struct {
    uint64_t reasons;
    double accepted;
    double speed_scale;
    stop_certificate stop;
} motion_result;

/* ---- walk.c: is the stop from here inside every limit? ---- */

static inline int is_gripper(const kernel_config *config, uint32_t i) {
    return config->axis_kind[i] == KERNEL_AXIS_GRIPPER;
}

static inline int is_velocity(const kernel_config *config, uint32_t i) {
    return config->axis_kind[i] == KERNEL_AXIS_VELOCITY;
}

/* A joint: its q is a position, of which the whole robot's stop is made. */
static inline int is_joint(const kernel_config *config, uint32_t i) {
    return config->axis_kind[i] <= KERNEL_AXIS_CONTINUOUS;
}

/* Whether where the base is in the world decides what it may. */
static inline int needs_odometry(const kernel_config *config) {
    return config->has_odometry && config->geometry.has_base &&
           config->geometry.n_planes + config->geometry.n_keepouts > 0u;
}

/* Limits of axis i in the form of profile.h. */
static inline profile_limits axis_limits(const kernel_config *config, uint32_t i) {
    return (profile_limits){config->ddq_max[i], config->dddq_max[i], (double)config->tick_ns * 1e-9};
}

/* Smallest distance to the end of a range, where the axes are now. */
void rest_margin(const kernel_config *config, const double *q, stop_certificate *stop);

/* 0, or the limits that a full stop from these states of the axes would leave, or could not be shown to keep with `poses`
 * looks at the geometry. *poses is what is left of them. Of a gripper nothing is looked at. */
uint64_t verify_stop(const kernel_config *config, double tool_speed_max_m_s, const kernel_base *base,
                     const profile_state *axes, uint32_t *poses, stop_certificate *stop);

/* Velocity limit of axis i on its way towards the end (0: q_min, 1: q_max) at q, where it has one of its own there. */
double end_speed(const kernel_config *config, uint32_t end, uint32_t i, double q);

/* Part of full speed that the posture allows: less than 1 near a singularity. */
double posture_speed_scale(const kernel_config *config, const double *q);

/* ---- motion.c: the next command ---- */

void motion_follow(kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint,
                   motion_result *result);
void motion_retract(kernel_state *state, const kernel_config *config, motion_result *result);
void motion_brake(kernel_state *state, const kernel_config *config, motion_result *result);
int motion_at_rest(const kernel_state *state, const kernel_config *config);
int motion_retracted(const kernel_state *state, const kernel_config *config);

/* ---- checks.c: what is wrong with what came in ---- */

#define FEEDBACK_BAD                                                                                     \
    (KERNEL_BIT(FEEDBACK_SHAPE) | KERNEL_BIT(FEEDBACK_NOT_FINITE) | KERNEL_BIT(FEEDBACK_STALE) |         \
     KERNEL_BIT(FEEDBACK_FUTURE) | KERNEL_BIT(FEEDBACK_SEQUENCE) | KERNEL_BIT(ODOMETRY_LOST))

uint64_t check_clock(const kernel_state *state, const kernel_feedback *feedback, int64_t now_ns);
uint64_t check_feedback(const kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                        int64_t now_ns);
uint64_t check_stop_inputs(const kernel_feedback *feedback);

/* Time between two places of the trail of commands, but for the tick that ends it. */
int64_t trail_step_ns(const kernel_config *config);

/* An angle in the turn that is nearest to another one; as it is where it is out of all reason. */
double near_turn(double angle, double other);

/* What axis i is told: a position, or a velocity. */
static inline double told_now(const kernel_state *state, const kernel_config *config, uint32_t i) {
    return is_velocity(config, i) ? state->dq[i] : state->q[i];
}

/* The setpoint of axis i, in the turn of the last command. */
static inline double setpoint_of(const kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint,
                                 uint32_t i) {
    const double q = setpoint->q[i];
    return config->axis_kind[i] == KERNEL_AXIS_CONTINUOUS ? near_turn(q, state->q[i]) : q;
}

/* Remembers where the base is by this feedback, which is good. */
void locate_base(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback);

/* Where the base is now, by what is remembered. */
void carry_base(kernel_state *state, const kernel_config *config);

/* Of good feedback, while armed: tracking, frozen encoders, torque, force and grippers, against the commands of the time
 * when it was sampled. Remembers in state; whether the sample is a new one is told from the number and stamp of the last one there. */
uint64_t check_following(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback);

/* What makes a setpoint unusable whenever it comes. */
uint64_t check_values(const kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint);

/* The same, with its age, its number and its source. Remembers its number. */
uint64_t check_setpoint(kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoint,
                        int64_t now_ns);
uint64_t check_policy(const kernel_config *config, const kernel_setpoint *setpoint, int64_t now_ns);

#endif
