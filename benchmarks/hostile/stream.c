/* Drives the kernel of one robot with hostile input, at C speed, and writes down what it commands; judges nothing.
 *
 *   stream CONFIG HOME SEED EPISODES TICKS > RECORDS
 *
 * CONFIG is a kernel_config as it lies in memory, HOME one double for each axis. Each episode starts with a kernel that
 * knows nothing, at home; its styles of setpoints, its driver's manners and its faults are drawn from the seed. A record
 * is a `head` and one double for each axis: what it is told, of a velocity axis its velocity. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_stream.h"

#define STYLE_TICKS 1250u
#define OPENS 1u    /* a robot stands at home, before anything */
#define ARMS 2u     /* a request to arm was granted: the command is the measurement, brought inside the limits */
#define MOST_ODOMETRY_NOISE 5e-4

typedef struct {
    uint32_t state;
    uint32_t flags;
    double margin_m;   /* as the kernel tells it */
    double noise;      /* of the odometry, m and rad */
    double place[3];   /* where the base really is, before this command: x m, y m, yaw rad */
} head;

static void write_down(const fuzz_stream *s, uint32_t state, uint32_t flags, double margin_m, const double *q,
                       const double *dq) {
    const kernel_config *c = &s->config;
    head h = {.state = state, .flags = flags, .margin_m = margin_m, .noise = s->noise};
    double told[KERNEL_MAX_AXES];
    memcpy(h.place, s->place, sizeof h.place);
    for (uint32_t i = 0u; i < c->n_axes; i++) {
        const int drives = c->axis_kind[i] == KERNEL_AXIS_VELOCITY;
        told[i] = drives ? (dq == NULL ? 0.0 : dq[i]) : q[i];
    }
    if (fwrite(&h, sizeof h, 1, stdout) != 1u || fwrite(told, sizeof *told, c->n_axes, stdout) != c->n_axes) exit(2);
}

static void open_robot(fuzz_stream *s, const kernel_config *config, const double *home, uint64_t seed) {
    uint64_t *r = &s->random;
    memset(s, 0, sizeof *s);
    *r = seed * 0x9e3779b97f4a7c15ull + 0x1234567u;
    for (int i = 0; i < 8; i++) (void)fuzz_bits(r);
    s->config = *config;
    /* With the robot's own limit most leaps are refused; without, they have to be slowed down. */
    const int any_step = fuzz_below(r, 2u) == 0u;
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        if (any_step) s->config.step_max[i] = 1e3;
        s->real[i] = config->axis_kind[i] == KERNEL_AXIS_VELOCITY ? 0.0 : home[i];
    }
    for (uint32_t k = 0u; k < 3u; k++)
        if (config->base_axis[k] >= 0) s->place[k] = fuzz_uniform(r, -0.3, 0.3);
    s->hostile = fuzz_below(r, 2u) == 0u;
    s->now_ns = 1000000000;
    s->way = 1.0;
    s->setpoint.speed_scale = 1.0;
    s->noise = fuzz_below(r, 3u) == 0u ? fuzz_decade(r, -6, -4) : 0.0;
    if (s->noise > MOST_ODOMETRY_NOISE) s->noise = MOST_ODOMETRY_NOISE;
    s->wraps = fuzz_below(r, 2u);
    s->period_ticks = fuzz_below(r, 3u) == 0u ? 1u + fuzz_below(r, 9u) : 1u;
    memcpy(s->target, s->real, sizeof s->target);
}

static void next_style(fuzz_stream *s) {
    s->style = (fuzz_style)fuzz_below(&s->random, STYLE_COUNT);
    s->way = 1.0;
    memcpy(s->target, s->real, sizeof s->target);
}

/* The stream's sizes are those of its own robots: 50 Nm, 40 N and 10 Nm. */
static kernel_feedback fitted(fuzz_stream *s) {
    kernel_feedback f = s->feedback;
    for (uint32_t i = 0u; i < s->config.n_axes; i++) f.tau[i] *= s->config.tau_max[i] / 50.0;
    for (uint32_t t = 0u; t < KERNEL_MAX_TOOLS; t++)
        for (uint32_t k = 0u; k < 6u; k++)
            f.wrench[t][k] *= k < 3u ? s->config.force_max_n[t] / 40.0 : s->config.moment_max_nm[t] / 10.0;
    for (uint32_t k = 0u; k < 3u; k++) f.odometry[k] += s->noise * fuzz_uniform(&s->random, -1.0, 1.0);
    return f;
}

/* A robot that is not armed stays where it is, whatever was measured of it. */
static void stay(const fuzz_stream *s, kernel_verdict *told) {
    if (told->state != KERNEL_SILENT && told->state != KERNEL_READY && told->state != KERNEL_FAULT) return;
    memcpy(told->q, s->real, sizeof told->q);
    memset(told->dq, 0, sizeof told->dq);
}

static void run_episode(const kernel_config *config, const double *home, uint64_t seed, uint64_t ticks) {
    static fuzz_stream s;
    static kernel_state state;
    kernel_verdict told;
    open_robot(&s, config, home, seed);
    kernel_init(&state, &s.config);
    write_down(&s, KERNEL_SILENT, OPENS, 0.0, s.real, NULL);
    for (uint64_t k = 0; k < ticks; k++) {
        if (k % STYLE_TICKS == 0u) next_style(&s);
        fuzz_next(&s, k == 0u ? NULL : &told);
        const kernel_feedback feedback = fitted(&s);
        kernel_step(&state, &s.config, &feedback, &s.setpoint, s.now_ns, &told);
        write_down(&s, told.state, 0u, told.stop_margin_m, told.q, told.dq);
        stay(&s, &told);
        const uint32_t request = fuzz_request(&s, state.state);
        if (request == 0u || kernel_request(&state, &s.config, &feedback, request, s.now_ns) != KERNEL_DONE) continue;
        if (request != KERNEL_REQUEST_ARM) continue;
        memset(told.dq, 0, sizeof told.dq);
        memcpy(told.q, state.q, sizeof told.q);
        write_down(&s, state.state, ARMS, 0.0, told.q, NULL);
    }
}

static void take(const char *path, void *into, size_t size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fread(into, 1, size, file) != size || fclose(file) != 0) {
        (void)fprintf(stderr, "%s: not %zu bytes\n", path, size);
        exit(2);
    }
}

int main(int argc, char **argv) {
    static kernel_config config;
    double home[KERNEL_MAX_AXES];
    uint32_t index;
    if (argc != 6) {
        (void)fprintf(stderr, "usage: stream CONFIG HOME SEED EPISODES TICKS\n");
        return 2;
    }
    take(argv[1], &config, sizeof config);
    if (kernel_config_check(&config, &index) != KERNEL_CONFIG_OK) {
        (void)fprintf(stderr, "%s is refused at %u\n", argv[1], index);
        return 2;
    }
    take(argv[2], home, config.n_axes * sizeof *home);
    const uint64_t seed = strtoull(argv[3], NULL, 10), episodes = strtoull(argv[4], NULL, 10);
    for (uint64_t n = 0u; n < episodes; n++)
        run_episode(&config, home, seed * 1000003u + n, strtoull(argv[5], NULL, 10));
    return 0;
}
