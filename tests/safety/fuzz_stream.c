/* See fuzz_stream.h. */
#include "fuzz_stream.h"

#include <stddef.h>
#include <string.h>

#define MS 1000000

uint64_t fuzz_bits(uint64_t *random) {
    uint64_t x = *random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *random = x;
    return x * 0x2545f4914f6cdd1dull;
}

uint32_t fuzz_below(uint64_t *random, uint32_t n) { return (uint32_t)(fuzz_bits(random) >> 32) % n; }

double fuzz_uniform(uint64_t *random, double low, double high) {
    return low + (high - low) * ((double)(fuzz_bits(random) >> 11) / 9007199254740992.0);
}

double fuzz_decade(uint64_t *random, int low, int high) {
    double value = fuzz_uniform(random, 1.0, 10.0);
    int power = low + (int)fuzz_below(random, (uint32_t)(high - low));
    for (; power > 0; power--) value *= 10.0;
    for (; power < 0; power++) value /= 10.0;
    return value;
}

static int once_in(fuzz_stream *s, uint32_t n) { return fuzz_below(&s->random, n) == 0u; }

static double weird(fuzz_stream *s) {
    static const double values[] = {5e-324, -5e-324, 1.7e308, -1.7e308, 2.2e-308, 1e300, -1e9, 0.0, -0.0};
    const uint32_t i = fuzz_below(&s->random, 24u);
    if (i < sizeof values / sizeof *values) return values[i];
    uint64_t raw = fuzz_bits(&s->random);
    if (i == 20u) raw = 0x7ff8000000000000ull;
    if (i == 21u) raw = 0x7ff0000000000000ull;
    if (i == 22u) raw = 0xfff0000000000000ull;
    double any;
    memcpy(&any, &raw, sizeof any);
    return any;
}

/* From where to where the setpoints of an axis go. */
static void ends_of(const kernel_config *c, uint32_t i, double *low, double *high) {
    *low = c->q_min[i];
    *high = c->q_max[i];
    if (c->axis_kind[i] == KERNEL_AXIS_VELOCITY) *low = -c->dq_max[i], *high = c->dq_max[i];
    if (c->axis_kind[i] == KERNEL_AXIS_CONTINUOUS) *low = -9.0, *high = 9.0;
}

static void random_end(fuzz_stream *s, uint32_t i, uint32_t end) {
    kernel_config *c = &s->config;
    const double slope = c->ddq_max[i] * fuzz_uniform(&s->random, 0.3, 1.95);
    const double offset = once_in(s, 2u) ? 0.0 : 0.1 * c->dq_max[i];
    const double beyond = once_in(s, 2u) ? offset * offset / slope : fuzz_uniform(&s->random, -0.001, 0.01);
    c->end_speed_slope[end][i] = slope;
    c->end_speed_offset[end][i] = offset;
    c->end_speed_zero[end][i] = end == 0u ? c->q_min[i] - beyond : c->q_max[i] + beyond;
}

static void random_axis(fuzz_stream *s, uint32_t i, int extreme) {
    kernel_config *c = &s->config;
    const double middle = fuzz_uniform(&s->random, -3.0, 3.0);
    const double half = fuzz_decade(&s->random, -3, 1);
    const int turns = c->axis_kind[i] == KERNEL_AXIS_CONTINUOUS;
    const int drives = c->axis_kind[i] == KERNEL_AXIS_VELOCITY;
    double low, high;
    c->q_min[i] = turns ? -1e5 : middle - half;
    c->q_max[i] = turns ? 1e5 : middle + half;
    c->dq_max[i] = extreme ? fuzz_decade(&s->random, -3, 3) : fuzz_decade(&s->random, -1, 1);
    c->ddq_max[i] = extreme ? fuzz_decade(&s->random, -3, 5) : fuzz_decade(&s->random, 0, 3);
    c->dddq_max[i] = extreme ? fuzz_decade(&s->random, -2, 8) : fuzz_decade(&s->random, 1, 5);
    c->tracking_max[i] = 0.2;
    c->tau_max[i] = 50.0;
    c->step_max[i] = 1e3;
    c->rest_speed[i] = 0.05;
    c->reset_tolerance[i] = 0.05;
    c->frozen_travel[i] = fuzz_decade(&s->random, -4, -1);
    for (uint32_t end = 0u; end < 2u; end++)
        if (c->axis_kind[i] == KERNEL_AXIS_BOUNDED && once_in(s, 4u)) random_end(s, i, end);
    ends_of(c, i, &low, &high);
    c->retract[i] = fuzz_uniform(&s->random, low, high);
    s->real[i] = drives ? 0.0 : fuzz_uniform(&s->random, low, high);
}

