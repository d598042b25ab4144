/* The 1 kHz loop: feedback -> plan -> kernel -> command, on a thread of its own that never touches the interpreter.
 *
 * Guarantees: one kernel verdict per tick is the only thing written to the port; absolute deadlines, a late tick is
 * counted and the phase kept; inside the tick no allocation, no lock, no I/O but one look at the policy's process and
 * one at the stop line. Under the port's virtual clock the same tick runs once per step of that clock. Refuses to know:
 * chunks, policies, what a robot is. Trusts: the plan after plan_check() and the config after kernel_config_check().
 *
 * One supervisor thread at a time may call the functions below (the Python wrapper holds a lock).
 */
#ifndef EDGE_RUNTIME_LOOP_H
#define EDGE_RUNTIME_LOOP_H

#include <stdint.h>

#include "black_box.h"
#include "driver_port.h"
#include "kernel.h"
#include "plan.h"
#include "port.h"

/* bindings:begin */
#define LOOP_REPORTS 8192
#define LOOP_END_NS 1000000000

typedef struct {
    int32_t priority;     /* SCHED_FIFO priority, 1 .. 99; 0: leave the policy alone */
    int32_t cpu;          /* pin to this CPU; -1: leave the affinity alone */
    uint32_t lock_memory; /* keep touched pages resident */
    uint32_t dma_latency; /* hold /dev/cpu_dma_latency at 0 */
    int64_t stall_timeout_ns;    /* a policy whose beats are further apart has stalled; 0: never */
    int64_t progress_timeout_ns; /* one that beats but brings no new plan for so long is stuck; 0: never */
    uint32_t has_stop_line;      /* one of its own, beside what the driver says of another */
    int32_t stop_line_fd;        /* from stop_line_open(); duplicated */
} loop_options;

/* What the machine granted of the options; bits of loop_counters.granted. */
typedef enum {
    LOOP_GRANTED_PRIORITY = 1u << 0,
    LOOP_GRANTED_CPU = 1u << 1,
    LOOP_GRANTED_MEMORY = 1u << 2,
    LOOP_GRANTED_DMA_LATENCY = 1u << 3,
    LOOP_GRANTED_TIMER_SLACK = 1u << 4
} loop_granted;

typedef enum {
    LOOP_OK = 0,
    LOOP_TIMEOUT = -1,     /* the loop did not answer in time */
    LOOP_NOT_RUNNING = -2,
    LOOP_NO_MEMORY = -3,
    LOOP_NO_THREAD = -4,
    LOOP_BAD_CONFIG = -5,
    LOOP_STUCK = -6,       /* its thread did not end: it keeps its memory, and the port's control role */
    LOOP_BAD_DESCRIPTOR = -7
} loop_error;

/* One tick, whole: what went in and what came out. */
typedef struct {
    int64_t tick_ns;          /* instant the tick stands for: its deadline, or virtual now */
    int64_t wake_lateness_ns; /* woke so long after its deadline; 0 on the virtual clock */
    int64_t cost_ns;          /* from waking to the command being written; 0 on the virtual clock */
    int64_t feedback_ns;      /* stamp of the feedback used */
    int64_t observation_ns;
    uint64_t plan_seq;        /* 0: the command followed no plan */
    uint64_t chunk_seq;
    uint64_t reasons;
    uint64_t faults;
    uint32_t state;
    uint32_t stop_margin_axis;
    double accepted;    /* share of the wanted motion that was let through */
    double speed_scale; /* of the velocity limits, in force */
    double stop_margin; /* in the unit of stop_margin_axis */
    double stop_margin_m;
    double time_to_rest_s;
    double q_command[KERNEL_MAX_AXES];
    double dq_command[KERNEL_MAX_AXES]; /* of a base's axis what it is told to drive at */
    double ddq_command[KERNEL_MAX_AXES];
    double q_measured[KERNEL_MAX_AXES];
    double dq_measured[KERNEL_MAX_AXES];
} loop_report;

typedef struct {
    uint64_t ticks;
    uint64_t overruns;        /* tick slots that passed without a tick */
    uint64_t torn_feedback;
    uint64_t torn_plans;
    uint64_t plans_taken;
    uint64_t plans_refused;   /* out of sequence, or malformed by the time they were read */
    uint64_t reports_dropped; /* the ring was full */
    uint64_t stop_line_opened; /* how often the loop's own stop line was found open after it had been closed */
    uint64_t page_faults;     /* of the loop thread since its first tick; known once it has stopped */
    int64_t tick_ns;          /* instant of the last tick */
    uint64_t reasons;         /* of the last tick */
    uint64_t faults;          /* latched */
    uint64_t plan_seq;
    int64_t policy_lost_ns;   /* instant of the tick that found the policy lost, last time it was */
    int64_t policy_beat_ns;   /* instant of the tick that saw its last beat; 0: none yet */
    uint32_t state;
    uint32_t granted;         /* loop_granted bits */
    uint32_t running;
    uint32_t policy;          /* kernel_policy */
} loop_counters;

typedef struct loop loop;

/* NULL and *error (a loop_error) on failure. The port must be open and hold the control role; the loop maps the region
 * once more and keeps the role until loop_destroy(). */
loop *loop_create(const port *shared, const kernel_config *config, const loop_options *options, int *error);
int loop_start(loop *self);

/* Asks for deceleration, waits for rest at most timeout_ns, leaves SILENT on the port and joins the thread. A thread
 * that has not ended LOOP_END_NS later does not run any more: LOOP_STUCK, and loop_destroy() leaves it what it has. */
int loop_stop(loop *self, int64_t timeout_ns);
void loop_destroy(loop *self);

/* PLAN_OK, or a plan_result; the loop picks the plan up with its next tick. The plan is copied. */
int loop_set_plan(loop *self, const loop_plan *plan);

/* A kernel_result, LOOP_TIMEOUT or LOOP_NOT_RUNNING. Arming forgets every plan handed over before. */
int loop_request(loop *self, uint32_t request, int64_t timeout_ns);

/* Likewise, for kernel_tighten(). */
int loop_tighten(loop *self, const kernel_tightening *tightening, int64_t timeout_ns);

/* Watches a process as the policy's: the one behind pidfd (-1: none), and pid's lifeline in the file behind lifeline_fd
 * (-1: it has none). Both stay the caller's. 1 with, or LOOP_OK without a lifeline that says that pid lives; or a
 * loop_error. */
int loop_watch(loop *self, int pidfd, int lifeline_fd, int32_t pid, int64_t timeout_ns);

/* The policy gave a sign of life. */
void loop_beat(loop *self);

/* From the next tick on, instead of the option of that name. */
void loop_set_progress_timeout(loop *self, int64_t progress_timeout_ns);

/* The kernel's state after the last tick or request; LOOP_OK, or LOOP_NOT_RUNNING before the first tick. */
int loop_snapshot(const loop *self, kernel_state *state);

/* Moves at most count reports, oldest first, and returns how many. */
uint32_t loop_drain(loop *self, loop_report *reports, uint32_t count);
void loop_read_counters(const loop *self, loop_counters *counters);

/* As black_box_newest() and black_box_copy(), from any thread, while the loop runs and after it has ended. */
uint64_t loop_black_box_newest(const loop *self);
uint32_t loop_black_box_copy(const loop *self, uint64_t from_seq, black_box_record *records, uint32_t count);
/* bindings:end */

#endif
