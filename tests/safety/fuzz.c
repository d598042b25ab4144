/* Drives the kernel with hostile and with policy-like input on random robots and checks every verdict by itself: from
 * the commands alone, and from the definitions of the limits, with none of the kernel's code.
 *
 *   fuzz SEED TICKS PERCENT  ->  one line of JSON; exit code 1 on any violation. PERCENT of the ticks have geometry.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_stream.h"

#define SLACK 1e-9
#define EPISODE_TICKS 4000u
#define VIOLATIONS(X)                                                                                           \
    X(position) X(velocity) X(acceleration) X(jerk) X(step) X(speed_change) X(gripper) X(not_finite) X(clearance) \
    X(tool_speed) X(moved_in_fault) X(unasked) X(unlatched) X(margin) X(late_stop)

typedef struct {
#define FIELD(name) uint64_t name;
    VIOLATIONS(FIELD)
    uint64_t ticks, armed, geometry, trips, requests, tightened, refused, reasons;
    uint64_t states[KERNEL_STATE_COUNT];
    uint64_t hash;
    double closest_m; /* smallest clearance beyond clearance_min_m */
} tally;

static int is_armed(uint32_t state) {
    return state == KERNEL_ACTIVE || state == KERNEL_HOLDING || state == KERNEL_STOPPING || state == KERNEL_RETRACTING;
}

static int moving(const kernel_verdict *v) {
    for (uint32_t i = 0; i < KERNEL_MAX_AXES; i++)
        if (v->dq[i] != 0.0 || v->ddq[i] != 0.0) return 1;
    return 0;
}

static void mix_in(tally *t, uint64_t word) {
    t->hash = (t->hash ^ word) * 0x9e3779b97f4a7c15ull;
    t->hash ^= t->hash >> 29;
}

/* Every bit of the verdict counts, of a NaN or a negative zero too. */
static void mix(tally *t, const kernel_verdict *verdict) {
    uint64_t words[sizeof *verdict / sizeof(uint64_t)];
    _Static_assert(sizeof *verdict % sizeof(uint64_t) == 0u, "no bytes left over");
    memcpy(words, verdict, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) mix_in(t, words[i]);
}

static void check_joints(const kernel_config *c, const kernel_verdict *before, const kernel_verdict *now, int moved,
                         tally *t) {
    const double tick = (double)c->tick_ns * 1e-9;
    for (uint32_t i = 0; i < c->n_joints; i++) {
        const double q = now->q[i], v = now->dq[i], a = now->ddq[i];
        const double range = c->q_max[i] - c->q_min[i], jerk_step = c->dddq_max[i] * tick;
        t->position += !(q >= c->q_min[i] - SLACK * range && q <= c->q_max[i] + SLACK * range);
        t->velocity += !(fabs(v) <= c->dq_max[i] * (1.0 + SLACK));
        t->acceleration += !(fabs(a) <= c->ddq_max[i] * (1.0 + SLACK));
        if (!moved) continue;
        /* A stop may end beyond the range by rounding; what was left of it is cut off. */
        const int at_end = q == c->q_min[i] || q == c->q_max[i];
        const double rounding = 1e-15 * (fabs(q) + range) + (at_end ? 1e-10 * range : 0.0);
        t->jerk += !(fabs(a - before->ddq[i]) <= jerk_step * (1.0 + SLACK));
        /* What is told of speed and acceleration is what the commands do. */
        t->step += !(fabs(q - before->q[i] - tick * v) <= rounding);
        t->speed_change += !(fabs(v - before->dq[i] - tick * a) <= SLACK * jerk_step * tick + 1e-15 * fabs(v));
    }
}

static void check_numbers(const kernel_config *c, const kernel_verdict *now, tally *t) {
    int finite = isfinite(now->gripper_m) && isfinite(now->accepted) && isfinite(now->speed_scale) &&
                 isfinite(now->stop_margin_rad) && isfinite(now->stop_margin_m) && isfinite(now->time_to_rest_s);
    for (uint32_t i = 0; i < c->n_joints; i++)
        finite &= isfinite(now->q[i]) && isfinite(now->dq[i]) && isfinite(now->ddq[i]);
    t->not_finite += !finite;
}

typedef struct {
    kernel_state state;
    kernel_verdict before;
    int asked;             /* an arm request has been granted since the robot was last not armed */
    uint64_t stop_before;  /* tick by which a stop that has begun has to be over */
    uint64_t tool_from;    /* tick from which the tool obeys the last tightening */
} episode;

static void check_geometry(const fuzz_stream *s, const episode *e, const kernel_verdict *now, tally *t) {
    const kernel_config *c = &s->config;
    const double room = fuzz_clearance_m(&c->geometry, now->q) - c->clearance_min_m;
    t->geometry++;
    if (room < t->closest_m) t->closest_m = room;
    t->clearance += !(room >= -SLACK);
    if (s->ticks >= e->tool_from)
        t->tool_speed += !(fuzz_tool_speed_m_s(&c->geometry, now->q, now->dq) <=
                           e->state.tightening.tool_speed_max_m_s * (1.0 + SLACK) + 1e-12);
}

