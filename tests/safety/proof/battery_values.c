/* Questions about one call: numbers, configs, stops, geometry, states. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "battery.h"
#include "exports.h"
#include "motion.h"

#define ARMS 36u
#define SPECIAL (sizeof special / sizeof *special)

static const double special[] = {0.0,     -0.0,     1.0,        -1.0,       0.5,       2.0,      -2.0, 1.0 + DBL_EPSILON,
                                 DBL_MAX, -DBL_MAX, 5e-324,     -5e-324,    DBL_MIN,   1e-12,    3.0,  1e308,
                                 NAN,     INFINITY, -INFINITY};
static const int64_t whole[] = {0, 1, -1, 2, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, 1000,
                                /* One is the other with all bits turned, and so is their difference. */
                                -0x5555555555555556, 0x5555555555555555};

#define EDGE(x) nextafter(x, -INFINITY), x, nextafter(x, INFINITY)
static fuzz_stream arms[ARMS];

static void ask_numbers(uint32_t variant, answer *a) {
    const double x = special[variant];
    answer_number(a, export_magnitude(x));
    answer_whole(a, export_finite_number(x));
    for (size_t i = 0; i < SPECIAL; i++) {
        answer_number(a, export_smaller(x, special[i]));
        answer_number(a, export_larger(x, special[i]));
        for (size_t j = 0; j < SPECIAL; j++) {
            answer_number(a, export_clamp(x, special[i], special[j]));
            answer_whole(a, export_in_range(x, special[i], special[j]));
        }
    }
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        answer_whole(a, export_elapsed(whole[variant % (sizeof whole / sizeof *whole)], whole[i]));
}

static void ask_transitions(uint32_t variant, answer *a) {
    for (uint32_t event = 0; event < KERNEL_EVENT_COUNT + 3u; event++)
        answer_whole(a, kernel_transition(variant, event));
}

/* ---- configs ---- */

static void ask_config(const kernel_config *config, answer *a) {
    uint32_t index = 77u;
    answer_whole(a, kernel_config_check(config, &index));
    answer_whole(a, index);
    answer_whole(a, geometry_check(&config->geometry, &index));
    answer_whole(a, index);
}

/* Every number of the config in turn at every edge that there is. */
static void poke(kernel_config *config, void *field, answer *a) {
    double before;
    memcpy(&before, field, sizeof before);
    for (uint32_t i = 0; i < battery_edges_count; i++) {
        memcpy(field, &battery_edges[i], sizeof before);
        ask_config(config, a);
    }
    const double near[] = {EDGE(before - 1e-9), EDGE(before + 1e-9), before + 1e-8, before - 1e-8, -before};
    for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
        memcpy(field, &near[i], sizeof before);
        ask_config(config, a);
    }
    memcpy(field, &before, sizeof before);
}

static void poke_whole(kernel_config *config, void *field, size_t size, answer *a) {
    static const int64_t edges[] = {-2, -1, 0, 1, 2, 3, 4, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 1023, 1024, 1025, 9999, 10000, 10001,
                                    99999, 100000, 100001, 999999, 1000000, 1000001, 19999999, 20000000, 20000001, INT64_MAX, INT64_MIN};
    int64_t before = 0;
    memcpy(&before, field, size);
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        memcpy(field, &edges[i], size);
        ask_config(config, a);
    }
    memcpy(field, &before, size);
}

static void poke_axis(kernel_config *c, uint32_t i, answer *a) {
    double *const of_axis[] = {&c->q_min[i],           &c->q_max[i],           &c->dq_max[i],          &c->ddq_max[i],
                               &c->dddq_max[i],        &c->tracking_max[i],    &c->tau_max[i],         &c->step_max[i],
                               &c->retract[i],         &c->rest_speed[i],      &c->reset_tolerance[i], &c->start_tolerance[i],
                               &c->frozen_travel[i]};
    for (size_t k = 0; k < sizeof of_axis / sizeof *of_axis; k++) poke(c, of_axis[k], a);
    for (uint32_t end = 0; end < 2u; end++)
        for (int has = 0; has < 2; has++) {
            c->end_speed_slope[end][i] = has ? 4.0 : 0.0;
            poke(c, &c->end_speed_slope[end][i], a);
            poke(c, &c->end_speed_offset[end][i], a);
            poke(c, &c->end_speed_zero[end][i], a);
            c->end_speed_slope[end][i] = 0.0;
        }
    poke_whole(c, &c->axis_kind[i], sizeof c->axis_kind[i], a);
}

