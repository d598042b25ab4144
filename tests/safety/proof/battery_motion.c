/* Questions about the kernel over time: streams that meet every bound exactly, and the fuzzer's. After every tick the
 * whole of verdict and state is the answer. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "battery.h"

#define MS 1000000
#define ROUND_TICKS 400u
#define FUZZ_TICKS 250u
#define FUZZ_ROBOTS 96u
/* Bases that are kept off what stands around them take longer to come near to it. */
#define BASE_TICKS 1500u
#define BASE_ROBOTS 12u
#define EDGE(x) ((x) - (x) * (DBL_EPSILON / 2)), (x), ((x) + (x) * DBL_EPSILON)

static fuzz_stream streams[FUZZ_ROBOTS];
static fuzz_stream bases[BASE_ROBOTS];

const double battery_edges[] = {
    EDGE(0.0),  5e-324, -5e-324, EDGE(1e-9), EDGE(1e-3), EDGE(1e-2), EDGE(0.1), EDGE(1.0), EDGE(-1.0), EDGE(60.0), EDGE(100.0),
    EDGE(-100.0), EDGE(1e3), EDGE(-1e3), EDGE(1e5), EDGE(1e6), EDGE(-1e6), EDGE(1e8), EDGE(0.0625), EDGE(0.125), 0.5, -0.5, 2.0, 59.0, 61.0, NAN, INFINITY,
    -INFINITY, EDGE(3.14), EDGE(1e4), EDGE(-1e4)};
const uint32_t battery_edges_count = sizeof battery_edges / sizeof *battery_edges;

void battery_round_robot(kernel_config *c, int with_geometry) {
    memset(c, 0, sizeof *c);
    c->n_axes = 2u;
    c->tick_ns = MS;
    for (uint32_t i = 0; i < c->n_axes; i++) {
        c->q_min[i] = -1.0;
        c->q_max[i] = 1.0;
        c->dq_max[i] = 1.0;
        c->ddq_max[i] = 8.0;
        c->dddq_max[i] = 512.0;
        c->tracking_max[i] = 0.25;
        c->tau_max[i] = 16.0;
        c->step_max[i] = 0.5;
        c->retract[i] = 0.125;
        c->rest_speed[i] = 0.0625;
        c->reset_tolerance[i] = 0.0625;
        c->start_tolerance[i] = 0.0078125;
        c->frozen_travel[i] = 0.03125;
    }
    for (uint32_t t = 0; t < KERNEL_MAX_TOOLS; t++) {
        c->force_max_n[t] = 40.0;
        c->moment_max_nm[t] = 10.0;
        c->tool_speed_max_m_s[t] = t == 0u ? 1.0 : 0.5 * (double)t;
    }
    for (uint32_t k = 0; k < 3u; k++) c->base_axis[k] = -1;
    c->retracts = 1u;
    c->retract_speed_scale = 0.5;
    c->clearance_min_m = 0.0;
    c->feedback_max_age_ns = 20 * MS;
    c->setpoint_max_age_ns = 20 * MS;
    c->observation_max_age_ns = 300 * MS;
    c->future_tolerance_ns = 5 * MS;
    c->play_max_ns = 4 * MS;
    c->hold_timeout_ns = 20 * MS;
    c->retract_timeout_ns = 60 * MS;
    c->debounce_ticks = 3u;
    c->jam_ticks = 4u;
    for (uint32_t i = 0; i < KERNEL_DIGEST_BYTES; i++) c->digest[i] = (uint8_t)(i + 1u);
    if (!with_geometry) return;
    geometry_model *g = &c->geometry;
    g->n_joints = g->n_axes = 2u;
    g->n_tools = 2u;
    g->n_capsules = 3u;
    g->n_pairs = 2u;
    g->n_planes = 2u;
    g->n_keepouts = 2u;
    for (uint32_t i = 0; i < 2u; i++) {
        g->joints[i].parent = (int32_t)i - 1;
        g->joints[i].axis = (int32_t)i;
        g->joints[i].ratio = 1.0;
        g->joints[i].rotation[0] = g->joints[i].rotation[4] = g->joints[i].rotation[8] = 1.0;
        g->joints[i].offset_m[0] = i == 0u ? 0.0 : 0.5;
        g->planes[i].normal[2 - i] = 1.0;
        g->planes[i].offset_m = -0.5;
        g->keepouts[i].min_m[i] = 2.0;
        g->keepouts[i].max_m[i] = 2.5;
        g->keepouts[i].radius_m = 0.125;
    }
    for (uint32_t k = 0; k < 3u; k++) {
        g->capsules[k].link = (int32_t)k - 1;
        g->capsules[k].in_world = k > 0u;
        g->capsules[k].b_m[0] = k == 0u ? -0.5 : 0.5;
        g->capsules[k].radius_m = 0.0625;
    }
    g->capsules[0].b_m[1] = -0.5;
    g->pairs[0][1] = 2u;
    g->pairs[1][0] = 1u;
    g->pairs[1][1] = 0u;
    g->tools[0].link = 1;
    g->tools[0].point_m[0] = 0.5;
    g->tools[1].link = 0;
    g->tools[1].point_m[1] = 0.25;
    geometry_derive(g);
    c->manipulability_slow_below = 0.125;
    c->manipulability_stop_below = 0.0625;
}

