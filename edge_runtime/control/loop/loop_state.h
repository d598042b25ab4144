/* What a loop is made of, shared by the tick and what surrounds it; nobody else includes this. */
#ifndef EDGE_RUNTIME_LOOP_STATE_H
#define EDGE_RUNTIME_LOOP_STATE_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "black_box.h"
#include "loop.h"
#include "watch.h"

#define PENDING_PLANS 4u

_Static_assert(sizeof(loop_plan) % 8u == 0u && sizeof(kernel_state) % 8u == 0u, "copied in words");
_Static_assert((int)PLAN_DIGEST_BYTES == (int)KERNEL_DIGEST_BYTES, "digests");
_Static_assert((LOOP_REPORTS & (LOOP_REPORTS - 1)) == 0, "ring index is masked");

typedef struct {
    uint64_t lock;
    loop_plan plan;
} plan_slot;

/* A request that its asker gave up on is withdrawn: a robot may not arm after someone stopped waiting for it. */
typedef enum { REQUEST_NONE = 0, REQUEST_PENDING = 1, REQUEST_TAKEN = 2, REQUEST_ANSWERED = 3 } request_stage;

typedef enum { ASK_KERNEL = 0, ASK_TIGHTEN = 1, ASK_WATCH = 2 } request_subject;

/* What the supervisor asks between two ticks; filled by the asker before the stage says so, and by the loop after. */
typedef struct {
    uint32_t stage;   /* request_stage; both sides move it on */
    uint32_t subject; /* request_subject */
    uint32_t kind;    /* kernel_request_kind */
    watch_target target; /* to watch; in the answer the one watched before */
    kernel_tightening tightening;
    int32_t answer;
} loop_question;

struct loop {
    dp_region *region; /* a mapping of its own: closing the port cannot pull it away */
    int fd;            /* keeps the control role */
    kernel_config config;
    loop_options options;
    uint32_t linear; /* a bit for each axis whose plan has straight lines */
    int is_virtual;
    int spins;
    int latency_fd;
    int stop_line_fd; /* -1: there is none */
    int thread_exists;
    pthread_t thread;

    /* Written by the supervisor, read by the loop. */
    plan_slot mailbox[2];
    uint64_t mailbox_count; /* plans ever put in; the newest lies in slot count & 1 */
    uint64_t mailbox_seq;   /* number of the newest plan */
    uint32_t stop_wanted;
    uint64_t beats;
    int64_t progress_timeout_ns;
    loop_question question;

    /* Written by the loop, read by the supervisor. */
    uint64_t snapshot_lock;
    kernel_state snapshot;
    uint64_t ring_head;
    uint64_t ring_tail; /* this one by the supervisor */
    loop_counters counters;
    loop_report ring[LOOP_REPORTS];

    /* The loop's own. */
    uint64_t mailbox_seen;
    loop_plan current;
    int has_current;
    loop_plan pending[PENDING_PLANS + 1u]; /* the last place is where a plan is read into */
    uint32_t n_pending;
    uint64_t plan_seq; /* newest taken */
    uint64_t setpoint_seq;
    policy_watch watch;
    uint32_t driver_stop_line; /* what the driver said of a line of its own */
    uint32_t driver_measures;  /* DP_FLAG_HAS_*: what it has ever measured */
    uint32_t driver_wrenches;  /* a bit for each tool whose wrench it has */
    uint32_t own_stop_line;
    kernel_state kernel;
    kernel_feedback feedback;
    kernel_verdict verdict;
    dp_command command;
    black_box box; /* any thread may copy from it */
};

static inline void count(uint64_t *counter, uint64_t by) {
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + by, __ATOMIC_RELAXED);
}

static inline int64_t monotonic_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* One tick. The plan is evaluated at tick_ns, the exact phase, so that waking late does not shake the motion; ages are
 * judged at now_ns, the truth. */
void loop_tick(loop *self, int64_t tick_ns, int64_t now_ns, int64_t lateness_ns);

/* Writes the last verdict to the port; where planned, the current plan is named as what it follows. */
void loop_write_command(loop *self, int64_t now_ns, int planned);

/* Between two ticks: a kernel_result. */
int loop_ask_kernel(loop *self, uint32_t request, int64_t now_ns);

/* Answers what the supervisor asks, if anything. */
void loop_answer(loop *self, int64_t now_ns);

static inline int loop_running(const loop *self) {
    return __atomic_load_n(&self->counters.running, __ATOMIC_ACQUIRE) != 0u;
}

#endif
