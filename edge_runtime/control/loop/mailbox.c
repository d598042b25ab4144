/* The supervisor's side of a loop that runs: plans and questions in, reports and counters out. Nothing here can delay a
 * tick, and every wait ends. See loop.h. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "lifeline.h"
#include "loop_state.h"

#define NAP_NS 100000

int loop_set_plan(loop *self, const loop_plan *plan) {
    const int refused = plan_check(plan, self->config.n_axes);
    if (refused != PLAN_OK) return refused;
    if (plan->seq <= self->mailbox_seq) return PLAN_REFUSED_SEQUENCE;
    const uint64_t next = self->mailbox_count + 1u;
    plan_slot *slot = &self->mailbox[next & 1u];
    dp_store(&slot->lock, &slot->plan, plan, sizeof *plan);
    self->mailbox_seq = plan->seq;
    __atomic_store_n(&self->mailbox_count, next, __ATOMIC_RELEASE);
    return PLAN_OK;
}

static void nap(void) {
    const struct timespec length = {.tv_sec = 0, .tv_nsec = NAP_NS};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL);
}

static int withdraw(loop_question *question) {
    uint32_t from = REQUEST_PENDING;
    return __atomic_compare_exchange_n(&question->stage, &from, REQUEST_NONE, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Puts the filled question and waits for its answer: that, or a loop_error. */
static int ask(loop *self, uint32_t subject, int64_t timeout_ns) {
    loop_question *question = &self->question;
    if (!loop_running(self)) return LOOP_NOT_RUNNING;
    const int64_t until_ns = monotonic_ns() + timeout_ns;
    question->subject = subject;
    __atomic_store_n(&question->stage, REQUEST_PENDING, __ATOMIC_RELEASE);
    while (__atomic_load_n(&question->stage, __ATOMIC_ACQUIRE) != REQUEST_ANSWERED) {
        const int gone = !loop_running(self);
        if ((gone || monotonic_ns() > until_ns) && withdraw(question)) return gone ? LOOP_NOT_RUNNING : LOOP_TIMEOUT;
        nap();
    }
    __atomic_store_n(&question->stage, REQUEST_NONE, __ATOMIC_RELAXED);
    return question->answer;
}

int loop_request(loop *self, uint32_t request, int64_t timeout_ns) {
    self->question.kind = request;
    return ask(self, ASK_KERNEL, timeout_ns);
}

int loop_tighten(loop *self, const kernel_tightening *tightening, int64_t timeout_ns) {
    self->question.tightening = *tightening;
    return ask(self, ASK_TIGHTEN, timeout_ns);
}

int loop_watch(loop *self, int pidfd, int lifeline_fd, int32_t pid, int64_t timeout_ns) {
    watch_target *target = &self->question.target;
    const int own = pidfd < 0 ? -1 : fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
    if (pidfd >= 0 && own < 0) return LOOP_BAD_DESCRIPTOR;
    *target = (watch_target){own, lifeline_fd < 0 ? NULL : lifeline_map(lifeline_fd, pid)};
    const int has_lifeline = target->lifeline != NULL;
    const int answer = ask(self, ASK_WATCH, timeout_ns);
    /* What the question holds now is not watched any more, or never was. */
    watch_release(target);
    *target = (watch_target){-1, NULL};
    return answer == LOOP_OK ? has_lifeline : answer;
}

void loop_beat(loop *self) { __atomic_add_fetch(&self->beats, 1u, __ATOMIC_RELAXED); }

void loop_set_progress_timeout(loop *self, int64_t progress_timeout_ns) {
    __atomic_store_n(&self->progress_timeout_ns, progress_timeout_ns, __ATOMIC_RELAXED);
}

int loop_snapshot(const loop *self, kernel_state *state) {
    int result;
    while ((result = dp_load(&self->snapshot_lock, &self->snapshot, state, sizeof *state)) == DP_TORN) nap();
    return result == DP_OK ? LOOP_OK : LOOP_NOT_RUNNING;
}

uint32_t loop_drain(loop *self, loop_report *reports, uint32_t n) {
    const uint64_t tail = self->ring_tail;
    const uint64_t ready = __atomic_load_n(&self->ring_head, __ATOMIC_ACQUIRE) - tail;
    const uint32_t moved = ready < n ? (uint32_t)ready : n;
    for (uint32_t i = 0; i < moved; i++) reports[i] = self->ring[(tail + i) & (LOOP_REPORTS - 1)];
    __atomic_store_n(&self->ring_tail, tail + moved, __ATOMIC_RELEASE);
    return moved;
}

uint64_t loop_black_box_newest(const loop *self) { return black_box_newest(&self->box); }

uint32_t loop_black_box_copy(const loop *self, uint64_t from_seq, black_box_record *records, uint32_t n) {
    return black_box_copy(&self->box, from_seq, records, n);
}

void loop_read_counters(const loop *self, loop_counters *counters) {
    const dp_word *from = (const dp_word *)&self->counters;
    dp_word *to = (dp_word *)counters;
    /* Whole words: each counter is consistent in itself, not with the others. */
    for (size_t i = 0; i < sizeof *counters / sizeof *to; i++) to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}
