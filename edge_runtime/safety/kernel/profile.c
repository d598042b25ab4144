/* See profile.h. edge_runtime/safety/reference repeats this file line for line. */
#include "profile.h"

#include <math.h>

#include "number.h"

static double landing_ticks(double distance, double slope, double tick) {
    return floor((sqrt(1.0 + 8.0 * (distance / (slope * tick * tick))) - 1.0) * 0.5);
}

double landing_rate(double distance, double slope, double tick) {
    const double way = larger(0.0, distance);
    const double n = landing_ticks(way, slope, tick);
    return (way / tick + slope * tick * (n * (n + 1.0) * 0.5)) / (n + 1.0);
}

static double braking_rate(double speed, const profile_limits *limits) {
    return smaller(limits->accel_max, landing_rate(speed, limits->jerk_max, limits->tick));
}

double stop_accel(double v, double a, const profile_limits *limits) {
    const double step = limits->jerk_max * limits->tick;
    const double rate = braking_rate(magnitude(v), limits);
    return clamp(v > 0.0 ? -rate : rate, a - step, a + step);
}

static double segment_speed(const profile_segment *segment, double k, double tick) {
    return segment->state.v + tick * (k * segment->accel + segment->step * (k * (k - 1.0) * 0.5));
}

static double segment_position(const profile_segment *segment, double k, double tick) {
    const double bends = segment->accel * (k * (k + 1.0) * 0.5) + segment->step * ((k - 1.0) * k * (k + 1.0) / 6.0);
    return segment->state.q + tick * (k * segment->state.v + tick * bends);
}

static void reach(stop_profile *profile, double q) {
    profile->q_low = smaller(profile->q_low, q);
    profile->q_high = larger(profile->q_high, q);
}

/* Appends a segment; the state after it. */
static profile_state append(stop_profile *profile, const profile_segment *segment, double tick) {
    const double k = (double)segment->ticks;
    const profile_state end = {segment_position(segment, k, tick), segment_speed(segment, k, tick),
                               segment->accel + (k - 1.0) * segment->step};
    profile->segments[profile->n_segments] = *segment;
    profile->n_segments++;
    profile->ticks += segment->ticks;
    reach(profile, end.q);
    return end;
}

/* How hard it brakes is counted in steps of jerk, speed in what one step changes in one tick. */

/* Braking so hard that releasing by one step per tick still swings through rest: until just behind it. After k ticks the
 * speed is y - k b + k (k + 1) / 2. */
static profile_state swing_through(profile_state state, double side, const profile_limits *limits,
                                   stop_profile *profile) {
    const double step = limits->jerk_max * limits->tick;
    const double twice = -2.0 * (side * state.a) / step - 1.0;
    const double y = side * state.v / (step * limits->tick);
    const double ticks = ceil((twice - sqrt(twice * twice - 8.0 * y)) * 0.5);
    const profile_segment segment = {state, state.a + side * step, side * step, (uint32_t)ticks};
    reach(profile, segment_position(&segment, ticks - 1.0, limits->tick));
    const profile_state end = append(profile, &segment, limits->tick);
    profile->turns = 1u;
    profile->peak_tick = segment.ticks;
    return end;
}

/* Brakes harder by one step per tick until it may not, or until it must begin to land: with d = n + f steps of braking in
 * the next tick, f a fraction, it can land from a speed of (n + 1) (n / 2 + f). */
static profile_state build_up(profile_state state, double side, const profile_limits *limits, stop_profile *profile) {
    const double step = limits->jerk_max * limits->tick;
    const double b = side * state.a / step;
    const double y = side * state.v / (step * limits->tick);
    const double m = floor(1.0 - b);
    const double f = 1.0 - b - m;
    const double square = f * f - f + y + m * (m - 1.0) * 0.5 + m * f;
    const double must_land = ceil(sqrt(larger(0.0, square)) - f) - m;
    const double may_not = ceil(limits->accel_max / step + b - 1.0);
    const double ticks = larger(0.0, smaller(must_land, may_not));
    const profile_segment segment = {state, state.a - side * step, -side * step, (uint32_t)ticks};
    const double peak = clamp(floor(b), 0.0, ticks);
    profile->peak_tick += (uint32_t)peak;
    profile->speed_max = larger(profile->speed_max, side * segment_speed(&segment, peak, limits->tick));
    return append(profile, &segment, limits->tick);
}

/* As hard as it may, until the landing begins. */
static profile_state hold_braking(profile_state state, double side, const profile_limits *limits,
                                  stop_profile *profile) {
    const double step = limits->jerk_max * limits->tick;
    const double n = floor(limits->accel_max / step);
    const double landing = limits->tick * ((n + 1.0) * limits->accel_max - step * (n * (n + 1.0) * 0.5));
    const double ticks = floor((side * state.v - landing) / (limits->accel_max * limits->tick)) + 1.0;
    const profile_segment segment = {state, -side * limits->accel_max, 0.0, (uint32_t)larger(0.0, ticks)};
    return append(profile, &segment, limits->tick);
}

static void land(profile_state state, double side, const profile_limits *limits, stop_profile *profile) {
    const double speed = side * state.v;
    const double ticks = landing_ticks(speed, limits->jerk_max, limits->tick) + 1.0;
    const profile_segment segment = {state, -side * landing_rate(speed, limits->jerk_max, limits->tick),
                                     side * limits->jerk_max * limits->tick, (uint32_t)ticks};
    profile->q_end = append(profile, &segment, limits->tick).q;
    profile->ticks++; /* in which the last acceleration goes to zero */
}

void stop_profile_of(profile_state state, const profile_limits *limits, stop_profile *profile) {
    const double step = limits->jerk_max * limits->tick;
    double side = state.v > 0.0 || (state.v == 0.0 && state.a > 0.0) ? 1.0 : -1.0;
    *profile = (stop_profile){.q_low = state.q, .q_high = state.q, .speed_max = magnitude(state.v)};
    if (side * state.a * (1.0 - PROFILE_REST) + step < -braking_rate(magnitude(state.v), limits)) {
        state = swing_through(state, side, limits, profile);
        side = -side;
    }
    state = build_up(state, side, limits, profile);
    state = hold_braking(state, side, limits, profile);
    land(state, side, limits, profile);
}

void stop_profile_at(const stop_profile *profile, uint32_t ticks, double tick_s, double *q, double *v) {
    for (uint32_t i = 0u; i < profile->n_segments; i++) {
        const profile_segment *segment = &profile->segments[i];
        if (ticks < segment->ticks) {
            *q = segment_position(segment, (double)ticks, tick_s);
            *v = segment_speed(segment, (double)ticks, tick_s);
            return;
        }
        ticks -= segment->ticks;
    }
    *q = profile->q_end;
    *v = 0.0;
}
