/* See watch.h. */
#define _GNU_SOURCE
#include "watch.h"

#include <poll.h>
#include <string.h>

#include "kernel.h"
#include "number.h"

void watch_init(policy_watch *self, int64_t stall_timeout_ns, int64_t progress_timeout_ns) {
    memset(self, 0, sizeof *self);
    self->stall_timeout_ns = stall_timeout_ns;
    self->progress_timeout_ns = progress_timeout_ns;
    self->pidfd = -1;
    self->policy = KERNEL_POLICY_ALIVE;
}

int watch_replace(policy_watch *self, int pidfd) {
    const int before = self->pidfd;
    self->pidfd = pidfd;
    self->dead = 0u;
    return before;
}

/* A pidfd becomes readable when its process ends; whatever else it may say means that nobody is watched any more. */
static int has_ended(int pidfd) {
    struct pollfd one = {.fd = pidfd, .events = POLLIN};
    return poll(&one, 1u, 0) > 0;
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
    if (self->pidfd >= 0 && !self->dead) self->dead = has_ended(self->pidfd) != 0;
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
