/* The driver port: what a robot driver and the control process share, one POSIX shared-memory region per robot.
 *
 * Guarantees: fixed-size blocks guarded by sequence locks, so a reader gets a whole block or an error, never a mix
 * of two; neither side can make the other wait. Refuses to know: what the numbers do to a robot. Trusts: that both
 * sides were built from a header of the same DP_VERSION, and checks it with dp_check().
 *
 * C11 (with _GNU_SOURCE, for syscall) and C++11, GCC or Clang, Linux. Needs nothing but this file. A vector has one value
 * for each axis of the embodiment, grippers and a base among them, in its order, each in its own SI unit; stamps are
 * nanoseconds of CLOCK_MONOTONIC, or of the region's virtual clock when clock_mode is DP_CLOCK_VIRTUAL.
 *
 * A driver (drivers/sdk/c/driver_sdk.h does all of it, and what goes beside the port: docs/guides/drivers.md):
 *   1. shm_open + ftruncate(sizeof(dp_region)) + mmap, take an open-file-description write lock on byte
 *      DP_LOCK_DRIVER of the file, then dp_init().
 *   2. every cycle: dp_write_feedback(), then dp_read_command(); while dp_follows(command.state) and
 *      now - command.stamp_ns <= watchdog_ns it drives its joints and grippers to command.q and its base at command.dq;
 *      else it holds where it is, by its own means.
 *      That rule is what stops the robot when control dies: control cannot promise it for itself.
 *   3. virtual clock only: write feedback stamped t, dp_set_virtual_now(t), wait for command.stamp_ns >= t.
 *      After publishing an observation exposed at t it lets time pass only once dp_observation_ack() >= t.
 * Control takes the lock on byte DP_LOCK_CONTROL; it is the only writer of the command block.
 */
#ifndef EDGE_RUNTIME_DRIVER_PORT_H
#define EDGE_RUNTIME_DRIVER_PORT_H