/* Each axis of every kind in turn; and what a base of two axes, of which one counts, must say of them. */
static void ask_kinds(uint32_t variant, answer *a) {
    static kernel_config c;
    battery_round_robot(&c, variant & 1u);
    for (uint32_t i = 0; i < 2u; i++) {
        const uint32_t kind = i == 0u ? variant / 2u % 4u : variant / 8u % 4u;
        c.axis_kind[i] = kind;
        if (kind == KERNEL_AXIS_CONTINUOUS) c.q_min[i] = -1e5, c.q_max[i] = 1e5;
    }
    for (uint32_t odometry = 0; odometry < 2u; odometry++) {
        c.has_odometry = odometry;
        ask_config(&c, a);
        for (uint32_t k = 0; k < 3u; k++) {
            for (int32_t other = -1; other < 2; other++) {
                c.base_axis[(k + 1u) % 3u] = other;
                poke_whole(&c, &c.base_axis[k], sizeof c.base_axis[k], a);
            }
            c.base_axis[(k + 1u) % 3u] = -1;
        }
        poke_axis(&c, 0u, a);
    }
}

/* Behind the last axis there is none, whatever stands there. */
static void ask_last_axis(uint32_t variant, answer *a) {
    static kernel_config c;
    battery_round_robot(&c, 0);
    c.has_odometry = variant;
    c.axis_kind[c.n_axes] = KERNEL_AXIS_VELOCITY;
    ask_config(&c, a);
    battery_widen(&c);
    for (uint32_t i = 0; i < KERNEL_MAX_AXES; i++) c.axis_kind[i] = KERNEL_AXIS_VELOCITY;
    for (uint32_t k = 0; k < 3u; k++) poke_whole(&c, &c.base_axis[k], sizeof c.base_axis[k], a);
}

static void ask_configs(uint32_t variant, answer *a) {
    static kernel_config c;
    battery_round_robot(&c, variant & 1u);
    c.retracts = variant & 2u;
    for (uint32_t i = 0; i < 2u; i++) {
        /* One limit at the edge of another's, or all so small that each can be at its own. */
        if (variant / 4u == 1u) c.ddq_max[i] = c.dddq_max[i] = 1.0;
        if (variant / 4u == 2u) c.dq_max[i] = c.ddq_max[i] = 1e-3, c.dddq_max[i] = 1e-2;
        if (variant / 4u == 3u) c.q_min[i] = -1e3, c.q_max[i] = 1e3;
    }
    ask_config(&c, a);
    for (uint32_t i = 0; i < c.n_axes; i++) poke_axis(&c, i, a);
    for (uint32_t t = 0; t < KERNEL_MAX_TOOLS; t++) {
        poke(&c, &c.force_max_n[t], a);
        poke(&c, &c.moment_max_nm[t], a);
        poke(&c, &c.tool_speed_max_m_s[t], a);
    }
    double *const scalars[] = {&c.retract_speed_scale, &c.clearance_min_m, &c.manipulability_slow_below,
                               &c.manipulability_stop_below};
    for (size_t k = 0; k < sizeof scalars / sizeof *scalars; k++) poke(&c, scalars[k], a);
    int64_t *const times[] = {&c.tick_ns,         &c.feedback_max_age_ns, &c.setpoint_max_age_ns, &c.observation_max_age_ns,
                              &c.play_max_ns,     &c.hold_timeout_ns,     &c.retract_timeout_ns,  &c.future_tolerance_ns};
    for (size_t k = 0; k < sizeof times / sizeof *times; k++) poke_whole(&c, times[k], sizeof *times[k], a);
    uint32_t *const counts[] = {&c.n_axes,           &c.debounce_ticks,      &c.jam_ticks,
                                &c.geometry.n_joints, &c.geometry.n_axes,    &c.geometry.n_capsules,
                                &c.geometry.n_pairs, &c.geometry.n_planes,   &c.geometry.n_keepouts,
                                &c.geometry.n_tools};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) poke_whole(&c, counts[k], sizeof *counts[k], a);
}