/* Mostly an arm with a hand, now and then on a base that drives, now and then anything. */
static void random_kinds(fuzz_stream *s) {
    kernel_config *c = &s->config;
    uint64_t *r = &s->random;
    const int mixed = once_in(s, 2u);
    uint32_t drives = 0u;
    for (uint32_t k = 0u; k < 3u; k++) c->base_axis[k] = -1;
    for (uint32_t i = 0u; i < c->n_axes; i++) {
        c->axis_kind[i] = mixed && once_in(s, 4u) ? KERNEL_AXIS_CONTINUOUS : KERNEL_AXIS_BOUNDED;
        if (once_in(s, mixed ? 4u : 8u)) c->axis_kind[i] = KERNEL_AXIS_GRIPPER;
        if (mixed && drives < 3u && once_in(s, 5u)) {
            const uint32_t k = fuzz_below(r, 3u);
            if (c->base_axis[k] != -1) continue;
            c->axis_kind[i] = KERNEL_AXIS_VELOCITY;
            c->base_axis[k] = (int32_t)i;
            drives++;
        }
    }
    c->has_odometry = fuzz_below(r, 5u) != 0u;
    c->closes_up = (uint32_t)fuzz_bits(r);
}

static void random_robot(fuzz_stream *s) {
    static const int64_t ticks_ns[] = {MS / 2, MS, MS, 2 * MS};
    kernel_config *c = &s->config;
    uint64_t *r = &s->random;
    memset(c, 0, sizeof *c);
    c->n_axes = 1u + fuzz_below(r, once_in(s, 8u) ? KERNEL_MAX_AXES : 14u);
    c->tick_ns = ticks_ns[fuzz_below(r, 4u)];
    const int extreme = once_in(s, 4u);
    const int small_steps = once_in(s, 6u);
    random_kinds(s);
    for (uint32_t i = 0u; i < c->n_axes; i++) {
        random_axis(s, i, extreme);
        if (small_steps) c->step_max[i] = fuzz_decade(r, -3, 1);
    }
    for (uint32_t k = 0u; k < 3u; k++) s->place[k] = fuzz_uniform(r, -1.0, 1.0);
    c->retracts = fuzz_below(r, 2u);
    c->retract_speed_scale = fuzz_uniform(r, 0.02, 1.0);
    for (uint32_t t = 0u; t < KERNEL_MAX_TOOLS; t++) {
        c->force_max_n[t] = 40.0;
        c->moment_max_nm[t] = 10.0;
        c->tool_speed_max_m_s[t] = fuzz_decade(r, -2, 1);
    }
    c->clearance_min_m = once_in(s, 3u) ? 0.0 : 0.005;
    c->feedback_max_age_ns = 20 * MS;
    c->setpoint_max_age_ns = 20 * MS;
    c->observation_max_age_ns = 2000 * MS;
    c->future_tolerance_ns = 5 * MS;
    c->play_max_ns = once_in(s, 2u) ? 0 : 50 * MS;
    c->hold_timeout_ns = 200 * MS;
    c->retract_timeout_ns = 400 * MS;
    c->debounce_ticks = 1u + fuzz_below(r, 8u);
    c->jam_ticks = 1u + fuzz_below(r, 60u);
    for (uint32_t i = 0u; i < KERNEL_DIGEST_BYTES; i++) c->digest[i] = (uint8_t)fuzz_bits(r);
}