void battery_widen(kernel_config *c) {
    double *const fields[] = {c->q_min, c->q_max, c->dq_max, c->ddq_max, c->dddq_max, c->tracking_max, c->tau_max, c->step_max,
                              c->retract, c->rest_speed, c->reset_tolerance, c->start_tolerance, c->frozen_travel};
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
        for (uint32_t i = 1; i < KERNEL_MAX_AXES; i++) fields[k][i] = fields[k][0];
    c->n_axes = KERNEL_MAX_AXES;
}

void battery_junk(double *values, uint32_t from) {
    for (uint32_t i = from; i < KERNEL_MAX_AXES; i++) values[i] = i % 2u ? NAN : 7.0 + (double)i;
}

static void junk_config(kernel_config *c) {
    double *const fields[] = {c->q_min, c->q_max, c->dq_max, c->ddq_max, c->dddq_max,
                              c->tracking_max, c->tau_max, c->step_max, c->retract, c->rest_speed, c->reset_tolerance,
                              c->start_tolerance, c->frozen_travel, c->end_speed_slope[0], c->end_speed_slope[1]};
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) battery_junk(fields[k], c->n_axes);
    for (uint32_t i = c->n_axes; i < KERNEL_MAX_AXES; i++) c->axis_kind[i] = i % 5u;
}

static void junk_inputs(kernel_feedback *f, kernel_setpoint *p, uint32_t n) {
    battery_junk(f->q, n);
    battery_junk(f->dq, n);
    battery_junk(f->tau, n);
    battery_junk(p->q, n);
}

static void answer_state(answer *a, const kernel_state *state, const kernel_verdict *verdict) {
    answer_bytes(a, state, sizeof *state);
    answer_bytes(a, verdict, sizeof *verdict);
}

/* ---- streams of round numbers ---- */

typedef struct {
    uint64_t random;
    kernel_config config;
    kernel_state state;
    kernel_feedback feedback;
    kernel_setpoint setpoint;
    kernel_verdict verdict;
    int64_t now_ns;
    uint32_t calm;   /* ticks left without a fault */
    uint32_t period; /* of the driver's samples, in ticks */
    int sticks;      /* its encoders freeze now and then */
} round_stream;

static double one_of(uint64_t *random, const double *values, uint32_t count) { return values[fuzz_below(random, count)]; }
#define ONE_OF(s, ...) \
    one_of(&(s)->random, (const double[]){__VA_ARGS__}, sizeof(double[]){__VA_ARGS__} / sizeof(double))
#define WHOLE_OF(s, ...) ((const int64_t[]){__VA_ARGS__})[fuzz_below(&(s)->random, sizeof(int64_t[]){__VA_ARGS__} / 8u)]

