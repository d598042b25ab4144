/* See black_box.h. */
#include "black_box.h"

#include <stddef.h>

/* Words are copied with relaxed atomics, so that a record caught while it is overwritten is a value to throw away. */
typedef uint64_t __attribute__((may_alias)) word;

_Static_assert((BLACK_BOX_RECORDS & (BLACK_BOX_RECORDS - 1)) == 0, "ring index is masked");
_Static_assert(sizeof(black_box_record) % sizeof(word) == 0u && sizeof(kernel_state) % sizeof(word) == 0u &&
                   sizeof(kernel_feedback) % sizeof(word) == 0u && sizeof(kernel_setpoint) % sizeof(word) == 0u &&
                   sizeof(kernel_verdict) % sizeof(word) == 0u && offsetof(black_box_record, kind) % sizeof(word) == 0u,
               "copied in words");

static void copy_in(void *shared, const void *local, size_t bytes) {
    word *to = shared;
    const word *from = local;
    for (size_t i = 0; i < bytes / sizeof(word); i++) __atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
}

static void clear(void *shared, size_t bytes) {
    word *to = shared;
    for (size_t i = 0; i < bytes / sizeof(word); i++) __atomic_store_n(&to[i], 0u, __ATOMIC_RELAXED);
}

static const black_box_record *place(const black_box *box, uint64_t seq) {
    return &box->ring[seq & (BLACK_BOX_RECORDS - 1)];
}

/* What stands before `before` in a record, but for its seq. */
typedef struct {
    int64_t now_ns;
    int64_t tick_ns;
    uint32_t kind;
    uint32_t request;
    int32_t result;
    uint32_t reserved;
    kernel_tightening tightening;
} heading;

_Static_assert(sizeof(heading) == offsetof(black_box_record, before) - offsetof(black_box_record, now_ns) &&
                   offsetof(heading, kind) == offsetof(black_box_record, kind) - offsetof(black_box_record, now_ns) &&
                   offsetof(heading, tightening) ==
                       offsetof(black_box_record, tightening) - offsetof(black_box_record, now_ns),
               "one layout");

static void write_record(black_box *box, const heading *head, const kernel_state *before,
                         const kernel_feedback *feedback, const kernel_setpoint *setpoint,
                         const kernel_verdict *verdict) {
    const uint64_t seq = __atomic_load_n(&box->newest, __ATOMIC_RELAXED) + 1u;
    black_box_record *to = (black_box_record *)place(box, seq);
    /* The ring is larger than any cache: asked for at once, its lines arrive side by side. */
    for (size_t i = 0; i < sizeof *to; i += 64u) __builtin_prefetch((const char *)to + i, 1);
    __atomic_store_n(&to->seq, 0u, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    copy_in(&to->now_ns, head, sizeof *head);
    copy_in(&to->before, before, sizeof *before);
    if (feedback)
        copy_in(&to->feedback, feedback, sizeof *feedback);
    else
        clear(&to->feedback, sizeof *feedback);
    if (setpoint)
        copy_in(&to->setpoint, setpoint, sizeof *setpoint);
    else
        clear(&to->setpoint, sizeof *setpoint);
    if (verdict)
        copy_in(&to->verdict, verdict, sizeof *verdict);
    else
        clear(&to->verdict, sizeof *verdict);
    __atomic_store_n(&to->seq, seq, __ATOMIC_RELEASE);
    __atomic_store_n(&box->newest, seq, __ATOMIC_RELEASE);
}

void black_box_tick(black_box *box, const kernel_state *before, const kernel_feedback *feedback,
                    const kernel_setpoint *setpoint, const kernel_verdict *verdict, int64_t tick_ns, int64_t now_ns) {
    const heading head = {.now_ns = now_ns, .tick_ns = tick_ns, .kind = BLACK_BOX_TICK};
    write_record(box, &head, before, feedback, setpoint, verdict);
}

void black_box_request(black_box *box, const kernel_state *before, const kernel_feedback *feedback, uint32_t request,
                       int32_t result, int64_t now_ns) {
    const heading head = {.now_ns = now_ns, .kind = BLACK_BOX_REQUEST, .request = request, .result = result};
    write_record(box, &head, before, feedback, NULL, NULL);
}

void black_box_tighten(black_box *box, const kernel_state *before, const kernel_tightening *tightening, int32_t result) {
    const heading head = {.kind = BLACK_BOX_TIGHTEN, .result = result, .tightening = *tightening};
    write_record(box, &head, before, NULL, NULL, NULL);
}

uint64_t black_box_newest(const black_box *box) { return __atomic_load_n(&box->newest, __ATOMIC_ACQUIRE); }

static int read_record(const black_box *box, uint64_t seq, black_box_record *record) {
    const black_box_record *from = place(box, seq);
    const word *words = (const word *)from;
    if (__atomic_load_n(&from->seq, __ATOMIC_ACQUIRE) != seq) return 0;
    for (size_t i = 0; i < sizeof *record / sizeof(word); i++)
        ((word *)record)[i] = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&from->seq, __ATOMIC_RELAXED) == seq;
}

uint32_t black_box_copy(const black_box *box, uint64_t from_seq, black_box_record *records, uint32_t count) {
    const uint64_t newest = black_box_newest(box);
    const uint64_t oldest = newest >= BLACK_BOX_RECORDS ? newest - BLACK_BOX_RECORDS + 1u : 1u;
    uint32_t copied = 0u;
    for (uint64_t seq = from_seq > oldest ? from_seq : oldest; seq <= newest && copied < count; seq++)
        copied += (uint32_t)read_record(box, seq, &records[copied]);
    return copied;
}