static void ask_geometry_configs(uint32_t variant, answer *a) {
    static kernel_config c;
    battery_round_robot(&c, 1);
    geometry_model *g = &c.geometry;
    const size_t parts[][2] = {{offsetof(geometry_model, joints), sizeof g->joints[0]},
                               {offsetof(geometry_model, capsules), sizeof g->capsules[0]},
                               {offsetof(geometry_model, planes), sizeof g->planes[0]},
                               {offsetof(geometry_model, keepouts), sizeof g->keepouts[0]},
                               {offsetof(geometry_model, reach_m), sizeof g->reach_m[0]},
                               {offsetof(geometry_model, ball_m), sizeof g->ball_m[0]},
                               {offsetof(geometry_model, pair_nearer_m), sizeof g->pair_nearer_m[0]},
                               {offsetof(geometry_model, base_reach_m), sizeof g->base_reach_m[0]},
                               {offsetof(geometry_model, tools), sizeof g->tools[0]},
                               {offsetof(geometry_model, tool_reach_m), sizeof g->tool_reach_m[0]},
                               {offsetof(geometry_model, tool_base_reach_m), sizeof g->tool_base_reach_m[0]}};
    const uint32_t part = variant % 11u, item = variant / 11u;
    char *at = (char *)g + parts[part][0] + item * parts[part][1];
    for (size_t k = 0; k < parts[part][1]; k += sizeof(double)) poke(&c, at + k, a);
    int32_t *const links[] = {&g->joints[item].parent, &g->capsules[item].link, &g->tools[item].link,
                              &g->joints[item].axis, (int32_t *)&g->joints[item].slides, (int32_t *)&g->pairs[item][0], (int32_t *)&g->pairs[item][1], &g->pair_root[item]};
    for (size_t k = 0; k < sizeof links / sizeof *links; k++) poke_whole(&c, links[k], sizeof *links[k], a);
    for (int k = 0; k < 2; k++) {
        /* A slide whose range and extent meet. */
        g->joints[item].slides = 1u;
        g->joints[item].ratio = k ? -0.5 : 1.0;
        g->joints[item].at_zero = 0.25;
        g->joints[item].extent_m = k ? 0.75 : 1.25;
        geometry_derive(g);
        ask_config(&c, a);
        poke(&c, &g->joints[item].extent_m, a);
        poke(&c, &g->joints[item].at_zero, a);
        poke(&c, &g->joints[item].ratio, a);
        c.q_min[item] = -1e3, c.q_max[item] = 1e3;
        poke(&c, &g->joints[item].ratio, a);
        c.q_min[item] = -1.0, c.q_max[item] = 1.0;
    }
    g->capsules[item].a_m[variant % 3u] = NAN;
    geometry_derive(g);
    answer_bytes(a, g, sizeof *g);
}

/* ---- stops ---- */

static void ask_stop(profile_state state, const profile_limits *limits, answer *a) {
    stop_profile profile;
    stop_profile_of(state, limits, &profile);
    for (uint32_t i = 0; i < profile.n_segments; i++) {
        const profile_segment *segment = &profile.segments[i];
        answer_bytes(a, &segment->state, sizeof segment->state);
        answer_number(a, segment->accel);
        answer_number(a, segment->step);
        answer_whole(a, segment->ticks);
    }
    const double ends[] = {profile.q_end, profile.q_low, profile.q_high, profile.speed_max};
    answer_bytes(a, ends, sizeof ends);
    answer_whole(a, profile.n_segments);
    answer_whole(a, profile.ticks);
    answer_whole(a, profile.peak_tick);
    answer_whole(a, profile.turns);
    for (uint32_t k = 0; k < 5u; k++) {
        double q, v;
        stop_profile_at(&profile, profile.ticks * k / 3u, limits->tick, &q, &v);
        answer_number(a, q);
        answer_number(a, v);
        stop_profile_at(&profile, k, limits->tick, &q, &v);
        answer_number(a, q);
    }
}

