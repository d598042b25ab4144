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
    X(end_speed) X(squeeze) X(tool_speed) X(moved_in_fault) X(unasked) X(unlatched) X(margin) X(late_stop)

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

/* What a velocity limit that falls towards an end allows there. */
static double end_speed(const kernel_config *c, uint32_t end, uint32_t i, double q) {
    const double slope = c->end_speed_slope[end][i];
    const double room = fmax(0.0, end == 0u ? q - c->end_speed_zero[end][i] : c->end_speed_zero[end][i] - q);
    return slope == 0.0 ? INFINITY : fmax(0.0, sqrt(slope * room) - c->end_speed_offset[end][i]);
}

static void check_range(const kernel_config *c, const kernel_verdict *now, uint32_t i, tally *t) {
    const double q = now->q[i], v = now->dq[i], range = c->q_max[i] - c->q_min[i];
    t->position += !(q >= c->q_min[i] - SLACK * range && q <= c->q_max[i] + SLACK * range);
    t->end_speed += !(v <= end_speed(c, 1u, i, q) * (1.0 + SLACK) + SLACK * c->dq_max[i] &&
                      -v <= end_speed(c, 0u, i, q) * (1.0 + SLACK) + SLACK * c->dq_max[i]);
}

static void check_axis(const kernel_config *c, const kernel_verdict *before, const kernel_verdict *now, uint32_t i,
                       tally *t) {
    const double tick = (double)c->tick_ns * 1e-9;
    const double q = now->q[i], v = now->dq[i], a = now->ddq[i];
    const double range = c->q_max[i] - c->q_min[i], jerk_step = c->dddq_max[i] * tick;
    const int drives = c->axis_kind[i] == KERNEL_AXIS_VELOCITY;
    if (!drives) check_range(c, now, i, t);
    t->velocity += !(fabs(v) <= c->dq_max[i] * (1.0 + SLACK));
    t->acceleration += !(fabs(a) <= c->ddq_max[i] * (1.0 + SLACK));
    if (before == NULL) return;
    /* A stop may end beyond the range by rounding; what was left of it is cut off. */
    const int at_end = !drives && (q == c->q_min[i] || q == c->q_max[i]);
    const double rounding = 1e-15 * (fabs(q) + (drives ? 0.0 : range)) + (at_end ? 1e-10 * range : 0.0);
    t->jerk += !(fabs(a - before->ddq[i]) <= jerk_step * (1.0 + SLACK));
    /* What is told of speed and acceleration is what the commands do. */
    t->step += !(fabs(q - before->q[i] - tick * v) <= rounding);
    t->speed_change += !(fabs(v - before->dq[i] - tick * a) <= SLACK * jerk_step * tick + 1e-15 * fabs(v));
}

static void check_gripper(const fuzz_stream *s, const kernel_verdict *before, const kernel_verdict *now, uint32_t i,
                          tally *t) {
    const kernel_config *c = &s->config;
    const double reach = c->dq_max[i] * (double)c->tick_ns * 1e-9;
    const double way = now->q[i] - before->q[i];
    const double closing = c->closes_up >> i & 1u ? way : -way;
    const double rounding = 1e-15 * fmax(1.0, fmax(fabs(c->q_min[i]), fabs(c->q_max[i])));
    t->gripper += !(now->q[i] >= c->q_min[i] && now->q[i] <= c->q_max[i] &&
                    fabs(way) <= reach * (1.0 + SLACK) + rounding && now->dq[i] == 0.0 && now->ddq[i] == 0.0);
    if (now->reasons & (KERNEL_BIT(GRIPPER_FORCE)))
        t->squeeze += !(fabs(s->feedback.tau[i]) <= c->tau_max[i] || closing <= 0.0);
}

static void check_axes(const fuzz_stream *s, const kernel_verdict *before, const kernel_verdict *now, tally *t) {
    for (uint32_t i = 0; i < s->config.n_axes; i++) {
        if (s->config.axis_kind[i] != KERNEL_AXIS_GRIPPER)
            check_axis(&s->config, before, now, i, t);
        else if (before != NULL)
            check_gripper(s, before, now, i, t);
    }
}

static void check_numbers(const kernel_config *c, const kernel_verdict *now, tally *t) {
    int finite = isfinite(now->accepted) && isfinite(now->speed_scale) && isfinite(now->stop_margin) &&
                 isfinite(now->stop_margin_m) && isfinite(now->time_to_rest_s);
    for (uint32_t i = 0; i < c->n_axes; i++)
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

/* Where the base is by its own odometry, where that counts: the commands up to this one carried out. */
static void check_geometry(const fuzz_stream *s, const episode *e, const kernel_verdict *now, tally *t) {
    static const double nowhere[3] = {0.0, 0.0, 0.0};
    const kernel_config *c = &s->config;
    double drive[3];
    for (uint32_t k = 0; k < 3u; k++) drive[k] = c->base_axis[k] >= 0 ? now->dq[c->base_axis[k]] : 0.0;
    const double tick = (double)c->tick_ns * 1e-9, way = s->place[2] + 0.5 * tick * drive[2];
    const double there[3] = {s->place[0] + tick * (cos(way) * drive[0] - sin(way) * drive[1]),
                             s->place[1] + tick * (sin(way) * drive[0] + cos(way) * drive[1]), s->place[2] + tick * drive[2]};
    const double *place = c->has_odometry && c->geometry.has_base ? there : nowhere;
    const double room = fuzz_clearance_m(&c->geometry, place, now->q) - c->clearance_min_m;
    t->geometry++;
    if (room < t->closest_m) t->closest_m = room;
    t->clearance += !(room >= -SLACK);
    for (uint32_t tool = 0; s->ticks >= e->tool_from && tool < c->geometry.n_tools; tool++) {
        const double most_m_s = fmin(c->tool_speed_max_m_s[tool], e->state.tightening.tool_speed_max_m_s);
        t->tool_speed += !(fuzz_tool_speed_m_s(&c->geometry, place, drive, now->q, now->dq, tool) <=
                           most_m_s * (1.0 + SLACK) + 1e-12);
    }
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
    check_axes(s, &e->before, now, t);
    t->margin += now->stop_margin < -1e-10 * (c->q_max[now->stop_margin_axis] - c->q_min[now->stop_margin_axis]);
    /* A stop that has begun ends when the verdict before said it would. */
    const double told = e->before.time_to_rest_s / ((double)c->tick_ns * 1e-9);
    if (now->state != KERNEL_STOPPING || e->before.state != KERNEL_STOPPING) e->stop_before = s->ticks + (uint64_t)told + 3u;
    t->late_stop += now->state == KERNEL_STOPPING && s->ticks > e->stop_before;
    if (c->geometry.n_capsules > 0u) check_geometry(s, e, now, t);
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
        e->before.state = e->state.state;
        check_axes(s, NULL, &e->before, t);
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