static void bend_feedback(round_stream *s) {
    kernel_feedback *f = &s->feedback;
    const kernel_config *c = &s->config;
    const uint32_t i = fuzz_below(&s->random, c->n_axes);
    const double q = s->state.q[i], sign = ONE_OF(s, 1.0, -1.0);
    switch (fuzz_below(&s->random, 20u)) {
    case 0: f->stamp_ns = s->now_ns - WHOLE_OF(s, 20 * MS, 20 * MS + 1, -5 * MS, -5 * MS - 1, 0); break;
    case 1: f->seq = (uint64_t)WHOLE_OF(s, 0, (int64_t)s->state.feedback_seq, (int64_t)s->state.feedback_seq - 1); break;
    case 2: f->n = (uint32_t)WHOLE_OF(s, 0, 1, 3, 16, 17); break;
    case 3: f->present = 0u; break;
    case 4: f->torn = 1u; break;
    case 5: f->stop_line = 1u; break;
    case 6: f->wrench[fuzz_below(&s->random, 4u)][fuzz_below(&s->random, 6u)] = NAN; f->driver_fault = fuzz_below(&s->random, 2u); break;
    case 7: f->q[i] = q + sign * ONE_OF(s, EDGE(0.25), EDGE(0.0625)); break;
    case 8: f->dq[i] = sign * ONE_OF(s, EDGE(0.0625), NAN); break;
    case 9: f->tau[i] = sign * ONE_OF(s, EDGE(16.0), NAN); break;
    case 10: memcpy(f->wrench[fuzz_below(&s->random, 4u)], (const double[]){24.0 * sign, 32.0, 0.0}, 24u); break;
    case 11: memcpy(f->wrench[fuzz_below(&s->random, 4u)], (const double[]){0.0, 24.0, ONE_OF(s, EDGE(32.0))}, 24u); break;
    case 12: memcpy(f->wrench[fuzz_below(&s->random, 4u)] + 3, (const double[]){ONE_OF(s, EDGE(6.0)), 0.0, 8.0}, 24u); break;
    case 13: memcpy(f->wrench[fuzz_below(&s->random, 4u)] + 3, (const double[]){0.0, 6.0 * sign, ONE_OF(s, EDGE(8.0), INFINITY)}, 24u); break;
    case 14: f->watchdog_ns = (uint64_t)WHOLE_OF(s, 0, MS - 1, MS, MS + 1); break;
    case 15: f->stamp_ns = s->state.feedback_stamp_ns - WHOLE_OF(s, 0, 1, -1); break;
    case 16: f->q[i] = ONE_OF(s, EDGE(1.0), EDGE(-1.0), EDGE(1.0078125), NAN); break;
    case 17: f->has_odometry = 0u; break;
    case 18: f->odometry[fuzz_below(&s->random, 3u)] = sign * ONE_OF(s, NAN, INFINITY, EDGE(1e5)); break;
    default: f->q[i] = q + sign * ONE_OF(s, 6.283185307179586, 1e6, 1e7, EDGE(3.0)); break;
    }
}