/* Braking so that releasing lands exactly, to the last bits of the comparison that tells it from swinging through. */
static void ask_release(double v, const profile_limits *limits, answer *a) {
    const double step = limits->jerk_max * limits->tick;
    const double speed = v < 0.0 ? -v : v;
    const double rate = fmin(limits->accel_max, landing_rate(speed, limits->jerk_max, limits->tick));
    profile_state s = {0.0, speed, -(rate + step) / (1.0 - 1e-12)};
    for (int k = 0; k < 4; k++) s.a = nextafter(s.a, 0.0);
    for (int k = 0; k < 9; k++) {
        ask_stop(s, limits, a);
        s.a = nextafter(s.a, -INFINITY);
    }
}

static void ask_stops(uint32_t variant, answer *a) {
    uint64_t random = 0x5eed0000u + variant;
    const int is_round = variant % 3u == 0u;
    for (uint32_t n = 0; n < 60u; n++) {
        profile_limits limits = {fuzz_decade(&random, -1, 3), fuzz_decade(&random, 0, 5), 1e-3};
        profile_state s = {fuzz_uniform(&random, -1, 1), fuzz_uniform(&random, -3, 3),
                           fuzz_uniform(&random, -1, 1) * limits.accel_max};
        if (is_round) {
            limits = (profile_limits){(double)(1u + fuzz_below(&random, 4u)) * 2.0, 4.0, 0.25};
            s.v = ((double)fuzz_below(&random, 65u) - 32.0) / 16.0;
            s.a = ((double)fuzz_below(&random, 9u) - 4.0) * 0.5;
        } else if (n % 3u == 1u) {
            s.v *= 1e-4;
        }
        if (fuzz_below(&random, 8u) == 0u) s.v = fuzz_below(&random, 2u) ? 0.0 : 1e-13 * limits.jerk_max * 1e-6;
        if (fuzz_below(&random, 8u) == 0u) s.a = fuzz_below(&random, 2u) ? 0.0 : limits.accel_max;
        answer_number(a, landing_rate(fuzz_below(&random, 9u) ? s.v : special[n % SPECIAL], limits.jerk_max, limits.tick));
        answer_number(a, stop_accel(s.v, s.a, &limits));
        const profile_state nearly = {0.0, 1e-12 * limits.jerk_max * limits.tick * limits.tick, 0.0};
        const profile_state rested = export_profile_tick(nearly, 0.0, &limits);
        answer_bytes(a, &rested, sizeof rested);
        ask_release(s.v, &limits, a);
        /* Along the stop: where it lands, rounding decides. */
        for (uint32_t k = 0; k < 6u; k++) {
            ask_stop(s, &limits, a);
            s = export_profile_tick(s, stop_accel(s.v, s.a, &limits), &limits);
            answer_bytes(a, &s, sizeof s);
        }
    }
}

/* ---- geometry ---- */

static void ask_pose(const geometry_model *g, const double *q, const double *dq, answer *a) {
    geometry_pose pose;
    geometry_places places;
    geometry_clearance clearance;
    double columns[GEOMETRY_MAX_LINKS][3];
    const double base[3] = {dq[0], 0.5 * dq[1] - 0.25, 3.0 * dq[1]};
    geometry_pose_at(g, base, q, &pose);
    geometry_places_at(g, &pose, &places);
    geometry_clearance_at(g, &pose, &clearance);
    answer_bytes(a, places.middle_m, g->n_capsules * sizeof places.middle_m[0]);
    answer_bytes(a, pose.rotation, g->n_joints * sizeof pose.rotation[0]);
    answer_bytes(a, pose.origin_m, g->n_joints * sizeof pose.origin_m[0]);
    answer_bytes(a, clearance.world_m, g->n_capsules * sizeof clearance.world_m[0]);
    answer_bytes(a, clearance.pair_m, g->n_pairs * sizeof clearance.pair_m[0]);
    answer_bytes(a, pose.base_rotation, sizeof pose.base_rotation);
    answer_bytes(a, pose.base_origin_m, sizeof pose.base_origin_m);
    for (uint32_t t = 0; t < g->n_tools; t++) {
        geometry_tool_columns(g, &pose, t, columns);
        answer_bytes(a, columns, g->n_joints * sizeof columns[0]);
        answer_number(a, geometry_manipulability(g, &pose, t));
    }
}

