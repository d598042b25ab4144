/* The black box: the last ticks of a loop, whole, so that what happened can be run through the kernel again.
 *
 * Guarantees: every record holds all that the kernel was given and all that it answered, and needs no other record to
 * be re-executed; writing one is a bounded copy, without lock, allocation or system call; a reader never holds up the
 * writer, and what was overwritten under it is left out, not handed over torn. Refuses to know: files, trips, what the
 * numbers mean. Trusts: its one writer, the loop's thread.
 */
#ifndef EDGE_RUNTIME_BLACK_BOX_H
#define EDGE_RUNTIME_BLACK_BOX_H

#include <stdint.h>

#include "kernel.h"

/* bindings:begin */
#define BLACK_BOX_RECORDS 8192

typedef enum {
    BLACK_BOX_TICK = 1,    /* kernel_step() */
    BLACK_BOX_REQUEST = 2, /* kernel_request(): no setpoint, no verdict */
    BLACK_BOX_TIGHTEN = 3  /* kernel_tighten(): neither, and no feedback */
} black_box_kind;

typedef struct {
    uint64_t seq;     /* +1 per record, the first is 1; 0: nothing here, or being written */
    int64_t now_ns;   /* what the kernel was told; 0 for a tightening */
    int64_t tick_ns;  /* instant the tick stands for; 0 between ticks */
    uint32_t kind;    /* black_box_kind */
    uint32_t request; /* kernel_request_kind */
    int32_t result;   /* kernel_result of a request or a tightening */
    uint32_t reserved;
    kernel_tightening tightening;
    kernel_state before;
    kernel_feedback feedback;
    kernel_setpoint setpoint;
    kernel_verdict verdict;
} black_box_record;

/* Empty when zeroed; zeroing touches every page, so that none faults later. */
typedef struct {
    uint64_t newest; /* seq of the last whole record; 0: none yet */
    black_box_record ring[BLACK_BOX_RECORDS];
} black_box;

/* The writer's, after the call that each stands for. `before` is the kernel's state from before that call. */
void black_box_tick(black_box *box, const kernel_state *before, const kernel_feedback *feedback,
                    const kernel_setpoint *setpoint, const kernel_verdict *verdict, int64_t tick_ns, int64_t now_ns);
void black_box_request(black_box *box, const kernel_state *before, const kernel_feedback *feedback, uint32_t request,
                       int32_t result, int64_t now_ns);
void black_box_tighten(black_box *box, const kernel_state *before, const kernel_tightening *tightening, int32_t result);

/* Any thread's. Seq of the newest record; 0: none yet. */
uint64_t black_box_newest(const black_box *box);

/* Copies at most count records, oldest first, none older than from_seq, and returns how many. */
uint32_t black_box_copy(const black_box *box, uint64_t from_seq, black_box_record *records, uint32_t count);
/* bindings:end */

#endif