static void bend_setpoint(round_stream *s) {
    kernel_setpoint *p = &s->setpoint;
    const uint32_t i = fuzz_below(&s->random, s->config.n_axes);
    switch (fuzz_below(&s->random, 11u)) {
    case 0: p->stamp_ns = s->now_ns - WHOLE_OF(s, 20 * MS, 20 * MS + 1, -5 * MS, -5 * MS - 1, 0); break;
    case 1: p->observation_ns = s->now_ns - WHOLE_OF(s, 300 * MS, 300 * MS + 1, -5 * MS, -5 * MS - 1); break;
    case 2: p->seq = s->state.setpoint_seq + (uint64_t)WHOLE_OF(s, 0, 1, 2, -1); break;
    case 3: p->n = (uint32_t)WHOLE_OF(s, 0, 1, 3); break;
    case 4: p->present = 0u; break;
    case 5: p->speed_scale = ONE_OF(s, 0.0, -0.5, EDGE(1.0), 0.5, 5e-324, NAN); break;
    case 6: p->q[i] = s->state.q[i] + ONE_OF(s, EDGE(0.5), EDGE(-0.5)); break;
    case 7: p->q[i] = ONE_OF(s, NAN, INFINITY, EDGE(1.0), EDGE(-1.0)); break;
    case 8: p->q[i] = s->state.q[i] + ONE_OF(s, EDGE(1e-3), EDGE(-1e-3), 6.283185307179586, -12.566370614359172, 3.2); break;
    case 9: p->policy = fuzz_below(&s->random, 5u); p->policy_lost_ns = s->now_ns - WHOLE_OF(s, 0, 4 * MS, 4 * MS + 1); break;
    default: p->policy = 1u + fuzz_below(&s->random, 3u); p->policy_lost_ns = s->now_ns - 3 * MS; break;
    }
}

static void send_requests(round_stream *s, answer *a) {
    const uint32_t state = s->state.state;
    uint32_t request = 0u;
    if (state == KERNEL_READY && fuzz_below(&s->random, 2u)) request = KERNEL_REQUEST_ARM;
    if (state == KERNEL_FAULT && fuzz_below(&s->random, 4u) == 0u) request = fuzz_below(&s->random, 3u) ? KERNEL_REQUEST_RESET : KERNEL_REQUEST_RESET_MOVED;
    if (fuzz_below(&s->random, 60u) == 0u) request = fuzz_below(&s->random, 7u);
    if (request) answer_whole(a, kernel_request(&s->state, &s->config, &s->feedback, request, s->now_ns));
    if (fuzz_below(&s->random, 25u) == 0u) {
        const kernel_tightening t = {ONE_OF(s, EDGE(1.0), EDGE(0.5), 0.0, -1.0, 5e-324, NAN, s->state.tightening.speed_scale),
                                     ONE_OF(s, EDGE(1.0), EDGE(0.5), 0.0, -1.0, NAN, s->state.tightening.tool_speed_max_m_s)};
        answer_whole(a, kernel_tighten(&s->state, &s->config, &t));
    }
}

static void rehearse(const kernel_state *state, const kernel_config *config, kernel_setpoint setpoint, answer *a) {
    kernel_setpoint setpoints[4];
    kernel_verdict verdicts[4];
    for (int k = 0; k < 4; k++) {
        setpoints[k] = setpoint;
        for (uint32_t i = 0; i < config->n_axes; i++) setpoints[k].q[i] = state->q[i] + 3e-5 * (double)k;
    }
    setpoints[2].present = 0u;
    kernel_rehearse(state, config, setpoints, 4u, verdicts);
    answer_bytes(a, verdicts, sizeof verdicts);
}