static void ask_arms(uint32_t variant, answer *a) {
    static kernel_config copy;
    const fuzz_stream *s = &arms[variant];
    uint64_t random = 99u + variant;
    double q[KERNEL_MAX_AXES];
    copy = s->config;
    for (uint32_t k = 0; k < 12u; k++) {
        for (uint32_t i = 0; i < copy.n_axes; i++) q[i] = k < 2u ? (double)k : fuzz_uniform(&random, -7.0, 7.0);
        /* A joint that does not move is a column of zeros. */
        const int32_t hand = copy.geometry.tools[0].link;
        if (k == 11u && copy.geometry.n_tools > 0u && hand >= 0) copy.geometry.joints[hand].ratio = 0.0;
        ask_pose(&copy.geometry, q, q, a);
        copy.manipulability_slow_below = 0.1 * (double)k;
        answer_number(a, posture_speed_scale(&copy, q));
    }
    memset(copy.geometry.reach_m, 0, sizeof copy.geometry.reach_m);
    memset(copy.geometry.ball_m, 0, sizeof copy.geometry.ball_m);
    memset(copy.geometry.pair_root, 0, sizeof copy.geometry.pair_root);
    memset(copy.geometry.base_reach_m, 0, sizeof copy.geometry.base_reach_m);
    memset(copy.geometry.tool_reach_m, 0, sizeof copy.geometry.tool_reach_m);
    memset(copy.geometry.tool_base_reach_m, 0, sizeof copy.geometry.tool_base_reach_m);
    geometry_derive(&copy.geometry);
    ask_config(&copy, a);
    answer_bytes(a, &copy.geometry, sizeof copy.geometry);
}

/* Segments and boxes on a grid: parallel, crossing, touching, points. */
static void ask_grid(uint32_t variant, answer *a) {
    static geometry_model g;
    uint64_t random = 5u + variant;
    const double rest[KERNEL_MAX_AXES] = {0.0};
    memset(&g, 0, sizeof g);
    g.n_joints = g.n_axes = g.n_tools = 1u;
    g.joints[0].ratio = 1.0;
    g.joints[0].parent = -1;
    g.joints[0].rotation[0] = g.joints[0].rotation[4] = g.joints[0].rotation[8] = 1.0;
    const int full = variant % 8u == 7u;
    g.n_capsules = full ? GEOMETRY_MAX_CAPSULES : 12u;
    g.n_pairs = full ? GEOMETRY_MAX_PAIRS : 30u;
    g.n_keepouts = full ? GEOMETRY_MAX_KEEPOUTS : variant % 4u;
    g.n_planes = full ? GEOMETRY_MAX_PLANES : variant / 2u % 4u;
    for (uint32_t c = 0; c < g.n_capsules; c++) {
        g.capsules[c].link = c % 2u ? 0 : -1;
        g.capsules[c].in_world = c % 5u != 4u;
        g.capsules[c].radius_m = 0.125;
        for (int k = 0; k < 3; k++) {
            g.capsules[c].a_m[k] = ((double)fuzz_below(&random, 5u) - 2.0) * 0.5;
            g.capsules[c].b_m[k] = ((double)fuzz_below(&random, 5u) - 2.0) * 0.5;
        }
    }
    for (uint32_t p = 0; p < g.n_pairs; p++) {
        g.pairs[p][0] = fuzz_below(&random, g.n_capsules);
        g.pairs[p][1] = fuzz_below(&random, g.n_capsules);
        g.pair_nearer_m[p] = p % 3u ? 0.0 : 0.0625;
    }
    for (uint32_t z = 0; z < g.n_keepouts; z++) {
        g.keepouts[z].radius_m = 0.25;
        for (int k = 0; k < 3; k++) {
            g.keepouts[z].min_m[k] = ((double)fuzz_below(&random, 9u) - 6.0) * 0.5;
            g.keepouts[z].max_m[k] = g.keepouts[z].min_m[k] + (double)fuzz_below(&random, 3u) * 0.5;
        }
    }
    for (uint32_t p = 0; p < g.n_planes; p++) {
        g.planes[p].normal[p % 3u] = p < 3u ? 1.0 : -1.0;
        g.planes[p].offset_m = -3.0;
    }
    ask_pose(&g, rest, rest, a);
}

