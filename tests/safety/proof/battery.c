/* Asks the kernel as it is and then every mutant of it the same questions; tells which mutants nobody could tell apart.
 *
 *   battery MUTANT...  ->  a line for each that survives, then "asked N"
 *
 * A mutant answers in a process of its own, so that it may crash; one that takes far longer than the kernel is known to
 * be different too. */
#define _DEFAULT_SOURCE /* timers, processes and memory that they share, which C11 alone has not */
#include "battery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 5.0
#define PATIENCE_LEAST_S 0.02
#define MAX_QUESTIONS 4096
#define QUICK_S 1e-3

int mutant_id = 0;

typedef struct {
    battery_ask ask;
    uint32_t variant;
    uint64_t expected;
    double cost_s;
} question;

static question questions[MAX_QUESTIONS];
static uint32_t n_questions;
/* Which question a child is at, where its parent sees it. */
static uint32_t *asking;

void answer_bytes(answer *a, const void *bytes, size_t size) {
    const unsigned char *next = bytes;
    for (; size >= 8u; size -= 8u, next += 8) {
        uint64_t word;
        memcpy(&word, next, sizeof word);
        a->value = (a->value ^ word) * 0x9e3779b97f4a7c15ull;
        a->value ^= a->value >> 29;
    }
    for (; size > 0u; size--, next++) a->value = (a->value ^ *next) * 0x100000001b3ull;
}

void answer_number(answer *a, double x) { answer_bytes(a, &x, sizeof x); }
void answer_whole(answer *a, int64_t x) { answer_bytes(a, &x, sizeof x); }

static double cpu_s(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t ask(const question *q) {
    answer a = {0xcbf29ce484222325ull};
    q->ask(q->variant, &a);
    return a.value;
}

static void collect(const battery_group *groups, uint32_t count) {
    for (uint32_t g = 0; g < count; g++)
        for (uint32_t v = 0; v < groups[g].variants; v++) {
            if (n_questions == MAX_QUESTIONS) abort();
            question *q = &questions[n_questions++];
            *q = (question){groups[g].ask, v, 0u, 0.0};
            const double began = cpu_s();
            q->expected = ask(q);
            q->cost_s = cpu_s() - began;
            if (ask(q) != q->expected) {
                (void)fprintf(stderr, "%s %u answers differently when asked again\n", groups[g].name, v);
                exit(2);
            }
        }
}

/* One question of every kind before the second of any: most mutants are noticed by the first that is about them. */
static int sooner(const void *a, const void *b) {
    const question *p = a, *q = b;
    if (p->variant != q->variant) return p->variant < q->variant ? -1 : 1;
    return (p->cost_s > q->cost_s) - (p->cost_s < q->cost_s);
}

/* In the child: leaves at the first answer that differs, or is killed by the timer. */
static void answer_all(int mutant) {
    mutant_id = mutant;
    for (uint32_t i = 0; i < n_questions; i++) {
        const double patience = PATIENCE * questions[i].cost_s + PATIENCE_LEAST_S;
        const struct itimerval timer = {{0, 0}, {(time_t)patience, (suseconds_t)(1e6 * (patience - (double)(time_t)patience))}};
        (void)setitimer(ITIMER_PROF, &timer, NULL);
        *asking = i;
        if (ask(&questions[i]) != questions[i].expected) _exit(1);
    }
    _exit(0);
}

/* A question that has told one mutant apart is asked first from now on, if it is a quick one: the next mutant is a change of
 * the same line or of one nearby. Each mutant is asked the same questions, until one tells it apart. */
static void ask_sooner(uint32_t at) {
    const question quick = questions[at];
    if (quick.cost_s > QUICK_S) return;
    (void)memmove(&questions[1], &questions[0], at * sizeof *questions);
    questions[0] = quick;
}

static int survives(int mutant) {
    int status;
    const pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0) answer_all(mutant);
    if (waitpid(child, &status, 0) != child) exit(2);
    const int survived = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!survived) ask_sooner(*asking);
    return survived;
}

int main(int argc, char **argv) {
    battery_prepare();
    battery_prepare_streams();
    collect(battery_values, battery_values_count);
    collect(battery_parts, battery_parts_count);
    collect(battery_motion, battery_motion_count);
    qsort(questions, n_questions, sizeof *questions, sooner);
    asking = mmap(NULL, sizeof *asking, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (asking == MAP_FAILED) return 2;
    double cost_s = 0.0;
    for (uint32_t i = 0; i < n_questions; i++) cost_s += questions[i].cost_s;
    (void)fprintf(stderr, "%u questions, %.3f s\n", n_questions, cost_s);
    if (!survives(0)) {
        (void)fprintf(stderr, "the kernel as it is does not pass\n");
        return 2;
    }
    for (int i = 1; i < argc; i++)
        if (survives(atoi(argv[i]))) printf("%s\n", argv[i]);
    printf("asked %d\n", argc - 1);
    return 0;
}