static void check(const fuzz_stream *s, episode *e, const kernel_verdict *now, tally *t) {
    const kernel_config *c = &s->config;
    const int was = is_armed(e->before.state), is = is_armed(now->state);
    check_numbers(c, now, t);
    if (was && !is) t->trips += now->state == KERNEL_FAULT;
    t->unlatched += now->state == KERNEL_FAULT && now->faults == 0u;
    if (!was && !is) {
        const int same = !memcmp(e->before.q, now->q, sizeof now->q) && !moving(now);
        t->moved_in_fault += (now->state == KERNEL_FAULT || now->state == KERNEL_SILENT) && !same;
        e->asked = 0;
        return;
    }
    t->armed++;
    t->unasked += !e->asked;
    check_joints(c, &e->before, now, 1, t);
    const double reach = c->gripper_rate_m_s * (double)c->tick_ns * 1e-9;
    t->gripper += !(now->gripper_m >= c->gripper_min_m && now->gripper_m <= c->gripper_max_m &&
                    fabs(now->gripper_m - e->before.gripper_m) <= reach * (1.0 + SLACK) + 1e-15);
    t->margin += now->stop_margin_rad < -1e-10 * (c->q_max[now->stop_margin_joint] - c->q_min[now->stop_margin_joint]);
    /* A stop that has begun ends when the verdict before said it would. */
    const double told = e->before.time_to_rest_s / ((double)c->tick_ns * 1e-9);
    if (now->state != KERNEL_STOPPING || e->before.state != KERNEL_STOPPING) e->stop_before = s->ticks + (uint64_t)told + 3u;
    t->late_stop += now->state == KERNEL_STOPPING && s->ticks > e->stop_before;
    if (c->geometry.n_joints > 0u) check_geometry(s, e, now, t);
}

/* The command becomes the measurement when a robot is armed; no step is measured across that. */
static void send_request(fuzz_stream *s, episode *e, tally *t) {
    const uint32_t request = fuzz_request(s, e->state.state);
    if (request == 0u) return;
    const uint32_t before = e->state.state;
    const int result = kernel_request(&e->state, &s->config, &s->feedback, request, s->now_ns);
    t->requests++;
    t->refused += result != KERNEL_DONE;
    mix_in(t, (uint32_t)result);
    if (!is_armed(before) && is_armed(e->state.state)) {
        e->asked = request == KERNEL_REQUEST_ARM && before == KERNEL_READY;
        memset(&e->before, 0, sizeof e->before);
        memcpy(e->before.q, e->state.q, sizeof e->before.q);
        e->before.gripper_m = e->state.gripper_m;
        e->before.state = e->state.state;
        check_joints(&s->config, NULL, &e->before, 0, t);
    }
}

static void send_tightening(fuzz_stream *s, episode *e, tally *t) {
    kernel_tightening tightening;
    if (!fuzz_tightening(s, &tightening)) return;
    const int result = kernel_tighten(&e->state, &s->config, &tightening);
    mix_in(t, (uint32_t)result);
    if (result != KERNEL_DONE) return;
    t->tightened++;
    e->tool_from = s->ticks + 2u + (uint64_t)(e->before.time_to_rest_s / ((double)s->config.tick_ns * 1e-9));
}

/* One robot and one style of setpoints. */
static void run_episode(uint64_t seed, uint64_t ticks, int with_geometry, tally *t) {
    static fuzz_stream s;
    static episode e;
    memset(&e, 0, sizeof e);
    fuzz_open(&s, seed, with_geometry);
    kernel_init(&e.state, &s.config);
    for (uint64_t k = 0; k < ticks; k++) {
        kernel_verdict now;
        fuzz_next(&s, k == 0u ? NULL : &e.before);
        kernel_step(&e.state, &s.config, &s.feedback, &s.setpoint, s.now_ns, &now);
        mix(t, &now);
        t->states[now.state]++;
        t->reasons |= now.reasons | now.faults;
        if (k > 0u) check(&s, &e, &now, t);
        e.before = now;
        send_request(&s, &e, t);
        send_tightening(&s, &e, t);
    }
    t->ticks += ticks;
}

static int print(const tally *t) {
    uint64_t violations = 0u;
    printf("{\"ticks\": %" PRIu64 ", \"armed_ticks\": %" PRIu64 ", \"geometry_ticks\": %" PRIu64 ", \"trips\": %" PRIu64
           ", \"requests\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"tightened\": %" PRIu64 ", \"reasons\": %" PRIu64
           ", \"closest_m\": %g, \"found\": {",
           t->ticks, t->armed, t->geometry, t->trips, t->requests, t->refused, t->tightened, t->reasons, t->closest_m);
#define PRINT(name)                                          \
    printf("\"" #name "\": %" PRIu64 ", ", t->name);         \
    violations += t->name;
    VIOLATIONS(PRINT)
    printf("\"all\": %" PRIu64 "}, \"violations\": %" PRIu64 ", \"states\": [", violations, violations);
    for (int i = 0; i < KERNEL_STATE_COUNT; i++) printf("%s%" PRIu64, i ? ", " : "", t->states[i]);
    printf("], \"hash\": \"%016" PRIx64 "\"}\n", t->hash);
    return violations != 0u;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        (void)fprintf(stderr, "usage: fuzz SEED TICKS PERCENT\n");
        return 2;
    }
    const uint64_t seed = strtoull(argv[1], NULL, 10), ticks = strtoull(argv[2], NULL, 10);
    const uint64_t percent = strtoull(argv[3], NULL, 10);
    tally t = {.hash = 0xcbf29ce484222325ull, .closest_m = FUZZ_NOWHERE_M};
    for (uint64_t n = 0; t.ticks < ticks; n++)
        run_episode(seed * 1000003u + n, ticks - t.ticks < EPISODE_TICKS ? ticks - t.ticks : EPISODE_TICKS,
                    n * percent % 100u < percent, &t);
    return print(&t);
}
