/* What kernel_step() costs, tick by tick, compiled with the kernel's own sources.
 *
 * kernel_cost PACE_NS TIMES < input > output. Input: a kernel_config as it lies in memory, the posture to arm in, a count,
 * and that many rows of n_axes setpoints. The robot follows its commands exactly. The same ticks are run TIMES times
 * from the start; output: TIMES rows of costs in ns, uint32_t. PACE_NS 0: back to back; else each tick waits for its time
 * asleep, as the loop does, and finds the caches as cold as the loop finds them. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "kernel.h"

/* Linux takes the processor from a real-time thread that never rests. */
#define PAUSE_TICKS 1000u
#define PAUSE_NS 3000000

static kernel_config config;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_until(int64_t at_ns) {
    const struct timespec at = {at_ns / 1000000000, at_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0) {}
}

static int run(const double *home_rad, const double *rows, uint32_t count, int64_t pace_ns, uint32_t *costs_ns) {
    const uint32_t n = config.n_axes;
    kernel_state state;
    kernel_feedback feedback = {.present = 1u, .n = n, .watchdog_ns = 1000000000u, .seq = 1u};
    kernel_setpoint setpoint = {.n = n, .speed_scale = 1.0};
    kernel_verdict verdict;
    int64_t tick_ns = config.tick_ns;
    feedback.stamp_ns = tick_ns;
    memcpy(feedback.q, home_rad, n * sizeof(double));
    kernel_init(&state, &config);
    kernel_step(&state, &config, &feedback, &setpoint, tick_ns, &verdict);
    const int answer = kernel_request(&state, &config, &feedback, KERNEL_REQUEST_ARM, tick_ns);
    if (answer != KERNEL_DONE) {
        fprintf(stderr, "refused to arm: kernel_result %d\n", answer);
        return 1;
    }
    setpoint.present = 1u;
    int64_t wake_ns = now_ns();
    for (uint32_t k = 0u; k < count; k++) {
        tick_ns += config.tick_ns;
        feedback.stamp_ns = tick_ns;
        feedback.seq++;
        setpoint.stamp_ns = setpoint.observation_ns = tick_ns;
        setpoint.seq++;
        memcpy(setpoint.q, rows + (size_t)k * n, n * sizeof(double));
        if (pace_ns > 0) {
            wake_ns += pace_ns;
            sleep_until(wake_ns);
        } else if (k % PAUSE_TICKS == 0u) {
            sleep_until(now_ns() + PAUSE_NS);
        }
        const int64_t begin_ns = now_ns();
        kernel_step(&state, &config, &feedback, &setpoint, tick_ns, &verdict);
        costs_ns[k] = (uint32_t)(now_ns() - begin_ns);
        if (verdict.state != KERNEL_ACTIVE && verdict.state != KERNEL_HOLDING) {
            fprintf(stderr, "tick %u left the armed states: %u, faults %#llx\n", k, verdict.state,
                    (unsigned long long)verdict.faults);
            return 1;
        }
        memcpy(feedback.q, verdict.q, n * sizeof(double));
    }
    return 0;
}

static void *read_whole(size_t size) {
    void *room = malloc(size);
    if (room == NULL || fread(room, 1, size, stdin) != size) {
        fprintf(stderr, "input ends early\n");
        exit(2);
    }
    return room;
}

int main(int argc, char **argv) {
    if (argc != 3 || fread(&config, sizeof config, 1, stdin) != 1) return 2;
    const size_t row_bytes = config.n_axes * sizeof(double);
    const double *home_rad = read_whole(row_bytes);
    const uint32_t count = *(const uint32_t *)read_whole(sizeof(uint32_t));
    const double *rows = read_whole(count * row_bytes);
    uint32_t *costs_ns = calloc(count, sizeof(uint32_t));
    uint32_t index;
    if (costs_ns == NULL || kernel_config_check(&config, &index) != KERNEL_CONFIG_OK) return 2;
    const struct sched_param priority = {.sched_priority = 80};
    const int granted = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
    const int locked = mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
    prctl(PR_SET_TIMERSLACK, 1);
    if (!granted || !locked) fprintf(stderr, "no real-time priority or locked memory: the tail is the scheduler's\n");
    for (int i = atoi(argv[2]); i > 0; i--) {
        memset(costs_ns, 0, count * sizeof(uint32_t));
        if (run(home_rad, rows, count, atoll(argv[1]), costs_ns)) return 1;
        fwrite(costs_ns, sizeof(uint32_t), count, stdout);
    }
    return 0;
}
