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

static void random_joint(fuzz_stream *s, uint32_t i, int extreme) {
    kernel_config *c = &s->config;
    const double middle = fuzz_uniform(&s->random, -3.0, 3.0);
    const double half = fuzz_decade(&s->random, -3, 1);
    c->q_min[i] = middle - half;
    c->q_max[i] = middle + half;
    c->dq_max[i] = extreme ? fuzz_decade(&s->random, -3, 3) : fuzz_decade(&s->random, -1, 1);
    c->ddq_max[i] = extreme ? fuzz_decade(&s->random, -3, 5) : fuzz_decade(&s->random, 0, 3);
    c->dddq_max[i] = extreme ? fuzz_decade(&s->random, -2, 8) : fuzz_decade(&s->random, 1, 5);
    c->tracking_max[i] = 0.2;
    c->tau_max[i] = 50.0;
    c->step_max[i] = 1e3;
    c->retract_rad[i] = fuzz_uniform(&s->random, c->q_min[i], c->q_max[i]);
    s->real_rad[i] = fuzz_uniform(&s->random, c->q_min[i], c->q_max[i]);
}

static void random_robot(fuzz_stream *s) {
    static const int64_t ticks_ns[] = {MS / 2, MS, MS, 2 * MS};
    kernel_config *c = &s->config;
    uint64_t *r = &s->random;
    memset(c, 0, sizeof *c);
    c->n_joints = 1u + fuzz_below(r, KERNEL_MAX_AXES);
    c->tick_ns = ticks_ns[fuzz_below(r, 4u)];
    const int extreme = once_in(s, 4u);
    const int small_steps = once_in(s, 6u);
    for (uint32_t i = 0u; i < c->n_joints; i++) {
        random_joint(s, i, extreme);
        if (small_steps) c->step_max[i] = fuzz_decade(r, -3, 1);
    }
    c->retracts = fuzz_below(r, 2u);
    c->retract_speed_scale = fuzz_uniform(r, 0.02, 1.0);
    c->gripper_max_m = 0.08;
    c->gripper_rate_m_s = fuzz_decade(r, -2, 1);
    c->rest_speed_rad_s = 0.05;
    c->reset_tolerance_rad = 0.05;
    c->frozen_travel_rad = fuzz_decade(r, -4, -1);
    c->force_max_n = 40.0;
    c->moment_max_nm = 10.0;
    c->tool_speed_max_m_s = fuzz_decade(r, -2, 1);
    c->clearance_min_m = once_in(s, 3u) ? 0.0 : 0.005;
    c->feedback_max_age_ns = 20 * MS;
    c->setpoint_max_age_ns = 20 * MS;
    c->observation_max_age_ns = 2000 * MS;
    c->future_tolerance_ns = 5 * MS;
    c->play_max_ns = once_in(s, 2u) ? 0 : 50 * MS;
    c->hold_timeout_ns = 200 * MS;
    c->retract_timeout_ns = 400 * MS;
    c->debounce_ticks = 1u + fuzz_below(r, 8u);
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
    memcpy(s->target_rad, s->real_rad, sizeof s->target_rad);
    s->setpoint.speed_scale = once_in(s, 4u) ? fuzz_uniform(&s->random, 0.01, 1.0) : 1.0;
    for (uint32_t i = 0u; i < KERNEL_DIGEST_BYTES; i++) s->setpoint.bundle_digest[i] = (uint8_t)fuzz_bits(&s->random);
    s->config.start_tolerance_rad = once_in(s, 4u) ? 0.0 : 0.005;
    s->config.start_tolerance_m = once_in(s, 4u) ? 0.0 : 0.003;
    s->noise_rad = once_in(s, 3u) ? fuzz_decade(&s->random, -4, -2) : 0.0;
    s->period_ticks = once_in(s, 3u) ? 1u + fuzz_below(&s->random, 9u) : 1u;
}

/* ---- feedback ---- */

