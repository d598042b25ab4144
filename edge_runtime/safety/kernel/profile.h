/* How one joint stops: the fastest stop inside its acceleration and jerk limits, tick by tick and in closed form.
 *
 * A tick of T seconds turns (q, v, a) into a' = next acceleration, v' = v + T a', q' = q + T v'. The stop law takes
 * a' = -sgn(v) min(A, landing_rate(|v|, J)), as far as a +- J T lets it (safety reference 2B). stop_profile_of() is the
 * same sequence of ticks as a handful of segments of constant jerk, so that its extremes cost no loop over ticks.
 */
#ifndef EDGE_RUNTIME_PROFILE_H
#define EDGE_RUNTIME_PROFILE_H

#include <stdint.h>

#include "number.h"

#define PROFILE_MAX_SEGMENTS 4

typedef struct {
    double q, v, a;
} profile_state;

typedef struct {
    double accel_max, jerk_max, tick;
} profile_limits;

/* `ticks` ticks from `state`, with accelerations accel, accel + step, accel + 2 step, ... */
typedef struct {
    profile_state state;
    double accel, step;
    uint32_t ticks;
} profile_segment;

typedef struct {
    profile_segment segments[PROFILE_MAX_SEGMENTS];
    uint32_t n_segments;
    uint32_t ticks;       /* until at rest */
    uint32_t peak_tick;   /* from here on |v| only falls */
    uint32_t turns;       /* it swings back on its way */
    double q_end;
    double q_low, q_high; /* over all ticks, the first state included */
    double speed_max;     /* largest |v|, the first state included */
} stop_profile;

/* Largest rate from which steps of slope * tick lead to zero while the sum of rate * tick is exactly `distance`
 * (safety reference 2A, beta); 0 for a distance that is not above 0. */
double landing_rate(double distance, double slope, double tick);

/* The next acceleration of the stop law. */
double stop_accel(double v, double a, const profile_limits *limits);

/* A speed below this part of what one tick of jerk changes is rounding, and so is braking too hard by this part of it. */
#define PROFILE_REST 1e-12

/* One tick with acceleration a; a speed within rounding of zero becomes zero. */
static inline profile_state profile_tick(profile_state state, double a, const profile_limits *limits) {
    const double v = state.v + limits->tick * a;
    const double rounding = PROFILE_REST * limits->jerk_max * limits->tick * limits->tick;
    const double next = magnitude(v) <= rounding ? 0.0 : v;
    return (profile_state){state.q + limits->tick * next, next, a};
}

/* Needs |state.a| <= accel_max. */
void stop_profile_of(profile_state state, const profile_limits *limits, stop_profile *profile);

/* Position and speed after `ticks` ticks of the stop. */
void stop_profile_at(const stop_profile *profile, uint32_t ticks, double tick_s, double *q, double *v);

#endif