#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
#define DP_STATIC_ASSERT(condition, text) static_assert(condition, text)
extern "C" {
#else
#define DP_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/* bindings:begin */
#define DP_VERSION 3
#define DP_MAX_AXES 32
#define DP_MAX_TOOLS 4
#define DP_DIGEST_BYTES 32
#define DP_LOCK_DRIVER 0
#define DP_LOCK_CONTROL 1

typedef enum { DP_CLOCK_MONOTONIC = 0, DP_CLOCK_VIRTUAL = 1 } dp_clock_mode;

/* dp_feedback.flags */
typedef enum {
    DP_FLAG_STOP_LINE = 1u << 0,    /* a protective or emergency stop input is open */
    DP_FLAG_DRIVER_FAULT = 1u << 1, /* the driver has stopped following commands */
    /* What was measured once has to be in every sample from then on: control takes one without it for a driver's fault. */
    DP_FLAG_HAS_TORQUE = 1u << 2,   /* tau is measured: the kernel trips on too much of it */
    DP_FLAG_HAS_WRENCH = 1u << 3,   /* wrench is measured: likewise, and each tool of `wrenches` */
    DP_FLAG_HAS_ODOMETRY = 1u << 4  /* odometry is measured */
} dp_flag;

/* dp_command.state: the safety kernel's state. */
typedef enum {
    DP_STATE_SILENT = 0,     /* control has nothing to say: hold by your own means */
    DP_STATE_READY = 1,      /* could be armed; q repeats the measurement: hold by your own means */
    DP_STATE_ACTIVE = 2,     /* follow q */
    DP_STATE_HOLDING = 3,    /* follow q: it decelerates, then rests */
    DP_STATE_STOPPING = 4,   /* follow q: it decelerates, then the state becomes READY or FAULT */
    DP_STATE_FAULT = 5,      /* latched: hold by your own means */
    DP_STATE_RETRACTING = 6  /* follow q: it moves to the configured posture, slowly, then STOPPING */
} dp_state;

typedef enum {
    DP_OK = 0,
    DP_EMPTY = -1,         /* never written */
    DP_TORN = -2,          /* the writer was inside the block on every attempt */
    DP_TIMEOUT = -3,
    DP_BAD_MAGIC = -4,
    DP_BAD_VERSION = -5,
    DP_BAD_SIZE = -6,
    DP_BAD_AXES = -7
} dp_result;

/* Measured state; arrays hold n values, the rest is zero. */
typedef struct {
    int64_t stamp_ns; /* instant of measurement, not of writing: the sample is held against the command of then */
    uint64_t seq;     /* +1 per sample; set by dp_write_feedback() */
    double q[DP_MAX_AXES];          /* where each axis is: rad or m, of a gripper as far as it is open; 0 of a base's axis */
    double dq[DP_MAX_AXES];         /* how fast; of a base's axis the velocity that it drives at */
    double tau[DP_MAX_AXES];        /* of the motors, Nm or N, without what only carries the robot's own weight */
    double wrench[DP_MAX_TOOLS][6]; /* force N and moment Nm on each tool */
    double odometry[3];             /* where the base is in the world: x m, y m, yaw rad */
    uint32_t flags;    /* dp_flag bits */
    uint32_t n;
    uint32_t wrenches; /* a bit for each tool whose wrench is measured */
    uint32_t reserved;
} dp_feedback;

/* What the safety kernel returned for the tick at stamp_ns, and where it came from. */
typedef struct {
    int64_t stamp_ns;
    uint64_t seq; /* +1 per tick; set by dp_write_command() */
    double q[DP_MAX_AXES];  /* where to be; of a base's axis: nothing to follow */
    double dq[DP_MAX_AXES]; /* how fast the command moves; of a base's axis what to drive at */
    uint32_t state; /* dp_state */
    uint32_t n;
    uint64_t reasons;       /* the kernel's reason bits of this tick */
    uint64_t faults;        /* the reasons that are latched */
    uint64_t plan_seq;      /* 0: no plan behind this command */
    uint64_t chunk_seq;
    int64_t observation_ns; /* exposure of the observation behind this command */
} dp_command;
/* bindings:end */

#define DP_MAGIC 0x3154524f50525644ull /* "DVRPORT1", little-endian */
#define DP_READ_ATTEMPTS 64
#define DP_ALIGNED __attribute__((aligned(64)))

typedef struct {
    uint64_t magic; /* written last: a region with the right magic is complete */
    uint32_t version;
    uint32_t region_bytes;
    uint32_t feedback_bytes;
    uint32_t command_bytes;
    uint32_t n_axes;
    uint32_t clock_mode;                   /* dp_clock_mode */
    uint64_t watchdog_ns;                  /* the driver stops by itself after so long without a command; 0: it does not */
    uint8_t joint_digest[DP_DIGEST_BYTES]; /* of the order of the axes, see contracts/embodiment.py */
} dp_identity;

/* A 32-bit word that changes when something happened, and how many sleep on it (so that nobody pays a system call
 * to wake no one). */
typedef struct {
    uint32_t word;
    uint32_t waiters;
} dp_signal;

typedef struct {
    int64_t virtual_now_ns DP_ALIGNED; /* written by the driver */
    dp_signal clock_changed;
    dp_signal command_written DP_ALIGNED; /* bumped by control */
    int64_t observation_ack_ns DP_ALIGNED; /* written by control: chunks of observations up to here are dealt with */
    dp_signal ack_written;
} dp_time;

typedef struct {
    dp_identity identity DP_ALIGNED;
    dp_time time DP_ALIGNED;
    uint64_t feedback_lock DP_ALIGNED; /* sequence lock: odd while the driver writes */
    dp_feedback feedback;
    uint64_t command_lock DP_ALIGNED; /* sequence lock: odd while control writes */
    dp_command command;
} dp_region;

DP_STATIC_ASSERT(sizeof(dp_feedback) == 16 + 8 * (3 * DP_MAX_AXES + 6 * DP_MAX_TOOLS + 3) + 16, "dp_feedback has padding");
DP_STATIC_ASSERT(sizeof(dp_command) == 16 + 8 * 2 * DP_MAX_AXES + 48, "dp_command has padding");

/* ---- sequence locks ------------------------------------------------------------------------------------------ */

typedef uint64_t __attribute__((may_alias)) dp_word;

/* One writer. Words are copied with relaxed atomics, so that a torn read is a value to throw away, not undefined. */
static inline void dp_store(uint64_t *lock, void *shared, const void *local, size_t bytes) {
    dp_word *to = (dp_word *)shared;
    const dp_word *from = (const dp_word *)local;
    /* A writer that died inside the block left the lock odd; the next odd value starts over. */
    const uint64_t odd = (__atomic_load_n(lock, __ATOMIC_RELAXED) + 1u) | 1u;
    __atomic_store_n(lock, odd, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (size_t i = 0; i < bytes / sizeof(dp_word); i++) __atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
    __atomic_store_n(lock, odd + 1u, __ATOMIC_RELEASE);
}

/* Any number of readers. DP_OK, DP_EMPTY or, after DP_READ_ATTEMPTS, DP_TORN (then *local is undefined). */
static inline int dp_load(const uint64_t *lock, const void *shared, void *local, size_t bytes) {
    const dp_word *from = (const dp_word *)shared;
    dp_word *to = (dp_word *)local;
    for (int attempt = 0; attempt < DP_READ_ATTEMPTS; attempt++) {
        const uint64_t before = __atomic_load_n(lock, __ATOMIC_ACQUIRE);
        if (before == 0u) return DP_EMPTY;
        if (before & 1u) continue;
        for (size_t i = 0; i < bytes / sizeof(dp_word); i++) to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(lock, __ATOMIC_RELAXED) == before) return DP_OK;
    }
    return DP_TORN;
}

/* ---- signals ------------------------------------------------------------------------------------------------- */

static inline uint32_t dp_signal_seen(const dp_signal *signal) { return __atomic_load_n(&signal->word, __ATOMIC_SEQ_CST); }

static inline void dp_signal_raise(dp_signal *signal) {
    __atomic_add_fetch(&signal->word, 1u, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&signal->waiters, __ATOMIC_SEQ_CST) != 0u)
        (void)syscall(SYS_futex, &signal->word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Sleeps until the word differs from seen, at most timeout_ns; may return early. */
static inline void dp_signal_wait(dp_signal *signal, uint32_t seen, int64_t timeout_ns) {
    struct timespec timeout;
    timeout.tv_sec = (time_t)(timeout_ns / 1000000000);
    timeout.tv_nsec = (long)(timeout_ns % 1000000000);
    __atomic_add_fetch(&signal->waiters, 1u, __ATOMIC_SEQ_CST);
    (void)syscall(SYS_futex, &signal->word, FUTEX_WAIT, seen, &timeout, NULL, 0);
    __atomic_sub_fetch(&signal->waiters, 1u, __ATOMIC_SEQ_CST);
}

/* ---- region -------------------------------------------------------------------------------------------------- */

/* On zeroed memory of sizeof(dp_region) bytes, once, by the driver. */
static inline int dp_init(dp_region *region, uint32_t n_axes, const uint8_t joint_digest[DP_DIGEST_BYTES],
                          uint64_t watchdog_ns, uint32_t clock_mode) {
    if (n_axes == 0u || n_axes > DP_MAX_AXES) return DP_BAD_AXES;
    dp_identity *identity = &region->identity;
    identity->version = DP_VERSION;
    identity->region_bytes = (uint32_t)sizeof(dp_region);
    identity->feedback_bytes = (uint32_t)sizeof(dp_feedback);
    identity->command_bytes = (uint32_t)sizeof(dp_command);
    identity->n_axes = n_axes;
    identity->clock_mode = clock_mode;
    identity->watchdog_ns = watchdog_ns;
    memcpy(identity->joint_digest, joint_digest, DP_DIGEST_BYTES);
    __atomic_store_n(&identity->magic, DP_MAGIC, __ATOMIC_RELEASE);
    return DP_OK;
}

/* Whether a mapped region of at least sizeof(dp_region) bytes speaks this header's language. */
static inline int dp_check(const dp_region *region) {
    const dp_identity *identity = &region->identity;
    if (__atomic_load_n(&identity->magic, __ATOMIC_ACQUIRE) != DP_MAGIC) return DP_BAD_MAGIC;
    if (identity->version != DP_VERSION) return DP_BAD_VERSION;
    if (identity->region_bytes != sizeof(dp_region) || identity->feedback_bytes != sizeof(dp_feedback) ||
        identity->command_bytes != sizeof(dp_command))
        return DP_BAD_SIZE;
    if (identity->n_axes == 0u || identity->n_axes > DP_MAX_AXES) return DP_BAD_AXES;
    return DP_OK;
}

/* Whether a driver moves towards q in this state. */
static inline int dp_follows(uint32_t state) {
    return state == DP_STATE_ACTIVE || state == DP_STATE_HOLDING || state == DP_STATE_STOPPING ||
           state == DP_STATE_RETRACTING;
}

/* Driver only. Sets feedback->seq. */
static inline void dp_write_feedback(dp_region *region, dp_feedback *feedback) {
    feedback->seq = region->feedback.seq + 1u;
    dp_store(&region->feedback_lock, &region->feedback, feedback, sizeof *feedback);
}

static inline int dp_read_feedback(const dp_region *region, dp_feedback *feedback) {
    return dp_load(&region->feedback_lock, &region->feedback, feedback, sizeof *feedback);
}

/* Control only. Sets command->seq. */
static inline void dp_write_command(dp_region *region, dp_command *command) {
    command->seq = region->command.seq + 1u;
    dp_store(&region->command_lock, &region->command, command, sizeof *command);
    dp_signal_raise(&region->time.command_written);
}

static inline int dp_read_command(const dp_region *region, dp_command *command) {
    return dp_load(&region->command_lock, &region->command, command, sizeof *command);
}

/* Driver only: the virtual clock shows now_ns from here on. */
static inline void dp_set_virtual_now(dp_region *region, int64_t now_ns) {
    __atomic_store_n(&region->time.virtual_now_ns, now_ns, __ATOMIC_RELEASE);
    dp_signal_raise(&region->time.clock_changed);
}

static inline int64_t dp_now_ns(const dp_region *region) {
    struct timespec now;
    if (region->identity.clock_mode == DP_CLOCK_VIRTUAL)
        return __atomic_load_n(&region->time.virtual_now_ns, __ATOMIC_ACQUIRE);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Control only: chunks of all observations exposed up to stamp_ns are installed or refused. Never goes back. */
static inline void dp_acknowledge_observation(dp_region *region, int64_t stamp_ns) {
    if (stamp_ns <= __atomic_load_n(&region->time.observation_ack_ns, __ATOMIC_RELAXED)) return;
    __atomic_store_n(&region->time.observation_ack_ns, stamp_ns, __ATOMIC_RELEASE);
    dp_signal_raise(&region->time.ack_written);
}

static inline int64_t dp_observation_ack(const dp_region *region) {
    return __atomic_load_n(&region->time.observation_ack_ns, __ATOMIC_ACQUIRE);
}

#ifdef __cplusplus
}
#endif
#endif