void fuzz_open(fuzz_stream *s, uint64_t seed, int with_geometry) {
    uint32_t index;
    memset(s, 0, sizeof *s);
    s->random = seed * 0x9e3779b97f4a7c15ull + 0x1234567u;
    for (int i = 0; i < 8; i++) (void)fuzz_bits(&s->random);
    do {
        random_robot(s);
        if (with_geometry) fuzz_build_arm(s);
    } while (kernel_config_check(&s->config, &index) != KERNEL_CONFIG_OK);
    s->style = (fuzz_style)fuzz_below(&s->random, STYLE_COUNT);
    s->hostile = once_in(s, 3u);
    s->now_ns = 1000 * MS;
    s->way = 1.0;
    memcpy(s->target, s->real, sizeof s->target);
    s->setpoint.speed_scale = once_in(s, 4u) ? fuzz_uniform(&s->random, 0.01, 1.0) : 1.0;
    for (uint32_t i = 0u; i < KERNEL_DIGEST_BYTES; i++) s->setpoint.bundle_digest[i] = (uint8_t)fuzz_bits(&s->random);
    const double tolerance = once_in(s, 4u) ? 0.0 : 0.005;
    for (uint32_t i = 0u; i < s->config.n_axes; i++) s->config.start_tolerance[i] = tolerance;
    s->noise = once_in(s, 4u) ? fuzz_decade(&s->random, -4, -2) : 0.0;
    s->wraps = fuzz_below(&s->random, 2u);
    s->period_ticks = once_in(s, 3u) ? 1u + fuzz_below(&s->random, 9u) : 1u;
}

/* ---- feedback ---- */

static void break_feedback(fuzz_stream *s) {
    kernel_feedback *f = &s->feedback;
    uint64_t *r = &s->random;
    const uint32_t joint = fuzz_below(r, s->config.n_axes);
    switch (fuzz_below(r, 18u)) {
    case 0: f->q[joint] = weird(s); break;
    case 1: f->dq[joint] = weird(s); break;
    case 2: f->stamp_ns = (int64_t)fuzz_bits(r); break;
    case 3: f->seq = fuzz_bits(r); break;
    case 4: f->n = fuzz_below(r, 40u); break;
    case 5: f->stop_line = 1u; break;
    case 6: f->driver_fault = 1u; break;
    case 7: f->present = 0u; break;
    case 8: f->tau[joint] = weird(s); break;
    case 9: f->wrench[fuzz_below(r, KERNEL_MAX_TOOLS)][fuzz_below(r, 6u)] = weird(s); break;
    case 10: f->odometry[fuzz_below(r, 3u)] = fuzz_below(r, 2u) ? 1e6 : (double)UINT64_MAX * 1e300; break;
    case 15: f->has_odometry = 0u; break;
    case 16: s->held_ticks = fuzz_below(r, 300u); break;
    case 11: f->watchdog_ns = fuzz_below(r, 2u) ? 0u : (uint64_t)fuzz_below(r, 3 * MS); break;
    case 12: s->silent_ticks = fuzz_below(r, 60u); break;
    case 13: s->frozen_ticks = fuzz_below(r, 400u); break;
    case 14: s->torque_ticks = fuzz_below(r, 12u); break;
    default: f->q[joint] += fuzz_uniform(r, -0.4, 0.4); break;
    }
}

/* Within half a turn of zero, or next to it. */
static double wrapped(double angle) {
    const double turns = angle / 6.283185307179586;
    return angle - 6.283185307179586 * (double)(int64_t)(turns < 0.0 ? turns - 0.5 : turns + 0.5);
}

static void next_feedback(fuzz_stream *s) {
    kernel_feedback *f = &s->feedback;
    const kernel_config *c = &s->config;
    if (s->silent_ticks > 0u) {
        s->silent_ticks--;
        return;
    }
    if (s->ticks % s->period_ticks != 0u) return;
    f->present = 1u;
    f->n = c->n_axes;
    f->stamp_ns = s->now_ns - (int64_t)fuzz_below(&s->random, 900000u);
    if (f->stamp_ns > s->now_ns) f->stamp_ns = s->now_ns;
    f->seq = s->ticks;
    f->watchdog_ns = 100 * MS;
    f->torn = once_in(s, 300u) ? 1u : 0u;
    f->stop_line = f->driver_fault = 0u;
    f->has_torque = f->has_odometry = 1u;
    f->has_wrench = 7u;
    memcpy(f->odometry, s->place, sizeof f->odometry);
    if (s->frozen_ticks > 0u) s->frozen_ticks--;
    for (uint32_t i = 0u; i < c->n_axes; i++) {
        const int drives = c->axis_kind[i] == KERNEL_AXIS_VELOCITY;
        const double told = s->real[i] + (drives ? 0.0 : s->noise * fuzz_uniform(&s->random, -1.0, 1.0));
        double *shown = drives ? &f->dq[i] : &f->q[i];
        (drives ? f->q : f->dq)[i] = 0.0;
        if (s->frozen_ticks == 0u) *shown = c->axis_kind[i] == KERNEL_AXIS_CONTINUOUS && s->wraps ? wrapped(told) : told;
        f->tau[i] = fuzz_uniform(&s->random, -20.0, 20.0);
    }
    for (uint32_t t = 0u; t < 3u; t++)
        for (uint32_t k = 0u; k < 6u; k++) f->wrench[t][k] = fuzz_uniform(&s->random, -5.0, 5.0);
    if (s->torque_ticks > 0u) {
        s->torque_ticks--;
        if (s->torque_ticks & 1u || s->hostile) f->tau[s->ticks % 97u % c->n_axes] = -60.0;
        f->wrench[s->ticks % 3u][s->ticks & 1u ? 1 : 4] = 45.0;
    }
    if (s->hostile && once_in(s, 300u)) break_feedback(s);
}

