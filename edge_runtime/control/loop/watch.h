/* Whether the policy lives: its process by pidfd and by its lifeline, its sign of life by time, its progress by new plans.
 *
 * Guarantees: one look a tick, at most one system call, which never waits; what is lost stays lost until its own good
 * sign (another process, another beat, another plan), and the instant of the first loss is kept until all is well.
 * Refuses to know: what the policy does, who asks. Trusts: that the descriptor is a pidfd, and the word a lifeline's of
 * the same process. Moves and arms nothing: the kernel is told, and decides.
 */
#ifndef EDGE_RUNTIME_WATCH_H
#define EDGE_RUNTIME_WATCH_H

#include <stdint.h>

/* What shows the end of a process. The lifeline is the quicker: native/lifeline.h says why. */
typedef struct {
    int32_t pidfd;            /* -1: not watched */
    const uint32_t *lifeline; /* NULL: it has none */
} watch_target;

typedef struct {
    int64_t stall_timeout_ns;    /* longest time between two beats; 0: not watched. Nor is it before the first beat */
    int64_t progress_timeout_ns; /* longest time between two plans while beats come; 0: not watched */
    watch_target target;
    uint32_t dead;
    uint32_t has_beat;
    uint32_t policy; /* kernel_policy */
    uint64_t beats; /* count at the last look */
    uint64_t plans;
    int64_t beat_ns;
    int64_t progress_ns;
    int64_t lost_ns; /* when the policy was found not to be alive */
} policy_watch;

void watch_init(policy_watch *self, int64_t stall_timeout_ns, int64_t progress_timeout_ns);

/* Watches this process from now on; returns what was watched so far, which is the caller's again. */
watch_target watch_replace(policy_watch *self, watch_target target);

/* Closes and unmaps what a target holds; not the loop's to do. */
void watch_release(const watch_target *target);

/* One look. beats and plans are counts that only grow; followed: whether the robot follows plans, without which nobody
 * can be expected to make any. */
void watch_look(policy_watch *self, uint64_t beats, uint64_t plans, int followed, int64_t now_ns);

#endif