static void break_feedback(fuzz_stream *s) {
    kernel_feedback *f = &s->feedback;
    uint64_t *r = &s->random;
    const uint32_t joint = fuzz_below(r, s->config.n_joints);
    switch (fuzz_below(r, 16u)) {
    case 0: f->q[joint] = weird(s); break;
    case 1: f->dq[joint] = weird(s); break;
    case 2: f->stamp_ns = (int64_t)fuzz_bits(r); break;
    case 3: f->seq = fuzz_bits(r); break;
    case 4: f->n = fuzz_below(r, 40u); break;
    case 5: f->stop_line = 1u; break;
    case 6: f->driver_fault = 1u; break;
    case 7: f->present = 0u; break;
    case 8: f->tau[joint] = weird(s); break;
    case 9: f->wrench[fuzz_below(r, 6u)] = weird(s); break;
    case 10: f->gripper_m = weird(s); break;
    case 11: f->watchdog_ns = fuzz_below(r, 2u) ? 0u : (uint64_t)fuzz_below(r, 3 * MS); break;
    case 12: s->silent_ticks = fuzz_below(r, 60u); break;
    case 13: s->frozen_ticks = fuzz_below(r, 400u); break;
    case 14: s->torque_ticks = fuzz_below(r, 12u); break;
    default: f->q[joint] += fuzz_uniform(r, -0.4, 0.4); break;
    }
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
    f->n = c->n_joints;
    f->stamp_ns = s->now_ns - (int64_t)fuzz_below(&s->random, 900000u);
    if (f->stamp_ns > s->now_ns) f->stamp_ns = s->now_ns;
    f->seq = s->ticks;
    f->watchdog_ns = 100 * MS;
    f->torn = once_in(s, 300u) ? 1u : 0u;
    f->stop_line = f->driver_fault = 0u;
    f->has_torque = f->has_wrench = 1u;
    f->gripper_m = s->noise_rad > 0.0 ? fuzz_uniform(&s->random, -s->noise_rad, 0.08 + s->noise_rad) : 0.02;
    if (s->frozen_ticks > 0u) s->frozen_ticks--;
    for (uint32_t i = 0u; i < c->n_joints; i++) {
        if (s->frozen_ticks == 0u) f->q[i] = s->real_rad[i] + s->noise_rad * fuzz_uniform(&s->random, -1.0, 1.0);
        f->dq[i] = 0.0;
        f->tau[i] = fuzz_uniform(&s->random, -20.0, 20.0);
    }
    for (uint32_t i = 0u; i < 6u; i++) f->wrench[i] = fuzz_uniform(&s->random, -5.0, 5.0);
    if (s->torque_ticks > 0u) {
        s->torque_ticks--;
        if (s->torque_ticks & 1u || s->hostile) f->tau[0] = -60.0;
        f->wrench[s->ticks & 1u ? 1 : 4] = 45.0;
    }
    if (s->hostile && once_in(s, 300u)) break_feedback(s);
}

/* ---- setpoints ---- */

static void spline(fuzz_stream *s) {
    const kernel_config *c = &s->config;
    if (s->way >= 1.0) {
        double ticks = 20.0;
        for (uint32_t i = 0u; i < c->n_joints; i++) {
            s->from_rad[i] = s->target_rad[i];
            s->to_rad[i] = fuzz_uniform(&s->random, c->q_min[i] - 0.05, c->q_max[i] + 0.05);
            const double way = s->to_rad[i] - s->from_rad[i];
            const double needed = (way < 0.0 ? -way : way) / (c->dq_max[i] * (double)c->tick_ns * 1e-9);
            if (needed > ticks && needed < 4000.0) ticks = needed;
        }
        s->way = 0.0;
        s->way_per_tick = fuzz_uniform(&s->random, 0.3, 1.2) / ticks;
    }
    s->way += s->way_per_tick;
    const double x = s->way < 1.0 ? s->way : 1.0;
    const double blend = x * x * x * (10.0 - x * (15.0 - 6.0 * x));
    for (uint32_t i = 0u; i < c->n_joints; i++)
        s->target_rad[i] = s->from_rad[i] + (s->to_rad[i] - s->from_rad[i]) * blend;
}