/* ---- setpoints ---- */

static void spline(fuzz_stream *s) {
    const kernel_config *c = &s->config;
    if (s->way >= 1.0) {
        double ticks = 20.0;
        for (uint32_t i = 0u; i < c->n_axes; i++) {
            double low, high;
            ends_of(c, i, &low, &high);
            s->from[i] = s->target[i];
            s->to[i] = fuzz_uniform(&s->random, low - 0.05, high + 0.05);
            const double way = s->to[i] - s->from[i];
            const double rate = c->axis_kind[i] == KERNEL_AXIS_VELOCITY ? c->ddq_max[i] : c->dq_max[i];
            const double needed = (way < 0.0 ? -way : way) / (rate * (double)c->tick_ns * 1e-9);
            if (needed > ticks && needed < 4000.0) ticks = needed;
        }
        s->way = 0.0;
        s->way_per_tick = fuzz_uniform(&s->random, 0.3, 1.2) / ticks;
    }
    s->way += s->way_per_tick;
    const double x = s->way < 1.0 ? s->way : 1.0;
    const double blend = x * x * x * (10.0 - x * (15.0 - 6.0 * x));
    for (uint32_t i = 0u; i < c->n_axes; i++) s->target[i] = s->from[i] + (s->to[i] - s->from[i]) * blend;
}

static void next_targets(fuzz_stream *s, const double *q) {
    const kernel_config *c = &s->config;
    uint64_t *r = &s->random;
    const double tick = (double)c->tick_ns * 1e-9;
    if (s->style == STYLE_SMOOTH || s->style == STYLE_SEAMS) spline(s);
    if (s->style == STYLE_SEAMS && once_in(s, 50u)) s->way = fuzz_uniform(r, 0.0, 1.0);
    const int jump = once_in(s, 200u);
    for (uint32_t i = 0u; i < c->n_axes; i++) {
        double low, high;
        ends_of(c, i, &low, &high);
        const double middle = 0.5 * (low + high);
        const double half = 0.5 * (high - low);
        const double rate = c->axis_kind[i] == KERNEL_AXIS_VELOCITY ? c->ddq_max[i] : c->dq_max[i];
        double *target = &s->target[i];
        switch (s->style) {
        case STYLE_NOISE: *target = middle + fuzz_uniform(r, -2.0, 2.0) * half; break;
        case STYLE_BANG: *target = middle + ((s->ticks >> (4u + i % 8u)) & 1u ? 2.0 : -2.0) * half; break;
        case STYLE_RAMP: *target += fuzz_uniform(r, 0.5, 2.0) * rate * tick * ((s->ticks >> 10) & 1u ? 1.0 : -1.0); break;
        case STYLE_TREMBLE: *target = q[i] + fuzz_uniform(r, -2.0, 2.0) * rate * tick; break;
        case STYLE_JUMPS:
            if (jump) *target = middle + fuzz_uniform(r, -1.0, 1.0) * half;
            break;
        case STYLE_WEIRD:
            *target = once_in(s, 200u) ? weird(s) : middle + fuzz_uniform(r, -1.0, 1.0) * half;
            break;
        default: break;
        }
    }
}

static void break_setpoint(fuzz_stream *s) {
    kernel_setpoint *p = &s->setpoint;
    uint64_t *r = &s->random;
    switch (fuzz_below(r, 7u)) {
    case 0: p->stamp_ns = (int64_t)fuzz_bits(r); break;
    case 1: p->observation_ns = (int64_t)fuzz_bits(r); break;
    case 2: p->seq = fuzz_bits(r); break;
    case 3: p->n = fuzz_below(r, 40u); break;
    case 4: p->speed_scale = weird(s); break;
    case 5: p->present = 0u; break;
    default: p->policy = fuzz_below(r, 6u); break;
    }
}