/* A segment that is as far from a point as four times its half length, which is where exactness begins. */
static void ask_far(uint32_t variant, answer *a) {
    static geometry_model g;
    const double rest[KERNEL_MAX_AXES] = {0.0};
    memset(&g, 0, sizeof g);
    g.n_joints = g.n_axes = g.n_tools = g.n_capsules = g.n_keepouts = 1u;
    g.joints[0].ratio = 1.0;
    g.joints[0].parent = -1;
    g.joints[0].rotation[0] = g.joints[0].rotation[4] = g.joints[0].rotation[8] = 1.0;
    g.capsules[0].link = -1;
    g.capsules[0].in_world = 1u;
    g.capsules[0].b_m[variant] = 0.5;
    for (uint32_t k = 0; k < 3u; k++) g.keepouts[0].min_m[k] = g.keepouts[0].max_m[k] = k == variant ? 0.25 : 0.0;
    g.keepouts[0].min_m[(variant + 1u) % 3u] = g.keepouts[0].max_m[(variant + 1u) % 3u] = 1.0;
    ask_pose(&g, rest, rest, a);
}

static void ask_angles(uint32_t variant, answer *a) {
    uint64_t random = 3u + variant;
    for (uint32_t k = 0; k < 200u; k++) {
        double sine, cosine;
        const double x = k < 64u ? ((double)k - 32.0) * 0.7853981633974483 : fuzz_uniform(&random, -1e3, 1e3);
        geometry_sine_cosine(variant ? x : 0.03125 * ((double)k - 100.0), &sine, &cosine);
        answer_number(a, sine);
        answer_number(a, cosine);
    }
}

const fuzz_stream *battery_arm(uint32_t variant) { return &arms[variant % ARMS]; }

static int is_chain_of(const geometry_model *g, uint32_t n) {
    for (uint32_t i = 0; i < g->n_joints; i++)
        if (g->joints[i].parent != (int32_t)i - 1) return 0;
    return g->n_joints == n;
}

void battery_prepare(void) {
    /* Six joints are where the manipulability changes its form. */
    static const uint32_t wanted[] = {6u, 14u, 5u, 7u};
    uint64_t seed = 100u;
    for (uint32_t i = 0; i < ARMS; i++) do {
            fuzz_open(&arms[i], seed++, 1);
        } while (i < 8u && !is_chain_of(&arms[i].config.geometry, wanted[i % 4u]));
}

const battery_group battery_values[] = {
    {"numbers", ask_numbers, SPECIAL},       {"transitions", ask_transitions, KERNEL_STATE_COUNT + 2u},
    {"angles", ask_angles, 2u},              {"grid", ask_grid, 40u}, {"far", ask_far, 3u},
    {"arms", ask_arms, ARMS},                {"stops", ask_stops, 40u},
    {"configs", ask_configs, 16u},            {"geometry configs", ask_geometry_configs, 22u},
    {"kinds", ask_kinds, 32u},                {"last axis", ask_last_axis, 2u},
};
const uint32_t battery_values_count = sizeof battery_values / sizeof *battery_values;