static void next_targets(fuzz_stream *s, const double *q) {
    const kernel_config *c = &s->config;
    uint64_t *r = &s->random;
    const double tick = (double)c->tick_ns * 1e-9;
    if (s->style == STYLE_SMOOTH || s->style == STYLE_SEAMS) spline(s);
    if (s->style == STYLE_SEAMS && once_in(s, 50u)) s->way = fuzz_uniform(r, 0.0, 1.0);
    const int jump = once_in(s, 200u);
    for (uint32_t i = 0u; i < c->n_joints; i++) {
        const double middle = 0.5 * (c->q_min[i] + c->q_max[i]);
        const double half = 0.5 * (c->q_max[i] - c->q_min[i]);
        double *target = &s->target_rad[i];
        switch (s->style) {
        case STYLE_NOISE: *target = middle + fuzz_uniform(r, -2.0, 2.0) * half; break;
        case STYLE_BANG: *target = middle + ((s->ticks >> (4u + i % 8u)) & 1u ? 2.0 : -2.0) * half; break;
        case STYLE_RAMP:
            *target += fuzz_uniform(r, 0.5, 2.0) * c->dq_max[i] * tick * ((s->ticks >> 10) & 1u ? 1.0 : -1.0);
            break;
        case STYLE_TREMBLE:
            *target = q[i] + fuzz_uniform(r, -2.0, 2.0) * c->dq_max[i] * tick;
            break;
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
    switch (fuzz_below(r, 8u)) {
    case 0: p->stamp_ns = (int64_t)fuzz_bits(r); break;
    case 1: p->observation_ns = (int64_t)fuzz_bits(r); break;
    case 2: p->seq = fuzz_bits(r); break;
    case 3: p->n = fuzz_below(r, 40u); break;
    case 4: p->gripper_m = weird(s); break;
    case 5: p->speed_scale = weird(s); break;
    case 6: p->present = 0u; break;
    default: p->policy = fuzz_below(r, 6u); break;
    }
}

static void next_setpoint(fuzz_stream *s, const double *q) {
    kernel_setpoint *p = &s->setpoint;
    if (s->hostile && once_in(s, 1000u)) s->setpoint_seq += fuzz_below(&s->random, 3u);
    p->present = s->style != STYLE_JUMPS || (s->ticks >> 11) % 3u != 2u;
    p->n = s->config.n_joints;
    p->seq = ++s->setpoint_seq;
    p->stamp_ns = s->now_ns - (int64_t)fuzz_below(&s->random, MS);
    p->observation_ns = s->now_ns - 300 * MS;
    p->gripper_m = fuzz_uniform(&s->random, -0.05, 0.15);
    if (!(p->speed_scale > 0.0 && p->speed_scale <= 1.0) || once_in(s, 3000u))
        p->speed_scale = once_in(s, 2u) ? 1.0 : fuzz_uniform(&s->random, 0.01, 1.0);
    if (s->policy_ticks > 0u && --s->policy_ticks == 0u) p->policy = KERNEL_POLICY_ALIVE;
    if (s->policy_ticks == 0u && once_in(s, 4000u)) {
        p->policy = 1u + fuzz_below(&s->random, 3u);
        p->policy_lost_ns = s->now_ns;
        s->policy_ticks = fuzz_below(&s->random, 200u);
    }
    next_targets(s, q);
    memcpy(p->q, s->target_rad, sizeof p->q);
    if (s->style == STYLE_WEIRD && once_in(s, 100u)) break_setpoint(s);
}

void fuzz_next(fuzz_stream *s, const kernel_verdict *command) {
    s->ticks++;
    s->now_ns += s->config.tick_ns;
    if (s->hostile && once_in(s, 2000u)) s->now_ns += (int64_t)fuzz_below(&s->random, 400 * MS) - 200 * MS;
    if (command != NULL) memcpy(s->real_rad, command->q, sizeof s->real_rad);
    next_feedback(s);
    next_setpoint(s, s->real_rad);
}

/* ---- operators ---- */

uint32_t fuzz_request(fuzz_stream *s, uint32_t state) {
    if (state == KERNEL_READY && once_in(s, 3u)) return KERNEL_REQUEST_ARM;
    if (state == KERNEL_FAULT && once_in(s, 20u)) return KERNEL_REQUEST_RESET;
    return once_in(s, 6000u) ? fuzz_below(&s->random, 7u) : 0u;
}

int fuzz_tightening(fuzz_stream *s, kernel_tightening *tightening) {
    if (!once_in(s, 5000u)) return 0;
    tightening->speed_scale = once_in(s, 10u) ? weird(s) : fuzz_uniform(&s->random, 0.0, 1.05);
    tightening->tool_speed_max_m_s =
        once_in(s, 10u) ? weird(s) : s->config.tool_speed_max_m_s * fuzz_uniform(&s->random, 0.0, 1.05);
    return 1;
}