static void next_setpoint(fuzz_stream *s, const double *q) {
    kernel_setpoint *p = &s->setpoint;
    if (s->hostile && once_in(s, 1000u)) s->setpoint_seq += fuzz_below(&s->random, 3u);
    p->present = s->style != STYLE_JUMPS || (s->ticks >> 11) % 3u != 2u;
    p->n = s->config.n_axes;
    p->seq = ++s->setpoint_seq;
    p->stamp_ns = s->now_ns - (int64_t)fuzz_below(&s->random, MS);
    p->observation_ns = s->now_ns - 300 * MS;
    if (!(p->speed_scale > 0.0 && p->speed_scale <= 1.0) || once_in(s, 3000u))
        p->speed_scale = once_in(s, 2u) ? 1.0 : fuzz_uniform(&s->random, 0.01, 1.0);
    if (s->policy_ticks > 0u && --s->policy_ticks == 0u) p->policy = KERNEL_POLICY_ALIVE;
    if (s->policy_ticks == 0u && once_in(s, 4000u)) {
        p->policy = 1u + fuzz_below(&s->random, 3u);
        p->policy_lost_ns = s->now_ns;
        s->policy_ticks = fuzz_below(&s->random, 200u);
    }
    next_targets(s, q);
    for (uint32_t i = 0u; i < s->config.n_axes; i++) {
        const int turns = s->config.axis_kind[i] == KERNEL_AXIS_CONTINUOUS && s->wraps;
        p->q[i] = turns && s->target[i] > -100.0 && s->target[i] < 100.0 ? wrapped(s->target[i]) : s->target[i];
    }
    if (s->style == STYLE_WEIRD && once_in(s, 100u)) break_setpoint(s);
}

/* The robot does what it is told; what a gripper holds may keep it from that. */
static void obey(fuzz_stream *s, const kernel_verdict *command) {
    const kernel_config *c = &s->config;
    double drive[3] = {0.0, 0.0, 0.0};
    double sine, cosine;
    if (s->held_ticks > 0u) s->held_ticks--;
    for (uint32_t i = 0u; i < c->n_axes; i++) {
        if (c->axis_kind[i] == KERNEL_AXIS_GRIPPER && s->held_ticks > 0u) continue;
        s->real[i] = c->axis_kind[i] == KERNEL_AXIS_VELOCITY ? command->dq[i] : command->q[i];
    }
    for (uint32_t k = 0u; k < 3u; k++)
        if (c->base_axis[k] >= 0) drive[k] = command->dq[c->base_axis[k]] * ((double)c->tick_ns * 1e-9);
    geometry_sine_cosine(s->place[2] + 0.5 * drive[2], &sine, &cosine);
    s->place[0] += cosine * drive[0] - sine * drive[1];
    s->place[1] += sine * drive[0] + cosine * drive[1];
    s->place[2] += drive[2];
}

void fuzz_next(fuzz_stream *s, const kernel_verdict *command) {
    s->ticks++;
    s->now_ns += s->config.tick_ns;
    if (s->hostile && once_in(s, 2000u)) s->now_ns += (int64_t)fuzz_below(&s->random, 400 * MS) - 200 * MS;
    if (command != NULL) obey(s, command);
    if (once_in(s, 5000u)) s->held_ticks = fuzz_below(&s->random, 100u);
    next_feedback(s);
    next_setpoint(s, s->real);
}

/* ---- operators ---- */

uint32_t fuzz_request(fuzz_stream *s, uint32_t state) {
    if (state == KERNEL_READY && once_in(s, 3u)) return KERNEL_REQUEST_ARM;
    if (state == KERNEL_FAULT && once_in(s, 20u)) return once_in(s, 3u) ? KERNEL_REQUEST_RESET_MOVED : KERNEL_REQUEST_RESET;
    return once_in(s, 6000u) ? fuzz_below(&s->random, 8u) : 0u;
}

int fuzz_tightening(fuzz_stream *s, kernel_tightening *tightening) {
    if (!once_in(s, 5000u)) return 0;
    tightening->speed_scale = once_in(s, 10u) ? weird(s) : fuzz_uniform(&s->random, 0.0, 1.05);
    tightening->tool_speed_max_m_s =
        once_in(s, 10u) ? weird(s) : s->config.tool_speed_max_m_s[0] * fuzz_uniform(&s->random, 0.0, 1.05);
    return 1;
}
