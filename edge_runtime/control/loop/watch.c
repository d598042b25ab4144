/* See watch.h. */
#define _GNU_SOURCE
#include "watch.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"
#include "lifeline.h"
#include "number.h"

void watch_init(policy_watch *self, int64_t stall_timeout_ns, int64_t progress_timeout_ns) {
    memset(self, 0, sizeof *self);
    self->stall_timeout_ns = stall_timeout_ns;
    self->progress_timeout_ns = progress_timeout_ns;
    self->target.pidfd = -1;
    self->policy = KERNEL_POLICY_ALIVE;
}

watch_target watch_replace(policy_watch *self, watch_target target) {
    const watch_target before = self->target;
    self->target = target;
    self->dead = 0u;
    return before;
}

void watch_release(const watch_target *target) {
    if (target->pidfd >= 0) (void)close(target->pidfd);
    lifeline_unmap(target->lifeline);
}

/* A pidfd becomes readable when its process ends; whatever else it may say means that nobody is watched any more. */
static int has_ended(const watch_target *target) {
    struct pollfd one = {.fd = target->pidfd, .events = POLLIN};
    if (target->lifeline != NULL && lifeline_is_cut(target->lifeline)) return 1;
    return target->pidfd >= 0 && poll(&one, 1u, 0) > 0;
}

static uint32_t policy_now(const policy_watch *self, int64_t now_ns) {
    if (self->dead) return KERNEL_POLICY_DEAD;
    if (!self->has_beat) return KERNEL_POLICY_ALIVE;
    if (self->stall_timeout_ns > 0 && elapsed(now_ns, self->beat_ns) > self->stall_timeout_ns) return KERNEL_POLICY_STALLED;
    if (self->progress_timeout_ns > 0 && elapsed(now_ns, self->progress_ns) > self->progress_timeout_ns)
        return KERNEL_POLICY_STUCK;
    return KERNEL_POLICY_ALIVE;
}

void watch_look(policy_watch *self, uint64_t beats, uint64_t plans, int followed, int64_t now_ns) {
    if (!self->dead) self->dead = has_ended(&self->target) != 0;
    if (beats != self->beats) {
        self->beats = beats;
        self->beat_ns = now_ns;
        self->has_beat = 1u;
    }
    if (plans != self->plans || !followed) {
        self->plans = plans;
        self->progress_ns = now_ns;
    }
    const uint32_t policy = policy_now(self, now_ns);
    if (self->policy == KERNEL_POLICY_ALIVE && policy != KERNEL_POLICY_ALIVE) self->lost_ns = now_ns;
    self->policy = policy;
}
