/* Drives the kernel with hostile and with policy-like input on random robots and checks every verdict.
 *
 *   fuzz SEED TICKS  ->  one line of JSON; exit code 1 on any violation.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

#define SLACK (1.0 + 1e-9)

typedef struct {
    uint64_t position, velocity, acceleration, step, gripper, not_finite, unasked, unlatched;
    uint64_t states[KERNEL_STATE_COUNT];
    uint64_t reasons;
    uint64_t armed, tripped, episodes;
    uint64_t hash;
} tally;

static uint64_t seed;

static uint64_t bits(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1dull;
}
static double uniform(double low, double high) { return low + (high - low) * ((double)(bits() >> 11) / 9007199254740992.0); }
static uint32_t below(uint32_t n) { return (uint32_t)(bits() >> 32) % n; }

static double weird(void) {
    static const double values[] = {NAN, INFINITY, -INFINITY, 5e-324, -5e-324, 1.7e308, -1.7e308, 2.2e-308, 0.0, -0.0};
    double any;
    if (below(2) == 0u) return values[below(sizeof values / sizeof *values)];
    const uint64_t raw = bits();
    memcpy(&any, &raw, sizeof any);
    return any;
}

static void random_robot(kernel_config *config) {
    memset(config, 0, sizeof *config);
    config->n_joints = 1u + below(7);
    config->tick_ns = 1000000;
    for (uint32_t i = 0; i < config->n_joints; i++) {
        const double middle = uniform(-3.0, 3.0);
        const double half = pow(10.0, uniform(-3.0, 0.6));
        config->q_min_rad[i] = middle - half;
        config->q_max_rad[i] = middle + half;
        config->dq_max_rad_s[i] = pow(10.0, uniform(-1.5, 1.3));
        config->ddq_max_rad_s2[i] = pow(10.0, uniform(-0.5, 2.5));
        config->tracking_max_rad[i] = 0.2;
    }
    config->gripper_max_m = 0.08;
    config->gripper_rate_m_s = 0.2;
    config->rest_speed_rad_s = 0.05;
    config->reset_tolerance_rad = 0.05;
    config->feedback_max_age_ns = 20000000;
    config->setpoint_max_age_ns = 20000000;
    config->observation_max_age_ns = 2000000000;
    config->future_tolerance_ns = 5000000;
    config->hold_timeout_ns = 200000000;
}

static void check(const kernel_config *config, const kernel_verdict *before, const kernel_verdict *verdict, int was_armed,
                  tally *t) {
    const double tick = 1e-3;
    for (uint32_t i = 0; i < config->n_joints; i++) {
        const double q = verdict->q_rad[i];
        const double v = verdict->dq_rad_s[i];
        if (!isfinite(q) || !isfinite(v)) t->not_finite++;
        if (!(q >= config->q_min_rad[i] && q <= config->q_max_rad[i])) t->position++;
        if (!(fabs(v) <= config->dq_max_rad_s[i] * SLACK)) t->velocity++;
        if (!was_armed) continue;
        if (!(fabs(v - before->dq_rad_s[i]) <= config->ddq_max_rad_s2[i] * tick * SLACK)) t->acceleration++;
        if (!(fabs(q - before->q_rad[i] - tick * v) <= 1e-12)) t->step++;
    }
    if (!(verdict->gripper_m >= 0.0 && verdict->gripper_m <= 0.08)) t->gripper++;
    if (was_armed && !(fabs(verdict->gripper_m - before->gripper_m) <= 0.2 * tick * SLACK + 1e-15)) t->gripper++;
}

static int is_armed(uint32_t state) {
    return state == KERNEL_ACTIVE || state == KERNEL_HOLDING || state == KERNEL_STOPPING;
}

static void mix(tally *t, const kernel_config *config, const kernel_verdict *verdict) {
    for (uint32_t i = 0; i < config->n_joints; i++) {
        uint64_t raw;
        memcpy(&raw, &verdict->q_rad[i], sizeof raw);
        t->hash = (t->hash ^ raw ^ verdict->reasons) * 0x100000001b3ull;
    }
}

/* One robot, one style of setpoints, until ticks have passed. */
static void episode(uint64_t ticks, tally *t) {
    kernel_config config;
    kernel_state state;
    kernel_feedback feedback = {0};
    kernel_setpoint setpoint = {0};
    kernel_verdict verdict = {0};
    uint32_t joint;
    random_robot(&config);
    if (kernel_config_check(&config, &joint) != KERNEL_CONFIG_OK) abort();
    kernel_init(&state);
    const uint32_t style = below(6);
    const int hostile_feedback = below(4) == 0u;
    const double rate = pow(10.0, uniform(-1.0, 1.0));
    int64_t now_ns = 1000000000;
    uint64_t seq = 0u;
    double q_real[KERNEL_MAX_JOINTS], target[KERNEL_MAX_JOINTS];
    for (uint32_t i = 0; i < config.n_joints; i++)
        target[i] = q_real[i] = uniform(config.q_min_rad[i], config.q_max_rad[i]);
    feedback.gripper_m = 0.02;
    int asked = 0;
    for (uint64_t k = 0; k < ticks; k++) {
        now_ns += 1000000;
        if (hostile_feedback && below(500) == 0u) now_ns += (int64_t)(bits() % 400000000u) - 200000000;
        feedback.present = 1u;
        feedback.n = config.n_joints;
        feedback.stamp_ns = now_ns - (int64_t)below(900000);
        feedback.seq = k + 1u;
        feedback.watchdog_ns = 100000000u;
        feedback.torn = below(300) == 0u;
        feedback.stop_line = feedback.driver_fault = 0u;
        for (uint32_t i = 0; i < config.n_joints; i++) {
            feedback.q_rad[i] = q_real[i];
            feedback.dq_rad_s[i] = 0.0;
        }
        if (hostile_feedback && below(300) == 0u) {
            switch (below(8)) {
            case 0: feedback.q_rad[below(config.n_joints)] = weird(); break;
            case 1: feedback.dq_rad_s[below(config.n_joints)] = weird(); break;
            case 2: feedback.stamp_ns = (int64_t)bits(); break;
            case 3: feedback.seq = bits(); break;
            case 4: feedback.n = (uint32_t)bits(); break;
            case 5: feedback.stop_line = 1u; break;
            case 6: feedback.driver_fault = 1u; break;
            default: feedback.present = 0u; break;
            }
        }
        setpoint.present = below(400) != 0u;
        setpoint.n = config.n_joints;
        setpoint.seq = ++seq;
        setpoint.stamp_ns = now_ns;
        setpoint.observation_ns = now_ns - 300000000;
        setpoint.gripper_m = style == 5u ? weird() : uniform(-0.1, 0.2);
        for (uint32_t i = 0; i < config.n_joints; i++) {
            const double middle = 0.5 * (config.q_min_rad[i] + config.q_max_rad[i]);
            const double half = 0.5 * (config.q_max_rad[i] - config.q_min_rad[i]);
            switch (style) {
            case 0: target[i] = middle + uniform(-2.0, 2.0) * half; break;                              /* white noise */
            case 1: target[i] = middle + ((k >> (5u + i)) & 1u ? 2.0 : -2.0) * half; break;              /* bang-bang */
            case 2: target[i] += uniform(0.5, 1.0) * 2.0 * config.dq_max_rad_s[i] * 1e-3 *
                                 ((k >> 10) & 1u ? 1.0 : -1.0); break;                                   /* ramps, too fast */
            case 3: target[i] = middle + 1.2 * half * sin(rate * (double)k * 1e-3 + (double)i); break;   /* policy-like */
            case 4: if (below(50) == 0u) target[i] = middle + uniform(-1.0, 1.0) * half; break;          /* jumps */
            default: target[i] = below(20) == 0u ? weird() : middle + uniform(-1.0, 1.0) * half; break;
            }
            setpoint.q_rad[i] = target[i];
        }
        if (style == 5u && below(50) == 0u) {
            switch (below(4)) {
            case 0: setpoint.stamp_ns = (int64_t)bits(); break;
            case 1: setpoint.observation_ns = (int64_t)bits(); break;
            case 2: setpoint.seq = bits(); break;
            default: setpoint.n = (uint32_t)bits(); break;
            }
        }
        const kernel_verdict before = verdict;
        const int was_armed = is_armed(state.state);
        kernel_step(&state, &config, &feedback, &setpoint, now_ns, &verdict);
        t->states[verdict.state]++;
        t->reasons |= verdict.reasons | verdict.faults;
        mix(t, &config, &verdict);
        if (is_armed(verdict.state) || was_armed) {
            t->armed++;
            if (!asked) t->unasked++;
            check(&config, &before, &verdict, was_armed && k > 0u, t);
            memcpy(q_real, verdict.q_rad, sizeof q_real);
        } else {
            asked = 0;
        }
        if (was_armed && verdict.state == KERNEL_FAULT) t->tripped++;
        if (verdict.state == KERNEL_FAULT && verdict.faults == 0u) t->unlatched++;
        /* Operators: seldom, in any order. */
        if (verdict.state == KERNEL_READY && below(3) == 0u) {
            if (kernel_request(&state, &config, &feedback, KERNEL_REQUEST_ARM, now_ns) == KERNEL_DONE) {
                asked = 1;
                memcpy(verdict.q_rad, state.q_rad, sizeof state.q_rad);
                verdict.gripper_m = state.gripper_m;
            }
        } else if (verdict.state == KERNEL_FAULT && below(20) == 0u) {
            (void)kernel_request(&state, &config, &feedback, KERNEL_REQUEST_RESET, now_ns);
        } else if (below(5000) == 0u) {
            (void)kernel_request(&state, &config, &feedback, below(6), now_ns);
            if (is_armed(state.state) && !is_armed(verdict.state)) {
                asked = 1;
                memcpy(verdict.q_rad, state.q_rad, sizeof state.q_rad);
                verdict.gripper_m = state.gripper_m;
            }
        }
    }
    t->episodes++;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    seed = strtoull(argv[1], NULL, 10) * 0x9e3779b97f4a7c15ull + 1u;
    const uint64_t ticks = strtoull(argv[2], NULL, 10);
    tally t = {.hash = 0xcbf29ce484222325ull};
    for (uint64_t done = 0; done < ticks; done += 5000u) episode(5000u, &t);
    const uint64_t violations =
        t.position + t.velocity + t.acceleration + t.step + t.gripper + t.not_finite + t.unasked + t.unlatched;
    printf("{\"episodes\": %" PRIu64 ", \"armed_ticks\": %" PRIu64 ", \"trips\": %" PRIu64 ", \"violations\": %" PRIu64
           ", \"position\": %" PRIu64 ", \"velocity\": %" PRIu64 ", \"acceleration\": %" PRIu64 ", \"step\": %" PRIu64
           ", \"gripper\": %" PRIu64 ", \"not_finite\": %" PRIu64 ", \"unasked\": %" PRIu64 ", \"unlatched\": %" PRIu64
           ", \"reasons\": %" PRIu64 ", \"states\": [",
           t.episodes, t.armed, t.tripped, violations, t.position, t.velocity, t.acceleration, t.step, t.gripper,
           t.not_finite, t.unasked, t.unlatched, t.reasons);
    for (int i = 0; i < KERNEL_STATE_COUNT; i++) printf("%s%" PRIu64, i ? ", " : "", t.states[i]);
    printf("], \"hash\": \"%016" PRIx64 "\"}\n", t.hash);
    return violations != 0u;
}