static void next_round(round_stream *s, uint32_t k) {
    static const int64_t strange[] = {0, -1, 1, MS - 1, 100 * MS, 100 * MS + 1, 5 * MS};
    kernel_feedback *f = &s->feedback;
    kernel_setpoint *p = &s->setpoint;
    const kernel_config *c = &s->config;
    const kernel_feedback last_sample = *f;
    const int odd = s->calm == 0u && fuzz_below(&s->random, 12u) == 0u;
    if (s->calm > 0u) s->calm--;
    if (s->state.state == KERNEL_READY && fuzz_below(&s->random, 3u)) s->calm = fuzz_below(&s->random, 90u);
    s->now_ns += odd && fuzz_below(&s->random, 3u) == 0u ? strange[fuzz_below(&s->random, 7u)] : c->tick_ns;
    *f = (kernel_feedback){.stamp_ns = s->now_ns, .seq = last_sample.seq + 1u, .n = c->n_axes, .present = 1u, .watchdog_ns = 100 * MS,
                           .has_torque = k % 3u != 0u, .has_wrench = k % 4u != 0u ? 15u >> k % 3u : 0u, .has_odometry = 1u};
    memcpy(f->q, s->verdict.q, sizeof f->q);
    for (uint32_t i = 0; i < c->n_axes; i++)
        if (c->axis_kind[i] == KERNEL_AXIS_VELOCITY) f->q[i] = 0.0, f->dq[i] = s->verdict.dq[i];
    for (uint32_t i = 0; i < 3u; i++) f->odometry[i] = 0.125 * s->verdict.q[0];
    if (s->sticks && (k >> 4) % 4u == 3u) memcpy(f->q, last_sample.q, sizeof f->q);
    if (k % s->period != 0u) *f = last_sample;
    const uint64_t last = p->seq > s->state.setpoint_seq ? p->seq : s->state.setpoint_seq;
    *p = (kernel_setpoint){.stamp_ns = s->now_ns, .observation_ns = s->now_ns, .seq = last + 1u, .n = c->n_axes,
                           .speed_scale = 1.0, .present = (k >> 5) % 4u != 3u, .policy = KERNEL_POLICY_ALIVE};
    p->bundle_digest[k % KERNEL_DIGEST_BYTES] = 7u;
    for (uint32_t i = 0; i < c->n_axes; i++) {
        /* Held, a step of the largest jerk, cruising, or anywhere in reach of a step. */
        const double way[] = {0.0, 0.512e-6, 2.5e-4, fuzz_uniform(&s->random, -0.5, 0.5)};
        const double at = c->axis_kind[i] == KERNEL_AXIS_VELOCITY ? s->state.dq[i] : s->state.q[i];
        p->q[i] = at + way[(k >> 3) % 4u] * (i == 1u ? -1.0 : 1.0);
    }
    if (odd) bend_feedback(s);
    if (s->calm == 0u && fuzz_below(&s->random, 8u) == 0u) bend_setpoint(s);
}

/* One axis, or both, of another kind; the joints of a geometry stay what they are. */
static void other_kinds(kernel_config *c, uint32_t variant) {
    const uint32_t kind = variant % 4u;
    if (c->geometry.n_joints > 0u) {
        if (variant % 2u == 0u) return;
        /* A third axis drives the base, or is a hand. */
        c->n_axes = c->geometry.n_axes = 3u;
        double *const fields[] = {c->q_min, c->q_max, c->dq_max, c->ddq_max, c->dddq_max, c->tracking_max, c->tau_max, c->step_max,
                                  c->retract, c->rest_speed, c->reset_tolerance, c->start_tolerance, c->frozen_travel};
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) fields[k][2] = fields[k][0];
        c->axis_kind[2] = variant % 8u == 7u ? KERNEL_AXIS_GRIPPER : KERNEL_AXIS_VELOCITY;
        if (c->axis_kind[2] == KERNEL_AXIS_GRIPPER) return;
        c->base_axis[variant / 2u % 3u] = 2;
        c->geometry.has_base = c->has_odometry = 1u;
        geometry_derive(&c->geometry);
        return;
    }
    for (uint32_t i = 0; i < 2u; i++) {
        if (variant / 4u % 4u == i) continue;
        c->axis_kind[i] = kind;
        if (kind == KERNEL_AXIS_CONTINUOUS) c->q_min[i] = -1e5, c->q_max[i] = 1e5;
        if (kind == KERNEL_AXIS_VELOCITY) c->base_axis[i] = (int32_t)i;
        if (kind == KERNEL_AXIS_BOUNDED && variant % 3u == 1u) {
            for (uint32_t end = 0; end < 2u; end++) {
                c->end_speed_slope[end][i] = 4.0;
                c->end_speed_offset[end][i] = 0.25 * (double)i;
                c->end_speed_zero[end][i] = end ? 1.0 : -1.0;
            }
        }
    }
    c->closes_up = variant;
}

static void ask_round(uint32_t variant, answer *a) {
    static round_stream s;
    memset(&s, 0, sizeof s);
    s.random = 0xabcd00u + variant * 7919u;
    battery_round_robot(&s.config, variant % 3u == 0u);
    s.config.retracts = variant % 2u;
    s.config.frozen_travel[0] = s.config.frozen_travel[1] = variant % 5u == 1u ? 1e-4 : 0.03125;
    other_kinds(&s.config, variant / 3u);
    /* Nothing to follow: holds, retracts and arrives. */
    const int alone = variant % 8u == 5u;
    if (alone) {
        s.config.retract_timeout_ns = 2000 * MS;
        s.config.retract[0] = s.config.retract[1] = 0.015625;
    }
    s.now_ns = 1000 * MS;
    s.period = variant % 4u == 2u ? 5u : 1u;
    s.sticks = variant % 5u == 1u;
    if (variant % 4u == 1u) s.config.feedback_max_age_ns = 6 * MS; /* a place on the trail for every tick */
    junk_config(&s.config);
    kernel_init(&s.state, &s.config);
    answer_bytes(a, &s.state, sizeof s.state);
    if (variant % 7u == 3u) s.state.state = KERNEL_STATE_COUNT + 1u; /* a flipped bit in memory */
    for (uint32_t k = 0; k < ROUND_TICKS; k++) {
        if (alone && s.state.state != KERNEL_READY) s.calm = 2u;
        next_round(&s, k);
        if (alone) s.setpoint.present = 0u;
        junk_inputs(&s.feedback, &s.setpoint, s.config.n_axes);
        kernel_step(&s.state, &s.config, &s.feedback, &s.setpoint, s.now_ns, &s.verdict);
        answer_state(a, &s.state, &s.verdict);
        send_requests(&s, a);
        if (k % 40u == 20u) rehearse(&s.state, &s.config, s.setpoint, a);
    }
}

/* ---- the fuzzer's streams ---- */

static void ask_stream(const fuzz_stream *stream, uint32_t ticks, answer *a) {
    static fuzz_stream s;
    kernel_state state;
    kernel_verdict verdict = {0};
    s = *stream;
    junk_config(&s.config);
    kernel_init(&state, &s.config);
    for (uint32_t k = 0; k < ticks; k++) {
        kernel_tightening tightening;
        fuzz_next(&s, k == 0u ? NULL : &verdict);
        junk_inputs(&s.feedback, &s.setpoint, s.config.n_axes);
        kernel_step(&state, &s.config, &s.feedback, &s.setpoint, s.now_ns, &verdict);
        answer_state(a, &state, &verdict);
        const uint32_t request = fuzz_request(&s, state.state);
        if (request) answer_whole(a, kernel_request(&state, &s.config, &s.feedback, request, s.now_ns));
        if (fuzz_tightening(&s, &tightening)) answer_whole(a, kernel_tighten(&state, &s.config, &tightening));
        if (k % 80u == 60u) rehearse(&state, &s.config, s.setpoint, a);
    }
}

static void ask_fuzz(uint32_t variant, answer *a) { ask_stream(&streams[variant], FUZZ_TICKS, a); }

static void ask_base(uint32_t variant, answer *a) { ask_stream(&bases[variant], BASE_TICKS, a); }

static int is_kept_off_things(const kernel_config *c) {
    return c->has_odometry && c->geometry.has_base && c->geometry.n_planes + c->geometry.n_keepouts > 0u;
}

void battery_prepare_streams(void) {
    uint64_t seed = 2000u;
    for (uint32_t i = 0; i < FUZZ_ROBOTS; i++) fuzz_open(&streams[i], 500u + i, i % 2u == 0u);
    for (uint32_t i = 0; i < BASE_ROBOTS; i++) do fuzz_open(&bases[i], seed++, 1); while (!is_kept_off_things(&bases[i].config));
}

const battery_group battery_motion[] = {{"round", ask_round, 80u}, {"fuzz", ask_fuzz, FUZZ_ROBOTS}, {"base", ask_base, BASE_ROBOTS}};
const uint32_t battery_motion_count = sizeof battery_motion / sizeof *battery_motion;
